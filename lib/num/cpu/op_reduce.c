/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and means over an axis or everything, and sinusoidal features. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

struct size {
    int64_t outer, n, inner;
    t3d_real scale;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3di_axis_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];
    struct size z = {1, t3d_shape_count(x), 1, 1};

    if (a->axis >= 0)
        z = (struct size){t3d_shape_part(x, 0, a->axis), x->dim[a->axis],
                          t3d_shape_part(x, a->axis + 1, x->n), 1};
    if (a->mean)
        z.scale = 1 / (t3d_real)z.n;
    return z;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_axis_attr *a = c->attr;
    struct t3d_shape *y = &c->out_shape[0];

    if (a->axis < -1 || a->axis >= c->in_shape[0].n)
        return t3d_shape_error(c, err, "there is no axis %d", a->axis);
    *y = c->in_shape[0];
    if (a->axis < 0)
        *y = T3D_SHAPE(1);
    else
        memmove(y->dim + a->axis, y->dim + a->axis + 1,
                (size_t)(--y->n - a->axis) * sizeof y->dim[0]);
    return T3D_OK;
}

enum { COLUMNS = 128 };

/* Columns [j, j + w) of one outer index, in the order of the axis. */
static void sum_columns(t3d_real *y, const t3d_real *x, const struct size *z, int64_t w)
{
    t3d_real sum[COLUMNS] = {0};

    for (int64_t i = 0; i < z->n; i++)
        t3di_kernel()->axpy(sum, 1, x + i * z->inner, w);
    t3di_kernel()->unary[T3DI_LINEAR](y, sum, w, z->scale, 0);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    int64_t parts = (z.inner + COLUMNS - 1) / COLUMNS, total = z.outer * z.n * z.inner;
    const t3d_real *x = c->in[0];
    t3d_real *y = c->out[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (total > T3DI_BLOCK)
    for (int64_t t = 0; t < z.outer * parts; t++) {
        int64_t o = t / parts, j = t % parts * COLUMNS;

        if (z.inner == 1)
            y[o] = t3di_kernel()->sum(x + o * z.n, z.n) * z.scale;
        else
            sum_columns(y + o * z.inner + j, x + o * z.n * z.inner + j, &z,
                        T3D_MIN(COLUMNS, z.inner - j));
    }
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    const t3d_real *gy = c->grad_out[0];
    t3d_real *g = c->grad_in[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (z.outer * z.n * z.inner > T3DI_BLOCK)
    for (int64_t t = 0; t < z.outer * z.n; t++) {
        if (z.inner == 1)
            g[t] += z.scale * gy[t / z.n];
        else
            t3di_kernel()->axpy(g + t * z.inner, z.scale, gy + t / z.n * z.inner, z.inner);
    }
    return T3D_OK;
}

/* --- features of a number: cos and sin of t scale max_period^(-i / half) -------------------------
 */

static int sine_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_sine_attr *a = c->attr;
    struct t3d_shape *y = &c->out_shape[0];

    if (a->width < 2 || a->width % 2 || !(a->max_period > 1) || c->in_shape[0].n >= T3D_MAX_AXES)
        return t3d_shape_error(c, err, "it needs an even width and a period above 1");
    *y = c->in_shape[0];
    y->dim[y->n++] = a->width;
    return T3D_OK;
}

static double frequency(const struct t3di_sine_attr *a, int i)
{
    return a->scale * exp(-log(a->max_period) * i / (a->width / 2));
}

static int sine_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_sine_attr *a = c->attr;
    int64_t n = t3d_shape_count(&c->in_shape[0]);
    const t3d_real *x = c->in[0];
    t3d_real *y = c->out[0];
    int half = a->width / 2;

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (n > 64)
    for (int64_t t = 0; t < n; t++)
        for (int i = 0; i < half; i++) {
            double angle = (double)x[t] * frequency(a, i);

            y[t * a->width + i] = (t3d_real)cos(angle);
            y[t * a->width + half + i] = (t3d_real)sin(angle);
        }
    return T3D_OK;
}

static int sine_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_sine_attr *a = c->attr;
    int64_t n = t3d_shape_count(&c->in_shape[0]);
    const t3d_real *gy = c->grad_out[0], *y = c->out[0];
    t3d_real *g = c->grad_in[0];
    int half = a->width / 2;

    (void)err;
    for (int64_t t = 0; t < n; t++) {
        const t3d_real *row = y + t * a->width, *grad = gy + t * a->width;
        double sum = 0;

        for (int i = 0; i < half; i++)
            sum += frequency(a, i) * (double)(grad[half + i] * row[i] - grad[i] * row[half + i]);
        g[t] += (t3d_real)sum;
    }
    return T3D_OK;
}

#define AXIS(number, is_mean)                                                                      \
    .attr = &(const struct t3di_axis_attr)                                                         \
    {                                                                                              \
        .axis = (number), .mean = (is_mean)                                                        \
    }

static const struct t3d_op_case cases[] = {
    {"rows", 1, {T3D_DIMS(2, 3, 37)}, AXIS(2, 0), .batch = 1},
    {"tokens", 1, {T3D_DIMS(2, 7, 130)}, AXIS(1, 1), .batch = 1},
    {"batch", 1, {T3D_DIMS(3, 5)}, AXIS(0, 1)},
    {"all", 1, {T3D_DIMS(3, 5, 7)}, AXIS(-1, 1)},
    {.name = NULL}};
static const struct t3d_op_case sine_cases[] = {
    {"time",
     1,
     {T3D_DIMS(5)},
     .attr = &(const struct t3di_sine_attr){8, 10, 1000},
     .lo = 0,
     .hi = 1,
     .batch = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_reduce = {.name = "reduce",
                                     .min_in = 1,
                                     .max_in = 1,
                                     .n_out = 1,
                                     .attr_size = sizeof(struct t3di_axis_attr),
                                     .shape = shape,
                                     .backend[T3D_CPU] = {.forward = forward, .backward = backward},
                                     .cases = cases};
const struct t3d_op t3d_op_sinusoid = {
    .name = "sinusoid",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(struct t3di_sine_attr),
    .shape = sine_shape,
    .backward_reads_out = 1,
    .backend[T3D_CPU] = {.forward = sine_forward, .backward = sine_backward},
    .cases = sine_cases};
