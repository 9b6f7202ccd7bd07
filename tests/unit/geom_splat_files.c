/* SPDX-License-Identifier: Apache-2.0 */
/* Files of splats: what the writers wrote comes back; what others may have written, and what no one
 * should have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "geom/gaussians.h"
#include "geom/read.h"

enum { N = 300 };

static float xyz[N][3], log_scale[N][3], quaternion[N][4], opacity[N], rgb[N][3];
static const struct t3d_gaussians all = {N, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};

static int make(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        double length = 0;
        for (int k = 0; k < 3; k++) {
            xyz[i][k] = (float)sin(i * 1.3 + k * 2);
            log_scale[i][k] = (float)(-3 + cos(i * .7 + k));
            rgb[i][k] = (float)(.5 + .5 * sin(i + k));
        }
        for (int k = 0; k < 4; k++)
            quaternion[i][k] = (float)sin(i * .9 + k * 1.7 + 1);
        for (int k = 0; k < 4; k++)
            length += (double)quaternion[i][k] * (double)quaternion[i][k];
        for (int k = 0; k < 4; k++)
            quaternion[i][k] = (float)((double)quaternion[i][k] / sqrt(length));
        opacity[i] = (float)(3 - i * .02); /* falling, and the scales hardly matter for order */
    }
    return 0;
}

static int read(struct t3d_scene *s, struct t3d_arena *a, const char *name, const void *data,
                size_t size, struct t3d_err *err)
{
    const struct t3d_source src = {.data = data, .size = size, .name = name};
    int r = t3d_read_scene(s, a, &src, T3D_READ_PIXELS, err);

    if (r == T3D_OK) {
        void *buf = malloc(t3d_scene_packed_size(s));
        struct t3d_scene flat;
        assert_non_null(buf);
        t3d_scene_pack(s, buf);
        assert_int_equal(t3d_scene_unpack(&flat, buf, t3d_scene_packed_size(s), err), T3D_OK);
        assert_int_equal(flat.n_gaussians, s->n_gaussians);
        if (s->n_gaussians)
            assert_memory_equal(flat.gaussian, s->gaussian,
                                s->n_gaussians * sizeof(float[T3D_GAUSSIAN_FLOATS]));
        free(buf);
    }
    return r;
}

/* Gaussian i of the file is Gaussian j of ours: the same place, size, turn up to the sign, look. */
static void expect_same(const struct t3d_gaussians *g, size_t i, size_t j, double fine)
{
    double dot = 0, length = 0;

    for (size_t k = 0; k < 3; k++) {
        assert_float_equal(g->xyz[3 * i + k], xyz[j][k], 1e-6);
        assert_float_equal(g->log_scale[3 * i + k], log_scale[j][k], 1e-5);
        assert_float_equal(g->rgb[3 * i + k], rgb[j][k], fine);
    }
    for (size_t k = 0; k < 4; k++) {
        dot += (double)g->quaternion[4 * i + k] * (double)quaternion[j][k];
        length += (double)g->quaternion[4 * i + k] * (double)g->quaternion[4 * i + k];
    }
    assert_float_equal(fabs(dot) / sqrt(length), 1, 10 * fine * fine + 1e-6);
    assert_float_equal(1 / (1 + exp(-(double)g->opacity[i])), 1 / (1 + exp(-(double)opacity[j])),
                       fine);
}

static void a_ply_comes_back(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;
    struct t3d_gaussians g;
    uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_ply(&data, &size, &all, NULL, 0, &a, &err), T3D_OK);
    assert_int_equal(read(&s, &a, "x.ply", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, N);
    assert_int_equal(s.n_vertices, 0);
    g = t3d_gaussians_in(s.gaussian, s.n_gaussians);
    for (size_t i = 0; i < N; i++)
        expect_same(&g, i, i, 1e-6);
    t3d_arena_free(&a);
}

static void a_glb_comes_back(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;
    struct t3d_gaussians g;
    uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_glb(&data, &size, &all, NULL, 0, &a, &err), T3D_OK);
    assert_int_equal(read(&s, &a, "x.glb", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, N);
    g = t3d_gaussians_in(s.gaussian, s.n_gaussians);
    for (size_t i = 0; i < N; i++)
        expect_same(&g, i, i, 1e-5);
    t3d_arena_free(&a);
}

/* Sorted in the file: a row is found by its place. */
static void a_splat_comes_back(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;
    struct t3d_gaussians g;
    uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_splat(&data, &size, &all, &a, &err), T3D_OK);
    assert_int_equal(read(&s, &a, "x.splat", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, N);
    g = t3d_gaussians_in(s.gaussian, s.n_gaussians);
    for (size_t i = 0; i < N; i++) {
        size_t j = 0;
        while (j < N && memcmp(xyz[j], g.xyz + 3 * i, sizeof xyz[j]) != 0)
            j++;
        assert_true(j < N);
        expect_same(&g, i, j, .01);
    }
    t3d_arena_free(&a);
}

/* A file with spherical harmonics of degree 1, other properties between, in text. */
static void a_foreign_ply_is_understood(void **state)
{
    static const char text[] =
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
        "property float z\nproperty float f_dc_0\nproperty float f_dc_1\nproperty float f_dc_2\n"
        "property float f_rest_0\nproperty float f_rest_1\nproperty uchar label\n"
        "property float opacity\nproperty double scale_0\nproperty float scale_1\n"
        "property float scale_2\nproperty float rot_0\nproperty float rot_1\n"
        "property float rot_2\nproperty float rot_3\nend_header\n"
        "1 2 3 0 1 -1 9 9 7 .5 -1 -2 -3 1 0 0 0\n"
        "4 5 6 0 0 0 9 9 7 nan -1 -2 -3 1 0 0 0\n";
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;
    struct t3d_gaussians g;

    (void)state;
    assert_int_equal(read(&s, &a, "x.ply", text, sizeof text - 1, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 2);
    assert_int_equal(s.notes.n_non_finite, 1);
    g = t3d_gaussians_in(s.gaussian, 2);
    assert_float_equal(g.xyz[0], 1, 0);
    assert_float_equal(g.xyz[1], -2, 0); /* y was down */
    assert_float_equal(g.xyz[2], -3, 0);
    assert_float_equal(g.rgb[0], .5, 1e-6);
    assert_float_equal(g.rgb[1], .5 + .28209479, 1e-6);
    assert_float_equal(g.log_scale[2], -3, 0);
    assert_float_equal(g.quaternion[1], 1, 0); /* the turn itself */
    assert_float_equal(g.opacity[0], .5, 0);
    assert_true(g.opacity[1] < -50); /* what was no number is not seen */
    t3d_arena_free(&a);
}

/* Points with colours stay points; a mesh whose vertices have these properties stays a mesh. */
static void what_is_no_splat_stays_what_it_is(void **state)
{
    static const char mesh[] =
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty float f_dc_0\nproperty float f_dc_1\nproperty float f_dc_2\n"
        "property float opacity\nproperty float scale_0\nproperty float scale_1\n"
        "property float scale_2\nproperty float rot_0\nproperty float rot_1\n"
        "property float rot_2\nproperty float rot_3\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0\n1 0 0 0 0 0 0 0 0 0 0 0 0 0\n0 1 0 0 0 0 0 0 0 0 0 0 0 0\n"
        "3 0 1 2\n",
                      points[] =
                          "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\n"
                          "property float y\nproperty float z\nproperty float opacity\nend_header\n"
                          "1 2 3 1\n";
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;

    (void)state;
    assert_int_equal(read(&s, &a, "x.ply", mesh, sizeof mesh - 1, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 0);
    assert_int_equal(s.n_triangles, 1);
    assert_int_equal(read(&s, &a, "x.ply", points, sizeof points - 1, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 0);
    assert_int_equal(s.n_vertices, 1);
    t3d_arena_free(&a);
}

/* Puts JSON text in place of some in a .glb of ours, of the same length. */
static void patch(uint8_t *data, size_t size, const char *from, const char *to)
{
    uint8_t *at = memmem(data, size, from, strlen(from));

    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

/* A node that turns by 90 degrees about z, doubles and moves. */
static void a_node_moves_its_gaussians(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    struct t3d_scene s;
    struct t3d_gaussians g, one = all;
    uint8_t *data;
    size_t size;
    const double h = sqrt(.5);
    const struct t3d_origin room = {"room", "-------------------------------------------------"
                                            "--------------------------------------------------"};

    (void)state;
    one.n = 1;
    assert_int_equal(t3d_gaussians_glb(&data, &size, &one, &room, 1, &a, &err), T3D_OK);
    /* the node's transform takes room from the extras, so that all offsets stay */
    {
        uint8_t *at = memmem(data, size, "\"nodes\":[{\"mesh\":0}]", 20);
        uint8_t *extras = memmem(data, size, "------", 6);
        static const char pose[] =
            "\"nodes\":[{\"mesh\":0,\"scale\":[2,2,2],\"translation\":[1,0,0],"
            "\"rotation\":[0,0,0.70710678,0.70710678]}]";
        size_t grow = sizeof pose - 1 - 20;
        assert_true(at && extras && extras < at);
        memmove(extras, extras + grow, (size_t)(at - extras) - grow);
        memcpy(at - grow, pose, sizeof pose - 1);
    }
    assert_int_equal(read(&s, &a, "x.glb", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 1);
    g = t3d_gaussians_in(s.gaussian, 1);
    assert_float_equal(g.xyz[0], 1 - 2 * (double)xyz[0][1], 1e-5);
    assert_float_equal(g.xyz[1], 2 * (double)xyz[0][0], 1e-5);
    assert_float_equal(g.xyz[2], 2 * (double)xyz[0][2], 1e-5);
    assert_float_equal(g.log_scale[0], (double)log_scale[0][0] + log(2), 1e-5);
    /* (h, 0, 0, h) q */
    assert_float_equal(g.quaternion[0], h * (double)(quaternion[0][0] - quaternion[0][3]), 1e-5);
    assert_float_equal(g.quaternion[1], h * (double)(quaternion[0][1] - quaternion[0][2]), 1e-5);
    assert_float_equal(g.quaternion[2], h * (double)(quaternion[0][2] + quaternion[0][1]), 1e-5);
    assert_float_equal(g.quaternion[3], h * (double)(quaternion[0][3] + quaternion[0][0]), 1e-5);
    t3d_arena_free(&a);
}

static void bad_files_are_refused(void **state)
{
    struct t3d_arena a = {0}, small = {.limit = 4096};
    struct t3d_err err;
    struct t3d_scene s;
    uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_splat(&data, &size, &all, &a, &err), T3D_OK);
    assert_int_equal(read(&s, &a, "x.splat", data, size - 1, &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
    assert_int_equal(read(&s, &small, "x.splat", data, size, &err), T3D_SKIP);
    assert_string_equal(err.reason, "too-large");
    memset(data, 0xff, size); /* NaN everywhere: read, noted, not seen */
    assert_int_equal(read(&s, &a, "x.splat", data, size, &err), T3D_OK);
    assert_int_equal(s.notes.n_non_finite, N);

    assert_int_equal(t3d_gaussians_ply(&data, &size, &all, NULL, 0, &a, &err), T3D_OK);
    assert_int_equal(read(&s, &a, "x.ply", data, size - 5, &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");
    patch(data, size, "element vertex 300", "element vertex 999");
    assert_int_equal(read(&s, &a, "x.ply", data, size, &err), T3D_SKIP);
    assert_string_equal(err.reason, "truncated");

    assert_int_equal(t3d_gaussians_glb(&data, &size, &all, NULL, 0, &a, &err), T3D_OK);
    patch(data, size, "KHR_gaussian_splatting:SCALE", "KHR_gaussian_splatting:SKALE");
    assert_int_equal(read(&s, &a, "x.glb", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 0);
    assert_string_equal(s.notes.first_bad, "no-gaussian-attribute");
    patch(data, size, "KHR_gaussian_splatting:SKALE", "KHR_gaussian_splatting:SCALE");
    patch(data, size, "\"count\":300,\"type\":\"VEC4\"", "\"count\":299,\"type\":\"VEC4\"");
    patch(data, size, "\"count\":300,\"type\":\"VEC4\"", "\"count\":299,\"type\":\"VEC4\"");
    assert_int_equal(read(&s, &a, "x.glb", data, size, &err), T3D_OK);
    assert_int_equal(s.n_gaussians, 0);
    assert_string_equal(s.notes.first_bad, "attribute-too-short");
    t3d_arena_free(&a);
    t3d_arena_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ply_comes_back),
        cmocka_unit_test(a_glb_comes_back),
        cmocka_unit_test(a_splat_comes_back),
        cmocka_unit_test(a_foreign_ply_is_understood),
        cmocka_unit_test(what_is_no_splat_stays_what_it_is),
        cmocka_unit_test(a_node_moves_its_gaussians),
        cmocka_unit_test(bad_files_are_refused),
    };

    return cmocka_run_group_tests(tests, make, NULL);
}
