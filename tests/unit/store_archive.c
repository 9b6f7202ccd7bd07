/* SPDX-License-Identifier: Apache-2.0 */
/* Names of archive members. What archives hold is tested by tests/tool/fetch_archive.t. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "store/archive.h"

static void good(const char *name, const char *want)
{
    char out[2048];
    struct t3d_err err = {0};

    if (t3d_archive_name(out, sizeof out, name, &err) != T3D_OK)
        fail_msg("%s: %s", name, err.msg);
    assert_string_equal(out, want);
}

static void bad(const char *name, const char *reason)
{
    char out[2048];
    struct t3d_err err = {0};

    assert_int_equal(t3d_archive_name(out, sizeof out, name, &err), T3D_SKIP);
    assert_string_equal(err.reason, reason);
}

static void plain_names(void **state)
{
    (void)state;
    good("a.obj", "a.obj");
    good("./a//b/./c.obj", "a/b/c.obj");
    good("a/...", "a/...");
    good("..a/b..", "..a/b..");
    good("caf\xc3\xa9/\xe6\xa4\x85.obj", "caf\xc3\xa9/\xe6\xa4\x85.obj");
    good("c/x.obj/", "c/x.obj");
    good("ab:c", "ab:c"); /* no drive */
}

static void unsafe_names(void **state)
{
    static const char *const names[] = {"",         ".",    "./",    "..",      "../a", "a/../b",
                                        "a/..",     "/a",   "//a",   "C:/a",    "c:a",  "a\\b",
                                        "\\\\h\\a", "a\nb", "a\x7f", "a\x1b[2J"};
    char part[300], deep[200] = "", large[3000];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        bad(names[i], "unsafe-name");
    memset(part, 'a', 256);
    part[256] = 0;
    bad(part, "unsafe-name");
    part[255] = 0;
    good(part, part);
    for (int i = 0; i < 65; i++)
        memcpy(deep + 2 * i, "a/", 3);
    bad(deep, "unsafe-name");
    for (int i = 0; i < 14; i++) {
        memset(large + 201 * i, 'a', 200);
        large[201 * i + 200] = i < 13 ? '/' : 0;
    }
    bad(large, "unsafe-name");
}

static void encodings(void **state)
{
    (void)state;
    bad("caf\xe9", "bad-encoding");
    bad("\x83\x65", "bad-encoding");
    bad("a\xc0\xaf"
        "b",
        "bad-encoding");                 /* '/', written too long */
    bad("\xed\xa0\x80", "bad-encoding"); /* half of a surrogate pair */
}

static void endings(void **state)
{
    static const char *const yes[] = {"a.zip", "b/a.ZIP",    "a.7z",      "a.tar", "a.tar.gz",
                                      "a.TGZ", "a.b.tar.XZ", "a.tar.zst", "a.tbz2"};
    static const char *const no[] = {"a.gz",   "zip",   ".gz",         "a.obj",
                                     "tar.gz", "a.rar", "a.zip/b.obj", "a.obj.gz"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(t3d_archive_is(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(t3d_archive_is(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_names),
                                       cmocka_unit_test(unsafe_names), cmocka_unit_test(encodings),
                                       cmocka_unit_test(endings)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
