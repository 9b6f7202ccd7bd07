/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "geom/camera.h"

static struct t3d_arena arena;

static struct t3d_view_set load(const char *name)
{
    struct t3d_view_set v;
    struct t3d_err err = {0};

    if (t3d_view_set_load(&v, name, &arena, &err) != T3D_OK)
        fail_msg("%s: %s", name, err.msg);
    return v;
}

static void near_to(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
}

/* m * (x, y, z, 1) */
static void transform(const double m[4][4], const double p[3], double out[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = m[i][0] * p[0] + m[i][1] * p[1] + m[i][2] * p[2] + m[i][3];
}

/* Where world point p falls on the picture, by OpenCV's w2c and K. Returns the depth. */
static double project(const struct t3d_camera *c, uint32_t resolution, const double p[3],
                      double uv[2])
{
    double k[3][3], q[3];

    t3d_camera_intrinsics(c, resolution, k);
    transform(c->w2c, p, q);
    uv[0] = (k[0][0] * q[0] + k[0][1] * q[1] + k[0][2] * q[2]) / q[2];
    uv[1] = (k[1][0] * q[0] + k[1][1] * q[1] + k[1][2] * q[2]) / q[2];
    return q[2];
}

static void check_camera(const struct t3d_camera *c)
{
    static const double turn[3] = {1, -1, -1}, origin[3] = {0, 0, 0};
    double uv[2], p[3], q[3], det = 0;

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double d = 0;
            for (int k = 0; k < 3; k++)
                d += c->c2w[k][i] * c->c2w[k][j];
            near_to(d, i == j, 1e-14);
        }
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, k = (i + 2) % 3;
        det += c->c2w[0][i] * (c->c2w[1][j] * c->c2w[2][k] - c->c2w[1][k] * c->c2w[2][j]);
    }
    near_to(det, 1, 1e-14);
    /* w2c undoes c2w up to the turned axes. */
    for (int t = 0; t < 4; t++) {
        double in_camera[3] = {t == 1, 2.0 * (t == 2), t - 1.5};
        transform(c->c2w, in_camera, p);
        transform(c->w2c, p, q);
        for (int i = 0; i < 3; i++)
            near_to(q[i], turn[i] * in_camera[i], 1e-13);
    }
    near_to(project(c, 512, origin, uv), c->distance, 1e-13);
    near_to(uv[0], 256, 1e-9);
    near_to(uv[1], 256, 1e-9);
}

static void default_set(void **state)
{
    static const double extra[4][2] = {{45, 60}, {225, 60}, {135, -20}, {315, -20}};
    struct t3d_view_set v = load("ring16+4");

    (void)state;
    assert_int_equal(v.n, 20);
    assert_string_equal(v.name, "ring16+4");
    for (size_t i = 0; i < v.n; i++) {
        const struct t3d_camera *c = &v.camera[i];
        near_to(c->azimuth_deg, i < 16 ? 22.5 * (double)i : extra[i - 16][0], 0);
        near_to(c->elevation_deg, i < 16 ? 20 : extra[i - 16][1], 0);
        near_to(c->distance, 2.7, 0);
        near_to(c->fov_deg, 49.1, 0);
        near_to(c->near, 1.69, 1e-15);
        near_to(c->far, 3.71, 1e-15);
        check_camera(c);
        /* The header's formula for the eye. */
        double az = c->azimuth_deg * M_PI / 180, el = c->elevation_deg * M_PI / 180;
        near_to(c->c2w[0][3], 2.7 * cos(el) * sin(az), 1e-14);
        near_to(c->c2w[1][3], 2.7 * sin(el), 1e-14);
        near_to(c->c2w[2][3], 2.7 * cos(el) * cos(az), 1e-14);
        near_to(c->c2w[1][0], 0, 0); /* no roll: the right axis is level */
        assert_true(c->c2w[1][1] > 0);
    }
}

static void front_and_sides(void **state)
{
    struct t3d_view_set v = load("ring:4:0");
    double uv[2];

    (void)state;
    /* View 0 looks from +Z: +X to the right, +Y up (smaller row), +Z nearer. */
    assert_true(project(&v.camera[0], 100, (double[3]){.1, 0, 0}, uv) > 0 && uv[0] > 50);
    assert_true(project(&v.camera[0], 100, (double[3]){0, .1, 0}, uv) > 0 && uv[1] < 50);
    near_to(project(&v.camera[0], 100, (double[3]){0, 0, 1}, uv), 1.7, 1e-15);
    /* The azimuth grows towards +X. */
    near_to(v.camera[1].c2w[0][3], 2.7, 0);
    near_to(v.camera[1].c2w[2][3], 0, 0);
    /* Nothing of the unit sphere is cropped: its silhouette stays inside. */
    double edge = tan(asin(1 / 2.7)), k[3][3];
    t3d_camera_intrinsics(&v.camera[0], 512, k);
    near_to(k[0][0], 256 / tan(49.1 * M_PI / 360), 1e-10);
    assert_true(k[0][0] * edge < 256);
}

static void poles(void **state)
{
    struct t3d_camera c = {.azimuth_deg = 90, .elevation_deg = 90, .distance = 2, .fov_deg = 40};

    (void)state;
    t3d_camera_place(&c);
    check_camera(&c);
    near_to(c.c2w[1][3], 2, 0);
    near_to(c.c2w[0][1], -1, 0); /* up points away from the azimuth's side */
    c.elevation_deg = -90;
    t3d_camera_place(&c);
    check_camera(&c);
    near_to(c.c2w[0][1], 1, 0);
}

/* The mean of evenly spread unit vectors is 0 and their second moment 1/3 of the identity. */
static void hammersley(void **state)
{
    struct t3d_view_set v = load("hammersley:256");
    double sum[3] = {0}, moment[3] = {0}, nearest = 9;

    (void)state;
    assert_int_equal(v.n, 256);
    for (size_t i = 0; i < v.n; i++) {
        check_camera(&v.camera[i]);
        for (int k = 0; k < 3; k++) {
            sum[k] += v.camera[i].c2w[k][3] / 2.7 / 256;
            moment[k] += pow(v.camera[i].c2w[k][3] / 2.7, 2) / 256;
        }
        for (size_t j = 0; j < i; j++) {
            double d = 0;
            for (int k = 0; k < 3; k++)
                d += pow((v.camera[i].c2w[k][3] - v.camera[j].c2w[k][3]) / 2.7, 2);
            nearest = fmin(nearest, sqrt(d));
        }
    }
    for (int k = 0; k < 3; k++) {
        near_to(sum[k], 0, .005);
        near_to(moment[k], 1 / 3., .005);
    }
    assert_true(nearest > .04); /* 256 even patches are .22 across */
    v = load("hammersley:4");
    for (int i = 0; i < 4; i++) /* 00 01 10 11 with the bits reversed */
        near_to(v.camera[i].azimuth_deg, (double[]){0, 180, 90, 270}[i], 0);
    v = load("hammersley:1");
    check_camera(&v.camera[0]);
}

static struct t3d_view_set from_text(const char *text, int expected, struct t3d_err *err)
{
    char path[] = "/tmp/t3d-camera.XXXXXX";
    int fd = mkstemp(path);
    struct t3d_view_set v;

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(t3d_write_file(path, text, strlen(text), err), T3D_OK);
    assert_int_equal(t3d_view_set_load(&v, path, &arena, err), expected);
    unlink(path);
    return v;
}

static void json_file(void **state)
{
    struct t3d_err err = {0};
    struct t3d_view_set ring = load("ring16+4"), v;
    char *text, *p;
    size_t n = 1 << 16;

    (void)state;
    v = from_text("{\"name\":\"two\",\"fov\":30,\"views\":[{\"azimuth\":10,\"elevation\":-5},"
                  "{\"azimuth\":0,\"elevation\":90,\"distance\":4,\"fov\":60}]}",
                  T3D_OK, &err);
    assert_string_equal(v.name, "two");
    assert_int_equal(v.n, 2);
    near_to(v.camera[0].fov_deg, 30, 0);
    near_to(v.camera[0].distance, 2.7, 0);
    near_to(v.camera[1].fov_deg, 60, 0);
    near_to(v.camera[1].c2w[1][3], 4, 0);

    /* c2w, rounded to 6 digits as files are, gives the ring's angles back. */
    text = p = test_malloc(n);
    p += snprintf(p, n, "{\"name\":\"r\",\"views\":[");
    for (size_t i = 0; i < ring.n; i++) {
        p += snprintf(p, n - (size_t)(p - text), "%s{\"c2w\":[", i ? "," : "");
        for (int k = 0; k < 16; k++)
            p += snprintf(p, n - (size_t)(p - text), "%s%.6f", k ? "," : "",
                          (&ring.camera[i].c2w[0][0])[k]);
        p += snprintf(p, n - (size_t)(p - text), "]}");
    }
    snprintf(p, n - (size_t)(p - text), "]}");
    v = from_text(text, T3D_OK, &err);
    test_free(text);
    for (size_t i = 0; i < v.n; i++) {
        near_to(remainder(v.camera[i].azimuth_deg - ring.camera[i].azimuth_deg, 360), 0, 1e-4);
        near_to(v.camera[i].elevation_deg, ring.camera[i].elevation_deg, 1e-4);
        near_to(v.camera[i].distance, 2.7, 1e-5);
        near_to(v.camera[i].near, 1.69, 1e-5);
        for (int a = 0; a < 9; a++) { /* the rounding is taken out again */
            double d = 0;
            for (int k = 0; k < 3; k++)
                d += v.camera[i].c2w[k][a / 3] * v.camera[i].c2w[k][a % 3];
            near_to(d, a / 3 == a % 3, 1e-14);
        }
    }
}

static void refused(void **state)
{
    static const char *const names[] = {"ring:",
                                        "ring:0",
                                        "ring:1025",
                                        "ring:4:",
                                        "ring:4:91",
                                        "ring:4:nan",
                                        "ring:4x",
                                        "ring:-4",
                                        "hammersley:0",
                                        "hammersley:8:3",
                                        "hammersley:99999999999999999999",
                                        "ring17",
                                        "",
                                        "/nonexistent/x.json"};
    static const char *const texts[][2] = {
        {"", "JSON"},
        {"[]", "object"},
        {"{\"name\":\"n\"}", "views"},
        {"{\"name\":\"n\",\"views\":[]}", "views"},
        {"{\"name\":\"a/b\",\"views\":[{}]}", "name"},
        {"{\"name\":\"ring16+4\",\"views\":[{}]}", "name"},
        {"{\"name\":3,\"views\":[{}]}", "name"},
        {"{\"name\":\"n\",\"views\":[{\"elevation\":3}]}", "views[0].azimuth"},
        {"{\"name\":\"n\",\"views\":[{\"azimuth\":3}]}", "views[0].elevation"},
        {"{\"name\":\"n\",\"views\":[{\"azimuth\":3,\"elevation\":91}]}", "views[0].elevation"},
        {"{\"name\":\"n\",\"views\":[{\"azimuth\":\"3\",\"elevation\":1}]}", "views[0].azimuth"},
        {"{\"name\":\"n\",\"fov\":0,\"views\":[{\"azimuth\":3,\"elevation\":1}]}", "fov"},
        {"{\"name\":\"n\",\"views\":[{\"c2w\":[1,2]}]}", "views[0].c2w"},
        {"{\"name\":\"n\",\"views\":[{\"c2w\":[1,0,0,0,0,1,0,0,0,0,-1,3,0,0,0,1]}]}", "mirror"},
        {"{\"name\":\"n\",\"views\":[{\"c2w\":[2,0,0,0,0,2,0,0,0,0,2,3,0,0,0,1]}]}", "scale"},
        {"{\"name\":\"n\",\"views\":[{\"c2w\":[1,0,0,0,0,1,0,0,0,0,1,-3,0,0,0,1]}]}", "front"},
        {"{\"name\":\"n\",\"views\":[{\"c2w\":[1,0,0,0,0,1,0,0,0,0,1,1e999,0,0,0,1]}]}", "c2w"},
    };
    struct t3d_err err;
    struct t3d_view_set v;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(names); i++) {
        err.msg[0] = 0;
        if (t3d_view_set_load(&v, names[i], &arena, &err) != T3D_USAGE || !err.msg[0])
            fail_msg("'%s' is not refused", names[i]);
    }
    for (size_t i = 0; i < T3D_COUNT(texts); i++) {
        from_text(texts[i][0], T3D_USAGE, &err);
        if (!strstr(err.msg, texts[i][1]))
            fail_msg("%s: message '%s' does not name %s", texts[i][0], err.msg, texts[i][1]);
    }
}

static double item(const cJSON *rows, int i, int j)
{
    return cJSON_GetArrayItem(cJSON_GetArrayItem(rows, i), j)->valuedouble;
}

static void json_output(void **state)
{
    struct t3d_view_set v = load("ring16+4");
    struct t3d_normalisation n = {{1, 2, 3}, .5};
    cJSON *o = t3d_cameras_json(&v, 512, &n), *views, *view, *frame;
    double k[3][3];

    (void)state;
    views = cJSON_GetObjectItem(o, "views");
    assert_int_equal(cJSON_GetArraySize(views), 20);
    view = cJSON_GetArrayItem(views, 7);
    assert_string_equal(cJSON_GetObjectItem(view, "name")->valuestring, "v07");
    t3d_camera_intrinsics(&v.camera[7], 512, k);
    near_to(item(cJSON_GetObjectItem(view, "K"), 0, 0), k[0][0], 0);
    near_to(item(cJSON_GetObjectItem(view, "K"), 1, 2), 256, 0);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            near_to(item(cJSON_GetObjectItem(view, "c2w"), i, j), v.camera[7].c2w[i][j], 0);
            near_to(item(cJSON_GetObjectItem(view, "w2c"), i, j), v.camera[7].w2c[i][j], 0);
        }
    near_to(cJSON_GetObjectItem(cJSON_GetObjectItem(o, "normalisation"), "scale")->valuedouble, .5,
            0);
    cJSON_Delete(o);

    o = t3d_transforms_json(&v, 512, &n, "%03zu.png");
    assert_string_equal(cJSON_GetObjectItem(o, "camera_model")->valuestring, "OPENCV");
    near_to(cJSON_GetObjectItem(o, "fl_y")->valuedouble, k[1][1], 0);
    near_to(cJSON_GetObjectItem(o, "w")->valuedouble, 512, 0);
    frame = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "frames"), 4);
    assert_string_equal(cJSON_GetObjectItem(frame, "file_path")->valuestring, "004.png");
    /* View 4 stands at +X, 20 deg up; up is +Z there, and applied_transform leads there. */
    const cJSON *m = cJSON_GetObjectItem(frame, "transform_matrix");
    near_to(item(m, 0, 3), 2.7 * cos(M_PI / 9), 1e-14);
    near_to(item(m, 1, 3), 0, 1e-14);
    near_to(item(m, 2, 3), 2.7 * sin(M_PI / 9), 1e-14);
    assert_true(item(m, 2, 1) > 0);
    /* View 0 stands at glTF's front, which is -Y in a +Z-up world. */
    near_to(item(cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "frames"), 0),
                                     "transform_matrix"),
                 1, 3),
            -2.7 * cos(M_PI / 9), 1e-14);
    for (int i = 0; i < 3; i++) {
        double x = 0;
        for (int j = 0; j < 3; j++)
            x += item(cJSON_GetObjectItem(o, "applied_transform"), i, j) * v.camera[4].c2w[j][3];
        near_to(item(m, i, 3), x, 1e-15);
    }
    cJSON_Delete(o);

    v.camera[3].fov_deg = 30; /* then each frame has its own intrinsics */
    o = t3d_transforms_json(&v, 64, &n, "images/v%02d.png");
    assert_null(cJSON_GetObjectItem(o, "fl_x"));
    frame = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "frames"), 3);
    near_to(cJSON_GetObjectItem(frame, "fl_x")->valuedouble, 32 / tan(M_PI / 12), 1e-10);
    assert_string_equal(cJSON_GetObjectItem(frame, "file_path")->valuestring, "images/v03.png");
    cJSON_Delete(o);
}

static void view_names(void **state)
{
    struct t3d_view_set v = {.n = 20};
    char name[T3D_VIEW_NAME_SIZE];

    (void)state;
    t3d_view_name(&v, 0, name);
    assert_string_equal(name, "v00");
    v.n = 101;
    t3d_view_name(&v, 7, name);
    assert_string_equal(name, "v007");
    v.n = 1024;
    t3d_view_name(&v, 1023, name);
    assert_string_equal(name, "v1023");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_set), cmocka_unit_test(front_and_sides), cmocka_unit_test(poles),
        cmocka_unit_test(hammersley),  cmocka_unit_test(json_file),       cmocka_unit_test(refused),
        cmocka_unit_test(json_output), cmocka_unit_test(view_names),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    t3d_arena_free(&arena);
    return r;
}
