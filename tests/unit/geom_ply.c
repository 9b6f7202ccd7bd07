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

static int read_bytes(struct t3d_scene *s, const void *data, size_t size, struct t3d_err *err)
{
    struct t3d_source src = {.data = data, .size = size, .name = "a.ply"};
    int r;

    t3d_arena_reset(&arena);
    r = t3d_read_ply(s, &arena, &src, 0, err);
    if (r == T3D_OK)
        assert_int_equal(t3d_scene_check(s, err), T3D_OK);
    return r;
}

static struct t3d_scene read_text(const char *text)
{
    struct t3d_scene s;
    struct t3d_err err;

    if (read_bytes(&s, text, strlen(text), &err) != T3D_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void assert_reason(const void *data, size_t size, const char *reason)
{
    struct t3d_scene s;
    struct t3d_err err;

    assert_int_equal(read_bytes(&s, data, size, &err), T3D_SKIP);
    assert_string_equal(err.reason, reason);
}

/* --- writer of the test: one value in any type and byte order
 * ------------------------------------- */

static const char *const type_name[8] = {"char", "uint8",  "short", "uint16",
                                         "int",  "uint32", "float", "float64"};

struct bytes {
    uint8_t b[4096];
    size_t n;
};

static void put(struct bytes *o, const void *p, size_t n, int big)
{
    for (size_t i = 0; i < n; i++)
        o->b[o->n++] = ((const uint8_t *)p)[big ? n - 1 - i : i];
}

static void put_value(struct bytes *o, int type, double v, int big)
{
    int32_t i = (int32_t)v;
    uint32_t u = (uint32_t)v;
    float f = (float)v;

    if (type < 6)
        put(o, v < 0 ? (void *)&i : (void *)&u, (size_t)1 << (type / 2), 0);
    else
        put(o, type == 6 ? (void *)&f : (void *)&v, type == 6 ? 4 : 8, 0);
    if (big) { /* turn round what was just put */
        size_t n = type < 6 ? (size_t)1 << (type / 2) : type == 6 ? 4 : 8;
        for (size_t k = 0; k < n / 2; k++) {
            uint8_t t = o->b[o->n - n + k];
            o->b[o->n - n + k] = o->b[o->n - 1 - k];
            o->b[o->n - 1 - k] = t;
        }
    }
}

/* A square as one polygon behind an unknown element, with every type as coordinate, count and
 * index. */
static void every_type_in_both_orders(void **state)
{
    static const float want[4][3] = {{0, 0, 1}, {7, 0, 1}, {7, 5, 1}, {0, 5, 1}};
    static const uint32_t triangles[2][3] = {{0, 1, 2}, {0, 2, 3}};

    (void)state;
    for (int type = 0; type < 8; type++)
        for (int big = 0; big < 2; big++) {
            struct bytes o = {.n = 0};
            struct t3d_scene s;
            struct t3d_err err;
            int count = type < 6 ? type : 1;
            o.n = (size_t)snprintf((char *)o.b, sizeof o.b,
                                   "ply\nformat binary_%s_endian 1.0\ncomment made here\n"
                                   "element other 2\nproperty %s a\nproperty list %s %s b\n"
                                   "element vertex 4\nproperty %s x\nproperty short skipped\n"
                                   "property %s y\nproperty %s z\n"
                                   "element face 1\nproperty uchar flags\n"
                                   "property list %s %s vertex_index\nend_header\n",
                                   big ? "big" : "little", type_name[type], type_name[count],
                                   type_name[type], type_name[type], type_name[type],
                                   type_name[type], type_name[count], type_name[type]);
            for (int i = 0; i < 2; i++) {
                put_value(&o, type, 3, big);
                put_value(&o, count, i, big);
                if (i)
                    put_value(&o, type, 9, big);
            }
            for (int i = 0; i < 4; i++) {
                put_value(&o, type, want[i][0], big);
                put_value(&o, 2, -5, big);
                put_value(&o, type, want[i][1], big);
                put_value(&o, type, want[i][2], big);
            }
            put_value(&o, 1, 200, big);
            put_value(&o, count, 4, big);
            for (int i = 0; i < 4; i++)
                put_value(&o, type, i, big);
            assert_int_equal(read_bytes(&s, o.b, o.n, &err), T3D_OK);
            assert_int_equal(s.n_vertices, 4);
            assert_memory_equal(s.position, want, sizeof want);
            assert_int_equal(s.n_triangles, 2);
            assert_memory_equal(s.triangle, triangles, sizeof triangles);
            assert_string_equal(s.notes.generator, "made here");
            /* Every shorter file is refused. */
            for (size_t n = 0; n < o.n; n++)
                assert_int_equal(read_bytes(&s, o.b, n, &err), T3D_SKIP);
        }
}

static void attributes_are_read(void **state)
{
    struct t3d_scene s = read_text(
        "ply\r\nformat ascii 1.0\r\nelement vertex 3\r\nproperty float x\r\nproperty float y\r\n"
        "property float z\r\nproperty float nx\r\nproperty float ny\r\nproperty float nz\r\n"
        "property uchar red\r\nproperty uchar green\r\nproperty uchar blue\r\nproperty float s\r\n"
        "property float t\r\nelement face 1\r\nproperty list uchar int "
        "vertex_indices\r\nend_header\r\n"
        "0 0 0 0 0 2 255 0 1 0.5 0.25\r\n1 0 0 0 0 2 0 128 0 0 0\r\n0 1 0 0 0 2 0 0 0 0 0\r\n3 0 1 "
        "2\r\n");

    (void)state;
    assert_int_equal(s.draw[0].flags, T3D_HAS_NORMAL | T3D_HAS_COLOR | T3D_HAS_UV0);
    assert_true(s.normal[0][2] == 1);
    assert_true(s.color[0][0] == 1 && s.color[0][3] == 1);
    assert_true(s.color[0][2] == t3d_srgb_to_linear_table()[1]); /* a code, not the fraction 1 */
    assert_true(s.color[1][1] == t3d_srgb_to_linear_table()[128]);
    assert_true(s.uv[0][0][0] == .5f && s.uv[0][0][1] == .75f);
}

static void float_colours_and_zero_normals(void **state)
{
    struct t3d_scene s =
        read_text("ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int vertex_indices\n"
                  "element vertex 3\nproperty double x\nproperty double y\nproperty double "
                  "z\nproperty float nx\n"
                  "property float ny\nproperty float nz\nproperty float r\nproperty float "
                  "g\nproperty float b\n"
                  "property float a\nend_header\n3 0 1 2\n"
                  "0 0 0 0 0 0 1 0.5 0 0.25\n1 0 0 0 0 0 0 0 0 1\n0 1 0 0 0 0 0 0 0 1\n");

    (void)state;
    assert_int_equal(s.draw[0].flags, T3D_HAS_COLOR);
    assert_true(fabsf(s.color[0][1] - t3d_srgb_to_linear(.5f)) < 1e-6f);
    assert_true(s.color[0][3] == .25f); /* alpha is linear */
    assert_int_equal(s.n_triangles, 1);
}

static void clouds_and_strips(void **state)
{
    static const uint32_t want[3][3] = {{0, 1, 2}, {2, 1, 3}, {1, 2, 3}};
    struct t3d_scene s =
        read_text("ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\n"
                  "property float y\nproperty float z\nend_header\n0 0 0\n1 1 1\n");

    (void)state;
    assert_int_equal(s.n_triangles, 0);
    assert_int_equal(s.n_draws, 0);
    assert_int_equal(s.notes.n_points, 2);
    s = read_text("ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
                  "property float z\nelement tristrips 1\nproperty list int int vertex_indices\n"
                  "end_header\n0 0 0\n1 0 0\n0 1 0\n1 1 0\n8 0 1 2 3 -1 1 2 3\n");
    assert_int_equal(s.n_triangles, 3);
    assert_memory_equal(s.triangle, want, sizeof want);
}

/* VCGLib: texture coordinates of corners, and more values in a row than the header says. */
static void corner_coordinates_split_vertices(void **state)
{
    struct t3d_scene s = read_text(
        "ply\nformat ascii 1.0\ncomment TextureFile no.png\nelement vertex 4\nproperty float x\n"
        "property float y\nproperty float z\nelement face 2\nproperty list uchar int "
        "vertex_indices\n"
        "property list uchar float texcoord\nend_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
        "3 0 1 2 6 0 0 1 0 1 1 9 1 1 1\n4 0 1 2 3 8 0 0 .5 0 .5 .5 0 .25 7\n");

    (void)state;
    assert_int_equal(s.n_triangles, 3);
    assert_int_equal(s.n_vertices, 9);
    assert_true(s.uv[0][2][0] == 1 && s.uv[0][2][1] == 0);
    assert_true(s.uv[0][8][0] == 0 && s.uv[0][8][1] == .75f);
    assert_true(s.position[8][0] == 0 && s.position[8][1] == 1);
    assert_int_equal(s.n_images, 1);
    assert_int_equal(s.image[0].state, T3D_PICTURE_MISSING);
    assert_int_equal(s.material[0].texture[T3D_TEX_BASE].image, 0);
}

static void damage_has_reasons(void **state)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "bad-header"},
        {"plx\n", "bad-header"},
        {"ply\nformat ascii 1.0\n", "truncated"},
        {"ply\nformat utf8 1.0\nend_header\n", "bad-header"},
        {"ply\nelement vertex 1\nproperty float x\nend_header\n", "bad-header"},
        {"ply\nformat ascii 1.0\nproperty float x\nend_header\n", "bad-header"},
        {"ply\nformat ascii 1.0\nelement vertex -1\nend_header\n", "bad-header"},
        {"ply\nformat ascii 1.0\nelement vertex 1\nproperty half x\nend_header\n", "bad-header"},
        {"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n",
         "bad-header"},
        {"ply\nformat ascii 1.0\nelement vertex 4000000000\nproperty float x\nproperty float y\n"
         "property float z\nend_header\n0 0 0\n",
         "too-large"},
        {"ply\nformat ascii 1.0\nelement vertex 90000000\nproperty float x\nproperty float y\n"
         "property float z\nend_header\n0 0 0\n",
         "truncated"},
        {"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
         "property float z\nend_header\n0 0 0 0 0 0\n0 x 0\n",
         "truncated"},
    };
    struct t3d_scene s;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        assert_reason(bad[i].text, strlen(bad[i].text), bad[i].reason);
    s = read_text(
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nelement face 3\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0\n1 0 0\n0 1 0\n0 nan 0\n3 0 1 2\n3 0 1 3\n4 0 1 2 1000000000\n");
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(s.notes.n_bad_primitives, 2);
    assert_int_equal(s.notes.n_bad_indices, 1);
    assert_int_equal(s.notes.n_non_finite, 1);
    assert_string_equal(s.notes.first_bad, "index-out-of-range");
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
        cmocka_unit_test(every_type_in_both_orders),         cmocka_unit_test(attributes_are_read),
        cmocka_unit_test(float_colours_and_zero_normals),    cmocka_unit_test(clouds_and_strips),
        cmocka_unit_test(corner_coordinates_split_vertices), cmocka_unit_test(damage_has_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
