/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "bench/bench.h"
#include "geom/import.h"
#include "geom/primitives.h"
#include "metric/caption_accuracy.h"
#include "model/sampler.h"
#include "store/model_find.h"

enum { MAX_STEPS = 1000, CAPTION_BATCH = 16 };

struct captions_conf {
    struct t3d_common common;
    const char *checkpoint, *world;
    struct t3d_list text_encoder, steps, guidance, splits;
    uint64_t count;
};

static const struct t3d_opt captions_opts[] = {
    {0, "checkpoint", T3D_OPT_STRING, offsetof(struct captions_conf, checkpoint), "NAME-or-DIR",
     "generator-nano", NULL, "a generator: a model's name, or the folder of a run"},
    {0, "text-encoder", T3D_OPT_WORDS, offsetof(struct captions_conf, text_encoder), "LIST", NULL,
     NULL, "where the networks are that it takes its text from; else by their names"},
    {0, "count", T3D_OPT_U64, offsetof(struct captions_conf, count), "N", "512", NULL,
     "objects of each split"},
    {0, "num-diffusion-steps", T3D_OPT_WORDS, offsetof(struct captions_conf, steps), "LIST", "4",
     NULL, "steps from noise to object"},
    {0, "guidance", T3D_OPT_WORDS, offsetof(struct captions_conf, guidance), "LIST", "2", NULL,
     "how strongly the text is followed; 1 = as it comes"},
    {0, "splits", T3D_OPT_WORDS, offsetof(struct captions_conf, splits), "LIST", "test,train",
     "train val test all", "whose captions: test is held out, train is what was trained on"},
    {0, "world", T3D_OPT_STRING, offsetof(struct captions_conf, world), "NAME", "core", "one core",
     "which captions: core: one object, or A on B; one: one object, 30 of them"},
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
    t3d_json_set_str(o, "world", c->world);
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
static int with_options(const struct captions_conf *c, const char *dir,
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
        struct t3d_caption_questions what = {
            .world = strcmp(c->world, "one") == 0 ? T3D_CORE_KINDS : T3D_CORE_COMBINATIONS,
            .split = c->splits.item[i],
            .count = c->count,
            .seed = c->common.seed};
        struct t3d_caption_tally t;
        double seconds;

        r = t3d_caption_accuracy(&t, &seconds, *pool, &maker, &what, err);
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
    struct t3d_sampler_options *o = NULL;

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
        o[i].encoders = (struct t3d_text_encoders){c->common.workspace, c->text_encoder.item,
                                                   c->text_encoder.n};
        o[i].batch = (int)T3D_MIN(c->count, (uint64_t)CAPTION_BATCH);
    }
    return T3D_OK;
}

static int run_captions(void *conf, struct t3d_err *err)
{
    const struct captions_conf *c = conf;
    struct t3d_caption_pool *pool = NULL;
    struct t3d_sampler_options *o = NULL;
    struct t3d_arena a = {0};
    char *dir = NULL;
    size_t n = 0;
    int r = c->count >= 1 && c->count <= 1000000
                ? settings_of(c, &o, &n, &a, err)
                : t3d_err_set(err, T3D_USAGE, "usage", "--count is 1 to 1000000");

    if (r == T3D_OK)
        r = t3d_opt_refuse(&c->common, BENCH_UNUSED, err);
    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &a, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = with_options(c, dir, &o[i], &pool, err);
    t3d_caption_pool_free(pool);
    t3d_arena_free(&a);
    t3d_importer_close(bench_importer);
    return r;
}

const struct t3d_command bench_captions = {
    .name = "captions",
    .summary = "how often a generator makes what a held-out caption says",
    .opts = captions_opts,
    .conf_size = sizeof(struct captions_conf),
    .run = run_captions};
