/* SPDX-License-Identifier: Apache-2.0 */
/* geom/nearest.h -- exact nearest neighbours between two point clouds.
 *
 *     t3d_nearest_new(&a, p, n, threads, err);
 *     t3d_nearest_new(&b, q, m, threads, err);
 *     t3d_nearest_between(a, b, squared, index, threads);    for each point of a, in a's input
 * order
 *
 * The points lie along a Hilbert curve in leaves of 16, below a tree of boxes with 16 children. The
 * sixteen points of a leaf ask together, so that one walk through the other tree serves all of them
 * and every operation works on sixteen numbers. Distances are those of single precision on the
 * coordinates as given (relative error of a square about 2e-7); of equally near points one is
 * chosen, the same for any number of threads. */
#ifndef T3D_GEOM_NEAREST_H
#define T3D_GEOM_NEAREST_H

#include <stdint.h>

#include "base/err.h"

struct t3d_nearest;

/* The points are copied. T3D_SKIP "no-points" for n == 0, "too-large" above 2^28, "non-finite" for
 * a coordinate that is no number. */
int t3d_nearest_new(struct t3d_nearest **out, const float (*point)[3], uint32_t n, int threads,
                    struct t3d_err *err) T3D_MUST_CHECK;
void t3d_nearest_free(struct t3d_nearest *t);

uint32_t t3d_nearest_count(const struct t3d_nearest *t);
/* The numbers of the points in their order along the curve: count of them. */
const uint32_t *t3d_nearest_order(const struct t3d_nearest *t);

/* The distance of each point of `from` to the nearest of `to` and that point's number (index may be
 * NULL); arrays of count(from), in the order of from's input. */
void t3d_nearest_between(const struct t3d_nearest *from, const struct t3d_nearest *to,
                         float *distance, uint32_t *index, int threads);

/* The same with |dx| + |dy| + |dz| in place of the Euclidean distance. */
void t3d_nearest_manhattan(const struct t3d_nearest *from, const struct t3d_nearest *to,
                           float *distance, int threads);

#endif
