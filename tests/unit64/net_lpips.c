/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of LPIPS as a loss in double against central differences, for every number of the
 * picture, through a small network with all the kinds of layers. The source is compiled here once
 * more, because the library's is in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../../lib/net/lpips_distance.c" // NOLINT
#include "../../lib/net/lpips_graph.c"    // NOLINT
#include "whole_model.h"

enum { PICTURES = 2, SIDE = 9, NUMBERS = SIDE * SIDE * 3 };

static const struct t3di_lpips_layer tiny[] = {CONV(0, 3, 16, 3, 1, 1),  TAP(16), POOL(3, 2),
                                               FIRE(3, 16, 16, 32),      TAP(32), POOL(2, 2),
                                               CONV(5, 32, 16, 2, 1, 0), TAP(16), END};
static const struct t3di_lpips_net net = {tiny, 1, 1, 0, ""};

/* Weights of every tensor of the network. */
static double numbers[5][16 * 32 * 9], head_numbers[3][32];

static void fill_net(struct t3d_lpips *l, double gain)
{
    struct t3d_rng r = t3d_rng_for(5, "net", 0);

    *l = (struct t3d_lpips){.net = &net, .n_taps = 3, .threads = 1};
    for (int i = 0; i < 5; i++) {
        for (size_t k = 0; k < 16 * 32 * 9; k++)
            numbers[i][k] = gain * t3d_rng_normal(&r) / (i ? 8 : 3);
        l->weight[i] = (const float *)numbers[i]; /* the graph's own numbers are double */
        l->bias[i] = (const float *)(numbers[i] + 7);
    }
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 32; k++)
            head_numbers[i][k] = t3d_rng_uniform(&r);
        l->head[i] = (const float *)head_numbers[i];
    }
}

struct judged {
    struct t3d_lpips l;
    struct t3d_graph *g;
    struct t3d_ref x, y, d, loss;
};

static void make(struct judged *m, double gain)
{
    struct t3d_err err = {0};

    fill_net(&m->l, gain);
    m->g = t3d_graph_new(T3D_CPU, 1);
    m->x = t3d_graph_param(m->g, "x", T3D_SHAPE(PICTURES, SIDE, SIDE, 3));
    m->y = t3d_graph_input(m->g, "y", T3D_SHAPE(PICTURES, SIDE, SIDE, 3));
    m->d = t3d_lpips_distance(m->g, &m->l, m->x, m->y);
    t3d_graph_keep(m->g, m->d);
    m->loss = t3d_sum(m->g, m->d, -1);
    if (t3d_graph_build(m->g, &(struct t3d_plan){.loss = m->loss}, &err) < 0)
        fail_msg("%s", err.msg);
    fill_numbers(m->g, m->x, 0, 1);
    fill_numbers(m->g, m->y, 0, 1);
}

static void gradient_equals_differences(void **state)
{
    struct judged m;
    struct t3d_err err;
    double *x, *g, scale = 0, is;

    (void)state;
    make(&m, 1);
    x = t3d_graph_data(m.g, m.x);
    assert_true(loss_of(m.g, m.loss) > .1);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    g = t3d_graph_grad(m.g, m.x);
    for (int i = 0; i < PICTURES * NUMBERS; i++)
        scale = fmax(scale, fabs(g[i]));
    assert_true(scale > 1e-3);
    for (int i = 0; i < PICTURES * NUMBERS; i++) {
        double was = x[i];

        x[i] = was + 1e-7;
        is = loss_of(m.g, m.loss);
        x[i] = was - 1e-7;
        is = (is - loss_of(m.g, m.loss)) / 2e-7;
        x[i] = was;
        if (!(fabs(is - g[i]) <= 1e-6 * scale))
            fail_msg("number %d: gradient %.12g, by differences %.12g", i, g[i], is);
    }
    t3d_graph_free(m.g);
}

/* Equal pictures have no distance and no gradient; it does not matter which one is learned. */
static void it_is_a_distance(void **state)
{
    struct judged m;
    struct t3d_err err;
    double *x, *y, *d, one, other;

    (void)state;
    make(&m, 1);
    x = t3d_graph_data(m.g, m.x);
    y = t3d_graph_data(m.g, m.y);
    one = loss_of(m.g, m.loss);
    for (int i = 0; i < PICTURES * NUMBERS; i++) {
        double was = x[i];

        x[i] = y[i];
        y[i] = was;
    }
    other = loss_of(m.g, m.loss);
    assert_true(fabs(one - other) < 1e-12);
    memcpy(x, y, NUMBERS * sizeof *x);
    loss_of(m.g, m.loss);
    d = t3d_graph_data(m.g, m.d);
    assert_true(d[0] == 0 && d[1] > 0);
    t3d_graph_zero_grad(m.g);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    for (int i = 0; i < NUMBERS; i++)
        assert_true(t3d_graph_grad(m.g, m.x)[i] == 0);
    t3d_graph_free(m.g);
}

/* Features of length 0 are no division by it. */
static void no_features_are_no_trouble(void **state)
{
    struct judged m;
    struct t3d_err err;

    (void)state;
    make(&m, 0);
    assert_true(loss_of(m.g, m.loss) == 0);
    assert_int_equal(t3d_graph_backward(m.g, &err), T3D_OK);
    for (int i = 0; i < PICTURES * NUMBERS; i++)
        assert_true(t3d_graph_grad(m.g, m.x)[i] == 0);
    t3d_graph_free(m.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_equals_differences),
        cmocka_unit_test(it_is_a_distance),
        cmocka_unit_test(no_features_are_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
