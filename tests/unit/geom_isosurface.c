/* SPDX-License-Identifier: Apache-2.0 */
/* Surfaces of fields on grids: closed whatever the field, exact where a closed form is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "closed_mesh.h"

enum { N = 24 };

static float value[N * N * N];

static struct t3d_grid grid_of(int n)
{
    return (struct t3d_grid){.n = {n, n, n}, .origin = {0, 0, 0}, .step = 1, .value = value};
}

static float *at(int n, int x, int y, int z)
{
    return &value[((size_t)z * (size_t)n + (size_t)y) * (size_t)n + (size_t)x];
}

static int is_border(int n, int x, int y, int z)
{
    return x == 0 || y == 0 || z == 0 || x == n - 1 || y == n - 1 || z == n - 1;
}

static void extract(struct t3d_mesh *m, int n, int threads, struct t3d_arena *a)
{
    const struct t3d_grid g = grid_of(n);
    struct t3d_err err;

    assert_int_equal(t3d_isosurface(m, &g, threads, a, &err), T3D_OK);
}

/* Noise has every case of a cell, every ambiguous face and many polygons that cross a face twice;
 * whole numbers have zeros and ties. */
static void any_field_gives_a_closed_manifold(void **state)
{
    (void)state;
    for (int trial = 0; trial < 40; trial++) {
        struct t3d_arena a = {0};
        struct t3d_mesh m;
        uint64_t seed = (uint64_t)trial + 1;
        int n = 16;
        for (int i = 0; i < n * n * n; i++) {
            int x = i % n, y = i / n % n, z = i / n / n;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            float noise = (float)(seed >> 40) / (1 << 24) - .5f;
            *at(n, x, y, z) = is_border(n, x, y, z) ? 1 : trial % 2 ? floorf(5 * noise) : noise;
        }
        extract(&m, n, 1 + trial % 3, &a);
        assert_true(m.n_triangles > 1000);
        assert_true(is_closed_manifold(&m));
        t3d_arena_free(&a);
    }
}

static void a_ball_is_a_ball(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_mesh m, again;
    double c = .5 * (N - 1), r = 8.3;

    (void)state;
    for (int z = 0; z < N; z++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++)
                *at(N, x, y, z) =
                    (float)(sqrt((x - c) * (x - c) + (y - c) * (y - c) + (z - c) * (z - c)) - r);
    extract(&m, N, 1, &a);
    assert_true(is_closed_manifold(&m));
    assert_int_equal(m.n_vertices - 3 * m.n_triangles / 2 + m.n_triangles, 2); /* Euler */
    for (uint32_t i = 0; i < m.n_vertices; i++) {
        const float *p = m.position[i];
        double x = (double)p[0] - c, y = (double)p[1] - c, z = (double)p[2] - c;
        assert_float_equal(sqrt(x * x + y * y + z * z), r, .03); /* of linear interpolation */
    }
    assert_float_equal(volume_of(&m), 4 * M_PI / 3 * r * r * r, .015 * 4 * M_PI / 3 * r * r * r);
    extract(&again, N, 3, &a);
    assert_int_equal(again.n_triangles, m.n_triangles);
    assert_memory_equal(again.position, m.position, m.n_vertices * sizeof *m.position);
    assert_memory_equal(again.triangle, m.triangle, m.n_triangles * sizeof *m.triangle);
    t3d_arena_free(&a);
}

/* Two points inside, across the diagonal of one face: joined exactly when the face's saddle is
 * inside, so one piece or two. */
static void the_saddle_decides(void **state)
{
    (void)state;
    for (int joined = 0; joined < 2; joined++) {
        struct t3d_arena a = {0};
        struct t3d_mesh m;
        for (int i = 0; i < 125; i++)
            value[i] = 1;
        *at(5, 1, 1, 2) = *at(5, 2, 2, 2) = joined ? -1.1f : -.9f;
        extract(&m, 5, 1, &a);
        assert_true(is_closed_manifold(&m));
        /* V - E + F = 2 for each piece */
        assert_int_equal(m.n_vertices - m.n_triangles / 2, joined ? 2 : 4);
        t3d_arena_free(&a);
    }
}

static void nothing_inside_gives_an_empty_mesh(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_mesh m;

    (void)state;
    for (int i = 0; i < 125; i++)
        value[i] = 1;
    extract(&m, 5, 2, &a);
    assert_int_equal(m.n_vertices, 0);
    assert_int_equal(m.n_triangles, 0);
    t3d_arena_free(&a);
}

/* A large ball with a hollow, and a small one beside it: what is left is the large one's outside.
 */
static void small_pieces_and_hollows_go(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_mesh m;
    double c = 9.3;

    (void)state;
    for (int z = 0; z < N; z++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                double d = sqrt((x - c) * (x - c) + (y - c) * (y - c) + (z - c) * (z - c)),
                       e = sqrt((x - 20.) * (x - 20.) + (y - 20.) * (y - 20.) +
                                (z - 20.) * (z - 20.));
                *at(N, x, y, z) = (float)fmin(fmax(d - 8, 3 - d), e - 1.3);
            }
    extract(&m, N, 1, &a);
    assert_int_equal(m.n_vertices - m.n_triangles / 2, 6); /* three spheres */
    assert_int_equal(t3d_mesh_keep_large(&m, .1, &a, &err), T3D_OK);
    assert_true(is_closed_manifold(&m));
    assert_int_equal(m.n_vertices - m.n_triangles / 2, 2);
    assert_float_equal(volume_of(&m), 4 * M_PI / 3 * 512, 40);
    t3d_arena_free(&a);
}

/* Bumps as long as a cell go, the ball stays as large as it was. */
static void smoothing_takes_bumps_not_size(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_mesh m;
    double c = .5 * (N - 1), before = 0, after = 0, volume;

    (void)state;
    for (int z = 0; z < N; z++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++)
                *at(N, x, y, z) =
                    (float)(sqrt((x - c) * (x - c) + (y - c) * (y - c) + (z - c) * (z - c)) - 8 +
                            .4 * (x % 2 ? 1 : -1) * (y % 2 ? 1 : -1) * (z % 2 ? 1 : -1));
    extract(&m, N, 1, &a);
    volume = volume_of(&m);
    for (int round = 0; round < 2; round++) {
        double sum = 0;
        for (uint32_t i = 0; i < m.n_vertices; i++) {
            const float *p = m.position[i];
            double x = (double)p[0] - c, y = (double)p[1] - c, z = (double)p[2] - c;
            sum += fabs(sqrt(x * x + y * y + z * z) - 8) / m.n_vertices;
        }
        *(round ? &after : &before) = sum;
        if (!round)
            assert_int_equal(t3d_mesh_smooth(&m, 10, &a, &err), T3D_OK);
    }
    if (!(after < .65 * before))
        print_message("mean bump %g became %g\n", before, after);
    assert_true(after < .65 * before);
    assert_float_equal(volume_of(&m), volume, .01 * volume);
    t3d_arena_free(&a);
}

static void normals_point_outward(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_mesh m;
    float(*normal)[3];
    double c = .5 * (N - 1);

    (void)state;
    for (int z = 0; z < N; z++)
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++)
                *at(N, x, y, z) =
                    (float)((x - c) * (x - c) + (y - c) * (y - c) + (z - c) * (z - c) - 64);
    extract(&m, N, 1, &a);
    normal = t3d_alloc(&a, m.n_vertices, sizeof *normal);
    t3d_mesh_normals(normal, &m);
    for (uint32_t i = 0; i < m.n_vertices; i++) {
        double dot = 0, length = 0, r = 0;
        for (int k = 0; k < 3; k++) {
            double d = (double)m.position[i][k] - c;
            dot += d * (double)normal[i][k];
            length += (double)normal[i][k] * (double)normal[i][k];
            r += d * d;
        }
        assert_float_equal(length, 1, 1e-5);
        assert_true(dot > .97 * sqrt(r));
    }
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_field_gives_a_closed_manifold),
        cmocka_unit_test(a_ball_is_a_ball),
        cmocka_unit_test(the_saddle_decides),
        cmocka_unit_test(nothing_inside_gives_an_empty_mesh),
        cmocka_unit_test(small_pieces_and_hollows_go),
        cmocka_unit_test(smoothing_takes_bumps_not_size),
        cmocka_unit_test(normals_point_outward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
