/* SPDX-License-Identifier: Apache-2.0 */
/* store/rules.h -- thresholds on measures: a table of rules, one verdict with a reason and a value.
 *
 *     static const struct t3d_rule rules[] = {
 *         {"min-polygons", T3D_RULE_MIN, "triangles", "too-few-polygons"}, {0}};
 *     if (t3d_rule_breaks(&rules[0], limit, measures, &value)) ...
 *
 * A rule is off while its limit is NAN, so that no threshold holds by default. */
#ifndef T3D_STORE_RULES_H
#define T3D_STORE_RULES_H

#include <cjson/cJSON.h>

#include "base/opt.h"

enum t3d_rule_kind {
    T3D_RULE_MIN,      /* reject when measure < limit */
    T3D_RULE_MAX,      /* reject when measure > limit */
    T3D_RULE_MIN_SOME, /* as MIN, but a measure of 0 (there is none) passes */
    T3D_RULE_TRUE      /* a flag: reject when the measure is false or 0 and the limit is not 0 */
};

struct t3d_rule {
    const char *option; /* name of its option */
    enum t3d_rule_kind kind;
    const char *measure; /* member of the measures object; absent counts as 0 */
    const char *reason;  /* the reject's word */
};

/* The value of a measure: numbers, and booleans as 0 or 1; 0 when absent. */
double t3d_rule_measure(const struct t3d_rule *r, const cJSON *measures);

/* 1 when the rule is on and the object breaks it; value (may be NULL) is the measure. */
int t3d_rule_breaks(const struct t3d_rule *r, double limit, const cJSON *measures, double *value);

/* 0 while the rule is off: limit NAN, or a flag that is not set. */
int t3d_rule_is_on(const struct t3d_rule *r, double limit);

/* 1 when the object breaks the rule; err then has reason, value and a message. */
int t3d_rule_rejects(const struct t3d_rule *r, double limit, const cJSON *measures, const char *uid,
                     struct t3d_err *err);

/* 1 when a word of the list fits the licence: * and ? stand for any letters, case does not count;
 * NULL and "" are NOASSERTION. */
int t3d_license_allowed(const struct t3d_list *allow, const char *license);

#endif
