/* SPDX-License-Identifier: Apache-2.0 */
/* Ops on pictures against what torch.nn.functional gives for the same numbers (torch 2.15: conv2d,
 * max_pool2d, avg_pool2d, interpolate), and Haar against its definition. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "num/ops.h"

enum { H = 5, W = 6 };

static t3d_real pixel(int i)
{
    return (t3d_real)((7 * i * i + 3 * i) % 23 - 9);
}

/* One channel, or two of which the second is the first mirrored and negated. */
static struct t3d_ref picture(struct t3d_graph *g, int channels)
{
    return t3d_graph_input(g, "x", T3D_SHAPE(1, H, W, channels));
}

static void fill(t3d_real *x, int channels)
{
    for (int i = 0; i < H * W; i++) {
        x[i * channels] = pixel(i);
        if (channels == 2)
            x[i * channels + 1] = -pixel(i / W * W + (W - 1 - i % W));
    }
}

/* want is in the order (C, H, W). */
static void check(struct t3d_graph *g, struct t3d_ref y, int channels, int h, int w,
                  const double *want)
{
    struct t3d_shape s = t3d_graph_shape(g, y);
    struct t3d_err err = {0};
    const t3d_real *got;

    if (!t3d_graph_data(g, y) && t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(s.dim[1] == h && s.dim[2] == w);
    fill(t3d_graph_data(g, t3d_graph_find(g, "x")),
         (int)t3d_graph_shape(g, t3d_graph_find(g, "x")).dim[3]);
    if (t3d_graph_forward(g, &err) < 0)
        fail_msg("%s", err.msg);
    got = t3d_graph_data(g, y);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < h * w; i++)
            if (fabs(want[c * h * w + i] - (double)got[i * channels + c]) > 1e-5)
                fail_msg("channel %d, pixel %d is %g, not %g", c, i, (double)got[i * channels + c],
                         want[c * h * w + i]);
    t3d_graph_free(g);
}

static void pools_are_torchs(void **state)
{
    static const struct {
        struct t3d_pooling p;
        int max, h, w;
        double want[12];
    } k[] = {
        {{3, 1, 2, 0, 0}, 1, 3, 3, {10, 10, 10, 13, 13, 13, 13, 13, 13}},
        {{3, 0, 2, 1, 0}, 1, 2, 3, {10, 10, 8, 13, 13, 8}},
        {{2, 1, 0, 1, 0}, 1, 3, 4, {-9, 2, 0, -3, 8, 10, 10, -3, 13, 2, 13, 8}},
        {{3, 1, 2, 1, 1},
         0,
         3,
         4,
         {1.111111, 2.222222, 0.666667, -1, 2.666667, 3.444444, 0.111111, -2.833333, 1.666667,
          0.777778, 0.444444, -0.166667}},
        {{3, 1, 2, 1, 0},
         0,
         3,
         4,
         {2.5, 3.333333, 1, -3, 4, 3.444444, 0.111111, -5.666667, 3.75, 1.166667, 0.666667, -0.5}},
        {{3, 0, 2, 1, 1}, 0, 2, 3, {1.222222, 1.222222, -2, 0.444444, -0.888889, -3.833333}},
    };

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(k); i++) {
        struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
        struct t3d_ref x = picture(g, 1);

        x = k[i].max ? t3d_max_pool(g, x, &k[i].p) : t3d_average_pool(g, x, &k[i].p);
        check(g, x, 1, k[i].h, k[i].w, k[i].want);
    }
}

static void resizing_is_torchs(void **state)
{
    static const struct {
        int mode, h, w; /* 0 bilinear, 1 the same with corners aligned, 2 nearest */
        double want[28];
    } k[] = {
        {0, 3, 4, {-1.5, 2.75, 0.166667, -1.583333, -1.5, 0, -1.5, -6, 4, -3, 2.333333, 0.833333}},
        {0, 7, 4, {-6.5,      1.75,     -4.5,      -2.25,     2.071429,  3.464286,  3.5,
                   -1.107143, 5.642857, 3.392857,  6.357143,  -1.892857, -1.5,      0,
                   -1.5,      -6,       6.357143,  -0.714286, 5.642857,  -7.428571, 5.964286,
                   -2.285714, 4.535714, -2.321429, 1.25,      -4,        -0.75,     5.25}},
        {1, 3, 8, {-9, -1.857143, 1.428571,  0.857143,  -4.857143, -2.571429, -0.857143, -3,
                   0,  -4.285714, -2.571429, 1.857143,  1.142857,  -4.714286, -7.857143, -5,
                   1,  1.714286,  -1.428571, -5.142857, -0.857143, -1.714286, 0.142857,  8}},
        {2, 7, 4, {-9, 1,  -6, 0,  -9, 1,  -6, 0,  8,  10, 10, 8, 0, -6,
                   1,  -9, 0,  -6, 1,  -9, 13, -1, 13, -5, 1,  2, 0, -3}},
    };

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(k); i++) {
        struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
        struct t3d_ref x = picture(g, 1);

        x = k[i].mode == 2 ? t3d_resize_nearest(g, x, k[i].h, k[i].w)
                           : t3d_resize_bilinear(g, x, k[i].h, k[i].w, k[i].mode);
        check(g, x, 1, k[i].h, k[i].w, k[i].want);
    }
}

/* Weights as constants (packed, oneDNN where it is used) and as an input (our own loops). */
static void convolutions_are_torchs(void **state)
{
    static const struct {
        struct t3d_conv conv;
        int bias, inputs, h, w;
        double want[60];
    } k[] = {
        {{.stride = 2, .pad_h = 1, .pad_w = 1},
         1,
         2,
         3,
         3,
         {24, -14, -19, 60, -52, -108, 32, -59, 85, 105, 7, -37, -11, 5, -2, 96, 9, 13}},
        {{.dilation = 2, .pad_w = 2},
         0,
         2,
         1,
         6,
         {-119, 42, -39, 35, -101, 49, 5, 4, 38, 40, 111, -28}},
        {{.groups = 2, .pad_h = 1, .pad_w = 1},
         0,
         1,
         5,
         6,
         {66,  121,  84,   83, 72,  19, 18, 38,  47,  12, -21, -87, -5,  7,    -41,
          -41, -62,  -114, 65, -44, 58, 1,  -31, 52,  28, -82, -75, 37,  1,    35,
          -34, -24,  12,   36, 25,  14, 2,  18,  27,  54, 53,  51,  -19, -164, -102,
          1,   -131, -80,  12, 49,  95, -2, -35, 105, 89, 32,  -22, -91, -14,  -40}},
    };
    t3d_real w[36], bias[2] = {1, -2};

    (void)state;
    for (size_t i = 0; i < 2 * T3D_COUNT(k); i++) {
        struct t3d_graph *g = t3d_graph_new(T3D_CPU, 2);
        size_t j = i / 2;
        int n = k[j].inputs, constant = i % 2;
        struct t3d_shape s = T3D_SHAPE(2, n, 3, 3);
        struct t3d_ref x = picture(g, 2), y, r, b = T3D_NONE;

        for (int p = 0; p < 18 * n; p++) {
            int from = n == 2 ? p : p / 9 * 18 + p % 9; /* the first of two channels */

            w[p] = (t3d_real)((5 * from * from + from) % 11 - 5);
        }
        if (k[j].bias)
            b = t3d_graph_constant(g, "b", T3D_SHAPE(2), bias);
        r = constant ? t3d_graph_constant(g, "w", s, w) : t3d_graph_param(g, "w", s);
        y = t3d_conv2d(g, x, r, b, &k[j].conv);
        if (!constant) { /* check finds the graph built */
            struct t3d_err err = {0};

            assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), 0);
            memcpy(t3d_graph_data(g, r), w, (size_t)(18 * n) * sizeof *w);
        }
        check(g, y, 2, k[j].h, k[j].w, k[j].want);
    }
}

static void weights_of_convolutions_do_not_train(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref w = t3d_graph_param(g, "w", T3D_SHAPE(1, 1, 3, 3));
    struct t3d_ref y = t3d_conv2d(g, picture(g, 1), w, T3D_NONE, &(struct t3d_conv){0});
    struct t3d_err err = {0};

    (void)state;
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = t3d_sum(g, y, -1)}, &err),
                     T3D_USAGE);
    assert_non_null(strstr(err.msg, "no gradient for its weights"));
    t3d_graph_free(g);
}

static void haar_keeps_energy_and_comes_back(void **state)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_ref x = t3d_graph_input(g, "x", T3D_SHAPE(1, 4, 6, 2)), y = t3d_haar(g, x), z;
    t3d_real *in, *bands, *out;
    struct t3d_err err = {0};
    double before = 0, after = 0;

    (void)state;
    t3d_graph_keep(g, y);
    z = t3d_haar_inverse(g, y);
    assert_int_equal(t3d_graph_build(g, &(struct t3d_plan){.loss = T3D_NONE}, &err), T3D_OK);
    in = t3d_graph_data(g, x);
    for (int i = 0; i < 48; i++)
        in[i] = pixel(i);
    assert_int_equal(t3d_graph_forward(g, &err), T3D_OK);
    bands = t3d_graph_data(g, y);
    out = t3d_graph_data(g, z);
    for (int i = 0; i < 48; i++) {
        assert_true(fabs((double)(in[i] - out[i])) < 1e-5);
        before += (double)(in[i] * in[i]);
        after += (double)(bands[i] * bands[i]);
    }
    assert_true(fabs(before - after) < 1e-3);
    /* band b of channel 1 of the first four pixels: 1, 3 / 13, 15 in memory */
    for (int b = 0; b < 4; b++) {
        double x_sign = b & 1 ? -1 : 1, y_sign = b & 2 ? -1 : 1;
        double want = 0.5 * ((double)in[1] + x_sign * (double)in[3] +
                             y_sign * ((double)in[13] + x_sign * (double)in[15]));

        assert_true(fabs(want - (double)bands[b * 2 + 1]) < 1e-5);
    }
    t3d_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_are_torchs),
        cmocka_unit_test(resizing_is_torchs),
        cmocka_unit_test(convolutions_are_torchs),
        cmocka_unit_test(weights_of_convolutions_do_not_train),
        cmocka_unit_test(haar_keeps_energy_and_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
