/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/url_list.h"

static char path[] = "/tmp/t3d-list.XXXXXX";
static struct t3d_err err;

static struct t3d_url_list *list(const void *text, size_t n)
{
    struct t3d_url_list *l;

    assert_int_equal(t3d_write_file(path, text, n, &err), T3D_OK);
    assert_int_equal(t3d_url_list_open(&l, path, &err), T3D_OK);
    return l;
}

static void plain(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf# a list\n\nhttp://a/1.glb\r\n  http://a/2.glb\n#x\nhttp://a/3";
    static const char *const want[] = {"http://a/1.glb", "http://a/2.glb", "http://a/3"};
    struct t3d_url_list *l = list(text, sizeof text - 1);
    struct t3d_url_row row;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
        assert_string_equal(row.url, want[i]);
        assert_int_equal(row.size, -1);
        assert_int_equal(row.bad.code, 0);
    }
    assert_int_equal(row.line, 6);
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_END);
    t3d_url_list_close(l);
}

static void table(void **state)
{
    static const char text[] =
        "Note\tURL\tBytes\tCaption\n-\thttp://a\t12\t\n\tb\t+1\tx y\n\t\t3\t\n";
    struct t3d_url_list *l = list(text, sizeof text - 1);
    struct t3d_url_row row;

    (void)state;
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.url, "http://a");
    assert_int_equal(row.size, 12);
    assert_int_equal(row.n_captions, 0);
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.bad.reason, "bad-size");
    assert_string_equal(row.caption[0], "x y");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.bad.reason, "no-url");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_END);
    t3d_url_list_close(l);
    l = list("a\tb\n", 4);
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_USAGE);
    t3d_url_list_close(l);
}

static void records(void **state)
{
    static const char text[] =
        "{\"url\":\"u\",\"size\":7,\"captions\":[\"a\",1,\"b\"],\"id\":\"x\"}\n"
        "[1]\n{\"url\":\"v\",\"size\":-1}\n{\"url\":\"w\",\"sha256\":null}\n";
    struct t3d_url_list *l = list(text, sizeof text - 1);
    struct t3d_url_row row;

    (void)state;
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_int_equal(row.size, 7);
    assert_int_equal(row.n_captions, 2);
    assert_string_equal(row.caption[1], "b");
    assert_string_equal(row.uid, "x");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.bad.reason, "not-json");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.bad.reason, "bad-row");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_int_equal(row.bad.code, 0);
    t3d_url_list_close(l);
}

/* Lines longer than the limit are passed over and named; those around them are read. */
static void long_lines(void **state)
{
    size_t n = 5u << 20;
    char *text = malloc(n + 64);
    struct t3d_url_list *l;
    struct t3d_url_row row;

    (void)state;
    assert_non_null(text);
    memcpy(text, "http://a\n", 9);
    memset(text + 9, 'x', n);
    memcpy(text + 9 + n, "\nhttp://b\n", 10);
    l = list(text, n + 19);
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.url, "http://a");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.bad.reason, "line-too-long");
    assert_int_equal(row.line, 2);
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_OK);
    assert_string_equal(row.url, "http://b");
    assert_int_equal(t3d_url_list_next(l, &row, &err), T3D_END);
    t3d_url_list_close(l);
    free(text);
}

static int make(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int clean(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(table),
                                       cmocka_unit_test(records), cmocka_unit_test(long_lines)};

    return cmocka_run_group_tests(tests, make, clean);
}
