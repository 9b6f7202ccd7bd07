/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-filter: measure every object, decide which ones go on, keep the measures of all. With --views
 * it decides by what render measured in the pictures. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "geom/import.h"
#include "geom/measure.h"
#include "store/content.h"
#include "store/rules.h"
#include "store/stage.h"

/* Raise when a measure changes its meaning: stored measures of another version are made anew. */
enum { MEASURES_VERSION = 1 };

/* The rules, in the order in which they decide. */
enum {
    BROKEN,
    MIN_POLYGONS,
    MAX_POLYGONS,
    MIN_TEXTURE,
    MAX_COMPONENTS,
    MAX_DEGENERATE,
    MAX_NONMANIFOLD,
    MAX_BOUNDARY,
    MIN_EXTENT,
    MIN_UV,
    MAX_MISSING,
    MAX_BYTES,
    TEXTURE,
    UV,
    WATERTIGHT,
    WINDING,
    CAPTION,
    N_MESH, /* the rules of --views follow */
    MIN_COVERAGE = N_MESH,
    MIN_LUMINANCE,
    MAX_LUMINANCE,
    MIN_CONTRAST,
    MAX_BACKFACING,
    MIN_THICKNESS,
    N_RULES
};

static const struct t3d_rule rules[N_RULES] = {
    [BROKEN] = {"remove-broken-meshes", T3D_RULE_TRUE, "sound", "broken-mesh"},
    [MIN_POLYGONS] = {"min-polygons", T3D_RULE_MIN, "triangles", "too-few-polygons"},
    [MAX_POLYGONS] = {"max-polygons", T3D_RULE_MAX, "triangles", "too-many-polygons"},
    [MIN_TEXTURE] = {"min-texture-res", T3D_RULE_MIN_SOME, "texture_res", "texture-too-small"},
    [MAX_COMPONENTS] = {"max-components", T3D_RULE_MAX, "components", "too-many-components"},
    [MAX_DEGENERATE] = {"max-degenerate", T3D_RULE_MAX, "degenerate", "too-many-degenerate"},
    [MAX_NONMANIFOLD] = {"max-nonmanifold-edges", T3D_RULE_MAX, "nonmanifold_edges",
                         "too-many-nonmanifold-edges"},
    [MAX_BOUNDARY] = {"max-boundary-edges", T3D_RULE_MAX, "boundary_edges",
                      "too-many-boundary-edges"},
    [MIN_EXTENT] = {"min-extent-ratio", T3D_RULE_MIN, "extent_ratio", "too-flat"},
    [MIN_UV] = {"min-uv-coverage", T3D_RULE_MIN, "uv_coverage", "too-little-uv"},
    [MAX_MISSING] = {"max-missing-textures", T3D_RULE_MAX, "missing_textures", "missing-texture"},
    [MAX_BYTES] = {"max-bytes", T3D_RULE_MAX, "bytes", "too-large"},
    [TEXTURE] = {"require-texture", T3D_RULE_TRUE, "texture_res", "no-texture"},
    [UV] = {"require-uv", T3D_RULE_TRUE, "has_uv", "no-uv"},
    [WATERTIGHT] = {"require-watertight", T3D_RULE_TRUE, "watertight_welded", "not-watertight"},
    [WINDING] = {"require-winding", T3D_RULE_TRUE, "winding_consistent", "inconsistent-winding"},
    [CAPTION] = {"require-caption", T3D_RULE_TRUE, "captions", "no-caption"},
    [MIN_COVERAGE] = {"min-coverage", T3D_RULE_MIN, "coverage", "nearly-blank"},
    [MIN_LUMINANCE] = {"min-luminance", T3D_RULE_MIN, "luminance", "too-dark"},
    [MAX_LUMINANCE] = {"max-luminance", T3D_RULE_MAX, "luminance", "too-bright"},
    [MIN_CONTRAST] = {"min-contrast", T3D_RULE_MIN, "contrast", "too-uniform"},
    [MAX_BACKFACING] = {"max-backfacing", T3D_RULE_MAX, "backfacing", "flipped-normals"},
    [MIN_THICKNESS] = {"min-thickness", T3D_RULE_MIN, "thickness", "paper-thin"},
};

struct conf {
    struct t3d_common common;
    int views;
    const char *explain;
    struct t3d_list license_allow;
    double limit[N_RULES];
    int flag[N_RULES]; /* of the T3D_RULE_TRUE rules */
};

#define LIMIT(i) T3D_OPT_DOUBLE, offsetof(struct conf, limit[i])
#define FLAG(i)  T3D_OPT_BOOL, offsetof(struct conf, flag[i])

static const struct t3d_opt opts[] = {
    {0, "min-polygons", LIMIT(MIN_POLYGONS), "N", NULL, NULL, "reject below N triangles"},
    {0, "max-polygons", LIMIT(MAX_POLYGONS), "N", NULL, NULL, "reject above N triangles"},
    {0, "min-texture-res", LIMIT(MIN_TEXTURE), "N", NULL, NULL,
     "reject when the shorter side of the largest base-colour texture is below N pixels; objects "
     "without textures pass"},
    {0, "remove-broken-meshes", FLAG(BROKEN), NULL, "no", NULL,
     "reject meshes with no usable triangle, an index out of range or a non-finite position"},
    {0, "max-components", LIMIT(MAX_COMPONENTS), "N", NULL, NULL, "reject above N connected parts"},
    {0, "max-degenerate", LIMIT(MAX_DEGENERATE), "N", NULL, NULL,
     "reject above N degenerate triangles"},
    {0, "max-nonmanifold-edges", LIMIT(MAX_NONMANIFOLD), "N", NULL, NULL,
     "reject above N edges that more than two triangles share"},
    {0, "max-boundary-edges", LIMIT(MAX_BOUNDARY), "N", NULL, NULL,
     "reject above N edges that only one triangle uses"},
    {0, "min-extent-ratio", LIMIT(MIN_EXTENT), "X", NULL, NULL,
     "reject when the box's smallest side is below X times its largest"},
    {0, "min-uv-coverage", LIMIT(MIN_UV), "X", NULL, NULL,
     "reject when less than this share of the area has texture coordinates"},
    {0, "max-missing-textures", LIMIT(MAX_MISSING), "N", NULL, NULL,
     "reject above N textures that are referred to but not there"},
    {0, "max-bytes", LIMIT(MAX_BYTES), "N", NULL, NULL, "reject objects of more than N bytes"},
    {0, "require-texture", FLAG(TEXTURE), NULL, "no", NULL,
     "reject objects without a base texture"},
    {0, "require-uv", FLAG(UV), NULL, "no", NULL, "reject objects without texture coordinates"},
    {0, "require-watertight", FLAG(WATERTIGHT), NULL, "no", NULL,
     "reject meshes that are open after welding equal positions"},
    {0, "require-winding", FLAG(WINDING), NULL, "no", NULL,
     "reject meshes of inconsistent winding"},
    {0, "require-caption", FLAG(CAPTION), NULL, "no", NULL, "reject objects without a caption"},
    {0, "license-allow", T3D_OPT_WORDS, offsetof(struct conf, license_allow), "LIST", NULL, NULL,
     "reject other licences; words with * and ?, an unknown licence is NOASSERTION"},
    {0, "views", T3D_OPT_BOOL, offsetof(struct conf, views), NULL, "no", NULL,
     "decide by the rendered pictures instead (a stage of its own, after render)"},
    {0, "min-coverage", LIMIT(MIN_COVERAGE), "X", NULL, NULL,
     "with --views: reject when the object covers less than this share of the pictures"},
    {0, "min-luminance", LIMIT(MIN_LUMINANCE), "X", NULL, NULL,
     "with --views: reject when the mean linear luminance is below X"},
    {0, "max-luminance", LIMIT(MAX_LUMINANCE), "X", NULL, NULL,
     "with --views: reject when the mean linear luminance is above X"},
    {0, "min-contrast", LIMIT(MIN_CONTRAST), "X", NULL, NULL,
     "with --views: reject when the standard deviation of luminance is below X"},
    {0, "max-backfacing", LIMIT(MAX_BACKFACING), "X", NULL, NULL,
     "with --views: reject when more than this share of what is seen faces away"},
    {0, "min-thickness", LIMIT(MIN_THICKNESS), "X", NULL, NULL,
     "with --views: reject surfaces flatter than X (smallest to largest spread)"},
    {0, "explain", T3D_OPT_STRING, offsetof(struct conf, explain), "UID", NULL, NULL,
     "print each rule's verdict on one object and change nothing"},
    {0}};

struct filter {
    const struct conf *conf;
    struct t3d_manifest *manifest;
    int first, end; /* rules of the mode at hand */
};

static struct t3d_importer *importer;

static int before(int threads, struct t3d_err *err)
{
    return t3d_importer_open(&importer, threads, NULL, err);
}

/* --- measuring
 * ------------------------------------------------------------------------------------ */

static int measure(const char *workspace, int thread, struct t3d_stage_item *item, cJSON **out,
                   struct t3d_err *err)
{
    struct t3d_content_ctx parts;
    struct t3d_imported in;
    struct t3d_measures m;
    char *path;
    int r = t3d_content_locate(&parts, &path, workspace, &item->object, &item->arena, err);

    if (r == T3D_OK)
        r = t3d_import(importer, thread, path, t3d_content_resolve, &parts, 0, &in, err);
    if (r < 0)
        return r;
    r = t3d_measure(&m, &in.scene, &item->arena, err);
    t3d_imported_close(&in);
    if (r < 0)
        return r;
    *out = t3d_measures_json(&m);
    return *out ? T3D_OK : t3d_err_nomem(err, item->object.uid);
}

/* What the rules look at beyond the mesh's own measures. */
static int add_derived(cJSON *m, const struct t3d_object *o)
{
    double w = t3d_json_num(m, "base_width", 0), h = t3d_json_num(m, "base_height", 0);
    double usable = t3d_json_num(m, "triangles", 0) - t3d_json_num(m, "degenerate", 0);
    int sound = usable > 0 && t3d_json_num(m, "n_bad_indices", 0) == 0 &&
                t3d_json_num(m, "n_non_finite", 0) == 0;

    return t3d_json_set_num(m, "version", MEASURES_VERSION) |
           t3d_json_set_num(m, "texture_res", T3D_MIN(w, h)) |
           t3d_json_set_bool(m, "sound", sound) | t3d_json_set_num(m, "bytes", (double)o->bytes) |
           t3d_json_set_num(m, "captions", (double)o->n_captions);
}

/* --- deciding
 * --------------------------------------------------------------------------------------- */

/* The first rule that the object breaks is its reason. */
static int rejects(const struct filter *f, struct t3d_stage_item *item, const cJSON *m)
{
    const struct conf *c = f->conf;
    const struct t3d_object *o = &item->object;

    if (!c->views && t3d_measures_check(m, o->uid, &item->err) < 0)
        return 1;
    for (int i = f->first; i < f->end; i++)
        if (t3d_rule_rejects(&rules[i], c->limit[i], m, o->uid, &item->err))
            return 1;
    if (c->views || !c->license_allow.n || t3d_license_allowed(&c->license_allow, o->license))
        return 0;
    t3d_err_set(&item->err, T3D_SKIP, "license", "%s: license '%s' is not in --license-allow",
                o->uid, o->license ? o->license : "NOASSERTION");
    return 1;
}

/* --- the stage
 * ---------------------------------------------------------------------------------------- */

/* Stored measures go with the item, so that a change of thresholds only decides anew; --redo takes
 * none. */
static int load(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item, struct t3d_err *err)
{
    const struct filter *f = ctx;
    const char *stage = f->conf->views ? "render" : "filter";
    cJSON *stored = NULL;
    int again = f->conf->common.redo && !f->conf->views;
    int r = again ? T3D_OK : t3d_manifest_find_measures(m, item->object.num, stage, &stored, err);

    if (r < 0)
        return r;
    if (!f->conf->views && stored && t3d_json_num(stored, "version", 0) != MEASURES_VERSION) {
        cJSON_Delete(stored);
        stored = NULL;
    }
    item->result = stored;
    return T3D_OK;
}

static void work(void *ctx, int thread, struct t3d_stage_item *item)
{
    const struct filter *f = ctx;
    cJSON *m = item->result;

    if (!m && f->conf->views) {
        t3d_err_set(&item->err, T3D_SKIP, "no-views",
                    "%s: render left no measures of its pictures; run t3d render --redo",
                    item->object.uid);
        return;
    }
    if (!m) {
        if (measure(t3d_manifest_workspace(f->manifest), thread, item, &m, &item->err) < 0) {
            t3d_err_prefix(&item->err, "%s", item->object.uid);
            return;
        }
        item->result = m;
    }
    if (!f->conf->views && add_derived(m, &item->object) < 0) {
        t3d_err_nomem(&item->err, item->object.uid);
        return;
    }
    item->code = rejects(f, item, m) ? T3D_STATE_REJECT : T3D_STATE_OK;
}

static int save(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item, struct t3d_err *err)
{
    const struct filter *f = ctx;
    int r;

    if (!item->result || f->conf->views)
        return T3D_OK;
    r = t3d_manifest_put_measures(m, item->object.num, "filter", item->result, err);
    if (r == T3D_OK && item->record)
        t3d_json_set(item->record, "measures", cJSON_Duplicate(item->result, 1));
    return r;
}

/* A record of an object that was done before carries the same measures. */
static int recall(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item,
                  struct t3d_err *err)
{
    const struct filter *f = ctx;
    cJSON *stored = NULL;
    int r;

    if (f->conf->views)
        return T3D_OK;
    r = t3d_manifest_find_measures(m, item->object.num, "filter", &stored, err);
    if (r == T3D_OK && stored)
        t3d_json_set(item->record, "measures", stored);
    return r;
}

static void done(void *ctx, struct t3d_stage_item *item)
{
    (void)ctx;
    cJSON_Delete(item->result);
    item->result = NULL;
}

/* Limits that were not given are off; options of the other mode are a mistake. */
static int settle_limits(struct conf *c, const struct filter *f, struct t3d_err *err)
{
    for (int i = 0; i < N_RULES; i++) {
        int given = t3d_opt_given(&c->common, rules[i].option);
        if (given && (i < f->first || i >= f->end))
            return t3d_err_set(err, T3D_USAGE, "usage", "--%s %s --views", rules[i].option,
                               i >= N_MESH ? "is about pictures: add"
                                           : "is about meshes: leave out");
        if (rules[i].kind == T3D_RULE_TRUE)
            c->limit[i] = c->flag[i];
        else if (!given)
            c->limit[i] = NAN;
    }
    return T3D_OK;
}

static cJSON *params(const struct conf *c, const struct filter *f)
{
    cJSON *o = cJSON_CreateObject(), *list;

    for (int i = f->first; o && i < f->end; i++)
        if (t3d_rule_is_on(&rules[i], c->limit[i]))
            t3d_json_set_num(o, rules[i].option, c->limit[i]);
    if (o && c->license_allow.n) {
        list = cJSON_AddArrayToObject(o, "license-allow");
        for (size_t i = 0; list && i < c->license_allow.n; i++)
            cJSON_AddItemToArray(list, cJSON_CreateString(c->license_allow.item[i]));
    }
    return o;
}

/* --- --explain
 * ------------------------------------------------------------------------------------------ */

static void explain_rule(const struct filter *f, int i, const cJSON *m)
{
    double limit = f->conf->limit[i];

    printf("%-24s %-20s %14.6g  ", rules[i].option, rules[i].measure,
           t3d_rule_measure(&rules[i], m));
    if (!t3d_rule_is_on(&rules[i], limit))
        printf("off\n");
    else if (t3d_rule_breaks(&rules[i], limit, m, NULL))
        printf("REJECT %s (limit %g)\n", rules[i].reason, limit);
    else
        printf("pass (limit %g)\n", limit);
}

static int explain(struct filter *f, const char *uid, struct t3d_err *err)
{
    struct t3d_stage_item item = {.code = T3D_STATE_FAIL};
    int r = t3d_manifest_find(f->manifest, uid, &item.object, &item.arena, err);

    if (r == T3D_END)
        r = t3d_err_set(err, T3D_USAGE, "unknown-uid", "--explain: no object has the uid '%s'",
                        uid);
    if (r == T3D_OK)
        r = load(f, f->manifest, &item, err);
    if (r == T3D_OK) {
        work(f, 0, &item);
        if (item.code == T3D_STATE_FAIL) {
            r = t3d_err_set(err, T3D_FAIL, item.err.reason, "%s", item.err.msg);
        } else {
            printf("%-24s %-20s %14s  verdict\n", "rule", "measure", "value");
            for (int i = f->first; i < f->end; i++)
                explain_rule(f, i, item.result);
            printf("%s: %s%s%s\n", uid, t3d_state_name(item.code),
                   item.code == T3D_STATE_OK ? "" : " ",
                   item.code == T3D_STATE_OK ? "" : item.err.reason);
        }
    }
    done(f, &item);
    t3d_arena_free(&item.arena);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    static const char *const needs_fetch[] = {"fetch", NULL}, *const needs_render[] = {"render",
                                                                                       NULL};
    struct conf *c = conf;
    struct filter f = {
        .conf = c, .first = c->views ? N_MESH : 0, .end = c->views ? N_RULES : N_MESH};
    struct t3d_stage stage = {.name = c->views ? "filter-views" : "filter",
                              .needs = c->views ? needs_render : needs_fetch,
                              .format_version = MEASURES_VERSION,
                              .words_matter = c->flag[CAPTION] || c->license_allow.n,
                              .load = load,
                              .work = work,
                              .save = save,
                              .recall = recall,
                              .done = done};
    struct t3d_stage_summary summary = {0};
    cJSON *p = NULL;
    int r = settle_limits(c, &f, err);

    if (r < 0)
        return r;
    r = t3d_manifest_open(&f.manifest, c->common.workspace, 0, err);
    if (r < 0)
        return r;
    if (c->explain) {
        r = explain(&f, c->explain, err);
    } else {
        stage.params = p = params(c, &f);
        r = p ? t3d_stage_run(&stage, &f, f.manifest, &c->common, &summary, err)
              : t3d_err_nomem(err, "the parameters");
        if (r == T3D_OK)
            r = t3d_stage_exit(&summary);
    }
    cJSON_Delete(p);
    t3d_manifest_close(f.manifest);
    t3d_importer_close(importer);
    return r;
}

static const struct t3d_command command = {.operands = "[-]",
                                           .summary = "measure objects and decide which ones go on",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "filter",
    .summary = "measure objects and decide which ones go on",
    .about =
        "Every object is read in a sandbox and measured: triangles, parts, edges, watertightness, "
        "texture sizes and more. The measures are kept whether or not the object passes, so "
        "another "
        "run with other thresholds only decides anew. No threshold is on by default.\n\n"
        "With --views the decision is made from what render measured in the pictures. Once that "
        "has run, later stages take only what passed it.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
