/* SPDX-License-Identifier: Apache-2.0 */
#include "store/model_find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"

static struct t3d_arena arena;
static char root[] = "/tmp/t3d-model.XXXXXX";

static int find(const char *name, char **dir, struct t3d_err *err)
{
    return t3d_model_find(dir, root, name, &arena, err);
}

static void workspace_comes_first(void **state)
{
    struct t3d_err err = {0};
    char *dir, *place, *want;

    (void)state;
    assert_int_equal(t3d_model_place(&place, root, "tiny", &arena, &err), T3D_OK);
    assert_int_equal(find("tiny", &dir, &err), T3D_USAGE);
    assert_string_equal(err.reason, "missing-model");
    assert_non_null(strstr(err.msg, "no weights are called so"));
    assert_int_equal(find("clip-vit-b32", &dir, &err), T3D_USAGE); /* of the catalogue */
    assert_non_null(strstr(err.msg, "fetch weights clip-vit-b32"));
    assert_int_equal(t3d_make_dirs(place, NULL), T3D_OK);
    assert_int_equal(find("tiny", &dir, &err), T3D_OK);
    assert_string_equal(dir, place);
    want = t3d_sprintf(&arena, "%s/models/tiny/", root);
    assert_int_equal(find(want, &dir, &err), T3D_OK);
    assert_string_equal(t3d_model_name(want, &arena), "tiny");
}

/* A file is not a model; a name cannot lead out of models/. */
static void bad_names(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a b", "a\nb"};
    struct t3d_err err;
    char *dir;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        assert_int_equal(find(bad[i], &dir, &err), T3D_USAGE);
        assert_string_equal(err.reason, "usage");
    }
    assert_int_equal(find("/dev/null", &dir, &err), T3D_USAGE);
    assert_int_equal(find("nowhere/at/all", &dir, &err), T3D_USAGE);
    assert_null(t3d_model_name("..", &arena));
    assert_null(t3d_model_name("a/..", &arena));
    assert_null(t3d_model_name("/", &arena));
}

/* As build/release/t3d-embed finds what lies in the tree: this program is one folder deeper. */
static void beside_the_program(void **state)
{
    struct t3d_err err;
    char self[4096], *dir, *slash;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *models;

    (void)state;
    assert_true(n > 0);
    self[n] = 0;
    slash = strrchr(self, '/');
    assert_non_null(slash);
    *slash = 0;
    models = t3d_sprintf(&arena, "%s/../../models/t3d-test-%d", self, (int)getpid());
    assert_int_equal(t3d_make_dirs(models, NULL), T3D_OK);
    assert_int_equal(find(t3d_path_base(models), &dir, &err), T3D_OK);
    assert_string_equal(t3d_path_base(dir), t3d_path_base(models));
    rmdir(models);
    rmdir(t3d_sprintf(&arena, "%s/../../models", self)); /* only if it was made above: is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(workspace_comes_first),
                                       cmocka_unit_test(bad_names),
                                       cmocka_unit_test(beside_the_program)};
    int failed;

    if (!mkdtemp(root))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_remove_tree(root);
    t3d_arena_free(&arena);
    return failed;
}
