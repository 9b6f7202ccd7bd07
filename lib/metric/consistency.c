/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/consistency.h"

#include <math.h>
#include <stdlib.h>

#define TOLERANCE .02 /* of depths, in radii of the object's sphere */

enum { COVERED = 128 };

struct view {
    const uint8_t *rgba;
    const float *depth;
    double focal;
};

struct warp {
    struct view from, to;
    double m[3][4]; /* from one camera's coordinates to the other's; OpenCV axes */
    int side;
};

/* to.w2c times from.w2c^-1: R = Q P^T, t = u - R s for x_from = P x + s, x_to = Q x + u. */
static void relate(double m[3][4], const struct t3d_camera *from, const struct t3d_camera *to)
{
    for (int i = 0; i < 3; i++) {
        m[i][3] = to->w2c[i][3];
        for (int j = 0; j < 3; j++) {
            m[i][j] = 0;
            for (int k = 0; k < 3; k++)
                m[i][j] += to->w2c[i][k] * from->w2c[j][k];
            m[i][3] -= m[i][j] * from->w2c[j][3];
        }
    }
}

/* Is the pixel covered, and as deep as z? */
static int seen(const struct view *v, size_t i, double z)
{
    return v->depth[i] > 0 && v->rgba[4 * i + 3] >= COVERED && fabs(v->depth[i] - z) <= TOLERANCE;
}

/* The mean difference of a pixel's colour and that of (u, v) of the other picture, pixel centres at
 * whole numbers; -1 = not seen there. */
static double difference(const struct warp *w, const uint8_t *pixel, double u, double v, double z)
{
    double x0 = floor(u), y0 = floor(v), fx = u - x0, fy = v - y0, sum = 0;
    size_t side = (size_t)w->side, i;

    if (!(x0 >= 0 && y0 >= 0 && x0 + 1 < w->side && y0 + 1 < w->side))
        return -1;
    i = (size_t)y0 * side + (size_t)x0;
    if (!seen(&w->to, i, z) || !seen(&w->to, i + 1, z) || !seen(&w->to, i + side, z) ||
        !seen(&w->to, i + side + 1, z))
        return -1;
    for (size_t c = 0; c < 3; c++) {
        const uint8_t *p = w->to.rgba + 4 * i + c;
        double above = p[0] + fx * (p[4] - p[0]);
        double below = p[4 * side] + fx * (p[4 * side + 4] - p[4 * side]);
        sum += fabs(above + fy * (below - above) - pixel[c]);
    }
    return sum / (3 * 255.);
}

static double warp_row(const struct warp *w, int y, uint64_t *pixels)
{
    double centre = .5 * w->side, sum = 0;

    for (int x = 0; x < w->side; x++) {
        size_t i = (size_t)y * (size_t)w->side + (size_t)x;
        double z = w->from.depth[i], p[3], q[3], d;

        if (!(z > 0) || w->from.rgba[4 * i + 3] < COVERED)
            continue;
        p[0] = (x + .5 - centre) / w->from.focal * z;
        p[1] = (y + .5 - centre) / w->from.focal * z;
        p[2] = z;
        for (int k = 0; k < 3; k++)
            q[k] = w->m[k][0] * p[0] + w->m[k][1] * p[1] + w->m[k][2] * p[2] + w->m[k][3];
        if (!(q[2] > 0))
            continue;
        d = difference(w, w->from.rgba + 4 * i, w->to.focal * q[0] / q[2] + centre - .5,
                       w->to.focal * q[1] / q[2] + centre - .5, q[2]);
        if (d < 0)
            continue;
        sum += d;
        ++*pixels;
    }
    return sum;
}

static struct view view_of(const struct t3d_view_set *set, int i, const uint8_t *rgba,
                           const float *depth, int side)
{
    size_t at = (size_t)i * (size_t)side * (size_t)side;
    double k[3][3];

    t3d_camera_intrinsics(&set->camera[i], (uint32_t)side, k);
    return (struct view){rgba + 4 * at, depth + at, k[0][0]};
}

int t3d_view_consistency(struct t3d_consistency *out, const struct t3d_view_set *set, int ring,
                         const uint8_t *rgba, const float *depth, int side, int threads,
                         struct t3d_err *err)
{
    size_t rows = 2 * (size_t)ring * (size_t)side;
    double *sum = calloc(rows + 1, sizeof *sum), total = 0;
    uint64_t pixels = 0;

    if (!sum)
        return t3d_err_nomem(err, "view consistency");
#pragma omp parallel for num_threads(threads) schedule(dynamic, 16) reduction(+ : pixels)
    for (size_t t = 0; t < rows; t++) {
        int pair = (int)(t / (size_t)side), a = pair / 2, b = (a + 1) % ring;
        struct warp w = {.side = side};
        uint64_t n = 0;

        if (pair % 2) {
            int other = a;
            a = b;
            b = other;
        }
        w.from = view_of(set, a, rgba, depth, side);
        w.to = view_of(set, b, rgba, depth, side);
        relate(w.m, &set->camera[a], &set->camera[b]);
        sum[t] = warp_row(&w, (int)(t % (size_t)side), &n);
        pixels += n;
    }
    for (size_t t = 0; t < rows; t++)
        total += sum[t];
    *out = (struct t3d_consistency){pixels ? 1 - total / (double)pixels : NAN, pixels};
    free(sum);
    return T3D_OK;
}
