/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-generate: objects from text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/openmp.h"
#include "base/progress.h"
#include "base/tool.h"
#include "draw/splat_surface.h"
#include "draw/splat_views.h"
#include "generate/generate_made.h"
#include "generate/generate_prompts.h"
#include "image/png.h"
#include "image/sheet.h"
#include "model/sampler.h"
#include "store/model_find.h"
#include "store/reject.h"

enum { SHEET_VIEWS = 8, NAME = 64, N_ORIGIN = 7 };

struct conf {
    struct t3d_common common;
    const char *prompts, *checkpoint, *output, *format, *view_set, *device;
    struct t3d_list text_encoder;
    uint64_t num_samples, steps, resolution, batch;
    double guidance, min_opacity;
};

static const struct t3d_opt opts[] = {
    {0, "prompts", T3D_OPT_STRING, offsetof(struct conf, prompts), "FILE", NULL, NULL,
     "prompts, one a line; or NDJSON with prompt and, if wanted, uid and seed"},
    {0, "checkpoint", T3D_OPT_STRING, offsetof(struct conf, checkpoint), "NAME-or-DIR",
     "generator-nano", NULL, "a model by name, or the folder of a run"},
    {0, "text-encoder", T3D_OPT_WORDS, offsetof(struct conf, text_encoder), "LIST", NULL, NULL,
     "where the networks are that the model takes its text from; else by the names that it was "
     "trained with. Others are refused"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "FILE-or-DIR", NULL, NULL,
     "one object: a file, whose ending says what; several: a folder"},
    {0, "format", T3D_OPT_STRING, offsetof(struct conf, format), "NAME", NULL,
     "ply splat gltf-splat glb obj png views",
     "else by the ending of --output (.ply .splat .glb .obj .png), else ply. ply and splat: "
     "Gaussians; gltf-splat: Gaussians in a .glb; glb and obj: a mesh with coloured vertices; png: "
     "a sheet of turned views, to FILE.png with a row for "
     "each object; views: a folder of pictures"},
    {0, "num-samples", T3D_OPT_U64, offsetof(struct conf, num_samples), "N", "1", NULL,
     "objects for each prompt, with seeds SEED, SEED + 1, ..."},
    {0, "num-diffusion-steps", T3D_OPT_U64, offsetof(struct conf, steps), "N", "4", NULL,
     "steps from noise to object"},
    {0, "guidance", T3D_OPT_DOUBLE, offsetof(struct conf, guidance), "X", "2", NULL,
     "how strongly the text is followed; 1 = as it comes, in half the time"},
    {0, "batch-size", T3D_OPT_U64, offsetof(struct conf, batch), "N", "8", NULL,
     "objects worked on at once, at most"},
    {0, "min-opacity", T3D_OPT_DOUBLE, offsetof(struct conf, min_opacity), "X", "0.02", NULL,
     "Gaussians less opaque are left out of files"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "256", NULL,
     "pixels of a side of the pictures"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct conf, view_set), "NAME", NULL, NULL,
     "cameras of views; else ring16+4 (of a png sheet: eight around)"},
    {0, "device", T3D_OPT_STRING, offsetof(struct conf, device), "NAME", "cpu", NULL,
     "what computes: cpu, cuda:0"},
    {0}};

/* By an ending the first format that has it: .glb is a mesh. */
static const char *const format_name[] = {"ply", "splat", "glb",  "gltf-splat",
                                          "obj", "png",   "views"};
static const char *const format_ending[] = {"ply", "splat", "glb", "glb", "obj", "png", ""};
enum format { PLY, SPLAT, GLB, GLTF_SPLAT, OBJ, PNG, VIEWS, N_FORMATS };

struct generate {
    const struct conf *conf;
    enum format format;
    struct t3d_request *request;
    size_t n, made, failed, there; /* there: made before */
    FILE *rejects;
    int one;                 /* --output is the file itself */
    struct t3d_sheet *sheet; /* of all objects, a row each; NULL = each has its own */
    struct t3d_sampler *sampler;
    struct t3d_view_set set;
    struct t3d_png_writer *png;
    struct t3d_progress *progress;
    struct t3d_arena arena, scratch; /* of the run; of one object */
    uint64_t cut, strange; /* prompts: too long; with words that the model does not know */
    char word[64];         /* the first of these */
};

/* --- formats --------------------------------------------------------------------------------- */

static int choose_format(struct generate *g, struct t3d_err *err)
{
    const struct conf *c = g->conf;
    const char *ending;
    struct stat st;

    if (!c->output)
        return t3d_err_set(err, T3D_USAGE, "usage", "say where to write: -o FILE, or -o DIR");
    if (strcmp(c->output, "-") == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "objects do not go to standard output: give -o FILE or -o DIR");
    ending = t3d_path_ending(c->output);
    g->one = g->n == 1 && *ending && !(stat(c->output, &st) == 0 && S_ISDIR(st.st_mode));
    g->format = PLY;
    for (int i = 0; i < N_FORMATS; i++)
        if (c->format ? strcmp(c->format, format_name[i]) == 0
                      : *ending && strcmp(ending, format_ending[i]) == 0) {
            g->format = (enum format)i;
            return T3D_OK;
        }
    if (g->one || (*ending && g->n == 1))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--output %s: the ending is not one of .ply .splat .glb .obj .png; give "
                           "--format",
                           c->output);
    return T3D_OK;
}

/* DIR/uid.ending, or what --output says. */
static char *output_path(struct generate *g, const struct t3d_request *r)
{
    const char *ending = format_ending[g->format];

    if (g->one || g->sheet)
        return t3d_strdup(&g->scratch, g->conf->output);
    return t3d_sprintf(&g->scratch, "%s/%s%s%s", g->conf->output, r->uid, *ending ? "." : "",
                       ending);
}

/* What the result depends on, as text. */
static size_t origin_of(struct generate *g, const struct t3d_request *r, struct t3d_origin *o)
{
    const struct conf *c = g->conf;
    const struct {
        const char *key;
        char *value;
    } rows[N_ORIGIN] = {
        {"prompt", t3d_strdup(&g->scratch, r->prompt)},
        {"seed", t3d_sprintf(&g->scratch, "%llu", (unsigned long long)r->seed)},
        {"num-diffusion-steps", t3d_sprintf(&g->scratch, "%llu", (unsigned long long)c->steps)},
        {"guidance", t3d_sprintf(&g->scratch, "%g", c->guidance)},
        {"min-opacity", t3d_sprintf(&g->scratch, "%g", c->min_opacity)},
        {"model", t3d_strdup(&g->scratch, t3d_sampler_config(g->sampler)->size)},
        {"model-sha256", t3d_strdup(&g->scratch, t3d_sampler_hash(g->sampler))}};

    for (size_t i = 0; i < N_ORIGIN; i++)
        o[i] = (struct t3d_origin){rows[i].key, rows[i].value ? rows[i].value : ""};
    return N_ORIGIN;
}

/* Is each object a file of its own in the folder --output? */
static int to_folder(const struct generate *g)
{
    return !g->one && !g->sheet;
}

static int key_of(struct generate *g, const struct t3d_request *q, char key[T3D_SHA256_HEX],
                  struct t3d_err *err)
{
    struct t3d_origin origin[N_ORIGIN];
    size_t n = origin_of(g, q, origin);
    char *looks = t3d_sprintf(&g->scratch, "%s %s %llu", format_name[g->format],
                              g->conf->view_set ? g->conf->view_set : "",
                              (unsigned long long)g->conf->resolution);

    return looks ? t3d_made_key(key, looks, origin, n, err) : t3d_err_nomem(err, "a key");
}

/* Leave what is to be made: a folder has the others of the same list already. */
static int drop_made(struct generate *g, struct t3d_err *err)
{
    const struct conf *c = g->conf;
    size_t n = 0;
    int r = T3D_OK;

    if (!to_folder(g) || c->common.redo || c->common.use_stdin)
        return T3D_OK;
    for (size_t i = 0; i < g->n && r == T3D_OK; i++) {
        char key[T3D_SHA256_HEX], *path = output_path(g, &g->request[i]);

        r = path ? key_of(g, &g->request[i], key, err) : t3d_err_nomem(err, "a path");
        if (r == T3D_OK && !t3d_made_is(c->output, g->request[i].uid, path, key, &g->scratch))
            g->request[n++] = g->request[i];
        t3d_arena_reset(&g->scratch);
    }
    g->there = g->n - n;
    g->n = n;
    return r;
}

static int remember(struct generate *g, const struct t3d_request *q, struct t3d_err *err)
{
    char key[T3D_SHA256_HEX];
    int r;

    if (!to_folder(g))
        return T3D_OK;
    r = key_of(g, q, key, err);
    return r == T3D_OK ? t3d_made_set(g->conf->output, q->uid, key, &g->scratch, err) : r;
}

static int encode_mesh(struct generate *g, uint8_t **data, size_t *size,
                       const struct t3d_gaussians *s, const struct t3d_origin *o, size_t n,
                       struct t3d_err *err)
{
    const struct t3d_splat_surface how = {.threads = (int)g->conf->common.threads};
    struct t3d_colored_mesh m;
    int r = t3d_splat_surface(&m, s, &how, &g->scratch, err);

    if (r < 0)
        return r;
    return g->format == GLB ? t3d_colored_mesh_glb(data, size, &m, o, n, &g->scratch, err)
                            : t3d_colored_mesh_obj(data, size, &m, o, n, &g->scratch, err);
}

static int write_bytes(struct generate *g, const char *path, const struct t3d_gaussians *s,
                       const struct t3d_origin *o, size_t n, struct t3d_err *err)
{
    uint8_t *data;
    size_t size;
    int r = g->format == PLY          ? t3d_gaussians_ply(&data, &size, s, o, n, &g->scratch, err)
            : g->format == SPLAT      ? t3d_gaussians_splat(&data, &size, s, &g->scratch, err)
            : g->format == GLTF_SPLAT ? t3d_gaussians_glb(&data, &size, s, o, n, &g->scratch, err)
                                      : encode_mesh(g, &data, &size, s, o, n, err);

    return r == T3D_OK ? t3d_write_file(path, data, size, err) : r;
}

static int new_sheet(struct generate *g, struct t3d_sheet **s, struct t3d_err *err)
{
    uint32_t side = (uint32_t)g->conf->resolution;
    struct t3d_sheet_style style = {
        .columns = (uint32_t)g->set.n, .cell = side < 1024 ? side : 1024, .background = 0xffffff};

    return t3d_sheet_new(s, &style, err);
}

static int add_row(struct generate *g, struct t3d_sheet *s, const struct t3d_request *q,
                   const struct t3d_splat_picture *p, struct t3d_err *err)
{
    uint32_t side = (uint32_t)g->conf->resolution;
    int r = t3d_sheet_row(s, q->prompt, NULL, err);

    for (size_t i = 0; i < g->set.n && r == T3D_OK; i++)
        r = t3d_sheet_cell(s, p->rgba + 4 * i * side * side, side, side, err);
    return r;
}

static int write_sheet(struct generate *g, const char *path, const struct t3d_request *q,
                       const struct t3d_splat_picture *p, struct t3d_err *err)
{
    struct t3d_sheet *s;
    int r;

    if (g->sheet)
        return add_row(g, g->sheet, q, p, err);
    r = new_sheet(g, &s, err);
    if (r < 0)
        return r;
    r = add_row(g, s, q, p, err);
    if (r == T3D_OK)
        r = t3d_sheet_write(s, path, err);
    t3d_sheet_free(s);
    return r;
}

static int write_views(struct generate *g, const char *dir, const struct t3d_splat_picture *p,
                       const struct t3d_png_text *text, size_t n, struct t3d_err *err)
{
    uint32_t side = (uint32_t)g->conf->resolution;
    int r = t3d_make_dirs(dir, err);

    for (size_t i = 0; i < g->set.n && r == T3D_OK; i++) {
        char *path = t3d_sprintf(&g->scratch, "%s/%03zu.png", dir, i);
        const uint8_t *png;
        size_t size;

        r = path ? t3d_png_encode(g->png, p->rgba + 4 * i * side * side, side, side, 4, 8, text, n,
                                  &png, &size, err)
                 : t3d_err_nomem(err, "a path");
        if (r == T3D_OK)
            r = t3d_write_file(path, png, size, err);
    }
    return r;
}

static int write_pictures(struct generate *g, const char *path, const struct t3d_request *q,
                          const struct t3d_gaussians *s, const struct t3d_origin *o, size_t n,
                          struct t3d_err *err)
{
    struct t3d_png_text text[N_ORIGIN];
    struct t3d_splat_picture p;
    int r = t3d_splat_views(&p, s, &g->set, (int)g->conf->resolution, (int)g->conf->common.threads,
                            &g->scratch, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        text[i] = (struct t3d_png_text){o[i].key, o[i].value};
    return g->format == PNG ? write_sheet(g, path, q, &p, err)
                            : write_views(g, path, &p, text, n, err);
}

/* --- the run --------------------------------------------------------------------------------- */

static int emit(struct generate *g, const struct t3d_request *q, const char *path, size_t n,
                struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int r;

    t3d_json_set_str(o, "uid", q->uid);
    t3d_json_set_str(o, "prompt", q->prompt);
    t3d_json_set_num(o, "seed", (double)q->seed);
    t3d_json_set_str(o, "path", path);
    t3d_json_set_num(o, "gaussians", (double)n);
    r = g->conf->common.use_stdin ? t3d_emit(o, err) : T3D_OK;
    cJSON_Delete(o);
    return r;
}

static int write_object(struct generate *g, int i, const struct t3d_request *q, struct t3d_err *err)
{
    const struct t3d_generator_config *c = t3d_sampler_config(g->sampler);
    struct t3d_origin origin[N_ORIGIN];
    struct t3d_gaussians raw, kept, s;
    char *path = output_path(g, q);
    size_t n = origin_of(g, q, origin);
    int r = path ? t3d_make_parent(path, err) : t3d_err_nomem(err, "a path");

    t3d_sampler_gaussians(g->sampler, i, &raw);
    if (r == T3D_OK)
        r = t3d_gaussians_prune(&kept, &raw, g->conf->min_opacity, &g->scratch, err);
    if (r == T3D_OK)
        r = t3d_splat_soften(&s, &kept, c->side, &g->scratch, err);
    if (r == T3D_OK)
        r = g->format >= PNG ? write_pictures(g, path, q, &s, origin, n, err)
                             : write_bytes(g, path, &s, origin, n, err);
    if (r == T3D_OK)
        r = remember(g, q, err);
    if (r == T3D_OK)
        r = emit(g, q, path, s.n, err);
    t3d_arena_reset(&g->scratch);
    t3d_progress_add(g->progress, 0);
    return r;
}

static int look_at_words(struct generate *g, size_t first, int n, struct t3d_err *err)
{
    int r = T3D_OK;

    for (int i = 0; i < n && r == T3D_OK; i++) {
        char word[sizeof g->word];

        r = t3d_sampler_unknown(g->sampler, g->request[first + (size_t)i].prompt, word, sizeof word,
                                err);
        if (r == T3D_OK && *word && !g->strange++)
            memcpy(g->word, word, sizeof word);
    }
    return r;
}

static int run_batch(struct generate *g, size_t first, int n, struct t3d_err *err)
{
    struct t3d_sample sample[256] = {{0}};
    int cut[256] = {0}, r;

    for (int i = 0; i < n; i++)
        sample[i] = (struct t3d_sample){g->request[first + (size_t)i].prompt,
                                        g->request[first + (size_t)i].seed};
    r = look_at_words(g, first, n, err);
    if (r == T3D_OK)
        r = t3d_sampler_run(g->sampler, sample, n, cut, err);
    for (int i = 0; i < n && r == T3D_OK; i++) {
        g->cut += (uint64_t)cut[i];
        r = write_object(g, i, &g->request[first + (size_t)i], err);
        g->made += r == T3D_OK;
        if (r == T3D_SKIP) { /* this object alone */
            t3d_warn("'%s' with seed %llu: %s", sample[i].prompt,
                     (unsigned long long)sample[i].seed, err->msg);
            g->failed++;
            r = t3d_reject_write(g->rejects, g->request[first + (size_t)i].uid, "generate", "fail",
                                 err, NULL, err);
        }
    }
    return r;
}

static int open_all(struct generate *g, struct t3d_err *err)
{
    const struct conf *c = g->conf;
    const char *set = c->view_set ? c->view_set : g->format == PNG ? "ring:8:20" : "ring16+4";
    struct t3d_sampler_options o = {
        .threads = (int)c->common.threads,
        .batch = (int)(g->n < c->batch ? g->n : c->batch),
        .steps = (int)c->steps,
        .guidance = c->guidance,
        .encoders = {c->common.workspace, c->text_encoder.item, c->text_encoder.n}};
    char *dir;
    struct stat st;
    int r = t3d_device_parse(&o.device, c->device, err);

    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &g->arena, err);
    if (r == T3D_OK)
        r = t3d_view_set_load(&g->set, set, &g->arena, err);
    if (r == T3D_OK)
        r = t3d_png_writer_new(&g->png, err);
    if (r == T3D_OK && g->format == PNG && !g->one && *t3d_path_ending(c->output) &&
        !(stat(c->output, &st) == 0 && S_ISDIR(st.st_mode)))
        r = new_sheet(g, &g->sheet, err);
    return r == T3D_OK ? t3d_sampler_open(&g->sampler, dir, &o, err) : r;
}

static int check(const struct conf *c, struct t3d_err *err)
{
    if (c->steps < 1 || c->steps > 1000 || !(c->guidance > 0) || c->guidance > 100 ||
        c->batch < 1 || c->batch > 256)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--num-diffusion-steps is 1 to 1000, --guidance above 0 up to 100, "
                           "--batch-size 1 to 256");
    if (c->resolution < 16 || c->resolution > 4096 || !(c->min_opacity > 0 && c->min_opacity < 1))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--resolution is 16 to 4096, --min-opacity within 0 and 1");
    if (c->num_samples < 1 || c->num_samples > 100000)
        return t3d_err_set(err, T3D_USAGE, "usage", "--num-samples is 1 to 100000");
    return T3D_OK;
}

/* Leave the objects of --shard; names and seeds are those of the whole list. */
static void keep_part(struct generate *g)
{
    const struct t3d_common *c = &g->conf->common;
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++)
        if (t3d_hash64(g->request[i].uid) % c->shard_count == c->shard_index)
            g->request[n++] = g->request[i];
    g->n = n;
}

static int collect(struct generate *g, struct t3d_err *err)
{
    const struct conf *c = g->conf;
    struct t3d_requests all = {
        .arena = &g->arena, .num_samples = c->num_samples, .seed = c->common.seed};
    int r = t3d_requests_collect(&all, &c->common.operands, c->prompts, c->common.use_stdin, err);

    g->request = all.item;
    g->n = all.n;
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct generate g = {.conf = conf};
    int r = check(g.conf, err);

    if (r == T3D_OK)
        r = collect(&g, err);
    if (r == T3D_OK)
        r = choose_format(&g, err);
    keep_part(&g);
    if (r == T3D_OK && g.conf->common.rejects && !(g.rejects = fopen(g.conf->common.rejects, "w")))
        r = t3d_err_sys(err, "cannot write", g.conf->common.rejects);
    if (r == T3D_OK && g.n && !g.conf->common.dry_run)
        r = open_all(&g, err);
    if (r == T3D_OK && g.sampler)
        r = drop_made(&g, err);
    if (r == T3D_OK && g.n && !g.conf->common.dry_run) {
        g.progress = t3d_progress_new(g.conf->common.progress, "generate", "objects", g.n);
        for (size_t i = 0; i < g.n && r == T3D_OK && !t3d_stop_requested(); i += g.conf->batch)
            r = run_batch(&g, i, (int)(g.n - i < g.conf->batch ? g.n - i : g.conf->batch), err);
        t3d_progress_free(g.progress);
        if (r == T3D_OK && g.sheet)
            r = t3d_sheet_write(g.sheet, g.conf->output, err);
        if (g.cut)
            t3d_warn("%llu prompts were longer than the model's %d tokens and were cut",
                     (unsigned long long)g.cut, t3d_sampler_config(g.sampler)->text_tokens);
        if (g.strange)
            t3d_warn("%llu prompts have words that no caption of the training had ('%s'): what "
                     "becomes of them is chance",
                     (unsigned long long)g.strange, g.word);
    }
    if (g.rejects && fclose(g.rejects) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", g.conf->common.rejects);
    if (r == T3D_OK && g.there)
        t3d_info("%zu objects, %zu were there already", g.made, g.there);
    else if (r == T3D_OK)
        t3d_info("%zu objects%s", g.conf->common.dry_run ? g.n : g.made,
                 g.conf->common.dry_run ? " would be made" : "");
    t3d_sampler_close(g.sampler);
    t3d_sheet_free(g.sheet);
    t3d_png_writer_free(g.png);
    t3d_arena_free(&g.arena);
    t3d_arena_free(&g.scratch);
    free(g.request);
    return r < 0                  ? r
           : t3d_stop_requested() ? t3d_stop_requested()
           : g.failed             ? T3D_EXIT_PARTIAL
                                  : 0;
}

static const struct t3d_command command = {.operands = "[-] [PROMPT...]",
                                           .summary = "make objects from text",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "generate",
    .summary = "make objects from text",
    .about = "Each prompt becomes an object made of Gaussians. The same prompt, seed, steps, "
             "guidance and model give the same bytes, whatever else is made in the same run; what "
             "an object came from is written into its file. In a folder, objects of the same "
             "requests that are there already are not made again, unless --redo is given or the "
             "prompts come from standard input.\n\n"
             "A mesh (.glb, .obj) is the surface of the Gaussians: drawn from 20 sides, their "
             "depths become one solid on a grid of 128 points a side. It is closed, and has a "
             "colour at each vertex. An object without a surface fails; the exit status is 3.\n\n"
             "With - prompts are read from standard input, one a line or as records with "
             "\"prompt\", and a record with the path is written for each object.",
    .commands = commands};

int main(int argc, char **argv)
{
    t3d_openmp_share(argv);
    return t3d_tool_main(&tool, argc, argv);
}
