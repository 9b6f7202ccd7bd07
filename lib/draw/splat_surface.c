/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_surface.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "draw/splat_views.h"
#include "geom/tsdf.h"

#define VIEWS     "hammersley:20" /* from all sides: the underside counts too */
#define SMALLEST  0.02            /* share of the largest piece's triangles below which one goes */
#define MIN_LOGIT (-2.1972245773362196) /* of opacity 0.1 */
enum {
    RESOLUTION = 128,
    REACH = 3,     /* pixels: median depths jump from one Gaussian to the next */
    SMOOTHING = 10 /* rounds of the mesh */
};

#define SAME_SURFACE 4.0 /* steps of the grid between depths of one surface */

/* --- the frame ---------------------------------------------------------------------------------
 */

static int is_finite(const struct t3d_gaussians *g, size_t i)
{
    float sum = g->opacity[i];

    for (size_t k = 0; k < 3; k++)
        sum += 0 * g->xyz[3 * i + k] + 0 * g->log_scale[3 * i + k];
    return isfinite(sum);
}

static double extent_of(const struct t3d_gaussians *g, size_t i)
{
    const float *s = g->log_scale + 3 * i;

    return exp((double)fmaxf(fmaxf(s[0], s[1]), s[2]));
}

static size_t bound(double lo[3], double hi[3], const struct t3d_gaussians *g, double min_logit)
{
    size_t n = 0;

    for (int k = 0; k < 3; k++) {
        lo[k] = INFINITY;
        hi[k] = -INFINITY;
    }
    for (size_t i = 0; i < g->n; i++) {
        double r = extent_of(g, i);
        if ((double)g->opacity[i] < min_logit)
            continue;
        for (size_t k = 0; k < 3; k++) {
            lo[k] = fmin(lo[k], (double)g->xyz[3 * i + k] - r);
            hi[k] = fmax(hi[k], (double)g->xyz[3 * i + k] + r);
        }
        n++;
    }
    return n;
}

int t3d_splat_frame(struct t3d_normalisation *n, const struct t3d_gaussians *g, struct t3d_err *err)
{
    double lo[3], hi[3], far = 0, min_logit = MIN_LOGIT;

    if (g->n == 0)
        return t3d_err_set(err, T3D_SKIP, "no-gaussians", "the object has no Gaussians");
    for (size_t i = 0; i < g->n; i++)
        if (!is_finite(g, i))
            return t3d_err_value(err, T3D_SKIP, "non-finite", (double)i,
                                 "Gaussian %zu has a position, scale or opacity that is no number",
                                 i);
    if (bound(lo, hi, g, min_logit) == 0)
        bound(lo, hi, g, min_logit = -INFINITY);
    for (int k = 0; k < 3; k++)
        n->centre[k] = lo[k] + (hi[k] - lo[k]) / 2;
    for (size_t i = 0; i < g->n; i++) {
        double d = 0;
        for (size_t k = 0; k < 3; k++) {
            double x = (double)g->xyz[3 * i + k] - n->centre[k];
            d += x * x;
        }
        if ((double)g->opacity[i] >= min_logit)
            far = fmax(far, sqrt(d) + extent_of(g, i));
    }
    n->scale = 1 / far;
    if (!isfinite(far) || !(far > 0) || !isfinite(n->scale))
        return t3d_err_value(err, T3D_SKIP, "no-extent", far,
                             "the Gaussians lie within %g units: too large, or a point", far);
    return T3D_OK;
}

/* --- the surface -------------------------------------------------------------------------------
 */

/* xyz and log_scale in the frame's units; the rest is shared. */
static int move_to_frame(struct t3d_gaussians *out, const struct t3d_gaussians *g,
                         const struct t3d_normalisation *n, struct t3d_arena *a,
                         struct t3d_err *err)
{
    float *xyz = t3d_alloc_raw(a, g->n, 3 * sizeof *xyz),
          *scale = t3d_alloc_raw(a, g->n, 3 * sizeof *scale);

    if (!xyz || !scale)
        return t3d_err_nomem(err, "the Gaussians");
    for (size_t i = 0; i < 3 * g->n; i++) {
        xyz[i] = (float)(((double)g->xyz[i] - n->centre[i % 3]) * n->scale);
        scale[i] = (float)((double)g->log_scale[i] + log(n->scale));
    }
    *out = *g;
    out->xyz = xyz;
    out->log_scale = scale;
    return T3D_OK;
}

/* The mean of the depths around a pixel that belong to its surface. */
static float mean_depth(const float *depth, int side, int x, int y, float apart)
{
    float here = depth[(size_t)y * (size_t)side + (size_t)x], sum = 0;
    int n = 0;

    if (!(here > 0))
        return 0;
    for (int v = T3D_MAX(y - REACH, 0); v <= T3D_MIN(y + REACH, side - 1); v++)
        for (int u = T3D_MAX(x - REACH, 0); u <= T3D_MIN(x + REACH, side - 1); u++) {
            float d = depth[(size_t)v * (size_t)side + (size_t)u] - here;
            int same = d < apart && d > -apart; /* never where nothing is: that is 0 */
            sum += same ? d : 0;
            n += same;
        }
    return here + sum / (float)n;
}

/* apart: depths that differ by more belong to two surfaces. */
static int smooth(const float **out, const float *depth, size_t views, int side, double apart,
                  int threads, struct t3d_arena *a, struct t3d_err *err)
{
    size_t pixels = (size_t)side * (size_t)side;
    float *to = t3d_alloc_raw(a, views * pixels, sizeof *to);

    if (!to)
        return t3d_err_nomem(err, "depth pictures");
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (size_t row = 0; row < views * (size_t)side; row++) {
        size_t view = row / (size_t)side;
        int y = (int)(row % (size_t)side);
        for (int x = 0; x < side; x++)
            to[row * (size_t)side + (size_t)x] =
                mean_depth(depth + view * pixels, side, x, y, (float)apart);
    }
    *out = to;
    return T3D_OK;
}

static int color(struct t3d_colored_mesh *out, const struct t3d_depth_views *v, double step,
                 int threads, struct t3d_arena *a, struct t3d_err *err)
{
    out->normal = t3d_alloc_raw(a, out->mesh.n_vertices, sizeof *out->normal);
    out->color = t3d_alloc_raw(a, out->mesh.n_vertices, sizeof *out->color);
    if (!out->normal || !out->color)
        return t3d_err_nomem(err, "a surface");
    t3d_mesh_normals(out->normal, &out->mesh);
    return t3d_tsdf_colors(out->color, &out->mesh, (const float(*)[3])out->normal, v, step, threads,
                           err);
}

static void move_back(struct t3d_mesh *m, const struct t3d_normalisation *n)
{
    for (uint32_t i = 0; i < m->n_vertices; i++)
        for (int k = 0; k < 3; k++)
            m->position[i][k] = (float)((double)m->position[i][k] / n->scale + n->centre[k]);
}

int t3d_splat_surface(struct t3d_colored_mesh *out, const struct t3d_gaussians *g,
                      const struct t3d_splat_surface *o, struct t3d_arena *a, struct t3d_err *err)
{
    int resolution = o->resolution ? o->resolution : RESOLUTION;
    struct t3d_arena work = {0}; /* pictures and the grid go when the mesh is there */
    struct t3d_splat_picture pictures;
    struct t3d_normalisation frame;
    struct t3d_view_set set;
    struct t3d_gaussians moved;
    struct t3d_grid grid;
    struct t3d_depth_views v = {.set = &set, .side = o->side ? o->side : 2 * resolution};
    int r = t3d_splat_frame(&frame, g, err);

    if (r == T3D_OK)
        r = move_to_frame(&moved, g, &frame, &work, err);
    if (r == T3D_OK)
        r = t3d_view_set_load(&set, VIEWS, &work, err);
    if (r == T3D_OK)
        r = t3d_splat_views(&pictures, &moved, &set, v.side, o->threads, &work, err);
    if (r == T3D_OK) {
        v.rgba = pictures.rgba;
        r = smooth(&v.depth, pictures.depth, set.n, v.side, SAME_SURFACE * 2 / resolution,
                   o->threads, &work, err);
    }
    if (r == T3D_OK) {
        r = t3d_tsdf(&grid, &v, resolution, o->threads, &work, err);
    }
    if (r == T3D_OK)
        r = t3d_isosurface(&out->mesh, &grid, o->threads, a, err);
    if (r == T3D_OK)
        r = t3d_mesh_keep_large(&out->mesh, SMALLEST, &work, err);
    if (r == T3D_OK)
        r = t3d_mesh_smooth(&out->mesh, SMOOTHING, &work, err);
    if (r == T3D_OK && out->mesh.n_triangles == 0)
        r = t3d_err_set(err, T3D_SKIP, "no-surface", "the Gaussians enclose no solid");
    if (r == T3D_OK)
        r = color(out, &v, grid.step, o->threads, a, err);
    if (r == T3D_OK)
        move_back(&out->mesh, &frame);
    t3d_arena_free(&work);
    return r;
}
