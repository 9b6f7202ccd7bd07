/* SPDX-License-Identifier: Apache-2.0 */
/* Zip files, by the tests' own writer (tests/serve/pack.c), whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/zip.h"

static char dir[64];
static struct t3d_err err;

static int set_up(void **state)
{
    char command[600];
    const char *build = getenv("T3D_BUILD");

    (void)state;
    snprintf(dir, sizeof dir, "/tmp/t3d-zip.%ld", (long)getpid());
    snprintf(command, sizeof command,
             "mkdir %s && cd %s && printf %%05000d 7 >a && printf x >b && : >c && "
             "%s/aid/pack zip z deflate:d/a=a zip64:b=b c=c secret:e=b b=a && cp z t && printf "
             "'trailing' >>t",
             dir, dir, build ? build : "build/release");
    return system(command);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    return 0;
}

static void member_is(const struct t3d_zip *z, const char *name, size_t n, char first)
{
    const struct t3d_zip_member *m = t3d_zip_find(z, name);
    uint8_t *data;

    assert_non_null(m);
    assert_int_equal(t3d_zip_read(z, m, 1 << 20, &data, &err), T3D_OK);
    assert_int_equal(m->size, n);
    if (n)
        assert_int_equal(data[0], first);
    free(data);
}

static void members(void **state)
{
    char path[100];
    struct t3d_zip *z;
    uint8_t *data;
    size_t n;
    int fd;

    (void)state;
    snprintf(path, sizeof path, "%s/z", dir);
    fd = open(path, O_RDONLY);
    assert_int_equal(t3d_zip_open(&z, fd, "z", &err), T3D_OK);
    t3d_zip_members(z, &n);
    assert_int_equal(n, 5);
    member_is(z, "d/a", 5000, '0');
    member_is(z, "c", 0, 0);
    member_is(z, "b", 5000, '0'); /* the last one of two */
    assert_null(t3d_zip_find(z, "a"));
    assert_int_equal(t3d_zip_read(z, t3d_zip_find(z, "d/a"), 100, &data, &err), T3D_SKIP);
    assert_string_equal(err.reason, "too-large");
    assert_int_equal(t3d_zip_read(z, t3d_zip_find(z, "e"), 100, &data, &err), T3D_SKIP);
    assert_string_equal(err.reason, "encrypted-archive");
    t3d_zip_close(z);
    close(fd);
}

/* Whatever byte is changed or missing: an error, or members that are whole. */
static void damage(void **state)
{
    char path[100];
    struct t3d_blob b;
    uint8_t *copy, *data;
    size_t refused = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/z", dir);
    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    copy = malloc(b.size);
    for (size_t k = 0; k < 2 * b.size; k++) {
        size_t size = k < b.size ? k : b.size, n = 0;
        const struct t3d_zip_member *m;
        struct t3d_zip *z;

        memcpy(copy, b.data, b.size);
        if (k >= b.size)
            copy[k - b.size] ^= (uint8_t)(1 + k % 255);
        if (t3d_zip_parse(&z, copy, size, "z", &err) < 0) {
            refused++;
            continue;
        }
        m = t3d_zip_members(z, &n);
        for (size_t i = 0; i < n; i++)
            if (t3d_zip_read(z, &m[i], 1 << 20, &data, &err) == T3D_OK)
                free(data);
            else
                refused++;
        t3d_zip_close(z);
    }
    assert_true(refused > b.size);
    free(copy);
    t3d_blob_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(damage),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
