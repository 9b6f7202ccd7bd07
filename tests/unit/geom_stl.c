/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "geom/read.h"

static struct t3d_arena arena;

static int read_bytes(struct t3d_scene *s, const void *data, size_t size, struct t3d_err *err)
{
    struct t3d_source src = {.data = data, .size = size, .name = "a.stl"};
    int r;

    t3d_arena_reset(&arena);
    r = t3d_read_scene(s, &arena, &src, 0, err);
    if (r == T3D_OK)
        assert_int_equal(t3d_scene_check(s, err), T3D_OK);
    return r;
}

/* n facets; corner k of facet i at (i, k, i + k), as bytes of the format. Gives the size. */
static size_t make_binary(uint8_t *b, const char *head, uint32_t count, uint32_t n)
{
    memset(b, 0, 84 + 50 * (size_t)n);
    memcpy(b, head, strlen(head));
    for (int k = 0; k < 4; k++)
        b[80 + k] = (uint8_t)(count >> 8 * k);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < 3; k++) {
            float p[3] = {(float)i, (float)k, (float)(i + k)};
            memcpy(b + 84 + 50 * i + 12 + 12 * k, p,
                   sizeof p); /* tests run on little-endian machines */
        }
    return 84 + 50 * (size_t)n;
}

static void assert_facets(const struct t3d_scene *s, uint32_t n)
{
    assert_int_equal(s->n_triangles, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < 3; k++) {
            const float *p = s->position[s->triangle[i][k]];
            assert_true(p[0] == (float)i && p[1] == (float)k && p[2] == (float)(i + k));
        }
}

static void binary_is_read_whatever_its_head(void **state)
{
    static const char *const heads[] = {"", "solid but binary", "COLOR=....", "facet"};
    uint8_t b[84 + 50 * 7 + 10];
    struct t3d_scene s;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(heads); i++) {
        size_t n = make_binary(b, heads[i], 7, 7);
        assert_int_equal(read_bytes(&s, b, n, &err), T3D_OK);
        assert_facets(&s, 7);
        assert_int_equal(s.draw[0].flags, 0);
    }
}

static void false_counts(void **state)
{
    uint8_t b[84 + 50 * 7 + 10];
    struct t3d_scene s;
    struct t3d_err err;

    (void)state;
    assert_int_equal(read_bytes(&s, b, make_binary(b, "x", 0, 7), &err), T3D_OK);
    assert_facets(&s, 7);
    assert_int_equal(read_bytes(&s, b, make_binary(b, "x", UINT32_MAX, 7), &err), T3D_OK);
    assert_facets(&s, 7);
    make_binary(b, "x", 7, 7);
    memset(b + 84 + 50 * 7, 0, 10); /* bytes behind the end */
    assert_int_equal(read_bytes(&s, b, 84 + 50 * 7 + 10, &err), T3D_OK);
    assert_facets(&s, 7);
    assert_int_equal(read_bytes(&s, b, make_binary(b, "x", 8, 7), &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
    assert_int_equal(read_bytes(&s, b, make_binary(b, "x", 4000000000u, 7), &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
    assert_int_equal(read_bytes(&s, b, 50, &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
}

static void ascii_is_read(void **state)
{
    static const char text[] = "  solid name with words\r\n facet normal 0 0 1\n outer loop\n"
                               "vertex 0 0 0\nVERTEX 0 1.0e0 +1\n vertex 0 2 2 endloop\nendfacet\n"
                               "facet normal nan nan nan outer loop vertex 1 0 1 vertex 1 1 2\n"
                               "vertex 1 2 3\nendloop endfacet endsolid name\n";
    struct t3d_scene s;
    struct t3d_err err;

    (void)state;
    assert_int_equal(read_bytes(&s, text, sizeof text - 1, &err), T3D_OK);
    assert_facets(&s, 2);
    assert_int_equal(read_bytes(&s, "solid a\nendsolid a\n", 19, &err), T3D_OK);
    assert_int_equal(s.n_triangles, 0);
}

static void bad_ascii_has_a_reason(void **state)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"solid a\nfacet\nvertex 0 0 0\nvertex 1 0 0\n", "truncated"},
        {"solid a\nfacet\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 x 0\nendfacet\n", "bad-number"},
        {"solid a\nfacet\nvertex 0 0 0\nvertex 1 0 0\nendfacet\nfacet vertex 0 1 0\n", "bad-facet"},
        {"solid a\nfacet\nvertex 0 0 0\nvertex 1 0 0\nvertex 1 1", "bad-number"},
    };
    struct t3d_scene s;
    struct t3d_err err;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++) {
        assert_int_equal(read_bytes(&s, bad[i].text, strlen(bad[i].text), &err), T3D_SKIP);
        assert_string_equal(err.reason, bad[i].reason);
    }
}

static void non_finite_facets_are_dropped(void **state)
{
    uint8_t b[84 + 50 * 3];
    struct t3d_scene s;
    struct t3d_err err;
    size_t n = make_binary(b, "x", 3, 3);

    (void)state;
    memset(b + 84 + 50 + 12, 0xff, 4); /* NaN */
    assert_int_equal(read_bytes(&s, b, n, &err), T3D_OK);
    assert_int_equal(s.n_triangles, 2);
    assert_int_equal(s.notes.n_non_finite, 1);
    assert_int_equal(s.notes.n_bad_primitives, 1);
    assert_string_equal(s.notes.first_bad, "non-finite");
    assert_true(s.position[s.triangle[1][0]][0] == 2);
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
        cmocka_unit_test(binary_is_read_whatever_its_head),
        cmocka_unit_test(false_counts),
        cmocka_unit_test(ascii_is_read),
        cmocka_unit_test(bad_ascii_has_a_reason),
        cmocka_unit_test(non_finite_facets_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
