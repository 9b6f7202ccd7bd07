/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/facets.h"

#include <math.h>
#include <stdlib.h>

#include "base/isa.h"
#include "geom/facets_impl.h"

enum { CHUNK_LEAVES = 64, FEW_POINTS = 4096 };

struct t3d_facets {
    struct t3d_nearest
        tree; /* boxes over leaves of facets; point and order as facets_impl.h says */
    const struct t3d_scene *scene;
};

/* --- the tree --- */

static void fill_row(float *row, const struct t3d_facets *f, uint32_t triangle)
{
    double p[3][3], e[3][3], n[3], squared = 0, scale = ldexp(1, -f->tree.exponent);

    for (int v = 0; v < 3; v++)
        for (int k = 0; k < 3; k++)
            p[v][k] = scale * (double)f->scene->position[f->scene->triangle[triangle][v]][k];
    for (int v = 0; v < 3; v++)
        for (int k = 0; k < 3; k++)
            e[v][k] = p[(v + 1) % 3][k] - p[v][k];
    for (int k = 0; k < 3; k++) {
        int l = (k + 1) % 3, m = (k + 2) % 3;
        n[k] = e[0][l] * e[2][m] - e[0][m] * e[2][l];
        squared += n[k] * n[k];
    }
    /* of length 1, so that small triangles stay in range */
    for (int k = 0; k < 3; k++)
        n[k] = squared > 0 ? n[k] / sqrt(squared) : 0;
    for (int k = 0; k < 3; k++) {
        int l = (k + 1) % 3, m = (k + 2) % 3;
        row[k] = (float)p[0][k];
        row[12 + k] = (float)n[k];
        for (int v = 0; v < 3; v++) {
            row[3 + 3 * v + k] = (float)e[v][k];
            row[15 + 3 * v + k] = (float)(e[v][l] * n[m] - e[v][m] * n[l]);
        }
    }
    for (int v = 0; v < 3; v++) {
        double length = e[v][0] * e[v][0] + e[v][1] * e[v][1] + e[v][2] * e[v][2];
        row[24 + v] = length > 1e-36 ? (float)(1 / length) : 0;
    }
    row[27] = squared > 0;
}

/* Boxes of the leaves. */
static void fill_leaf(struct t3d_facets *f, uint32_t leaf)
{
    struct t3d_nearest *t = &f->tree;
    float *box = t->box[0] + (size_t)(leaf / 16) * T3DI_BOX_ROW + leaf % 16;
    float scale = ldexpf(1, -t->exponent);

    for (uint32_t i = 0; i < T3DI_FACET_LEAF; i++) {
        uint32_t triangle = t->order[leaf * T3DI_FACET_LEAF + i];
        fill_row(t->point + (size_t)(leaf * T3DI_FACET_LEAF + i) * T3DI_FACET_ROW, f, triangle);
        for (int v = 0; v < 3; v++)
            for (int k = 0; k < 3; k++) {
                float p = scale * f->scene->position[f->scene->triangle[triangle][v]][k];
                int first = i == 0 && v == 0;
                box[16 * k] = first ? p : fminf(box[16 * k], p);
                box[48 + 16 * k] = first ? p : fmaxf(box[48 + 16 * k], p);
            }
    }
}

/* Triangles in the order of their middles along a curve, the last one repeated to fill its leaf. */
static int sort_triangles(struct t3d_facets *f, int threads, struct t3d_err *err)
{
    const struct t3d_scene *s = f->scene;
    float(*middle)[3] = malloc(s->n_triangles * sizeof *middle);
    struct t3d_nearest *order = NULL;
    float most = 0;
    int r;

    if (!middle)
        return t3d_err_nomem(err, "the triangles of a mesh");
    for (uint32_t i = 0; i < s->n_triangles; i++)
        for (int k = 0; k < 3; k++) {
            double sum = 0;
            for (int v = 0; v < 3; v++) {
                sum += (double)s->position[s->triangle[i][v]][k] / 3;
                most = fmaxf(most, fabsf(s->position[s->triangle[i][v]][k]));
            }
            middle[i][k] = (float)sum;
        }
    frexpf(most, &f->tree.exponent);
    f->tree.exponent = T3D_MAX(f->tree.exponent, -100);
    r = t3d_nearest_new(&order, (const float(*)[3])middle, s->n_triangles, threads, err);
    for (uint32_t i = 0; r == T3D_OK && i < f->tree.n_leaves * T3DI_FACET_LEAF; i++)
        f->tree.order[i] = t3d_nearest_order(order)[T3D_MIN(i, s->n_triangles - 1)];
    t3d_nearest_free(order);
    free(middle);
    return r;
}

int t3d_facets_new(struct t3d_facets **out, const struct t3d_scene *s, int threads,
                   struct t3d_err *err)
{
    struct t3d_facets *f;
    struct t3d_nearest *t;
    size_t slots;
    int r = T3D_OK;

    if (s->n_triangles == 0)
        return t3d_err_set(err, T3D_SKIP, "no-triangles", "there is no triangle to be near to");
    f = calloc(1, sizeof *f);
    if (!f)
        return t3d_err_nomem(err, "the triangles of a mesh");
    t = &f->tree;
    f->scene = s;
    t->n = s->n_triangles;
    t->n_leaves = (t->n + T3DI_FACET_LEAF - 1) / T3DI_FACET_LEAF;
    slots = (size_t)t->n_leaves * T3DI_FACET_LEAF;
    t->order = malloc(slots * sizeof *t->order);
    t->point = malloc(slots * T3DI_FACET_ROW * sizeof *t->point);
    if (!t->order || !t->point)
        r = t3d_err_nomem(err, "the triangles of a mesh");
    if (r == T3D_OK)
        r = sort_triangles(f, threads, err);
    if (r == T3D_OK)
        r = t3di_boxes_level(t, 0, t->n_leaves, err);
    for (uint32_t leaf = 0; r == T3D_OK && leaf < t->n_leaves; leaf++)
        fill_leaf(f, leaf);
    if (r == T3D_OK)
        r = t3di_boxes_above(t, threads, err);
    if (r == T3D_OK)
        *out = f;
    else
        t3d_facets_free(f);
    return r;
}

void t3d_facets_free(struct t3d_facets *f)
{
    if (!f)
        return;
    t3di_boxes_free(&f->tree);
    free(f->tree.order);
    free(f->tree.point);
    free(f);
}

/* --- asking --- */

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Squared distance of p, relative to the edge's start, to the edge. */
static double to_edge(const double p[3], const double edge[3])
{
    double length = dot(edge, edge), t = length > 0 ? dot(p, edge) / length : 0, d[3];

    t = T3D_CLAMP(t, 0, 1);
    for (int k = 0; k < 3; k++)
        d[k] = p[k] - t * edge[k];
    return dot(d, d);
}

/* The rule of to_facet in facets_body.h, in double and in the units of the file. */
static double exact_distance(const struct t3d_scene *s, uint32_t triangle, const double p[3])
{
    double v[3][3], e[3][3], q[3][3], n[3], least = INFINITY;
    int above = 1;

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            v[i][k] = (double)s->position[s->triangle[triangle][i]][k];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            e[i][k] = v[(i + 1) % 3][k] - v[i][k];
            q[i][k] = p[k] - v[i][k];
        }
    for (int k = 0; k < 3; k++)
        n[k] = e[0][(k + 1) % 3] * e[2][(k + 2) % 3] - e[0][(k + 2) % 3] * e[2][(k + 1) % 3];
    for (int i = 0; i < 3; i++) {
        double inward[3];
        for (int k = 0; k < 3; k++)
            inward[k] = e[i][(k + 1) % 3] * n[(k + 2) % 3] - e[i][(k + 2) % 3] * n[(k + 1) % 3];
        above &= dot(inward, q[i]) > 0;
        least = fmin(least, to_edge(q[i], e[i]));
    }
    return above ? fabs(dot(n, q[0])) / sqrt(dot(n, n)) : sqrt(least);
}

static t3di_nearest_fn *kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return t3di_facets_avx512;
    case T3D_ISA_AVX2:
        return t3di_facets_avx2;
    default:
        return t3di_facets_portable;
    }
}

static void ask_chunk(const struct t3d_nearest *from, const struct t3d_facets *to, uint32_t first,
                      float *distance, uint32_t *triangle)
{
    float squares[CHUNK_LEAVES * T3DI_LEAF];
    uint32_t found[CHUNK_LEAVES * T3DI_LEAF];
    uint32_t last = T3D_MIN(first + CHUNK_LEAVES, from->n_leaves);
    double unit = ldexp(1, from->exponent);

    kernel()(from, &to->tree, first, last, squares, found);
    for (size_t i = 0; i < (size_t)(last - first) * T3DI_LEAF; i++) {
        size_t slot = (size_t)first * T3DI_LEAF + i;
        const float *row = from->point + slot / T3DI_LEAF * T3DI_LEAF_ROW + slot % T3DI_LEAF;
        uint32_t t = to->tree.order[found[i]], at = from->order[slot];
        const double p[3] = {unit * (double)row[0], unit * (double)row[16], unit * (double)row[32]};
        distance[at] = (float)exact_distance(to->scene, t, p);
        if (triangle)
            triangle[at] = t;
    }
}

void t3d_facets_between(const struct t3d_nearest *from, const struct t3d_facets *to,
                        float *distance, uint32_t *triangle, int threads)
{
    if (from->n < FEW_POINTS)
        threads = 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (uint32_t leaf = 0; leaf < from->n_leaves; leaf += CHUNK_LEAVES)
        ask_chunk(from, to, leaf, distance, triangle);
}
