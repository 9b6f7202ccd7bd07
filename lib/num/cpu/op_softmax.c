/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax over the last axis: y = exp(x - max) / sum; dx = y (gy - gy . y). */
#include "num/cpu/op_impl.h"

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    if (c->in_shape[0].n < 1)
        return t3d_shape_error(c, err, "the input needs an axis");
    return t3di_same_shape(c, err);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_kernel *k = t3di_kernel();
    const struct t3d_shape *s = &c->in_shape[0];
    int64_t rows = t3d_shape_part(s, 0, s->n - 1), n = s->dim[s->n - 1];
    const t3d_real *x = c->in[0];
    t3d_real *y = c->out[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t i = 0; i < rows; i++) {
        t3d_real sum = k->exp_sum(y + i * n, x + i * n, k->max(x + i * n, n), n);

        k->unary[T3DI_LINEAR](y + i * n, y + i * n, n, 1 / sum, 0);
    }
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_kernel *k = t3di_kernel();
    const struct t3d_shape *s = &c->in_shape[0];
    int64_t rows = t3d_shape_part(s, 0, s->n - 1), n = s->dim[s->n - 1];
    const t3d_real *y = c->out[0], *gy = c->grad_out[0];
    t3d_real *g = c->grad_in[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t i = 0; i < rows; i++) {
        t3d_real dot = k->dot(gy + i * n, y + i * n, n);

        k->binary_grad[T3DI_MUL][0](g + i * n, gy + i * n, y + i * n, 1, y + i * n, 1, n,
                                    c->grad_fresh[0]);
        k->axpy(g + i * n, -dot, y + i * n, n);
    }
    return T3D_OK;
}

static const struct t3d_op_case cases[] = {
    {"rows", 1, {T3D_DIMS(2, 3, 37)}, .lo = -4, .hi = 4},
    {"blocks", 1, {T3D_DIMS(131, 157)}, .lo = -4, .hi = 4, .batch = 1},
    {"bench", 1, {T3D_DIMS(16384, 1024)}, .lo = -4, .hi = 4, .bench = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_softmax = {
    .name = "softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = shape,
    .backward_reads_out = 1,
    .reuse_in = 1,
    .sets_grad = 1,
    .backend[T3D_CPU] = {.forward = forward, .backward = backward},
    .cases = cases};
