/* SPDX-License-Identifier: Apache-2.0 */
/* Triangles that reach behind the near plane or far outside the picture: Sutherland and Hodgman's
 * clipping in camera space. Cameras at the default distance never come here. */
#include "draw/draw_impl.h"

#include <math.h>

enum { MAX_CORNERS = 3 + 5 };

struct corner {
    double p[3];    /* OpenCV camera: x right, y down, z forward */
    int64_t vertex; /* of the model, -1 = cut */
};

static struct corner corner_of(const struct t3di_view *v, uint32_t i)
{
    const struct t3d_model *m = v->m;
    double w[3] = {(double)m->x[i], (double)m->y[i], (double)m->z[i]};
    struct corner c = {.vertex = i};
    for (int k = 0; k < 3; k++)
        c.p[k] = (double)v->r[k][0] * w[0] + (double)v->r[k][1] * w[1] + (double)v->r[k][2] * w[2] +
                 (double)v->t[k];
    return c;
}

/* Signed distance (any scale) to plane 0 near, 1..4 the sides of the guard band. */
static double side(const struct t3di_view *v, const struct corner *c, int plane)
{
    double f = (double)v->focal, g = T3DI_GUARD;
    switch (plane) {
    case 0:
        return c->p[2] - (double)v->near;
    case 1:
        return g * c->p[2] + f * c->p[0];
    case 2:
        return g * c->p[2] - f * c->p[0];
    case 3:
        return g * c->p[2] + f * c->p[1];
    default:
        return g * c->p[2] - f * c->p[1];
    }
}

/* Always from the inner to the outer corner, so that both triangles at an edge get the same point.
 */
static struct corner cut(const struct corner *in, const struct corner *out, double d_in,
                         double d_out)
{
    double t = d_in / (d_in - d_out);
    struct corner c = {.vertex = -1};
    for (int k = 0; k < 3; k++)
        c.p[k] = in->p[k] + t * (out->p[k] - in->p[k]);
    return c;
}

static int clip(const struct t3di_view *v, struct corner *poly, int n, int plane)
{
    struct corner out[MAX_CORNERS];
    int m = 0;
    for (int k = 0; k < n; k++) {
        const struct corner *a = &poly[k], *b = &poly[(k + 1) % n];
        double da = side(v, a, plane), db = side(v, b, plane);
        if (da >= 0.0)
            out[m++] = *a;
        if (da >= 0.0 && db < 0.0)
            out[m++] = cut(a, b, da, db);
        else if (da < 0.0 && db >= 0.0)
            out[m++] = cut(b, a, db, da);
    }
    memcpy(poly, out, (size_t)m * sizeof *out);
    return m;
}

void t3di_clip_planes(const struct t3di_view *v, uint32_t id, double anchor_x, double anchor_y,
                      double beta[3][3])
{
    /* sum beta_i (X_i, Y_i, W_i) = (x, y, 1): homogeneous rasterisation (Olano and Greer 1997). */
    double h[3][3], f = (double)v->focal, c = (double)v->center;
    for (int k = 0; k < 3; k++) {
        struct corner q = corner_of(v, v->m->scene->triangle[id][k]);
        h[k][0] = f * q.p[0] + c * q.p[2];
        h[k][1] = f * q.p[1] + c * q.p[2];
        h[k][2] = q.p[2];
    }
    double cross[3][3];
    for (int k = 0; k < 3; k++) {
        const double *a = h[(k + 1) % 3], *b = h[(k + 2) % 3];
        cross[k][0] = a[1] * b[2] - a[2] * b[1];
        cross[k][1] = a[2] * b[0] - a[0] * b[2];
        cross[k][2] = a[0] * b[1] - a[1] * b[0];
    }
    double det = h[0][0] * cross[0][0] + h[0][1] * cross[0][1] + h[0][2] * cross[0][2];
    double s = det != 0.0 ? 1.0 / det : 0.0; /* seen edge-on: nothing is drawn */
    for (int k = 0; k < 3; k++) {
        beta[k][1] = cross[k][0] * s;
        beta[k][2] = cross[k][1] * s;
        beta[k][0] = cross[k][2] * s + beta[k][1] * anchor_x + beta[k][2] * anchor_y;
    }
}

static int32_t snap(double px)
{
    return (int32_t)lrint(px * 256.0);
}

int t3di_setup_clipped(struct t3di_view *v, uint32_t id, uint32_t shader)
{
    struct corner poly[MAX_CORNERS];
    int n = 3;
    for (int k = 0; k < 3; k++)
        poly[k] = corner_of(v, v->m->scene->triangle[id][k]);
    for (int plane = 0; plane < 5 && n >= 3; plane++)
        n = clip(v, poly, n, plane);
    if (n < 3)
        return 0;
    double beta[3][3], f = (double)v->focal, c = (double)v->center;
    t3di_clip_planes(v, id, c, c, beta);
    float plane[5] = {(float)(beta[0][0] + beta[1][0] + beta[2][0]),
                      (float)(beta[0][1] + beta[1][1] + beta[2][1]),
                      (float)(beta[0][2] + beta[1][2] + beta[2][2]), v->center, v->center};
    int32_t x[MAX_CORNERS], y[MAX_CORNERS];
    for (int k = 0; k < n; k++) {
        int64_t i = poly[k].vertex; /* where unclipped neighbours have it too, exactly */
        int known = i >= 0 && v->iw[i] > 0.0f;
        x[k] = known ? v->sx[i] : snap(f * poly[k].p[0] / poly[k].p[2] + c);
        y[k] = known ? v->sy[i] : snap(f * poly[k].p[1] / poly[k].p[2] + c);
    }
    for (int k = 2; k < n; k++) {
        int32_t tx[3] = {x[0], x[k - 1], x[k]}, ty[3] = {y[0], y[k - 1], y[k]};
        if (t3di_add_triangle(v, id, shader, tx, ty, NULL, plane) < 0)
            return -1;
    }
    return 0;
}
