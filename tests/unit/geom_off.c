/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "geom/read.h"
#include "image/colour.h"

static struct t3d_arena arena;

static int read_bytes(struct t3d_scene *s, const char *text, struct t3d_err *err)
{
    struct t3d_source src = {.data = (const uint8_t *)text, .size = strlen(text), .name = "a.off"};
    int r;

    t3d_arena_reset(&arena);
    r = t3d_read_scene(s, &arena, &src, 0, err);
    if (r == T3D_OK)
        assert_int_equal(t3d_scene_check(s, err), T3D_OK);
    return r;
}

static struct t3d_scene read_text(const char *text)
{
    struct t3d_scene s;
    struct t3d_err err;

    if (read_bytes(&s, text, &err) != T3D_OK)
        fail_msg("%s", err.msg);
    return s;
}

#define SQUARE "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"

/* The same square in all the spellings that occur. */
static void spellings(void **state)
{
    static const char *const text[] = {
        "OFF\n4 1 0\n" SQUARE "4 0 1 2 3\n",
        "OFF4 1 0\n" SQUARE "4 0 1 2 3\n",
        "OFF 4 1 0\n" SQUARE "4 0 1 2 3",
        "OFF\n4 1\n" SQUARE "4 0 1 2 3\n",
        "OFF\r\n# comment\r\n\r\n4 1 4 # counts\r\n0 0 0\r\n1 0 0\r\n\r\n#x\r\n1 1 0\r\n0 1 0\r\n4 "
        "0 1 2 3\r\n",
        "OFF\n4 1 0\n0 0\n0\n1 0 0\n1 1 0\n0 1 0\n4 0\n1 2\n3\n",
        "OFF\n4 1 0\n" SQUARE "4  0 1 2 3  255 0 0 # red\n",
        "4 1 0\n" SQUARE "4 0 1 2 3\n",
        "COFF\n4 1 0\n0 0 0 9 9 9 9\n1 0 0 9 9 9 9\n1 1 0 9 9 9 9\n0 1 0 9 9 9 9\n4 0 1 2 3\n",
    };
    static const float want[4][3] = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
    static const uint32_t triangles[2][3] = {{0, 1, 2}, {0, 2, 3}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(text); i++) {
        struct t3d_scene s = read_text(text[i]);
        assert_int_equal(s.n_vertices, 4);
        assert_int_equal(s.n_triangles, 2);
        assert_memory_equal(s.position, want, sizeof want);
        assert_memory_equal(s.triangle, triangles, sizeof triangles);
        assert_int_equal(s.notes.n_bad_primitives, 0);
    }
}

static void attributes(void **state)
{
    struct t3d_scene s =
        read_text("STCNOFF\n3 1 0\n0 0 0  0 0 2  255 0 51 128  .5 .25\n"
                  "1 0 0  0 2 0  0 0 0 255  1 1\n0 1 0  2 0 0  0 0 0 255  0 0\n3 0 1 2\n");

    (void)state;
    assert_int_equal(s.draw[0].flags, T3D_HAS_NORMAL | T3D_HAS_COLOR | T3D_HAS_UV0);
    assert_true(s.normal[0][2] == 1 && s.normal[1][1] == 1 && s.normal[2][0] == 1);
    assert_true(s.color[0][0] == 1 && fabsf(s.color[0][2] - t3d_srgb_to_linear(.2f)) < 1e-6f);
    assert_true(fabsf(s.color[0][3] - 128 / 255.f) < 1e-6f);
    assert_true(s.uv[0][0][0] == .5f && s.uv[0][0][1] == .75f && s.uv[0][1][1] == 0);
    s = read_text("COFF\n3 1 0\n0 0 0 0.5 0 0\n1 0 0 1 1 1\n0 1 0\n3 0 1 2\n");
    assert_true(fabsf(s.color[0][0] - t3d_srgb_to_linear(.5f)) < 1e-6f);
    assert_true(s.color[0][3] == 1 && s.color[2][0] == 1);
}

static void damage_has_reasons(void **state)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"OFF", "bad-header"},
        {"OFF\nx 1 0\n", "bad-header"},
        {"OFF\n-4 1 0\n" SQUARE, "bad-header"},
        {"OFF BINARY\n", "unsupported-off"},
        {"4OFF\n1 1 1\n", "unsupported-off"},
        {"OFF\n4000000000 1 0\n" SQUARE, "truncated"},
        {"OFF\n4 4000000000 0\n" SQUARE, "truncated"},
        {"OFF\n5 1 0\n" SQUARE "4 0 1 2 3\n", "bad-number"},
        {"OFF\n4 1 0\n" SQUARE "4 0 1 2\n", "bad-number"},
        {"OFF\n4 1 0\n" SQUARE "99999999999 0 1 2 3\n", "bad-number"},
        {"OFF\n4 1 0\n0 0 0\n1 0 y\n1 1 0\n0 1 0\n4 0 1 2 3\n", "bad-number"},
    };
    struct t3d_scene s;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        assert_int_equal(read_bytes(&s, bad[i].text, &err), T3D_SKIP);
        assert_string_equal(err.reason, bad[i].reason);
    }
    s = read_text(
        "OFF\n4 4 0\n0 0 0\n1 0 0\n1 inf 0\n0 1 0\n3 0 1 3\n3 0 1 2\n5 0 1 3 0 4\n2 0 1\n");
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.notes.n_bad_indices, 1);
    assert_int_equal(s.notes.n_non_finite, 1);
    assert_int_equal(s.notes.n_bad_primitives, 2);
    assert_int_equal(s.notes.n_lines, 1);
}

static int teardown(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(attributes),
        cmocka_unit_test(damage_has_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
