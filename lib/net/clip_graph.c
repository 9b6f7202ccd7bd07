/* SPDX-License-Identifier: Apache-2.0 */
/* The towers as graphs (openai/CLIP: clip/model.py, VisionTransformer and CLIP.encode_text).
 *
 * The last block is computed for the pooled token alone: its keys and values need all tokens, its
 * query, output, MLP and norm do not. */
#include <string.h>

#include "net/clip_impl.h"

struct builder {
    struct t3d_graph *g;
    const struct t3di_clip_tower *tower;
    const struct t3di_clip_weights *w;
    int64_t batch, tokens;
    const char *name;
    int64_t layer;
};

static struct t3d_ref constant(struct builder *b, const char *name, struct t3d_shape s,
                               const float *data)
{
    char full[96];

    if (b->layer < 0)
        snprintf(full, sizeof full, "%s.%s", b->name, name);
    else
        snprintf(full, sizeof full, "%s.%lld.%s", b->name, (long long)b->layer, name);
    return t3d_graph_constant(b->g, full, s, data);
}

static struct t3d_ref norm(struct builder *b, struct t3d_ref x, const char *name, const float *w,
                           const float *bias)
{
    int64_t d = b->tower->width;
    char key[32];

    snprintf(key, sizeof key, "%s.b", name);
    return t3d_layer_norm(b->g, x, constant(b, name, T3D_SHAPE(d), w),
                          constant(b, key, T3D_SHAPE(d), bias), b->tower->eps);
}

/* act(x w^T + bias) + residual */
static struct t3d_ref linear(struct builder *b, struct t3d_ref x, const char *name, int64_t out,
                             int64_t in, const float *w, const float *bias, enum t3d_act act,
                             struct t3d_ref residual)
{
    struct t3d_ref r = T3D_NONE;
    char key[32];

    snprintf(key, sizeof key, "%s.b", name);
    if (bias)
        r = constant(b, key, T3D_SHAPE(out), bias);
    return t3d_matmul_add(b->g, x, constant(b, name, T3D_SHAPE(out, in), w), r, act, residual);
}

static struct t3d_ref pick(struct builder *b, struct t3d_ref x, struct t3d_ref end)
{
    return end.node < 0 ? t3d_slice(b->g, x, 1, 0, 1) : t3d_gather(b->g, x, end);
}

/* One block on x (B, T, D). pooled: the result is (B, 1, D), of token 0, or of token end (B, 1);
 * then mask (B, T) says which keys a text's end token sees. */
static struct t3d_ref block(struct builder *b, struct t3d_ref x, int causal, int pooled,
                            struct t3d_ref end, struct t3d_ref mask)
{
    const struct t3di_clip_block *w = &b->w->block[b->layer];
    int64_t d = b->tower->width, m = b->tower->mlp;
    struct t3d_attention attr = {.heads = (int)b->tower->heads, .causal = causal && !pooled};
    struct t3d_ref h = norm(b, x, "norm1", w->norm1_w, w->norm1_b), q, k, v;

    k = linear(b, h, "k", d, d, w->k_w, w->k_b, T3D_ACT_NONE, T3D_NONE);
    v = linear(b, h, "v", d, d, w->v_w, w->v_b, T3D_ACT_NONE, T3D_NONE);
    if (pooled) {
        x = pick(b, x, end);
        h = pick(b, h, end);
    }
    q = linear(b, h, "q", d, d, w->q_w, w->q_b, T3D_ACT_NONE, T3D_NONE);
    h = t3d_attend(b->g, q, k, v, pooled ? mask : T3D_NONE, T3D_NONE, &attr);
    x = linear(b, h, "out", d, d, w->out_w, w->out_b, T3D_ACT_NONE, x);
    h = norm(b, x, "norm2", w->norm2_w, w->norm2_b);
    h = linear(b, h, "up", m, d, w->up_w, w->up_b, b->tower->act, T3D_NONE);
    return linear(b, h, "down", d, m, w->down_w, w->down_b, T3D_ACT_NONE, x);
}

/* All blocks; pooled concerns the last. */
static struct t3d_ref blocks(struct builder *b, struct t3d_ref x, int causal, int pooled,
                             struct t3d_ref end, struct t3d_ref mask)
{
    for (b->layer = 0; b->layer < b->tower->layers; b->layer++) {
        t3d_graph_scope(b->g, "%s.%lld", b->name, (long long)b->layer);
        x = block(b, x, causal, pooled && b->layer == b->tower->layers - 1, end, mask);
    }
    b->layer = -1;
    t3d_graph_scope(b->g, "%s", b->name);
    return x;
}

/* x (B, 1, D), normed -> rows (B, E). */
static struct t3d_ref project(struct builder *b, struct t3d_ref x, int64_t embed)
{
    int64_t d = b->tower->width;

    x = t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, d));
    if (!b->w->projection)
        return x;
    return linear(b, x, "projection", embed, d, b->w->projection, NULL, T3D_ACT_NONE, T3D_NONE);
}

static void image_graph(struct t3di_clip_graph *to, struct builder *b, const struct t3di_clip *c,
                        int savings)
{
    int64_t p = c->config.patch, grid = c->config.image_size / p, d = b->tower->width, n = b->batch;
    struct t3d_ref x, part[2];

    to->input = t3d_graph_input(b->g, "pixels", T3D_SHAPE(n, 3, grid * p, grid * p));
    x = t3d_patchify(b->g, to->input, (int)p, 0);
    x = t3d_graph_view(b->g, x, T3D_SHAPE(n, grid * grid, 3 * p * p));
    x = linear(b, x, "patch", d, 3 * p * p, b->w->patch, NULL, T3D_ACT_NONE, T3D_NONE);
    part[1] = t3d_add(b->g, x, constant(b, "position", T3D_SHAPE(grid * grid, d), b->w->position));
    part[0] = constant(b, "first", T3D_SHAPE(n, 1, d), b->w->first);
    x = t3d_concat(b->g, part, 2, 1);
    x = norm(b, x, "pre", b->w->pre_w, b->w->pre_b);
    x = blocks(b, x, 0, savings, T3D_NONE, T3D_NONE);
    x = norm(b, x, "norm", b->w->norm_w, b->w->norm_b);
    if (!savings)
        x = pick(b, x, T3D_NONE);
    to->rows = project(b, x, c->config.embed);
}

static void text_graph(struct t3di_clip_graph *to, struct builder *b, const struct t3di_clip *c,
                       int savings)
{
    int64_t d = b->tower->width, n = b->batch, t = b->tokens;
    int pooled = savings && to->kind == T3DI_CLIP_TEXT;
    struct t3d_ref x;

    to->input = t3d_graph_input(b->g, "ids", T3D_SHAPE_INT(n, t));
    to->end = t3d_graph_input(b->g, "end", T3D_SHAPE_INT(n, 1));
    to->mask = pooled ? t3d_graph_input(b->g, "mask", T3D_SHAPE_INT(n, t)) : T3D_NONE;
    x = t3d_embedding(b->g, constant(b, "table", T3D_SHAPE(c->config.vocab, d), b->w->table),
                      to->input);
    x = t3d_add(b->g, x, constant(b, "position", T3D_SHAPE(t, d), b->w->position));
    x = blocks(b, x, 1, pooled, to->end, to->mask);
    x = norm(b, x, "norm", b->w->norm_w, b->w->norm_b);
    to->features = T3D_NONE;
    if (to->kind == T3DI_CLIP_FEATURES) {
        to->features = x;
        t3d_graph_keep(b->g, x);
    }
    if (!pooled)
        x = pick(b, x, to->end);
    to->rows = project(b, x, c->config.embed);
}

static int build(struct t3di_clip_graph *to, struct t3d_encoder *e, struct t3d_err *err)
{
    const struct t3di_clip *c = e->state;
    int image = to->kind == T3DI_CLIP_IMAGE, savings = !e->options.no_savings, r;
    struct builder b = {.g = t3d_device_graph(&e->device, e->options.threads),
                        .tower = image ? &c->config.image : &c->config.text,
                        .w = image ? &c->image : &c->text,
                        .batch = to->batch,
                        .tokens = to->length,
                        .name = image ? "image" : "text",
                        .layer = -1};

    if (!b.g)
        return t3d_err_nomem(err, "a network");
    to->g = b.g;
    t3d_graph_use_pool(b.g, c->pool);
    t3d_graph_scope(b.g, "%s", b.name);
    if (image)
        image_graph(to, &b, c, savings);
    else
        text_graph(to, &b, c, savings);
    t3d_graph_keep(b.g, to->rows);
    r = t3d_graph_build(b.g, &(struct t3d_plan){.loss = T3D_NONE}, err);
    if (r < 0) {
        t3d_graph_free(b.g);
        *to = (struct t3di_clip_graph){0};
    }
    return r;
}

int t3di_clip_graph(struct t3di_clip_graph **out, struct t3d_encoder *e, enum t3di_clip_kind kind,
                    int64_t batch, int64_t length, struct t3d_err *err)
{
    struct t3di_clip *c = e->state;
    struct t3di_clip_graph *oldest = &c->graph[0];

    c->clock++;
    for (int i = 0; i < T3DI_CLIP_GRAPHS; i++) {
        struct t3di_clip_graph *s = &c->graph[i];

        if (s->g && s->kind == kind && s->batch == batch && s->length == length) {
            s->used = c->clock;
            *out = s;
            return T3D_OK;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    t3d_graph_free(oldest->g);
    *oldest =
        (struct t3di_clip_graph){.kind = kind, .batch = batch, .length = length, .used = c->clock};
    *out = oldest;
    return build(oldest, e, err);
}
