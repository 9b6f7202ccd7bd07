/* SPDX-License-Identifier: Apache-2.0 */
/* Solids from depth pictures that are computed from closed forms: balls and boxes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "closed_mesh.h"
#include "geom/tsdf.h"

enum { SIDE = 256, VIEWS = 20 };

static float depth[VIEWS * SIDE * SIDE];
static uint8_t rgba[VIEWS * SIDE * SIDE * 4];

static const double half[3] = {.7, .4, .5}; /* of the box */
static const double radius = .8;

/* How far along o + t d the surface is; 0 = it is missed. */
static double hit_ball(const double o[3], const double d[3])
{
    double b = 0, c = -radius * radius, dd = 0, root;

    for (int k = 0; k < 3; k++) {
        b += o[k] * d[k];
        c += o[k] * o[k];
        dd += d[k] * d[k];
    }
    root = b * b - dd * c;
    return root > 0 ? (-b - sqrt(root)) / dd : 0;
}

static double hit_box(const double o[3], const double d[3])
{
    double enter = -INFINITY, leave = INFINITY;

    for (int k = 0; k < 3; k++) {
        double a = (-half[k] - o[k]) / d[k], b = (half[k] - o[k]) / d[k];
        enter = fmax(enter, fmin(a, b));
        leave = fmin(leave, fmax(a, b));
    }
    return enter < leave ? enter : 0;
}

/* Pictures of what hit says: the depth along the axis is t when d has length 1 along the axis. Red
 * where x > 0, else blue. */
static struct t3d_depth_views draw(struct t3d_view_set *set, const char *name,
                                   double (*hit)(const double o[3], const double d[3]),
                                   struct t3d_arena *a)
{
    struct t3d_err err;

    assert_int_equal(t3d_view_set_load(set, name, a, &err), T3D_OK);
    for (size_t i = 0; i < set->n * SIDE * SIDE; i++) {
        const struct t3d_camera *c = &set->camera[i / (SIDE * SIDE)];
        double x = (double)(i % SIDE) + .5 - SIDE / 2.,
               y = (double)(i / SIDE % SIDE) + .5 - SIDE / 2.;
        double f = SIDE / (2 * tan(c->fov_deg * M_PI / 360)), o[3], d[3], t;
        for (int k = 0; k < 3; k++) {
            o[k] = c->c2w[k][3];
            d[k] = x / f * c->c2w[k][0] - y / f * c->c2w[k][1] - c->c2w[k][2];
        }
        t = hit(o, d);
        depth[i] = (float)t;
        rgba[4 * i] = o[0] + t * d[0] > 0 ? 255 : 0;
        rgba[4 * i + 1] = 0;
        rgba[4 * i + 2] = o[0] + t * d[0] > 0 ? 0 : 255;
        rgba[4 * i + 3] = t > 0 ? 255 : 0;
    }
    return (struct t3d_depth_views){set, SIDE, depth, rgba};
}

static double off_ball(const float p[3])
{
    return sqrt((double)p[0] * (double)p[0] + (double)p[1] * (double)p[1] +
                (double)p[2] * (double)p[2]) -
           radius;
}

/* Signed distance of a point to the box. */
static double off_box(const float p[3])
{
    double outside = 0, inside = -INFINITY;

    for (int k = 0; k < 3; k++) {
        double d = fabs((double)p[k]) - half[k];
        outside += d > 0 ? d * d : 0;
        inside = fmax(inside, d);
    }
    return outside > 0 ? sqrt(outside) : inside;
}

static void solid_of(struct t3d_mesh *m, struct t3d_grid *g, const struct t3d_depth_views *v,
                     int resolution, int threads, struct t3d_arena *a)
{
    struct t3d_err err;

    assert_int_equal(t3d_tsdf(g, v, resolution, threads, a, &err), T3D_OK);
    assert_int_equal(t3d_isosurface(m, g, threads, a, &err), T3D_OK);
}

/* Every vertex lies within half a cell of the true surface, the mean nearer. */
static void expect_near(const struct t3d_mesh *m, double step, double (*off)(const float p[3]))
{
    double most = 0, sum = 0;

    for (uint32_t i = 0; i < m->n_vertices; i++) {
        double d = fabs(off(m->position[i])) / step;
        most = fmax(most, d);
        sum += d;
    }
    if (!(most < .5 && sum / m->n_vertices < .1))
        print_message("distance in cells: %g at most, %g in the mean\n", most, sum / m->n_vertices);
    assert_true(most < .5);
    assert_true(sum / m->n_vertices < .1);
}

static void a_ball_from_its_depths(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_view_set set;
    struct t3d_depth_views v = draw(&set, "hammersley:20", hit_ball, &a);
    struct t3d_grid g, g3;
    struct t3d_mesh m;
    double volume = 4 * M_PI / 3 * radius * radius * radius;

    (void)state;
    solid_of(&m, &g, &v, 128, 1, &a);
    assert_true(is_closed_manifold(&m));
    assert_int_equal(m.n_vertices - m.n_triangles / 2, 2);
    expect_near(&m, g.step, off_ball);
    assert_float_equal(volume_of(&m), volume, .01 * volume);
    solid_of(&m, &g3, &v, 128, 3, &a);
    assert_memory_equal(g3.n, g.n, sizeof g.n);
    assert_memory_equal(g3.value, g.value,
                        (size_t)g.n[0] * (size_t)g.n[1] * (size_t)g.n[2] * sizeof *g.value);
    t3d_arena_free(&a);
}

static void a_box_from_its_depths(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_view_set set;
    struct t3d_depth_views v = draw(&set, "hammersley:20", hit_box, &a);
    struct t3d_grid g;
    struct t3d_mesh m;
    double volume = 8 * half[0] * half[1] * half[2];

    (void)state;
    solid_of(&m, &g, &v, 128, 2, &a);
    assert_true(is_closed_manifold(&m));
    assert_int_equal(m.n_vertices - m.n_triangles / 2, 2);
    expect_near(&m, g.step, off_box);
    assert_float_equal(volume_of(&m), volume, .01 * volume);
    t3d_arena_free(&a);
}

/* The ring sees no more of the underside than its edge: the solid is closed all the same. */
static void what_no_view_has_seen_is_inside(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_view_set set;
    struct t3d_depth_views v = draw(&set, "ring:6:40", hit_box, &a);
    struct t3d_grid g;
    struct t3d_mesh m;

    (void)state;
    solid_of(&m, &g, &v, 48, 2, &a);
    assert_true(is_closed_manifold(&m));
    assert_true(volume_of(&m) > 8 * half[0] * half[1] * half[2]);
    t3d_arena_free(&a);
}

static void colours_are_those_of_the_views(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_view_set set;
    struct t3d_depth_views v = draw(&set, "hammersley:20", hit_ball, &a);
    struct t3d_grid g;
    struct t3d_mesh m;
    float(*normal)[3], (*color)[4];

    (void)state;
    solid_of(&m, &g, &v, 48, 2, &a);
    normal = t3d_alloc(&a, m.n_vertices, sizeof *normal);
    color = t3d_alloc(&a, m.n_vertices, sizeof *color);
    t3d_mesh_normals(normal, &m);
    assert_int_equal(t3d_tsdf_colors(color, &m, (const float(*)[3])normal, &v, g.step, 2, &err),
                     T3D_OK);
    for (uint32_t i = 0; i < m.n_vertices; i++) {
        double x = (double)m.position[i][0];
        if (fabs(x) < 4 * g.step)
            continue;
        assert_float_equal(color[i][0], x > 0, 1e-6);
        assert_float_equal(color[i][2], x < 0, 1e-6);
        assert_float_equal(color[i][3], 1, 0);
    }
    t3d_arena_free(&a);
}

static double hit_nothing(const double o[3], const double d[3])
{
    (void)o;
    (void)d;
    return 0;
}

static void empty_pictures_are_no_surface(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_view_set set;
    struct t3d_depth_views v = draw(&set, "hammersley:4", hit_nothing, &a);
    struct t3d_grid g;

    (void)state;
    assert_int_equal(t3d_tsdf(&g, &v, 128, 2, &a, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-surface");
    assert_int_equal(t3d_tsdf(&g, &v, 8, 2, &a, &err), T3D_USAGE);
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ball_from_its_depths),
        cmocka_unit_test(a_box_from_its_depths),
        cmocka_unit_test(what_no_view_has_seen_is_inside),
        cmocka_unit_test(colours_are_those_of_the_views),
        cmocka_unit_test(empty_pictures_are_no_surface),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
