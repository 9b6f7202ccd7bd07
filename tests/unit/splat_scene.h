/* SPDX-License-Identifier: Apache-2.0 */
/* Random Gaussians before random cameras as a graph whose loss is a fixed weighted sum of all three
 * pictures. The same in float and double. */
#ifndef SPLAT_SCENE_H
#define SPLAT_SCENE_H

#include "num_case.h"

#include "draw/splat.h"
#include "geom/camera.h"

enum { S_XYZ, S_LOG_SCALE, S_QUATERNION, S_OPACITY, S_RGB, S_CAMERAS, S_N };

struct scene {
    int samples, n, views, threads;
    double scale;     /* ln of the size of a Gaussian */
    double max_logit; /* of the opacity: +- this */
    struct t3d_splat attr;
};

struct splatted {
    struct t3d_graph *g;
    struct t3d_ref in[S_N], out[3], loss;
};

static const int splat_width[S_N] = {3, 3, 4, 1, 3, T3D_SPLAT_CAMERA};

/* Camera v of sample b looks from another side; no two are alike. */
static inline void fill_cameras(t3d_real *row, const struct scene *s)
{
    for (int i = 0; i < s->samples * s->views; i++) {
        struct t3d_camera c = {.azimuth_deg = 40. * i + 7,
                               .elevation_deg = 15 + 9. * i,
                               .distance = T3D_DEFAULT_DISTANCE,
                               .fov_deg = T3D_DEFAULT_FOV_DEG};

        t3d_camera_place(&c);
        t3d_splat_camera(row + (size_t)i * T3D_SPLAT_CAMERA, &c, s->attr.width, s->attr.height);
    }
}

static inline double scene_value(const struct scene *s, int input, struct t3d_rng *r)
{
    switch (input) {
    case S_XYZ:
        return 1.4 * t3d_rng_uniform(r) - 0.7;
    case S_LOG_SCALE:
        return s->scale + t3d_rng_uniform(r) - 0.5;
    case S_OPACITY:
        return s->max_logit * (2 * t3d_rng_uniform(r) - 1);
    case S_RGB:
        return t3d_rng_uniform(r);
    default:
        return t3d_rng_normal(r);
    }
}

static inline void fill_scene(struct splatted *m, const struct scene *s)
{
    for (int i = 0; i < S_CAMERAS; i++) {
        struct t3d_rng r = t3d_rng_for(5, "splat", (uint64_t)i);
        t3d_real *x = t3d_graph_data(m->g, m->in[i]);

        for (int k = 0; k < s->samples * s->n * splat_width[i]; k++)
            x[k] = (float)scene_value(s, i, &r);
    }
    fill_cameras(t3d_graph_data(m->g, m->in[S_CAMERAS]), s);
}

static inline struct splatted make_scene(const struct scene *s)
{
    static const char *const name[S_N] = {"xyz",     "log_scale", "quaternion",
                                          "opacity", "rgb",       "cameras"};
    struct splatted m = {.g = t3d_graph_new(T3D_CPU, s->threads)};
    struct t3d_err err = {0};
    struct t3d_plan plan = {.poison = 1};
    struct t3d_ref r;

    assert_non_null(m.g);
    for (int i = 0; i < S_CAMERAS; i++)
        m.in[i] = t3d_graph_param(m.g, name[i], T3D_SHAPE(s->samples, s->n, splat_width[i]));
    m.in[S_CAMERAS] =
        t3d_graph_input(m.g, name[S_CAMERAS], T3D_SHAPE(s->samples, s->views, T3D_SPLAT_CAMERA));
    r = t3d_splat(m.g, m.in[0], m.in[1], m.in[2], m.in[3], m.in[4], m.in[5], &s->attr);
    for (int i = 0; i < 3; i++)
        t3d_graph_keep(m.g, m.out[i] = t3d_graph_output(r, i));
    plan.loss = m.loss = t3d_graph_node(m.g, &probe, NULL, m.out, 3);
    if (t3d_graph_build(m.g, &plan, &err) < 0)
        fail_msg("%s", err.msg);
    fill_scene(&m, s);
    return m;
}

static inline double run_scene(struct splatted *m)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(m->g, &err) < 0)
        fail_msg("%s", err.msg);
    return (double)*(t3d_real *)t3d_graph_data(m->g, m->loss);
}

static inline void run_scene_back(struct splatted *m)
{
    struct t3d_err err = {0};

    run_scene(m);
    t3d_graph_zero_grad(m->g);
    if (t3d_graph_backward(m->g, &err) < 0)
        fail_msg("%s", err.msg);
}

#endif
