/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "metric/page_impl.h"

const cJSON *t3di_first(const cJSON *o)
{
    return o ? o->child : NULL;
}

static int rising(const void *a, const void *b)
{
    const struct t3di_value *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

int t3di_values_collect(struct t3di_values *out, const cJSON *report, const char *id,
                        struct t3d_err *err)
{
    const cJSON *items = cJSON_GetObjectItem(report, "items");

    out->n = 0;
    out->v = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof *out->v);
    if (!out->v)
        return t3d_err_nomem(err, "the values of a metric");
    for (const cJSON *item = t3di_first(items); item; item = item->next) {
        double v = t3d_json_num(cJSON_GetObjectItem(item, "metrics"), id, NAN);

        if (isfinite(v)) {
            out->v[out->n] = (struct t3di_value){v, t3d_json_str(item, "uid", ""), out->n};
            out->n++;
        }
    }
    qsort(out->v, out->n, sizeof *out->v, rising);
    return T3D_OK;
}
