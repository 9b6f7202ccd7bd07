/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a surface once it is there. */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "geom/isosurface.h"

struct piece {
    uint32_t triangles;
    double volume;
};

/* --- pieces ------------------------------------------------------------------------------------
 */

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* The smaller number becomes the root, so roots do not depend on the order. */
static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

/* Six times the volume between a triangle and the origin. */
static double volume_of(const struct t3d_mesh *m, const uint32_t t[3])
{
    const float *a = m->position[t[0]], *b = m->position[t[1]], *c = m->position[t[2]];
    double v = 0;

    for (int k = 0; k < 3; k++) {
        int i = (k + 1) % 3, j = (k + 2) % 3;
        v += (double)a[k] * ((double)b[i] * (double)c[j] - (double)b[j] * (double)c[i]);
    }
    return v;
}

static void measure(struct piece *piece, uint32_t *parent, const struct t3d_mesh *m)
{
    for (uint32_t i = 0; i < m->n_vertices; i++)
        parent[i] = i;
    for (uint32_t i = 0; i < m->n_triangles; i++) {
        join(parent, m->triangle[i][0], m->triangle[i][1]);
        join(parent, m->triangle[i][1], m->triangle[i][2]);
    }
    for (uint32_t i = 0; i < m->n_triangles; i++) {
        struct piece *p = &piece[root_of(parent, m->triangle[i][0])];
        p->triangles++;
        p->volume += volume_of(m, m->triangle[i]);
    }
}

/* Vertices of dropped pieces go, the others keep their order. `to` is where each went. */
static void compact(struct t3d_mesh *m, const uint8_t *keep, uint32_t *parent, uint32_t *to)
{
    uint32_t n = 0, kept = 0;

    for (uint32_t i = 0; i < m->n_vertices; i++) {
        to[i] = n;
        if (keep[root_of(parent, i)])
            memcpy(m->position[n++], m->position[i], sizeof *m->position);
    }
    for (uint32_t i = 0; i < m->n_triangles; i++) {
        const uint32_t *t = m->triangle[i];
        if (!keep[root_of(parent, t[0])])
            continue;
        memcpy(m->triangle[kept++], (uint32_t[3]){to[t[0]], to[t[1]], to[t[2]]},
               sizeof *m->triangle);
    }
    m->n_vertices = n;
    m->n_triangles = kept;
}

int t3d_mesh_keep_large(struct t3d_mesh *m, double share, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t *parent = t3d_alloc_raw(a, m->n_vertices, sizeof *parent),
             *to = t3d_alloc_raw(a, m->n_vertices, sizeof *to), most = 0;
    struct piece *piece = t3d_alloc(a, m->n_vertices, sizeof *piece);
    uint8_t *keep = t3d_alloc(a, m->n_vertices, 1);

    if (!parent || !to || !piece || !keep)
        return t3d_err_nomem(err, "a surface");
    measure(piece, parent, m);
    for (uint32_t i = 0; i < m->n_vertices; i++)
        most = T3D_MAX(most, piece[i].triangles);
    for (uint32_t i = 0; i < m->n_vertices; i++)
        keep[i] = piece[i].volume > 0 && piece[i].triangles >= share * most;
    compact(m, keep, parent, to);
    return T3D_OK;
}

/* --- smoothing ---------------------------------------------------------------------------------
 */

/* Each neighbour of a vertex of a closed mesh is the end of exactly one directed side there. */
static void pull(struct t3d_mesh *m, float (*sum)[3], const uint32_t *degree, float weight)
{
    memset(sum, 0, m->n_vertices * sizeof *sum);
    for (uint32_t i = 0; i < m->n_triangles; i++)
        for (int c = 0; c < 3; c++) {
            float *to = sum[m->triangle[i][c]];
            const float *p = m->position[m->triangle[i][(c + 1) % 3]];
            for (int k = 0; k < 3; k++)
                to[k] += p[k];
        }
    for (uint32_t i = 0; i < m->n_vertices; i++)
        for (int k = 0; k < 3 && degree[i]; k++)
            m->position[i][k] += weight * (sum[i][k] / (float)degree[i] - m->position[i][k]);
}

int t3d_mesh_smooth(struct t3d_mesh *m, int rounds, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t *degree = t3d_alloc(a, m->n_vertices, sizeof *degree);
    float(*sum)[3] = t3d_alloc_raw(a, m->n_vertices, sizeof *sum);

    if (!degree || !sum)
        return t3d_err_nomem(err, "a surface");
    for (uint32_t i = 0; i < m->n_triangles; i++)
        for (int c = 0; c < 3; c++)
            degree[m->triangle[i][c]]++;
    for (int i = 0; i < rounds; i++) {
        pull(m, sum, degree, .5f);
        pull(m, sum, degree, -.53f);
    }
    return T3D_OK;
}

/* --- normals -----------------------------------------------------------------------------------
 */

void t3d_mesh_normals(float (*normal)[3], const struct t3d_mesh *m)
{
    memset(normal, 0, m->n_vertices * sizeof *normal);
    for (uint32_t i = 0; i < m->n_triangles; i++) {
        const uint32_t *t = m->triangle[i];
        const float *p = m->position[t[0]], *q = m->position[t[1]], *r = m->position[t[2]];
        for (int k = 0; k < 3; k++) {
            int x = (k + 1) % 3, y = (k + 2) % 3;
            float n = (q[x] - p[x]) * (r[y] - p[y]) - (q[y] - p[y]) * (r[x] - p[x]);
            for (int c = 0; c < 3; c++)
                normal[t[c]][k] += n;
        }
    }
    for (uint32_t i = 0; i < m->n_vertices; i++) {
        float *n = normal[i];
        double l = sqrt((double)n[0] * (double)n[0] + (double)n[1] * (double)n[1] +
                        (double)n[2] * (double)n[2]);
        for (int k = 0; k < 3; k++)
            n[k] = l > 0 ? (float)((double)n[k] / l) : 0;
    }
}
