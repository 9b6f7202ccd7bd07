/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "geom/tsdf.h"
#include "image/colour.h"

#define BEHIND   2.0 /* steps by which a vertex may lie behind what a view sees */
#define FLATTEST 0.1 /* smallest cosine between its normal and the line of sight */

/* The pixel that shows vertex p with normal n in view i, and its weight: 0 = it does not. */
static double seen(const struct t3d_depth_views *v, size_t i, double focal, const float p[3],
                   const float n[3], double step, const uint8_t **pixel)
{
    const struct t3d_camera *c = &v->set->camera[i];
    double q[3], toward = 0, length = 0, cosine, x, y;
    size_t at;

    for (int k = 0; k < 3; k++) {
        double d = c->c2w[k][3] - (double)p[k];
        q[k] = c->w2c[k][0] * (double)p[0] + c->w2c[k][1] * (double)p[1] +
               c->w2c[k][2] * (double)p[2] + c->w2c[k][3];
        toward += d * (double)n[k];
        length += d * d;
    }
    cosine = length > 0 ? toward / sqrt(length) : 0;
    x = focal * q[0] / q[2] + .5 * v->side;
    y = focal * q[1] / q[2] + .5 * v->side;
    if (!(cosine > FLATTEST) || !(q[2] > 0) || !(x >= 0 && y >= 0 && x < v->side && y < v->side))
        return 0;
    at = (i * (size_t)v->side + (size_t)y) * (size_t)v->side + (size_t)x;
    *pixel = v->rgba + 4 * at;
    if (!(v->depth[at] > 0) || q[2] > (double)v->depth[at] + BEHIND * step)
        return 0;
    return cosine * cosine * (*pixel)[3];
}

/* The mean is that of sRGB values, as pictures of splats mix their colours; 0 = no view sees it. */
static int color_of(float out[4], const struct t3d_depth_views *v, const double *focal,
                    const float p[3], const float n[3], double step)
{
    double sum[3] = {0, 0, 0}, weight = 0;

    for (size_t i = 0; i < v->set->n; i++) {
        const uint8_t *pixel;
        double w = seen(v, i, focal[i], p, n, step, &pixel);
        for (int k = 0; w > 0 && k < 3; k++)
            sum[k] += w * pixel[k];
        weight += w;
    }
    for (int k = 0; k < 3; k++)
        out[k] = weight > 0 ? t3d_srgb_to_linear((float)(sum[k] / weight / 255)) : 1;
    out[3] = 1;
    return weight > 0;
}

/* Sweeps over the mesh until nothing changes; each gives a ring of vertices a colour. */
static void spread(float (*color)[4], uint8_t *known, const struct t3d_mesh *m)
{
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t t = 0; t < m->n_triangles; t++)
            for (int k = 0; k < 3; k++) {
                uint32_t a = m->triangle[t][k], b = m->triangle[t][(k + 1) % 3];
                if (known[a] == known[b])
                    continue;
                memcpy(color[known[a] ? b : a], color[known[a] ? a : b], sizeof *color);
                known[a] = known[b] = 1;
                changed = 1;
            }
    }
}

int t3d_tsdf_colors(float (*color)[4], const struct t3d_mesh *m, const float (*normal)[3],
                    const struct t3d_depth_views *v, double step, int threads, struct t3d_err *err)
{
    double *focal = malloc((v->set->n + 1) * sizeof *focal);
    uint8_t *known = malloc((size_t)m->n_vertices + 1);
    int r = focal && known ? T3D_OK : t3d_err_nomem(err, "the colours of a surface");

    for (size_t i = 0; i < v->set->n && r == T3D_OK; i++) {
        double k[3][3];
        t3d_camera_intrinsics(&v->set->camera[i], (uint32_t)v->side, k);
        focal[i] = k[0][0];
    }
    if (r == T3D_OK) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (uint32_t i = 0; i < m->n_vertices; i++)
            known[i] = (uint8_t)color_of(color[i], v, focal, m->position[i], normal[i], step);
        spread(color, known, m);
    }
    free(known);
    free(focal);
    return r;
}
