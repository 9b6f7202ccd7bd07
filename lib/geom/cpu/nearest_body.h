/* SPDX-License-Identifier: Apache-2.0 */
/* geom/cpu/nearest_body.h -- the walk of one leaf's points through the other tree.
 *
 * Pruning is exact: the distance of two boxes is computed by the same operations as that of two
 * points, each of which is monotone under rounding, so it is never above the distance computed for
 * points inside them. */
#ifndef T3D_GEOM_CPU_NEAREST_BODY_H
#define T3D_GEOM_CPU_NEAREST_BODY_H

#include "geom/cpu/simd16.h"
#include "geom/nearest_impl.h"

/* What is done with a leaf that may be near; facets_body.h has another. */
#ifndef T3DI_ASK
#define T3DI_ASK ask_leaf
#endif

struct walk {
    const struct t3d_nearest *to;
    float unit;            /* from the asking tree's units to those of `to`: a power of two */
    v16 x, y, z, best;     /* the sixteen asking points and their least squared distances */
    v16 leaf;              /* where each was found, as float bits of the leaf's number */
    float lo[3], hi[3];    /* their box */
    float bound;           /* greatest of best */
    uint32_t nearest_leaf; /* the last one that improved some point */
};

V16 v16 squared(v16 dx, v16 dy, v16 dz)
{
    return v16_fma(dx, dx, v16_fma(dy, dy, v16_mul(dz, dz)));
}

/* Whole numbers travel as float bits; they are only copied. */
V16 float bits_of(uint32_t i)
{
    union {
        uint32_t i;
        float f;
    } u = {.i = i};

    return u.f;
}

V16 v16 gap(v16 lo, v16 hi, v16 box_lo, v16 box_hi)
{
    return v16_max(v16_max(v16_sub(box_lo, hi), v16_sub(lo, box_hi)), v16_set(0));
}

/* The distance of the asking points' box to sixteen boxes. */
V16 v16 box_to_boxes(const struct walk *w, const float *row)
{
    v16 d[3];

    for (int k = 0; k < 3; k++)
        d[k] = gap(v16_set(w->lo[k]), v16_set(w->hi[k]), v16_load(row + 16 * k),
                   v16_load(row + 48 + 16 * k));
    return squared(d[0], d[1], d[2]);
}

/* The distance of each asking point to box i of a row. */
V16 v16 points_to_box(const struct walk *w, const float *row, unsigned i)
{
    v16 dx = gap(w->x, w->x, v16_set(row[i]), v16_set(row[48 + i]));
    v16 dy = gap(w->y, w->y, v16_set(row[16 + i]), v16_set(row[64 + i]));
    v16 dz = gap(w->z, w->z, v16_set(row[32 + i]), v16_set(row[80 + i]));

    return squared(dx, dy, dz);
}

V16 void ask_leaf(struct walk *w, uint32_t leaf)
{
    const float *p = w->to->point + (size_t)leaf * T3DI_LEAF_ROW;
    v16 even = w->best, odd = w->best;
    unsigned better;

    for (int k = 0; k < 16; k += 2) {
        even =
            v16_min(even, squared(v16_sub(w->x, v16_set(p[k])), v16_sub(w->y, v16_set(p[16 + k])),
                                  v16_sub(w->z, v16_set(p[32 + k]))));
        odd = v16_min(odd,
                      squared(v16_sub(w->x, v16_set(p[k + 1])), v16_sub(w->y, v16_set(p[17 + k])),
                              v16_sub(w->z, v16_set(p[33 + k]))));
    }
    even = v16_min(even, odd);
    better = v16_lt(even, w->best);
    if (!better)
        return;
    w->best = even;
    w->leaf = v16_blend(better, v16_set(bits_of(leaf)), w->leaf);
    w->bound = v16_greatest(even);
    w->nearest_leaf = leaf;
}

V16 void T3DI_ASK(struct walk *w, uint32_t leaf);

/* Children of group g at this level, nearest first. */
static void walk_level(struct walk *w, int level, uint32_t g)
{
    const float *row = w->to->box[level] + (size_t)g * T3DI_BOX_ROW;
    v16 d = box_to_boxes(w, row);
    unsigned open = v16_lt(d, v16_set(w->bound));
    const v16 far = v16_set(__builtin_inff());

    while (open) {
        v16 left = v16_blend(open, d, far);
        float least = v16_least(left);
        unsigned i;
        if (!(least < w->bound))
            return;
        /* the complement of "above the least" among those that are open */
        i = (unsigned)__builtin_ctz(open & ~v16_lt(v16_set(least), left));
        open &= ~(1u << i);
        if (!v16_lt(points_to_box(w, row, i), w->best))
            continue;
        if (level == 0)
            T3DI_ASK(w, g * 16 + i);
        else
            walk_level(w, level - 1, g * 16 + i);
    }
}

/* Which of its leaf's points is the one found. */
V16 uint32_t find_in_leaf(const struct t3d_nearest *to, uint32_t leaf, float x, float y, float z,
                          float best)
{
    const float *p = to->point + (size_t)leaf * T3DI_LEAF_ROW;
    v16 d = squared(v16_sub(v16_set(x), v16_load(p)), v16_sub(v16_set(y), v16_load(p + 16)),
                    v16_sub(v16_set(z), v16_load(p + 32)));
    unsigned hit = ~v16_lt(v16_set(best), d) & 0xffffu;

    return leaf * 16 + (hit ? (unsigned)__builtin_ctz(hit) : 0);
}

V16 void start(struct walk *w, const struct t3d_nearest *from, uint32_t leaf)
{
    const float *p = from->point + (size_t)leaf * T3DI_LEAF_ROW;
    const float *box = from->box[0] + (size_t)(leaf / 16) * T3DI_BOX_ROW + leaf % 16;

    w->x = v16_mul(v16_load(p), v16_set(w->unit));
    w->y = v16_mul(v16_load(p + 16), v16_set(w->unit));
    w->z = v16_mul(v16_load(p + 32), v16_set(w->unit));
    for (int k = 0; k < 3; k++) {
        w->lo[k] = box[16 * k] * w->unit;
        w->hi[k] = box[48 + 16 * k] * w->unit;
    }
    w->best = v16_set(__builtin_inff());
    w->leaf = v16_set(0);
    w->bound = __builtin_inff();
}

#define T3DI_NEAREST(name)                                                                         \
    void name(const struct t3d_nearest *from, const struct t3d_nearest *to, uint32_t first,        \
              uint32_t last, float *squares, uint32_t *index)                                      \
    {                                                                                              \
        struct walk w = {.to = to,                                                                 \
                         .unit = __builtin_ldexpf(1, from->exponent - to->exponent),               \
                         .nearest_leaf = UINT32_MAX};                                              \
                                                                                                   \
        for (uint32_t leaf = first; leaf < last; leaf++) {                                         \
            const float *p = from->point + (size_t)leaf * T3DI_LEAF_ROW;                           \
            float found[16];                                                                       \
            union {                                                                                \
                float f[16];                                                                       \
                uint32_t i[16];                                                                    \
            } number;                                                                              \
            start(&w, from, leaf);                                                                 \
            if (w.nearest_leaf != UINT32_MAX)                                                      \
                ask_leaf(&w, w.nearest_leaf);                                                      \
            walk_level(&w, to->n_levels - 1, 0);                                                   \
            v16_store(found, w.best);                                                              \
            v16_store(squares + (size_t)(leaf - first) * 16, w.best);                              \
            if (!index)                                                                            \
                continue;                                                                          \
            v16_store(number.f, w.leaf);                                                           \
            for (int i = 0; i < 16; i++)                                                           \
                index[(size_t)(leaf - first) * 16 + (size_t)i] =                                   \
                    find_in_leaf(to, number.i[i], w.unit * p[i], w.unit * p[16 + i],               \
                                 w.unit * p[32 + i], found[i]);                                    \
        }                                                                                          \
    }

#endif
