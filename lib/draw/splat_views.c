/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "draw/splat.h"
#include "geom/camera.h"

/* Room for pairs of a tile and a Gaussian, beside one for each Gaussian: those of a picture of 512
 * pixels that an object fills. With less a view is drawn in parts, and each part waits for all
 * threads. */
enum { PAIRS = 1 << 20, WHOLE_VIEWS = 1024, CHUNK = 1024 };

struct t3d_splat_painter {
    struct t3d_graph *g;
    struct t3d_ref in[5], cameras, out;
    int side, empty;
};

static void fill(const struct t3d_splat_painter *p, const struct t3d_gaussians *g)
{
    const float *from[5] = {g->xyz, g->log_scale, g->quaternion, g->opacity, g->rgb};
    static const size_t width[5] = {3, 3, 4, 1, 3};

    for (int i = 0; i < 5; i++)
        memcpy(t3d_graph_data(p->g, p->in[i]), from[i], g->n * width[i] * sizeof(float));
}

static int build(struct t3d_splat_painter *p, const struct t3d_gaussians *g, int threads,
                 struct t3d_err *err)
{
    static const char *const name[5] = {"xyz", "log_scale", "quaternion", "opacity", "rgb"};
    static const int64_t width[5] = {3, 3, 4, 1, 3};
    const struct t3d_splat attr = {.width = p->side,
                                   .height = p->side,
                                   .depth = T3D_SPLAT_MEDIAN,
                                   .pairs = (int64_t)g->n + PAIRS};
    int r;

    p->g = t3d_graph_new(T3D_CPU, threads);
    if (!p->g)
        return t3d_err_nomem(err, "a picture");
    for (int i = 0; i < 5; i++)
        p->in[i] = t3d_graph_input(p->g, name[i], T3D_SHAPE(1, (int64_t)g->n, width[i]));
    p->cameras = t3d_graph_input(p->g, "cameras", T3D_SHAPE(1, 1, T3D_SPLAT_CAMERA));
    p->out = t3d_splat(p->g, p->in[0], p->in[1], p->in[2], p->in[3], p->in[4], p->cameras, &attr);
    for (int i = 0; i < 3; i++)
        t3d_graph_keep(p->g, t3d_graph_output(p->out, i));
    r = t3d_graph_build(p->g, &(struct t3d_plan){.loss = T3D_NONE}, err);
    if (r == T3D_OK)
        fill(p, g);
    return r;
}

int t3d_splat_painter_new(struct t3d_splat_painter **out, const struct t3d_gaussians *g, int side,
                          int threads, struct t3d_err *err)
{
    struct t3d_splat_painter *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return t3d_err_nomem(err, "a picture");
    p->side = side;
    p->empty = g->n == 0;
    r = p->empty ? T3D_OK : build(p, g, threads, err);
    if (r == T3D_OK)
        *out = p;
    else
        t3d_splat_painter_free(p);
    return r;
}

void t3d_splat_painter_free(struct t3d_splat_painter *p)
{
    if (!p)
        return;
    t3d_graph_free(p->g);
    free(p);
}

/* n <= CHUNK pixels. Colours come weighted by alpha, over black. */
static void store(uint8_t *rgba, const t3d_real *rgb, const t3d_real *alpha, size_t n,
                  enum t3d_splat_background background)
{
    float scale[CHUNK];

    for (size_t i = 0; i < n; i++)
        scale[i] = background == T3D_SPLAT_BLACK ? 255 : alpha[i] > 0 ? 255 / (float)alpha[i] : 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 3; k++) {
            float x = (float)rgb[3 * i + k] * scale[i] + 0.5F;

            rgba[4 * i + k] = (uint8_t)(int)(x < 255.F ? x > 0 ? x : 0 : 255.F);
        }
        rgba[4 * i + 3] =
            background == T3D_SPLAT_BLACK ? 255 : (uint8_t)(int)((float)alpha[i] * 255 + 0.5F);
    }
}

int t3d_splat_paint(struct t3d_splat_painter *p, const struct t3d_camera *c,
                    enum t3d_splat_background background, uint8_t *rgba, float *depth,
                    struct t3d_err *err)
{
    size_t n = (size_t)p->side * (size_t)p->side;
    const t3d_real *rgb, *alpha, *z;
    int r;

    if (p->empty) {
        for (size_t i = 0; i < n; i++)
            memcpy(rgba + 4 * i, background == T3D_SPLAT_BLACK ? "\0\0\0\377" : "\0\0\0\0", 4);
        if (depth)
            memset(depth, 0, n * sizeof *depth);
        return T3D_OK;
    }
    t3d_splat_camera(t3d_graph_data(p->g, p->cameras), c, p->side, p->side);
    r = t3d_graph_forward(p->g, err);
    if (r < 0)
        return r;
    rgb = t3d_graph_data(p->g, p->out);
    alpha = t3d_graph_data(p->g, t3d_graph_output(p->out, 1));
    z = t3d_graph_data(p->g, t3d_graph_output(p->out, 2));
    for (size_t i = 0; i < n; i += CHUNK)
        store(rgba + 4 * i, rgb + 3 * i, alpha + i, T3D_MIN((size_t)CHUNK, n - i), background);
    for (size_t i = 0; i < n && depth; i++)
        depth[i] = (float)z[i];
    return T3D_OK;
}

/* Views part, part + parts, ... */
static int draw(struct t3d_splat_picture *out, const struct t3d_gaussians *g,
                const struct t3d_view_set *set, int side, int threads, size_t part, size_t parts,
                struct t3d_err *err)
{
    size_t n = (size_t)side * (size_t)side;
    struct t3d_splat_painter *p = NULL;
    int r = t3d_splat_painter_new(&p, g, side, threads, err);

    for (size_t i = part; i < set->n && r == T3D_OK; i += parts)
        r = t3d_splat_paint(p, &set->camera[i], T3D_SPLAT_STRAIGHT, out->rgba + 4 * n * i,
                            out->depth + n * i, err);
    t3d_splat_painter_free(p);
    return r;
}

/* A thread a share of the views. */
static int draw_shared(struct t3d_splat_picture *out, const struct t3d_gaussians *g,
                       const struct t3d_view_set *set, int side, int threads, struct t3d_err *err)
{
    struct t3d_err first = {0};

#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int i = 0; i < threads; i++) {
        struct t3d_err mine = {0};

        if (draw(out, g, set, side, 1, (size_t)i, (size_t)threads, &mine) < 0)
#pragma omp critical
            first = mine;
    }
    if (first.code && err)
        *err = first;
    return first.code;
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
    if (g->n == 0)
        return T3D_OK;
    return threads > 1 && side <= WHOLE_VIEWS && set->n >= (size_t)threads
               ? draw_shared(out, g, set, side, threads, err)
               : draw(out, g, set, side, threads, 0, 1, err);
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

void t3d_splat_camera(t3d_real row[T3D_SPLAT_CAMERA], const struct t3d_camera *c, int width,
                      int height)
{
    /* the field of view is that of the height; pixels are square */
    double f = height / (2 * tan(c->fov_deg * M_PI / 360));

    row[T3D_SPLAT_FX] = row[T3D_SPLAT_FY] = (t3d_real)f;
    row[T3D_SPLAT_CX] = (t3d_real)(width / 2.);
    row[T3D_SPLAT_CY] = (t3d_real)(height / 2.);
    for (int i = 0; i < 12; i++)
        row[T3D_SPLAT_W2C + i] = (t3d_real)c->w2c[i / 4][i % 4];
}
