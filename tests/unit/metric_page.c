/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: what objects are packed into, read back by the form that the header states, and the parts
 * that a browser does not show: escapes, kinds of input, numbers behind charts. */
#include "metric/page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "geom/gaussians.h"
#include "geom/scene.h"
#include "image/image.h"
#include "metric/page_impl.h"
#include "metric/page_object.h"

static const char hostile[] = "<b>\"'&\x01\n</script>";

static unsigned u16_at(const uint8_t *p, size_t i)
{
    return p[2 * i] | (unsigned)p[2 * i + 1] << 8;
}

static void page_text(char **text, const struct t3d_page *p)
{
    size_t size;
    FILE *f = open_memstream(text, &size);

    assert_int_equal(t3d_page_html(f, p, NULL), T3D_OK);
    fclose(f);
}

/* --- objects --------------------------------------------------------------------------------- */

enum { N = 4 };
static const float xyz[N][3] = {{.1f, .2f, .3f}, {-.5f, .25f, .75f}, {.9f, -.3f, 0}, {0, NAN, 0}};
static const float log_scale[N][3] = {{-3, -2, -1}, {-1, -1, -1}, {-5, -4, -3}, {0, 0, 0}};
static const float quaternion[N][4] = {{1, 0, 0, 0}, {-.5f, .5f, -.5f, .5f}, {2, 1, 0, -1}, {1}};
static const float opacity[N] = {2, -2, 0, 0};
static const float rgb[N][3] = {{1, 0, 0}, {.5f, .25f, .75f}, {-.1f, 1.2f, .5f}, {0}};
static const struct t3d_gaussians all = {N, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};

/* One that is not finite is left out; the others come back to within the steps of their numbers. */
static void packs_splats(void **state)
{
    struct t3d_page_object o = {.name = "x"};
    const uint8_t *p;

    (void)state;
    assert_int_equal(t3d_page_object_splats(&o, &all, 1, NULL), T3D_OK);
    assert_int_equal(o.n, N - 1);
    assert_int_equal(o.size, 22 * o.n);
    p = o.data;
    for (size_t i = 0; i < 3 * o.n; i++) {
        double x = (double)o.lo[i % 3] + (double)o.extent[i % 3] * u16_at(p, i) / 65535,
               s = (double)o.scale[0] +
                   (double)(o.scale[1] - o.scale[0]) * u16_at(p, 3 * o.n + i) / 65535;

        assert_float_equal(x, xyz[i / 3][i % 3], 1.2 / 65535);
        assert_float_equal(s, log_scale[i / 3][i % 3], 4. / 65535);
    }
    for (size_t i = 0; i < o.n; i++) {
        double l = 0;

        for (int k = 0; k < 4; k++)
            l += (double)quaternion[i][k] * (double)quaternion[i][k];
        l = (quaternion[i][0] < 0 ? -1 : 1) / sqrt(l);
        for (size_t k = 0; k < 3; k++)
            assert_float_equal((int16_t)u16_at(p, 6 * o.n + 3 * i + k) / 32767.,
                               l * (double)quaternion[i][k + 1], 1e-4);
        for (size_t k = 0; k < 3; k++)
            assert_float_equal(p[18 * o.n + 4 * i + k] / 255., fmin(1, fmax(0, (double)rgb[i][k])),
                               .51 / 255);
        assert_float_equal(p[18 * o.n + 4 * i + 3] / 255., 1 / (1 + exp(-(double)opacity[i])),
                           .51 / 255);
    }
    assert_true(o.poster.size > 100);
    t3d_page_object_free(&o);
}

/* Splats far from the unit sphere are brought into it, sizes with them. */
static void brings_splats_home(void **state)
{
    float far[N][3], large[N][3];
    struct t3d_gaussians g = all;
    struct t3d_page_object o = {.name = "x"};

    (void)state;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 3; k++) {
            far[i][k] = 1000 * xyz[i][k] + 500;
            large[i][k] = log_scale[i][k] + (float)log(1000);
        }
    g.xyz = far[0];
    g.log_scale = large[0];
    assert_int_equal(t3d_page_object_splats(&o, &g, 1, NULL), T3D_OK);
    for (int k = 0; k < 3; k++)
        assert_true(fabs((double)o.lo[k]) < 2.5 && o.extent[k] < 2.5f);
    /* size against place is as it was */
    assert_float_equal((double)o.extent[0] / 1.4, exp((double)o.scale[1] + 1), 1e-3);
    t3d_page_object_free(&o);
}

static void no_splats(void **state)
{
    const struct t3d_gaussians none = {0, xyz[0], log_scale[0], quaternion[0], opacity, rgb[0]};
    struct t3d_page_object o = {.name = "x"};

    (void)state;
    assert_int_equal(t3d_page_object_splats(&o, &none, 1, NULL), T3D_OK);
    assert_int_equal(o.n, 0);
    t3d_page_object_free(&o);
}

/* A square of two triangles, 2 x 2 about (10, 20, 30), with a texture of 2 x 1 pixels. */
static void packs_meshes(void **state)
{
    float position[4][3] = {{9, 19, 30}, {11, 19, 30}, {11, 21, 30}, {9, 21, 30}};
    float normal[4][3] = {{0, 0, 1}, {0, 0, 1}, {0, 0, 1}, {0, 0, -1}};
    float color[4][4] = {{1, 1, 1, 1}, {0, 0, 0, 1}, {.2158605f, 1, 1, .5f}, {1, 1, 1, 1}};
    float uv[4][2] = {{0, 0}, {2, 0}, {2, 1}, {0, 1}};
    uint32_t triangle[2][3] = {{0, 1, 2}, {0, 2, 3}};
    uint8_t pixels[2][4] = {{255, 0, 0, 255}, {0, 255, 0, 255}}, *again;
    struct t3d_draw draw = {0, 2, 0, 4, 0, T3D_HAS_NORMAL | T3D_HAS_COLOR | T3D_HAS_UV0};
    struct t3d_material material = t3d_material_default();
    struct t3d_picture image = {2, 1, T3D_PICTURE_OK, 1, pixels[0]};
    struct t3d_scene s = {.n_vertices = 4,
                          .n_triangles = 2,
                          .n_draws = 1,
                          .n_materials = 1,
                          .n_images = 1,
                          .position = position,
                          .normal = normal,
                          .color = color,
                          .uv = {uv},
                          .triangle = triangle,
                          .draw = &draw,
                          .material = &material,
                          .image = &image};
    struct t3d_page_object o = {.name = "x"};
    struct t3d_image_info info;
    struct t3d_arena a = {0};

    (void)state;
    material.texture[T3D_TEX_BASE].image = 0;
    material.base[1] = .5f;
    assert_int_equal(t3d_page_object_mesh(&o, &s, NULL), T3D_OK);
    assert_int_equal(o.n, 4);
    for (size_t i = 0; i < 12; i++) /* the radius is sqrt 2 */
        assert_float_equal(
            (double)o.lo[i % 3] + (double)o.extent[i % 3] * u16_at(o.data, i) / 65535,
            ((double)position[i / 3][i % 3] - 10. * (double)(i % 3 + 1)) / sqrt(2), 1e-4);
    for (size_t i = 0; i < 8; i++)
        assert_float_equal((double)o.uv[i % 2] +
                               (double)o.uv[2 + i % 2] * u16_at(o.data + 24, i) / 65535,
                           uv[i / 2][i % 2], 1e-4);
    assert_int_equal(o.data[40 + 4 * 2], 128); /* .2158605 is linear for code 128 */
    assert_int_equal(o.data[40 + 4 * 2 + 3], 128);
    assert_int_equal((int8_t)o.data[56 + 2], 127);
    assert_int_equal((int8_t)o.data[56 + 11], -127);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(o.data[68 + 4 * i], triangle[i / 3][i % 3]);
    assert_int_equal(o.size, 68 + 24);
    assert_int_equal(o.n_draws, 1);
    assert_true(o.draw[0].count == 6 && o.draw[0].texture == 0 && !o.draw[0].flat);
    assert_float_equal(o.draw[0].factor[1], .5f, 0);
    assert_int_equal(
        t3d_image_decode(&info, &again, &a, o.texture[0].data, o.texture[0].size, NULL), T3D_OK);
    assert_memory_equal(again, pixels, sizeof pixels);
    t3d_arena_free(&a);
    t3d_page_object_free(&o);
}

/* What stands in the page is the packed bytes in base64, and names that do no harm. */
static void puts_objects(void **state)
{
    struct t3d_page_object o = {.name = hostile, .set = hostile, .about = hostile};
    const struct t3d_page page = {.object = &o, .n_objects = 1, .note = hostile};
    char *text, *want, *found;

    (void)state;
    assert_int_equal(t3d_page_object_splats(&o, &all, 1, NULL), T3D_OK);
    page_text(&text, &page);
    assert_null(strstr(text, "<b>"));
    assert_null(strstr(text, "\x01"));
    want = malloc(2 * o.size + 16);
    t3d_base64(o.data, o.size, want);
    found = strstr(text, want);
    assert_non_null(found);
    assert_memory_equal(found + strlen(want), "</script>", 9);
    assert_non_null(strstr(text, "data-name=\"&lt;b&gt;&quot;&#39;&amp;  &lt;/script&gt;\""));
    free(want);
    free(text);
    t3d_page_object_free(&o);
}

/* --- inputs ---------------------------------------------------------------------------------- */

static enum t3d_page_kind kind_of(const char *content)
{
    char path[] = "/tmp/t3d-page.XXXXXX";
    struct t3d_page_input in;
    int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    assert_int_equal(t3d_page_read(&in, path, NULL), T3D_OK);
    unlink(path);
    t3d_page_input_close(&in);
    return in.kind;
}

static void knows_kinds(void **state)
{
    (void)state;
    assert_int_equal(kind_of("{\"schema\":1,\"items\":[]}"), T3D_PAGE_REPORT);
    assert_int_equal(kind_of("{\"n_common\":1,\"metrics\":{}}"), T3D_PAGE_COMPARISON);
    assert_int_equal(kind_of("{\"stage\":\"png\",\"seconds\":1}\n"), T3D_PAGE_SPEED);
    assert_int_equal(kind_of("{\"stage\":\"png\",\"seconds\":1}\n{\"stage\":\"x\"}\n"),
                     T3D_PAGE_SPEED);
    assert_int_equal(kind_of("{\"step\":1,\"loss\":2}\n{\"step\":2}\n"), T3D_PAGE_TRAINING);
    assert_int_equal(kind_of("{\"bench\":\"captions\",\"accuracy\":1}\n"), T3D_PAGE_ROWS);
}

static void refuses(void **state)
{
    char path[] = "/tmp/t3d-page.XXXXXX";
    struct t3d_page_input in;
    struct t3d_err err;
    int fd = mkstemp(path);

    (void)state;
    close(fd);
    assert_int_equal(t3d_page_read(&in, path, &err), T3D_SKIP); /* empty */
    assert_string_equal(err.reason, "not-a-report");
    assert_int_equal(t3d_write_file(path, "{\"a\":1}\n<html>\n", 15, &err), T3D_OK);
    assert_int_equal(t3d_page_read(&in, path, &err), T3D_SKIP);
    assert_string_equal(err.reason, "not-json");
    unlink(path);
    assert_int_equal(t3d_page_read(&in, path, &err), T3D_SKIP);
    assert_string_equal(err.reason, "missing-file");
}

/* --- charts ---------------------------------------------------------------------------------- */

/* The numbers behind `mark` in text, added up. */
static double sum_behind(const char *text, const char *mark, int *n)
{
    double sum = 0;

    for (*n = 0; (text = strstr(text, mark)); ++*n) {
        text += strlen(mark);
        sum += strtod(text, NULL);
    }
    return sum;
}

static void counts_all(void **state)
{
    struct t3di_value v[100];
    struct t3di_values values = {v, 100};
    double mean = 49.5;
    const struct t3di_histogram h = {&values, &mean, 1, NAN, 1e9};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    int n;

    (void)state;
    for (int i = 0; i < 100; i++)
        v[i] = (struct t3di_value){i, "x", (size_t)i};
    t3di_put_histogram(f, &h);
    fclose(f);
    assert_float_equal(sum_behind(text, "<title>A: ", &n), 100, 0);
    assert_int_equal(n, 24);
    assert_non_null(strstr(text, "<title>mean</title>"));
    assert_null(strstr(text, "<title>bound</title>")); /* outside */
    free(text);
}

/* A straight line of many points is a straight line of columns, from corner to corner. */
static void draws_a_line(void **state)
{
    enum { POINTS = 5000 };
    double *x = malloc(2 * POINTS * sizeof *x);
    struct t3di_series s = {x, x + POINTS, POINTS, 0};
    char *text = NULL, *curve;
    double px, py, width = 0;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    int n = 0;

    (void)state;
    for (int i = 0; i < POINTS; i++) {
        x[i] = i;
        x[POINTS + i] = 7 + i * .001;
    }
    t3di_put_curves(f, &s, 1, "loss");
    fclose(f);
    curve = strstr(text, "class=curve d=\"");
    assert_non_null(curve);
    for (curve += 15; *curve == 'M' || *curve == 'L'; n++) {
        px = strtod(curve + 1, &curve);
        py = strtod(curve, &curve);
        assert_true(px > width);
        width = px;
        assert_float_equal(py, 84 - px / 320 * 84, .1);
    }
    assert_true(n >= 239 && n <= 241);
    free(text);
    free(x);
}

static void says_numbers(void **state)
{
    char b[T3DI_NUMBER];

    (void)state;
    assert_string_equal(t3di_number(NAN, b), "n/a");
    assert_string_equal(t3di_number(INFINITY, b), "n/a");
    assert_string_equal(t3di_number(12, b), "12");
    assert_string_equal(t3di_number(.123456, b), "0.1235");
    assert_string_equal(t3di_number(.000123456, b), "1.23e-04");
    assert_string_equal(t3di_number(0, b), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_splats), cmocka_unit_test(brings_splats_home),
        cmocka_unit_test(no_splats),    cmocka_unit_test(packs_meshes),
        cmocka_unit_test(puts_objects), cmocka_unit_test(knows_kinds),
        cmocka_unit_test(refuses),      cmocka_unit_test(counts_all),
        cmocka_unit_test(draws_a_line), cmocka_unit_test(says_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
