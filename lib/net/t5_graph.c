/* SPDX-License-Identifier: Apache-2.0 */
/* transformers: models/t5/modeling_t5.py (T5Stack as an encoder). Pre-norm blocks without biases;
 * attention has no 1 / sqrt(d) and adds a learned bias by the distance of the tokens, which block 0
 * owns and all share. */
#include <stdlib.h>
#include <string.h>

#include "net/t5_impl.h"

void t3di_t5_graph_fini(struct t3di_t5_graph *n)
{
    t3d_graph_free(n->g);
    free(n->bias);
    memset(n, 0, sizeof *n);
}

static int make_bias(struct t3di_t5_graph *n, const struct t3di_t5 *t)
{
    const struct t3di_t5_config *c = &t->config;
    size_t tokens = (size_t)n->tokens;

    n->bias = calloc((size_t)c->heads * tokens * tokens, sizeof *n->bias);
    if (!n->bias)
        return -1;
    for (int64_t q = 0; q < n->tokens; q++) {
        for (int64_t k = 0; k < n->tokens; k++) {
            const float *row = t->bias + (size_t)t3di_t5_bucket(c, k - q) * (size_t)c->heads;

            for (int64_t h = 0; h < c->heads; h++)
                n->bias[(h * n->tokens + q) * n->tokens + k] = row[h];
        }
    }
    return 0;
}

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
    const struct t3di_t5_block *b = &t->block[i];
    struct t3d_ref h = t3d_rms_norm(g, x, weight(g, i, "norm2", c->width, 0, b->norm2), c->eps), up;

    up = t3d_matmul(g, h, weight(g, i, "in", c->hidden, c->width, b->in), T3D_NONE, c->act);
    if (b->gate)
        up = t3d_mul(g, up,
                     t3d_matmul(g, h, weight(g, i, "gate", c->hidden, c->width, b->gate), T3D_NONE,
                                T3D_ACT_NONE));
    return t3d_matmul_add(g, up, weight(g, i, "down", c->width, c->hidden, b->down), T3D_NONE,
                          T3D_ACT_NONE, x);
}

static struct t3d_ref attention(struct t3di_t5_graph *n, const struct t3di_t5 *t, int i,
                                struct t3d_ref x, struct t3d_ref bias)
{
    const struct t3di_t5_config *c = &t->config;
    const struct t3di_t5_block *b = &t->block[i];
    struct t3d_attention attend = {.heads = c->heads, .scale = 1};
    int64_t inner = (int64_t)c->heads * c->head_width;
    struct t3d_graph *g = n->g;
    struct t3d_ref h = t3d_rms_norm(g, x, weight(g, i, "norm1", c->width, 0, b->norm1), c->eps);
    struct t3d_ref q, k, v;

    q = t3d_matmul(g, h, weight(g, i, "q", inner, c->width, b->q), T3D_NONE, T3D_ACT_NONE);
    k = t3d_matmul(g, h, weight(g, i, "k", inner, c->width, b->k), T3D_NONE, T3D_ACT_NONE);
    v = t3d_matmul(g, h, weight(g, i, "v", inner, c->width, b->v), T3D_NONE, T3D_ACT_NONE);
    h = t3d_attend(g, q, k, v, n->mask, bias, &attend);
    return t3d_matmul_add(g, h, weight(g, i, "out", c->width, inner, b->out), T3D_NONE,
                          T3D_ACT_NONE, x);
}

static int build(struct t3di_t5_graph *n, const struct t3di_t5 *t, struct t3d_err *err)
{
    const struct t3di_t5_config *c = &t->config;
    struct t3d_graph *g = n->g;
    struct t3d_ref x, bias;

    t3d_graph_use_pool(g, t->pool);
    n->ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(n->batch, n->tokens));
    n->mask = t3d_graph_input(g, "mask", T3D_SHAPE_INT(n->batch, n->tokens));
    bias =
        t3d_graph_constant(g, "position_bias", T3D_SHAPE(c->heads, n->tokens, n->tokens), n->bias);
    x = t3d_embedding(g, weight(g, -1, "shared", c->vocab, c->width, t->table), n->ids);
    for (int i = 0; i < c->layers; i++) {
        t3d_graph_scope(g, "block.%d", i);
        x = feed_forward(g, t, i, attention(n, t, i, x, bias));
    }
    t3d_graph_scope(g, "final");
    n->out = t3d_rms_norm(g, x, weight(g, -1, "norm", c->width, 0, t->last), c->eps);
    t3d_graph_keep(g, n->out);
    return t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, err);
}

int t3di_t5_find_graph(struct t3di_t5_graph **out, struct t3d_encoder *e, int batch, int tokens,
                       struct t3d_err *err)
{
    struct t3di_t5 *t = e->state;
    struct t3di_t5_graph *n = &t->graph[0];
    int r;

    for (int i = 0; i < T3DI_T5_GRAPHS; i++) {
        struct t3di_t5_graph *at = &t->graph[i];

        if (at->g && at->batch == batch && at->tokens == tokens) {
            at->last_use = ++t->clock;
            *out = at;
            return T3D_OK;
        }
        n = at->last_use < n->last_use ? at : n;
    }
    t3di_t5_graph_fini(n);
    n->batch = batch;
    n->tokens = tokens;
    n->g = t3d_device_graph(&e->device, e->options.threads);
    r = n->g && make_bias(n, t) == 0 ? build(n, t, err) : t3d_err_nomem(err, "a T5 encoder");
    if (r < 0) {
        t3di_t5_graph_fini(n);
        return r;
    }
    n->last_use = ++t->clock;
    *out = n;
    return T3D_OK;
}
