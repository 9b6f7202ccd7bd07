/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-bench: `t3d bench speed` times each stage on this machine, on generated input or on files
 * named, and prints one JSON object per row. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "draw/draw.h"
#include "geom/import.h"
#include "metric/caption_accuracy.h"
#include "metric/retrieval.h"
#include "metric/speed.h"
#include "model/sampler.h"
#include "store/model_find.h"

enum { RUNS = 5 };

struct conf {
    struct t3d_common common;
    struct t3d_list stage;
    uint64_t resolution, objects;
};

static const struct t3d_opt opts[] = {
    {0, "stage", T3D_OPT_WORDS, offsetof(struct conf, stage), "LIST", NULL, t3d_speed_names,
     "rows to run; all by default"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "512", NULL,
     "size of the pictures"},
    {0, "objects", T3D_OPT_U64, offsetof(struct conf, objects), "N", "100000", NULL,
     "objects in the manifest row"},
    {0}};

static struct t3d_importer *importer;
static int importer_threads;

static int before(int threads, struct t3d_err *err)
{
    importer_threads = threads;
    return t3d_importer_open(&importer, threads, NULL, err);
}

static int by_seconds(const void *a, const void *b)
{
    double x = t3d_speed_seconds(a), y = t3d_speed_seconds(b);

    return (x > y) - (x < y);
}

static int print_row(const struct t3d_speed_stage *s, const struct t3d_speed_row *row,
                     struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject(), *phases;
    double sum = t3d_speed_phases(row), seconds = t3d_speed_seconds(row);
    int r;

    t3d_json_set_str(o, "stage", s->name);
    t3d_json_set_str(o, "unit", row->unit);
    t3d_json_set_num(o, "work", row->work);
    t3d_json_set_num(o, "threads", row->threads);
    t3d_json_set_num(o, "seconds", seconds);
    t3d_json_set_num(o, "per_second", row->work / seconds);
    t3d_json_set_num(o, "seconds_each", seconds / row->work);
    if (row->bytes > 0)
        t3d_json_set_num(o, "bytes", row->bytes);
    phases = cJSON_AddObjectToObject(o, "share");
    for (int i = 0; i < T3D_SPEED_PHASES && row->phase[i]; i++)
        t3d_json_set_num(phases, row->phase[i], sum > 0 ? row->phase_s[i] / sum : 0);
    t3d_json_set_str(o, "isa", t3d_draw_isa());
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

static int run_stage(struct t3d_speed *b, const struct t3d_speed_stage *s, struct t3d_err *err)
{
    struct t3d_speed_row row[RUNS + 1];

    for (int i = 0; i < RUNS + 1; i++) { /* the first is the warm-up */
        int r = s->run(b, &row[i], err);
        if (r < 0)
            return t3d_err_prefix(err, "bench %s", s->name);
        if (t3d_stop_requested())
            return T3D_END;
    }
    qsort(row + 1, RUNS, sizeof *row, by_seconds);
    return print_row(s, &row[1 + RUNS / 2], err);
}

static int chosen(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->stage.n; i++)
        if (strcmp(c->stage.item[i], name) == 0)
            return 1;
    return c->stage.n == 0;
}

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct t3d_speed b = {.resolution = (uint32_t)c->resolution,
                          .objects = c->objects,
                          .threads = importer_threads,
                          .importer = importer};
    char scratch[] = "/tmp/t3d-bench.XXXXXX";
    int r;

    t3d_log_init("t3d bench", T3D_LOG_WARN); /* stages report through the rows */
    if (!mkdtemp(scratch))
        return t3d_err_sys(err, "cannot make a folder", scratch);
    b.scratch = scratch;
    r = t3d_speed_open(&b, c->common.operands.item, c->common.operands.n, err);
    for (const struct t3d_speed_stage *s = t3d_speed_stages; s->name && r == T3D_OK; s++)
        if (chosen(c, s->name))
            r = run_stage(&b, s, err);
    t3d_speed_close(&b);
    t3d_importer_close(importer);
    t3d_remove_tree(scratch);
    return r;
}

static const struct t3d_command speed = {.name = "speed",
                                         .operands = "[FILE...]",
                                         .summary = "time the stages on this machine",
                                         .opts = opts,
                                         .conf_size = sizeof(struct conf),
                                         .run = run};

/* --- retrieval ------------------------------------------------------------------------------- */

struct retrieval_conf {
    struct t3d_common common;
    const char *model, *view_set;
};

static const struct t3d_opt retrieval_opts[] = {
    {0, "model", T3D_OPT_STRING, offsetof(struct retrieval_conf, model), "NAME-or-DIR", "clip-nano",
     NULL, "a CLIP: a model's name, or the path of a folder"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct retrieval_conf, view_set), "NAME", "ring:4",
     NULL, "views of each scene"},
    {0}};

static cJSON *side_json(const struct t3d_retrieval_side *s)
{
    cJSON *o = cJSON_CreateObject(), *mistakes;

    t3d_json_set_num(o, "r_at_1", (double)s->hits / (double)s->queries);
    t3d_json_set_num(o, "queries", (double)s->queries);
    mistakes = cJSON_AddObjectToObject(o, "mistakes");
    for (int i = 0; i < T3D_MISTAKES; i++)
        t3d_json_set_num(mistakes, t3d_mistake_name[i], (double)s->mistakes[i]);
    return o;
}

static int print_retrieval(const struct t3d_retrieval *r, const struct retrieval_conf *c,
                           const struct t3d_encoder_info *info, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int s;

    t3d_json_set_str(o, "bench", "retrieval");
    t3d_json_set_str(o, "model", c->model);
    t3d_json_set_str(o, "weights", info->weights_hash);
    t3d_json_set_str(o, "view_set", c->view_set);
    t3d_json_set_num(o, "pool", (double)r->pool);
    t3d_json_set_num(o, "held_out", (double)r->held_out);
    t3d_json_set(o, "image_to_text", side_json(&r->image_to_text));
    t3d_json_set(o, "text_to_image", side_json(&r->text_to_image));
    t3d_json_set(o, "seen_image_to_text", side_json(&r->seen_image_to_text));
    t3d_json_set(o, "seen_text_to_image", side_json(&r->seen_text_to_image));
    s = t3d_emit(o, err);
    cJSON_Delete(o);
    return s;
}

static int run_retrieval(void *conf, struct t3d_err *err)
{
    const struct retrieval_conf *c = conf;
    struct t3d_retrieval_config config = {.view_set = c->view_set,
                                          .threads = (int)c->common.threads};
    struct t3d_encoder_options options = {.threads = config.threads, .background = {255, 255, 255}};
    struct t3d_encoder *e = NULL;
    struct t3d_retrieval result;
    struct t3d_arena a = {0};
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->model, &a, err);

    if (r == T3D_OK)
        r = t3d_encoder_open(&e, dir, &options, err);
    if (r == T3D_OK)
        r = t3d_retrieval(&result, e, &config, err);
    if (r == T3D_OK)
        r = print_retrieval(&result, c, t3d_encoder_info(e), err);
    t3d_encoder_free(e);
    t3d_arena_free(&a);
    t3d_importer_close(importer);
    return r;
}

static const struct t3d_command retrieval = {
    .name = "retrieval",
    .summary = "how well a CLIP tells held-out scenes of the built-in world apart",
    .opts = retrieval_opts,
    .conf_size = sizeof(struct retrieval_conf),
    .run = run_retrieval};

/* --- captions -------------------------------------------------------------------------------- */

enum { MAX_STEPS = 1000, CAPTION_BATCH = 16 };

struct captions_conf {
    struct t3d_common common;
    const char *checkpoint;
    struct t3d_list steps, guidance, splits;
    uint64_t count;
};

static const struct t3d_opt captions_opts[] = {
    {0, "checkpoint", T3D_OPT_STRING, offsetof(struct captions_conf, checkpoint), "NAME-or-DIR",
     "generator-nano", NULL, "a generator: a model's name, or the folder of a run"},
    {0, "count", T3D_OPT_U64, offsetof(struct captions_conf, count), "N", "512", NULL,
     "objects of each split"},
    {0, "num-diffusion-steps", T3D_OPT_WORDS, offsetof(struct captions_conf, steps), "LIST", "4",
     NULL, "steps from noise to object"},
    {0, "guidance", T3D_OPT_WORDS, offsetof(struct captions_conf, guidance), "LIST", "2", NULL,
     "how strongly the text is followed; 1 = as it comes"},
    {0, "splits", T3D_OPT_WORDS, offsetof(struct captions_conf, splits), "LIST", "test,train",
     "train val test", "whose captions: test is held out, train is what was trained on"},
    {0}};

static int run_sampler(void *ctx, const struct t3d_caption_query *q, int n, struct t3d_err *err)
{
    struct t3d_sample sample[CAPTION_BATCH];

    for (int i = 0; i < n; i++)
        sample[i] = (struct t3d_sample){q[i].text, q[i].seed};
    return t3d_sampler_run(ctx, sample, n, NULL, err);
}

static void made_object(void *ctx, int i, struct t3d_gaussians *g)
{
    t3d_sampler_gaussians(ctx, i, g);
}

static void set_share(cJSON *o, const char *key, uint64_t k, uint64_t n)
{
    t3d_json_set_num(o, key, (double)k / (double)n);
}

static int print_captions(const struct t3d_caption_tally *t, double seconds,
                          const struct captions_conf *c, const struct t3d_sampler *s,
                          const struct t3d_sampler_options *options, const char *split,
                          struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    int r;

    t3d_json_set_str(o, "bench", "captions");
    t3d_json_set_str(o, "model", c->checkpoint);
    t3d_json_set_str(o, "weights", t3d_sampler_hash(s));
    t3d_json_set_str(o, "split", split);
    t3d_json_set_num(o, "num_diffusion_steps", options->steps);
    t3d_json_set_num(o, "guidance", options->guidance);
    t3d_json_set_num(o, "seed", (double)c->common.seed);
    t3d_json_set_num(o, "objects", (double)t->n);
    set_share(o, "accuracy", t->right, t->n);
    t3d_json_set_num(o, "lower_bound_95", t3d_wilson_lower(t->right, t->n, 1.959964));
    set_share(o, "canonical_captions", t->canonical_right, t->canonical);
    set_share(o, "paraphrases", t->right - t->canonical_right, t->n - t->canonical);
    set_share(o, "colors", t->colors, t->parts);
    set_share(o, "shapes", t->shapes, t->parts);
    t3d_json_set_num(o, "diversity", t->difference / (double)t->pairs);
    t3d_json_set_num(o, "threads", options->threads);
    t3d_json_set_num(o, "seconds_each", seconds / (double)t->n);
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

/* One setting of the sampler, all splits. */
static int bench_captions(const struct captions_conf *c, const char *dir,
                          const struct t3d_sampler_options *options, struct t3d_caption_pool **pool,
                          struct t3d_err *err)
{
    struct t3d_caption_maker maker = {
        .batch = options->batch, .run = run_sampler, .object = made_object};
    struct t3d_sampler *s = NULL;
    int r = t3d_sampler_open(&s, dir, options, err);

    if (r == T3D_OK && !*pool)
        r = t3d_caption_pool_new(pool, t3d_sampler_config(s)->side, options->threads, err);
    maker.ctx = s;
    for (size_t i = 0; i < c->splits.n && r == T3D_OK; i++) {
        struct t3d_caption_tally t;
        double seconds;

        r = t3d_caption_accuracy(&t, &seconds, *pool, &maker, c->splits.item[i], c->count,
                                 c->common.seed, err);
        if (r == T3D_OK)
            r = print_captions(&t, seconds, c, s, options, c->splits.item[i], err);
    }
    t3d_sampler_close(s);
    return r;
}

static int number_of(const char *word, double low, double high, double *out, struct t3d_err *err)
{
    char *end;

    *out = strtod(word, &end);
    if (end == word || *end || !(*out >= low && *out <= high))
        return t3d_err_set(err, T3D_USAGE, "usage", "'%s' is not a number from %g to %g", word, low,
                           high);
    return T3D_OK;
}

/* Settings of the sampler, every number of steps with every guidance. */
static int settings_of(const struct captions_conf *c, struct t3d_sampler_options **out, size_t *n,
                       struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_sampler_options *o;

    *n = c->steps.n * c->guidance.n;
    *out = o = t3d_alloc(a, *n, sizeof *o);
    if (!o)
        return t3d_err_nomem(err, "the settings");
    for (size_t i = 0; i < *n; i++) {
        double steps;
        int r = number_of(c->steps.item[i / c->guidance.n], 1, MAX_STEPS, &steps, err);

        if (r == T3D_OK)
            r = number_of(c->guidance.item[i % c->guidance.n], 0.01, 100, &o[i].guidance, err);
        if (r < 0)
            return r;
        o[i].steps = (int)steps;
        o[i].threads = (int)c->common.threads;
        o[i].batch = (int)T3D_MIN(c->count, (uint64_t)CAPTION_BATCH);
    }
    return T3D_OK;
}

static int run_captions(void *conf, struct t3d_err *err)
{
    const struct captions_conf *c = conf;
    struct t3d_caption_pool *pool = NULL;
    struct t3d_sampler_options *o;
    struct t3d_arena a = {0};
    char *dir = NULL;
    size_t n = 0;
    int r = c->count >= 1 && c->count <= 1000000
                ? settings_of(c, &o, &n, &a, err)
                : t3d_err_set(err, T3D_USAGE, "usage", "--count is 1 to 1000000");

    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &a, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = bench_captions(c, dir, &o[i], &pool, err);
    t3d_caption_pool_free(pool);
    t3d_arena_free(&a);
    t3d_importer_close(importer);
    return r;
}

static const struct t3d_command captions = {
    .name = "captions",
    .summary = "how often a generator makes what a held-out caption says",
    .opts = captions_opts,
    .conf_size = sizeof(struct captions_conf),
    .run = run_captions};

static const struct t3d_command *const commands[] = {&speed, &retrieval, &captions, NULL};

static const struct t3d_tool tool = {
    .name = "bench",
    .summary = "time the stages on this machine, judge models",
    .about =
        "One JSON object a row on stdout: the work done in one run, its seconds (the median of "
        "five "
        "after a warm-up) and the share of each phase. The input is generated, the same "
        "everywhere, "
        "unless 3D files are named. Rows: read (parse and measure, one thread, in this process), "
        "import (the same behind the sandbox), render (20 views to a shard, all threads), png, "
        "shards "
        "(write; read and decode), manifest (register and claim); evaluate (each input beside "
        "itself, all metrics), chamfer, emd, sample, iou, pictures (psnr, ssim).",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
