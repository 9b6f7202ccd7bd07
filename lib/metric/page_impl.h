/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page_impl.h -- the values of a metric, sorted, for histograms and extremes. */
#ifndef T3D_METRIC_PAGE_IMPL_H
#define T3D_METRIC_PAGE_IMPL_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/err.h"

struct t3di_value {
    double value;
    const char *uid; /* borrowed from the report */
    size_t index;
};

struct t3di_values {
    struct t3di_value *v; /* (n) rising, ties in the order of items; free() */
    size_t n;
};

/* Of all items that have the metric as a finite number. */
int t3di_values_collect(struct t3di_values *out, const cJSON *report, const char *id,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* First member of an object or array; NULL when there is none. */
const cJSON *t3di_first(const cJSON *o);

#endif
