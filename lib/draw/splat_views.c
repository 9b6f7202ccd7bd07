/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_views.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "draw/splat.h"

struct drawing {
    struct t3d_graph *g;
    struct t3d_ref in[5], cameras, out;
    int side;
};

static void fill(const struct drawing *d, const struct t3d_gaussians *g)
{
    const float *from[5] = {g->xyz, g->log_scale, g->quaternion, g->opacity, g->rgb};
    static const size_t width[5] = {3, 3, 4, 1, 3};

    for (int i = 0; i < 5; i++)
        memcpy(t3d_graph_data(d->g, d->in[i]), from[i], g->n * width[i] * sizeof(float));
}

static int open_drawing(struct drawing *d, const struct t3d_gaussians *g, int side, int threads,
                        struct t3d_err *err)
{
    static const char *const name[5] = {"xyz", "log_scale", "quaternion", "opacity", "rgb"};
    static const int64_t width[5] = {3, 3, 4, 1, 3};
    const struct t3d_splat attr = {.width = side, .height = side, .depth = T3D_SPLAT_MEDIAN};
    int r;

    d->side = side;
    d->g = t3d_graph_new(T3D_CPU, threads);
    if (!d->g)
        return t3d_err_nomem(err, "a picture");
    for (int i = 0; i < 5; i++)
        d->in[i] = t3d_graph_input(d->g, name[i], T3D_SHAPE(1, (int64_t)g->n, width[i]));
    d->cameras = t3d_graph_input(d->g, "cameras", T3D_SHAPE(1, 1, T3D_SPLAT_CAMERA));
    d->out = t3d_splat(d->g, d->in[0], d->in[1], d->in[2], d->in[3], d->in[4], d->cameras, &attr);
    for (int i = 0; i < 3; i++)
        t3d_graph_keep(d->g, t3d_graph_output(d->out, i));
    r = t3d_graph_build(d->g, &(struct t3d_plan){.loss = T3D_NONE}, err);
    if (r == T3D_OK)
        fill(d, g);
    return r;
}

static uint8_t byte_of(double x)
{
    return (uint8_t)T3D_CLAMP(floor(255 * x + 0.5), 0, 255);
}

/* Colours come weighted by alpha, over black. */
static void store(const struct drawing *d, uint8_t *rgba, float *depth)
{
    const t3d_real *rgb = t3d_graph_data(d->g, d->out),
                   *alpha = t3d_graph_data(d->g, t3d_graph_output(d->out, 1)),
                   *z = t3d_graph_data(d->g, t3d_graph_output(d->out, 2));

    for (size_t i = 0, n = (size_t)d->side * (size_t)d->side; i < n; i++) {
        double a = (double)alpha[i];

        for (size_t k = 0; k < 3; k++)
            rgba[4 * i + k] = byte_of(a > 0 ? (double)rgb[3 * i + k] / a : 0);
        rgba[4 * i + 3] = byte_of(a);
        depth[i] = (float)z[i];
    }
}

static int draw(struct t3d_splat_picture *out, const struct t3d_gaussians *g,
                const struct t3d_view_set *set, int side, int threads, struct t3d_err *err)
{
    size_t n = (size_t)side * (size_t)side;
    struct drawing d = {0};
    int r = open_drawing(&d, g, side, threads, err);

    for (size_t i = 0; i < set->n && r == T3D_OK; i++) {
        t3d_splat_camera(t3d_graph_data(d.g, d.cameras), &set->camera[i], side, side);
        r = t3d_graph_forward(d.g, err);
        if (r == T3D_OK)
            store(&d, out->rgba + 4 * n * i, out->depth + n * i);
    }
    t3d_graph_free(d.g);
    return r;
}

int t3d_splat_views(struct t3d_splat_picture *out, const struct t3d_gaussians *g,
                    const struct t3d_view_set *set, int side, int threads, struct t3d_arena *a,
                    struct t3d_err *err)
{
    size_t n = (size_t)side * (size_t)side * set->n;

    out->rgba = t3d_alloc(a, n, 4);
    out->depth = t3d_alloc(a, n, sizeof *out->depth);
    if (!out->rgba || !out->depth)
        return t3d_err_nomem(err, "the pictures");
    return g->n ? draw(out, g, set, side, threads, err) : T3D_OK;
}

int t3d_splat_soften(struct t3d_gaussians *out, const struct t3d_gaussians *g, int side,
                     struct t3d_arena *a, struct t3d_err *err)
{
    double f = side / (2 * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360)),
           add = 0.3 * (T3D_DEFAULT_DISTANCE / f) * (T3D_DEFAULT_DISTANCE / f);
    float *scale = t3d_alloc_raw(a, 3 * g->n + 1, sizeof *scale);

    if (!scale)
        return t3d_err_nomem(err, "the Gaussians");
    for (size_t i = 0; i < 3 * g->n; i++)
        scale[i] = (float)(0.5 * log(exp(2 * (double)g->log_scale[i]) + add));
    *out = *g;
    out->log_scale = scale;
    return T3D_OK;
}
