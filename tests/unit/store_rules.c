/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rules.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static cJSON *measures;

static int setup(void **state)
{
    (void)state;
    measures = cJSON_Parse(
        "{\"triangles\":12,\"closed\":true,\"open\":false,\"texture\":0,\"name\":\"x\"}");
    return measures == NULL;
}

static int teardown(void **state)
{
    (void)state;
    cJSON_Delete(measures);
    return 0;
}

static int breaks(enum t3d_rule_kind kind, const char *measure, double limit)
{
    const struct t3d_rule r = {"option", kind, measure, "reason"};

    return t3d_rule_breaks(&r, limit, measures, NULL);
}

/* A limit itself passes; one step beyond does not. */
static void limits(void **state)
{
    (void)state;
    assert_false(breaks(T3D_RULE_MIN, "triangles", 12));
    assert_true(breaks(T3D_RULE_MIN, "triangles", nextafter(12, 13)));
    assert_false(breaks(T3D_RULE_MAX, "triangles", 12));
    assert_true(breaks(T3D_RULE_MAX, "triangles", nextafter(12, 11)));
}

static void off(void **state)
{
    (void)state;
    assert_false(breaks(T3D_RULE_MIN, "triangles", NAN));
    assert_false(breaks(T3D_RULE_MAX, "triangles", NAN));
    assert_false(breaks(T3D_RULE_TRUE, "open", 0));
}

static void flags(void **state)
{
    (void)state;
    assert_false(breaks(T3D_RULE_TRUE, "closed", 1));
    assert_true(breaks(T3D_RULE_TRUE, "open", 1));
    assert_true(breaks(T3D_RULE_TRUE, "absent", 1));
}

/* No texture at all passes a limit on its size; an absent measure counts as 0. */
static void nothing_there(void **state)
{
    (void)state;
    assert_false(breaks(T3D_RULE_MIN_SOME, "texture", 256));
    assert_true(breaks(T3D_RULE_MIN_SOME, "triangles", 256));
    assert_true(breaks(T3D_RULE_MIN, "absent", 1));
    assert_true(breaks(T3D_RULE_MIN, "name", 1));
}

static void value(void **state)
{
    const struct t3d_rule r = {"max-polygons", T3D_RULE_MAX, "triangles", "too-many-polygons"};
    double v = 0;

    (void)state;
    assert_true(t3d_rule_breaks(&r, 3, measures, &v));
    assert_float_equal(v, 12, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits), cmocka_unit_test(off),
                                       cmocka_unit_test(flags), cmocka_unit_test(nothing_there),
                                       cmocka_unit_test(value)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
