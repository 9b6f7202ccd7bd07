/* SPDX-License-Identifier: Apache-2.0 */
#include "model/clip_train.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "model/training_text.h"
#include "model/vocabulary.h"
#include "net/tokenize_clip.h"

enum { WHITE = 255, MAX_VALIDATION = 4 };

struct training {
    const struct t3d_clip_train_config *c;
    struct t3d_clip_config size;
    struct t3d_loader *train, *val; /* val NULL: nothing to validate on */
    struct t3d_clip_tokenizer *tokenizer;
    struct t3d_graph *g;
    struct t3d_clip clip;
    struct t3d_arena arena; /* of one caption */
    float pixel[3][256];    /* normalised */
    int tokens, batch;
    double stall_s;  /* waited for the loader since the last line */
    uint32_t *group; /* (batch) of the batch in the graph */
};

/* --- vocabulary ------------------------------------------------------------------------------ */

/* Texts are as long as the longest caption needs. */
static int count_tokens(struct training *t, struct t3d_caption c, struct t3d_err *err)
{
    struct t3d_tokens tokens;
    int r = t3d_clip_tokenize(&tokens, t->tokenizer, c.text, c.size, (size_t)t->size.context,
                              &t->arena, err);

    if (r == T3D_OK)
        t->tokens = T3D_MAX(t->tokens, (int)tokens.n);
    t3d_arena_reset(&t->arena);
    return r;
}

static int open_tokenizer(struct training *t, struct t3d_err *err)
{
    int r = t3d_vocabulary_open(&t->tokenizer, t->c->trainer.dir, t->train, t->size.vocab, err);

    if (r == T3D_OK)
        t->size.vocab = (int)t3d_clip_tokenizer_size(t->tokenizer);
    for (uint32_t i = 0; r == T3D_OK && i < t3d_loader_samples(t->train); i++)
        for (size_t k = 0; r == T3D_OK && k < t3d_loader_captions(t->train, i); k++)
            r = count_tokens(t, t3d_loader_caption(t->train, i, k), err);
    return r;
}

/* --- inputs ---------------------------------------------------------------------------------- */

/* Over a colour, to the network's three planes. */
static void put_picture(const struct training *t, t3d_real *out, const uint8_t *rgba,
                        const uint8_t *colour)
{
    size_t n = (size_t)t->size.image_size * (size_t)t->size.image_size;

    for (size_t i = 0; i < n; i++) {
        unsigned a = rgba[4 * i + 3];
        for (size_t k = 0; k < 3; k++)
            out[k * n + i] =
                (t3d_real)t->pixel[k][(rgba[4 * i + k] * a + colour[k] * (255 - a) + 127) / 255];
    }
}

static int put_caption(struct training *t, struct t3d_caption c, int32_t *ids, int32_t *seen,
                       int32_t *end, struct t3d_err *err)
{
    struct t3d_tokens tokens;
    int r =
        t3d_clip_tokenize(&tokens, t->tokenizer, c.text, c.size, (size_t)t->tokens, &t->arena, err);

    for (int i = 0; i < t->tokens && r == T3D_OK; i++) {
        seen[i] = (size_t)i < tokens.n;
        ids[i] = (int32_t)tokens.id[T3D_MIN((size_t)i, tokens.n - 1)];
    }
    if (r == T3D_OK)
        *end = (int32_t)tokens.n - 1;
    t3d_arena_reset(&t->arena);
    return r;
}

static void background(const struct training *t, uint64_t position, uint8_t colour[3])
{
    struct t3d_rng r = t3d_rng_for(t->c->data.seed, "background", position);

    memset(colour, WHITE, 3);
    if (t3d_rng_uniform(&r) < t->c->backgrounds)
        for (int k = 0; k < 3; k++)
            colour[k] = (uint8_t)t3d_rng_below(&r, 256);
}

static int put_batch(struct training *t, const struct t3d_loader *l, const struct t3d_batch *b,
                     int augment, struct t3d_err *err)
{
    size_t side = (size_t)b->side * (size_t)b->side;
    t3d_real *pixels = t3d_graph_data(t->g, t->clip.pixels);
    int32_t *ids = t3d_graph_data(t->g, t->clip.ids), *seen = t3d_graph_data(t->g, t->clip.seen);
    int32_t *end = t3d_graph_data(t->g, t->clip.end);
    int r = T3D_OK;

#pragma omp parallel for num_threads(t->c->threads)
    for (int i = 0; i < b->n; i++) {
        uint8_t colour[3] = {WHITE, WHITE, WHITE};
        if (augment)
            background(t, (uint64_t)b->step * (uint64_t)b->n + (uint64_t)i, colour);
        put_picture(t, pixels + 3 * side * (size_t)i, b->pixels + 4 * side * (size_t)i, colour);
    }
    for (int i = 0; i < b->n && r == T3D_OK; i++) {
        r = put_caption(t, b->caption[i], ids + i * t->tokens, seen + i * t->tokens, end + i, err);
        t->group[i] = t3d_loader_group(l, b->sample[i]);
    }
    return r;
}

static int fill(void *ctx, int64_t micro, struct t3d_err *err)
{
    struct training *t = ctx;
    const struct t3d_batch *b;
    int r = t3d_loader_at(t->train, micro, &b, &t->stall_s, err);

    return r == T3D_OK ? put_batch(t, t->train, b, 1, err) : r;
}

static void after_step(void *ctx)
{
    struct training *t = ctx;

    t3d_clip_clamp_scale(t->g, t->clip.log_scale);
}

/* --- figures --------------------------------------------------------------------------------- */

/* Rows whose best partner in the batch has the same words. */
static int count_hits(const struct training *t, struct t3d_ref from, struct t3d_ref to)
{
    const t3d_real *a = t3d_graph_data(t->g, from), *b = t3d_graph_data(t->g, to);
    int e = t->size.embed, hits = 0;

    for (int i = 0; i < t->batch; i++) {
        double best = -INFINITY;
        int at = 0;
        for (int j = 0; j < t->batch; j++) {
            double dot = 0;
            for (int k = 0; k < e; k++)
                dot += (double)(a[i * e + k] * b[j * e + k]);
            if (dot > best) {
                best = dot;
                at = j;
            }
        }
        hits += t->group[at] == t->group[i];
    }
    return hits;
}

static int validate(void *ctx, cJSON *line, struct t3d_err *err)
{
    struct training *t = ctx;
    double loss = 0, to_text = 0, to_image = 0;
    int n, r = T3D_OK;

    if (!t->val)
        return T3D_OK;
    n = T3D_CLAMP((int)(t3d_loader_samples(t->val) / (size_t)t->batch), 1, MAX_VALIDATION);
    t3d_loader_seek(t->val, 0);
    for (int i = 0; i < n && r == T3D_OK; i++) {
        const struct t3d_batch *b;
        r = t3d_loader_next(t->val, &b, err);
        if (r == T3D_OK)
            r = put_batch(t, t->val, b, 0, err);
        if (r == T3D_OK)
            r = t3d_graph_forward(t->g, err);
        if (r < 0)
            break;
        loss += (double)*(t3d_real *)t3d_graph_data(t->g, t->clip.loss) / n;
        to_text += (double)count_hits(t, t->clip.image_rows, t->clip.text_rows) / (n * t->batch);
        to_image += (double)count_hits(t, t->clip.text_rows, t->clip.image_rows) / (n * t->batch);
    }
    t3d_json_set_num(line, "val_loss", loss);
    t3d_json_set_num(line, "val_image_to_text", to_text);
    t3d_json_set_num(line, "val_text_to_image", to_image);
    t3d_json_set_num(line, "val_pool", t->batch);
    return r;
}

static void describe(void *ctx, cJSON *line)
{
    struct training *t = ctx;
    uint64_t skipped = t3d_loader_skipped(t->train, NULL);

    t3d_json_set_num(line, "logit_scale",
                     exp((double)*(t3d_real *)t3d_graph_data(t->g, t->clip.log_scale)));
    t3d_json_set_num(line, "loader_stall_s", t->stall_s);
    if (skipped)
        t3d_json_set_num(line, "skipped_samples", (double)skipped);
    t->stall_s = 0;
}

static void summarise(void *ctx, cJSON *line)
{
    const struct training *t = ctx;

    t3d_training_summary(line, t3d_clip_params(&t->size), t->size.vocab, t->train, t->c->threads);
}

/* --- the run --------------------------------------------------------------------------------- */

static int open_data(struct training *t, struct t3d_err *err)
{
    struct t3d_loader_config data = t->c->data;
    int r;

    data.resolution = (uint32_t)t->size.image_size;
    data.views = 1;
    data.need_captions = 1;
    r = t3d_loader_open(&t->train, &data, err);
    if (r < 0)
        return r;
    if (!t->c->trainer.validate_every)
        return T3D_OK;
    data.split = "val";
    data.neighbours = 0;
    data.uid = NULL;
    data.n_uids = 0;
    r = t3d_loader_open(&t->val, &data, err);
    if (r == T3D_USAGE && err && strcmp(err->reason, "no-samples") == 0)
        r = T3D_OK; /* a small set may have none */
    return r;
}

static int build(struct training *t, struct t3d_err *err)
{
    struct t3d_plan plan = {.recompute = t->c->trainer.recompute};
    int r;

    t->g = t3d_device_graph(&t->c->trainer.device, t->c->threads);
    t->group = calloc((size_t)t->batch, sizeof *t->group);
    if (!t->g || !t->group)
        return t3d_err_nomem(err, "the model");
    t->clip = t3d_clip_build(t->g, &t->size, t->batch, t->tokens);
    plan.loss = t->clip.loss;
    r = t3d_graph_build(t->g, &plan, err);
    if (r < 0)
        return r;
    memset(t3d_graph_data(t->g, t->clip.first), 0, (size_t)t->batch * sizeof(int32_t));
    t3d_clip_init(t->g, &t->size, t->c->data.seed);
    for (int k = 0; k < 3; k++)
        for (int v = 0; v < 256; v++)
            t->pixel[k][v] = (float)((v / 255.0 - t3d_clip_mean[k]) / t3d_clip_std[k]);
    return T3D_OK;
}

/* A folder besides the run's. */
static int keep(void *ctx, const char *dir, struct t3d_err *err)
{
    struct training *t = ctx;
    int r = t3d_make_dirs(dir, err);

    if (r == T3D_OK)
        r = t3d_vocabulary_copy(t->c->trainer.dir, dir, err);
    return r == T3D_OK ? t3d_clip_save(dir, t->g, &t->size, t->c->type, err) : r;
}

static int train(struct training *t, struct t3d_clip_train_result *result, struct t3d_err *err)
{
    static const struct t3d_trainer_ops ops = {.fill = fill,
                                               .after_step = after_step,
                                               .validate = validate,
                                               .score = "val_image_to_text",
                                               .keep = keep,
                                               .describe = describe,
                                               .summarise = summarise};
    struct t3d_trainer_config c = t->c->trainer;
    char *text =
        t3d_training_settings(t->c->settings, t->train, t3d_clip_tokenizer_hash(t->tokenizer));
    int r;

    if (!text)
        return t3d_err_nomem(err, "the settings");
    c.settings = text;
    c.samples = (double)t->batch * c.accumulate;
    c.stage = "train";
    r = t3d_trainer_run(&c, &ops, t, t->g, t->clip.loss, &result->trainer, err);
    free(text);
    if (r == T3D_OK && !result->trainer.stop)
        r = t3d_clip_save(c.dir, t->g, &t->size, t->c->type, err);
    return r;
}

int t3d_clip_train(const struct t3d_clip_train_config *c, struct t3d_clip_train_result *result,
                   struct t3d_err *err)
{
    struct training t = {.c = c, .size = c->size, .batch = c->data.batch};
    int r = open_data(&t, err);

    memset(result, 0, sizeof *result);
    if (r == T3D_OK)
        r = open_tokenizer(&t, err);
    if (r == T3D_OK)
        r = build(&t, err);
    if (r == T3D_OK)
        r = train(&t, result, err);
    if (t.train) {
        result->samples = t3d_loader_samples(t.train);
        result->groups = t3d_loader_groups(t.train);
        result->unreadable = t3d_loader_skipped(t.train, &result->why);
    }
    result->params = t3d_clip_params(&t.size);
    result->tokens = t.tokens;
    t3d_graph_free(t.g);
    t3d_clip_tokenizer_free(t.tokenizer);
    t3d_loader_close(t.train);
    t3d_loader_close(t.val);
    t3d_arena_free(&t.arena);
    free(t.group);
    return r;
}
