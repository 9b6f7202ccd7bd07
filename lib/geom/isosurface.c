/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/isosurface.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "geom/scene.h"

/* Corner c of a cell has its x, y, z in bits 0, 1, 2. Edge 4 axis + k runs along that axis from
 * the k-th of the corners whose bit `axis` is clear. */
enum { CORNERS = 8, EDGES = 12, FACES = 6, MAX_LOOP = EDGES };

/* The corners of each face, counter-clockwise from outside. */
static const uint8_t face_corner[FACES][4] = {{0, 4, 6, 2}, {1, 3, 7, 5}, {0, 1, 5, 4},
                                              {2, 6, 7, 3}, {0, 2, 3, 1}, {4, 5, 7, 6}};
/* The edge from each of these to the next. */
static const uint8_t face_edge[FACES][4] = {{8, 6, 10, 4},  {5, 11, 7, 9}, {0, 9, 2, 8},
                                            {10, 3, 11, 1}, {4, 1, 5, 0},  {2, 7, 3, 6}};
static const uint8_t edge_corner[EDGES] = {0, 2, 4, 6, 0, 1, 4, 5, 0, 1, 2, 3};
/* The two faces of each edge, as bits. */
static const uint8_t edge_faces[EDGES] = {20, 24, 36, 40, 17, 18, 33, 34, 5, 6, 9, 10};

struct layer {
    uint32_t vertices, centres, triangles; /* first number of each; before that their count */
};

struct march {
    const struct t3d_grid *g;
    size_t stride[3];    /* of the grid's points */
    uint32_t *id;        /* (points, 3): the vertex on the edge from a point along each axis */
    struct layer *layer; /* one for each z, and the end */
    struct t3d_mesh *m;
};

/* A cell: its corners' values and where it lies. */
struct cell {
    float value[CORNERS];
    size_t at;     /* number of the point at corner 0 */
    unsigned mask; /* corners inside */
};

/* Where triangles go; with m == NULL they are counted only. */
struct output {
    struct t3d_mesh *m;
    uint32_t n_triangles, n_centres;
};

/* --- vertices on edges ------------------------------------------------------------------------ */

static int crosses(float a, float b)
{
    return (a < 0) != (b < 0);
}

/* Not nearer to an end than a thousandth, so that no two vertices fall together. */
static void put_vertex(const struct march *w, uint32_t id, const int at[3], int axis, float a,
                       float b)
{
    double t = (double)a / ((double)a - (double)b);

    for (int k = 0; k < 3; k++)
        w->m->position[id][k] =
            (float)(w->g->origin[k] +
                    w->g->step * (at[k] + (k == axis ? T3D_CLAMP(t, .001, .999) : 0)));
}

/* The crossings of the edges that begin in layer z: counted, or written from number next on. */
static uint32_t edges_of_layer(const struct march *w, int z, uint32_t next, int write)
{
    const int *n = w->g->n;
    const float *value = w->g->value;

    for (int y = 0; y < n[1]; y++)
        for (int x = 0; x < n[0]; x++) {
            const int at[3] = {x, y, z};
            size_t i = (size_t)z * w->stride[2] + (size_t)y * w->stride[1] + (size_t)x;
            for (int axis = 0; axis < 3; axis++) {
                if (at[axis] + 1 == n[axis] || !crosses(value[i], value[i + w->stride[axis]]))
                    continue;
                if (write) {
                    w->id[3 * i + (size_t)axis] = next;
                    put_vertex(w, next, at, axis, value[i], value[i + w->stride[axis]]);
                }
                next++;
            }
        }
    return next;
}

/* --- polygons of a cell ------------------------------------------------------------------------
 */

/* The polygons' sides in one face, as next[edge]: each enters at an edge that leads inside (in the
 * face's order of corners) and leaves at one that leads outside. */
static void face_sides(const struct cell *c, int face, int8_t next[EDGES])
{
    const uint8_t *corner = face_corner[face], *edge = face_edge[face];
    int enter[2] = {0, 0}, leave[2] = {0, 0}, n = 0, joined = 0;

    for (int k = 0; k < 4; k++) {
        int end = k;
        if (c->mask >> corner[k] & 1 || !(c->mask >> corner[(k + 1) & 3] & 1))
            continue;
        enter[n] = edge[k];
        do
            end = (end + 1) & 3;
        while (c->mask >> corner[(end + 1) & 3] & 1);
        leave[n++] = edge[end];
    }
    if (n == 2) { /* is the saddle point inside? */
        const float *v = c->value;
        float even = v[corner[0]] * v[corner[2]], odd = v[corner[1]] * v[corner[3]];
        joined = c->mask >> corner[0] & 1 ? even > odd : odd > even;
    }
    for (int k = 0; k < n; k++)
        next[enter[k]] = (int8_t)leave[joined ? 1 - k : k];
}

static uint32_t vertex_of(const struct march *w, const struct cell *c, int edge)
{
    int corner = edge_corner[edge];
    size_t at = c->at + (size_t)(corner & 1) + (corner & 2 ? w->stride[1] : 0) +
                (corner & 4 ? w->stride[2] : 0);

    return w->id[3 * at + (size_t)(edge / 4)];
}

static void put_triangle(struct output *o, uint32_t a, uint32_t b, uint32_t c)
{
    if (o->m) {
        uint32_t *t = o->m->triangle[o->n_triangles];
        t[0] = a;
        t[1] = b;
        t[2] = c;
    }
    o->n_triangles++;
}

static double distance2(const struct march *w, const struct cell *c, int a, int b)
{
    const float *p = w->m->position[vertex_of(w, c, a)], *q = w->m->position[vertex_of(w, c, b)];
    double d = 0;

    for (int k = 0; k < 3; k++)
        d += ((double)p[k] - (double)q[k]) * ((double)p[k] - (double)q[k]);
    return d;
}

/* Can the polygon be a fan around its corner s without a diagonal in a face of the cell? A
 * neighbour might have the same diagonal: four triangles on one edge. */
static int is_fan(const uint8_t *loop, int n, int s)
{
    for (int k = 2; k <= n - 2; k++)
        if (edge_faces[loop[s]] & edge_faces[loop[(s + k) % n]])
            return 0;
    return 1;
}

/* The corner of the fan, -1 = there is none. Quadrangles take the shorter diagonal. */
static int choose_fan(const struct march *w, const struct cell *c, const uint8_t *loop, int n)
{
    int s = 0;

    while (s < n && !is_fan(loop, n, s))
        s++;
    if (n == 4 && s == 0 && is_fan(loop, n, 1))
        s = distance2(w, c, loop[1], loop[3]) < distance2(w, c, loop[0], loop[2]);
    return s < n ? s : -1;
}

static void put_around_centre(const struct march *w, struct output *o, const uint32_t *v, int n)
{
    uint32_t centre = o->n_centres++;

    for (int k = 0; k < n; k++)
        put_triangle(o, v[k], v[(k + 1) % n], centre);
    for (int axis = 0; o->m && axis < 3; axis++) {
        double sum = 0;
        for (int k = 0; k < n; k++)
            sum += (double)w->m->position[v[k]][axis];
        w->m->position[centre][axis] = (float)(sum / n);
    }
}

static void put_polygon(const struct march *w, const struct cell *c, struct output *o,
                        const uint8_t *loop, int n)
{
    int s = o->m ? choose_fan(w, c, loop, n) : -1;
    uint32_t v[MAX_LOOP];

    if (!o->m) { /* which fan does not matter, only whether there is one */
        while (++s < n && !is_fan(loop, n, s))
            ;
        o->n_triangles += (uint32_t)(s < n ? n - 2 : n);
        o->n_centres += s == n;
        return;
    }
    for (int k = 0; k < n; k++)
        v[k] = vertex_of(w, c, loop[k]);
    if (s < 0)
        put_around_centre(w, o, v, n);
    for (int k = 1; s >= 0 && k + 1 < n; k++)
        put_triangle(o, v[s], v[(s + k) % n], v[(s + k + 1) % n]);
}

static void put_cell(const struct march *w, const struct cell *c, struct output *o)
{
    int8_t next[EDGES];
    uint8_t loop[MAX_LOOP];

    memset(next, -1, sizeof next);
    for (int f = 0; f < FACES; f++)
        face_sides(c, f, next);
    for (int e = 0; e < EDGES; e++) {
        int n = 0;
        for (int at = e, to; next[at] >= 0; at = to) {
            to = next[at];
            next[at] = -1;
            loop[n++] = (uint8_t)at;
        }
        if (n)
            put_polygon(w, c, o, loop, n);
    }
}

static void cells_of_layer(const struct march *w, int z, struct output *o)
{
    const int *n = w->g->n;

    for (int y = 0; y + 1 < n[1]; y++)
        for (int x = 0; x + 1 < n[0]; x++) {
            struct cell c = {.at = (size_t)z * w->stride[2] + (size_t)y * w->stride[1] + (size_t)x};
            for (unsigned k = 0; k < CORNERS; k++) {
                c.value[k] = w->g->value[c.at + (k & 1) + (k & 2 ? w->stride[1] : 0) +
                                         (k & 4 ? w->stride[2] : 0)];
                c.mask |= (c.value[k] < 0 ? 1u : 0u) << k;
            }
            if (c.mask != 0 && c.mask != 255)
                put_cell(w, &c, o);
        }
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static void count(const struct march *w, int threads)
{
    int nz = w->g->n[2];

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int z = 0; z < nz; z++) {
        struct output o = {.m = NULL};
        if (z + 1 < nz)
            cells_of_layer(w, z, &o);
        w->layer[z] = (struct layer){edges_of_layer(w, z, 0, 0), o.n_centres, o.n_triangles};
    }
}

/* Counts become first numbers: all vertices on edges, then those within cells. */
static int number(const struct march *w, struct t3d_err *err)
{
    uint64_t vertices = 0, centres, triangles = 0;
    int nz = w->g->n[2];

    for (int z = 0; z < nz; z++)
        vertices += w->layer[z].vertices;
    centres = vertices;
    vertices = 0;
    for (int z = 0; z <= nz; z++) {
        struct layer l = w->layer[z];
        w->layer[z] = (struct layer){(uint32_t)vertices, (uint32_t)centres, (uint32_t)triangles};
        vertices += l.vertices;
        centres += l.centres;
        triangles += l.triangles;
    }
    if (centres > T3D_MAX_VERTICES || triangles > T3D_MAX_TRIANGLES)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)triangles,
                             "the surface has %llu triangles: take a coarser grid",
                             (unsigned long long)triangles);
    w->m->n_vertices = (uint32_t)centres;
    w->m->n_triangles = (uint32_t)triangles;
    return T3D_OK;
}

static void fill(const struct march *w, int threads)
{
    int nz = w->g->n[2];

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic)
        for (int z = 0; z < nz; z++)
            edges_of_layer(w, z, w->layer[z].vertices, 1);
#pragma omp for schedule(dynamic)
        for (int z = 0; z < nz - 1; z++) {
            struct output o = {w->m, w->layer[z].triangles, w->layer[z].centres};
            cells_of_layer(w, z, &o);
        }
    }
}

static int march(struct march *w, int threads, struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_mesh *m = w->m;
    int r;

    count(w, threads);
    r = number(w, err);
    if (r < 0)
        return r;
    m->position = t3d_alloc_raw(a, m->n_vertices, sizeof *m->position);
    m->triangle = t3d_alloc_raw(a, m->n_triangles, sizeof *m->triangle);
    if (!m->position || !m->triangle)
        return t3d_err_nomem(err, "a surface");
    fill(w, threads);
    return T3D_OK;
}

int t3d_isosurface(struct t3d_mesh *m, const struct t3d_grid *g, int threads, struct t3d_arena *a,
                   struct t3d_err *err)
{
    const size_t nx = (size_t)g->n[0], ny = (size_t)g->n[1], nz = (size_t)g->n[2];
    struct march w = {.g = g,
                      .stride = {1, nx, nx * ny},
                      .id = malloc(nx * ny * nz * 3 * sizeof *w.id),
                      .layer = calloc(nz + 1, sizeof *w.layer),
                      .m = m};
    int r = w.id && w.layer ? march(&w, threads, a, err) : t3d_err_nomem(err, "a surface");

    free(w.id);
    free(w.layer);
    return r;
}
