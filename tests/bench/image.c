/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: milliseconds of one call on one thread, one NDJSON row a measurement.
 *
 *     build/release/bench/image [FILE.png...]
 *
 * Two pictures of 512 x 512 RGBA are made here: "flat", shaded solids in plain colours on a
 * transparent ground as a renderer makes them, and "noisy", the same with noise in every opaque
 * pixel. Files named on the command line (RGBA renders) are measured too, decoding as the file
 * stands. Each figure is the median of 5 runs of as many calls as fill 50 ms. */
#include <math.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/rng.h"
#include "image/image.h"
#include "image/png.h"
#include "image/resize.h"

enum { SIDE = 512, RUNS = 5 };

struct job {
    const uint8_t *rgba, *rgb, *png;
    uint32_t width, height;
    size_t png_size;
    struct t3d_png_writer *writer;
    struct t3d_arena arena;
    uint8_t *small; /* (224, 224, 3) */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what, const struct t3d_err *err)
{
    fprintf(stderr, "bench image: %s: %s\n", what, err->msg);
    exit(1);
}

static void encode(struct job *j)
{
    struct t3d_err err;

    if (t3d_png_encode(j->writer, j->rgba, j->width, j->height, 4, 8, NULL, 0, &j->png,
                       &j->png_size, &err) < 0)
        stop("encode", &err);
}

static void decode(struct job *j)
{
    struct t3d_image_info info;
    struct t3d_err err;
    uint8_t *px;

    if (t3d_image_decode(&info, &px, &j->arena, j->png, j->png_size, &err) < 0)
        stop("decode", &err);
    t3d_arena_reset(&j->arena);
}

static void probe(struct job *j)
{
    struct t3d_image_info info;
    struct t3d_err err;

    if (t3d_image_probe(&info, j->png, j->png_size, &err) < 0)
        stop("probe", &err);
}

static void resize(struct job *j)
{
    struct t3d_err err;

    if (t3d_resize(j->small, 224, 224, j->rgb, j->width, j->height, 3, T3D_FILTER_BICUBIC,
                   &j->arena, &err) < 0)
        stop("resize", &err);
    t3d_arena_reset(&j->arena);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *name, const char *picture, void (*f)(struct job *), struct job *j)
{
    double ms[RUNS], start = now();
    long calls = 1;

    f(j);
    calls += (long)(.05 / (now() - start + 1e-9));
    for (int r = 0; r < RUNS; r++) {
        start = now();
        for (long i = 0; i < calls; i++)
            f(j);
        ms[r] = (now() - start) * 1e3 / (double)calls;
    }
    qsort(ms, RUNS, sizeof *ms, compare);
    printf(
        "{\"bench\":\"%s\",\"picture\":\"%s\",\"width\":%u,\"height\":%u,\"ms\":%.6g,\"min\":%.6g,"
        "\"max\":%.6g,\"bytes\":%zu}\n",
        name, picture, j->width, j->height, ms[RUNS / 2], ms[0], ms[RUNS - 1], j->png_size);
}

/* file: the bytes to decode instead of what we write, or NULL. */
static void measure_all(const char *picture, const uint8_t *rgba, uint32_t w, uint32_t h,
                        const struct t3d_blob *file)
{
    struct job j = {.rgba = rgba, .width = w, .height = h};
    uint8_t *rgb = malloc((size_t)w * h * 3);
    struct t3d_err err;

    if (t3d_png_writer_new(&j.writer, &err) < 0)
        stop("writer", &err);
    for (size_t i = 0; i < (size_t)w * h; i++)
        memcpy(rgb + 3 * i, rgba + 4 * i, 3);
    j.rgb = rgb;
    j.small = malloc(224 * 224 * 3);
    measure("png-encode", picture, encode, &j);
    if (file) {
        j.png = file->data;
        j.png_size = file->size;
    }
    measure("png-decode", picture, decode, &j);
    measure("image-probe", picture, probe, &j);
    measure("resize-bicubic-224", picture, resize, &j);
    t3d_png_writer_free(j.writer);
    t3d_arena_free(&j.arena);
    free(j.small);
    free(rgb);
}

/* Lambert-shaded balls and blocks, edges smoothed over a pixel. */
static void paint(uint8_t *px, double noise)
{
    struct t3d_rng r = t3d_rng_for(1, "bench", 0);
    struct {
        double x, y, s, rgb[3];
        int ball;
    } solid[14];

    for (int k = 0; k < 14; k++) {
        solid[k].x = .25 + .5 * t3d_rng_uniform(&r);
        solid[k].y = .25 + .5 * t3d_rng_uniform(&r);
        solid[k].s = .05 + .13 * t3d_rng_uniform(&r);
        solid[k].ball = k % 2;
        for (int c = 0; c < 3; c++)
            solid[k].rgb[c] = .15 + .8 * t3d_rng_uniform(&r);
    }
    memset(px, 0, (size_t)SIDE * SIDE * 4);
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int k = 0; k < 14; k++) {
            double x = (i % SIDE + .5) / SIDE - solid[k].x,
                   y = (double)(i / SIDE) / SIDE - solid[k].y;
            double s = solid[k].s,
                   d = solid[k].ball ? hypot(x, y) : fmax(fabs(x + .3 * y), fabs(y));
            double a = fmin(1, fmax(0, (s - d) * SIDE + .5));
            double z = solid[k].ball ? sqrt(fmax(0, s * s - d * d)) / s : .9 - .1 * (y > 0);
            double light = .25 + .75 * fmax(0, .7 * z - .4 * (solid[k].ball ? x / s + y / s : x));

            if (a > 0)
                for (int c = 0; c < 4; c++) {
                    double n = noise > 0 ? noise * t3d_rng_normal(&r) : 0;
                    double v = c == 3 ? 1 : fmin(1, fmax(0, solid[k].rgb[c] * light + n));
                    px[4 * i + c] = (uint8_t)(255 * (a * v + (1 - a) * px[4 * i + c] / 255.) + .5);
                }
        }
}

int main(int argc, char **argv)
{
    uint8_t *px = malloc((size_t)SIDE * SIDE * 4);
    struct t3d_arena arena = {0};
    struct t3d_err err;

    paint(px, 0);
    measure_all("flat", px, SIDE, SIDE, NULL);
    paint(px, .02);
    measure_all("noisy", px, SIDE, SIDE, NULL);
    free(px);
    for (int i = 1; i < argc; i++) {
        struct t3d_image_info info;
        struct t3d_blob b;

        if (t3d_blob_open(&b, argv[i], 0, &err) < 0 ||
            t3d_image_decode(&info, &px, &arena, b.data, b.size, &err) < 0)
            stop(argv[i], &err);
        measure_all(t3d_path_base(argv[i]), px, info.width, info.height, &b);
        t3d_blob_close(&b);
        t3d_arena_reset(&arena);
    }
    t3d_arena_free(&arena);
    return 0;
}
