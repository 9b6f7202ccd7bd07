/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a whole training step, parameter by parameter, along itself against central
 * differences, in double. */
#ifndef T3D_TESTS_WHOLE_MODEL_H
#define T3D_TESTS_WHOLE_MODEL_H

#include <math.h>

#include "base/rng.h"
#include "num/graph.h"

/* Numbers of an input, the same each time. */
static inline void fill_numbers(struct t3d_graph *g, struct t3d_ref r, double low, double high)
{
    struct t3d_shape s = t3d_graph_shape(g, r);
    struct t3d_rng rng = t3d_rng_for(3, "input", (uint64_t)r.node);
    double *x = t3d_graph_data(g, r);

    for (int64_t i = 0; i < t3d_shape_count(&s); i++)
        x[i] = low + (high - low) * t3d_rng_uniform(&rng);
}

/* Weights that start at 0 would hide what is behind them: everything is moved. */
static inline void scatter(struct t3d_graph *g)
{
    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(g, i, &name);
        struct t3d_shape s = t3d_graph_shape(g, p);
        struct t3d_rng r = t3d_rng_for(9, name, 0);
        double *x = t3d_graph_data(g, p);

        for (int64_t k = 0; k < t3d_shape_count(&s); k++)
            x[k] += 0.2 * t3d_rng_normal(&r);
    }
}

static inline double loss_of(struct t3d_graph *g, struct t3d_ref loss)
{
    struct t3d_err err = {0};

    if (t3d_graph_forward(g, &err) < 0)
        fail_msg("%s", err.msg);
    return *(double *)t3d_graph_data(g, loss);
}

/* Loss after a step of length h along the gradient of one parameter. */
static inline double moved(struct t3d_graph *g, struct t3d_ref loss, double *x, const double *d,
                           int64_t n, double h)
{
    double is;

    for (int64_t k = 0; k < n; k++)
        x[k] += h * d[k];
    is = loss_of(g, loss);
    for (int64_t k = 0; k < n; k++)
        x[k] -= h * d[k];
    return is;
}

static inline void check_parameter(struct t3d_graph *g, struct t3d_ref loss, int i)
{
    const char *name;
    struct t3d_ref p = t3d_graph_param_at(g, i, &name);
    struct t3d_shape s = t3d_graph_shape(g, p);
    double *x = t3d_graph_data(g, p), *d = t3d_graph_grad(g, p), square = 0, h, is;
    int64_t n = t3d_shape_count(&s);

    for (int64_t k = 0; k < n; k++)
        square += d[k] * d[k];
    if (square == 0)
        fail_msg("%s has no gradient", name);
    h = 1e-7 / sqrt(square);
    is = (moved(g, loss, x, d, n, h) - moved(g, loss, x, d, n, -h)) / (2 * h);
    /* a pixel that crosses the smallest alpha jumps: few do over so short a way */
    if (!(fabs(is / square - 1) < 2e-3))
        fail_msg("%s: along the gradient %.9g, by differences %.9g", name, square, is);
}

static inline void check_parameters(struct t3d_graph *g, struct t3d_ref loss)
{
    struct t3d_err err = {0};

    loss_of(g, loss);
    t3d_graph_zero_grad(g);
    assert_int_equal(t3d_graph_backward(g, &err), T3D_OK);
    for (int i = 0; i < t3d_graph_n_params(g); i++)
        check_parameter(g, loss, i);
}

/* Two graphs of the same numbers, of which one computes segments again. */
static inline void check_same_bits(struct t3d_graph *plain, struct t3d_graph *again,
                                   struct t3d_ref loss)
{
    struct t3d_graph *const g[2] = {plain, again};
    struct t3d_graph_size size;
    struct t3d_err err = {0};
    double *grad[2], is[2];
    int64_t n[2];

    for (int i = 0; i < 2; i++) {
        is[i] = loss_of(g[i], loss);
        t3d_graph_zero_grad(g[i]);
        assert_int_equal(t3d_graph_backward(g[i], &err), T3D_OK);
        grad[i] = t3d_graph_grad_block(g[i], &n[i]);
    }
    t3d_graph_size(again, &size);
    assert_true(size.again_flops > 0);
    assert_true(is[0] == is[1] && n[0] == n[1]);
    assert_memory_equal(grad[0], grad[1], (size_t)n[0] * sizeof(double));
}

static inline int64_t count_parameters(struct t3d_graph *g)
{
    int64_t n = 0;

    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        struct t3d_shape s = t3d_graph_shape(g, t3d_graph_param_at(g, i, NULL));

        n += t3d_shape_count(&s);
    }
    return n;
}

#endif
