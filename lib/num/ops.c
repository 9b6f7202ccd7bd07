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

static struct t3d_ref attend(struct t3d_graph *g, const struct t3d_ref in[5],
                             const struct t3d_attention *attr, int packed)
{
    struct t3di_attend_attr a = {attr->heads, attr->causal, packed, attr->scale};

    return t3d_graph_node(g, &t3d_op_attend, &a, in, 5);
}

struct t3d_ref t3d_attend(struct t3d_graph *g, struct t3d_ref q, struct t3d_ref k, struct t3d_ref v,
                          struct t3d_ref mask, struct t3d_ref bias,
                          const struct t3d_attention *attr)
{
    return attend(g, (struct t3d_ref[]){q, k, v, mask, bias}, attr, 0);
}

struct t3d_ref t3d_attend_packed(struct t3d_graph *g, struct t3d_ref qkv, struct t3d_ref mask,
                                 struct t3d_ref bias, const struct t3d_attention *attr)
{
    return attend(g, (struct t3d_ref[]){qkv, T3D_NONE, T3D_NONE, mask, bias}, attr, 1);
}

struct t3d_ref t3d_cross_entropy(struct t3d_graph *g, struct t3d_ref logits, struct t3d_ref targets)
{
    struct t3d_ref in[] = {logits, targets};

    return t3d_graph_node(g, &t3d_op_cross_entropy, NULL, in, 2);
}

struct t3d_ref t3d_contrastive(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b,
                               struct t3d_ref log_scale)
{
    static const int swap[] = {1, 0};
    struct t3d_ref logits = t3d_mul(g, t3d_batch_matmul(g, a, b, 1, 1), t3d_exp(g, log_scale));
    struct t3d_ref rows = t3d_cross_entropy(g, logits, T3D_NONE);
    struct t3d_ref columns = t3d_cross_entropy(g, t3d_permute(g, logits, swap), T3D_NONE);

    return t3d_linear(g, t3d_add(g, rows, columns), 0.5, 0);
}

static struct t3d_ref loss(struct t3d_graph *g, enum t3di_loss kind, struct t3d_ref y,
                           struct t3d_ref target, struct t3d_ref weight, double delta)
{
    struct t3di_loss_attr attr = {kind, delta};
    struct t3d_ref in[] = {y, target, weight};

    return t3d_graph_node(g, &t3d_op_losses[kind], &attr, in, 3);
}

struct t3d_ref t3d_mse(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                       struct t3d_ref weight)
{
    return loss(g, T3DI_MSE, y, target, weight, 0);
}

struct t3d_ref t3d_l1(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                      struct t3d_ref weight)
{
    return loss(g, T3DI_L1, y, target, weight, 0);
}

struct t3d_ref t3d_huber(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                         struct t3d_ref weight, double delta)
{
    return loss(g, T3DI_HUBER, y, target, weight, delta);
}

struct t3d_ref t3d_embedding(struct t3d_graph *g, struct t3d_ref table, struct t3d_ref ids)
{
    struct t3d_ref in[] = {table, ids};

    return t3d_graph_node(g, &t3d_op_embedding, NULL, in, 2);
}

struct t3d_ref t3d_gather(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref index)
{
    struct t3d_ref in[] = {x, index};

    return t3d_graph_node(g, &t3d_op_gather, NULL, in, 2);
}

struct t3d_ref t3d_scatter(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref index,
                           int64_t length)
{
    struct t3di_axis_attr attr = {.length = length};
    struct t3d_ref in[] = {x, index};

    return t3d_graph_node(g, &t3d_op_scatter, &attr, in, 2);
}

struct t3d_ref t3d_concat(struct t3d_graph *g, const struct t3d_ref *x, int n, int axis)
{
    struct t3di_axis_attr attr = {.axis = axis};

    return t3d_graph_node(g, &t3d_op_concat, &attr, x, n);
}

struct t3d_ref t3d_slice(struct t3d_graph *g, struct t3d_ref x, int axis, int64_t start,
                         int64_t length)
{
    struct t3di_axis_attr attr = {axis, start, length, 0};

    return t3d_graph_node(g, &t3d_op_slice, &attr, &x, 1);
}

void t3d_split(struct t3d_graph *g, struct t3d_ref x, int axis, int n, struct t3d_ref *part)
{
    struct t3d_shape s = t3d_graph_shape(g, x);
    int64_t size = axis >= 0 && axis < s.n && n > 0 ? s.dim[axis] : 0;

    if (!size || size % n)
        t3d_graph_fail(g, "axis %d of %lld elements does not split into %d", axis, (long long)size,
                       n);
    for (int i = 0; i < n; i++)
        part[i] = size % n ? T3D_NONE : t3d_slice(g, x, axis, i * (size / n), size / n);
}

struct t3d_ref t3d_permute(struct t3d_graph *g, struct t3d_ref x, const int *order)
{
    struct t3di_permute_attr attr = {{0}};
    struct t3d_shape s = t3d_graph_shape(g, x);

    for (int i = 0; i < s.n; i++)
        attr.order[i] = order[i];
    return t3d_graph_node(g, &t3d_op_permute, &attr, &x, 1);
}

static struct t3d_ref reduce(struct t3d_graph *g, struct t3d_ref x, int axis, int mean)
{
    struct t3di_axis_attr attr = {.axis = axis, .mean = mean};

    return t3d_graph_node(g, &t3d_op_reduce, &attr, &x, 1);
}

struct t3d_ref t3d_sum(struct t3d_graph *g, struct t3d_ref x, int axis)
{
    return reduce(g, x, axis, 0);
}

struct t3d_ref t3d_mean(struct t3d_graph *g, struct t3d_ref x, int axis)
{
    return reduce(g, x, axis, 1);
}

struct t3d_ref t3d_patchify(struct t3d_graph *g, struct t3d_ref x, int patch, int channels_last)
{
    struct t3di_patch_attr attr = {patch, channels_last, 0, 0};

    return t3d_graph_node(g, &t3d_op_patchify, &attr, &x, 1);
}

struct t3d_ref t3d_unpatchify(struct t3d_graph *g, struct t3d_ref x, int patch, int channels_last,
                              int height, int width)
{
    struct t3di_patch_attr attr = {patch, channels_last, height, width};

    return t3d_graph_node(g, &t3d_op_unpatchify, &attr, &x, 1);
}

struct t3d_ref t3d_sinusoid(struct t3d_graph *g, struct t3d_ref t, int width, double scale,
                            double max_period)
{
    struct t3di_sine_attr attr = {width, scale, max_period};

    return t3d_graph_node(g, &t3d_op_sinusoid, &attr, &t, 1);
}

struct t3d_ref t3d_conv2d(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                          struct t3d_ref bias, const struct t3d_conv *conv)
{
    struct t3di_conv_attr attr = {.stride = conv->stride ? conv->stride : 1,
                                  .pad_h = conv->pad_h,
                                  .pad_w = conv->pad_w,
                                  .dilation = conv->dilation ? conv->dilation : 1,
                                  .groups = conv->groups ? conv->groups : 1,
                                  .relu = conv->relu};
    struct t3d_ref in[] = {x, w, bias};

    return t3d_graph_node(g, &t3d_op_conv, &attr, in, 3);
}

static struct t3d_ref pool(struct t3d_graph *g, struct t3d_ref x, const struct t3d_pooling *p,
                           int max)
{
    struct t3di_pool_attr attr = {
        p->kernel, p->stride ? p->stride : p->kernel, p->pad, p->ceil_mode, p->include_pad, max};

    return t3d_graph_node(g, &t3d_op_pool, &attr, &x, 1);
}

struct t3d_ref t3d_max_pool(struct t3d_graph *g, struct t3d_ref x, const struct t3d_pooling *p)
{
    return pool(g, x, p, 1);
}

struct t3d_ref t3d_average_pool(struct t3d_graph *g, struct t3d_ref x, const struct t3d_pooling *p)
{
    return pool(g, x, p, 0);
}

static struct t3d_ref resize(struct t3d_graph *g, struct t3d_ref x, enum t3di_resize mode,
                             int height, int width)
{
    struct t3di_resize_attr attr = {mode, height, width};

    return t3d_graph_node(g, &t3d_op_resize, &attr, &x, 1);
}

struct t3d_ref t3d_resize_bilinear(struct t3d_graph *g, struct t3d_ref x, int height, int width,
                                   int align_corners)
{
    return resize(g, x, align_corners ? T3DI_BILINEAR_CORNERS : T3DI_BILINEAR, height, width);
}

struct t3d_ref t3d_resize_nearest(struct t3d_graph *g, struct t3d_ref x, int height, int width)
{
    return resize(g, x, T3DI_NEAREST, height, width);
}

struct t3d_ref t3d_haar(struct t3d_graph *g, struct t3d_ref x)
{
    return t3d_graph_node(g, &t3d_op_haar, NULL, &x, 1);
}

struct t3d_ref t3d_haar_inverse(struct t3d_graph *g, struct t3d_ref x)
{
    return t3d_graph_node(g, &t3d_op_haar_inverse, NULL, &x, 1);
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
                                        &t3d_op_attend,
                                        &t3d_op_cross_entropy,
                                        &t3d_op_losses[T3DI_MSE],
                                        &t3d_op_losses[T3DI_L1],
                                        &t3d_op_losses[T3DI_HUBER],
                                        &t3d_op_embedding,
                                        &t3d_op_gather,
                                        &t3d_op_scatter,
                                        &t3d_op_concat,
                                        &t3d_op_slice,
                                        &t3d_op_permute,
                                        &t3d_op_patchify,
                                        &t3d_op_unpatchify,
                                        &t3d_op_reduce,
                                        &t3d_op_sinusoid,
                                        &t3d_op_conv,
                                        &t3d_op_pool,
                                        &t3d_op_resize,
                                        &t3d_op_haar,
                                        &t3d_op_haar_inverse,
                                        NULL};
