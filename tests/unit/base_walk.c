/* SPDX-License-Identifier: Apache-2.0 */
#include "base/walk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"

static char old[4096], dir[64];
static struct t3d_arena arena;

static void put(const char *path)
{
    assert_int_equal(t3d_make_parent(path, NULL), T3D_OK);
    assert_int_equal(t3d_write_file(path, "x", 1, NULL), T3D_OK);
}

static void expect(const char *const *roots, size_t n_roots, const char *const *want, size_t n)
{
    struct t3d_walk w;

    assert_int_equal(t3d_walk(&w, &arena, roots, n_roots, "glb obj", NULL), T3D_OK);
    for (size_t i = 0; i < T3D_MIN(n, w.n); i++)
        assert_string_equal(w.file[i].path, want[i]);
    assert_int_equal(w.n, n);
}

#define EXPECT(roots, ...)                                                                         \
    expect(roots, T3D_COUNT(roots), (const char *const[]){__VA_ARGS__},                            \
           T3D_COUNT(((const char *const[]){__VA_ARGS__})))

static void sorts_by_the_whole_path(void **state)
{
    struct t3d_walk w;
    const char *root[] = {"set"};

    (void)state;
    put("set/b/x.glb");
    put("set/b-c/x.GLB");
    put("set/b.obj");
    put("set/a/deep/er/y.obj");
    put("set/B.glb");
    put("set/note.txt");
    put("set/.hidden.glb");
    put("set/.folder/z.glb");
    put("set/glb");
    put("set/x.gl");
    EXPECT(root, "set/B.glb", "set/a/deep/er/y.obj", "set/b-c/x.GLB", "set/b.obj", "set/b/x.glb");
    assert_int_equal(t3d_walk(&w, &arena, root, 1, "glb obj", NULL), T3D_OK);
    assert_string_equal(w.file[1].below, "a/deep/er/y.obj");
    assert_int_equal(w.hidden, 2);
    assert_int_equal(w.other, 3);
    assert_int_equal(w.repeated, 0);
}

static void spelling_does_not_matter(void **state)
{
    const char *twice[] = {"./set//", "set/b.obj", "set/b"}, *inside[] = {"."};
    struct t3d_walk w;

    (void)state;
    EXPECT(twice, "set/B.glb", "set/a/deep/er/y.obj", "set/b-c/x.GLB", "set/b.obj", "set/b/x.glb");
    assert_int_equal(chdir("set/b"), 0);
    assert_int_equal(t3d_walk(&w, &arena, inside, 1, "glb", NULL), T3D_OK);
    assert_int_equal(w.n, 1);
    assert_string_equal(w.file[0].path, "x.glb");
    assert_string_equal(w.file[0].below, "x.glb");
    assert_int_equal(chdir("../.."), 0);
}

static void named_files_are_always_listed(void **state)
{
    const char *root[] = {"set/note.txt", "missing.glb", "set/.hidden.glb"};
    struct t3d_walk w;

    (void)state;
    assert_int_equal(t3d_walk(&w, &arena, root, 3, "glb obj", NULL), T3D_OK);
    assert_int_equal(w.n, 3);
    assert_string_equal(w.file[0].path, "missing.glb");
    assert_int_equal(w.file[0].error, ENOENT);
    assert_true(w.file[2].named);
    assert_string_equal(w.file[2].below, "note.txt");
}

static void loops_of_links_end(void **state)
{
    const char *root[] = {"loop"};
    struct t3d_walk w;

    (void)state;
    put("loop/z/x.glb");
    assert_int_equal(symlink("z", "loop/a"), 0);     /* another name for z: z is real and wins */
    assert_int_equal(symlink("..", "loop/z/up"), 0); /* a loop */
    assert_int_equal(symlink("x.glb", "loop/z/y.glb"), 0); /* a second name of a file is a file */
    assert_int_equal(symlink("nowhere", "loop/dead.glb"), 0);
    assert_int_equal(symlink("self", "loop/self"), 0);
    assert_int_equal(symlink("../set/a", "loop/out"), 0);
    EXPECT(root, "loop/out/deep/er/y.obj", "loop/z/x.glb", "loop/z/y.glb");
    assert_int_equal(t3d_walk(&w, &arena, root, 1, "glb obj", NULL), T3D_OK);
    assert_int_equal(w.repeated, 4);
}

static void closed_folders_are_named(void **state)
{
    const char *root[] = {"closed"};
    struct t3d_walk w;

    (void)state;
    put("closed/in/x.glb");
    put("closed/y.glb");
    assert_int_equal(chmod("closed/in", 0), 0);
    assert_int_equal(t3d_walk(&w, &arena, root, 1, "glb", NULL), T3D_OK);
    assert_int_equal(chmod("closed/in", 0700), 0);
    assert_int_equal(w.n, 2); /* for root, who may read it, the file */
    assert_string_equal(w.file[0].path, geteuid() ? "closed/in" : "closed/in/x.glb");
    assert_int_equal(w.file[0].error, geteuid() ? EACCES : 0);
}

static void endings_ignore_case(void **state)
{
    (void)state;
    assert_true(t3d_ending_in("a.GLB", "obj glb"));
    assert_true(t3d_ending_in("a.b.obj", "obj glb"));
    assert_false(t3d_ending_in("a.gl", "obj glb"));
    assert_false(t3d_ending_in("a.glbx", "obj glb"));
    assert_false(t3d_ending_in("a.", "obj glb"));
    assert_false(t3d_ending_in("glb", "obj glb"));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/t3d-walk.XXXXXX");
    return getcwd(old, sizeof old) && mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    t3d_arena_free(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return chdir(old) == 0 ? system(command) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_by_the_whole_path),       cmocka_unit_test(spelling_does_not_matter),
        cmocka_unit_test(named_files_are_always_listed), cmocka_unit_test(loops_of_links_end),
        cmocka_unit_test(closed_folders_are_named),      cmocka_unit_test(endings_ignore_case),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
