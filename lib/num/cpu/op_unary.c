/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one variable, element by element. */
#include <stddef.h>

#include "num/cpu/op_impl.h"

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_unary_attr *a = c->attr;

    (void)err;
    t3di_unary_run(a->kind, c->out[0], c->in[0], t3d_shape_count(&c->in_shape[0]), a->p, a->q,
                   c->threads);
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_unary_attr *a = c->attr;

    (void)err;
    t3di_unary_grad_run(a->kind, c->grad_in[0], c->grad_out[0], c->in[0],
                        t3d_shape_count(&c->in_shape[0]), a->p, a->q, c->grad_fresh[0], c->threads);
    return T3D_OK;
}

/* A small tensor with a tail, one of several blocks, and one for the bench. */
#define CASES(id, p, q, low, high)                                                                 \
    (const struct t3d_op_case[])                                                                   \
    {                                                                                              \
        {"small",           1,                                                                     \
         {T3D_DIMS(3, 37)}, .attr = &(const struct t3di_unary_attr){(id), (p), (q)},               \
         .lo = low,         .hi = high},                                                           \
            {"blocks",                                                                             \
             1,                                                                                    \
             {T3D_DIMS(3, 7001)},                                                                  \
             .attr = &(const struct t3di_unary_attr){(id), (p), (q)},                              \
             .lo = low,                                                                            \
             .hi = high},                                                                          \
            {"bench",                                                                              \
             1,                                                                                    \
             {T3D_DIMS(16384, 1024)},                                                              \
             .attr = &(const struct t3di_unary_attr){(id), (p), (q)},                              \
             .lo = low,                                                                            \
             .hi = high,                                                                           \
             .bench = 1},                                                                          \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }

#define UNARY(id, title, p, q, low, high)                                                          \
    [id] = {.name = (title),                                                                       \
            .min_in = 1,                                                                           \
            .max_in = 1,                                                                           \
            .n_out = 1,                                                                            \
            .attr_size = sizeof(struct t3di_unary_attr),                                           \
            .shape = t3di_same_shape,                                                              \
            .backward_reads_in = 1,                                                                \
            .reuse_in = 1,                                                                         \
            .sets_grad = 1,                                                                        \
            .backend[T3D_CPU] = {.forward = forward, .backward = backward},                        \
            .cases = CASES(id, p, q, low, high)}

const struct t3d_op t3d_op_unary[T3DI_N_UNARY] = {
    UNARY(T3DI_LINEAR, "linear", -1.5, 0.25, 0, 0),
    UNARY(T3DI_GELU_ERF, "gelu", 0, 0, -6, 6),
    UNARY(T3DI_GELU_TANH, "gelu_tanh", 0, 0, -6, 6),
    UNARY(T3DI_QUICK_GELU, "quick_gelu", 0, 0, -6, 6),
    UNARY(T3DI_SILU, "silu", 0, 0, -6, 6),
    UNARY(T3DI_RELU, "relu", 0, 0, 0, 0),
    UNARY(T3DI_SIGMOID, "sigmoid", 0, 0, -6, 6),
    UNARY(T3DI_TANH, "tanh", 0, 0, -3, 3),
    UNARY(T3DI_EXP, "exp", 0, 0, -4, 4),
    UNARY(T3DI_LOG, "log", 0, 0, 0.1, 9),
    UNARY(T3DI_SOFTPLUS, "softplus", 0, 0, -6, 6),
    UNARY(T3DI_CLAMP, "clamp", -0.5, 0.75, 0, 0),
};
