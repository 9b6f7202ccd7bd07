/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rules.h"

#include <math.h>

double t3d_rule_measure(const struct t3d_rule *r, const cJSON *measures)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(measures, r->measure);

    if (cJSON_IsBool(v))
        return cJSON_IsTrue(v);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

int t3d_rule_breaks(const struct t3d_rule *r, double limit, const cJSON *measures, double *value)
{
    double v;

    if (isnan(limit))
        return 0;
    v = t3d_rule_measure(r, measures);
    if (value)
        *value = v;
    switch (r->kind) {
    case T3D_RULE_MIN:
        return v < limit;
    case T3D_RULE_MAX:
        return v > limit;
    case T3D_RULE_MIN_SOME:
        return v > 0 && v < limit;
    case T3D_RULE_TRUE:
        return limit != 0 && v == 0;
    }
    return 0;
}
