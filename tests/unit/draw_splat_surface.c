/* SPDX-License-Identifier: Apache-2.0 */
/* Surfaces of objects made of Gaussians whose true surface is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "closed_mesh.h"
#include "draw/splat_surface.h"

enum { N = 6000 };

static float xyz[N][3], log_scale[N][3], quaternion[N][4], opacity[N], rgb[N][3];

/* Flat discs that tile a ball of radius r about a centre (Fibonacci's spiral), red above. */
static struct t3d_gaussians ball(int n, double r, const double centre[3])
{
    for (int i = 0; i < n; i++) {
        double y = 1 - (2 * i + 1.) / n, a = i * M_PI * (3 - sqrt(5)), s = sqrt(1 - y * y);
        double normal[3] = {s * cos(a), y, s * sin(a)}, w = 1 + normal[2], q[4], l;
        for (int k = 0; k < 3; k++)
            xyz[i][k] = (float)(centre[k] + r * normal[k]);
        log_scale[i][0] = log_scale[i][1] = (float)log(r * sqrt(4 * M_PI / n) * .6);
        log_scale[i][2] = (float)log(r * .002);
        /* the rotation that takes z to the normal */
        q[0] = w;
        q[1] = -normal[1];
        q[2] = normal[0];
        q[3] = 0;
        l = sqrt(w * w + normal[0] * normal[0] + normal[1] * normal[1]);
        for (int k = 0; k < 4; k++)
            quaternion[i][k] = (float)(q[k] / l);
        opacity[i] = 6;
        rgb[i][0] = y > 0;
        rgb[i][1] = 0;
        rgb[i][2] = y <= 0;
    }
    return (struct t3d_gaussians){(size_t)n, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};
}

/* Somewhere in the world and of any size: the surface lies where the discs do, but for what the
 * depth of a disc's centre is nearer than its rim. */
static void a_ball_of_discs_becomes_a_ball(void **state)
{
    const struct t3d_splat_surface how = {.threads = 2}, serial = {.threads = 1};
    const double centre[3] = {30, -7, 4}, r = 5;
    const struct t3d_gaussians g = ball(N, r, centre);
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_colored_mesh m, again;
    double most = 0, sum = 0, step = 2 * r / 117;

    (void)state;
    assert_int_equal(t3d_splat_surface(&m, &g, &how, &a, &err), T3D_OK);
    assert_true(is_closed_manifold(&m.mesh));
    assert_int_equal(m.mesh.n_vertices - m.mesh.n_triangles / 2, 2);
    for (uint32_t i = 0; i < m.mesh.n_vertices; i++) {
        const float *p = m.mesh.position[i];
        double x = (double)p[0] - centre[0], y = (double)p[1] - centre[1],
               z = (double)p[2] - centre[2], d = fabs(sqrt(x * x + y * y + z * z) - r) / step;
        most = fmax(most, d);
        sum += d / m.mesh.n_vertices;
        if (fabs(y) > .2 * r) {
            assert_float_equal(m.color[i][0], y > 0, .1);
            assert_float_equal(m.color[i][2], y < 0, .1);
        }
    }
    if (!(most < .7 && sum < .4))
        print_message("distance in cells: %g at most, %g in the mean\n", most, sum);
    assert_true(most < .7 && sum < .4);
    assert_float_equal(volume_of(&m.mesh), 4 * M_PI / 3 * r * r * r,
                       .02 * 4 * M_PI / 3 * r * r * r);
    assert_int_equal(t3d_splat_surface(&again, &g, &serial, &a, &err), T3D_OK);
    assert_int_equal(again.mesh.n_vertices, m.mesh.n_vertices);
    assert_int_equal(again.mesh.n_triangles, m.mesh.n_triangles);
    assert_memory_equal(again.mesh.position, m.mesh.position, m.mesh.n_vertices * sizeof *xyz);
    assert_memory_equal(again.color, m.color, m.mesh.n_vertices * sizeof *m.color);
    t3d_arena_free(&a);
}

static void what_has_no_surface_says_so(void **state)
{
    const struct t3d_splat_surface how = {.threads = 2, .resolution = 32};
    struct t3d_gaussians g = ball(200, 1, (double[3]){0, 0, 0});
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_colored_mesh m;

    (void)state;
    for (int i = 0; i < 200; i++)
        opacity[i] = -7;
    assert_int_equal(t3d_splat_surface(&m, &g, &how, &a, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-surface");
    xyz[7][1] = NAN;
    assert_int_equal(t3d_splat_surface(&m, &g, &how, &a, &err), T3D_SKIP);
    assert_string_equal(err.reason, "non-finite");
    g.n = 0;
    assert_int_equal(t3d_splat_surface(&m, &g, &how, &a, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-gaussians");
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ball_of_discs_becomes_a_ball),
        cmocka_unit_test(what_has_no_surface_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
