/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing: one thread, one NDJSON row an object and set of passes.
 *
 *     build/release/bench/draw
 *
 * Objects made here: bumpy spheres of some numbers of triangles under a noisy 1024 x 1024 texture,
 * the last also with every texture slot in use. Each figure is the median of 5 runs over the 20
 * views of ring16+4 at 512 x 512; the phases are those of the same run. */
#include <math.h>

#include "../unit/draw_scene.h"
#include "base/rng.h"
#include "draw/draw_impl.h"

enum { RUNS = 5, SIDE = 512 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const struct t3d_err *err)
{
    fprintf(stderr, "bench draw: %s\n", err->msg);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void make_object(struct ds *d, int n, int slots)
{
    struct t3d_rng r = t3d_rng_for(1, "bench", (uint64_t)n);
    uint32_t vertices = (uint32_t)((n + 1) * (2 * n + 1)),
             triangles = 4 * (uint32_t)n * (uint32_t)n;

    ds_init(d, vertices, triangles);
    uint8_t *px = ds_image(d, 1024, 1024);
    for (int i = 0; i < 1024 * 1024 * 4; i++)
        px[i] = i % 4 == 3 ? 255 : (uint8_t)(128 + t3d_rng_u32(&r) % 64);
    ds_sphere(d, n, .8f);
    for (uint32_t k = 0; k < d->s.n_vertices; k++) {
        float *p = d->s.position[k], s = 1 + .1f * sinf(9 * p[0]) * sinf(7 * p[1]);
        for (int j = 0; j < 3; j++)
            p[j] *= s;
    }
    struct t3d_material m = ds_material(1, 1, 1, .3f, .7f);
    for (int k = 0; k < slots; k++)
        m.texture[k == 1   ? T3D_TEX_NORMAL
                  : k == 2 ? T3D_TEX_METAL_ROUGH
                  : k == 3 ? T3D_TEX_OCCLUSION
                           : k]
            .image = 0;
    ds_draw(d, m, T3D_HAS_NORMAL | T3D_HAS_UV0);
}

static void measure(int n, int slots, unsigned passes)
{
    struct ds d;
    struct t3d_err err;
    struct t3d_model *m;
    struct t3d_canvas *c;
    struct t3d_view_set views;
    double total[RUNS], phase[T3DI_N_PHASE] = {0}, coverage = 0;

    make_object(&d, n, slots);
    double start = now();
    if (t3d_model_new(&m, &d.s, &ds_identity, &err) < 0 ||
        t3d_canvas_new(&c, SIDE, passes, &err) < 0 ||
        t3d_view_set_load(&views, "ring16+4", &d.a, &err) < 0)
        stop(&err);
    double model = now() - start;
    for (int r = 0; r < RUNS; r++) {
        memset(phase, 0, sizeof phase);
        coverage = 0;
        start = now();
        for (size_t k = 0; k < views.n; k++) {
            if (t3d_draw(c, m, &views.camera[k], t3d_light_find("studio"), &err) < 0)
                stop(&err);
            const struct t3di_view *v = c->impl;
            for (int i = 0; i < T3DI_N_PHASE; i++)
                phase[i] += (double)v->nanoseconds[i];
            coverage += c->measures.coverage;
        }
        total[r] = (now() - start) / (double)views.n;
    }
    qsort(total, RUNS, sizeof *total, compare);
    double s = total[RUNS / 2], per = 1e-6 / (double)views.n;
    printf("{\"bench\":\"draw\",\"isa\":\"%s\",\"triangles\":%u,\"textures\":%d,\"passes\":%u,"
           "\"model_ms\":%.2f,\"view_ms\":%.3f,\"transform_ms\":%.3f,\"setup_ms\":%.3f,"
           "\"raster_ms\":%.3f,\"shade_ms\":%.3f,\"resolve_ms\":%.3f,\"mtri_s\":%.2f,\"mpix_s\":%."
           "1f}\n",
           t3d_draw_isa(), d.s.n_triangles, slots, passes, model * 1e3, s * 1e3,
           phase[T3DI_TRANSFORM] * per, phase[T3DI_SETUP] * per, phase[T3DI_RASTER] * per,
           phase[T3DI_SHADE] * per, phase[T3DI_RESOLVE] * per, d.s.n_triangles / s * 1e-6,
           coverage / (double)views.n * SIDE * SIDE / s * 1e-6);
    t3d_canvas_free(c);
    t3d_model_free(m);
    ds_free(&d);
}

int main(void)
{
    static const int size[] = {16, 35, 112,
                               354}; /* about 1,000, 5,000, 50,000 and 500,000 triangles */

    for (size_t k = 0; k < T3D_COUNT(size); k++)
        measure(size[k], 1, T3D_PASS_COLOR);
    measure(35, 4, T3D_PASS_COLOR);
    measure(35, 4, 31);
    return 0;
}
