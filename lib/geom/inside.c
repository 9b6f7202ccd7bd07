/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/inside.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/isa.h"
#include "geom/inside_impl.h"
#include "geom/measure_impl.h"

enum { N = T3D_GRID };
#define CELLS ((size_t)N * N * N)

struct solver {
    const struct t3d_scene *s;
    const struct t3d_grid *g;
    struct t3d_arena *a;
    int16_t *count; /* (x, y, z): change of the winding number at this cell, then the number */
    struct t3di_weld weld;
    struct t3di_caps caps;
    double longest;
};

/* --- crossings ---
 *
 * Coordinates in cells: the centre of cell i is at i. A slice at row y cuts a triangle in a segment
 * between two of its edges; where an edge is cut depends on its ends alone, so the segments of a
 * closed mesh form closed loops and every column sees a consistent number of them. */

struct cut {
    double x, z;
};

static void to_cells(const struct t3d_grid *g, const float p[3], double out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = ((double)p[k] - g->lo[k]) / (g->hi[k] - g->lo[k]) * N - .5;
}

/* Where the edge crosses y: from its lower end to its upper one, whichever way it runs. */
static struct cut cut_edge(const double a[3], const double b[3], double y)
{
    const double *lo = a[1] <= y ? a : b, *hi = a[1] <= y ? b : a;
    double t = (y - lo[1]) / (hi[1] - lo[1]);

    return (struct cut){lo[0] + t * (hi[0] - lo[0]), lo[2] + t * (hi[2] - lo[2])};
}

static int first_cell(double v)
{
    double c = ceil(v);

    return c < 0 ? 0 : c > N ? N : (int)c;
}

static void add_segment(int16_t *count, int y, struct cut up, struct cut down)
{
    int sign = up.x > down.x ? -1 : 1;
    struct cut a = sign < 0 ? down : up, b = sign < 0 ? up : down;
    int last = first_cell(b.x);

    for (int x = first_cell(a.x); x < last; x++) {
        double z = a.z + (x - a.x) * ((b.z - a.z) / (b.x - a.x));
        int k = first_cell(z);
        if (k < N) {
            int16_t *c = &count[((size_t)x * N + (size_t)y) * N + (size_t)k];
            *c = (int16_t)(*c + sign);
        }
    }
}

static void add_triangle(struct solver *s, const uint32_t t[3])
{
    double p[3][3], lo, hi;

    for (int k = 0; k < 3; k++)
        to_cells(s->g, s->s->position[t[k]], p[k]);
    lo = fmin(fmin(p[0][1], p[1][1]), p[2][1]);
    hi = fmax(fmax(p[0][1], p[1][1]), p[2][1]);
    for (int y = first_cell(lo), last = T3D_MIN(N - 1, (int)floor(fmin(hi, N))); y <= last; y++) {
        struct cut up = {0, 0}, down = {0, 0};
        int cuts = 0;
        for (int k = 0; k < 3; k++) {
            const double *a = p[k], *b = p[(k + 1) % 3];
            if ((a[1] <= y) == (b[1] <= y))
                continue;
            *(a[1] <= y ? &up : &down) = cut_edge(a, b, y);
            cuts++;
        }
        if (cuts == 2)
            add_segment(s->count, y, up, down);
    }
}

/* --- the boundary, closed by fans --- */

static uint32_t find_root(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* A directed edge that runs once too often: the fan's triangle runs over it the other way. */
struct open_edge {
    uint32_t from, to;
};

/* Edges by their smaller end (see study_edges of measure_topology.c): larger end and direction. */
static void group_edges(const struct solver *s, struct t3di_groups *g, struct t3d_err *err, int *r)
{
    t3di_groups_begin(g, s->weld.n);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < s->s->n_triangles; t++) {
            for (int k = 0; k < 3; k++) {
                uint32_t i = s->weld.id[s->s->triangle[t][k]],
                         j = s->weld.id[s->s->triangle[t][(k + 1) % 3]];
                if (i == j)
                    continue;
                if (pass == 0)
                    g->start[(size_t)T3D_MIN(i, j) + 2]++;
                else
                    g->value[g->start[(size_t)T3D_MIN(i, j) + 1]++] =
                        (uint64_t)T3D_MAX(i, j) << 1 | (i < j);
            }
        }
        if (pass == 0)
            t3di_groups_sum(g);
    }
    *r = t3di_groups_sort(g, s->a, err);
}

/* Edges whose two directions do not balance, as often as that; *closed: all are used exactly twice.
 * With out NULL only counted. */
static size_t open_edges(const struct t3di_groups *g, uint32_t n_keys, struct open_edge *out,
                         int *closed)
{
    size_t n = 0;

    *closed = n_keys > 0 && g->start[n_keys] > 0;
    for (uint32_t key = 0; key < n_keys; key++)
        for (uint32_t i = g->start[key]; i < g->start[key + 1];) {
            uint32_t j = i, other = (uint32_t)(g->value[i] >> 1);
            int balance = 0;
            for (; j < g->start[key + 1] && g->value[j] >> 1 == other; j++)
                balance += g->value[j] & 1 ? 1 : -1;
            *closed &= j - i == 2;
            for (int k = abs(balance); k > 0; k--, n++)
                if (out)
                    out[n] = balance > 0 ? (struct open_edge){key, other}
                                         : (struct open_edge){other, key};
            i = j;
        }
    return n;
}

static void place_of(const struct solver *s, uint32_t id, double p[3])
{
    const float *q = s->s->position[s->weld.first[id]];

    for (int k = 0; k < 3; k++)
        p[k] = ((double)q[k] - s->g->lo[k]) / s->longest;
}

struct loop {
    double sum[3];
    uint32_t n;
};

static void set_cap(struct t3di_caps *c, uint32_t i, double p[3][3])
{
    double centre[3], radius = 0, cross[3], area = 0;

    for (int k = 0; k < 3; k++)
        centre[k] = (p[0][k] + p[1][k] + p[2][k]) / 3;
    for (int v = 0; v < 3; v++) {
        double d = 0;
        for (int k = 0; k < 3; k++) {
            c->data[(size_t)(3 * v + k) * c->stride + i] = (float)p[v][k];
            d += (p[v][k] - centre[k]) * (p[v][k] - centre[k]);
        }
        radius = fmax(radius, sqrt(d));
    }
    for (int k = 0; k < 3; k++) {
        int l = (k + 1) % 3, m = (k + 2) % 3;
        cross[k] =
            (p[1][l] - p[0][l]) * (p[2][m] - p[0][m]) - (p[1][m] - p[0][m]) * (p[2][l] - p[0][l]);
        area += cross[k] * cross[k];
        c->data[(size_t)(T3DI_CAP_CENTRE + k) * c->stride + i] = (float)centre[k];
    }
    /* a little more than exact: bounds must hold in single precision */
    c->data[(size_t)T3DI_CAP_RADIUS * c->stride + i] = (float)(radius * 1.00001);
    c->data[(size_t)T3DI_CAP_AREA * c->stride + i] =
        (float)(.5 * sqrt(area) / 12.566370614 * 1.0001);
}

/* A fan over each connected part of the boundary, about the mean of its ends; rasterised with the
 * mesh, so that what was counted becomes the winding number of a closed one. */
static int close_mesh(struct solver *s, const struct open_edge *edge, size_t n, struct t3d_err *err)
{
    uint32_t *parent = t3d_alloc(s->a, s->weld.n, sizeof *parent);
    struct loop *loop = t3d_alloc(s->a, s->weld.n, sizeof *loop);
    struct t3d_scene fan = {0};
    uint32_t corner[3] = {0, 1, 2};
    float position[3][3];

    s->caps.n = (uint32_t)n;
    s->caps.stride = (uint32_t)((n + 15) / 16 * 16);
    s->caps.data = t3d_alloc(s->a, (size_t)T3DI_CAP_ARRAYS * s->caps.stride, sizeof(float));
    if (!parent || !loop || !s->caps.data)
        return t3d_err_nomem(err, "the boundary of a mesh");
    for (uint32_t i = 0; i < s->weld.n; i++)
        parent[i] = i;
    for (size_t i = 0; i < n; i++)
        parent[find_root(parent, edge[i].from)] = find_root(parent, edge[i].to);
    for (size_t i = 0; i < n; i++) {
        struct loop *l = &loop[find_root(parent, edge[i].from)];
        double p[3];
        place_of(s, edge[i].from, p);
        for (int k = 0; k < 3; k++)
            l->sum[k] += p[k];
        l->n++;
    }
    fan.position = position;
    for (size_t i = 0; i < n; i++) {
        const struct loop *l = &loop[find_root(parent, edge[i].from)];
        double p[3][3];
        for (int k = 0; k < 3; k++)
            p[2][k] = (double)(float)(l->sum[k] / l->n);
        place_of(s, edge[i].to, p[0]);
        place_of(s, edge[i].from, p[1]);
        set_cap(&s->caps, (uint32_t)i, p);
        memcpy(position[0], s->s->position[s->weld.first[edge[i].to]], sizeof position[0]);
        memcpy(position[1], s->s->position[s->weld.first[edge[i].from]], sizeof position[1]);
        for (int k = 0; k < 3; k++)
            position[2][k] = (float)(p[2][k] * s->longest + s->g->lo[k]);
        {
            struct solver t = *s;
            t.s = &fan;
            add_triangle(&t, corner);
        }
    }
    return T3D_OK;
}

/* --- cells --- */

static t3di_column_fn *column_kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return t3di_column_avx512;
    case T3D_ISA_AVX2:
        return t3di_column_avx2;
    default:
        return t3di_column_portable;
    }
}

static void decide(struct solver *s, struct t3d_inside *in)
{
    t3di_column_fn *column = column_kernel();
    double step[3];

    for (int k = 0; k < 3; k++)
        step[k] = (s->g->hi[k] - s->g->lo[k]) / N / s->longest;
    for (size_t c = 0; c < (size_t)N * N; c++) {
        int16_t *count = s->count + c * N;
        uint8_t *cell = in->cell + c * N;
        for (int z = 1; z < N; z++)
            count[z] = (int16_t)(count[z] + count[z - 1]);
        if (in->closed)
            for (int z = 0; z < N; z++)
                cell[z] = count[z] & 1;
        else
            column(&s->caps, (float)(((double)(c / N) + .5) * step[0]),
                   (float)(((double)(c % N) + .5) * step[1]), (float)(.5 * step[2]), (float)step[2],
                   count, cell, N);
    }
    for (size_t i = 0; i < CELLS; i++)
        in->n += in->cell[i];
}

static int find_boundary(struct solver *s, struct t3d_inside *in, struct t3d_err *err)
{
    struct open_edge *edge;
    struct t3di_groups g;
    size_t n;
    int r = t3di_weld_scene(&s->weld, s->s, s->a, err);

    if (r == T3D_OK)
        r = t3di_groups_init(&g, s->weld.n, 3 * (size_t)s->s->n_triangles, s->a, err);
    if (r == T3D_OK)
        group_edges(s, &g, err, &r);
    if (r < 0)
        return r;
    n = open_edges(&g, s->weld.n, NULL, &in->closed);
    if (in->closed)
        return T3D_OK;
    edge = t3d_alloc(s->a, n, sizeof *edge);
    if (!edge)
        return t3d_err_nomem(err, "the boundary of a mesh");
    open_edges(&g, s->weld.n, edge, &in->closed);
    in->caps = (uint32_t)n;
    return close_mesh(s, edge, n, err);
}

int t3d_inside(struct t3d_inside *in, const struct t3d_scene *scene, const struct t3d_grid *g,
               struct t3d_arena *a, struct t3d_err *err)
{
    struct solver s = {.s = scene, .g = g, .a = a};
    int r;

    *in = (struct t3d_inside){0};
    for (int k = 0; k < 3; k++) {
        s.longest = fmax(s.longest, g->hi[k] - g->lo[k]);
        if (!(g->hi[k] > g->lo[k]) || !isfinite(g->hi[k] - g->lo[k]))
            return t3d_err_set(err, T3D_SKIP, "no-extent", "the box of the grid has no volume");
    }
    s.count = t3d_alloc(a, CELLS, sizeof *s.count);
    in->cell = t3d_alloc_raw(a, CELLS, 1);
    if (!s.count || !in->cell)
        return t3d_err_nomem(err, "a grid");
    for (uint32_t t = 0; t < scene->n_triangles; t++)
        add_triangle(&s, scene->triangle[t]);
    r = find_boundary(&s, in, err);
    if (r == T3D_OK)
        decide(&s, in);
    return r;
}
