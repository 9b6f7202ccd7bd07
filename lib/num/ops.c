/* SPDX-License-Identifier: Apache-2.0 */
#include "num/ops.h"

#include <math.h>
#include <stddef.h>

#include "num/cpu/op_impl.h"

static enum t3di_unary unary_of(enum t3d_act act)
{
    switch (act) {
    case T3D_ACT_GELU:
        return T3DI_GELU_ERF;
    case T3D_ACT_GELU_TANH:
        return T3DI_GELU_TANH;
    case T3D_ACT_QUICK_GELU:
        return T3DI_QUICK_GELU;
    case T3D_ACT_SILU:
        return T3DI_SILU;
    case T3D_ACT_RELU:
        return T3DI_RELU;
    case T3D_ACT_NONE:
        break;
    }
    return T3DI_N_UNARY;
}

struct t3d_ref t3d_matmul_add(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                              struct t3d_ref bias, enum t3d_act act, struct t3d_ref residual)
{
    struct t3di_matmul_attr attr = {unary_of(act)};
    struct t3d_ref in[] = {x, w, bias, residual};

    return t3d_graph_node(g, act == T3D_ACT_NONE ? &t3d_op_matmul : &t3d_op_matmul_act, &attr, in,
                          4);
}

struct t3d_ref t3d_matmul(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                          struct t3d_ref bias, enum t3d_act act)
{
    return t3d_matmul_add(g, x, w, bias, act, T3D_NONE);
}

struct t3d_ref t3d_batch_matmul(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b,
                                int transpose_b, double scale)
{
    struct t3di_batch_attr attr = {transpose_b, scale};
    struct t3d_ref in[] = {a, b};

    return t3d_graph_node(g, &t3d_op_batch_matmul, &attr, in, 2);
}

struct t3d_ref t3d_layer_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma,
                              struct t3d_ref beta, double eps)
{
    struct t3di_norm_attr attr = {eps, 0};
    struct t3d_ref in[] = {x, gamma, beta};

    return t3d_graph_node(g, &t3d_op_layer_norm, &attr, in, 3);
}

struct t3d_ref t3d_rms_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma, double eps)
{
    struct t3di_norm_attr attr = {eps, 0};
    struct t3d_ref in[] = {x, gamma};

    return t3d_graph_node(g, &t3d_op_rms_norm, &attr, in, 2);
}

struct t3d_ref t3d_group_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma,
                              struct t3d_ref beta, int groups, double eps)
{
    struct t3di_norm_attr attr = {eps, groups};
    struct t3d_ref in[] = {x, gamma, beta};

    return t3d_graph_node(g, &t3d_op_group_norm, &attr, in, 3);
}

/* x / sqrt(sum + eps) = rms_norm(x; eps / n) / sqrt n */
struct t3d_ref t3d_unit_rows(struct t3d_graph *g, struct t3d_ref x, double eps)
{
    struct t3d_shape s = t3d_graph_shape(g, x);
    double n = s.n ? (double)s.dim[s.n - 1] : 1;

    return t3d_linear(g, t3d_rms_norm(g, x, T3D_NONE, eps / n), 1 / sqrt(n), 0);
}

static struct t3d_ref binary(struct t3d_graph *g, enum t3di_binary kind, struct t3d_ref a,
                             struct t3d_ref b)
{
    struct t3di_binary_attr attr = {kind};
    struct t3d_ref in[] = {a, b};

    return t3d_graph_node(g, &t3d_op_binary[kind], &attr, in, 2);
}

struct t3d_ref t3d_add(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b)
{
    return binary(g, T3DI_ADD, a, b);
}

struct t3d_ref t3d_sub(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b)
{
    return binary(g, T3DI_SUB, a, b);
}

struct t3d_ref t3d_mul(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b)
{
    return binary(g, T3DI_MUL, a, b);
}

struct t3d_ref t3d_div(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b)
{
    return binary(g, T3DI_DIV, a, b);
}

static struct t3d_ref unary(struct t3d_graph *g, enum t3di_unary kind, struct t3d_ref x, double p,
                            double q)
{
    struct t3di_unary_attr attr = {kind, p, q};

    return t3d_graph_node(g, &t3d_op_unary[kind], &attr, &x, 1);
}

struct t3d_ref t3d_linear(struct t3d_graph *g, struct t3d_ref x, double scale, double offset)
{
    return unary(g, T3DI_LINEAR, x, scale, offset);
}

struct t3d_ref t3d_gelu(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_GELU_ERF, x, 0, 0);
}

struct t3d_ref t3d_gelu_tanh(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_GELU_TANH, x, 0, 0);
}

struct t3d_ref t3d_quick_gelu(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_QUICK_GELU, x, 0, 0);
}

struct t3d_ref t3d_silu(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_SILU, x, 0, 0);
}

struct t3d_ref t3d_relu(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_RELU, x, 0, 0);
}

struct t3d_ref t3d_sigmoid(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_SIGMOID, x, 0, 0);
}

struct t3d_ref t3d_tanh(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_TANH, x, 0, 0);
}

struct t3d_ref t3d_exp(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_EXP, x, 0, 0);
}

struct t3d_ref t3d_log(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_LOG, x, 0, 0);
}

struct t3d_ref t3d_softplus(struct t3d_graph *g, struct t3d_ref x)
{
    return unary(g, T3DI_SOFTPLUS, x, 0, 0);
}

struct t3d_ref t3d_clamp(struct t3d_graph *g, struct t3d_ref x, double low, double high)
{
    if (!(low <= high))
        return t3d_graph_fail(g, "clamp: low %g is above high %g", low, high);
    return unary(g, T3DI_CLAMP, x, low, high);
}

struct t3d_ref t3d_softmax(struct t3d_graph *g, struct t3d_ref x)
{
    return t3d_graph_node(g, &t3d_op_softmax, NULL, &x, 1);
}

const struct t3d_op *const t3d_ops[] = {&t3d_op_matmul,
                                        &t3d_op_matmul_act,
                                        &t3d_op_batch_matmul,
                                        &t3d_op_layer_norm,
                                        &t3d_op_rms_norm,
                                        &t3d_op_group_norm,
                                        &t3d_op_binary[T3DI_ADD],
                                        &t3d_op_binary[T3DI_SUB],
                                        &t3d_op_binary[T3DI_MUL],
                                        &t3d_op_binary[T3DI_DIV],
                                        &t3d_op_unary[T3DI_LINEAR],
                                        &t3d_op_unary[T3DI_GELU_ERF],
                                        &t3d_op_unary[T3DI_GELU_TANH],
                                        &t3d_op_unary[T3DI_QUICK_GELU],
                                        &t3d_op_unary[T3DI_SILU],
                                        &t3d_op_unary[T3DI_RELU],
                                        &t3d_op_unary[T3DI_SIGMOID],
                                        &t3d_op_unary[T3DI_TANH],
                                        &t3d_op_unary[T3DI_EXP],
                                        &t3d_op_unary[T3DI_LOG],
                                        &t3d_op_unary[T3DI_SOFTPLUS],
                                        &t3d_op_unary[T3DI_CLAMP],
                                        &t3d_op_softmax,
                                        NULL};
