/* SPDX-License-Identifier: Apache-2.0 */
/* The Gaussian rasteriser on the device against the host: pictures and gradients of random scenes.
 * Part of check.c. */
#ifndef T3D_TESTS_GPU_SPLAT_H
#define T3D_TESTS_GPU_SPLAT_H

#include "draw/splat.h"
#include "num/ops.h"
#include "tap.h"

enum { SPLAT_IN = 6, SPLAT_OUT = 3 };

struct splat_scene {
    const char *name;
    int samples, n, views;
    double size, logit; /* a Gaussian's, about; opacities are below and above this by 3 */
    struct t3d_splat attr;
};

struct splat_made {
    struct t3d_graph *g;
    struct t3d_ref in[SPLAT_IN], out[SPLAT_OUT], weight[SPLAT_OUT];
};

static const int splat_in_width[SPLAT_IN] = {3, 3, 4, 1, 3, T3D_SPLAT_CAMERA};

/* A camera in the distance 2.7 at this azimuth, that looks at the origin. */
static void put_splat_camera(float *row, double azimuth, const struct t3d_splat *a)
{
    double s = sin(azimuth), c = cos(azimuth);
    const double w2c[12] = {c, 0, -s, 0, 0, -1, 0, 0.1, -s, 0, -c, 2.7};

    row[T3D_SPLAT_FX] = row[T3D_SPLAT_FY] = (float)(1.1 * a->height);
    row[T3D_SPLAT_CX] = (float)a->width / 2;
    row[T3D_SPLAT_CY] = (float)a->height / 2;
    for (int i = 0; i < 12; i++)
        row[T3D_SPLAT_W2C + i] = (float)w2c[i];
}

static void fill_splats(struct splat_made *m, const struct splat_scene *s)
{
    state = 77;
    for (int i = 0; i < SPLAT_IN - 1; i++) {
        float *x = t3d_graph_data(m->g, m->in[i]);

        for (int k = 0; k < s->samples * s->n * splat_in_width[i]; k++) {
            double u = 2 * uniform() - 1;

            x[k] = (float)(i == 0   ? 0.8 * u
                           : i == 1 ? log(s->size) + u
                           : i == 3 ? s->logit + 3 * u
                           : i == 4 ? 0.5 + 0.5 * u
                                    : u);
        }
    }
    for (int i = 0; i < s->samples * s->views; i++)
        put_splat_camera((float *)t3d_graph_data(m->g, m->in[SPLAT_IN - 1]) +
                             (size_t)i * T3D_SPLAT_CAMERA,
                         0.3 + 0.9 * i, &s->attr);
    for (int k = 0; k < SPLAT_OUT; k++) {
        struct t3d_shape shape = t3d_graph_shape(m->g, m->weight[k]);
        float *w = t3d_graph_data(m->g, m->weight[k]);

        for (int64_t i = 0; i < t3d_shape_count(&shape); i++)
            w[i] = (float)(2 * uniform() - 1);
    }
    /* one that is nowhere, and one without a direction */
    ((float *)t3d_graph_data(m->g, m->in[0]))[4] = NAN;
    memset((float *)t3d_graph_data(m->g, m->in[2]) + 8, 0, 4 * sizeof(float));
}

static struct splat_made make_splats(enum t3d_backend backend, const struct splat_scene *s)
{
    static const char *const name[SPLAT_IN] = {"xyz",     "log_scale", "quaternion",
                                               "opacity", "rgb",       "cameras"};
    struct splat_made m = {.g = t3d_graph_new(backend, 1)};
    struct t3d_plan plan = {.loss = T3D_NONE, .poison = 1};
    struct t3d_err err = {0};
    struct t3d_ref r;

    for (int i = 0; i < SPLAT_IN - 1; i++)
        m.in[i] = t3d_graph_param(m.g, name[i], T3D_SHAPE(s->samples, s->n, splat_in_width[i]));
    m.in[SPLAT_IN - 1] =
        t3d_graph_input(m.g, name[SPLAT_IN - 1], T3D_SHAPE(s->samples, s->views, T3D_SPLAT_CAMERA));
    r = t3d_splat(m.g, m.in[0], m.in[1], m.in[2], m.in[3], m.in[4], m.in[5], &s->attr);
    for (int k = 0; k < SPLAT_OUT; k++) {
        struct t3d_ref part;
        char weight[16];

        t3d_graph_keep(m.g, m.out[k] = t3d_graph_output(r, k));
        snprintf(weight, sizeof weight, "weight%d", k);
        m.weight[k] = t3d_graph_input(m.g, weight, t3d_graph_shape(m.g, m.out[k]));
        part = t3d_sum(m.g, t3d_mul(m.g, m.out[k], m.weight[k]), -1);
        plan.loss = k ? t3d_add(m.g, plan.loss, part) : part;
    }
    if (t3d_graph_build(m.g, &plan, &err) < 0)
        stop("splat", err.msg);
    fill_splats(&m, s);
    return m;
}

static void run_splats(struct splat_made *m)
{
    struct t3d_err err = {0};

    t3d_graph_zero_grad(m->g);
    if (t3d_graph_forward(m->g, &err) < 0 || t3d_graph_backward(m->g, &err) < 0)
        stop("splat", err.msg);
}

/* Pixels where the order of two roundings decides whether a Gaussian counts may differ: the mean
 * difference is compared, relative to the largest number. */
static double splat_distance(const float *x, const float *want, int64_t n)
{
    double sum = 0, scale = 1e-6;

    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)want[i]));
        sum += isfinite(x[i]) ? fabs((double)x[i] - (double)want[i]) : 1e9;
    }
    return sum / (double)n / scale;
}

static void check_splats(const struct splat_scene *s)
{
    struct splat_made host = make_splats(T3D_CPU, s), dev = make_splats(T3D_CUDA, s);
    double picture = 0, gradient = 0;
    int64_t n;
    float *first;
    int same;

    run_splats(&host);
    run_splats(&dev);
    for (int k = 0; k < SPLAT_OUT; k++) {
        struct t3d_shape shape = t3d_graph_shape(host.g, host.out[k]);

        picture = fmax(picture, splat_distance(t3d_graph_data(dev.g, dev.out[k]),
                                               t3d_graph_data(host.g, host.out[k]),
                                               t3d_shape_count(&shape)));
    }
    for (int i = 0; i < SPLAT_IN - 1; i++)
        gradient = fmax(gradient, splat_distance(t3d_graph_grad(dev.g, dev.in[i]),
                                                 t3d_graph_grad(host.g, host.in[i]),
                                                 (int64_t)s->samples * s->n * splat_in_width[i]));
    t3d_graph_grad_block(dev.g, &n);
    first = malloc((size_t)n * sizeof *first);
    if (!first)
        stop("splat", "out of memory");
    memcpy(first, t3d_graph_grad_block(dev.g, &n), (size_t)n * sizeof *first);
    run_splats(&dev);
    same = memcmp(first, t3d_graph_grad_block(dev.g, &n), (size_t)n * sizeof *first) == 0;
    report(picture < 1e-6 && gradient < 2e-6 && same,
           "splat, %s%s # pictures %.1e, gradients %.1e apart", s->name,
           same ? "" : ": the second run differs", picture, gradient);
    free(first);
    t3d_graph_free(host.g);
    t3d_graph_free(dev.g);
}

static void check_splat(void)
{
    static const struct splat_scene scene[] = {
        {"one of each", 1, 5, 1, 0.3, 0, {.width = 16, .height = 16}},
        {"samples and views", 2, 40, 2, 0.1, 0, {.width = 33, .height = 20}},
        {"opaque, many to a tile", 1, 700, 1, 0.15, 5, {.width = 24, .height = 24}},
        {"little room for pairs", 1, 60, 2, 0.4, -1, {.width = 48, .height = 40, .pairs = 60}},
        {"median depth", 1, 80, 1, 0.2, 1, {.width = 32, .height = 16, .depth = T3D_SPLAT_MEDIAN}}};

    for (size_t i = 0; i < T3D_COUNT(scene); i++)
        check_splats(&scene[i]);
}

#endif
