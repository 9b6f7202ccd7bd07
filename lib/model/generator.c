/* SPDX-License-Identifier: Apache-2.0 */
#include "model/generator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/rng.h"
#include "model/stack_impl.h"
#include "num/ops.h"

const int t3d_generator_view[T3D_GENERATOR_VIEWS] = {0, 4, 8, 12};

static const struct t3d_generator_config sizes[] = {
    T3DI_SIZE("nano", 256, 3, 8, 32, 8, 16, T3D_HEAD_GAUSS),
    T3DI_SIZE("small", 384, 12, 6, 128, 8, 77, T3D_HEAD_GAUSS),
    T3DI_SIZE("base", 1024, 24, 16, 256, 16, 77, T3D_HEAD_IMAGE),
    T3DI_SIZE("large", 2048, 24, 16, 512, 16, 77, T3D_HEAD_IMAGE),
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

int t3d_generator_text(const struct t3d_generator_config *c)
{
    int n = T3D_GENERATOR_NULL;

    for (int i = 0; i < c->n_encoders; i++)
        n += c->encoder[i].tokens;
    return c->n_encoders ? n : c->text_tokens;
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

/* Rows as wide as the model that the text's tokens are made of. */
static int64_t text_rows(const struct t3d_generator_config *c)
{
    int64_t n = c->vocab + T3D_GENERATOR_NULL;

    for (int i = 0; i < c->n_encoders; i++)
        n += c->encoder[i].width + 1 + c->encoder[i].tokens; /* matrix, source, positions */
    return c->n_encoders ? n : n + c->text_tokens;
}

int64_t t3d_generator_params(const struct t3d_generator_config *c)
{
    int64_t d = c->width, p = (int64_t)c->patch * c->patch;
    int64_t out = c->head == T3D_HEAD_IMAGE ? 3 : T3D_GAUSSIAN_RAW;

    return c->layers * (12 * d * d + T3DI_N_MOD * d + 2 * (d / c->heads)) + /* blocks */
           d * (T3DI_TIME_WIDTH + d) + T3DI_N_MOD * d * d +                 /* time */
           d * 9 * p + d + out * p * d +                                    /* in and out */
           d * text_rows(c);
}

struct t3d_generator_pixel t3d_generator_pixel(const struct t3d_generator_config *c, int i)
{
    int p = c->patch, n = c->side / p, token = i / (p * p), k = i % (p * p);

    return (struct t3d_generator_pixel){
        .view = token / (n * n), .y = token / n % n * p + k / p, .x = token % n * p + k % p};
}

/* --- the network ----------------------------------------------------------------------------- */

static struct t3d_ref text_weight(struct t3di_stack *s, int i, const char *what, int64_t rows,
                                  int64_t columns)
{
    char name[64];

    snprintf(name, sizeof name, "text.%d.%s.weight", i, what);
    return t3di_weight(s, rows, columns, name);
}

/* Features of encoder i to tokens. Networks differ in how long their features are; normed each
 * begins with the same say. */
static struct t3d_ref encoder_tokens(struct t3di_stack *s, struct t3d_ref features, int i)
{
    const struct t3d_generator_encoder *e = &s->c->encoder[i];
    int64_t d = s->c->width;
    struct t3d_ref x = t3d_rms_norm(s->g, features, T3D_NONE, T3DI_NORM_EPS);

    x = t3d_matmul(s->g, x, text_weight(s, i, "in", d, e->width), T3D_NONE, T3D_ACT_NONE);
    x = t3d_add(s->g, x, text_weight(s, i, "source", 1, d));
    return t3d_add(s->g, x, text_weight(s, i, "position", e->tokens, d));
}

/* Text tokens, then view tokens. */
static struct t3d_ref tokens(struct t3di_stack *s, const struct t3d_generator *m)
{
    int64_t d = s->c->width;
    struct t3d_ref part[2 + T3D_GENERATOR_ENCODERS], w;
    int n = 0;

    t3d_graph_scope(s->g, "tokens");
    w = t3di_weight(s, s->c->vocab + T3D_GENERATOR_NULL, d, "text.embedding.weight");
    part[n++] = t3d_embedding(s->g, w, m->ids);
    if (!s->c->n_encoders)
        part[0] = t3d_add(s->g, part[0], t3di_weight(s, s->text, d, "text.position.weight"));
    for (int i = 0; i < s->c->n_encoders; i++)
        part[n++] = encoder_tokens(s, m->features[i], i);
    part[n++] = t3di_view_tokens(s, m->noisy, m->ray);
    return t3d_concat(s->g, part, n, 1);
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

static struct t3d_ref text_input(struct t3d_graph *g, const struct t3d_generator_encoder *e, int i,
                                 int batch)
{
    char name[32];

    snprintf(name, sizeof name, "features.%d", i);
    return t3d_graph_input(g, name, T3D_SHAPE(batch, e->tokens, e->width));
}

struct t3d_generator t3d_generator_build(struct t3d_graph *g, const struct t3d_generator_config *c,
                                         int batch)
{
    struct t3di_stack s = {.g = g,
                           .c = c,
                           .batch = batch,
                           .text = t3d_generator_text(c),
                           .views = t3d_generator_tokens(c),
                           .adaptive = 1};
    int64_t n = t3d_generator_gaussians(c), p = (int64_t)c->patch * c->patch;
    struct t3d_generator m;
    struct t3d_ref x;

    m.noisy = t3d_graph_input(g, "noisy", T3D_SHAPE(batch, s.views, 3 * p));
    m.time = t3d_graph_input(g, "time", T3D_SHAPE(batch));
    m.ids = t3d_graph_input(g, "ids",
                            T3D_SHAPE_INT(batch, c->n_encoders ? T3D_GENERATOR_NULL : s.text));
    m.seen = s.seen = t3d_graph_input(g, "seen", T3D_SHAPE_INT(batch, s.text + s.views));
    for (int i = 0; i < T3D_GENERATOR_ENCODERS; i++)
        m.features[i] = i < c->n_encoders ? text_input(g, &c->encoder[i], i, batch) : T3D_NONE;
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
    for (int i = 0, n = t3d_generator_text(c) + t3d_generator_tokens(c); i < batch * n; i++)
        seen[i] = i % n >= t3d_generator_text(c);
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
        int text = strncmp(name, "text.", 5) == 0;
        double constant = s.n == 1, deviation = 0.02;

        if (strstr(name, "modulation") || s.n == 1)
            deviation = 0;
        else if (text && !strstr(name, ".in."))
            deviation = 0.05;
        else if (text || !strstr(name, "head."))
            deviation = 1 / sqrt((double)s.dim[1]);
        for (int64_t k = 0, n = t3d_shape_count(&s); k < n; k++)
            x[k] = (t3d_real)(deviation > 0 ? deviation * t3d_rng_normal(&r) : constant);
    }
}
