/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rules.h"

#include <fnmatch.h>
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

int t3d_rule_is_on(const struct t3d_rule *r, double limit)
{
    return !isnan(limit) && (r->kind != T3D_RULE_TRUE || limit != 0);
}

int t3d_rule_rejects(const struct t3d_rule *r, double limit, const cJSON *measures, const char *uid,
                     struct t3d_err *err)
{
    double value;

    if (!t3d_rule_breaks(r, limit, measures, &value))
        return 0;
    if (r->kind == T3D_RULE_TRUE)
        t3d_err_value(err, T3D_SKIP, r->reason, value, "%s: --%s, but %s is %g", uid, r->option,
                      r->measure, value);
    else
        t3d_err_value(err, T3D_SKIP, r->reason, value, "%s: %s is %g, --%s is %g", uid, r->measure,
                      value, r->option, limit);
    return 1;
}

int t3d_license_allowed(const struct t3d_list *allow, const char *license)
{
    if (!license || !*license)
        license = "NOASSERTION";
    for (size_t i = 0; i < allow->n; i++)
        if (fnmatch(allow->item[i], license, FNM_CASEFOLD) == 0)
            return 1;
    return 0;
}
