/* SPDX-License-Identifier: Apache-2.0 */
/* geom/facets_impl.h -- triangles as the walk of geom/facets.h wants them. */
#ifndef T3D_GEOM_FACETS_IMPL_H
#define T3D_GEOM_FACETS_IMPL_H

#include "geom/nearest_impl.h"

enum {
    T3DI_FACET_LEAF = 4, /* triangles of a leaf */
    /* floats of a triangle: a; b - a, c - b, a - c; normal; the cross product of each edge with the
     * normal; 1 / squared length of each edge and of the normal, 0 for none */
    T3DI_FACET_ROW = 28
};

/* For the leaves [first, last) of from: the nearest triangle of each point in leaf order, from
 * element 0. to: boxes over facets, whose `point` are rows of facets, in `order`. */
t3di_nearest_fn t3di_facets_portable, t3di_facets_avx2, t3di_facets_avx512;

#endif
