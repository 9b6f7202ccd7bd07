/* SPDX-License-Identifier: Apache-2.0 */
/* metric/distance.h -- the distances between two sets of points, summed up once so that every
 * dialect of Chamfer distance, F-score, Hausdorff distance and normal consistency follows from
 * them (metric/dialect.h). doc/metrics.md has the formulas. */
#ifndef T3D_METRIC_DISTANCE_H
#define T3D_METRIC_DISTANCE_H

#include <stdint.h>

#include "base/err.h"

struct t3d_surface;
struct t3d_scene;

/* Points of one side, in the units of its file. */
struct t3d_points {
    uint32_t n;
    float (*point)[3];
    float (*normal)[3]; /* NULL = none; a zero vector where a triangle has none */
};

enum { T3D_N_TAUS = 5 };

/* Thresholds of the F-score, as shares of the reference's longest edge; the last is absolute. */
extern const double t3d_taus[T3D_N_TAUS]; /* .005 .01 .02 .05, and .01 absolute */

/* One direction: from each of n points to the nearest of the other side, in normalised units. */
struct t3d_one_way {
    uint64_t n;
    double sum, sum_squares, most, q95; /* q95: 95th percentile, interpolated linearly */
    double sum_cos, sum_abs_cos;        /* of the unit normals at both ends */
    uint64_t n_cos;                     /* pairs with two normals; 0 = no normals */
    uint64_t within[T3D_N_TAUS];        /* distance <= threshold */
    uint64_t below[T3D_N_TAUS];         /* distance < threshold */
    double auc;                         /* mean of within over thresholds in (0, .05], exact */
};

struct t3d_distances {
    struct t3d_one_way pred, ref; /* from the prediction's points, from the reference's */
    double f_auc; /* area under the F-score over thresholds (0, .05], divided by .05 */
    double edge;  /* longest edge of the reference, normalised */
};

struct t3d_distance_options {
    double scale; /* normalised = given times scale */
    double edge;  /* longest edge of the reference, normalised: what shares are shares of */
    int threads;
};

/* T3D_SKIP "no-points", "non-finite". */
int t3d_distances(struct t3d_distances *d, const struct t3d_points *pred,
                  const struct t3d_points *ref, const struct t3d_distance_options *o,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* The sums of one direction from its distances (given units), which are sorted in place; without
 * normals. For distances that were found in another way, as from points to triangles. */
int t3d_one_way_sum(struct t3d_one_way *w, float *distance, uint32_t n,
                    const struct t3d_distance_options *o, struct t3d_err *err) T3D_MUST_CHECK;

#endif
