/* SPDX-License-Identifier: Apache-2.0 */
/* metric/consistency.h -- do pictures of one object from neighbouring views agree? */
#ifndef T3D_METRIC_CONSISTENCY_H
#define T3D_METRIC_CONSISTENCY_H

#include <stdint.h>

#include "base/err.h"
#include "geom/camera.h"

struct t3d_consistency {
    double value;    /* 1 - mean difference; NAN when no pixel is seen from two views */
    uint64_t pixels; /* that were compared */
};

/* The first `ring` views of the set form a closed ring: each is compared with the next, both ways.
 * rgba (views, side, side, 4) straight alpha, depth (views, side, side) along the camera's axis, 0
 * = nothing, as t3d_splat_views gives them. A pixel that is covered (alpha at least 1/2) goes by
 * its depth to its place in the other picture; where the four pixels around that are covered and
 * their depths are within 0.02 of its own there (1 % of the diameter of the object's sphere) it is
 * seen from both, and its colour is compared with theirs, interpolated: the mean of abs(difference)
 * over red, green and blue, codes / 255. The same bits for any number of threads. */
int t3d_view_consistency(struct t3d_consistency *out, const struct t3d_view_set *set, int ring,
                         const uint8_t *rgba, const float *depth, int side, int threads,
                         struct t3d_err *err) T3D_MUST_CHECK;

#endif
