/* SPDX-License-Identifier: Apache-2.0 */
#include "model/generator.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/rng.h"
#include "model/stack_impl.h"
#include "num/ops.h"

const int t3d_generator_view[T3D_GENERATOR_VIEWS] = {0, 4, 8, 12};

static const struct t3d_generator_config sizes[] = {
    {"nano", 256, 3, 8, 32, 8, 16, 0, T3D_HEAD_GAUSS},
    {"small", 384, 12, 6, 128, 8, 77, 0, T3D_HEAD_GAUSS},
    {"base", 1024, 24, 16, 256, 16, 77, 0, T3D_HEAD_IMAGE},
    {"large", 2048, 24, 16, 512, 16, 77, 0, T3D_HEAD_IMAGE},
};
const char t3d_generator_sizes[] = "nano small base large";
const char *const t3d_generator_head_name[2] = {"gauss", "image"};

int t3d_generator_head(const char *name)
{
    for (int i = 0; i < 2; i++)
        if (strcmp(name, t3d_generator_head_name[i]) == 0)
            return i;
    return -1;
}

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
    int64_t out = c->head == T3D_HEAD_IMAGE ? 3 : T3D_GAUSSIAN_RAW;

    return c->layers * (12 * d * d + T3DI_N_MOD * d + 2 * (d / c->heads)) + /* blocks */
           d * (T3DI_TIME_WIDTH + d) + T3DI_N_MOD * d * d +                 /* time */
           d * 9 * p + d + out * p * d +                                    /* in and out */
           d * (c->vocab + T3D_GENERATOR_NULL + c->text_tokens);
}

struct t3d_generator_pixel t3d_generator_pixel(const struct t3d_generator_config *c, int i)
{
    int p = c->patch, n = c->side / p, token = i / (p * p), k = i % (p * p);

    return (struct t3d_generator_pixel){
        .view = token / (n * n), .y = token / n % n * p + k / p, .x = token % n * p + k % p};
}

/* --- the network ----------------------------------------------------------------------------- */

/* Text tokens, then view tokens. */
static struct t3d_ref tokens(struct t3di_stack *s, const struct t3d_generator *m)
{
    int64_t d = s->c->width;
    struct t3d_ref part[2], w;

    t3d_graph_scope(s->g, "tokens");
    w = t3di_weight(s, s->c->vocab + T3D_GENERATOR_NULL, d, "text.embedding.weight");
    part[0] = t3d_add(s->g, t3d_embedding(s->g, w, m->ids),
                      t3di_weight(s, s->text, d, "text.position.weight"));
    part[1] = t3di_view_tokens(s, m->noisy, m->ray);
    return t3d_concat(s->g, part, 2, 1);
}

static void image_head(struct t3di_stack *s, struct t3d_generator *m, struct t3d_ref x)
{
    int64_t p = (int64_t)s->c->patch * s->c->patch;

    m->xyz = m->log_scale = m->quaternion = m->opacity = m->rgb = T3D_NONE;
    x = t3di_head(s, x, 3);
    m->clean = t3d_graph_view(s->g, x, T3D_SHAPE(s->batch, s->views, 3 * p));
    t3d_graph_keep(s->g, m->clean);
}

static void gauss_head(struct t3di_stack *s, struct t3d_generator *m, struct t3d_ref x)
{
    struct t3di_gaussians made =
        t3di_gaussians(s, t3di_head(s, x, T3D_GAUSSIAN_RAW), m->ray, m->origin);

    m->xyz = made.xyz;
    m->log_scale = made.log_scale;
    m->quaternion = made.quaternion;
    m->opacity = made.opacity;
    m->rgb = made.rgb;
    m->clean = T3D_NONE;
}

struct t3d_generator t3d_generator_build(struct t3d_graph *g, const struct t3d_generator_config *c,
                                         int batch)
{
    struct t3di_stack s = {.g = g,
                           .c = c,
                           .batch = batch,
                           .text = c->text_tokens,
                           .views = t3d_generator_tokens(c),
                           .adaptive = 1};
    int64_t n = t3d_generator_gaussians(c), p = (int64_t)c->patch * c->patch;
    struct t3d_generator m;
    struct t3d_ref x;

    m.noisy = t3d_graph_input(g, "noisy", T3D_SHAPE(batch, s.views, 3 * p));
    m.time = t3d_graph_input(g, "time", T3D_SHAPE(batch));
    m.ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(batch, s.text));
    m.seen = s.seen = t3d_graph_input(g, "seen", T3D_SHAPE_INT(batch, s.text + s.views));
    m.ray = t3d_graph_input(g, "ray", T3D_SHAPE(1, n, 6));
    m.origin = t3d_graph_input(g, "origin", T3D_SHAPE(1, n, 3));
    t3di_modulate(&s, m.time);
    x = t3di_blocks(&s, tokens(&s, &m));
    (c->head == T3D_HEAD_IMAGE ? image_head : gauss_head)(&s, &m, x);
    return m;
}

/* --- what does not change -------------------------------------------------------------------- */

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

        t3di_pixel_ray(camera, c->side, p.y, p.x, ray + 6 * (size_t)i, origin + 3 * (size_t)i);
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
