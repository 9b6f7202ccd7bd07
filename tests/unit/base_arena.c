/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void blocks_are_zeroed_aligned_and_apart(void **state)
{
    struct t3d_arena a = {0};
    unsigned char *p[200];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < T3D_COUNT(p); i++) {
            size_t n = 1 + 37 * i;

            p[i] = t3d_alloc(&a, n, 3);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] % 64, 0);
            for (size_t k = 0; k < 3 * n; k++)
                assert_int_equal(p[i][k], 0);
            memset(p[i], (int)i + 1, 3 * n);
        }
        for (size_t i = 0; i < T3D_COUNT(p); i++)
            for (size_t k = 0; k < 3 * (1 + 37 * i); k++)
                assert_int_equal(p[i][k], (int)(i + 1) & 255);
        t3d_arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    t3d_arena_free(&a);
    t3d_arena_free(&a);
}

static void hostile_sizes_give_null(void **state)
{
    struct t3d_arena a = {0};

    (void)state;
    assert_null(t3d_alloc(&a, SIZE_MAX, 2));
    assert_null(t3d_alloc(&a, SIZE_MAX, 1));
    assert_null(t3d_alloc(&a, SIZE_MAX / 3, 4));
    assert_non_null(t3d_alloc(&a, 0, 8));
    assert_non_null(t3d_alloc(&a, SIZE_MAX, 0));
    t3d_arena_free(&a);
}

static void limit_holds_and_reset_gives_it_back(void **state)
{
    struct t3d_arena a = {.limit = 1000};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_non_null(t3d_alloc(&a, 10, 64));
        assert_null(t3d_alloc(&a, 10, 64));
        assert_null(t3d_alloc(&a, 1001, 1));
        assert_non_null(t3d_alloc(&a, 1, 64));
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
}

static void strings_are_copies(void **state)
{
    struct t3d_arena a = {0};
    char s[] = "abc", *p, *q, *long_one;

    (void)state;
    p = t3d_strdup(&a, s);
    q = t3d_strndup(&a, s, 2);
    s[0] = 'x';
    assert_string_equal(p, "abc");
    assert_string_equal(q, "ab");
    assert_string_equal(t3d_sprintf(&a, "%d-%s", 7, p), "7-abc");
    long_one = t3d_sprintf(&a, "%0100000d", 5);
    assert_int_equal(strlen(long_one), 100000);
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
        cmocka_unit_test(hostile_sizes_give_null),
        cmocka_unit_test(limit_holds_and_reset_gives_it_back),
        cmocka_unit_test(strings_are_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
