/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Gaussians, read back by readers of their own that know only the formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "base/json.h"
#include "geom/gaussians.h"

enum { N = 3 };

static const float xyz[N][3] = {{0.1f, 0.2f, 0.3f}, {-0.5f, 0.25f, 0.75f}, {0.9f, -0.9f, 0}};
static const float log_scale[N][3] = {{-3, -2, -1}, {-1, -1, -1}, {-5, -4, -3}};
static const float quaternion[N][4] = {{1, 0, 0, 0}, {0.5f, 0.5f, 0.5f, 0.5f}, {2, 1, 0, -1}};
static const float opacity[N] = {2, -6, 0};
static const float rgb[N][3] = {{1, 0, 0}, {0.5f, 0.25f, 0.75f}, {-0.1f, 1.2f, 0.5f}};

static const struct t3d_gaussians all = {N, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};
static const struct t3d_origin origin[] = {{"prompt", "a \"red\"\ncube"}, {"seed", "7"}};

/* Rotates v by w x y z of any length. */
static void rotate(double out[3], const float q[4], const double v[3])
{
    double l = sqrt((double)(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]));
    double w = q[0] / l, a[3] = {q[1] / l, q[2] / l, q[3] / l}, c[3];

    /* v + 2 w (a x v) + 2 a x (a x v) */
    for (int k = 0; k < 3; k++)
        c[k] = a[(k + 1) % 3] * v[(k + 2) % 3] - a[(k + 2) % 3] * v[(k + 1) % 3];
    for (int k = 0; k < 3; k++)
        out[k] = v[k] + 2 * w * c[k] +
                 2 * (a[(k + 1) % 3] * c[(k + 2) % 3] - a[(k + 2) % 3] * c[(k + 1) % 3]);
}

/* q is the rotation of Gaussian i followed by 180 degrees about x. */
static void expect_turned(const float q[4], size_t i)
{
    for (int axis = 0; axis < 3; axis++) {
        double v[3] = {axis == 0, axis == 1, axis == 2}, want[3], is[3];

        rotate(want, quaternion[i], v);
        rotate(is, q, v);
        assert_float_equal(is[0], want[0], 1e-5);
        assert_float_equal(is[1], -want[1], 1e-5);
        assert_float_equal(is[2], -want[2], 1e-5);
    }
}

static void a_ply_is_what_viewers_expect(void **state)
{
    static const char properties[] =
        "property float x\nproperty float y\nproperty float z\nproperty float nx\nproperty float "
        "ny\nproperty float nz\nproperty float f_dc_0\nproperty float f_dc_1\nproperty float "
        "f_dc_2\nproperty float opacity\nproperty float scale_0\nproperty float scale_1\nproperty "
        "float scale_2\nproperty float rot_0\nproperty float rot_1\nproperty float rot_2\nproperty "
        "float rot_3\nend_header\n";
    struct t3d_arena a = {0};
    struct t3d_err err = {0};
    uint8_t *data;
    size_t size, head;
    float row[17];
    char *text;

    (void)state;
    assert_int_equal(t3d_gaussians_ply(&data, &size, &all, origin, 2, &a, &err), T3D_OK);
    text = t3d_sprintf(&a, "%.*s", (int)size, (char *)data);
    assert_memory_equal(text, "ply\nformat binary_little_endian 1.0\n", 36);
    assert_non_null(strstr(text, "comment prompt: a \"red\" cube\n"));
    assert_non_null(strstr(text, "comment seed: 7\nelement vertex 3\n"));
    assert_non_null(strstr(text, properties));
    head = (size_t)(strstr(text, "end_header\n") - text) + 11;
    assert_int_equal(size, head + N * sizeof row);
    for (size_t i = 0; i < N; i++) {
        memcpy(row, data + head + i * sizeof row, sizeof row);
        assert_float_equal(row[0], xyz[i][0], 0);
        assert_float_equal(row[1], -xyz[i][1], 0);
        assert_float_equal(row[2], -xyz[i][2], 0);
        for (size_t k = 0; k < 3; k++) {
            assert_float_equal(0.5 + 0.28209479177387814 * row[6 + k], rgb[i][k], 1e-6);
            assert_float_equal(row[10 + k], log_scale[i][k], 0);
        }
        assert_float_equal(row[9], opacity[i], 0);
        expect_turned(row + 13, i);
    }
    t3d_arena_free(&a);
}

static void a_splat_is_sorted_and_quantised(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err = {0};
    uint8_t *data;
    double last = INFINITY;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_splat(&data, &size, &all, &a, &err), T3D_OK);
    assert_int_equal(size, N * 32);
    for (size_t i = 0; i < N; i++) {
        float f[6], q[4];
        size_t from = N;
        double volume;

        memcpy(f, data + 32 * i, sizeof f);
        for (size_t k = 0; k < N; k++)
            if (f[0] == xyz[k][0])
                from = k;
        assert_true(from < N);
        assert_float_equal(f[1], -xyz[from][1], 0);
        for (int k = 0; k < 3; k++)
            assert_float_equal(f[3 + k], exp(log_scale[from][k]), 1e-6);
        assert_int_equal(data[32 * i + 27], (int)(255 / (1 + exp(-opacity[from])) + 0.5));
        assert_int_equal(data[32 * i + 24],
                         (int)(255 * fmin(fmax((double)rgb[from][0], 0), 1) + 0.5));
        for (int k = 0; k < 4; k++)
            q[k] = (float)(data[32 * i + 28 + (size_t)k] - 128);
        assert_float_equal(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3], 128 * 128, 700);
        volume = (double)(f[3] * f[4] * f[5]) * data[32 * i + 27];
        assert_true(volume <= last);
        last = volume;
    }
    t3d_arena_free(&a);
}

static const cJSON *at(const cJSON *o, const char *key, int i)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(o, key), i);
}

/* Element i of the accessor of that name. */
static const float *element(const cJSON *json, const uint8_t *bin, const char *name, size_t i,
                            size_t width)
{
    const cJSON *p = at(at(json, "meshes", 0), "primitives", 0);
    int k = (int)t3d_json_num(cJSON_GetObjectItem(p, "attributes"), name, -1);
    const cJSON *view = at(json, "bufferViews", k);

    assert_true(k >= 0);
    assert_int_equal(t3d_json_num(at(json, "accessors", k), "count", 0), N);
    assert_int_equal(t3d_json_num(view, "byteLength", 0), N * width * sizeof(float));
    return (const float *)(const void *)(bin + (size_t)t3d_json_num(view, "byteOffset", 0)) +
           i * width;
}

static void a_glb_has_the_extension(void **state)
{
    struct t3d_arena a = {0};
    struct t3d_err err = {0};
    uint8_t *data;
    size_t size;
    uint32_t head[5];
    const uint8_t *bin;
    cJSON *json;

    (void)state;
    assert_int_equal(t3d_gaussians_glb(&data, &size, &all, origin, 2, &a, &err), T3D_OK);
    memcpy(head, data, sizeof head);
    assert_int_equal(head[1], 2);
    assert_int_equal(head[2], size);
    json = cJSON_ParseWithLength((char *)data + 20, head[3]);
    assert_non_null(json);
    bin = data + 28 + head[3];
    assert_string_equal(
        t3d_json_str(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "asset"), "extras"), "prompt",
                     ""),
        origin[0].value);
    assert_string_equal(at(json, "extensionsUsed", 0)->valuestring, "KHR_gaussian_splatting");
    assert_int_equal(t3d_json_num(at(at(json, "meshes", 0), "primitives", 0), "mode", -1), 0);
    for (size_t i = 0; i < N; i++) {
        const float *q = element(json, bin, "KHR_gaussian_splatting:ROTATION", i, 4);
        const float *s = element(json, bin, "KHR_gaussian_splatting:SCALE", i, 3);
        const float *o = element(json, bin, "KHR_gaussian_splatting:OPACITY", i, 1);
        const float *c = element(json, bin, "KHR_gaussian_splatting:SH_DEGREE_0_COEF_0", i, 3);
        double length = sqrt(
            (double)(quaternion[i][0] * quaternion[i][0] + quaternion[i][1] * quaternion[i][1] +
                     quaternion[i][2] * quaternion[i][2] + quaternion[i][3] * quaternion[i][3]));

        assert_memory_equal(element(json, bin, "POSITION", i, 3), xyz[i], sizeof xyz[i]);
        assert_float_equal(q[3], quaternion[i][0] / length, 1e-6);
        for (int k = 0; k < 3; k++) {
            assert_float_equal(q[k], quaternion[i][k + 1] / length, 1e-6);
            assert_float_equal(s[k], exp(log_scale[i][k]), 1e-6);
            assert_float_equal(0.5 + 0.28209479177387814 * c[k], rgb[i][k], 1e-6);
        }
        assert_float_equal(*o, 1 / (1 + exp(-opacity[i])), 1e-6);
        assert_float_equal(element(json, bin, "COLOR_0", i, 4)[3], *o, 0);
    }
    cJSON_Delete(json);
    t3d_arena_free(&a);
}

static void faint_ones_are_pruned(void **state)
{
    struct t3d_gaussians g, none;
    struct t3d_arena a = {0};
    struct t3d_err err = {0};
    uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(t3d_gaussians_prune(&g, &all, 0.1, &a, &err), T3D_OK);
    assert_int_equal(g.n, 2);
    assert_memory_equal(g.xyz + 3, xyz[2], sizeof xyz[2]);
    assert_memory_equal(g.quaternion + 4, quaternion[2], sizeof quaternion[2]);
    assert_memory_equal(g.rgb + 3, rgb[2], sizeof rgb[2]);
    assert_memory_equal(g.log_scale + 3, log_scale[2], sizeof log_scale[2]);
    assert_float_equal(g.opacity[1], opacity[2], 0);
    assert_int_equal(t3d_gaussians_prune(&none, &all, 0.9999, &a, &err), T3D_OK);
    assert_int_equal(none.n, 0);
    assert_int_equal(t3d_gaussians_ply(&data, &size, &none, NULL, 0, &a, &err), T3D_OK);
    assert_int_equal(t3d_gaussians_splat(&data, &size, &none, &a, &err), T3D_OK);
    assert_int_equal(t3d_gaussians_glb(&data, &size, &none, NULL, 0, &a, &err), T3D_OK);
    t3d_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ply_is_what_viewers_expect),
        cmocka_unit_test(a_splat_is_sorted_and_quantised),
        cmocka_unit_test(a_glb_has_the_extension),
        cmocka_unit_test(faint_ones_are_pruned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
