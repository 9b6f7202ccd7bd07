/* SPDX-License-Identifier: Apache-2.0 */
/* t3d_scene_spread against the closed forms of simple surfaces. */
#include "geom/spread.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void spread_of(float (*position)[3], uint32_t n_vertices, uint32_t (*triangle)[3],
                      uint32_t n_triangles, double out[3])
{
    struct t3d_scene s = {.position = position,
                          .n_vertices = n_vertices,
                          .triangle = triangle,
                          .n_triangles = n_triangles};

    t3d_scene_spread(&s, out);
}

/* Points spread evenly over a rectangle a x b have standard deviations a/sqrt(12) and b/sqrt(12).
 */
static void rectangle(void **state)
{
    float p[4][3] = {{1, 5, 0}, {7, 5, 0}, {7, 7, 0}, {1, 7, 0}};
    uint32_t t[2][3] = {{0, 1, 2}, {0, 2, 3}};
    double d[3];

    (void)state;
    spread_of(p, 4, t, 2, d);
    assert_float_equal(d[0], 6 / sqrt(12), 1e-6);
    assert_float_equal(d[1], 2 / sqrt(12), 1e-6);
    assert_float_equal(d[2], 0, 1e-6);
}

/* The same turned out of the axes: the spread does not change. */
static void turned_rectangle(void **state)
{
    const double u[3] = {2. / 3, 2. / 3, 1. / 3}, v[3] = {-2. / 3, 1. / 3, 2. / 3};
    uint32_t t[2][3] = {{0, 1, 2}, {0, 2, 3}};
    float p[4][3];
    double d[3];

    (void)state;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)((i == 1 || i == 2) * 6 * u[k] + (i >= 2) * 2 * v[k] + 10);
    spread_of(p, 4, t, 2, d);
    assert_float_equal(d[0], 6 / sqrt(12), 1e-5);
    assert_float_equal(d[1], 2 / sqrt(12), 1e-5);
    assert_float_equal(d[2], 0, 1e-3);
}

/* Surface of the cube of side 2: per axis two faces at distance 1 (moment 1) and four with 1/3:
 * 5/9. */
static void cube(void **state)
{
    uint32_t t[12][3] = {{0, 1, 3}, {0, 3, 2}, {4, 5, 7}, {4, 7, 6}, {0, 1, 5}, {0, 5, 4},
                         {2, 3, 7}, {2, 7, 6}, {0, 2, 6}, {0, 6, 4}, {1, 3, 7}, {1, 7, 5}};
    float p[8][3];
    double d[3];

    (void)state;
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] = i >> k & 1 ? 1 : -1;
    spread_of(p, 8, t, 12, d);
    for (int k = 0; k < 3; k++)
        assert_float_equal(d[k], sqrt(5. / 9), 1e-6);
}

static void no_area(void **state)
{
    float p[3][3] = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}};
    uint32_t t[1][3] = {{0, 1, 2}};
    double d[3] = {9, 9, 9};

    (void)state;
    spread_of(p, 3, t, 1, d);
    for (int k = 0; k < 3; k++)
        assert_float_equal(d[k], 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rectangle),
                                       cmocka_unit_test(turned_rectangle), cmocka_unit_test(cube),
                                       cmocka_unit_test(no_area)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
