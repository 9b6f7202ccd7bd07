/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of the loss in double: their gradients against central differences, element by element,
 * and their values where these can be said without them. The source is compiled here once more,
 * because the library's is in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../lib/model/losses.c" // NOLINT
#include "draw/splat.h"
#include "geom/camera.h"
#include "whole_model.h"

enum { BATCH = 2, SEEN = 2, N = 12, SIDE = 16, PIXELS = BATCH * SEEN * SIDE * SIDE };

static const struct t3d_splat splat = {.width = SIDE, .height = SIDE, .min_alpha = 1e-13};

/* In the place of LPIPS, which has a test of its own: the mean square. */
struct t3d_ref t3d_lpips_distance(struct t3d_graph *g, const struct t3d_lpips *l, struct t3d_ref x,
                                  struct t3d_ref y)
{
    struct t3d_ref d = t3d_sub(g, x, y);

    (void)l;
    return t3d_mean(
        g, t3d_graph_view(g, t3d_mul(g, d, d), T3D_SHAPE(BATCH * SEEN, SIDE * SIDE * 3)), 1);
}

/* Gaussians whose parameters are learned, drawn and judged. */
struct drawn {
    struct t3d_graph *g;
    struct t3d_ref xyz, opacity, rgb, wanted, alpha, depth, weight;
    struct t3d_losses l;
};

static double *data(const struct drawn *m, struct t3d_ref r)
{
    return t3d_graph_data(m->g, r);
}

/* All cameras look along one axis, from twice 2.7 in the second view. */
static void put_cameras(double (*row)[T3D_SPLAT_CAMERA], int turned)
{
    for (int i = 0; i < BATCH * SEEN; i++) {
        struct t3d_camera c = {.azimuth_deg = turned ? 70. * i : 0,
                               .elevation_deg = turned ? 12. * i : 0,
                               .distance = T3D_DEFAULT_DISTANCE * (1 + i % 2),
                               .fov_deg = T3D_DEFAULT_FOV_DEG};

        t3d_camera_place(&c);
        t3d_splat_camera(row[i], &c, SIDE, SIDE);
    }
}

static void begin(struct drawn *m, const struct t3d_loss_config *c, int turned, int weighted)
{
    struct t3d_ref scale, quaternion, rgb, cameras, s;
    struct t3d_err err = {0};
    double *x;

    m->g = t3d_graph_new(T3D_CPU, 1);
    m->l = t3d_losses_begin();
    m->xyz = t3d_graph_param(m->g, "xyz", T3D_SHAPE(BATCH, N, 3));
    scale = t3d_graph_param(m->g, "scale", T3D_SHAPE(BATCH, N, 3));
    quaternion = t3d_graph_param(m->g, "quaternion", T3D_SHAPE(BATCH, N, 4));
    m->opacity = t3d_graph_param(m->g, "opacity", T3D_SHAPE(BATCH, N, 1));
    rgb = t3d_graph_input(m->g, "rgb", T3D_SHAPE(BATCH, N, 3));
    cameras = t3d_graph_input(m->g, "cameras", T3D_SHAPE(BATCH, SEEN, T3D_SPLAT_CAMERA));
    s = t3d_splat(m->g, m->xyz, scale, quaternion, m->opacity, rgb, cameras, &splat);
    m->alpha = t3d_graph_output(s, 1);
    m->depth = t3d_graph_output(s, 2);
    m->rgb = t3d_sub(m->g, t3d_linear(m->g, s, 1, 1), m->alpha);
    m->wanted = t3d_graph_input(m->g, "wanted", t3d_graph_shape(m->g, m->rgb));
    m->weight = t3d_graph_input(m->g, "weight", T3D_SHAPE(BATCH));
    t3d_graph_keep(m->g, m->alpha);
    t3d_graph_keep(m->g, m->rgb);
    t3d_losses_of_drawn(m->g, &m->l, c,
                        &(struct t3d_drawn){m->rgb, m->wanted, m->alpha, m->depth, m->opacity,
                                            weighted ? m->weight : T3D_NONE});
    if (t3d_graph_build(m->g, &(struct t3d_plan){.loss = m->l.sum}, &err) < 0)
        fail_msg("%s", err.msg);
    put_cameras(t3d_graph_data(m->g, cameras), turned);
    fill_numbers(m->g, m->xyz, -.6, .6);
    fill_numbers(m->g, scale, -2.2, -1.2);
    fill_numbers(m->g, quaternion, -1, 1);
    fill_numbers(m->g, m->opacity, -2, 2);
    fill_numbers(m->g, rgb, 0, 1);
    fill_numbers(m->g, m->wanted, 0, 1);
    fill_numbers(m->g, m->weight, .5, 3);
    if (m->l.depth.node < 0)
        return;
    fill_numbers(m->g, m->l.depth, 1.7, 5.5);
    x = t3d_graph_data(m->g, m->l.counts);
    fill_numbers(m->g, m->l.counts, 0, 1);
    for (int i = 0; i < PIXELS; i += 3)
        x[i] = 0;
}

static void end(struct drawn *m)
{
    t3d_graph_free(m->g);
}

static double moved_by(struct t3d_graph *g, struct t3d_ref loss, double *x, double h)
{
    double was = *x, is;

    *x = was + h;
    is = loss_of(g, loss);
    *x = was;
    return is;
}

/* Every `every`-th element of every parameter; returns how many have a gradient. */
static int check_elements(struct t3d_graph *g, struct t3d_ref loss, int every)
{
    struct t3d_err err = {0};
    int some = 0;

    loss_of(g, loss);
    t3d_graph_zero_grad(g);
    assert_int_equal(t3d_graph_backward(g, &err), T3D_OK);
    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(g, i, &name);
        struct t3d_shape s = t3d_graph_shape(g, p);
        double *x = t3d_graph_data(g, p), *d = t3d_graph_grad(g, p), scale = 1e-6;

        for (int64_t k = 0; k < t3d_shape_count(&s); k++)
            scale = fmax(scale, fabs(d[k]));
        for (int64_t k = 0; k < t3d_shape_count(&s); k += every) {
            double is = (moved_by(g, loss, &x[k], 1e-6) - moved_by(g, loss, &x[k], -1e-6)) / 2e-6;

            some += d[k] != 0;
            if (!(fabs(is - d[k]) <= 1e-5 * scale))
                fail_msg("%s %d: gradient %.12g, by differences %.12g", name, (int)k, d[k], is);
        }
    }
    return some;
}

static void gradients_equal_differences(void **state)
{
    static const struct t3d_loss_config c[] = {
        {.depth = .3}, {.opacity = .2}, {.ssim = .4}, {.perceptual = .5}, {.4, .5, .3, .2, NULL}};
    static const int some[] = {BATCH * N * 11, BATCH * N, BATCH * N * 11, BATCH * N * 11,
                               BATCH * N * 11};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(c); i++) {
        struct drawn m;

        begin(&m, &c[i], 1, i % 2 == 0);
        assert_int_equal(check_elements(m.g, m.l.sum, 1), some[i]);
        end(&m);
    }
}

/* The sum is that of shares and terms, and each term is in the log. */
static void terms_add_up(void **state)
{
    static const struct t3d_loss_config c = {.4, .5, .3, .2, NULL};
    cJSON *line = cJSON_CreateObject();
    struct drawn m;
    double sum;

    (void)state;
    begin(&m, &c, 1, 1);
    sum = loss_of(m.g, m.l.sum);
    t3d_losses_describe(&m.l, m.g, line);
    assert_int_equal(cJSON_GetArraySize(line), 4);
    assert_true(fabs(sum - .4 * t3d_json_num(line, "loss_ssim", 0) -
                     .5 * t3d_json_num(line, "loss_perceptual", 0) -
                     .3 * t3d_json_num(line, "loss_depth", 0) -
                     .2 * t3d_json_num(line, "loss_opacity", 0)) < 1e-15);
    assert_true(t3d_json_num(line, "loss_depth", 0) > 0);
    cJSON_Delete(line);
    end(&m);
}

static void opacity_is_the_mean(void **state)
{
    static const struct t3d_loss_config c = {.opacity = 1};
    struct t3d_err err = {0};
    struct drawn m;
    double *x, *d, sum = 0;

    (void)state;
    begin(&m, &c, 1, 0);
    x = data(&m, m.opacity);
    for (int i = 0; i < BATCH * N; i++)
        sum += 1 / (1 + exp(-x[i])) / (BATCH * N);
    assert_true(fabs(loss_of(m.g, m.l.sum) - sum) < 1e-14);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    d = t3d_graph_grad(m.g, m.opacity);
    for (int i = 0; i < BATCH * N; i++) {
        double s = 1 / (1 + exp(-x[i]));

        assert_true(fabs(d[i] - s * (1 - s) / (BATCH * N)) < 1e-15);
    }
    end(&m);
}

static double gauss(int i)
{
    double sum = 0;

    for (int k = -5; k <= 5; k++)
        sum += exp(-k * k / 4.5);
    return exp(-(i - 5) * (i - 5) / 4.5) / sum;
}

/* Of the window at a place of a picture (SIDE, SIDE, 3), by its definition. */
static double ssim_at(const double *a, const double *b, int y, int x, int c)
{
    double m[2] = {0}, v[2] = {0}, cov = 0;

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 121; i++) {
            double w = gauss(i / 11) * gauss(i % 11);
            int at = ((y + i / 11) * SIDE + x + i % 11) * 3 + c;

            if (pass == 0) {
                m[0] += w * a[at];
                m[1] += w * b[at];
            } else {
                v[0] += w * (a[at] - m[0]) * (a[at] - m[0]);
                v[1] += w * (b[at] - m[1]) * (b[at] - m[1]);
                cov += w * (a[at] - m[0]) * (b[at] - m[1]);
            }
        }
    return (2 * m[0] * m[1] + 1e-4) * (2 * cov + 9e-4) /
           ((m[0] * m[0] + m[1] * m[1] + 1e-4) * (v[0] + v[1] + 9e-4));
}

static double mean_ssim(const double *a, const double *b)
{
    enum { W = SIDE - 10 };
    double sum = 0;

    for (int i = 0; i < W * W * 3; i++)
        sum += ssim_at(a, b, i / 3 / W, i / 3 % W, i % 3) / (W * W * 3);
    return sum;
}

/* One less SSIM, with the weight of the sample or without; 0 for equal pictures. */
static void ssim_is_that_of_its_definition(void **state)
{
    static const struct t3d_loss_config c = {.ssim = 1};

    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        struct drawn m;
        double *rgb, *wanted, *weight, sum = 0, is;
        size_t n = SIDE * SIDE * 3;

        begin(&m, &c, 1, weighted);
        is = loss_of(m.g, m.l.sum);
        rgb = data(&m, m.rgb);
        wanted = data(&m, m.wanted);
        weight = data(&m, m.weight);
        for (size_t i = 0; i < BATCH * SEEN; i++)
            sum += (weighted ? weight[i / SEEN] : 1) *
                   (1 - mean_ssim(rgb + n * i, wanted + n * i)) / (BATCH * SEEN);
        assert_true(sum > .1);
        assert_true(fabs(is - sum) < 1e-12);
        memcpy(wanted, rgb, BATCH * SEEN * n * sizeof *wanted);
        assert_true(fabs(loss_of(m.g, m.l.sum)) < 1e-12);
        end(&m);
    }
}

/* The distances' mean, with the weight of the sample. */
static void perceptual_is_the_mean(void **state)
{
    static const struct t3d_loss_config c = {.perceptual = 1};
    struct drawn m;
    double *rgb, *wanted, *weight, sum = 0, is;
    size_t n = SEEN * SIDE * SIDE * 3;

    (void)state;
    begin(&m, &c, 1, 1);
    is = loss_of(m.g, m.l.sum);
    rgb = data(&m, m.rgb);
    wanted = data(&m, m.wanted);
    weight = data(&m, m.weight);
    for (size_t i = 0; i < BATCH * n; i++)
        sum += weight[i / n] * (rgb[i] - wanted[i]) * (rgb[i] - wanted[i]) / (double)(BATCH * n);
    assert_true(sum > .01 && fabs(is - sum) < 1e-13);
    end(&m);
}

/* Gaussians in a plane before the camera have one depth: the distance from it counts as much as
 * something is drawn, where something is wanted. */
static void depth_of_a_plane(void **state)
{
    static const struct t3d_loss_config c = {.depth = 1};
    const double at = .25, apart = .4;
    struct drawn m;
    double *xyz, *wanted, *counts, *alpha, sum = 0;

    (void)state;
    begin(&m, &c, 0, 0);
    xyz = data(&m, m.xyz);
    wanted = data(&m, m.l.depth);
    counts = data(&m, m.l.counts);
    for (int i = 0; i < BATCH * N; i++)
        xyz[3 * i + 2] = at;
    for (int i = 0; i < PIXELS; i++)
        wanted[i] = T3D_DEFAULT_DISTANCE * (1 + i / (SIDE * SIDE) % 2) - at;
    assert_true(loss_of(m.g, m.l.sum) < 1e-14);
    for (int i = 0; i < PIXELS; i++)
        wanted[i] += i % 2 ? apart : -apart;
    loss_of(m.g, m.l.sum);
    alpha = data(&m, m.alpha);
    for (int i = 0; i < PIXELS; i++)
        sum += counts[i] * apart * alpha[i] / (alpha[i] + .01) / PIXELS;
    assert_true(sum > .01);
    assert_true(fabs(loss_of(m.g, m.l.sum) - sum) < 1e-13);
    for (int i = 0; i < PIXELS; i++)
        wanted[i] = counts[i] > 0 ? wanted[i] : 1e6; /* not looked at */
    assert_true(fabs(loss_of(m.g, m.l.sum) - sum) < 1e-13);
    end(&m);
}

/* Where nothing is drawn there is nothing to learn, and no division by 0. */
static void empty_pictures_count_nothing(void **state)
{
    static const struct t3d_loss_config c = {.depth = 1};
    struct t3d_err err = {0};
    struct drawn m;
    double *xyz, *d;

    (void)state;
    begin(&m, &c, 1, 0);
    xyz = data(&m, m.xyz);
    for (int i = 0; i < 3 * BATCH * N; i++)
        xyz[i] = 1e4;
    assert_true(loss_of(m.g, m.l.sum) == 0);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    d = t3d_graph_grad(m.g, m.opacity);
    for (int i = 0; i < BATCH * N; i++)
        assert_true(d[i] == 0);
    end(&m);
}

/* Without a share there is no term, no input and no cost. */
static void nothing_asked_for_is_nothing(void **state)
{
    struct t3d_losses l = t3d_losses_begin();
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    static const struct t3d_loss_config none = {0};

    (void)state;
    t3d_losses_of_drawn(g, &l, NULL, NULL);
    t3d_losses_of_drawn(g, &l, &none, NULL);
    assert_true(l.sum.node < 0 && l.depth.node < 0 && l.counts.node < 0);
    t3d_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_equal_differences),
        cmocka_unit_test(terms_add_up),
        cmocka_unit_test(ssim_is_that_of_its_definition),
        cmocka_unit_test(perceptual_is_the_mean),
        cmocka_unit_test(opacity_is_the_mean),
        cmocka_unit_test(depth_of_a_plane),
        cmocka_unit_test(empty_pictures_count_nothing),
        cmocka_unit_test(nothing_asked_for_is_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
