/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of Gaussians: the same for any number of threads and painters; what straight alpha,
 * black and depth mean for a Gaussian whose picture is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "draw/splat_views.h"

enum { N = 400, SIDE = 48, VIEWS = 7 };

static struct t3d_err err;

static float xyz[3 * N], log_scale[3 * N], quaternion[4 * N], opacity[N], rgb[3 * N];
static const struct t3d_gaussians cloud = {N, xyz, log_scale, quaternion, opacity, rgb};

static int make_cloud(void **state)
{
    struct t3d_rng r = t3d_rng_for(1, "cloud", 0);

    (void)state;
    for (int i = 0; i < 3 * N; i++) {
        xyz[i] = (float)(1.6 * t3d_rng_uniform(&r) - 0.8);
        log_scale[i] = (float)(-2.5 - t3d_rng_uniform(&r));
        rgb[i] = (float)t3d_rng_uniform(&r);
    }
    for (int i = 0; i < 4 * N; i++)
        quaternion[i] = (float)t3d_rng_normal(&r);
    for (int i = 0; i < N; i++)
        opacity[i] = (float)(2 * t3d_rng_normal(&r));
    return 0;
}

static void draw(struct t3d_splat_picture *p, const struct t3d_view_set *set, int threads,
                 struct t3d_arena *a)
{
    if (t3d_splat_views(p, &cloud, set, SIDE, threads, a, &err) < 0)
        fail_msg("%s", err.msg);
}

static void threads_change_nothing(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_splat_picture one, three;
    struct t3d_view_set set;

    (void)state;
    assert_int_equal(t3d_view_set_load(&set, "hammersley:7", &a, &err), T3D_OK);
    assert_int_equal(set.n, VIEWS);
    draw(&one, &set, 1, &a);
    draw(&three, &set, 3, &a);
    assert_memory_equal(one.rgba, three.rgba, (size_t)VIEWS * SIDE * SIDE * 4);
    assert_memory_equal(one.depth, three.depth, (size_t)VIEWS * SIDE * SIDE * sizeof(float));
    for (size_t v = 1; v < VIEWS; v++) /* and no view is another */
        assert_memory_not_equal(one.rgba, one.rgba + v * SIDE * SIDE * 4, SIDE * SIDE * 4);
    t3d_arena_free(&a);
}

/* Over black is the straight picture composited, to the rounding of three steps. */
static void black_is_straight_over_black(void **state)
{
    static uint8_t straight[SIDE * SIDE * 4], black[SIDE * SIDE * 4];
    struct t3d_camera c = {.azimuth_deg = 30, .elevation_deg = 10, .distance = 2.7, .fov_deg = 49};
    struct t3d_splat_painter *p;
    int half = 0;

    (void)state;
    t3d_camera_place(&c);
    assert_int_equal(t3d_splat_painter_new(&p, &cloud, SIDE, 1, &err), T3D_OK);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_STRAIGHT, straight, NULL, &err), T3D_OK);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_BLACK, black, NULL, &err), T3D_OK);
    t3d_splat_painter_free(p);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        double a = straight[4 * i + 3] / 255.;

        assert_int_equal(black[4 * i + 3], 255);
        for (size_t k = 0; k < 3; k++)
            assert_true(fabs(black[4 * i + k] - a * straight[4 * i + k]) <= 1.51);
        half += a > .2 && a < .8;
    }
    assert_true(half > 50);
}

/* One Gaussian at the origin, half opaque at its centre, red: the pixels around the centre. */
static void a_known_picture(void **state)
{
    static const float zero[3], scale[3] = {-1, -1, -1}, turn[4] = {1, 0, 0, 0}, logit = 0,
                                red[3] = {1, 0, 0};
    static uint8_t rgba[SIDE * SIDE * 4];
    static float depth[SIDE * SIDE];
    struct t3d_gaussians g = {1, zero, scale, turn, &logit, red};
    struct t3d_camera c = {.azimuth_deg = 0, .elevation_deg = 0, .distance = 3, .fov_deg = 40};
    struct t3d_splat_painter *p;
    const uint8_t *centre = rgba + ((size_t)SIDE / 2 * SIDE + SIDE / 2) * 4;

    (void)state;
    t3d_camera_place(&c);
    assert_int_equal(t3d_splat_painter_new(&p, &g, SIDE, 1, &err), T3D_OK);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_STRAIGHT, rgba, depth, &err), T3D_OK);
    assert_int_equal(centre[0], 255);
    assert_int_equal(centre[1], 0);
    assert_in_range(centre[3], 126, 128);
    assert_int_equal(rgba[3], 0);
    assert_true(depth[0] == 0);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_BLACK, rgba, NULL, &err), T3D_OK);
    assert_in_range(centre[0], 126, 128);
    t3d_splat_painter_free(p);
}

static void nothing_is_drawn_of_nothing(void **state)
{
    static uint8_t rgba[SIDE * SIDE * 4];
    struct t3d_gaussians g = {0};
    struct t3d_camera c = {.distance = 3, .fov_deg = 40};
    struct t3d_splat_painter *p;

    (void)state;
    t3d_camera_place(&c);
    memset(rgba, 7, sizeof rgba);
    assert_int_equal(t3d_splat_painter_new(&p, &g, SIDE, 1, &err), T3D_OK);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_STRAIGHT, rgba, NULL, &err), T3D_OK);
    assert_memory_equal(rgba, "\0\0\0\0", 4);
    assert_int_equal(t3d_splat_paint(p, &c, T3D_SPLAT_BLACK, rgba, NULL, &err), T3D_OK);
    assert_memory_equal(rgba + sizeof rgba - 4, "\0\0\0\377", 4);
    t3d_splat_painter_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing), cmocka_unit_test(black_is_straight_over_black),
        cmocka_unit_test(a_known_picture), cmocka_unit_test(nothing_is_drawn_of_nothing)};

    return cmocka_run_group_tests(tests, make_cloud, NULL);
}
