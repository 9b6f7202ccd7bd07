/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsontok.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"

/* Parse a copy that ends exactly at the text's end, so that a sanitizer sees each byte too far. */
static int parse(struct t3d_jsontok *j, struct t3d_arena *a, const char *text, size_t n,
                 struct t3d_err *err)
{
    char *exact = malloc(n ? n : 1), *kept;
    int r;

    memcpy(exact, text, n);
    r = t3d_jsontok_parse(j, a, exact, n, 8, err);
    kept = t3d_strndup(a, text, n);
    j->text = kept;
    free(exact);
    return r;
}

static void values_are_found(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf {\"a\": [1, -2.5e1, true, null, {}, []], \"b\" : {\"c\":"
        "\"x\\u00e9\\ud83d\\ude00\\n\\u0000\\ud800\"}, \"a\": 7, "
        "\"\\u0061b\": \"q\\/\"} \n\0\0";
    struct t3d_arena a = {0};
    struct t3d_jsontok j;
    struct t3d_err err;
    uint32_t array, t;
    uint64_t whole;

    (void)state;
    assert_int_equal(parse(&j, &a, text, sizeof text - 1, &err), T3D_OK);
    array = t3d_jtok_member(&j, T3D_JTOK_ROOT, "a");
    assert_int_equal(j.tok[array].type, T3D_JTOK_ARRAY);
    assert_int_equal(j.tok[array].n, 6);
    t = t3d_jtok_first(&j, array);
    assert_true(t3d_jtok_number(&j, t, 0) == 1);
    assert_true(t3d_jtok_whole(&j, t, &whole) && whole == 1);
    t = j.tok[t].next;
    assert_true(t3d_jtok_number(&j, t, 0) == -25);
    assert_false(t3d_jtok_whole(&j, t, &whole));
    t = j.tok[t].next;
    assert_int_equal(j.tok[t].type, T3D_JTOK_TRUE);
    assert_true(t3d_jtok_number(&j, t, 3) == 3);
    t = j.tok[j.tok[t].next].next;
    assert_int_equal(j.tok[t].type, T3D_JTOK_OBJECT);
    assert_int_equal(t3d_jtok_first(&j, t), T3D_JTOK_ABSENT);
    t = t3d_jtok_member(&j, t3d_jtok_member(&j, T3D_JTOK_ROOT, "b"), "c");
    assert_string_equal(t3d_jtok_string(&j, t, &a),
                        "x\xc3\xa9\xf0\x9f\x98\x80\n\xef\xbf\xbd\xef\xbf\xbd");
    t = t3d_jtok_member(&j, T3D_JTOK_ROOT, "ab");
    assert_true(t3d_jtok_is(&j, t, "q/"));
    assert_false(t3d_jtok_is(&j, t, "q\\/"));
    assert_int_equal(t3d_jtok_member(&j, T3D_JTOK_ROOT, "none"), T3D_JTOK_ABSENT);
    assert_int_equal(t3d_jtok_member(&j, T3D_JTOK_ABSENT, "a"), T3D_JTOK_ABSENT);
    assert_null(t3d_jtok_string(&j, T3D_JTOK_ABSENT, &a));
    t3d_arena_free(&a);
}

static void wrong_text_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        " ",
                                        "{",
                                        "}",
                                        "[1,]",
                                        "[1 2]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "01",
                                        "-",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "+1",
                                        "nul",
                                        "truex",
                                        "\"",
                                        "\"\\x\"",
                                        "\"\\u12g4\"",
                                        "\"\\u12",
                                        "\"a\nb\"",
                                        "[1]]",
                                        "[}",
                                        "{]",
                                        "1 2",
                                        "\xef\xbb",
                                        "NaN",
                                        "[[[[[[[[[1]]]]]]]]]",
                                        "{\"a\":1 \"b\":2}",
                                        "[\"\\\"]",
                                        "1\0 2"};
    struct t3d_arena a = {0};
    struct t3d_jsontok j;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(wrong); i++) {
        size_t n = i + 1 == T3D_COUNT(wrong) ? 4 : strlen(wrong[i]);

        if (parse(&j, &a, wrong[i], n, &err) != T3D_SKIP)
            fail_msg("accepted: %s", wrong[i]);
        assert_string_equal(err.reason, "bad-json");
    }
    assert_int_equal(parse(&j, &a, "[[[[[[[[1]]]]]]]]", 17, &err), T3D_OK); /* depth 8 of 8 */
    t3d_arena_free(&a);
}

/* Numbers against strtod, which glibc rounds correctly. */
static void numbers_round_correctly(void **state)
{
    struct t3d_rng r = t3d_rng_for(1, "numbers", 0);
    struct t3d_arena a = {0};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = t3d_rng_u64(&r);
        struct t3d_jsontok j;
        char text[64];
        double v, got, want;

        memcpy(&v, &bits, 8);
        if (!(v > -1e300 && v < 1e300))
            v = (double)(int64_t)bits;
        snprintf(text, sizeof text,
                 i % 3 == 0   ? "%.17g"
                 : i % 3 == 1 ? "%.6g"
                              : "%.9f",
                 i % 3 == 2 ? t3d_rng_normal(&r) * 100 : v);
        assert_int_equal(parse(&j, &a, text, strlen(text), NULL), T3D_OK);
        got = t3d_jtok_number(&j, T3D_JTOK_ROOT, 0);
        want = strtod(text, NULL);
        assert_memory_equal(&got, &want, sizeof got);
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
}

/* Any one byte changed or cut: an answer, never a read outside; tokens stay nested. */
static void damage_does_no_harm(void **state)
{
    static const char text[] = "{\"accessors\":[{\"count\":12,\"max\":[1.5,-2e3]},{\"s\":\"a\\\\b"
                               "longer than eight bytes\"}],\"x\":[true,false,null,{\"y\":{}}]}";
    struct t3d_arena a = {0};
    struct t3d_jsontok j;

    (void)state;
    for (size_t n = 0; n < sizeof text; n++)
        assert_int_equal(parse(&j, &a, text, n, NULL), n + 1 == sizeof text ? T3D_OK : T3D_SKIP);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        for (int c = 0; c < 256; c++) {
            char copy[sizeof text];

            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            t3d_arena_reset(&a);
            if (parse(&j, &a, copy, sizeof text - 1, NULL) < 0)
                continue;
            for (uint32_t t = 1; t < j.n; t++) {
                assert_true(j.tok[t].next > t && j.tok[t].next <= j.n);
                assert_true(j.tok[t].start <= j.tok[t].end && j.tok[t].end < sizeof text);
            }
        }
    t3d_arena_free(&a);
}

static void memory_is_bounded(void **state)
{
    enum { N = 1 << 20 };
    struct t3d_arena a = {.limit = 1 << 20};
    struct t3d_jsontok j;
    struct t3d_err err;
    char *text = malloc(N);

    (void)state;
    memset(text, ',', N);
    text[0] = '[';
    assert_int_equal(t3d_jsontok_parse(&j, &a, text, N, 8, &err), T3D_SKIP);
    assert_string_equal(err.reason, "too-large");
    free(text);
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found),        cmocka_unit_test(wrong_text_is_refused),
        cmocka_unit_test(numbers_round_correctly), cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(memory_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
