/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof dir, "%s/t3d-file.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void expect_skip(const char *path, uint64_t max, const char *reason)
{
    struct t3d_blob b;
    struct t3d_err e;

    assert_int_equal(t3d_blob_open(&b, path, max, &e), T3D_SKIP);
    assert_string_equal(e.reason, reason);
    t3d_blob_close(&b);
}

static void what_is_written_is_read(void **state)
{
    struct t3d_blob b;
    char data[5000];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    assert_int_equal(t3d_write_file(in_dir("f"), data, sizeof data, NULL), T3D_OK);
    assert_int_equal(t3d_blob_open(&b, in_dir("f"), sizeof data, NULL), T3D_OK);
    assert_int_equal(b.size, sizeof data);
    assert_memory_equal(b.data, data, sizeof data);
    t3d_blob_close(&b);
    t3d_blob_close(&b);
    expect_skip(in_dir("f"), sizeof data - 1, "too-large");
    assert_int_equal(t3d_write_file(in_dir("f"), "", 0, NULL), T3D_OK);
    assert_int_equal(t3d_blob_open(&b, in_dir("f"), 1, NULL), T3D_OK);
    assert_int_equal(b.size, 0);
    t3d_blob_close(&b);
}

static void what_cannot_be_read_says_why(void **state)
{
    (void)state;
    expect_skip(in_dir("nothing"), 0, "missing-file");
    expect_skip("/dev/null", 0, "not-a-file");
    expect_skip(dir, 0, "not-a-file");
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    expect_skip(in_dir("pipe"), 0, "not-a-file"); /* and does not wait for a writer */
}

static void output_appears_whole_or_not_at_all(void **state)
{
    struct t3d_out o;

    (void)state;
    assert_int_equal(t3d_out_open(&o, in_dir("out"), NULL), T3D_OK);
    fputs("half", o.f);
    fflush(o.f);
    assert_int_not_equal(access(in_dir("out"), F_OK), 0);
    t3d_out_abort(&o);
    t3d_out_abort(&o);
    assert_int_not_equal(access(in_dir("out"), F_OK), 0);
    assert_int_equal(t3d_out_open(&o, in_dir("out"), NULL), T3D_OK);
    fputs("whole", o.f);
    assert_int_equal(t3d_out_commit(&o, 1, NULL), T3D_OK);
    assert_int_equal(access(in_dir("out"), F_OK), 0);
}

static void a_full_disk_is_seen_and_leaves_nothing(void **state)
{
    struct rlimit old, small;
    struct t3d_err e;
    char data[8192] = {1};

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){4096, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(t3d_write_file(in_dir("big"), data, sizeof data, &e), T3D_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_string_equal(e.reason, "disk-full");
    assert_int_not_equal(access(in_dir("big"), F_OK), 0);
    assert_int_equal(rmdir(in_dir(".")), -1); /* other tests' files are there, but no .tmp */
    {
        char command[128];

        snprintf(command, sizeof command, "ls '%s' | grep -q tmp", dir);
        assert_int_not_equal(system(command), 0);
    }
}

static void folders_are_made(void **state)
{
    struct t3d_err e;

    (void)state;
    assert_int_equal(t3d_make_dirs(in_dir("a/b//c/"), NULL), T3D_OK);
    assert_int_equal(t3d_make_dirs(in_dir("a/b/c"), NULL), T3D_OK);
    assert_int_equal(t3d_make_parent(in_dir("p/q/file"), NULL), T3D_OK);
    assert_int_equal(access(in_dir("p/q"), F_OK), 0);
    assert_int_not_equal(access(in_dir("p/q/file"), F_OK), 0);
    assert_int_equal(t3d_write_file(in_dir("plain"), "", 0, NULL), T3D_OK);
    assert_int_equal(t3d_make_dirs(in_dir("plain/x"), &e), T3D_FAIL);
}

static void paths_are_taken_apart(void **state)
{
    struct t3d_arena a = {0};

    (void)state;
    assert_string_equal(t3d_path_join(&a, "a", "b"), "a/b");
    assert_string_equal(t3d_path_join(&a, "a/", "b"), "a/b");
    assert_string_equal(t3d_path_join(&a, "a", "/b"), "/b");
    assert_string_equal(t3d_path_join(&a, ".", "b"), "b");
    assert_string_equal(t3d_path_join(&a, "", "b"), "b");
    assert_string_equal(t3d_path_base("a/b.c"), "b.c");
    assert_string_equal(t3d_path_base("b"), "b");
    assert_string_equal(t3d_path_ending("a.x/b.tar.gz"), "gz");
    assert_string_equal(t3d_path_ending("a.x/b"), "");
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_cannot_be_read_says_why),
        cmocka_unit_test(output_appears_whole_or_not_at_all),
        cmocka_unit_test(a_full_disk_is_seen_and_leaves_nothing),
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(paths_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
