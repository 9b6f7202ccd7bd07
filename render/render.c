/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-render: accepted objects to pictures from a set of views, in shards or folders. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "draw/views.h"
#include "geom/import.h"
#include "geom/read.h"
#include "geom/spread.h"
#include "metric/shard_sheet.h"
#include "store/content.h"
#include "store/sample.h"
#include "store/shard.h"
#include "store/stage.h"

/* Raise when the same arguments give other bytes: everything is then rendered anew. */
enum { FORMAT_VERSION = 1 };

struct conf {
    struct t3d_common common;
    const char *view_set, *light, *output_dir, *sheet;
    uint64_t num_views, resolution, sheet_rows;
    struct t3d_list format, passes;
};

static const struct t3d_opt opts[] = {
    {0, "view-set", T3D_OPT_STRING, offsetof(struct conf, view_set), "NAME", "ring16+4", NULL,
     "ring16+4, ring:N[:ELEVATION], hammersley:N, or a JSON file of views"},
    {0, "num-views", T3D_OPT_U64, offsetof(struct conf, num_views), "N", "20", NULL,
     "20 is ring16+4, any other number is hammersley:N"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "512", NULL,
     "pictures are R x R pixels, 8 to 4096"},
    {0, "light", T3D_OPT_STRING, offsetof(struct conf, light), "NAME", "studio", t3d_light_names,
     "light preset"},
    {0, "passes", T3D_OPT_WORDS, offsetof(struct conf, passes), "LIST", "color",
     "color depth normal albedo metal-rough", "pictures of each view"},
    {0, "format", T3D_OPT_WORDS, offsetof(struct conf, format), "LIST", "shards", "shards dir",
     "shards in the workspace, a folder per object below --output-dir, or both"},
    {0, "output-dir", T3D_OPT_STRING, offsetof(struct conf, output_dir), "DIR", NULL, NULL,
     "where folders go; implies --format dir when no format is given"},
    {0, "sheet", T3D_OPT_STRING, offsetof(struct conf, sheet), "FILE.png", NULL, NULL,
     "write a contact sheet of the first objects"},
    {0, "sheet-rows", T3D_OPT_U64, offsetof(struct conf, sheet_rows), "N", "16", NULL,
     "objects on the contact sheet"},
    {0}};

struct render {
    const struct conf *conf;
    const char *workspace;
    const char *name, *stage, *dir; /* "ring16+4-512", "render/<name>", the folder renders/<name> */
    struct t3d_view_set set;
    const struct t3d_light *light;
    unsigned passes;
    int to_shards, to_dir;
    struct t3d_painter **painter; /* one per thread */
    struct t3d_shards *shards;
    struct t3d_arena arena; /* of the run */
};

static struct t3d_importer *importer;

static int before(int threads, struct t3d_err *err)
{
    return t3d_importer_open(&importer, threads, NULL, err);
}

/* What work leaves for save; lies in the item's arena. */
struct result {
    struct t3d_member *member;
    size_t n;
    cJSON *measures;
    char *text[4]; /* malloc'd JSON texts that members point to */
};

/* --- members of a sample
 * -------------------------------------------------------------------------- */

static cJSON *sample_json(const struct render *r, const struct t3d_object *o)
{
    cJSON *j = t3d_sample_json(o);

    t3d_json_set_str(j, "view_set", r->set.name);
    t3d_json_set_num(j, "views", (double)r->set.n);
    t3d_json_set_num(j, "resolution", (double)r->conf->resolution);
    t3d_json_set_str(j, "light", r->conf->light);
    t3d_json_set_str(j, "t3d", T3D_VERSION);
    return j;
}

/* Print j (taken over) and remember the text in the result, which frees it. */
static int add_json(struct result *res, int slot, const char *suffix, cJSON *j)
{
    res->text[slot] = j ? t3d_json_text(j, 0) : NULL;
    cJSON_Delete(j);
    if (!res->text[slot])
        return -1;
    res->member[res->n++] = (struct t3d_member){suffix, res->text[slot], strlen(res->text[slot])};
    return 0;
}

/* color: v00.png; the other passes: v00.depth.png and so on. */
static int add_pictures(const struct render *r, struct result *res, const struct t3d_views *v,
                        struct t3d_arena *a)
{
    char view[T3D_VIEW_NAME_SIZE], *name;

    for (size_t i = 0; i < v->n; i++)
        for (int k = 0; k < T3D_N_PASSES; k++) {
            const struct t3d_png *png = &v->picture[i].png[k];
            t3d_view_name(&r->set, i, view);
            name = k ? t3d_sprintf(a, "%s.%s.png", view, t3d_pass_name[k])
                     : t3d_sprintf(a, "%s.png", view);
            if (!name)
                return -1;
            if (png->size)
                res->member[res->n++] = (struct t3d_member){name, png->data, png->size};
        }
    return 0;
}

static int build_result(const struct render *r, struct t3d_stage_item *item, struct result *res,
                        const struct t3d_views *v)
{
    char *captions = t3d_sample_captions(&item->object, &item->arena);

    res->member = t3d_alloc(&item->arena, 3 + v->n * T3D_N_PASSES, sizeof *res->member);
    if (!captions || !res->member)
        return -1;
    if (add_json(res, 0, "json", sample_json(r, &item->object)) < 0)
        return -1;
    res->member[res->n++] = (struct t3d_member){"txt", captions, strlen(captions)};
    if (add_json(res, 1, "cameras.json",
                 t3d_cameras_json(&r->set, (uint32_t)r->conf->resolution, &v->normalisation)) < 0)
        return -1;
    return add_pictures(r, res, v, &item->arena);
}

/* --- folders
 * ---------------------------------------------------------------------------------------- */

/* DIR/<uid>/000.png ... transforms.json cameras.json; pictures of other passes: 000.depth.png. */
static int write_folder(const struct render *r, struct t3d_stage_item *item,
                        const struct t3d_views *v)
{
    struct t3d_arena *a = &item->arena;
    struct t3d_err *err = &item->err;
    char *dir = t3d_path_join(a, r->conf->output_dir, item->object.uid), *path, *text;
    cJSON *j;
    int status = dir ? t3d_make_dirs(dir, err) : t3d_err_nomem(err, "a path");

    for (size_t i = 0; i < v->n && status == T3D_OK; i++)
        for (int k = 0; k < T3D_N_PASSES && status == T3D_OK; k++) {
            const struct t3d_png *png = &v->picture[i].png[k];
            if (!png->size)
                continue;
            path = k ? t3d_sprintf(a, "%s/%03zu.%s.png", dir, i, t3d_pass_name[k])
                     : t3d_sprintf(a, "%s/%03zu.png", dir, i);
            status =
                path ? t3d_write_file(path, png->data, png->size, err) : t3d_err_nomem(err, dir);
        }
    for (int k = 0; k < 2 && status == T3D_OK; k++) {
        uint32_t res = (uint32_t)r->conf->resolution;
        j = k ? t3d_cameras_json(&r->set, res, &v->normalisation)
              : t3d_transforms_json(&r->set, res, &v->normalisation, "%03zu.png");
        text = j ? t3d_json_text(j, 0) : NULL;
        cJSON_Delete(j);
        path = t3d_sprintf(a, "%s/%s", dir, k ? "cameras.json" : "transforms.json");
        status =
            text && path ? t3d_write_file(path, text, strlen(text), err) : t3d_err_nomem(err, dir);
        free(text);
    }
    return status;
}

/* --- the stage
 * ---------------------------------------------------------------------------------------- */

static int import(const struct render *r, int thread, struct t3d_stage_item *item,
                  struct t3d_imported *in)
{
    struct t3d_content_ctx parts;
    char *path;
    int status =
        t3d_content_locate(&parts, &path, r->workspace, &item->object, &item->arena, &item->err);

    if (status < 0)
        return status;
    return t3d_import(importer, thread, path, t3d_content_resolve, &parts, T3D_READ_PIXELS, in,
                      &item->err);
}

static int paint(const struct render *r, int thread, struct t3d_stage_item *item,
                 const struct t3d_scene *scene, struct result *res)
{
    struct t3d_views views;
    double spread[3];
    int status = t3d_paint_views(r->painter[thread], scene, &r->set, r->light, &item->arena, &views,
                                 &item->err);

    if (status < 0)
        return status;
    t3d_scene_spread(scene, spread);
    res->measures = t3d_views_measures(&views);
    if (res->measures)
        t3d_json_set_num(res->measures, "thickness", spread[0] > 0 ? spread[2] / spread[0] : 0);
    if (!res->measures || build_result(r, item, res, &views) < 0)
        return t3d_err_nomem(&item->err, "the pictures of an object");
    return r->to_dir ? write_folder(r, item, &views) : T3D_OK;
}

static void work(void *ctx, int thread, struct t3d_stage_item *item)
{
    const struct render *r = ctx;
    struct result *res = t3d_alloc(&item->arena, 1, sizeof *res);
    struct t3d_imported in;
    int status = res ? import(r, thread, item, &in) : t3d_err_nomem(&item->err, "a result");

    if (status == T3D_OK) {
        item->result = res;
        status = paint(r, thread, item, &in.scene, res);
        t3d_imported_close(&in);
    }
    if (status == T3D_OK)
        item->code = T3D_STATE_OK;
    else
        t3d_err_prefix(&item->err, "%s", item->object.uid);
}

static int save(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item, struct t3d_err *err)
{
    struct render *r = ctx;
    struct result *res = item->result;
    int64_t num = item->object.num;
    char key[33];
    int status = T3D_OK;

    if (item->code != T3D_STATE_OK &&
        item->err.code == T3D_IO) { /* a full disk is not the object's fault */
        *err = item->err;
        return T3D_IO;
    }
    if (item->code != T3D_STATE_OK)
        return r->to_shards ? t3d_shards_remove(r->shards, num, err) : T3D_OK;
    t3d_object_key(&item->object, key);
    if (r->to_shards)
        status = t3d_shards_put(r->shards, num, key, res->member, res->n, err);
    if (status == T3D_OK)
        status = t3d_manifest_put_measures(m, num, "render", res->measures, err);
    return status;
}

/* Outputs that were deleted are made again. */
static int have(void *ctx, const struct t3d_object *o)
{
    struct render *r = ctx;
    char path[PATH_MAX];

    if (r->to_shards && r->shards && !t3d_shards_has(r->shards, o->num))
        return 0;
    if (!r->to_dir)
        return 1;
    snprintf(path, sizeof path, "%s/%s/cameras.json", r->conf->output_dir, o->uid);
    return access(path, F_OK) == 0;
}

static void done(void *ctx, struct t3d_stage_item *item)
{
    struct result *res = item->result;

    (void)ctx;
    if (!res)
        return;
    cJSON_Delete(res->measures);
    for (size_t i = 0; i < T3D_COUNT(res->text); i++)
        free(res->text[i]);
    item->result = NULL;
}

/* From the shards and not from the run, so that a run with nothing left to do makes it too. */
static int write_sheet(const struct render *r, struct t3d_err *err)
{
    uint64_t rows;
    int status =
        t3d_shard_sheet(r->conf->sheet, r->dir, r->name, r->set.n, r->conf->sheet_rows, &rows, err);

    if (status == T3D_OK && rows == 0)
        t3d_warn("--sheet: no object is rendered, so there is no sheet");
    return status;
}

/* --- set-up
 * ------------------------------------------------------------------------------------------- */

static int has_word(const struct t3d_list *l, const char *word)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i], word) == 0)
            return 1;
    return 0;
}

static int choose_views(struct render *r, const struct conf *c, struct t3d_err *err)
{
    const char *name = c->view_set;

    if (t3d_opt_given(&c->common, "num-views") && c->num_views != 20) {
        if (t3d_opt_given(&c->common, "view-set"))
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "--num-views and --view-set both say which views: give one");
        name = t3d_sprintf(&r->arena, "hammersley:%llu", (unsigned long long)c->num_views);
        if (!name)
            return t3d_err_nomem(err, "a view set");
    }
    return t3d_view_set_load(&r->set, name, &r->arena, err);
}

static int choose_output(struct render *r, const struct conf *c, struct t3d_err *err)
{
    r->to_dir = has_word(&c->format, "dir");
    r->to_shards = has_word(&c->format, "shards");
    if (c->output_dir && !t3d_opt_given(&c->common, "format")) {
        r->to_dir = 1;
        r->to_shards = 0;
    }
    if (r->to_dir && !c->output_dir)
        return t3d_err_set(err, T3D_USAGE, "usage", "--format dir needs --output-dir DIR");
    if (c->output_dir && !r->to_dir)
        return t3d_err_set(err, T3D_USAGE, "usage", "--output-dir is for --format dir");
    if (c->sheet && !r->to_shards)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--sheet shows shards: add --format shards,dir");
    if (c->resolution < 8 || c->resolution > 4096)
        return t3d_err_set(err, T3D_USAGE, "usage", "--resolution %llu is not within 8 and 4096",
                           (unsigned long long)c->resolution);
    return T3D_OK;
}

static int setup(struct render *r, const struct conf *c, struct t3d_err *err)
{
    int status = choose_output(r, c, err);

    if (status == T3D_OK)
        status = choose_views(r, c, err);
    if (status == T3D_OK)
        status = t3d_passes_parse(&r->passes, c->passes.item, c->passes.n, err);
    if (status < 0)
        return status;
    r->light = t3d_light_find(c->light);
    r->name = t3d_sprintf(&r->arena, "%s-%llu%s%s", r->set.name, (unsigned long long)c->resolution,
                          strcmp(c->light, "studio") ? "-" : "",
                          strcmp(c->light, "studio") ? c->light : "");
    r->stage = t3d_sprintf(&r->arena, "render/%s", r->name);
    r->dir = t3d_sprintf(&r->arena, "%s/renders/%s", c->common.workspace, r->name);
    r->painter = t3d_alloc(&r->arena, (size_t)c->common.threads, sizeof(struct t3d_painter *));
    if (!r->name || !r->stage || !r->dir || !r->painter)
        return t3d_err_nomem(err, "the set-up");
    for (int64_t i = 0; i < c->common.threads && status == T3D_OK; i++)
        status = t3d_painter_new(&r->painter[i], (uint32_t)c->resolution, r->passes, err);
    return status;
}

/* What changes the bytes. The cameras go in as their own text: a JSON file may change under its
 * name. */
static cJSON *params(const struct render *r)
{
    const struct t3d_normalisation unit = {{0, 0, 0}, 1};
    const struct conf *c = r->conf;
    cJSON *o = cJSON_CreateObject();

    t3d_json_set(o, "cameras", t3d_cameras_json(&r->set, (uint32_t)c->resolution, &unit));
    t3d_json_set_str(o, "light", c->light);
    t3d_json_set_num(o, "passes", r->passes);
    t3d_json_set_bool(o, "shards", r->to_shards);
    t3d_json_set_str(o, "dir", r->to_dir ? c->output_dir : "");
    return o;
}

static int render(struct render *r, struct t3d_manifest *m, struct t3d_err *err)
{
    static const char *const needs[] = {"fetch", "filter", NULL};
    const struct t3d_common *common = &r->conf->common;
    struct t3d_stage stage = {.name = r->stage,
                              .also = "render",
                              .needs = needs,
                              .format_version = FORMAT_VERSION,
                              .words_matter = 1,
                              .work = work,
                              .save = save,
                              .done = done,
                              .have = have};
    struct t3d_stage_summary summary = {0};
    cJSON *p = params(r);
    int status = T3D_OK;

    stage.params = p;
    if (r->to_shards && !common->dry_run)
        status = t3d_shards_open(&r->shards, r->dir, common->shard_index, common->shard_count, err);
    if (status == T3D_OK)
        status = t3d_stage_run(&stage, r, m, common, &summary, err);
    cJSON_Delete(p);
    if (r->shards) {
        struct t3d_err later;
        int finish = t3d_shards_finish(r->shards, status == T3D_OK ? err : &later);
        status = status == T3D_OK ? finish : status;
    }
    t3d_shards_close(r->shards);
    if (status == T3D_OK && r->conf->sheet && !common->dry_run)
        status = write_sheet(r, err);
    return status == T3D_OK ? t3d_stage_exit(&summary) : status;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct render r = {.conf = c, .workspace = c->common.workspace};
    struct t3d_manifest *m = NULL;
    int status = setup(&r, c, err);

    if (status == T3D_OK)
        status = t3d_manifest_open(&m, c->common.workspace, 0, err);
    if (status == T3D_OK)
        status = render(&r, m, err);
    t3d_manifest_close(m);
    for (int64_t i = 0; r.painter && i < c->common.threads; i++)
        t3d_painter_free(r.painter[i]);
    t3d_arena_free(&r.arena);
    t3d_importer_close(importer);
    return status;
}

static const struct t3d_command command = {.operands = "[-]",
                                           .summary = "render objects from a set of views",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "render",
    .summary = "render objects from a set of views",
    .about =
        "Every accepted object is normalised, drawn from each camera and written as PNG pictures "
        "with its captions and cameras: as a sample of a WebDataset shard below renders/, as a "
        "folder, or as both. Objects without a caption are rendered all the same.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
