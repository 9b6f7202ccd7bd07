/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/tsdf.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

enum {
    MARGIN = T3D_TSDF_STEPS + 1, /* grid points around the box */
    REACH = 2,                   /* pixels on each side from which a normal is taken */
    MIN_FREE = 2                 /* views that see through a point before others are ignored */
};

#define FREE_STEPS 1.5f /* a point this far in front of a surface is seen to be free */
/* That a point is in front of a surface is certain; that it is inside may only mean that the object
 * hides it, as beyond an edge. Weights found on balls and boxes of known shape. */
#define BEHIND_WEIGHT .25f
#define BESIDE        .5f /* pixels to the silhouette from a pixel beside it */
#define BESIDE_WEIGHT .3f
#define FLATTEST      0.1 /* smallest cosine between a surface and the line of sight that counts */

/* The plane at a pixel in camera coordinates, for a point p: distance = offset - normal . p,
 * positive in front. offset INFINITY = nothing is there, NAN = it is not known: beside a
 * silhouette, which lies somewhere within a pixel. */
struct plane {
    float normal[3], offset;
};

/* A camera in single precision: from points of the grid to pixels. */
struct view {
    const struct plane *plane; /* (side, side) */
    float start[3];            /* camera coordinates of grid point 0 */
    float step[3][3];          /* what a step along x, y, z adds to them */
    float near;
};

struct fusion {
    const struct t3d_depth_views *v;
    struct t3d_grid *g;
    struct view *view;
    float *value;
    float focal, centre;
};

static double focal_of(const struct t3d_depth_views *v, size_t i)
{
    double k[3][3];

    t3d_camera_intrinsics(&v->set->camera[i], (uint32_t)v->side, k);
    return k[0][0];
}

/* --- the box -----------------------------------------------------------------------------------
 */

/* The point of a pixel at this depth in camera coordinates. */
static void unproject(double p[3], double focal, int side, int x, int y, double depth)
{
    p[0] = (x + .5 - .5 * side) / focal * depth;
    p[1] = (y + .5 - .5 * side) / focal * depth;
    p[2] = depth;
}

static void bound_view(double lo[3], double hi[3], const struct t3d_depth_views *v, size_t i)
{
    const float *depth = v->depth + i * (size_t)v->side * (size_t)v->side;
    const double(*w)[4] = v->set->camera[i].w2c, focal = focal_of(v, i);

    for (int y = 0; y < v->side; y++)
        for (int x = 0; x < v->side; x++) {
            float d = depth[(size_t)y * (size_t)v->side + (size_t)x];
            double p[3];
            if (!(d > 0))
                continue;
            unproject(p, focal, v->side, x, y, (double)d);
            for (int k = 0; k < 3; k++) { /* the rotation's inverse is its transpose */
                double c = w[0][k] * (p[0] - w[0][3]) + w[1][k] * (p[1] - w[1][3]) +
                           w[2][k] * (p[2] - w[2][3]);
                lo[k] = T3D_MIN(lo[k], c);
                hi[k] = T3D_MAX(hi[k], c);
            }
        }
}

static int place_grid(struct t3d_grid *g, const struct t3d_depth_views *v, int resolution,
                      int threads, struct t3d_err *err)
{
    double lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY},
           edge = 0;

#pragma omp parallel num_threads(threads)
    {
        double l[3] = {INFINITY, INFINITY, INFINITY}, h[3] = {-INFINITY, -INFINITY, -INFINITY};
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < v->set->n; i++)
            bound_view(l, h, v, i);
#pragma omp critical
        for (int k = 0; k < 3; k++) {
            lo[k] = T3D_MIN(lo[k], l[k]);
            hi[k] = T3D_MAX(hi[k], h[k]);
        }
    }
    for (int k = 0; k < 3; k++)
        edge = T3D_MAX(edge, hi[k] - lo[k]);
    if (!(edge > 0) || !isfinite(edge))
        return t3d_err_set(err, T3D_SKIP, "no-surface",
                           "no surface is seen from any side: the object is empty, or nowhere "
                           "half opaque");
    g->step = edge / (resolution - 2 * MARGIN - 1);
    for (int k = 0; k < 3; k++) {
        int cells = (int)ceil((hi[k] - lo[k]) / g->step - 1e-9);
        g->n[k] = cells + 1 + 2 * MARGIN;
        g->origin[k] = .5 * (lo[k] + hi[k]) - g->step * (.5 * cells + MARGIN);
    }
    return T3D_OK;
}

/* --- planes ------------------------------------------------------------------------------------
 */

/* The difference of surface points along a row or column, over REACH pixels on each side as far as
 * the surface goes on; 0 when it ends on both. */
static int tangent(double t[3], const float *depth, double focal, int side, int x, int y, int dx,
                   int dy, double jump)
{
    const float here = depth[(size_t)y * (size_t)side + (size_t)x];
    double end[2][3];

    for (int s = 0; s < 2; s++) {
        int reach = 0;
        float d = here;
        while (reach < REACH) {
            int r = s ? reach + 1 : -reach - 1, u = x + r * dx, w = y + r * dy;
            float next = u >= 0 && w >= 0 && u < side && w < side
                             ? depth[(size_t)w * (size_t)side + (size_t)u]
                             : 0;
            if (!(next > 0) || fabs((double)next - (double)d) > jump)
                break;
            d = next;
            reach++;
        }
        unproject(end[s], focal, side, x + (s ? reach : -reach) * dx, y + (s ? reach : -reach) * dy,
                  (double)d);
    }
    for (int k = 0; k < 3; k++)
        t[k] = end[1][k] - end[0][k];
    return t[0] != 0 || t[1] != 0 || t[2] != 0;
}

/* Is anything there within a pixel? */
static int touches(const float *depth, int side, int x, int y)
{
    int any = 0;

    for (int v = T3D_MAX(y - 1, 0); v <= T3D_MIN(y + 1, side - 1); v++)
        for (int u = T3D_MAX(x - 1, 0); u <= T3D_MIN(x + 1, side - 1); u++)
            any |= depth[(size_t)v * (size_t)side + (size_t)u] > 0;
    return any;
}

/* Where there is no normal, or hardly any of the surface is seen, the distance is that along the
 * line of sight, counted like that of the flattest surface. */
static struct plane plane_of(const float *depth, double focal, int side, int x, int y, double jump)
{
    float d = depth[(size_t)y * (size_t)side + (size_t)x];
    double p[3], right[3], down[3], n[3] = {0, 0, 0}, length, far, offset;
    struct plane out;

    if (!(d > 0))
        return (struct plane){{0, 0, 0}, touches(depth, side, x, y) ? NAN : INFINITY};
    unproject(p, focal, side, x, y, (double)d);
    if (tangent(right, depth, focal, side, x, y, 1, 0, jump) &&
        tangent(down, depth, focal, side, x, y, 0, 1, jump))
        for (int k = 0; k < 3; k++)
            n[k] = right[(k + 1) % 3] * down[(k + 2) % 3] - right[(k + 2) % 3] * down[(k + 1) % 3];
    length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    far = sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    offset = n[0] * p[0] + n[1] * p[1] + n[2] * p[2];
    if (!(offset > FLATTEST * length * far)) {
        for (int k = 0; k < 3; k++)
            out.normal[k] = (float)(FLATTEST * p[k] / far);
        out.offset = (float)(FLATTEST * far);
        return out;
    }
    for (int k = 0; k < 3; k++)
        out.normal[k] = (float)(n[k] / length);
    out.offset = (float)(offset / length);
    return out;
}

static void make_view(struct view *w, struct plane *plane, const struct fusion *f, size_t i)
{
    const struct t3d_depth_views *v = f->v;
    const struct t3d_camera *c = &v->set->camera[i];
    const float *depth = v->depth + i * (size_t)v->side * (size_t)v->side;
    double focal = focal_of(v, i), jump = 2 * f->g->step;

    for (int y = 0; y < v->side; y++)
        for (int x = 0; x < v->side; x++)
            plane[(size_t)y * (size_t)v->side + (size_t)x] =
                plane_of(depth, focal, v->side, x, y, jump);
    w->plane = plane;
    w->near = (float)c->near * .1f;
    for (int r = 0; r < 3; r++) {
        double s = c->w2c[r][3];
        for (int k = 0; k < 3; k++) {
            s += c->w2c[r][k] * f->g->origin[k];
            w->step[k][r] = (float)(c->w2c[r][k] * f->g->step);
        }
        w->start[r] = (float)s;
    }
}

/* --- fusion ------------------------------------------------------------------------------------
 */

/* Sums over views for one row of points: distances in steps times weights. */
struct row {
    float front[512], front_weight[512], behind[512], behind_weight[512];
    uint16_t free[512];
};

static void add_vote(struct row *r, int x, const float p[3], const struct plane *q, float per_step,
                     float pixel)
{
    float d, weight;

    if (q->offset > 1e30f) {
        r->free[x]++;
        return;
    }
    if (!(q->offset < 1e30f)) {
        r->front[x] += BESIDE_WEIGHT * BESIDE * p[2] * pixel;
        r->front_weight[x] += BESIDE_WEIGHT;
        return;
    }
    d = (q->offset - q->normal[0] * p[0] - q->normal[1] * p[1] - q->normal[2] * p[2]) * per_step;
    weight = q->offset / sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    r->free[x] = (uint16_t)(r->free[x] + (d > FREE_STEPS));
    if (d >= 0 && d < T3D_TSDF_STEPS) {
        r->front[x] += weight * d;
        r->front_weight[x] += weight;
    } else if (d < 0 && d > -T3D_TSDF_STEPS) { /* the deeper, the less it is known */
        weight *= BEHIND_WEIGHT * (1 + d / T3D_TSDF_STEPS);
        r->behind[x] += weight * d;
        r->behind_weight[x] += weight;
    }
}

static void add_view(struct row *r, const struct fusion *f, const struct view *w, int y, int z)
{
    const int side = f->v->side;
    const float focal = f->focal, per_step = (float)(1 / f->g->step), pixel = per_step / focal;
    float at[3];

    for (int k = 0; k < 3; k++)
        at[k] = w->start[k] + (float)y * w->step[1][k] + (float)z * w->step[2][k];
    for (int x = 0; x < f->g->n[0]; x++) {
        const float p[3] = {at[0] + (float)x * w->step[0][0], at[1] + (float)x * w->step[0][1],
                            at[2] + (float)x * w->step[0][2]};
        float inverse = focal / p[2];
        float u = p[0] * inverse + f->centre, v = p[1] * inverse + f->centre;
        if (!(p[2] > w->near) || !(u >= 0 && v >= 0 && u < (float)side && v < (float)side))
            continue;
        add_vote(r, x, p, &w->plane[(size_t)(int)v * (size_t)side + (size_t)(int)u], per_step,
                 pixel);
    }
}

static float settle(const struct row *r, int x)
{
    float sum = r->front[x], weight = r->front_weight[x];

    if (r->free[x] < MIN_FREE) {
        sum += r->behind[x];
        weight += r->behind_weight[x];
    }
    return weight > 0 ? sum / weight : r->free[x] ? T3D_TSDF_STEPS : -T3D_TSDF_STEPS;
}

static void fuse_row(const struct fusion *f, struct row *r, int y, int z)
{
    const int *n = f->g->n;
    float *out = f->value + ((size_t)z * (size_t)n[1] + (size_t)y) * (size_t)n[0];
    int border = y == 0 || z == 0 || y == n[1] - 1 || z == n[2] - 1;

    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < f->v->set->n && !border; i++)
        add_view(r, f, &f->view[i], y, z);
    for (int x = 0; x < n[0]; x++)
        out[x] = border || x == 0 || x == n[0] - 1 ? T3D_TSDF_STEPS : settle(r, x);
}

static int check(const struct t3d_depth_views *v, int resolution, struct t3d_err *err)
{
    double fov = v->set->n ? v->set->camera[0].fov_deg : 0;

    if (resolution < 16 || resolution > 512 || v->side < 8 || v->side > 16384 || v->set->n < 1 ||
        v->set->n > 4096)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "a grid of %d points, or %zu views of %d pixels: 16 to 512, 1 to 4096, "
                           "8 to 16384 are possible",
                           resolution, v->set->n, v->side);
    for (size_t i = 1; i < v->set->n; i++)
        if (v->set->camera[i].fov_deg != fov)
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "view %zu has another field of view: all must have the same", i);
    return T3D_OK;
}

int t3d_tsdf(struct t3d_grid *g, const struct t3d_depth_views *v, int resolution, int threads,
             struct t3d_arena *a, struct t3d_err *err)
{
    struct fusion f = {.v = v, .g = g};
    size_t pixels = (size_t)v->side * (size_t)v->side;
    struct plane *plane;
    int r = check(v, resolution, err);

    if (r == T3D_OK)
        r = place_grid(g, v, resolution, threads, err);
    if (r < 0)
        return r;
    f.focal = (float)focal_of(v, 0);
    f.centre = .5f * (float)v->side;
    f.view = t3d_alloc_raw(a, v->set->n, sizeof *f.view);
    plane = t3d_alloc_raw(a, v->set->n * pixels, sizeof *plane);
    f.value =
        t3d_alloc_raw(a, (size_t)g->n[0] * (size_t)g->n[1], (size_t)g->n[2] * sizeof *f.value);
    if (!f.view || !plane || !f.value)
        return t3d_err_nomem(err, "a distance field");
    g->value = f.value;
#pragma omp parallel num_threads(threads)
    {
        struct row row;
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < v->set->n; i++)
            make_view(&f.view[i], plane + i * pixels, &f, i);
#pragma omp for schedule(dynamic)
        for (int z = 0; z < g->n[2]; z++)
            for (int y = 0; y < g->n[1]; y++)
                fuse_row(&f, &row, y, z);
    }
    return T3D_OK;
}
