/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "image/colour.h"

static float from_bits(uint32_t b)
{
    float v;

    memcpy(&v, &b, sizeof v);
    return v;
}

static uint32_t to_bits(float v)
{
    uint32_t b;

    memcpy(&b, &v, sizeof b);
    return b;
}

/* The header's definition. */
static int rounded(float v)
{
    return (int)floor((double)t3d_linear_to_srgb(v) * 255 + .5);
}

static void table_is_formula(void **state)
{
    const float *t = t3d_srgb_to_linear_table();

    (void)state;
    for (int i = 0; i < 256; i++) {
        double c = i / 255.0;
        double want = c <= .04045 ? c / 12.92 : pow((c + .055) / 1.055, 2.4);

        assert_true(t[i] == (float)want);
        assert_int_equal(t3d_linear_to_srgb8(t[i]), i);
        assert_true(fabsf(t3d_srgb_to_linear((float)c) - t[i]) <= 2e-7f);
    }
}

/* All floats within 300 of each threshold, found by bisection of the formula. */
static void exact_at_thresholds(void **state)
{
    (void)state;
    for (int k = 1; k < 256; k++) {
        uint32_t low = 0, high = to_bits(1);

        while (high - low > 1) {
            uint32_t mid = low + (high - low) / 2;
            if (rounded(from_bits(mid)) >= k)
                high = mid;
            else
                low = mid;
        }
        for (uint32_t b = high - 300; b < high + 300 && b <= to_bits(1); b++)
            if (t3d_linear_to_srgb8(from_bits(b)) != rounded(from_bits(b)))
                fail_msg("code %d, bits %08x: %d, want %d", k, b, t3d_linear_to_srgb8(from_bits(b)),
                         rounded(from_bits(b)));
    }
}

/* The ends of all 2^16-float buckets, and a coarse walk. */
static void exact_elsewhere(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x3f800000u; b += 65536 - 1)
        assert_int_equal(t3d_linear_to_srgb8(from_bits(b)), rounded(from_bits(b)));
    for (uint32_t b = 0x38000000u; b < 0x3f800000u; b += 65536) {
        assert_int_equal(t3d_linear_to_srgb8(from_bits(b)), rounded(from_bits(b)));
        assert_int_equal(t3d_linear_to_srgb8(from_bits(b - 1)), rounded(from_bits(b - 1)));
    }
}

static void out_of_range(void **state)
{
    const float in[6] = {NAN, -INFINITY, INFINITY, -1, 2, .5f};
    const uint8_t want[6] = {0, 0, 255, 0, 255, 188};
    uint8_t out[6];

    (void)state;
    t3d_linear_to_srgb8_row(out, in, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(t3d_linear_to_srgb8(in[i]), want[i]);
        assert_int_equal(out[i], want[i]);
    }
    for (int i = 0; i <= 1000; i++) {
        float c = (float)i / 1000;
        assert_true(fabsf(t3d_linear_to_srgb(t3d_srgb_to_linear(c)) - c) <= 3e-7f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_formula),
        cmocka_unit_test(exact_at_thresholds),
        cmocka_unit_test(exact_elsewhere),
        cmocka_unit_test(out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
