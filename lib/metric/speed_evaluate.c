/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluate rows: the parts of an evaluation on generated shapes and pictures, and whole pairs
 * of the inputs. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "geom/import.h"
#include "geom/read.h"
#include "geom/surface.h"
#include "metric/emd.h"
#include "metric/iou.h"
#include "metric/picture.h"
#include "metric/speed.h"
#include "metric/views.h"

enum { FEW = 10000, MANY = 1000000, REPEAT = 20 };

#define TURN 6.283185307179586

/* --- shapes --- */

/* A bumpy torus of outer diameter about 1. */
static void fill_torus(float (*p)[3], uint32_t n, uint64_t stream)
{
    struct t3d_rng r = t3d_rng_for(1, "torus", stream);

    for (uint32_t i = 0; i < n; i++) {
        double u = TURN * t3d_rng_uniform(&r), v = TURN * t3d_rng_uniform(&r);
        double tube = .14 + .02 * sin(7 * u) * sin(5 * v), from_axis = .36 + tube * cos(v);
        p[i][0] = (float)(from_axis * cos(u));
        p[i][1] = (float)(tube * sin(v));
        p[i][2] = (float)(from_axis * sin(u));
    }
}

/* The surface of a cube of side 1. */
static void fill_box(float (*p)[3], uint32_t n, uint64_t stream)
{
    struct t3d_rng r = t3d_rng_for(1, "box", stream);

    for (uint32_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)(t3d_rng_uniform(&r) - .5);
        p[i][t3d_rng_below(&r, 3)] = t3d_rng_below(&r, 2) ? .5f : -.5f;
    }
}

/* A sphere about (x, 0, 0) of `rings` x 2 rings quadrangles, closed by positions. */
static int make_sphere(struct t3d_scene *s, struct t3d_arena *a, uint32_t rings, double x,
                       struct t3d_err *err)
{
    uint32_t around = 2 * rings, n = 0;

    *s = (struct t3d_scene){.n_vertices = (rings + 1) * around};
    s->position = t3d_alloc(a, s->n_vertices, sizeof *s->position);
    s->triangle = t3d_alloc(a, 2 * (size_t)rings * around, sizeof *s->triangle);
    if (!s->position || !s->triangle)
        return t3d_err_nomem(err, "a sphere");
    for (uint32_t i = 0; i <= rings; i++)
        for (uint32_t j = 0; j < around; j++) {
            double t = .5 * TURN * i / rings, f = TURN * j / around;
            double ring = i == 0 || i == rings ? 0 : sin(t);
            float *p = s->position[i * around + j];
            p[0] = (float)(x + ring * cos(f));
            p[1] = (float)cos(t);
            p[2] = (float)(-ring * sin(f));
        }
    for (uint32_t i = 0; i < rings; i++)
        for (uint32_t j = 0; j < around; j++) {
            uint32_t k = (j + 1) % around, p = i * around + j, q = i * around + k;
            uint32_t *t = s->triangle[n];
            if (i > 0) { /* at a pole one of the two has no area */
                t[0] = p, t[1] = q + around, t[2] = q;
                t = s->triangle[++n];
            }
            if (i + 1 < rings) {
                t[0] = p, t[1] = p + around, t[2] = q + around;
                n++;
            }
        }
    s->n_triangles = n;
    return T3D_OK;
}

/* --- rows --- */

static int time_clouds(double *seconds, struct t3d_speed *b, uint32_t n, int repeat,
                       struct t3d_err *err)
{
    struct t3d_distance_options o = {.scale = 1, .edge = 1, .threads = b->threads};
    float(*p)[3] = malloc(2 * (size_t)n * sizeof *p);
    struct t3d_points x = {n, p, NULL}, y = {n, p + n, NULL};
    struct t3d_distances d;
    double start;
    int r = p ? T3D_OK : t3d_err_nomem(err, "points");

    if (r == T3D_OK) {
        fill_torus(p, n, 1);
        fill_torus(p + n, n, 2);
    }
    start = t3d_clock_s();
    for (int i = 0; i < repeat && r == T3D_OK; i++)
        r = t3d_distances(&d, &x, &y, &o, err);
    *seconds = (t3d_clock_s() - start) / repeat;
    free(p);
    return r;
}

int t3di_speed_chamfer(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    int r;

    *row = (struct t3d_speed_row){
        .unit = "points", .work = 2. * (FEW + MANY), .threads = b->threads, .phase = {"10k", "1M"}};
    r = time_clouds(&row->phase_s[0], b, FEW, REPEAT, err);
    return r == T3D_OK ? time_clouds(&row->phase_s[1], b, MANY, 1, err) : r;
}

/* Each size twice: two samples of one torus, and of a torus and a box. */
static int time_emd(struct t3d_speed *b, struct t3d_speed_row *row, const uint32_t *size, int sizes,
                    struct t3d_err *err)
{
    float(*p)[3] = t3d_alloc(&b->arena, 3 * (size_t)size[sizes - 1], sizeof *p);
    int r = p ? T3D_OK : t3d_err_nomem(err, "points");

    row->unit = "points";
    row->threads = 1;
    for (int k = 0; k < 2 * sizes && r == T3D_OK; k++) {
        uint32_t n = size[k / 2];
        struct t3d_emd e;
        double start;
        fill_torus(p, n, 1);
        fill_torus(p + n, n, 2);
        fill_box(p + 2 * n, n, 3);
        start = t3d_clock_s();
        r = t3d_emd(&e, (const float(*)[3])p, (const float(*)[3])(p + (size_t)(1 + k % 2) * n), n,
                    0, NULL, err);
        row->phase_s[k] = t3d_clock_s() - start;
        row->work += n;
    }
    return r;
}

int t3di_speed_emd(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const uint32_t size[] = {1024, 2048, 4096};

    *row = (struct t3d_speed_row){
        .phase = {"same-1024", "box-1024", "same-2048", "box-2048", "same-4096", "box-4096"}};
    return time_emd(b, row, size, T3D_COUNT(size), err);
}

int t3di_speed_emd_large(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const uint32_t size[] = {8192, 16384};

    *row = (struct t3d_speed_row){.phase = {"same-8192", "box-8192", "same-16384", "box-16384"}};
    return time_emd(b, row, size, T3D_COUNT(size), err);
}

int t3di_speed_sample(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    float(*p)[3] = malloc(MANY * sizeof *p);
    struct t3d_surface *f = NULL;
    struct t3d_arena a = {0};
    struct t3d_scene s;
    double start;
    int r = p ? make_sphere(&s, &a, 143, 0, err) : t3d_err_nomem(err, "points");

    *row = (struct t3d_speed_row){
        .unit = "points", .work = MANY, .threads = b->threads, .phase = {"sample"}};
    if (r == T3D_OK)
        memset(p, 0, MANY * sizeof *p); /* the pages are there */
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_surface_new(&f, &s, err);
    if (r == T3D_OK)
        t3d_surface_sample(f, 1, "bench", 0, 0, MANY, p, NULL, b->threads);
    row->phase_s[0] = t3d_clock_s() - start;
    t3d_surface_free(f);
    t3d_arena_free(&a);
    free(p);
    return r;
}

int t3di_speed_iou(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_geometry x = {.lo = {-1, -1, -1}, .hi = {1, 1, 1}},
                        y = {.lo = {-.7, -1, -1}, .hi = {1.3, 1, 1}};
    struct t3d_arena a = {0};
    struct t3d_iou iou;
    double start;
    int r = make_sphere(&x.scene, &a, 71, 0, err);

    *row = (struct t3d_speed_row){
        .unit = "cells", .work = 2. * 128 * 128 * 128, .threads = b->threads, .phase = {"iou"}};
    if (r == T3D_OK)
        r = make_sphere(&y.scene, &a, 71, .3, err);
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_iou(&iou, &x, &y, b->threads, err);
    row->phase_s[0] = t3d_clock_s() - start;
    t3d_arena_free(&a);
    return r;
}

/* A striped disc with a soft edge, and the same with noise. */
static void fill_pictures(uint8_t *a, uint8_t *b, uint32_t side)
{
    struct t3d_rng r = t3d_rng_for(1, "picture", 0);

    for (uint32_t i = 0; i < side * side; i++) {
        double x = (i % side + .5) / side * 2 - 1, y = (i / side + .5) / side * 2 - 1;
        double alpha = T3D_CLAMP((.64 - x * x - y * y) * 60, 0, 1);
        for (int c = 0; c < 3; c++) {
            double v = .5 + .4 * sin((9 + 8 * c) * x + 5 * y);
            a[4 * i + (uint32_t)c] = (uint8_t)(255 * v);
            b[4 * i + (uint32_t)c] = (uint8_t)(255 * T3D_CLAMP(v + .02 * t3d_rng_normal(&r), 0, 1));
        }
        a[4 * i + 3] = b[4 * i + 3] = (uint8_t)(255 * alpha);
    }
}

int t3di_speed_pictures(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    size_t bytes = 4 * (size_t)b->resolution * b->resolution;
    uint8_t *p = malloc(2 * bytes);
    struct t3d_picture_pair pair = {p, p + bytes, b->resolution, b->resolution};
    int r = p ? T3D_OK : t3d_err_nomem(err, "pictures"), capped;
    double s, start;

    *row = (struct t3d_speed_row){
        .unit = "pairs", .work = 1, .threads = b->threads, .phase = {"psnr", "ssim", "ssim-7x7"}};
    if (r == T3D_OK)
        fill_pictures(p, p + bytes, b->resolution);
    for (int k = 0; k < 3; k++) {
        start = t3d_clock_s();
        for (int i = 0; i < REPEAT && r == T3D_OK; i++) {
            if (k == 0)
                (void)t3d_psnr(&pair, T3D_PSNR_WHITE, b->threads, &capped);
            else
                r = t3d_ssim(&s, &pair, k == 1 ? T3D_SSIM_GAUSS11 : T3D_SSIM_SKIMAGE, b->threads,
                             err);
        }
        row->phase_s[k] = (t3d_clock_s() - start) / REPEAT;
    }
    free(p);
    return r;
}

/* One input beside itself: everything that evaluate does for a pair of meshes. */
static int evaluate_input(struct t3d_speed *b, struct t3d_speed_row *row, size_t i, int thread,
                          const struct t3d_pair_options *o, struct t3d_err *err)
{
    struct t3d_pair_result *out = malloc(sizeof *out);
    struct t3d_geometry s[2];
    double start = t3d_clock_s(), read, shapes;
    int r = out ? T3D_OK : t3d_err_nomem(err, "a pair"), n = 0;

    for (; n < 2 && r == T3D_OK; n++)
        r = t3d_geometry_open(&s[n], b->importer, thread, b->input[i].path, T3D_READ_PIXELS, err);
    read = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_pair_shapes(out, o, "bench", &s[0], &s[1], err);
    shapes = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_pair_views(out, o, &s[0], &s[1], NULL, err);
#pragma omp critical
    {
        row->phase_s[0] += read - start;
        row->phase_s[1] += shapes - read;
        row->phase_s[2] += t3d_clock_s() - shapes;
    }
    while (n > 0)
        t3d_geometry_close(&s[--n]);
    free(out);
    return r;
}

int t3di_speed_pairs(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const char *const all[] = {"all"};
    struct t3d_pair_options o = {.frame = T3D_FRAME_REF_BBOX1,
                                 .frame_name = "ref-bbox1",
                                 .n_points = 100000,
                                 .n_emd_points = 2048,
                                 .resolution = b->resolution,
                                 .threads = 1};
    double start = t3d_clock_s();
    int status = t3d_metrics_choose(&o.choice, all, 1, err), *r;

    *row = (struct t3d_speed_row){.unit = "pairs",
                                  .work = (double)b->n_inputs,
                                  .threads = b->threads,
                                  .phase = {"import", "geometry", "views"}};
    r = calloc(b->n_inputs, sizeof *r);
    if (!r)
        return t3d_err_nomem(err, "the pairs");
#pragma omp parallel num_threads(b->threads)
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < b->n_inputs; i++) {
            struct t3d_err why;
            r[i] = evaluate_input(b, row, i, thread, &o, &why);
            if (r[i] < 0) {
#pragma omp critical
                *err = why;
            }
        }
    }
    for (size_t i = 0; i < b->n_inputs && status == T3D_OK; i++)
        status = r[i];
    free(r);
    row->wall_s = t3d_clock_s() - start;
    return status;
}
