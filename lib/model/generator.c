/* SPDX-License-Identifier: Apache-2.0 */
#include "model/generator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/rng.h"
#include "num/ops.h"

enum { NAME = 96, TIME_WIDTH = 256, SHIFT1 = 0, GAIN1, GATE1, SHIFT2, GAIN2, GATE2, N_MOD };

/* A Gaussian lies between these distances along its pixel's ray; objects fill a sphere of radius 1
 * around the origin. */
#define NEAR_END (T3D_DEFAULT_DISTANCE - 1.1)
#define FAR_END  (T3D_DEFAULT_DISTANCE + 1.1)
#define MAX_SIZE 0.3 /* GS-LRM's bound of the scale */
#define NORM_EPS 1e-6
/* The opacity starts at sigmoid(-1): lower, and the first pictures are nearly empty. */
#define OPACITY_BIAS (-1.0)

const int t3d_generator_view[T3D_GENERATOR_VIEWS] = {0, 4, 8, 12};

static const struct t3d_generator_config sizes[] = {
    {"nano", 256, 3, 8, 32, 8, 16, 0},
    {"small", 384, 12, 6, 128, 8, 77, 0},
    {"base", 1024, 24, 16, 256, 16, 77, 0},
    {"large", 2048, 24, 16, 512, 16, 77, 0},
};
const char t3d_generator_sizes[] = "nano small base large";

const struct t3d_generator_config *t3d_generator_size(const char *name)
{
    for (size_t i = 0; i < T3D_COUNT(sizes); i++)
        if (strcmp(sizes[i].size, name) == 0)
            return &sizes[i];
    return NULL;
}

int t3d_generator_tokens(const struct t3d_generator_config *c)
{
    int n = c->side / c->patch;

    return T3D_GENERATOR_VIEWS * n * n;
}

int t3d_generator_gaussians(const struct t3d_generator_config *c)
{
    return T3D_GENERATOR_VIEWS * c->side * c->side;
}

int64_t t3d_generator_params(const struct t3d_generator_config *c)
{
    int64_t d = c->width, p = (int64_t)c->patch * c->patch;

    return c->layers * (12 * d * d + N_MOD * d + 2 * (d / c->heads)) + /* blocks */
           d * (TIME_WIDTH + d) + N_MOD * d * d +                      /* time */
           d * 9 * p + d + T3D_GAUSSIAN_RAW * p * d +                  /* in and out */
           d * (c->vocab + T3D_GENERATOR_NULL + c->text_tokens);
}

struct t3d_generator_pixel t3d_generator_pixel(const struct t3d_generator_config *c, int i)
{
    int p = c->patch, n = c->side / p, token = i / (p * p), k = i % (p * p);

    return (struct t3d_generator_pixel){
        .view = token / (n * n), .y = token / n % n * p + k / p, .x = token % n * p + k % p};
}

/* --- the block stack ------------------------------------------------------------------------- */

struct building {
    struct t3d_graph *g;
    const struct t3d_generator_config *c;
    int batch, text, views; /* tokens */
    struct t3d_ref modulation[N_MOD];
    struct t3d_ref seen;
};

static struct t3d_ref weight(struct building *b, int64_t out, int64_t in, const char *name)
{
    return t3d_graph_param(b->g, name, in ? T3D_SHAPE(out, in) : T3D_SHAPE(out));
}

static struct t3d_ref dense(struct building *b, struct t3d_ref x, int64_t out, int64_t in,
                            enum t3d_act act, const char *name)
{
    return t3d_matmul(b->g, x, weight(b, out, in, name), T3D_NONE, act);
}

static struct t3d_ref block_weight(struct building *b, int layer, const char *what, int64_t out,
                                   int64_t in)
{
    char name[NAME];

    snprintf(name, sizeof name, "blocks.%d.%s.weight", layer, what);
    return weight(b, out, in, name);
}

/* norm(x) (1 + gain) + shift */
static struct t3d_ref modulated(struct building *b, struct t3d_ref x, struct t3d_ref shift,
                                struct t3d_ref gain)
{
    x = t3d_rms_norm(b->g, x, T3D_NONE, NORM_EPS);
    return t3d_add(b->g, t3d_mul(b->g, x, t3d_linear(b->g, gain, 1, 1)), shift);
}

/* Queries or keys by head: x (B, T, D), each head's part to RMS 1 times a learned gain (Henry et
 * al., "Query-Key Normalization for Transformers", 2020). */
static struct t3d_ref norm_heads(struct building *b, struct t3d_ref x, int layer, const char *what)
{
    int64_t tokens = b->text + b->views, heads = b->c->heads, d = b->c->width / heads;

    x = t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, tokens, heads, d));
    x = t3d_rms_norm(b->g, x, block_weight(b, layer, what, d, 0), NORM_EPS);
    return t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, tokens, b->c->width));
}

static struct t3d_ref attention(struct building *b, struct t3d_ref x, int layer)
{
    const struct t3d_attention a = {.heads = b->c->heads};
    int64_t d = b->c->width;
    struct t3d_ref part[3];

    x = t3d_matmul(b->g, x, block_weight(b, layer, "qkv", 3 * d, d), T3D_NONE, T3D_ACT_NONE);
    t3d_split(b->g, x, 2, 3, part);
    part[0] = norm_heads(b, part[0], layer, "query_norm");
    part[1] = norm_heads(b, part[1], layer, "key_norm");
    x = t3d_attend(b->g, part[0], part[1], part[2], b->seen, T3D_NONE, &a);
    return t3d_matmul(b->g, x, block_weight(b, layer, "out", d, d), T3D_NONE, T3D_ACT_NONE);
}

static struct t3d_ref block(struct building *b, struct t3d_ref x, int layer)
{
    int64_t d = b->c->width;
    struct t3d_ref m[N_MOD], h, table;
    char name[NAME];

    t3d_graph_scope(b->g, "blocks.%d", layer);
    snprintf(name, sizeof name, "blocks.%d.modulation", layer);
    table = t3d_graph_param(b->g, name, T3D_SHAPE(N_MOD, d));
    for (int i = 0; i < N_MOD; i++)
        m[i] = t3d_add(b->g, b->modulation[i], t3d_slice(b->g, table, 0, i, 1));
    h = attention(b, modulated(b, x, m[SHIFT1], m[GAIN1]), layer);
    x = t3d_add(b->g, x, t3d_mul(b->g, h, m[GATE1]));
    h = modulated(b, x, m[SHIFT2], m[GAIN2]);
    h = t3d_matmul(b->g, h, block_weight(b, layer, "up", 4 * d, d), T3D_NONE, T3D_ACT_GELU_TANH);
    h = t3d_matmul(b->g, h, block_weight(b, layer, "down", d, 4 * d), T3D_NONE, T3D_ACT_NONE);
    return t3d_add(b->g, x, t3d_mul(b->g, h, m[GATE2]));
}

/* Time to six vectors of the width, (B, 1, D) each. */
static void modulate(struct building *b, struct t3d_ref time)
{
    int64_t d = b->c->width;
    struct t3d_ref x;

    t3d_graph_scope(b->g, "time");
    x = t3d_sinusoid(b->g, time, TIME_WIDTH, 1000, 10000);
    x = dense(b, x, d, TIME_WIDTH, T3D_ACT_SILU, "time.in.weight");
    x = dense(b, x, d, d, T3D_ACT_SILU, "time.out.weight");
    x = dense(b, x, N_MOD * d, d, T3D_ACT_NONE, "time.modulation.weight");
    t3d_split(b->g, t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, 1, N_MOD * d)), 2, N_MOD,
              b->modulation);
}

/* Text tokens, then view tokens. */
static struct t3d_ref tokens(struct building *b, const struct t3d_generator *m)
{
    int64_t d = b->c->width, p = (int64_t)b->c->patch * b->c->patch;
    struct t3d_ref part[2], ray, w;

    t3d_graph_scope(b->g, "tokens");
    w = weight(b, b->c->vocab + T3D_GENERATOR_NULL, d, "text.embedding.weight");
    part[0] = t3d_add(b->g, t3d_embedding(b->g, w, m->ids),
                      weight(b, b->text, d, "text.position.weight"));
    /* patches of rays are the same for all samples */
    ray = t3d_graph_view(b->g, m->ray, T3D_SHAPE(1, b->views, 6 * p));
    ray = dense(b, ray, d, 6 * p, T3D_ACT_NONE, "views.ray.weight");
    part[1] = t3d_add(b->g, dense(b, m->noisy, d, 3 * p, T3D_ACT_NONE, "views.in.weight"), ray);
    return t3d_concat(b->g, part, 2, 1);
}

/* --- the head -------------------------------------------------------------------------------- */

/* raw (B, N, 12) to what the rasteriser takes. */
static void gaussians(struct building *b, struct t3d_generator *m, struct t3d_ref raw)
{
    static const t3d_real identity[4] = {1, 0, 0, 0};
    /* half a pixel of a view at the distance of the origin: neighbours touch */
    double pixel = 2 * T3D_DEFAULT_DISTANCE * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360) / b->c->side;
    struct t3d_graph *g = b->g;
    struct t3d_ref direction = t3d_slice(g, m->ray, 2, 3, 3), far;

    t3d_graph_scope(g, "gaussians");
    m->rgb = t3d_linear(g, t3d_slice(g, raw, 2, 0, 3), 1, 0.5);
    m->log_scale = t3d_clamp(g, t3d_linear(g, t3d_slice(g, raw, 2, 3, 3), 1, log(pixel / 2)), -12,
                             log(MAX_SIZE));
    m->quaternion = t3d_add(g, t3d_slice(g, raw, 2, 6, 4),
                            t3d_graph_constant(g, "identity", T3D_SHAPE(1, 1, 4), identity));
    m->opacity = t3d_linear(g, t3d_slice(g, raw, 2, 10, 1), 1, OPACITY_BIAS);
    far = t3d_linear(g, t3d_sigmoid(g, t3d_slice(g, raw, 2, 11, 1)), FAR_END - NEAR_END, NEAR_END);
    m->xyz = t3d_add(g, t3d_mul(g, far, direction), m->origin);
    t3d_graph_keep(g, m->rgb);
    t3d_graph_keep(g, m->log_scale);
    t3d_graph_keep(g, m->quaternion);
    t3d_graph_keep(g, m->opacity);
    t3d_graph_keep(g, m->xyz);
}

struct t3d_generator t3d_generator_build(struct t3d_graph *g, const struct t3d_generator_config *c,
                                         int batch)
{
    struct building b = {g, c, batch, c->text_tokens, t3d_generator_tokens(c), {{0}}, T3D_NONE};
    int64_t n = t3d_generator_gaussians(c), p = (int64_t)c->patch * c->patch;
    struct t3d_generator m;
    struct t3d_ref x;

    m.noisy = t3d_graph_input(g, "noisy", T3D_SHAPE(batch, b.views, 3 * p));
    m.time = t3d_graph_input(g, "time", T3D_SHAPE(batch));
    m.ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(batch, b.text));
    m.seen = b.seen = t3d_graph_input(g, "seen", T3D_SHAPE_INT(batch, b.text + b.views));
    m.ray = t3d_graph_input(g, "ray", T3D_SHAPE(1, n, 6));
    m.origin = t3d_graph_input(g, "origin", T3D_SHAPE(1, n, 3));
    modulate(&b, m.time);
    x = tokens(&b, &m);
    for (int i = 0; i < c->layers; i++)
        x = block(&b, x, i);
    t3d_graph_scope(g, "head");
    x = t3d_slice(g, x, 1, b.text, b.views);
    x = t3d_rms_norm(g, x, weight(&b, c->width, 0, "head.norm.weight"), NORM_EPS);
    x = dense(&b, x, T3D_GAUSSIAN_RAW * p, c->width, T3D_ACT_NONE, "head.out.weight");
    gaussians(&b, &m, t3d_graph_view(g, x, T3D_SHAPE(batch, n, T3D_GAUSSIAN_RAW)));
    return m;
}

/* --- what does not change -------------------------------------------------------------------- */

/* The ray through the centre of a pixel, in the world; unit direction. */
static void pixel_ray(const struct t3d_camera *c, const double k[3][3],
                      struct t3d_generator_pixel p, double origin[3], double direction[3])
{
    double x = (p.x + 0.5 - k[0][2]) / k[0][0], y = (p.y + 0.5 - k[1][2]) / k[1][1];
    double length = sqrt(x * x + y * y + 1);

    for (int i = 0; i < 3; i++) {
        origin[i] = c->c2w[i][3];
        /* OpenGL axes: y up, looking along -z */
        direction[i] = (c->c2w[i][0] * x - c->c2w[i][1] * y - c->c2w[i][2]) / length;
    }
}

int t3d_generator_prepare(struct t3d_graph *g, const struct t3d_generator *m,
                          const struct t3d_generator_config *c, int batch, struct t3d_err *err)
{
    t3d_real *ray = t3d_graph_data(g, m->ray), *origin = t3d_graph_data(g, m->origin);
    int32_t *seen = t3d_graph_data(g, m->seen);
    struct t3d_view_set set;
    struct t3d_arena a = {0};
    int r = t3d_view_set_load(&set, "ring16+4", &a, err);

    for (int i = 0; r == T3D_OK && i < t3d_generator_gaussians(c); i++) {
        struct t3d_generator_pixel p = t3d_generator_pixel(c, i);
        const struct t3d_camera *camera = &set.camera[t3d_generator_view[p.view]];
        double k[3][3], o[3], d[3];

        t3d_camera_intrinsics(camera, (uint32_t)c->side, k);
        pixel_ray(camera, (const double(*)[3])k, p, o, d);
        for (int j = 0; j < 3; j++) {
            int u = (j + 1) % 3, v = (j + 2) % 3;

            ray[i * 6 + j] = (t3d_real)(o[u] * d[v] - o[v] * d[u]);
            ray[i * 6 + 3 + j] = (t3d_real)d[j];
            origin[i * 3 + j] = (t3d_real)o[j];
        }
    }
    t3d_arena_free(&a);
    for (int i = 0, n = c->text_tokens + t3d_generator_tokens(c); i < batch * n; i++)
        seen[i] = i % n >= c->text_tokens;
    return r;
}

/* Tables of modulation and its matrix start at 0: blocks begin as the identity. */
void t3d_generator_init(struct t3d_graph *g, uint64_t seed)
{
    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(g, i, &name);
        struct t3d_shape s = t3d_graph_shape(g, p);
        t3d_real *x = t3d_graph_data(g, p);
        struct t3d_rng r = t3d_rng_for(seed, name, 0);
        double constant = s.n == 1, deviation = 0.02;

        if (strstr(name, "modulation") || s.n == 1)
            deviation = 0;
        else if (!strstr(name, "head.") && !strstr(name, "text."))
            deviation = 1 / sqrt((double)s.dim[1]);
        else if (strstr(name, "text."))
            deviation = 0.05;
        for (int64_t k = 0, n = t3d_shape_count(&s); k < n; k++)
            x[k] = (t3d_real)(deviation > 0 ? deviation * t3d_rng_normal(&r) : constant);
    }
}
