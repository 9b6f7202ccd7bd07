/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"

/* Random123's known-answer vectors for philox4x32-10 (kat_vectors). */
static const struct {
    uint32_t counter[4], key[2], want[4];
} vector[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < T3D_COUNT(vector); i++) {
        uint32_t out[4];

        t3d_philox(vector[i].counter, vector[i].key, out);
        assert_memory_equal(out, vector[i].want, sizeof out);
    }
}

static void a_run_is_its_blocks(void **state)
{
    enum { N = 37 }; /* no whole number of vectors */
    const uint64_t first = (1ull << 32) - 20;
    struct t3d_rng r = t3d_rng_for(3, "run", 1);
    uint32_t out[4 * N];

    (void)state;
    t3d_philox_run(&r, first, N, out);
    for (uint64_t i = 0; i < N; i++) {
        uint64_t at = first + i;
        uint32_t counter[4] = {(uint32_t)at, (uint32_t)(at >> 32), r.counter[2], r.counter[3]};
        uint32_t want[4];

        t3d_philox(counter, r.key, want);
        for (uint64_t w = 0; w < 4; w++)
            assert_int_equal(out[w * N + i], want[w]);
    }
}

static void streams_differ_by_each_part_of_the_key(void **state)
{
    struct t3d_rng a = t3d_rng_for(1, "u", 0), same = t3d_rng_for(1, "u", 0);
    struct t3d_rng other[] = {t3d_rng_for(2, "u", 0), t3d_rng_for(1, "v", 0),
                              t3d_rng_for(1, "u", 1), t3d_rng_for(1ull << 32 | 1, "u", 0)};
    uint64_t first = t3d_rng_u64(&a);

    (void)state;
    assert_true(first == t3d_rng_u64(&same));
    for (size_t i = 0; i < T3D_COUNT(other); i++)
        assert_true(first != t3d_rng_u64(&other[i]));
}

static void below_is_in_range_and_even(void **state)
{
    struct t3d_rng r = t3d_rng_for(7, "below", 0);
    int count[7] = {0};
    double chi = 0;

    (void)state;
    for (int i = 0; i < 70000; i++) {
        uint32_t x = t3d_rng_below(&r, 7);

        assert_true(x < 7);
        count[x]++;
    }
    for (int i = 0; i < 7; i++)
        chi += (count[i] - 1e4) * (count[i] - 1e4) / 1e4;
    assert_true(chi < 22.46); /* the 0.999 quantile of chi square with 6 degrees of freedom */
    for (int i = 0; i < 100; i++)
        assert_int_equal(t3d_rng_below(&r, 1), 0);
}

static void uniform_and_normal_have_their_moments(void **state)
{
    struct t3d_rng r = t3d_rng_for(3, "moments", 9);
    double u = 0, u2 = 0, g = 0, g2 = 0, g4 = 0;
    enum { N = 100000 };

    (void)state;
    for (int i = 0; i < N; i++) {
        double x = t3d_rng_uniform(&r), y = t3d_rng_normal(&r);

        assert_true(x >= 0 && x < 1);
        assert_true(isfinite(y));
        u += x / N;
        u2 += x * x / N;
        g += y / N;
        g2 += y * y / N;
        g4 += y * y * y * y / N;
    }
    /* Five standard errors of each mean. */
    assert_true(fabs(u - 0.5) < 5 * sqrt(1 / 12. / N));
    assert_true(fabs(u2 - 1 / 3.) < 5 * sqrt(4 / 45. / N));
    assert_true(fabs(g) < 5 * sqrt(1. / N));
    assert_true(fabs(g2 - 1) < 5 * sqrt(2. / N));
    assert_true(fabs(g4 - 3) < 5 * sqrt(96. / N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(a_run_is_its_blocks),
        cmocka_unit_test(streams_differ_by_each_part_of_the_key),
        cmocka_unit_test(below_is_in_range_and_even),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
