/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest by |dx| + |dy| + |dz|, one point after the other: for a dialect that few ask for. */
#include <math.h>

#include "geom/nearest_impl.h"

struct walk {
    const struct t3d_nearest *to;
    float p[3], best;
    size_t found; /* element of the leaves */
};

static float to_point(const struct walk *w, size_t i)
{
    const float *q = w->to->point + i / T3DI_LEAF * T3DI_LEAF_ROW + i % T3DI_LEAF;

    return fabsf(w->p[0] - q[0]) + fabsf(w->p[1] - q[16]) + fabsf(w->p[2] - q[32]);
}

/* Never above the distance of a point in the box: each operation is monotone under rounding. */
static float to_box(const struct walk *w, const float *box)
{
    float d = 0;

    for (int k = 0; k < 3; k++)
        d += fmaxf(fmaxf(box[16 * k] - w->p[k], w->p[k] - box[48 + 16 * k]), 0);
    return d;
}

static void walk_level(struct walk *w, int level, uint32_t group)
{
    const float *row = w->to->box[level] + (size_t)group * T3DI_BOX_ROW;
    uint32_t n = w->to->count[level] - 16 * group;

    for (uint32_t i = 0; i < 16 && i < n; i++) {
        size_t at = (size_t)group * 16 + i;
        if (!(to_box(w, row + i) < w->best))
            continue;
        if (level > 0) {
            walk_level(w, level - 1, (uint32_t)at);
            continue;
        }
        for (size_t k = at * T3DI_LEAF; k < (at + 1) * T3DI_LEAF; k++) {
            float d = to_point(w, k);
            if (d < w->best) {
                w->best = d;
                w->found = k;
            }
        }
    }
}

/* The points of a leaf are neighbours: each begins with what the one before has found. */
static void ask_leaf(const struct t3d_nearest *from, const struct t3d_nearest *to, uint32_t leaf,
                     float *distance)
{
    float scale = ldexpf(1, from->exponent - to->exponent), unit = ldexpf(1, to->exponent);
    struct walk w = {.to = to};

    for (uint32_t i = 0; i < T3DI_LEAF; i++) {
        for (int k = 0; k < 3; k++)
            w.p[k] = scale * from->point[(size_t)leaf * T3DI_LEAF_ROW + 16 * (size_t)k + i];
        w.best = i ? to_point(&w, w.found) : INFINITY;
        walk_level(&w, to->n_levels - 1, 0);
        distance[from->order[(size_t)leaf * T3DI_LEAF + i]] = w.best * unit;
    }
}

void t3d_nearest_manhattan(const struct t3d_nearest *from, const struct t3d_nearest *to,
                           float *distance, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (uint32_t leaf = 0; leaf < from->n_leaves; leaf++)
        ask_leaf(from, to, leaf, distance);
}
