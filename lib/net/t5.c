/* SPDX-License-Identifier: Apache-2.0 */
/* transformers: models/t5/modeling_t5.py (T5Stack as an encoder). Pre-norm blocks without biases;
 * attention has no 1 / sqrt(d) and adds a learned bias by the distance of the tokens, which block 0
 * owns and all share.
 *
 * Texts run in batches of one length, padded to the next of a few, under a key mask: each (batch,
 * length) is a graph, and the few used last are kept. */
#include "net/t5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/tool.h"
#include "net/t5_impl.h"

enum {
    GRAPHS = 8,          /* kept at a time */
    RUN_TOKENS = 2048,   /* of a batch, about */
    RUN_TEXTS = 64,      /* at most */
    TRAINED_TOKENS = 512 /* n_positions of every published T5 */
};

struct net {
    struct t3d_graph *g;
    int batch, tokens;
    uint64_t last_use;
    float *bias; /* (heads, T, T) */
    struct t3d_ref ids, mask, out;
};

struct t3di_t5 {
    struct t3di_t5_config config;
    struct t3di_t5_weights weights;
    struct net net[GRAPHS];
    uint64_t clock;
    int threads, batch, no_savings;
};

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

int t3di_t5_width(const struct t3di_t5 *t)
{
    return t->config.width;
}

int t3di_t5_vocab(const struct t3di_t5 *t)
{
    return t->config.vocab;
}

int t3di_t5_positions(const struct t3di_t5 *t)
{
    return t->config.positions;
}

size_t t3di_t5_weights_bytes(const struct t3di_t5 *t)
{
    return t->weights.bytes;
}

double t3di_t5_flops(const struct t3di_t5 *t, int tokens)
{
    const struct t3di_t5_config *c = &t->config;
    double n = tokens, inner = (double)c->heads * c->head_width;

    return c->layers *
           (2 * n * c->width * (4 * inner + (c->gated ? 3. : 2.) * c->hidden) + 4 * n * n * inner);
}

/* --- one graph ---------------------------------------------------------------------------------
 */

static void net_fini(struct net *n)
{
    t3d_graph_free(n->g);
    free(n->bias);
    memset(n, 0, sizeof *n);
}

static int make_bias(struct net *n, const struct t3di_t5 *t)
{
    const struct t3di_t5_config *c = &t->config;
    size_t tokens = (size_t)n->tokens;

    n->bias = calloc((size_t)c->heads * tokens * tokens, sizeof *n->bias);
    if (!n->bias)
        return -1;
    for (int64_t q = 0; q < n->tokens; q++) {
        for (int64_t k = 0; k < n->tokens; k++) {
            const float *row = t->weights.bias + (size_t)t3di_t5_bucket(c, k - q) * c->heads;

            for (int64_t h = 0; h < c->heads; h++)
                n->bias[(h * n->tokens + q) * n->tokens + k] = row[h];
        }
    }
    return 0;
}

/* A weight of block i; i = -1: of the whole. columns 0 = one axis. */
static struct t3d_ref weight(struct t3d_graph *g, int i, const char *name, int64_t rows,
                             int64_t columns, const float *data)
{
    char full[64];

    if (i < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "block.%d.%s", i, name);
    return t3d_graph_constant(g, full, columns ? T3D_SHAPE(rows, columns) : T3D_SHAPE(rows), data);
}

static struct t3d_ref feed_forward(struct t3d_graph *g, const struct t3di_t5 *t, int i,
                                   struct t3d_ref x)
{
    const struct t3di_t5_config *c = &t->config;
    const struct t3di_t5_block *b = &t->weights.block[i];
    struct t3d_ref h = t3d_rms_norm(g, x, weight(g, i, "norm2", c->width, 0, b->norm2), c->eps), up;

    up = t3d_matmul(g, h, weight(g, i, "in", c->hidden, c->width, b->in), T3D_NONE, c->act);
    if (b->gate)
        up = t3d_mul(g, up,
                     t3d_matmul(g, h, weight(g, i, "gate", c->hidden, c->width, b->gate), T3D_NONE,
                                T3D_ACT_NONE));
    return t3d_matmul_add(g, up, weight(g, i, "down", c->width, c->hidden, b->down), T3D_NONE,
                          T3D_ACT_NONE, x);
}

static struct t3d_ref attention(struct net *n, const struct t3di_t5 *t, int i, struct t3d_ref x,
                                struct t3d_ref bias)
{
    const struct t3di_t5_config *c = &t->config;
    const struct t3di_t5_block *b = &t->weights.block[i];
    struct t3d_attention attend = {.heads = c->heads, .scale = 1};
    int64_t inner = (int64_t)c->heads * c->head_width;
    struct t3d_graph *g = n->g;
    struct t3d_ref h = t3d_rms_norm(g, x, weight(g, i, "norm1", c->width, 0, b->norm1), c->eps);

    h = t3d_matmul(g, h, weight(g, i, "qkv", 3 * inner, c->width, b->qkv), T3D_NONE, T3D_ACT_NONE);
    h = t3d_attend_packed(g, h, n->mask, bias, &attend);
    return t3d_matmul_add(g, h, weight(g, i, "out", c->width, inner, b->out), T3D_NONE,
                          T3D_ACT_NONE, x);
}

static int net_build(struct net *n, const struct t3di_t5 *t, struct t3d_err *err)
{
    const struct t3di_t5_config *c = &t->config;
    struct t3d_graph *g = n->g;
    struct t3d_ref x, bias;

    n->ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(n->batch, n->tokens));
    n->mask = t3d_graph_input(g, "mask", T3D_SHAPE_INT(n->batch, n->tokens));
    bias =
        t3d_graph_constant(g, "position_bias", T3D_SHAPE(c->heads, n->tokens, n->tokens), n->bias);
    x = t3d_embedding(g, weight(g, -1, "shared", c->vocab, c->width, t->weights.table), n->ids);
    for (int i = 0; i < c->layers; i++) {
        t3d_graph_scope(g, "block.%d", i);
        x = feed_forward(g, t, i, attention(n, t, i, x, bias));
    }
    t3d_graph_scope(g, "final");
    n->out = t3d_rms_norm(g, x, weight(g, -1, "norm", c->width, 0, t->weights.last), c->eps);
    t3d_graph_keep(g, n->out);
    return t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, err);
}

/* The graph of this shape; one that was not used for the longest time makes room. */
static int find_net(struct t3di_t5 *t, int batch, int tokens, struct net **out, struct t3d_err *err)
{
    struct net *n = &t->net[0];
    int r;

    for (int i = 0; i < GRAPHS; i++) {
        struct net *at = &t->net[i];

        if (at->g && at->batch == batch && at->tokens == tokens) {
            at->last_use = ++t->clock;
            *out = at;
            return T3D_OK;
        }
        n = at->last_use < n->last_use ? at : n;
    }
    net_fini(n);
    *n = (struct net){.batch = batch, .tokens = tokens};
    n->g = t3d_graph_new(T3D_CPU, t->threads);
    r = n->g && make_bias(n, t) == 0 ? net_build(n, t, err) : t3d_err_nomem(err, "a T5 encoder");
    if (r < 0) {
        net_fini(n);
        return r;
    }
    n->last_use = ++t->clock;
    *out = n;
    return T3D_OK;
}

/* --- texts ----------------------------------------------------------------------------------- */

/* Few lengths, so that there are few graphs, yet little padding. */
static int padded(const struct t3di_t5 *t, size_t n)
{
    int length = 8;

    if (t->no_savings)
        return t->config.positions;
    while ((size_t)length < n)
        length += length < 32 ? 8 : length < 64 ? 16 : length < 128 ? 32 : length < 256 ? 64 : 128;
    return length;
}

static int most_texts(const struct t3di_t5 *t, int tokens)
{
    int most = t->batch, n = 1;

    if (most <= 0)
        most = T3D_CLAMP(RUN_TOKENS / tokens, 1, RUN_TEXTS);
    while (2 * n <= most)
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

static void to_row(float *row, const float *features, size_t n, size_t width)
{
    double sum = 0, scale;

    for (size_t d = 0; d < width; d++) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
            mean += (double)features[i * width + d];
        row[d] = (float)(mean / (double)n);
        sum += (double)row[d] * (double)row[d];
    }
    scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t d = 0; d < width; d++)
        row[d] = (float)((double)row[d] * scale);
}

static void fill_inputs(struct net *n, const struct t3d_tokens *tokens, const struct job *job,
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

static int run(struct t3di_t5 *t, const struct t3d_tokens *tokens, const struct job *job,
               int n_jobs, int batch, float *rows, float *features, struct t3d_err *err)
{
    size_t width = (size_t)t->config.width;
    struct net *n;
    const float *out;
    int r = find_net(t, batch, job->tokens, &n, err);

    if (r < 0)
        return r;
    fill_inputs(n, tokens, job, n_jobs);
    r = t3d_graph_forward(n->g, err);
    if (r < 0)
        return r;
    out = t3d_graph_data(n->g, n->out);
    for (int b = 0; b < n_jobs; b++) {
        const float *from = out + (size_t)b * (size_t)n->tokens * width;
        size_t count = tokens[job[b].text].n;

        to_row(rows + job[b].text * width, from, count, width);
        if (features)
            memcpy(features + job[b].row * width, from, count * width * sizeof *from);
    }
    return T3D_OK;
}

static int check_tokens(const struct t3di_t5 *t, const struct t3d_tokens *x, size_t i,
                        struct t3d_err *err)
{
    if (x->n == 0 || x->n > (size_t)t->config.positions)
        return t3d_err_set(err, T3D_SKIP, "bad-tokens", "text %zu has %zu tokens, not 1 to %d", i,
                           x->n, t->config.positions);
    for (size_t k = 0; k < x->n; k++)
        if (x->id[k] >= (uint32_t)t->config.vocab)
            return t3d_err_set(err, T3D_SKIP, "bad-tokens",
                               "text %zu: token id %u, but the model has %d: the tokenizer belongs "
                               "to another model",
                               i, x->id[k], t->config.vocab);
    return T3D_OK;
}

int t3di_t5_texts(struct t3di_t5 *t, const struct t3d_tokens *tokens, size_t n, float *rows,
                  float *features, struct t3d_err *err)
{
    struct job *job = calloc(n + 1, sizeof *job);
    int r = job ? T3D_OK : t3d_err_nomem(err, "texts");
    size_t sum = 0;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = check_tokens(t, &tokens[i], i, err);
        job[i] = (struct job){(uint32_t)i, padded(t, tokens[i].n), sum};
        sum += tokens[i].n;
    }
    if (r == T3D_OK)
        qsort(job, n, sizeof *job, by_length);
    for (size_t i = 0, same; i < n && r == T3D_OK;) {
        int batch, count;

        for (same = i; same < n && job[same].tokens == job[i].tokens;)
            same++;
        batch = choose_batch(same - i, most_texts(t, job[i].tokens));
        count = (int)T3D_MIN((size_t)batch, same - i);
        r = run(t, tokens, job + i, count, batch, rows, features, err);
        i += (size_t)count;
    }
    free(job);
    return r;
}

/* --- open ------------------------------------------------------------------------------------ */

static int open_folder(struct t3di_t5 *t, const char *dir, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, "config.json");
    int r = path ? t3di_t5_config_read(&t->config, path, err) : t3d_err_nomem(err, dir);

    t3d_arena_free(&a);
    if (r == T3D_OK)
        r = t3di_t5_weights_open(&t->weights, &t->config, dir, err);
    if (!t->config.positions)
        t->config.positions = TRAINED_TOKENS;
    return r;
}

int t3di_t5_open(struct t3di_t5 **out, const char *dir, const struct t3di_t5_options *o,
                 struct t3d_err *err)
{
    struct t3di_t5 *t = calloc(1, sizeof *t);
    int r;

    *out = NULL;
    if (!t)
        return t3d_err_nomem(err, dir);
    t->threads = o->threads > 0 ? o->threads : t3d_cpu_count();
    t->batch = o->batch;
    t->no_savings = o->no_savings;
    r = open_folder(t, dir, err);
    if (r < 0)
        t3di_t5_free(t);
    else
        *out = t;
    return r;
}

void t3di_t5_free(struct t3di_t5 *t)
{
    if (!t)
        return;
    for (int i = 0; i < GRAPHS; i++)
        net_fini(&t->net[i]);
    t3di_t5_weights_close(&t->weights);
    free(t);
}
