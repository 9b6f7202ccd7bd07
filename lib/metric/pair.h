/* SPDX-License-Identifier: Apache-2.0 */
/* metric/pair.h -- all chosen metrics of one prediction and one reference. */
#ifndef T3D_METRIC_PAIR_H
#define T3D_METRIC_PAIR_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"
#include "metric/dialect.h"
#include "metric/geometry.h"

#define T3D_MAX_EMD_POINTS 65536u /* larger clouds have no emd */

struct t3d_pair_options {
    struct t3d_metric_choice choice;
    enum t3d_frame_kind frame;
    const char *frame_name;
    uint32_t n_points;     /* taken from each mesh */
    uint32_t n_emd_points; /* of those, the first, matched by emd */
    int emd_floor;         /* measure the noise floor of emd too: as long again */
    uint32_t resolution;   /* of the views of meshes */
    uint64_t seed;
    int threads; /* for one pair */
};

struct t3d_pair_result {
    double value[T3D_METRICS_MAX];                /* NAN = not measured */
    char id[T3D_METRICS_MAX][T3D_METRIC_ID_SIZE]; /* full name; "" = not measured */
    char note[T3D_METRICS_MAX][32];               /* "capped", ... */
    double floor[T3D_METRICS_MAX]; /* noise floor of the value, NAN = none is known */
};

/* Nothing measured. */
void t3d_pair_clear(struct t3d_pair_result *out);

/* {"metrics", "floors"?, "notes"?}, each by full name; caller frees. */
cJSON *t3d_pair_json(const struct t3d_pair_result *res);

/* Geometry. uid keys the samples: those of prediction and reference are independent. */
int t3d_pair_shapes(struct t3d_pair_result *out, const struct t3d_pair_options *o, const char *uid,
                    struct t3d_geometry *pred, struct t3d_geometry *ref,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
