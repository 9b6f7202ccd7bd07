/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes as meshes: surfaces of revolution and polyhedra. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "geom/primitives_impl.h"

enum {
    SEGMENTS =
        40,   /* around the axis: all round shapes share them, so stacked ones stay congruent */
    ARC = 20, /* along half a great circle; round a torus' tube */
    MAX_SAMPLES = ARC + 4,
    MAX_FACES = 12,
    MAX_CORNERS = 10
};

#define PI   3.14159265358979323846
#define TILE 0.5 /* side of a texture tile in units of scale 1 */

const struct t3di_shape_info t3di_shape[T3DI_SHAPES] = {
    [T3DI_CUBE] = {"cube", "block", 0, 1, .5, .70711},
    [T3DI_SPHERE] = {"sphere", "ball", 1, 1, .5, .5},
    [T3DI_CYLINDER] = {"cylinder", NULL, 1, 1, .5, .5},
    [T3DI_CONE] = {"cone", NULL, 1, 1.1, .5, .5},
    [T3DI_TORUS] = {"torus", "donut", 1, .32, .5, .5},
    [T3DI_PYRAMID] = {"pyramid", NULL, 0, .9, .5, .70711},
    [T3DI_PRISM] = {"prism", "triangular prism", 0, .86603, .5, .70711},
    [T3DI_CAPSULE] = {"capsule", "pill", 0, .5, .25, .55},
    [T3DI_TETRAHEDRON] = {"tetrahedron", NULL, 0, .89815, .31754, .63509},
    [T3DI_RING] = {"ring", NULL, 1, .24, .5, .5},
    [T3DI_DOME] = {"dome", "hemisphere", 1, .5, .5, .5},
    [T3DI_STAR] = {"star", NULL, 0, .99496, .15, .54417},
};

/* --- building --------------------------------------------------------------------------------- */

static int reserve(struct t3di_part *p, uint32_t vertices, uint32_t triangles, struct t3d_arena *a,
                   struct t3d_err *err)
{
    memset(p, 0, sizeof *p);
    p->position = t3d_alloc_raw(a, vertices, sizeof *p->position);
    p->normal = t3d_alloc_raw(a, vertices, sizeof *p->normal);
    p->uv = t3d_alloc_raw(a, vertices, sizeof *p->uv);
    p->triangle = t3d_alloc_raw(a, triangles, sizeof *p->triangle);
    if (!p->position || !p->normal || !p->uv || !p->triangle)
        return t3d_err_nomem(err, "a primitive's mesh");
    return T3D_OK;
}

static void add_vertex(struct t3di_part *p, const double at[3], const double normal[3], double u,
                       double v)
{
    uint32_t i = p->n_vertices++;

    for (int k = 0; k < 3; k++) {
        p->position[i][k] = (float)at[k];
        p->normal[i][k] = (float)normal[k];
    }
    p->uv[i][0] = (float)u;
    p->uv[i][1] = (float)v;
}

static void add_triangle(struct t3di_part *p, uint32_t i, uint32_t j, uint32_t k)
{
    uint32_t *t = p->triangle[p->n_triangles++];

    t[0] = i;
    t[1] = j;
    t[2] = k;
}

/* --- surfaces of revolution ------------------------------------------------------------------- */

/* A point of the meridian in the (radius, height) plane and its outward normal. Strips run
 * counter-clockwise in that plane; a crease is where one strip ends and the next begins. */
struct sample {
    double r, y, nr, ny;
};

static void turn(int segment, double *s, double *c)
{
    double angle = 2 * PI * (segment % SEGMENTS) / SEGMENTS; /* the seam closes bitwise */

    *s = sin(angle);
    *c = cos(angle);
}

static void revolve(struct t3di_part *p, const struct sample *strip, int n)
{
    uint32_t first = p->n_vertices, columns = SEGMENTS + 1;
    double widest = 0, v = 0, s, c;

    for (int i = 0; i < n; i++)
        widest = fmax(widest, strip[i].r);
    double around = fmax(1, round(2 * PI * widest / TILE / 2) * 2);
    for (int i = 0; i < n; i++) {
        const struct sample *m = &strip[i];
        if (i)
            v += hypot(m->r - strip[i - 1].r, m->y - strip[i - 1].y) / TILE;
        for (int j = 0; j <= SEGMENTS; j++) {
            turn(j, &s, &c);
            double at[3] = {m->r * s, m->y, m->r * c}, normal[3] = {m->nr * s, m->ny, m->nr * c};
            add_vertex(p, at, normal, around * j / SEGMENTS, -v);
        }
    }
    for (uint32_t i = 0; i + 1 < (uint32_t)n; i++)
        for (uint32_t j = 0; j < SEGMENTS; j++) {
            uint32_t q = first + i * columns + j;
            if (strip[i].r > 0)
                add_triangle(p, q, q + 1, q + columns + 1);
            if (strip[i + 1].r > 0)
                add_triangle(p, q, q + columns + 1, q + columns);
        }
}

/* A flat disc or annulus at height y from radius r0 to r1: facing down when r0 < r1, else up. */
static void add_disc(struct t3di_part *p, double y, double r0, double r1)
{
    double ny = r0 < r1 ? -1 : 1;
    struct sample strip[2] = {{r0, y, 0, ny}, {r1, y, 0, ny}};

    uint32_t first = p->n_vertices;
    revolve(p, strip, 2);
    for (uint32_t i = first; i < p->n_vertices; i++) {
        p->uv[i][0] = (float)(p->position[i][0] / TILE);
        p->uv[i][1] = (float)(p->position[i][2] / TILE * -ny);
    }
}

/* A straight wall between two points of the meridian. */
static void add_wall(struct t3di_part *p, double r0, double y0, double r1, double y1)
{
    double length = hypot(r1 - r0, y1 - y0), nr = (y1 - y0) / length, ny = (r0 - r1) / length;
    struct sample strip[2] = {{r0, y0, nr, ny}, {r1, y1, nr, ny}};

    revolve(p, strip, 2);
}

/* n steps of the circle about (r, y), from angle a0 to a1 in degrees, 0 = outwards, 90 = up. */
static void add_arc(struct t3di_part *p, double r, double y, double radius, double a0, double a1,
                    int n)
{
    struct sample strip[MAX_SAMPLES];

    for (int i = 0; i <= n; i++) {
        double a = (a0 + (a1 - a0) * i / n) * PI / 180;
        int pole = r == 0 && (fmod(fabs(a0 + (a1 - a0) * i / n), 180) == 90);
        int closes = i == n && a1 - a0 == 360;
        double cosine = pole ? 0 : cos(a);
        strip[i] = closes
                       ? strip[0]
                       : (struct sample){r + radius * cosine, y + radius * sin(a), cosine, sin(a)};
    }
    revolve(p, strip, n + 1);
}

/* --- polyhedra -------------------------------------------------------------------------------- */

struct face {
    int n;
    int corner[MAX_CORNERS]; /* counter-clockwise from outside */
};

static void subtract(const double a[3], const double b[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = a[k] - b[k];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = a[(k + 1) % 3] * b[(k + 2) % 3] - a[(k + 2) % 3] * b[(k + 1) % 3];
}

static void normalise(double v[3])
{
    double length = sqrt(dot(v, v));

    for (int k = 0; k < 3; k++)
        v[k] /= length;
}

/* Newell's normal, so that the corners of a star's cap serve as well. */
static void face_normal(const struct face *f, const double (*corner)[3], double n[3])
{
    double c[3];

    n[0] = n[1] = n[2] = 0;
    for (int i = 0; i < f->n; i++) {
        cross(corner[f->corner[i]], corner[f->corner[(i + 1) % f->n]], c);
        for (int k = 0; k < 3; k++)
            n[k] += c[k];
    }
    normalise(n);
}

/* Flat; more than four corners are fanned from the face's centre, which sees all of a star's cap.
 */
static void add_face(struct t3di_part *p, const struct face *f, const double (*corner)[3])
{
    uint32_t first = p->n_vertices, n = (uint32_t)f->n;
    double normal[3], along[3], up[3], centre[3] = {0, 0, 0}, d[3];

    face_normal(f, corner, normal);
    subtract(corner[f->corner[1]], corner[f->corner[0]], along);
    normalise(along);
    cross(normal, along, up);
    for (int i = 0; i < f->n; i++) {
        const double *at = corner[f->corner[i]];
        subtract(at, corner[f->corner[0]], d);
        add_vertex(p, at, normal, dot(d, along) / TILE, -dot(d, up) / TILE);
        for (int k = 0; k < 3; k++)
            centre[k] += at[k] / f->n;
    }
    if (n <= 4) {
        for (uint32_t i = 1; i + 1 < n; i++)
            add_triangle(p, first, first + i, first + i + 1);
        return;
    }
    subtract(centre, corner[f->corner[0]], d);
    add_vertex(p, centre, normal, dot(d, along) / TILE, -dot(d, up) / TILE);
    for (uint32_t i = 0; i < n; i++)
        add_triangle(p, first + i, first + (i + 1) % n, first + n);
}

/* A prism over the polygon xy (counter-clockwise seen from +Z), depth wide along z. */
static void extrude(struct t3di_part *p, const double (*xy)[2], int n, double depth)
{
    double corner[2 * MAX_CORNERS][3];
    struct face front = {.n = n}, back = {.n = n};

    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            corner[i][k] = corner[n + i][k] = xy[i][k];
        corner[i][2] = depth / 2;
        corner[n + i][2] = -depth / 2;
        front.corner[i] = i;
        back.corner[i] = 2 * n - 1 - i;
    }
    add_face(p, &front, corner);
    add_face(p, &back, corner);
    for (int i = 0; i < n; i++) {
        int j = (i + 1) % n;
        struct face side = {4, {n + i, n + j, j, i}};
        add_face(p, &side, corner);
    }
}

/* A pyramid over n corners at radius r, the first at the given angle (0 = +Z, towards +X). */
static void add_pyramid(struct t3di_part *p, int n, double r, double height, double angle)
{
    double corner[5][3];
    struct face base = {.n = n};

    for (int i = 0; i < n; i++) {
        double a = (angle + 360.0 * i / n) * PI / 180;
        corner[i][0] = r * sin(a);
        corner[i][1] = 0;
        corner[i][2] = r * cos(a);
        base.corner[i] = n - 1 - i;
    }
    corner[n][0] = corner[n][2] = 0;
    corner[n][1] = height;
    add_face(p, &base, corner);
    for (int i = 0; i < n; i++) {
        struct face side = {3, {i, (i + 1) % n, n}};
        add_face(p, &side, corner);
    }
}

static void add_star(struct t3di_part *p)
{
    double xy[10][2];

    for (int i = 0; i < 10; i++) {
        double a = (90 + 36.0 * i) * PI / 180, r = i % 2 ? .23 : .55;
        xy[i][0] = r * cos(a);
        xy[i][1] = r * sin(a) + .55 * cos(PI / 5); /* the two lower tips stand on y = 0 */
    }
    xy[4][1] = xy[6][1] = 0;
    extrude(p, xy, 10, .3);
}

/* Upright on its end, then laid along x with its lowest line on y = 0. */
static void add_capsule(struct t3di_part *p)
{
    add_arc(p, 0, 0, .25, -90, 0, ARC / 2);
    add_wall(p, .25, 0, .25, .6);
    add_arc(p, 0, .6, .25, 0, 90, ARC / 2);
    for (uint32_t i = 0; i < p->n_vertices; i++) {
        float *at = p->position[i], *n = p->normal[i], x = at[0], nx = n[0];
        at[0] = at[1] - .3F; /* (x, y, z) -> (y, -x, z) */
        at[1] = .25F - x;
        n[0] = n[1];
        n[1] = -nx;
    }
}

static void build(struct t3di_part *p, int shape)
{
    static const double square[4][2] = {{-.5, 0}, {.5, 0}, {.5, 1}, {-.5, 1}};
    static const double triangle[3][2] = {{-.5, 0}, {.5, 0}, {0, .8660254037844386}};

    switch (shape) {
    case T3DI_CUBE:
        extrude(p, square, 4, 1);
        break;
    case T3DI_SPHERE:
        add_arc(p, 0, .5, .5, -90, 90, ARC);
        break;
    case T3DI_CYLINDER:
        add_disc(p, 0, 0, .5);
        add_wall(p, .5, 0, .5, 1);
        add_disc(p, 1, .5, 0);
        break;
    case T3DI_CONE:
        add_disc(p, 0, 0, .5);
        add_wall(p, .5, 0, 0, 1.1);
        break;
    case T3DI_TORUS:
        add_arc(p, .34, .16, .16, -180, 180, ARC);
        break;
    case T3DI_PYRAMID:
        add_pyramid(p, 4, .7071067811865476, .9, 45);
        break;
    case T3DI_PRISM:
        extrude(p, triangle, 3, 1);
        break;
    case T3DI_CAPSULE:
        add_capsule(p);
        break;
    case T3DI_TETRAHEDRON:
        add_pyramid(p, 3, 1.1 / sqrt(3), 1.1 * sqrt(2. / 3), 60);
        break;
    case T3DI_RING:
        add_disc(p, 0, .4, .5);
        add_wall(p, .5, 0, .5, .24);
        add_disc(p, .24, .5, .4);
        add_wall(p, .4, .24, .4, 0);
        break;
    case T3DI_DOME:
        add_disc(p, 0, 0, .5);
        add_arc(p, 0, 0, .5, 0, 90, ARC / 2);
        break;
    default:
        add_star(p);
    }
}

int t3di_part_build(struct t3di_part *p, const struct t3di_item *item, struct t3d_arena *a,
                    struct t3d_err *err)
{
    uint32_t vertices = (SEGMENTS + 1) * (ARC + 8), triangles = 2 * SEGMENTS * (ARC + 4);
    float s = (float)sin(item->yaw), c = (float)cos(item->yaw), k = (float)item->scale;
    int r = reserve(p, vertices, triangles, a, err);

    if (r < 0)
        return r;
    build(p, item->shape);
    for (uint32_t i = 0; i < p->n_vertices; i++) {
        float *at = p->position[i], *n = p->normal[i], x = at[0] * k, z = at[2] * k, nx = n[0];
        at[0] = c * x + s * z + (float)item->at[0];
        at[1] = at[1] * k + (float)item->at[1];
        at[2] = c * z - s * x + (float)item->at[2];
        n[0] = c * nx + s * n[2];
        n[2] = c * n[2] - s * nx;
        for (int j = 0; j < 2; j++)
            p->uv[i][j] *= item->scale < .75 ? .5F : 1; /* small parts: fewer, not finer tiles */
    }
    return T3D_OK;
}

void t3di_item_extent(const struct t3di_item *item, double half[2])
{
    const struct t3di_shape_info *s = &t3di_shape[item->shape];
    double x = s->inradius, z = s->inradius, sn = fabs(sin(item->yaw)), cs = fabs(cos(item->yaw));

    if (item->shape == T3DI_CAPSULE)
        x = s->circumradius;
    else if (item->shape == T3DI_STAR)
        x = .5231;
    else if (item->shape == T3DI_TETRAHEDRON)
        x = z = s->circumradius;
    half[0] = item->scale * (s->round ? x : cs * x + sn * z);
    half[1] = item->scale * (s->round ? z : cs * z + sn * x);
}
