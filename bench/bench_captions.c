/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "bench/bench.h"
#include "geom/import.h"
#include "metric/caption_accuracy.h"
#include "model/sampler.h"
#include "net/encoder.h"
#include "store/model_find.h"

enum { MAX_STEPS = 1000, CAPTION_BATCH = 16, DIVERSITY_CAPTIONS = 16, MAX_SEEDS = 64 };

struct captions_conf {
    struct t3d_common common;
    const char *checkpoint, *world, *clip;
    struct t3d_list text_encoder, steps, guidance, splits;
    uint64_t count, seeds;
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
    {0, "world", T3D_OPT_STRING, offsetof(struct captions_conf, world), "NAME", "core",
     "one core full three relations textures",
     "captions, and scenes among which theirs is looked for. core: one object, or A on B; one: one "
     "object, 30 of them; others: 1,024 scenes of the full world, those of three objects, of two "
     "beside, behind or inside each other, with checkered, striped or dotted parts"},
    {0, "clip", T3D_OPT_STRING, offsetof(struct captions_conf, clip), "NAME-or-DIR", "clip-nano",
     NULL, "a CLIP that says which caption it takes each object for; none: is not asked"},
    {0, "diversity-seeds", T3D_OPT_U64, offsetof(struct captions_conf, seeds), "N", "4", NULL,
     "seeds for each of 16 captions whose objects are compared; 0: none"},
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

/* Does the generator take its text from this very network? Then its opinion says less. */
static int is_its_text(const struct t3d_sampler *s, const struct t3d_encoder *e)
{
    const struct t3d_generator_config *c = t3d_sampler_config(s);

    for (int i = 0; i < c->n_encoders; i++)
        if (strcmp(c->encoder[i].weights, t3d_encoder_info(e)->weights_hash) == 0)
            return 1;
    return 0;
}

/* Of one split. */
struct answer {
    struct t3d_caption_tally tally;
    double diversity, seconds;
};

/* The candidates, and who is asked beside them. */
struct judges {
    struct t3d_caption_pool *pool;
    struct t3d_encoder *encoder; /* NULL = no CLIP */
    struct t3d_caption_clip *clip;
    struct answer *world; /* (splits) the world's own scenes, once for all settings */
};

static void set_share(cJSON *o, const char *key, uint64_t k, uint64_t n)
{
    t3d_json_set_num(o, key, (double)k / (double)n);
}

static void put_accuracy(cJSON *o, const struct answer *made, const struct answer *world)
{
    static const char *const parts[] = {"accuracy_1_part", "accuracy_2_parts", "accuracy_3_parts"};
    const struct t3d_caption_tally *t = &made->tally;

    t3d_json_set_num(o, "objects", (double)t->n);
    set_share(o, "accuracy", t->right, t->n);
    t3d_json_set_num(o, "lower_bound_95", t3d_wilson_lower(t->right, t->n, 1.959964));
    set_share(o, "accuracy_of_world", world->tally.right, world->tally.n);
    set_share(o, "canonical_captions", t->canonical_right, t->canonical);
    set_share(o, "paraphrases", t->right - t->canonical_right, t->n - t->canonical);
    for (size_t i = 0; i < T3D_COUNT(parts); i++)
        if (t->with_parts[i] && t->with_parts[i] < t->n)
            set_share(o, parts[i], t->with_parts_right[i], t->with_parts[i]);
    set_share(o, "colors", t->colors, t->parts);
    set_share(o, "shapes", t->shapes, t->parts);
}

static void put_clip(cJSON *o, const struct answer *made, const struct answer *world,
                     const struct captions_conf *c, const struct t3d_sampler *s,
                     const struct t3d_encoder *e)
{
    t3d_json_set_str(o, "clip", c->clip);
    t3d_json_set_str(o, "clip_weights", t3d_encoder_info(e)->weights_hash);
    t3d_json_set_bool(o, "same_encoder", is_its_text(s, e));
    set_share(o, "clip_r1", made->tally.clip_right, made->tally.n);
    set_share(o, "clip_r1_of_world", world->tally.clip_right, world->tally.n);
}

static int print_captions(const struct answer *made, const struct answer *world,
                          const struct judges *j, const struct captions_conf *c,
                          const struct t3d_sampler *s, const struct t3d_sampler_options *options,
                          const char *split, struct t3d_err *err)
{
    const struct t3d_primitives_set *set = t3d_caption_pool_set(j->pool);
    cJSON *o = cJSON_CreateObject();
    int r;

    t3d_json_set_str(o, "bench", "captions");
    t3d_json_set_str(o, "model", c->checkpoint);
    t3d_json_set_str(o, "weights", t3d_sampler_hash(s));
    t3d_json_set_str(o, "world", c->world);
    t3d_json_set_str(o, "candidates", t3d_primitives_set_name(set));
    t3d_json_set_str(o, "candidates_sha256", t3d_primitives_set_hash(set));
    t3d_json_set_str(o, "split", split);
    t3d_json_set_num(o, "num_diffusion_steps", options->steps);
    t3d_json_set_num(o, "guidance", options->guidance);
    t3d_json_set_num(o, "seed", (double)c->common.seed);
    put_accuracy(o, made, world);
    if (j->clip)
        put_clip(o, made, world, c, s, j->encoder);
    if (c->seeds > 1) {
        t3d_json_set_num(o, "diversity", made->diversity);
        t3d_json_set_num(o, "diversity_of_world", world->diversity);
        t3d_json_set_num(o, "diversity_seeds", (double)c->seeds);
    }
    t3d_json_set_num(o, "threads", options->threads);
    t3d_json_set_num(o, "seconds_each", made->seconds / (double)made->tally.n);
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

/* maker NULL = the world itself. */
static int ask(struct answer *a, const struct judges *j, const struct t3d_caption_maker *maker,
               const struct captions_conf *c, const char *split, struct t3d_err *err)
{
    const struct t3d_caption_questions what = {
        .first = strcmp(c->world, "one") == 0 ? T3D_CORE_KINDS : UINT32_MAX,
        .split = split,
        .count = c->count,
        .seed = c->common.seed,
        .clip = j->clip};
    size_t captions = T3D_MIN(c->count, (uint64_t)DIVERSITY_CAPTIONS);
    int r = t3d_caption_accuracy(&a->tally, &a->seconds, j->pool, maker, &what, err);

    return r == T3D_OK && c->seeds > 1 ? t3d_caption_diversity(&a->diversity, j->pool, maker, &what,
                                                               captions, c->seeds, err)
                                       : r;
}

static int open_clip(struct judges *j, const struct captions_conf *c, struct t3d_err *err)
{
    const struct t3d_encoder_options o = {.threads = (int)c->common.threads,
                                          .background = {255, 255, 255}};
    struct t3d_arena a = {0};
    char *dir;
    int r;

    if (strcmp(c->clip, "none") == 0)
        return T3D_OK;
    r = t3d_model_find(&dir, c->common.workspace, c->clip, &a, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&j->encoder, dir, &o, err);
    if (r == T3D_OK &&
        (!t3d_encoder_info(j->encoder)->image_size || !t3d_encoder_info(j->encoder)->max_tokens))
        r = t3d_err_set(err, T3D_USAGE, "usage", "--clip '%s' has no towers for both", c->clip);
    t3d_arena_free(&a);
    return r;
}

/* The pool is drawn as large as the first generator's views. */
static int open_judges(struct judges *j, const struct captions_conf *c, int side,
                       struct t3d_err *err)
{
    const char *set = strcmp(c->world, "one") == 0 ? "core" : c->world;
    int r;

    if (j->pool)
        return T3D_OK;
    j->world = calloc(c->splits.n, sizeof *j->world);
    if (!j->world)
        return t3d_err_nomem(err, "the splits");
    r = t3d_caption_pool_new(&j->pool, set, side, (int)c->common.threads, err);
    if (r == T3D_OK)
        r = open_clip(j, c, err);
    if (r == T3D_OK && j->encoder)
        r = t3d_caption_clip_new(&j->clip, j->encoder, j->pool, err);
    return r;
}

static void close_judges(struct judges *j)
{
    t3d_caption_clip_free(j->clip);
    t3d_encoder_free(j->encoder);
    t3d_caption_pool_free(j->pool);
    free(j->world);
}

/* One setting of the sampler, all splits. */
static int with_options(const struct captions_conf *c, const char *dir,
                        const struct t3d_sampler_options *options, struct judges *j,
                        struct t3d_err *err)
{
    struct t3d_caption_maker maker = {
        .batch = options->batch, .run = run_sampler, .object = made_object};
    struct t3d_sampler *s = NULL;
    int r = t3d_sampler_open(&s, dir, options, err);

    if (r == T3D_OK)
        r = open_judges(j, c, t3d_sampler_config(s)->side, err);
    maker.ctx = s;
    for (size_t i = 0; i < c->splits.n && r == T3D_OK; i++) {
        const char *split = c->splits.item[i];
        struct answer made = {0};

        r = ask(&made, j, &maker, c, split, err);
        if (r == T3D_OK && !j->world[i].tally.n)
            r = ask(&j->world[i], j, NULL, c, split, err);
        if (r == T3D_OK)
            r = print_captions(&made, &j->world[i], j, c, s, options, split, err);
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
    struct judges judges = {0};
    struct t3d_sampler_options *o = NULL;
    struct t3d_arena a = {0};
    char *dir = NULL;
    size_t n = 0;
    int r = c->count >= 1 && c->count <= 1000000
                ? settings_of(c, &o, &n, &a, err)
                : t3d_err_set(err, T3D_USAGE, "usage", "--count is 1 to 1000000");

    if (r == T3D_OK && c->seeds > MAX_SEEDS)
        r = t3d_err_set(err, T3D_USAGE, "usage", "--diversity-seeds is 0 to %d", MAX_SEEDS);
    if (r == T3D_OK)
        r = t3d_opt_refuse(&c->common, BENCH_UNUSED, err);
    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &a, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = with_options(c, dir, &o[i], &judges, err);
    close_judges(&judges);
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
