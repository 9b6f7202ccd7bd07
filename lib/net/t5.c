/* SPDX-License-Identifier: Apache-2.0 */
/* The T5 family: opening, and texts in batches of few shapes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "net/t5_impl.h"

enum {
    RUN_TOKENS = 2048, /* of a batch, about */
    RUN_TEXTS = 64     /* at most */
};

/* --- opening -------------------------------------------------------------------------------- */

static int matches(const struct t3di_folder *f)
{
    const char *type = t3d_json_str(f->config, "model_type", "");

    return strcmp(type, "t5") == 0 || strcmp(type, "umt5") == 0;
}

static void free_t5(void *state)
{
    struct t3di_t5 *t = state;

    for (int i = 0; i < T3DI_T5_GRAPHS; i++)
        t3di_t5_graph_fini(&t->graph[i]);
    t3d_pool_free(t->pool);
    t3d_unigram_tokenizer_free(t->tokenizer);
    t3di_weights_close(&t->weights);
    t3d_arena_free(&t->arena);
    free(t);
}

static double flops(const struct t3di_t5_config *c, double n)
{
    double inner = (double)c->heads * c->head_width;

    return c->layers *
           (2 * n * c->width * (4 * inner + (c->gated ? 3. : 2.) * c->hidden) + 4 * n * n * inner);
}

/* The library cuts at model_max_length of tokenizer_config.json; where that is not stated (or is
 * its "very large"), at what the network was trained with. */
static int choose_length(struct t3d_encoder *e, struct t3d_err *err)
{
    struct t3di_t5 *t = e->state;
    char *path = t3d_path_join(&t->arena, e->path, "tokenizer_config.json");
    cJSON *json = NULL;
    double stated = 0;
    const char *from = "model_max_length";
    int left = 0;

    if (!path)
        return t3d_err_nomem(err, e->path);
    if (access(path, F_OK) == 0) {
        int r = t3d_json_read(&json, path, 16 << 20, err);

        if (r < 0)
            return t3d_err_set(err, T3D_SKIP, "bad-tokenizer", "'%s' is not JSON", path);
        stated = t3d_json_num(json, "model_max_length", 0);
        left = strcmp(t3d_json_str(json, "truncation_side", "right"), "right") != 0;
        cJSON_Delete(json);
    }
    if (left)
        return t3d_err_set(err, T3D_SKIP, "bad-tokenizer",
                           "'%s': truncation_side is not \"right\", which is not supported", path);
    if (!(stated >= 1 && stated <= 1e6)) {
        stated = t->config.positions ? t->config.positions : T3DI_T5_TRAINED;
        from = t->config.positions ? "n_positions of config.json" : "the length T5 is trained with";
    }
    t->longest = (int)fmin(stated, T3DI_T5_LONGEST);
    t3di_encoder_note(e, "longest text: %d tokens, %s", t->longest,
                      stated > T3DI_T5_LONGEST ? "the most supported" : from);
    return T3D_OK;
}

static int open_tokenizer(struct t3d_encoder *e, struct t3d_err *err)
{
    static const char *const name[] = {"tokenizer.json", "spiece.model"};
    struct t3di_t5 *t = e->state;
    const char *found = NULL;
    int r;

    for (size_t i = 0; i < T3D_COUNT(name) && !found; i++) {
        char *path = t3d_path_join(&t->arena, e->path, name[i]);

        if (!path)
            return t3d_err_nomem(err, e->path);
        found = access(path, F_OK) == 0 ? name[i] : NULL;
    }
    if (!found) {
        t3di_encoder_note(e, "tokenizer: none in the folder, so it takes no texts");
        return T3D_OK;
    }
    r = t3d_unigram_tokenizer_open(&t->tokenizer, e->path, err);
    if (r < 0)
        return r;
    if (t3d_unigram_tokenizer_size(t->tokenizer) > (uint32_t)t->config.vocab)
        return t3d_err_set(err, T3D_SKIP, "bad-tokenizer",
                           "'%s': the tokenizer has %u pieces, the network's table %d", e->path,
                           t3d_unigram_tokenizer_size(t->tokenizer), t->config.vocab);
    t3di_encoder_note(e, "tokenizer: unigram from %s, %u pieces", found,
                      t3d_unigram_tokenizer_size(t->tokenizer));
    e->info.tokenizer_hash = t3d_unigram_tokenizer_hash(t->tokenizer);
    e->info.max_tokens = t->longest;
    return T3D_OK;
}

static void describe(struct t3d_encoder *e)
{
    const struct t3di_t5 *t = e->state;
    const struct t3di_t5_config *c = &t->config;

    e->info.layout = "transformers";
    e->info.width = e->info.token_width = c->width;
    e->info.weights_hash = t->weights.hash;
    e->info.weights_bytes = t->weights.bytes;
    e->info.text_flops = flops(c, t->longest);
    t3di_encoder_note(e, "activation: %s, from feed_forward_proj",
                      c->gated ? "gated GELU, tanh form (v1.1)" : "ReLU (v1.0)");
    t3di_encoder_note(e, "blocks: %d, width %d, %d heads of %d, feed-forward %d, epsilon %g",
                      c->layers, c->width, c->heads, c->head_width, c->hidden, c->eps);
    t3di_encoder_note(e, "row: the mean over all tokens with </s>, of length 1");
}

static int open_t5(struct t3d_encoder *e, const struct t3di_folder *f, struct t3d_err *err)
{
    struct t3di_t5 *t = calloc(1, sizeof *t);
    const char *path;
    int r;

    e->state = t;
    if (!t)
        return t3d_err_nomem(err, f->path);
    if (strcmp(t3d_json_str(f->config, "model_type", ""), "umt5") == 0)
        return t3d_err_set(err, T3D_SKIP, "unsupported-model",
                           "'%s': umT5 has position biases in every block and is not supported; "
                           "take a T5 or FLAN-T5 encoder",
                           f->path);
    path = t3d_path_join(&t->arena, f->path, "config.json");
    if (!path)
        return t3d_err_nomem(err, f->path);
    r = t3di_t5_configure(&t->config, f->config, path, err);
    if (r == T3D_OK)
        r = choose_length(e, err);
    if (r == T3D_OK)
        r = t3di_t5_load(t, f->path, e->options.threads, err);
    if (r == T3D_OK)
        describe(e);
    return r < 0 ? r : open_tokenizer(e, err);
}

/* --- texts ---------------------------------------------------------------------------------- */

static int tokenize(const struct t3d_encoder *e, struct t3d_tokens *out, const char *text,
                    size_t size, struct t3d_arena *a, struct t3d_err *err)
{
    const struct t3di_t5 *t = e->state;

    return t3d_unigram_tokenize(out, t->tokenizer, text, size, (size_t)t->longest, a, err);
}

static const char *piece(const struct t3d_encoder *e, uint32_t id, char *buf, size_t n)
{
    const struct t3di_t5 *t = e->state;

    return t3d_unigram_tokenizer_piece(t->tokenizer, id, buf, n);
}

struct job {
    uint32_t text;
    int tokens; /* padded */
    size_t row; /* of the features, where the text's begin */
};

static int by_length(const void *a, const void *b)
{
    const struct job *x = a, *y = b;

    if (x->tokens != y->tokens)
        return x->tokens < y->tokens ? -1 : 1;
    return x->text < y->text ? -1 : x->text > y->text;
}

/* Few lengths, so that there are few graphs, yet little padding. */
static int padded(const struct t3d_encoder *e, size_t n)
{
    const struct t3di_t5 *t = e->state;
    int length = 8;

    if (e->options.no_savings)
        return t->longest;
    while ((size_t)length < n)
        length += length < 64 ? 8 : length < 128 ? 16 : length < 256 ? 32 : 64;
    return length;
}

static int most_texts(const struct t3d_encoder *e, int tokens)
{
    int most = e->options.batch, n = 1;

    if (most <= 0)
        most = T3D_CLAMP(RUN_TOKENS / tokens, 1, RUN_TEXTS);
    while (n <= most / 2)
        n *= 2;
    return n;
}

/* Powers of two. The last texts of a length run as one batch when it is at least three quarters
 * full, else the larger half first. */
static int choose_batch(size_t left, int most)
{
    int n = 1;

    while (n < most && (size_t)n < left)
        n *= 2;
    if (n >= 8 && left * 4 < (size_t)n * 3)
        n /= 2;
    return n;
}

static void mean_row(float *row, const float *features, size_t n, size_t width)
{
    for (size_t d = 0; d < width; d++) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (double)features[i * width + d];
        row[d] = (float)(sum / (double)n);
    }
}

static void fill(struct t3di_t5_graph *n, const struct t3d_tokens *tokens, const struct job *job,
                 int n_jobs)
{
    int32_t *ids = t3d_graph_data(n->g, n->ids), *mask = t3d_graph_data(n->g, n->mask);

    memset(ids, 0, (size_t)n->batch * (size_t)n->tokens * sizeof *ids);
    memset(mask, 0, (size_t)n->batch * (size_t)n->tokens * sizeof *mask);
    for (int b = 0; b < n_jobs; b++) {
        const struct t3d_tokens *x = &tokens[job[b].text];

        for (size_t i = 0; i < x->n; i++) {
            ids[(size_t)b * (size_t)n->tokens + i] = (int32_t)x->id[i];
            mask[(size_t)b * (size_t)n->tokens + i] = 1;
        }
    }
}

struct output {
    float *rows, *features;
};

/* The first texts of jobs of one length as one batch; *done = their number. */
static int run(struct t3d_encoder *e, const struct t3d_tokens *tokens, const struct job *job,
               size_t n_jobs, struct output to, size_t *done, struct t3d_err *err)
{
    int batch = choose_batch(n_jobs, most_texts(e, job->tokens));
    size_t width = (size_t)e->info.width;
    struct t3di_t5_graph *n;
    const float *out;
    int r = t3di_t5_find_graph(&n, e, batch, job->tokens, err);

    if (r < 0)
        return r;
    *done = T3D_MIN((size_t)batch, n_jobs);
    fill(n, tokens, job, (int)*done);
    r = t3d_graph_forward(n->g, err);
    out = r < 0 ? NULL : t3d_graph_data(n->g, n->out);
    for (size_t b = 0; out && b < *done; b++) {
        const float *from = out + b * (size_t)n->tokens * width;
        size_t count = tokens[job[b].text].n;

        mean_row(to.rows + job[b].text * width, from, count, width);
        if (to.features)
            memcpy(to.features + job[b].row * width, from, count * width * sizeof *from);
    }
    return r;
}

static int check_tokens(const struct t3di_t5 *t, const struct t3d_tokens *x, size_t i,
                        struct t3d_err *err)
{
    if (x->n == 0 || x->n > (size_t)t->longest)
        return t3d_err_set(err, T3D_USAGE, "bad-tokens",
                           "text %zu has %zu tokens: expected 1 to %d", i, x->n, t->longest);
    for (size_t k = 0; k < x->n; k++)
        if (x->id[k] >= (uint32_t)t->config.vocab)
            return t3d_err_set(err, T3D_USAGE, "bad-tokens",
                               "token %zu of text %zu is %u: the table has %d rows", k, i, x->id[k],
                               t->config.vocab);
    return T3D_OK;
}

static int texts(struct t3d_encoder *e, const struct t3d_tokens *tokens, size_t n, float *rows,
                 float *features, struct t3d_err *err)
{
    struct job *job = calloc(n, sizeof *job);
    int r = job ? T3D_OK : t3d_err_nomem(err, "texts");
    size_t sum = 0;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = check_tokens(e->state, &tokens[i], i, err);
        job[i] = (struct job){(uint32_t)i, padded(e, tokens[i].n), sum};
        sum += tokens[i].n;
    }
    if (r == T3D_OK)
        qsort(job, n, sizeof *job, by_length);
    for (size_t i = 0, same, done = 0; i < n && r == T3D_OK; i += done) {
        for (same = i; same < n && job[same].tokens == job[i].tokens;)
            same++;
        r = run(e, tokens, job + i, same - i, (struct output){rows, features}, &done, err);
    }
    free(job);
    return r < 0 ? r : t3di_unit_rows(rows, n, e->info.width, err);
}

const struct t3di_encoder_family t3di_t5_family = {.name = "t5",
                                                   .matches = matches,
                                                   .open = open_t5,
                                                   .free = free_t5,
                                                   .tokenize = tokenize,
                                                   .texts = texts,
                                                   .piece = piece};
