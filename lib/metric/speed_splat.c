/* SPDX-License-Identifier: Apache-2.0 */
/* The splat rows: Gaussians about a pixel wide all over a sphere, as a feed-forward model gives
 * them, forward and backward. */
#include <math.h>

#include "base/clock.h"
#include "base/rng.h"
#include "draw/splat.h"
#include "geom/camera.h"
#include "metric/speed.h"
#include "num/ops.h"

struct size {
    int samples, n, views, side;
};

struct splats {
    struct t3d_graph *g;
    struct t3d_ref xyz, log_scale, quaternion, opacity, rgb, cameras;
};

static void fill_gaussians(struct splats *s, const struct size *size)
{
    t3d_real *xyz = t3d_graph_data(s->g, s->xyz), *scale = t3d_graph_data(s->g, s->log_scale),
             *q = t3d_graph_data(s->g, s->quaternion), *o = t3d_graph_data(s->g, s->opacity),
             *rgb = t3d_graph_data(s->g, s->rgb);
    struct t3d_rng r = t3d_rng_for(1, "speed splat", 0);
    double pixel = 2 * T3D_DEFAULT_DISTANCE * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360) / size->side;

    for (int i = 0; i < size->samples * size->n; i++) {
        double v[3], length = 0;

        for (int k = 0; k < 3; k++) {
            v[k] = t3d_rng_normal(&r);
            length += v[k] * v[k];
        }
        for (int k = 0; k < 3; k++) {
            xyz[i * 3 + k] = (t3d_real)(0.8 * v[k] / sqrt(length));
            scale[i * 3 + k] = (t3d_real)(log(pixel) + t3d_rng_uniform(&r) - 0.5);
            rgb[i * 3 + k] = (t3d_real)t3d_rng_uniform(&r);
        }
        for (int k = 0; k < 4; k++)
            q[i * 4 + k] = (t3d_real)t3d_rng_normal(&r);
        o[i] = (t3d_real)(2 * t3d_rng_normal(&r));
    }
}

static void fill_cameras(struct splats *s, const struct size *size)
{
    t3d_real *row = t3d_graph_data(s->g, s->cameras);

    for (int i = 0; i < size->samples * size->views; i++) {
        struct t3d_camera c = {.azimuth_deg = 30 * i,
                               .elevation_deg = 20,
                               .distance = T3D_DEFAULT_DISTANCE,
                               .fov_deg = T3D_DEFAULT_FOV_DEG};

        t3d_camera_place(&c);
        t3d_splat_camera(row + (size_t)i * T3D_SPLAT_CAMERA, &c, size->side, size->side);
    }
}

static int open_splats(struct splats *s, const struct size *size, int threads, struct t3d_err *err)
{
    struct t3d_plan plan = {.loss = T3D_NONE};
    struct t3d_graph *g = s->g = t3d_graph_new(T3D_CPU, threads);
    struct t3d_ref r;

    if (!g)
        return t3d_err_nomem(err, "a graph");
    s->xyz = t3d_graph_param(g, "xyz", T3D_SHAPE(size->samples, size->n, 3));
    s->log_scale = t3d_graph_param(g, "log_scale", T3D_SHAPE(size->samples, size->n, 3));
    s->quaternion = t3d_graph_param(g, "quaternion", T3D_SHAPE(size->samples, size->n, 4));
    s->opacity = t3d_graph_param(g, "opacity", T3D_SHAPE(size->samples, size->n, 1));
    s->rgb = t3d_graph_param(g, "rgb", T3D_SHAPE(size->samples, size->n, 3));
    s->cameras =
        t3d_graph_input(g, "cameras", T3D_SHAPE(size->samples, size->views, T3D_SPLAT_CAMERA));
    r = t3d_splat(g, s->xyz, s->log_scale, s->quaternion, s->opacity, s->rgb, s->cameras,
                  &(struct t3d_splat){.width = size->side, .height = size->side});
    plan.loss = t3d_add(g, t3d_mean(g, r, -1), t3d_mean(g, t3d_graph_output(r, 1), -1));
    if (t3d_graph_build(g, &plan, err) < 0)
        return T3D_FAIL;
    fill_gaussians(s, size);
    fill_cameras(s, size);
    return T3D_OK;
}

static int measure(struct t3d_speed *b, const struct size *size, struct t3d_speed_row *row,
                   struct t3d_err *err)
{
    struct splats s;
    double from, drawn;
    int r;

    *row = (struct t3d_speed_row){.unit = "Gaussians",
                                  .work = (double)size->samples * size->n * size->views,
                                  .threads = b->threads,
                                  .phase = {"forward", "backward"}};
    r = open_splats(&s, size, b->threads, err);
    /* the second time: memory is there by then */
    for (int i = 0; r == T3D_OK && i < 2; i++) {
        from = t3d_clock_s();
        r = t3d_graph_forward(s.g, err);
        drawn = t3d_clock_s();
        if (r == T3D_OK)
            r = t3d_graph_backward(s.g, err);
        row->phase_s[0] = drawn - from;
        row->phase_s[1] = t3d_clock_s() - drawn;
    }
    t3d_graph_free(s.g);
    return r;
}

int t3di_speed_splat(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return measure(b, &(struct size){1, 65536, 1, 256}, row, err);
}

int t3di_speed_splat_small(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return measure(b, &(struct size){1, 4096, 1, 64}, row, err);
}

int t3di_speed_splat_batch(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return measure(b, &(struct size){32, 4096, 4, 32}, row, err);
}
