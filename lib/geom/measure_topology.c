/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "geom/measure_impl.h"

/* --- edges --------------------------------------------------------------------------------------
 */

struct edges {
    uint64_t boundary, nonmanifold;
    int closed;     /* there are edges, and each is used exactly twice */
    int consistent; /* the two users of each such edge run oppositely */
};

/* An edge's key is its smaller end; its value the larger end and the direction. */
static void count_edges(struct t3di_groups *g, const uint32_t t[3])
{
    for (int k = 0; k < 3; k++) {
        uint32_t i = t[k], j = t[k == 2 ? 0 : k + 1];
        g->start[(size_t)T3D_MIN(i, j) + 2]++;
    }
}

static void place_edges(struct t3di_groups *g, const uint32_t t[3])
{
    for (int k = 0; k < 3; k++) {
        uint32_t i = t[k], j = t[k == 2 ? 0 : k + 1];
        g->value[g->start[(size_t)T3D_MIN(i, j) + 1]++] = (uint64_t)T3D_MAX(i, j) << 1 | (i < j);
    }
}

static void tally(struct edges *e, const uint64_t *v, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t j = i + 1;
        while (j < n && v[j] >> 1 == v[i] >> 1)
            j++;
        if (j - i == 1)
            e->boundary++;
        else if (j - i > 2)
            e->nonmanifold++;
        else if (v[i] == v[i + 1])
            e->consistent = 0;
        i = j;
    }
}

/* map NULL: by stored indices. leave_out NULL: all triangles. */
static int study_edges(struct edges *e, const struct t3d_scene *s, const struct t3di_weld *map,
                       const uint8_t *leave_out, struct t3di_groups *g, struct t3d_arena *a,
                       struct t3d_err *err)
{
    uint32_t t[3];
    int r;

    memset(e, 0, sizeof *e);
    e->consistent = 1;
    t3di_groups_begin(g, map ? map->n : s->n_vertices);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->n_triangles; i++) {
            if (leave_out && leave_out[i])
                continue;
            for (int k = 0; k < 3; k++)
                t[k] = map ? map->id[s->triangle[i][k]] : s->triangle[i][k];
            if (pass == 0)
                count_edges(g, t);
            else
                place_edges(g, t);
        }
        if (pass == 0)
            t3di_groups_sum(g);
    }
    r = t3di_groups_sort(g, a, err);
    if (r < 0)
        return r;
    for (size_t k = 0; k < g->n_keys; k++)
        tally(e, g->value + g->start[k], g->start[k + 1] - g->start[k]);
    e->closed = !e->boundary && !e->nonmanifold && g->start[g->n_keys] > 0;
    return T3D_OK;
}

/* 0 when some edge is certainly used an odd number of times: the hashes of the edges, used twice
 * each, cancel. Most real files have seams, and this spares them the sorting. */
static int may_be_closed(const struct t3d_scene *s)
{
    uint64_t all = 0;

    for (size_t i = 0; i < s->n_triangles; i++) {
        const uint32_t *t = s->triangle[i];
        for (int k = 0; k < 3; k++) {
            uint64_t x = t[k], y = t[k == 2 ? 0 : k + 1];
            uint64_t h = (T3D_MIN(x, y) << 32 | T3D_MAX(x, y)) * 0x9E3779B97F4A7C15u;
            all ^= (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
        }
    }
    return all == 0;
}

/* By stored indices; welded: what is known by places, none of which may be shared for a short cut.
 */
static int is_closed_as_stored(int *closed, const struct t3d_scene *s, const struct t3di_weld *w,
                               const struct edges *welded, int any_collapsed, struct t3di_groups *g,
                               struct t3d_arena *a, struct t3d_err *err)
{
    struct edges stored;
    int r = T3D_OK;

    if (w->n == s->n_vertices && !any_collapsed) {
        *closed = welded->closed;
    } else if (!may_be_closed(s)) {
        *closed = 0;
    } else {
        r = study_edges(&stored, s, NULL, NULL, g, a, err);
        *closed = r == T3D_OK && stored.closed;
    }
    return r;
}

/* --- components and duplicates ------------------------------------------------------------------
 */

static uint32_t root(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* Union by smaller number and path halving: the set of each welded vertex that a triangle uses. */
static int count_components(struct t3d_measures *m, const struct t3d_scene *s,
                            const struct t3di_weld *w, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t *parent = t3d_alloc_raw(a, w->n, sizeof *parent);
    uint8_t *used = t3d_alloc(a, w->n, 1);

    if (!parent || !used)
        return t3d_err_nomem(err, "finding components");
    for (uint32_t i = 0; i < w->n; i++)
        parent[i] = i;
    for (size_t t = 0; t < s->n_triangles; t++) {
        uint32_t i = root(parent, w->id[s->triangle[t][0]]);
        used[w->id[s->triangle[t][0]]] = 1;
        for (int k = 1; k < 3; k++) {
            uint32_t id = w->id[s->triangle[t][k]], j = root(parent, id);
            used[id] = 1;
            if (i != j) {
                parent[T3D_MAX(i, j)] = T3D_MIN(i, j);
                i = T3D_MIN(i, j);
            }
        }
    }
    m->components = 0;
    for (uint32_t i = 0; i < w->n; i++)
        m->components += used[i] && parent[i] == i;
    return T3D_OK;
}

/* The corners as welded ids, ascending. */
static void sorted_corners(const struct t3d_scene *s, const struct t3di_weld *w, size_t t,
                           uint32_t c[3])
{
    uint32_t x = w->id[s->triangle[t][0]], y = w->id[s->triangle[t][1]],
             z = w->id[s->triangle[t][2]];
    uint32_t low = T3D_MIN(x, y), high = T3D_MAX(x, y);

    c[0] = T3D_MIN(low, z);
    c[2] = T3D_MAX(high, z);
    c[1] = T3D_MAX(low, T3D_MIN(high, z));
}

static int count_duplicates(struct t3d_measures *m, const struct t3d_scene *s,
                            const struct t3di_weld *w, const uint8_t *collapsed,
                            struct t3di_groups *g, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t c[3];
    int r;

    t3di_groups_begin(g, w->n);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t t = 0; t < s->n_triangles; t++) {
            if (collapsed[t])
                continue;
            sorted_corners(s, w, t, c);
            if (pass == 0)
                g->start[(size_t)c[0] + 2]++;
            else
                g->value[g->start[(size_t)c[0] + 1]++] = (uint64_t)c[1] << 32 | c[2];
        }
        if (pass == 0)
            t3di_groups_sum(g);
    }
    r = t3di_groups_sort(g, a, err);
    if (r < 0)
        return r;
    for (size_t k = 0; k < g->n_keys; k++)
        for (size_t i = g->start[k] + (size_t)1; i < g->start[k + 1]; i++)
            m->duplicate += g->value[i] == g->value[i - 1];
    return T3D_OK;
}

int t3di_topology(struct t3d_measures *m, const struct t3d_scene *s, const struct t3di_weld *w,
                  const uint8_t *collapsed, struct t3di_groups *g, struct t3d_arena *a,
                  struct t3d_err *err)
{
    int any = s->n_triangles && memchr(collapsed, 1, s->n_triangles);
    struct edges welded;
    int r = study_edges(&welded, s, w, collapsed, g, a, err);

    if (r == T3D_OK)
        r = is_closed_as_stored(&m->watertight, s, w, &welded, any, g, a, err);
    if (r == T3D_OK)
        r = count_components(m, s, w, a, err);
    if (r == T3D_OK)
        r = count_duplicates(m, s, w, collapsed, g, a, err);
    if (r < 0)
        return r;
    m->watertight_welded = welded.closed;
    m->winding_consistent = welded.consistent;
    m->boundary_edges = welded.boundary;
    m->nonmanifold_edges = welded.nonmanifold;
    return T3D_OK;
}
