/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void success_leaves_err_alone_and_null_is_fine(void **state)
{
    (void)state;
    assert_int_equal(t3d_err_set(NULL, T3D_SKIP, "x", "%d", 1), T3D_SKIP);
    assert_int_equal(t3d_err_nomem(NULL, "x"), T3D_FAIL);
}

static void fields_are_filled(void **state)
{
    struct t3d_err e;

    (void)state;
    assert_int_equal(t3d_err_value(&e, T3D_SKIP, "too-few", 7, "object '%s': %d", "a", 7),
                     T3D_SKIP);
    assert_int_equal(e.code, T3D_SKIP);
    assert_string_equal(e.reason, "too-few");
    assert_string_equal(e.msg, "object 'a': 7");
    assert_true(e.value == 7);
    t3d_err_set(&e, T3D_FAIL, "other", "x");
    assert_true(isnan(e.value));
}

static void control_characters_become_question_marks(void **state)
{
    struct t3d_err e;

    (void)state;
    t3d_err_set(&e, T3D_SKIP, "x", "a\nb\033[2J\177é");
    assert_string_equal(e.msg, "a?b?[2J?é");
}

static void system_errors_are_graded(void **state)
{
    static const struct {
        int sys, grade;
        const char *reason;
    } row[] = {{ENOSPC, T3D_IO, "disk-full"}, {EDQUOT, T3D_IO, "disk-full"},
               {EFBIG, T3D_IO, "disk-full"},  {EIO, T3D_IO, "io-error"},
               {EROFS, T3D_IO, "io-error"},   {EACCES, T3D_FAIL, "system"}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++) {
        struct t3d_err e;

        errno = row[i].sys;
        assert_int_equal(t3d_err_sys(&e, "cannot write", "f"), row[i].grade);
        assert_int_equal(e.code, row[i].grade);
        assert_int_equal(e.sys, row[i].sys);
        assert_string_equal(e.reason, row[i].reason);
        assert_true(strncmp(e.msg, "cannot write 'f': ", 18) == 0);
    }
}

static void prefixes_stack_and_long_ones_are_cut(void **state)
{
    struct t3d_err e;
    char big[2000];

    (void)state;
    t3d_err_set(&e, T3D_SKIP, "r", "inner");
    assert_int_equal(t3d_err_prefix(&e, "object '%s'", "u"), T3D_SKIP);
    assert_string_equal(e.msg, "object 'u': inner");
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = 0;
    t3d_err_prefix(&e, "%s", big);
    assert_int_equal(strlen(e.msg), sizeof e.msg - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_leaves_err_alone_and_null_is_fine),
        cmocka_unit_test(fields_are_filled),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(system_errors_are_graded),
        cmocka_unit_test(prefixes_stack_and_long_ones_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
