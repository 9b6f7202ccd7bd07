/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest neighbours against a search over all pairs, and points spread over triangles against
 * their areas and closed forms. */
#include "geom/nearest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rng.h"
#include "geom/facets.h"
#include "geom/surface.h"

static float (*cloud(uint32_t n, uint64_t seed, double size, double at))[3]
{
    struct t3d_rng r = t3d_rng_for(seed, "cloud", 0);
    float(*p)[3] = malloc((n ? n : 1) * sizeof *p);

    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            p[i][k] = (float)(at + size * t3d_rng_uniform(&r));
    return p;
}

static double squared(const float a[3], const float b[3])
{
    double s = 0;

    for (int k = 0; k < 3; k++)
        s += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    return s;
}

/* Every distance is that of the point named, and no other point is nearer. */
static void check(float (*p)[3], uint32_t n, float (*q)[3], uint32_t m)
{
    struct t3d_nearest *a, *b;
    float *d = malloc(n * sizeof *d);
    uint32_t *index = malloc(n * sizeof *index);

    assert_int_equal(t3d_nearest_new(&a, (const float(*)[3])p, n, 2, NULL), T3D_OK);
    assert_int_equal(t3d_nearest_new(&b, (const float(*)[3])q, m, 2, NULL), T3D_OK);
    t3d_nearest_between(a, b, d, index, 2);
    for (uint32_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (uint32_t j = 0; j < m; j++)
            least = fmin(least, squared(p[i], q[j]));
        assert_true(index[i] < m);
        assert_true(fabs(sqrt(least) - (double)d[i]) <= 1e-6 * sqrt(least));
        assert_true(squared(p[i], q[index[i]]) <= least * (1 + 1e-6));
    }
    t3d_nearest_free(a);
    t3d_nearest_free(b);
    free(d);
    free(index);
}

static void all_pairs(void **state)
{
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 255, 257, 1000, 5000};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(sizes); i++)
        for (size_t j = i % 2; j < T3D_COUNT(sizes); j += 2) {
            float(*p)[3] = cloud(sizes[i], 1, 1, 0), (*q)[3] = cloud(sizes[j], 2, 1, 0);
            check(p, sizes[i], q, sizes[j]);
            free(p);
            free(q);
        }
}

/* Clouds far apart, of different size, tiny, huge, and all in one point. */
static void odd_clouds(void **state)
{
    static const double size[] = {1, 1e-6, 1e-30, 1e18, 0, 1e10};
    static const double at[] = {1000, 0, 0, -1e18, 5, 1e9};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(size); i++) {
        float(*p)[3] = cloud(300, 1, size[i], at[i]), (*q)[3] = cloud(400, 2, size[i], at[i]);
        float(*o)[3] = cloud(100, 3, 1, 0);
        check(p, 300, q, 400);
        if (size[i] >= 1e-6 && size[i] < 1e17)
            check(o, 100, q, 400);
        free(p);
        free(q);
        free(o);
    }
}

static void same_for_any_threads(void **state)
{
    enum { N = 20000 };
    float(*p)[3] = cloud(N, 1, 1, 0), (*q)[3] = cloud(N, 2, 1, 0);
    float *d[2];
    uint32_t *index[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct t3d_nearest *a, *b;
        d[k] = malloc(N * sizeof *d[k]);
        index[k] = malloc(N * sizeof *index[k]);
        assert_int_equal(t3d_nearest_new(&a, (const float(*)[3])p, N, k ? 3 : 1, NULL), T3D_OK);
        assert_int_equal(t3d_nearest_new(&b, (const float(*)[3])q, N, k ? 3 : 1, NULL), T3D_OK);
        t3d_nearest_between(a, b, d[k], index[k], k ? 3 : 1);
        t3d_nearest_free(a);
        t3d_nearest_free(b);
    }
    assert_memory_equal(d[0], d[1], N * sizeof *d[0]);
    assert_memory_equal(index[0], index[1], N * sizeof *index[0]);
    for (int k = 0; k < 2; k++) {
        free(d[k]);
        free(index[k]);
    }
    free(p);
    free(q);
}

static void bad_clouds(void **state)
{
    float p[2][3] = {{0, 0, 0}, {0, NAN, 0}};
    struct t3d_nearest *t;
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_nearest_new(&t, (const float(*)[3])p, 0, 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-points");
    assert_int_equal(t3d_nearest_new(&t, (const float(*)[3])p, 2, 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "non-finite");
}

/* --- points on surfaces --- */

/* Two triangles in the plane z = 0, of areas 1/2 and 3/2, and one without area between them. */
static float corners[6][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {10, 0, 0}, {13, 0, 0}, {10, 1, 0}};
static uint32_t triangles[3][3] = {{0, 1, 2}, {0, 1, 1}, {3, 4, 5}};
static const struct t3d_scene scene = {
    .position = corners, .n_vertices = 6, .triangle = triangles, .n_triangles = 3};

static void spread_by_area(void **state)
{
    enum { N = 100000 };
    float(*p)[3] = malloc(N * sizeof *p);
    uint32_t *t = malloc(N * sizeof *t), count[3] = {0};
    double mean[2] = {0}, square = 0;
    struct t3d_surface *f;

    (void)state;
    assert_int_equal(t3d_surface_new(&f, &scene, NULL), T3D_OK);
    assert_float_equal(t3d_surface_area(f), 2, 1e-12);
    t3d_surface_sample(f, 7, "x", 0, 0, N, p, t, 2);
    for (uint32_t i = 0; i < N; i++) {
        count[t[i]]++;
        assert_true(p[i][0] >= 0 && p[i][1] >= 0 && p[i][2] == 0);
        if (t[i] != 0)
            continue;
        assert_true(p[i][0] + p[i][1] <= 1.000001f);
        mean[0] += (double)p[i][0];
        mean[1] += (double)p[i][1];
        square += (double)p[i][0] * (double)p[i][0];
    }
    /* five standard deviations */
    assert_true(fabs(count[0] - N * .25) < 5 * sqrt(N * .25 * .75));
    assert_int_equal(count[1], 0);
    /* over the unit right triangle: E x = E y = 1/3, E x^2 = 1/6 */
    assert_float_equal(mean[0] / count[0], 1. / 3, .008);
    assert_float_equal(mean[1] / count[0], 1. / 3, .008);
    assert_float_equal(square / count[0], 1. / 6, .006);
    t3d_surface_free(f);
    free(p);
    free(t);
}

/* A stream is one sequence, whatever is asked for at once and by how many threads. */
static void stream_is_one_sequence(void **state)
{
    enum { N = 20000 };
    float(*p)[3] = malloc(N * sizeof *p), (*q)[3] = malloc(N * sizeof *q);
    struct t3d_surface *f;

    (void)state;
    assert_int_equal(t3d_surface_new(&f, &scene, NULL), T3D_OK);
    t3d_surface_sample(f, 1, "a", 2, 0, N, p, NULL, 3);
    t3d_surface_sample(f, 1, "a", 2, 0, 5000, q, NULL, 1);
    t3d_surface_sample(f, 1, "a", 2, 5000, N - 5000, q + 5000, NULL, 1);
    assert_memory_equal(p, q, N * sizeof *p);
    t3d_surface_sample(f, 1, "b", 2, 0, N, q, NULL, 1);
    assert_memory_not_equal(p, q, N * sizeof *p);
    t3d_surface_free(f);
    free(p);
    free(q);
}

static void no_surface(void **state)
{
    struct t3d_scene s = scene;
    struct t3d_surface *f;
    struct t3d_err err;
    float n[3];

    (void)state;
    s.n_triangles = 0;
    assert_int_equal(t3d_surface_new(&f, &s, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-triangles");
    s.triangle = triangles + 1;
    s.n_triangles = 1;
    assert_int_equal(t3d_surface_new(&f, &s, &err), T3D_SKIP);
    assert_string_equal(err.reason, "no-extent");
    t3d_triangle_normal(&scene, 1, n);
    assert_true(n[0] == 0 && n[1] == 0 && n[2] == 0);
    t3d_triangle_normal(&scene, 0, n);
    assert_true(n[0] == 0 && n[1] == 0 && n[2] == 1);
}

/* --- points and triangles --- */

/* Distance to a triangle by the closest of many points of it, and of it only: from above. */
static double to_triangle(const float p[3], const struct t3d_scene *s, uint32_t t)
{
    const float *a = s->position[s->triangle[t][0]], *b = s->position[s->triangle[t][1]],
                *c = s->position[s->triangle[t][2]];
    double least = INFINITY, u = 1. / 3, v = 1. / 3, step = .34;

    /* distance is convex over the triangle: descend on ever finer steps */
    for (; step > 1e-9; step *= .7)
        for (int pass = 0; pass < 6; pass++) {
            double best_u = u, best_v = v;
            for (int i = -2; i <= 2; i++)
                for (int j = -2; j <= 2; j++) {
                    double x = T3D_CLAMP(u + i * step * .5, 0, 1);
                    double y = T3D_CLAMP(v + j * step * .5, 0, 1 - x), d = 0;
                    for (int k = 0; k < 3; k++)
                        d += pow((double)a[k] + x * ((double)b[k] - (double)a[k]) +
                                     y * ((double)c[k] - (double)a[k]) - (double)p[k],
                                 2);
                    if (d < least) {
                        least = d;
                        best_u = x;
                        best_v = y;
                    }
                }
            u = best_u;
            v = best_v;
        }
    return sqrt(least);
}

static void points_to_triangles(void **state)
{
    enum { TRIANGLES = 90, POINTS = 60 };
    float(*corner)[3] = cloud(3 * TRIANGLES, 4, 2, -1), (*p)[3] = cloud(POINTS, 5, 4, -2);
    uint32_t(*t)[3] = malloc(TRIANGLES * sizeof *t), chosen[POINTS];
    struct t3d_scene s = {
        .position = corner, .n_vertices = 3 * TRIANGLES, .triangle = t, .n_triangles = TRIANGLES};
    struct t3d_nearest *from;
    struct t3d_facets *to;
    float d[POINTS];

    (void)state;
    for (uint32_t i = 0; i < TRIANGLES; i++) {
        for (uint32_t k = 0; k < 3; k++)
            t[i][k] = 3 * i + k;
        for (int k = 0; k < 3; k++) /* small ones; every ninth a line, every tenth a point */
            for (int v = 1; v < 3; v++)
                corner[3 * i + (uint32_t)v][k] =
                    i % 10 == 0 ? corner[3 * i][k]
                    : i % 9 == 0 && v == 2
                        ? corner[3 * i + 1][k]
                        : corner[3 * i][k] + .3f * corner[3 * i + (uint32_t)v][k];
    }
    memcpy(p[0], corner[5], sizeof p[0]); /* on a corner */
    assert_int_equal(t3d_nearest_new(&from, (const float(*)[3])p, POINTS, 1, NULL), T3D_OK);
    assert_int_equal(t3d_facets_new(&to, &s, 1, NULL), T3D_OK);
    t3d_facets_between(from, to, d, chosen, 1);
    assert_float_equal(d[0], 0, 1e-7);
    for (uint32_t i = 1; i < POINTS; i++) {
        double least = INFINITY;
        for (uint32_t k = 0; k < TRIANGLES; k++)
            least = fmin(least, to_triangle(p[i], &s, k));
        if (!(fabs((double)d[i] - least) <= 1e-6 * least))
            fail_msg("point %u: %.9g, wanted %.9g", i, (double)d[i], least);
        assert_true(to_triangle(p[i], &s, chosen[i]) <= least * (1 + 1e-6));
    }
    t3d_nearest_free(from);
    t3d_facets_free(to);
    free(corner);
    free(p);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs),
        cmocka_unit_test(odd_clouds),
        cmocka_unit_test(same_for_any_threads),
        cmocka_unit_test(bad_clouds),
        cmocka_unit_test(spread_by_area),
        cmocka_unit_test(stream_is_one_sequence),
        cmocka_unit_test(no_surface),
        cmocka_unit_test(points_to_triangles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
