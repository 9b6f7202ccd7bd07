/* SPDX-License-Identifier: Apache-2.0 */
/* Is a mesh a closed oriented 2-manifold? By brute force, knowing nothing of how it was made. */
#ifndef T3D_TESTS_CLOSED_MESH_H
#define T3D_TESTS_CLOSED_MESH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "geom/isosurface.h"

static inline int by_edge(const void *a, const void *b)
{
    return memcmp(a, b, 2 * sizeof(uint32_t));
}

/* Each directed side of a triangle occurs once, and so does its reverse. */
static inline int has_paired_edges(const struct t3d_mesh *m)
{
    size_t n = 3 * (size_t)m->n_triangles;
    uint32_t(*edge)[2] = malloc((n + 1) * sizeof *edge);
    int ok = edge != NULL;

    for (size_t i = 0; i < n && ok; i++) {
        edge[i][0] = m->triangle[i / 3][i % 3];
        edge[i][1] = m->triangle[i / 3][(i + 1) % 3];
        ok = edge[i][0] < m->n_vertices && edge[i][0] != edge[i][1];
    }
    if (ok)
        qsort(edge, n, sizeof *edge, by_edge);
    for (size_t i = 0; i < n && ok; i++) {
        const uint32_t back[2] = {edge[i][1], edge[i][0]};
        ok = (i == 0 || by_edge(edge[i - 1], edge[i]) != 0) &&
             bsearch(back, edge, n, sizeof *edge, by_edge);
    }
    free(edge);
    return ok;
}

/* With paired edges the triangles around a vertex form rings; each vertex has exactly one. */
static inline int has_one_ring_each(const struct t3d_mesh *m)
{
    size_t n = 3 * (size_t)m->n_triangles;
    uint32_t(*side)[4] = malloc((n + 1) * sizeof *side); /* vertex, from, to, corners there */
    int ok = side != NULL;
    size_t end;

    for (size_t i = 0; i < n && ok; i++) {
        const uint32_t *t = m->triangle[i / 3];
        side[i][0] = t[i % 3];
        side[i][1] = t[(i + 1) % 3];
        side[i][2] = t[(i + 2) % 3];
    }
    if (ok)
        qsort(side, n, sizeof *side, by_edge);
    for (size_t i = 0; i < n && ok; i = end) {
        uint32_t at = side[i][1];
        size_t steps = 0;
        for (end = i; end < n && side[end][0] == side[i][0]; end++)
            ;
        do { /* the triangle (v, at, next) leads to (v, next, ...) */
            size_t k = i;
            while (k < end && side[k][1] != at)
                k++;
            ok = k < end;
            at = ok ? side[k][2] : at;
            steps++;
        } while (ok && at != side[i][1] && steps < end - i);
        ok = ok && at == side[i][1] && steps == end - i;
    }
    free(side);
    return ok;
}

static inline int is_closed_manifold(const struct t3d_mesh *m)
{
    return has_paired_edges(m) && has_one_ring_each(m);
}

static inline double volume_of(const struct t3d_mesh *m)
{
    double v = 0;

    for (uint32_t i = 0; i < m->n_triangles; i++) {
        const float *a = m->position[m->triangle[i][0]], *b = m->position[m->triangle[i][1]],
                    *c = m->position[m->triangle[i][2]];
        for (int k = 0; k < 3; k++)
            v += (double)a[k] * ((double)b[(k + 1) % 3] * (double)c[(k + 2) % 3] -
                                 (double)b[(k + 2) % 3] * (double)c[(k + 1) % 3]);
    }
    return v / 6;
}

#endif
