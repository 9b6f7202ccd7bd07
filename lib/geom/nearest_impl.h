/* SPDX-License-Identifier: Apache-2.0 */
/* geom/nearest_impl.h -- the tree of geom/nearest.h as its kernels see it. */
#ifndef T3D_GEOM_NEAREST_IMPL_H
#define T3D_GEOM_NEAREST_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "geom/nearest.h"

enum {
    T3DI_LEAF = 16,     /* points of a leaf, and children of a node */
    T3DI_LEVELS = 8,    /* 16^8 leaves */
    T3DI_LEAF_ROW = 48, /* 16 x, 16 y, 16 z */
    T3DI_BOX_ROW = 96   /* 16 each of lo x, y, z, hi x, y, z */
};

struct t3d_nearest {
    uint32_t n, n_leaves;
    int n_levels;
    int exponent;            /* the stored coordinates are those given times 2^-exponent */
    float *point;            /* (n_leaves, 48); the last point fills the last leaf */
    uint32_t *order;         /* (n_leaves * 16): number of the point as given */
    float *box[T3DI_LEVELS]; /* level 0: a box for each leaf; rows of 16 boxes */
    uint32_t count[T3DI_LEVELS];
};

/* Memory of a level's boxes, those that are not there far away; the levels above a filled level 0;
 * and back. */
int t3di_boxes_level(struct t3d_nearest *t, int level, uint32_t count, struct t3d_err *err);
int t3di_boxes_above(struct t3d_nearest *t, int threads, struct t3d_err *err);
void t3di_boxes_free(struct t3d_nearest *t);

/* For the leaves [first, last) of from: squared distances in the units of `to`, and the leaf-order
 * numbers of the points found (NULL = not wanted); both in leaf order, from element 0. */
typedef void t3di_nearest_fn(const struct t3d_nearest *from, const struct t3d_nearest *to,
                             uint32_t first, uint32_t last, float *squared, uint32_t *index);

t3di_nearest_fn t3di_nearest_portable, t3di_nearest_avx2, t3di_nearest_avx512;

#endif
