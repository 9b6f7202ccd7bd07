/* SPDX-License-Identifier: Apache-2.0 */
/* The times of a sampler's steps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/sampler.h"

static void few_steps_are_even(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++)
        for (int i = 0; i < n; i++)
            assert_true(fabs(t3d_sampler_time(i, n) - (double)i / n) < 1e-15);
}

static void many_steps_are_in_the_middle(void **state)
{
    (void)state;
    for (int n = 5; n <= 1000; n = n * 3 / 2) {
        double step = t3d_sampler_time(2, n) - t3d_sampler_time(1, n);

        assert_true(t3d_sampler_time(0, n) == 0 && step > 0);
        assert_true(fabs(t3d_sampler_time(1, n) - 0.25) < 1e-12);
        for (int i = 2; i < n; i++)
            assert_true(fabs(t3d_sampler_time(i, n) - t3d_sampler_time(i - 1, n) - step) < 1e-12);
        assert_true(fabs(t3d_sampler_time(n - 1, n) - 0.75) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(few_steps_are_even),
                                       cmocka_unit_test(many_steps_are_in_the_middle)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
