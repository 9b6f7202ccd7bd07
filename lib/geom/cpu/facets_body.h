/* SPDX-License-Identifier: Apache-2.0 */
/* geom/cpu/facets_body.h -- the walk of one leaf's points through a tree of triangles. */
#ifndef T3D_GEOM_CPU_FACETS_BODY_H
#define T3D_GEOM_CPU_FACETS_BODY_H

#include <string.h>

#define T3DI_ASK ask_facets
#include "geom/cpu/nearest_body.h"
#include "geom/facets_impl.h"

struct v3 {
    v16 x, y, z;
};

V16 struct v3 set3(const float *p)
{
    return (struct v3){v16_set(p[0]), v16_set(p[1]), v16_set(p[2])};
}

V16 v16 dot3(struct v3 a, struct v3 b)
{
    return v16_fma(a.x, b.x, v16_fma(a.y, b.y, v16_mul(a.z, b.z)));
}

V16 struct v3 add3(struct v3 a, struct v3 b)
{
    return (struct v3){v16_add(a.x, b.x), v16_add(a.y, b.y), v16_add(a.z, b.z)};
}

/* Squared distance of p, relative to the edge's start, to the edge. */
V16 v16 to_edge(struct v3 p, struct v3 edge, float inverse)
{
    v16 t = v16_mul(dot3(p, edge), v16_set(inverse));

    t = v16_min(v16_max(t, v16_set(0)), v16_set(1));
    return squared(v16_sub(p.x, v16_mul(t, edge.x)), v16_sub(p.y, v16_mul(t, edge.y)),
                   v16_sub(p.z, v16_mul(t, edge.z)));
}

/* Above the triangle, within the prism over its edges, it is the distance to the plane; elsewhere
 * that to the nearest edge. */
V16 v16 to_facet(const struct walk *w, const float *row)
{
    struct v3 p = {v16_sub(w->x, v16_set(row[0])), v16_sub(w->y, v16_set(row[1])),
                   v16_sub(w->z, v16_set(row[2]))};
    struct v3 ba = set3(row + 3), cb = set3(row + 6), ac = set3(row + 9);
    struct v3 minus_ba = set3((float[3]){-row[3], -row[4], -row[5]});
    struct v3 pb = add3(p, minus_ba), pc = add3(p, ac);
    v16 zero = v16_set(0), height = dot3(set3(row + 12), p);
    unsigned above = v16_lt(zero, dot3(set3(row + 15), p)) &
                     v16_lt(zero, dot3(set3(row + 18), pb)) &
                     v16_lt(zero, dot3(set3(row + 21), pc));
    v16 edges = v16_min(v16_min(to_edge(p, ba, row[24]), to_edge(pb, cb, row[25])),
                        to_edge(pc, ac, row[26]));

    return v16_blend(above, v16_mul(v16_mul(height, height), v16_set(row[27])), edges);
}

V16 void ask_facets(struct walk *w, uint32_t leaf)
{
    unsigned any = 0;

    for (uint32_t i = leaf * T3DI_FACET_LEAF; i < (leaf + 1) * T3DI_FACET_LEAF; i++) {
        v16 d = to_facet(w, w->to->point + (size_t)i * T3DI_FACET_ROW);
        unsigned better = v16_lt(d, w->best);
        w->best = v16_min(w->best, d);
        w->leaf = v16_blend(better, v16_set(bits_of(i)), w->leaf);
        any |= better;
    }
    if (!any)
        return;
    w->bound = v16_greatest(w->best);
    w->nearest_leaf = leaf;
}

#define T3DI_FACETS(name)                                                                          \
    void name(const struct t3d_nearest *from, const struct t3d_nearest *to, uint32_t first,        \
              uint32_t last, float *squares, uint32_t *index)                                      \
    {                                                                                              \
        struct walk w = {.to = to,                                                                 \
                         .unit = __builtin_ldexpf(1, from->exponent - to->exponent),               \
                         .nearest_leaf = UINT32_MAX};                                              \
                                                                                                   \
        for (uint32_t leaf = first; leaf < last; leaf++) {                                         \
            start(&w, from, leaf);                                                                 \
            if (w.nearest_leaf != UINT32_MAX)                                                      \
                ask_facets(&w, w.nearest_leaf);                                                    \
            walk_level(&w, to->n_levels - 1, 0);                                                   \
            v16_store(squares + (size_t)(leaf - first) * 16, w.best);                              \
            float found[16];                                                                       \
            v16_store(found, w.leaf);                                                              \
            memcpy(index + (size_t)(leaf - first) * 16, found, sizeof found);                      \
        }                                                                                          \
    }

#endif
