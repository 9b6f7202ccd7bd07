/* SPDX-License-Identifier: Apache-2.0 */
#include "model/stack_impl.h"

#include <math.h>
#include <stdio.h>

#include "num/ops.h"

enum { NAME = 96 };

struct t3d_ref t3di_weight(struct t3di_stack *s, int64_t out, int64_t in, const char *name)
{
    return t3d_graph_param(s->g, name, in ? T3D_SHAPE(out, in) : T3D_SHAPE(out));
}

struct t3d_ref t3di_dense(struct t3di_stack *s, struct t3d_ref x, int64_t out, int64_t in,
                          enum t3d_act act, const char *name)
{
    return t3d_matmul(s->g, x, t3di_weight(s, out, in, name), T3D_NONE, act);
}

static struct t3d_ref block_weight(struct t3di_stack *s, int layer, const char *what, int64_t out,
                                   int64_t in)
{
    char name[NAME];

    snprintf(name, sizeof name, "blocks.%d.%s.weight", layer, what);
    return t3di_weight(s, out, in, name);
}

/* Queries or keys by head: x (B, T, D), each head's part to RMS 1 times a learned gain (Henry et
 * al., "Query-Key Normalization for Transformers", 2020). */
static struct t3d_ref norm_heads(struct t3di_stack *s, struct t3d_ref x, int layer,
                                 const char *what)
{
    int64_t tokens = s->text + s->views, heads = s->c->heads, d = s->c->width / heads;

    x = t3d_graph_view(s->g, x, T3D_SHAPE(s->batch, tokens, heads, d));
    x = t3d_rms_norm(s->g, x, block_weight(s, layer, what, d, 0), T3DI_NORM_EPS);
    return t3d_graph_view(s->g, x, T3D_SHAPE(s->batch, tokens, s->c->width));
}

static struct t3d_ref attention(struct t3di_stack *s, struct t3d_ref x, int layer)
{
    const struct t3d_attention a = {.heads = s->c->heads};
    int64_t d = s->c->width;
    struct t3d_ref part[3];

    x = t3d_matmul(s->g, x, block_weight(s, layer, "qkv", 3 * d, d), T3D_NONE, T3D_ACT_NONE);
    t3d_split(s->g, x, 2, 3, part);
    part[0] = norm_heads(s, part[0], layer, "query_norm");
    part[1] = norm_heads(s, part[1], layer, "key_norm");
    x = t3d_attend(s->g, part[0], part[1], part[2], s->seen, T3D_NONE, &a);
    return t3d_matmul(s->g, x, block_weight(s, layer, "out", d, d), T3D_NONE, T3D_ACT_NONE);
}

static struct t3d_ref mlp(struct t3di_stack *s, struct t3d_ref x, int layer)
{
    int64_t d = s->c->width;

    x = t3d_matmul(s->g, x, block_weight(s, layer, "up", 4 * d, d), T3D_NONE, T3D_ACT_GELU_TANH);
    return t3d_matmul(s->g, x, block_weight(s, layer, "down", d, 4 * d), T3D_NONE, T3D_ACT_NONE);
}

/* norm(x) (1 + gain) + shift */
static struct t3d_ref modulated(struct t3di_stack *s, struct t3d_ref x, struct t3d_ref shift,
                                struct t3d_ref gain)
{
    x = t3d_rms_norm(s->g, x, T3D_NONE, T3DI_NORM_EPS);
    return t3d_add(s->g, t3d_mul(s->g, x, t3d_linear(s->g, gain, 1, 1)), shift);
}

static struct t3d_ref adaptive_block(struct t3di_stack *s, struct t3d_ref x, int layer)
{
    struct t3d_ref m[T3DI_N_MOD], h, table;
    char name[NAME];

    snprintf(name, sizeof name, "blocks.%d.modulation", layer);
    table = t3d_graph_param(s->g, name, T3D_SHAPE(T3DI_N_MOD, s->c->width));
    for (int i = 0; i < T3DI_N_MOD; i++)
        m[i] = t3d_add(s->g, s->modulation[i], t3d_slice(s->g, table, 0, i, 1));
    h = attention(s, modulated(s, x, m[T3DI_SHIFT1], m[T3DI_GAIN1]), layer);
    x = t3d_add(s->g, x, t3d_mul(s->g, h, m[T3DI_GATE1]));
    h = mlp(s, modulated(s, x, m[T3DI_SHIFT2], m[T3DI_GAIN2]), layer);
    return t3d_add(s->g, x, t3d_mul(s->g, h, m[T3DI_GATE2]));
}

static struct t3d_ref plain_block(struct t3di_stack *s, struct t3d_ref x, int layer)
{
    struct t3d_ref h;

    h = t3d_rms_norm(s->g, x, block_weight(s, layer, "norm1", s->c->width, 0), T3DI_NORM_EPS);
    x = t3d_add(s->g, x, attention(s, h, layer));
    h = t3d_rms_norm(s->g, x, block_weight(s, layer, "norm2", s->c->width, 0), T3DI_NORM_EPS);
    return t3d_add(s->g, x, mlp(s, h, layer));
}

struct t3d_ref t3di_blocks(struct t3di_stack *s, struct t3d_ref x)
{
    for (int i = 0; i < s->c->layers; i++) {
        t3d_graph_scope(s->g, "blocks.%d", i);
        t3d_graph_segment_begin(s->g);
        x = (s->adaptive ? adaptive_block : plain_block)(s, x, i);
        t3d_graph_segment_end(s->g);
    }
    return x;
}

void t3di_modulate(struct t3di_stack *s, struct t3d_ref time)
{
    int64_t d = s->c->width;
    struct t3d_ref x;

    t3d_graph_scope(s->g, "time");
    x = t3d_sinusoid(s->g, time, T3DI_TIME_WIDTH, 1000, 10000);
    x = t3di_dense(s, x, d, T3DI_TIME_WIDTH, T3D_ACT_SILU, "time.in.weight");
    x = t3di_dense(s, x, d, d, T3D_ACT_SILU, "time.out.weight");
    x = t3di_dense(s, x, T3DI_N_MOD * d, d, T3D_ACT_NONE, "time.modulation.weight");
    t3d_split(s->g, t3d_graph_view(s->g, x, T3D_SHAPE(s->batch, 1, T3DI_N_MOD * d)), 2, T3DI_N_MOD,
              s->modulation);
}

struct t3d_ref t3di_view_tokens(struct t3di_stack *s, struct t3d_ref pictures, struct t3d_ref ray)
{
    int64_t d = s->c->width, p = (int64_t)s->c->patch * s->c->patch;
    struct t3d_shape rays = t3d_graph_shape(s->g, ray);

    ray = t3d_graph_view(s->g, ray, T3D_SHAPE(rays.dim[0], s->views, 6 * p));
    ray = t3di_dense(s, ray, d, 6 * p, T3D_ACT_NONE, "views.ray.weight");
    return t3d_add(s->g, t3di_dense(s, pictures, d, 3 * p, T3D_ACT_NONE, "views.in.weight"), ray);
}

struct t3d_ref t3di_head(struct t3di_stack *s, struct t3d_ref x, int numbers)
{
    int64_t p = (int64_t)s->c->patch * s->c->patch;

    t3d_graph_scope(s->g, "head");
    if (s->text)
        x = t3d_slice(s->g, x, 1, s->text, s->views);
    x = t3d_rms_norm(s->g, x, t3di_weight(s, s->c->width, 0, "head.norm.weight"), T3DI_NORM_EPS);
    x = t3di_dense(s, x, numbers * p, s->c->width, T3D_ACT_NONE, "head.out.weight");
    return t3d_graph_view(s->g, x, T3D_SHAPE(s->batch, t3d_generator_gaussians(s->c), numbers));
}
