/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json_impl.h"
#include "base/rng.h"

static void expect_number(double v, const char *want)
{
    char text[32];

    t3d_json_number(v, text);
    assert_string_equal(text, want);
}

static void numbers_are_short(void **state)
{
    (void)state;
    expect_number(0, "0");
    expect_number(-0.0, "-0");
    expect_number(1, "1");
    expect_number(-17, "-17");
    expect_number(0.1, "0.1");
    expect_number(0.1 + 0.2, "0.30000000000000004");
    expect_number(1e15, "1e+15");
    expect_number(999999999999999, "999999999999999");
    expect_number(9007199254740992, "9007199254740992");
    expect_number(1e300, "1e+300");
    expect_number(1 / 3., "0.3333333333333333");
    expect_number(NAN, "null");
    expect_number(-INFINITY, "null");
}

/* Against the definition, over doubles of all sizes. */
static void numbers_read_back_equal(void **state)
{
    struct t3d_rng r = t3d_rng_for(1, "numbers", 0);

    (void)state;
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = t3d_rng_u64(&r);
        char text[32], want[32];
        double v;

        memcpy(&v, &bits, sizeof v);
        if (i % 3 == 0)
            v = (double)(int64_t)(bits >> (bits % 60)) / (i % 2 ? 1 : 1000);
        if (!isfinite(v))
            continue;
        t3d_json_number(v, text);
        assert_true(strtod(text, NULL) == v);
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(want, sizeof want, "%.*g", digits, v);
            if (strtod(want, NULL) == v)
                break;
        }
        assert_string_equal(text, want);
    }
}

static void expect_text(const char *in, int canonical, const char *want)
{
    const char *why = "";
    size_t at;
    cJSON *o = t3di_json_parse(in, strlen(in), &at, &why);
    char *text;

    assert_non_null(o);
    text = t3d_json_text(o, canonical);
    assert_string_equal(text, want);
    free(text);
    cJSON_Delete(o);
}

static void text_is_compact_and_keeps_order(void **state)
{
    (void)state;
    expect_text(" { \"b\" : [ 1 , true , null , \"x\" ] , \"a\" : { } } ", 0,
                "{\"b\":[1,true,null,\"x\"],\"a\":{}}");
    expect_text("{\"b\":{\"z\":1,\"y\":[{\"d\":1,\"c\":2}]},\"a\":2,\"B\":3}", 1,
                "{\"B\":3,\"a\":2,\"b\":{\"y\":[{\"c\":2,\"d\":1}],\"z\":1}}");
    expect_text("[]", 1, "[]");
    expect_text("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\ud83d\\ude00\"", 0,
                "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\303\251\360\237\230\200\"");
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    cJSON *s = cJSON_CreateString("a\xff"
                                  "b\xc3");
    char *text = t3d_json_text(s, 0);

    (void)state;
    assert_string_equal(text, "\"a\357\277\275b\357\277\275\"");
    free(text);
    cJSON_Delete(s);
}

/* Markus Kuhn's classes of malformed sequences, and the borders of RFC 3629's table. */
static void utf8_is_told_from_others(void **state)
{
    static const char *const good[] = {"",
                                       "abcdefghijk",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "1234567\xc3\xa9z"};
    static const struct {
        const char *s;
        size_t at;
    } bad[] = {{"\x80", 0},
               {"ab\xbf", 2},
               {"\xc0\x80", 0},
               {"\xc1\xbf", 0},
               {"\xe0\x9f\xbf", 0},
               {"\xed\xa0\x80", 0},
               {"\xf0\x8f\xbf\xbf", 0},
               {"\xf4\x90\x80\x80", 0},
               {"\xf5\x80\x80\x80", 0},
               {"\xff", 0},
               {"12345678\xc3", 8},
               {"\xe2\x82", 0},
               {"\xe2\x28\xa1", 0}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(good); i++)
        assert_int_equal(t3di_utf8_valid(good[i], strlen(good[i])), strlen(good[i]));
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        assert_int_equal(t3di_utf8_valid(bad[i].s, strlen(bad[i].s)), bad[i].at);
}

static void bad_text_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{}x",
                                      "{} {}",
                                      "{\"a\":1,}",
                                      "nul",
                                      "\"\\u0000\"",
                                      "\"\xff\"",
                                      "{\"a\":\"x\\\\\\u0000\"}"};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        const char *why = NULL;
        size_t at;

        assert_null(t3di_json_parse(bad[i], strlen(bad[i]), &at, &why));
        assert_non_null(why);
        assert_true(at <= strlen(bad[i]));
    }
    expect_text("\"x\\\\u0000\"", 0, "\"x\\\\u0000\""); /* an escaped backslash, not a NUL */
}

static void members_are_set_and_read(void **state)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    (void)state;
    assert_int_equal(t3d_json_set_num(o, "n", 1), 0);
    assert_int_equal(t3d_json_set_str(o, "s", "x"), 0);
    assert_int_equal(t3d_json_set_bool(o, "b", 1), 0);
    assert_int_equal(t3d_json_set_num(o, "nan", NAN), 0);
    assert_int_equal(t3d_json_set_num(o, "n", 2), 0);
    assert_int_equal(t3d_json_set(o, "x", NULL), -1);
    text = t3d_json_text(o, 0);
    assert_string_equal(text, "{\"n\":2,\"s\":\"x\",\"b\":true,\"nan\":null}");
    free(text);
    assert_true(t3d_json_num(o, "n", 9) == 2);
    assert_true(t3d_json_num(o, "s", 9) == 9);
    assert_true(t3d_json_num(o, "N", 9) == 9);
    assert_string_equal(t3d_json_str(o, "s", "y"), "x");
    assert_string_equal(t3d_json_str(o, "n", "y"), "y");
    assert_int_equal(t3d_json_bool(o, "b", 0), 1);
    assert_int_equal(t3d_json_bool(o, "c", 7), 7);
    cJSON_Delete(o);
}

static void files_are_read(void **state)
{
    char path[] = "/tmp/t3d-json.XXXXXX";
    struct t3d_err e;
    cJSON *o;

    (void)state;
    close(mkstemp(path));
    assert_int_equal(t3d_write_file(path, "[1, 2]\n", 7, NULL), T3D_OK);
    assert_int_equal(t3d_json_read(&o, path, 100, NULL), T3D_OK);
    assert_int_equal(cJSON_GetArraySize(o), 2);
    cJSON_Delete(o);
    assert_int_equal(t3d_write_file(path, "[1, 2}\n", 7, NULL), T3D_OK);
    assert_int_equal(t3d_json_read(&o, path, 100, &e), T3D_SKIP);
    assert_string_equal(e.reason, "not-json");
    assert_non_null(strstr(e.msg, "byte"));
    unlink(path);
}

static void nothing_is_lost_in_silence(void **state)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    (void)state;
#ifdef __SANITIZE_ADDRESS__ /* which ends a program that asks for so much */
    cJSON_Delete(o);
    skip();
#endif
    t3d_json_watch_memory();
    assert_int_equal(t3d_json_set_str(o, "a", "b"), 0);
    assert_null(cJSON_malloc(SIZE_MAX / 2)); /* as for a member that is too large */
    assert_null(t3d_json_text(o, 0));
    text = t3d_json_text(o, 0); /* said once */
    assert_string_equal(text, "{\"a\":\"b\"}");
    free(text);
    cJSON_Delete(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(numbers_read_back_equal),
        cmocka_unit_test(text_is_compact_and_keeps_order),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(utf8_is_told_from_others),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(members_are_set_and_read),
        cmocka_unit_test(nothing_is_lost_in_silence),
        cmocka_unit_test(files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
