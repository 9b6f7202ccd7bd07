/* SPDX-License-Identifier: Apache-2.0 */
/* metric/iou.h -- volumetric intersection over union of two meshes. */
#ifndef T3D_METRIC_IOU_H
#define T3D_METRIC_IOU_H

#include "base/arena.h"
#include "metric/geometry.h"

struct t3d_iou {
    double value;            /* NAN when both are empty: a sheet has no volume */
    uint64_t both, either;   /* cells */
    int pred_open, ref_open; /* decided by winding number, not parity */
};

/* On the 128^3 cell centres of the box of both; scratch from the arena. */
int t3d_iou(struct t3d_iou *out, const struct t3d_geometry *pred, const struct t3d_geometry *ref,
            int threads, struct t3d_err *err) T3D_MUST_CHECK;

#endif
