/* SPDX-License-Identifier: Apache-2.0 */
/* metric/cost.h -- what generating costs, as metrics of a report. */
#ifndef T3D_METRIC_COST_H
#define T3D_METRIC_COST_H

#include <stddef.h>

#include "metric/report.h"

/* NAN = not known: its metrics are left out. */
struct t3d_cost {
    const double *seconds; /* (n) from prompt to object, each */
    size_t n;
    double wall_s;         /* for all n, when several are made at once; NAN = the sum */
    double model_bytes;    /* of the files that are loaded */
    double peak_bytes;     /* of memory while a request is served, the model included */
    double splat_fps;      /* pictures a second of an object, at the resolution of the name */
    int splat_side;        /* that resolution */
    double price_per_hour; /* of the machine, in any currency; NAN = not stated */
};

/* cost:seconds-p50 and -p95, cost:model-mb (10^6 bytes; target < 500), cost:peak-mb (target <
 * 4000), cost:objects-per-minute (target > 10), cost:splat-fps-SIDE (target > 30), cost:price (of
 * an object). cost:seconds-p95 has the target < 90. Percentiles interpolate linearly, as numpy. */
int t3d_cost_report(struct t3d_report *r, const struct t3d_cost *c,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
