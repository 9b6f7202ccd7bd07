/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/content.h"
#include "store/manifest.h"
#include "store/run_impl.h"

static char dir[64];
static struct t3d_err err;
static struct t3d_arena arena;

static int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(dir, sizeof dir, "/tmp/t3d-content.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    t3d_arena_free(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* FIPS 180-4's example "abc". */
static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static int add_file(const char *text, size_t n, const char *ending, char sha256[65])
{
    char path[96];
    uint64_t size;
    int fd, r;

    snprintf(path, sizeof path, "%s/source", dir);
    assert_int_equal(t3d_write_file(path, text, n, &err), T3D_OK);
    fd = open(path, O_RDONLY);
    r = t3d_content_add_fd(dir, fd, path, ending, sha256, &size, &err);
    close(fd);
    if (r == T3D_OK)
        assert_int_equal(size, n);
    return r;
}

/* Files below objects/ that are not in their place. */
static int strays(void)
{
    char path[96];
    struct dirent *e;
    DIR *d;
    int n = 0;

    snprintf(path, sizeof path, "%s/objects", dir);
    d = opendir(path);
    while (d && (e = readdir(d)))
        n += strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static void files_are_named_by_content(void **state)
{
    char sha256[65], *path;
    struct stat st, again;

    (void)state;
    assert_int_equal(add_file("abc", 3, "glb", sha256), T3D_OK);
    assert_string_equal(sha256, abc);
    path = t3d_content_path(&arena, dir, abc, "glb");
    assert_non_null(strstr(path, "/objects/ba/ba7816bf"));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(st.st_mode & 0777, 0444);
    assert_int_equal(t3d_content_add(dir, "abc", 3, "glb", sha256, &err), T3D_OK);
    assert_string_equal(sha256, abc);
    assert_int_equal(stat(path, &again), 0);
    assert_int_equal(st.st_ino, again.st_ino); /* left alone */
    assert_int_equal(add_file("", 0, "bin", sha256), T3D_OK);
    assert_int_equal(strays(), 0);
    assert_int_equal(t3d_content_verify(dir, abc, "glb", &err), T3D_OK);
}

static void large_files_are_whole(void **state)
{
    size_t n = (3 << 20) + 17;
    char *data = malloc(n), sha256[65], expected[65];

    (void)state;
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    t3d_sha256_hex(data, n, expected);
    assert_int_equal(add_file(data, n, "bin", sha256), T3D_OK);
    assert_string_equal(sha256, expected);
    assert_int_equal(t3d_content_verify(dir, sha256, "bin", &err), T3D_OK);
    free(data);
}

static void endings_are_clean(void **state)
{
    char ending[16], sha256[65];

    (void)state;
    t3d_content_ending("a/b.GLB", ending);
    assert_string_equal(ending, "glb");
    t3d_content_ending("a.b/c", ending);
    assert_string_equal(ending, "");
    t3d_content_ending("x.g-b", ending);
    assert_string_equal(ending, "");
    t3d_content_ending("x.abcdefghijklmnop", ending);
    assert_string_equal(ending, "");
    assert_int_equal(t3d_content_add(dir, "abc", 3, "../x", sha256, &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-ending");
}

static void parts_make_the_content_hash(void **state)
{
    struct t3d_part parts[2] = {{.name = "tex/b c.png", .size = 3}, {.name = "a.bin", .size = 0}},
                    *found;
    struct t3d_content_ctx ctx = {.workspace = dir};
    char content[65], swapped[65], expected[65], text[512];
    size_t n;
    int fd;

    (void)state;
    assert_int_equal(t3d_content_add(dir, "abc", 3, "png", parts[0].sha256, &err), T3D_OK);
    assert_int_equal(t3d_content_add(dir, "", 0, "bin", parts[1].sha256, &err), T3D_OK);
    assert_int_equal(t3d_content_add_parts(dir, abc, parts, 2, content, &err), T3D_OK);
    /* By hand: the empty file's hash e3b0... sorts behind ba78... */
    snprintf(text, sizeof text, "%s\n%s 3 tex/b c.png\n%s 0 a.bin\n", abc, parts[0].sha256,
             parts[1].sha256);
    t3d_sha256_hex(text, strlen(text), expected);
    assert_string_equal(content, expected);
    assert_int_equal(t3d_content_verify(dir, content, "parts", &err), T3D_OK);
    assert_int_equal(t3d_content_parts(dir, content, &found, &n, &arena, &err), T3D_OK);
    assert_int_equal(n, 2);
    assert_string_equal(found[0].name, "tex/b c.png");
    assert_string_equal(found[0].ending, "png");
    assert_int_equal(found[0].size, 3);
    assert_string_equal(found[1].name, "a.bin");
    struct t3d_part other[2] = {parts[1], parts[0]};
    assert_int_equal(t3d_content_add_parts(dir, abc, other, 2, swapped, &err), T3D_OK);
    assert_string_equal(content, swapped);
    /* The same main file with other parts is another object. */
    assert_int_equal(t3d_content_add_parts(dir, abc, parts, 1, swapped, &err), T3D_OK);
    assert_string_not_equal(content, swapped);
    assert_int_equal(t3d_content_parts(dir, content, &found, &n, &arena, &err), T3D_OK);
    assert_int_equal(n, 2);
    ctx.main_sha256 = abc;
    ctx.part = found;
    ctx.n = n;
    fd = t3d_content_resolve(&ctx, "tex/b c.png", &err);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, 8), 3);
    assert_memory_equal(text, "abc", 3);
    close(fd);
    assert_int_equal(t3d_content_resolve(&ctx, "../../etc/passwd", &err), -1);
    assert_string_equal(err.reason, "missing-file");
    /* No parts: the file's own hash, and nothing to read. */
    assert_int_equal(t3d_content_add_parts(dir, abc, NULL, 0, content, &err), T3D_OK);
    assert_string_equal(content, abc);
    assert_int_equal(t3d_content_parts(dir, content, &found, &n, &arena, &err), T3D_OK);
    assert_int_equal(n, 0);
    parts[0].name = "a\nb";
    assert_int_equal(t3d_content_add_parts(dir, abc, parts, 1, content, &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-part-name");
}

static void changes_are_seen(void **state)
{
    char sha256[65], *path;
    FILE *f;

    (void)state;
    assert_int_equal(t3d_content_verify(dir, abc, "glb", &err), T3D_SKIP);
    assert_string_equal(err.reason, "missing");
    assert_int_equal(t3d_content_add(dir, "abc", 3, "glb", sha256, &err), T3D_OK);
    path = t3d_content_path(&arena, dir, abc, "glb");
    assert_int_equal(chmod(path, 0644), 0);
    f = fopen(path, "w");
    fputs("abd", f);
    fclose(f);
    assert_int_equal(t3d_content_verify(dir, abc, "glb", &err), T3D_SKIP);
    assert_string_equal(err.reason, "modified");
}

static void full_disk_leaves_nothing(void **state)
{
    struct rlimit limit, small;
    char sha256[65], data[4096] = {0};

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(t3d_content_add(dir, "abc", 3, "glb", sha256, &err), T3D_OK);
    small = limit;
    small.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(t3d_content_add(dir, data, sizeof data, "glb", sha256, &err), T3D_IO);
    assert_string_equal(err.reason, "disk-full");
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(strays(), 0);
    assert_int_equal(t3d_content_verify(dir, sha256, "glb", &err), T3D_SKIP);
    assert_string_equal(err.reason, "missing");
}

static void full_disk_stops_the_manifest(void **state)
{
    struct rlimit limit, small;
    struct t3d_manifest *m;
    int r = T3D_OK;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err), T3D_OK);
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 200000;
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 2000 && r >= 0; i++) {
        struct t3d_object o = {.ending = "glb"};
        snprintf(o.uid, sizeof o.uid, "u%d", i);
        r = t3d_manifest_begin(m, &err);
        if (r == T3D_OK)
            r = t3d_manifest_register(m, &o, 1, &err);
        if (r == T3D_OK)
            r = t3d_manifest_commit(m, &err);
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(r, T3D_IO);
    t3d_manifest_rollback(m);
    t3d_manifest_close(m);
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_OK); /* and it is whole */
    t3d_manifest_close(m);
}

static void temporary_files_of_the_dead_go(void **state)
{
    char name[64], path[160];
    struct t3d_manifest *m;
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    snprintf(name, sizeof name, "new.%ld.3.tmp", (long)child);
    assert_true(t3di_stale_tmp(name));
    snprintf(name, sizeof name, "a.b.glb.%ld.30.tmp", (long)child);
    assert_true(t3di_stale_tmp(name));
    snprintf(name, sizeof name, "new.%ld.3.tmp", (long)getpid());
    assert_false(t3di_stale_tmp(name));
    assert_false(t3di_stale_tmp("x.tmp"));
    assert_false(t3di_stale_tmp(".tmp"));
    assert_false(t3di_stale_tmp("a.b.tmp"));
    assert_int_equal(t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err), T3D_OK);
    snprintf(path, sizeof path, "%s/objects/new.%ld.3.tmp", dir, (long)child);
    assert_int_equal(t3d_make_parent(path, &err), T3D_OK);
    assert_int_equal(t3d_write_file(path, "x", 1, &err), T3D_OK);
    assert_int_equal(t3d_run_begin(m, "fetch", &err), T3D_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    t3d_manifest_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_named_by_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_files_are_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endings_are_clean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_make_the_content_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_disk_stops_the_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(temporary_files_of_the_dead_go, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
