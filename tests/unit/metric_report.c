/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics against closed forms, and the report JSON. */
#include "metric/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "metric/stats.h"

/* The interval of a mean of many values is that of the normal distribution: +- 1.96 s / sqrt n. */
static void interval_of_a_mean(void **state)
{
    enum { N = 400 };
    struct t3d_rng r = t3d_rng_for(3, "normal", 0);
    double v[N], mean, ci[2], again[2], sum = 0, squares = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        v[i] = 5 + 2 * t3d_rng_normal(&r);
        sum += v[i];
        squares += v[i] * v[i];
    }
    assert_int_equal(t3d_stats_mean(v, N, 1, "x", &mean, ci, NULL), T3D_OK);
    assert_float_equal(mean, sum / N, 1e-12);
    squares = 1.96 * sqrt((squares / N - mean * mean) / N);
    assert_float_equal(ci[0], mean - squares, .06 * squares);
    assert_float_equal(ci[1], mean + squares, .06 * squares);
    assert_int_equal(t3d_stats_mean(v, N, 1, "x", &mean, again, NULL), T3D_OK);
    assert_memory_equal(ci, again, sizeof ci);
    assert_int_equal(t3d_stats_mean(v, 1, 1, "x", &mean, ci, NULL), T3D_OK);
    assert_true(mean == v[0] && isnan(ci[0]));
    assert_int_equal(t3d_stats_mean(v, 0, 1, "x", &mean, ci, NULL), T3D_OK);
    assert_true(isnan(mean));
}

/* Eight differences of one sign: only 2 of 256 patterns are as far out. */
static void signs(void **state)
{
    double a[40] = {0}, b[40];
    struct t3d_paired t;

    (void)state;
    for (int i = 0; i < 40; i++)
        b[i] = 1 + i % 8;
    assert_int_equal(t3d_stats_paired(&t, a, b, 8, 1, "x", NULL), T3D_OK);
    assert_float_equal(t.p, 2. / 256, 1e-12);
    assert_float_equal(t.mean, 4.5, 1e-12);
    assert_float_equal(t.effect, 4.5 / sqrt(6), 1e-12); /* variance of 1..8 is 6 */
    assert_true(t.wins == 8 && t.losses == 0);
    assert_int_equal(t3d_stats_paired(&t, a, b, 40, 1, "x", NULL), T3D_OK);
    assert_float_equal(t.p, 1. / 10001, 1e-12); /* the least that 10000 flips can say */
    for (int i = 0; i < 8; i++)
        b[i] = i % 2 ? -1 : 1;
    assert_int_equal(t3d_stats_paired(&t, a, b, 8, 1, "x", NULL), T3D_OK);
    assert_float_equal(t.p, 1, 1e-12);
    assert_true(t.mean == 0 && t.effect == 0);
}

static cJSON *item(const char *uid, const char *status, const char *id, double v)
{
    cJSON *o = cJSON_CreateObject(), *m;

    t3d_json_set_str(o, "uid", uid);
    t3d_json_set_str(o, "status", status);
    m = cJSON_AddObjectToObject(o, "metrics");
    if (id)
        t3d_json_set_num(m, id, v);
    return o;
}

static cJSON *make_report(const char *path, const char *id, double shift)
{
    struct t3d_report *r;
    char uid[16];
    cJSON *out;

    assert_int_equal(t3d_report_new(&r, "evaluate", "t3d evaluate", 7, NULL), T3D_OK);
    t3d_report_metric(r, id, T3D_LOWER, 3, "< 3");
    t3d_report_absent(r, "lpips:vgg", "< 0.10", "no weights");
    for (int i = 0; i < 9; i++) {
        snprintf(uid, sizeof uid, "o%d", i);
        assert_int_equal(t3d_report_add(r, item(uid, "ok", id, i % 3 + shift), NULL), T3D_OK);
    }
    assert_int_equal(t3d_report_add(r, item("bad", "fail", NULL, 0), NULL), T3D_OK);
    assert_int_equal(t3d_report_add(r, item("gone", "missing", NULL, 0), NULL), T3D_OK);
    assert_int_equal(t3d_report_failed(r), 2);
    assert_int_equal(t3d_report_write(r, path, 1, NULL), T3D_OK);
    t3d_report_free(r);
    assert_int_equal(t3d_report_read(&out, path, NULL), T3D_OK);
    return out;
}

/* One item has a value of one metric and failed in another, one in all. */
static void failed_in_part(void **state)
{
    static const struct {
        const char *id;
        int n, failed;
    } want[] = {{"m:x", 2, 1}, {"m:y:z", 1, 2}, {"m:w", 0, 2}, {"m:q", 0, 2}, {"m:p", 1, 1}};
    char path[] = "/tmp/t3d-report.XXXXXX";
    struct t3d_report *r;
    cJSON *o, *summary;

    (void)state;
    close(mkstemp(path));
    assert_int_equal(t3d_report_new(&r, "evaluate", "t3d evaluate", 7, NULL), T3D_OK);
    t3d_report_metric(r, "m:x", T3D_LOWER, NAN, NULL);
    t3d_report_metric(r, "m:y:z", T3D_LOWER, NAN, NULL);
    t3d_report_metric(r, "m:p", T3D_LOWER, NAN, NULL);
    t3d_report_lost(r, "m:w", NULL, "wrong weights");
    t3d_report_lost(r, "m:q", NULL, "wrong weights");
    o = item("good", "ok", "m:x", 1);
    t3d_json_set_num(cJSON_GetObjectItem(o, "metrics"), "m:y:z", 1);
    t3d_json_set_num(cJSON_GetObjectItem(o, "metrics"), "m:p", 1);
    assert_int_equal(t3d_report_add(r, o, NULL), T3D_OK);
    o = item("part", "fail", "m:x", 1); /* m:p is none of its metrics: did not fail */
    o = t3d_json_set(o, "failed", cJSON_Parse("{\"m:y\": {}, \"m:w\": {}, \"m:q\": {}}")) ? NULL
                                                                                          : o;
    assert_int_equal(t3d_report_add(r, o, NULL), T3D_OK);
    assert_int_equal(t3d_report_add(r, item("bad", "fail", NULL, 0), NULL), T3D_OK);
    assert_int_equal(t3d_report_failed(r), 2);
    assert_int_equal(t3d_report_write(r, path, 1, NULL), T3D_OK);
    summary = cJSON_Duplicate(t3d_report_summary(r), 1);
    for (size_t i = 0; i < T3D_COUNT(want); i++) {
        const cJSON *s = cJSON_GetObjectItemCaseSensitive(summary, want[i].id);

        assert_int_equal((int)t3d_json_num(s, "n", -1), want[i].n);
        assert_int_equal((int)t3d_json_num(s, "failed", -1), want[i].failed);
    }
    cJSON_Delete(summary);
    t3d_report_free(r);
    unlink(path);
}

static void summary(void **state)
{
    char path[] = "/tmp/t3d-report.XXXXXX";
    cJSON *r, *s;

    (void)state;
    close(mkstemp(path));
    r = make_report(path, "m:x", .5);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(r, "complete")));
    s = cJSON_GetObjectItem(cJSON_GetObjectItem(r, "summary"), "m:x");
    assert_float_equal(t3d_json_num(s, "mean", 0), 1.5, 1e-12);
    assert_true(t3d_json_num(s, "n", 0) == 9 && t3d_json_num(s, "failed", 0) == 2);
    assert_string_equal(t3d_json_str(s, "target", ""), "< 3");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(s, "pass")));
    s = cJSON_GetObjectItem(cJSON_GetObjectItem(r, "summary"), "lpips:vgg");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(s, "mean")));
    assert_string_equal(t3d_json_str(s, "reason", ""), "no weights");
    cJSON_Delete(r);
    unlink(path);
}

static void comparing(void **state)
{
    char path[] = "/tmp/t3d-report.XXXXXX";
    cJSON *a, *b, *c, *out, *m;
    struct t3d_err err;

    (void)state;
    close(mkstemp(path));
    a = make_report(path, "m:x", .5);
    b = make_report(path, "m:x", .25);
    c = make_report(path, "m:y", .25);
    assert_int_equal(t3d_report_compare(&out, a, b, 0, &err), T3D_OK);
    m = cJSON_GetObjectItem(cJSON_GetObjectItem(out, "metrics"), "m:x");
    assert_float_equal(t3d_json_num(m, "difference", 0), -.25, 1e-12);
    assert_float_equal(t3d_json_num(m, "p_holm", 0), 2. / 512, 1e-12);
    assert_string_equal(t3d_json_str(m, "better", ""), "b");
    assert_true(t3d_json_num(m, "wins", 0) == 9);
    cJSON_Delete(out);
    assert_int_equal(t3d_report_compare(&out, a, c, 0, &err), T3D_SKIP);
    assert_string_equal(err.reason, "not-comparable");
    assert_non_null(strstr(err.msg, "m:x"));
    cJSON_Delete(a);
    cJSON_Delete(b);
    cJSON_Delete(c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interval_of_a_mean), cmocka_unit_test(signs),
        cmocka_unit_test(failed_in_part),     cmocka_unit_test(summary),
        cmocka_unit_test(comparing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
