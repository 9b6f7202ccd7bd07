/* SPDX-License-Identifier: Apache-2.0 */
/* num/ops.h -- the operations, as calls that build a graph.
 *
 * Shapes: B batch, T tokens, D width; "..." any leading axes. An argument that may be T3D_NONE is
 * marked optional. Gradients flow into every real input unless it says otherwise. Errors stick to
 * the graph (graph.h). */
#ifndef T3D_NUM_OPS_H
#define T3D_NUM_OPS_H

#include "num/graph.h"

enum t3d_act {
    T3D_ACT_NONE,
    T3D_ACT_GELU,       /* x Phi(x), by erf */
    T3D_ACT_GELU_TANH,  /* its tanh form */
    T3D_ACT_QUICK_GELU, /* x sigmoid(1.702 x), CLIP's */
    T3D_ACT_SILU,
    T3D_ACT_RELU
};

/* y (..., N) = act(x (..., K) w (N, K)^T + bias (N)) + residual (..., N); bias and residual
 * optional. A constant w is packed once. */
struct t3d_ref t3d_matmul(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                          struct t3d_ref bias, enum t3d_act act);
struct t3d_ref t3d_matmul_add(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                              struct t3d_ref bias, enum t3d_act act, struct t3d_ref residual);
/* y (..., M, N) = scale a (..., M, K) b (..., K, N), b (..., N, K) when transpose_b; the leading
 * axes are equal. */
struct t3d_ref t3d_batch_matmul(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b,
                                int transpose_b, double scale);

struct t3d_attention {
    int heads;
    int causal;   /* token i sees 0..i (with fewer queries than keys: counted from the end) */
    double scale; /* 0 = 1 / sqrt(D / heads) */
};
/* softmax(scale q k^T + bias) v by heads: q (B, Tq, D), k and v (B, Tk, D) -> (B, Tq, D).
 * mask (B, Tk) of integers, optional: keys that are 0 are not seen; a query that sees no key gives
 * 0. bias, optional: (heads, Tq, Tk), or (B, heads, Tq, Tk). */
struct t3d_ref t3d_attend(struct t3d_graph *g, struct t3d_ref q, struct t3d_ref k, struct t3d_ref v,
                          struct t3d_ref mask, struct t3d_ref bias,
                          const struct t3d_attention *attr);
/* The same from one tensor qkv (B, T, 3 D) = q | k | v. */
struct t3d_ref t3d_attend_packed(struct t3d_graph *g, struct t3d_ref qkv, struct t3d_ref mask,
                                 struct t3d_ref bias, const struct t3d_attention *attr);

/* Over the last axis; gamma, beta (D) optional. */
struct t3d_ref t3d_layer_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma,
                              struct t3d_ref beta, double eps);
struct t3d_ref t3d_rms_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma,
                            double eps);
/* x (B, C, ...) over groups of C / groups channels; gamma, beta (C) optional. */
struct t3d_ref t3d_group_norm(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref gamma,
                              struct t3d_ref beta, int groups, double eps);
/* Rows of the last axis to length 1: x / sqrt(sum x^2 + eps). */
struct t3d_ref t3d_unit_rows(struct t3d_graph *g, struct t3d_ref x, double eps);

/* Broadcasting as in NumPy: axes are matched from the last, a size of 1 repeats. */
struct t3d_ref t3d_add(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b);
struct t3d_ref t3d_sub(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b);
struct t3d_ref t3d_mul(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b);
struct t3d_ref t3d_div(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b);

struct t3d_ref t3d_linear(struct t3d_graph *g, struct t3d_ref x, double scale, double offset);
struct t3d_ref t3d_gelu(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_gelu_tanh(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_quick_gelu(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_silu(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_relu(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_sigmoid(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_tanh(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_exp(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_log(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_softplus(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_clamp(struct t3d_graph *g, struct t3d_ref x, double low, double high);
struct t3d_ref t3d_softmax(struct t3d_graph *g, struct t3d_ref x); /* over the last axis */

/* logits (R, C), targets (R) of integers -> mean over rows of log sum exp - logit of the target; a
 * row whose target is below 0 does not count. */
struct t3d_ref t3d_cross_entropy(struct t3d_graph *g, struct t3d_ref logits,
                                 struct t3d_ref targets);
/* CLIP's loss (Radford et al. 2021, figure 3): a and b (N, D) rows of length 1, row i of one
 * belongs to row i of the other; log_scale (1). Mean of both directions' cross entropies. */
struct t3d_ref t3d_contrastive(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b,
                               struct t3d_ref log_scale);
/* Mean of weight f(y - target). weight, optional, has y's first axes and gets no gradient. Huber is
 * d^2 / 2 up to delta, then linear. */
struct t3d_ref t3d_mse(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                       struct t3d_ref weight);
struct t3d_ref t3d_l1(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                      struct t3d_ref weight);
struct t3d_ref t3d_huber(struct t3d_graph *g, struct t3d_ref y, struct t3d_ref target,
                         struct t3d_ref weight, double delta);

/* table (V, D), ids (...) of integers -> (..., D). An id outside 0..V-1 fails the run. */
struct t3d_ref t3d_embedding(struct t3d_graph *g, struct t3d_ref table, struct t3d_ref ids);
/* x (B, T, ...), index (B, K) -> (B, K, ...): rows of each sample. */
struct t3d_ref t3d_gather(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref index);
/* x (B, K, ...), index (B, K) -> (B, length, ...): the sum of the rows sent to each place. */
struct t3d_ref t3d_scatter(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref index,
                           int64_t length);

struct t3d_ref t3d_concat(struct t3d_graph *g, const struct t3d_ref *x, int n, int axis);
struct t3d_ref t3d_slice(struct t3d_graph *g, struct t3d_ref x, int axis, int64_t start,
                         int64_t length);
/* n equal parts of an axis into part[]. */
void t3d_split(struct t3d_graph *g, struct t3d_ref x, int axis, int n, struct t3d_ref *part);
/* Axis i of the result is axis order[i] of x. */
struct t3d_ref t3d_permute(struct t3d_graph *g, struct t3d_ref x, const int *order);
/* Over one axis, which goes; axis -1 = everything, to (1). */
struct t3d_ref t3d_sum(struct t3d_graph *g, struct t3d_ref x, int axis);
struct t3d_ref t3d_mean(struct t3d_graph *g, struct t3d_ref x, int axis);

/* (B, C, H, W) -> (B, H/p W/p, C p p), a patch as (C, p, p): a convolution of stride p is then a
 * matmul with its weights as they are. channels_last: (B, H, W, C), a patch as (p, p, C). */
struct t3d_ref t3d_patchify(struct t3d_graph *g, struct t3d_ref x, int patch, int channels_last);
struct t3d_ref t3d_unpatchify(struct t3d_graph *g, struct t3d_ref x, int patch, int channels_last,
                              int height, int width);
/* t (...) -> (..., width): cos, then sin, of t scale max_period^(-i / (width / 2)). */
struct t3d_ref t3d_sinusoid(struct t3d_graph *g, struct t3d_ref t, int width, double scale,
                            double max_period);

/* Pictures of what follows are channels last, (B, H, W, C): a network that takes (B, C, H, W)
 * permutes once at its entrance. */
struct t3d_conv {
    int stride, dilation, groups; /* 0 = 1 */
    int pad_h, pad_w;             /* zeros on either side */
    int relu;                     /* max(y, 0) of the result */
};
/* x (B, H, W, C), w (O, C / groups, kh, kw), bias (O) optional -> (B, H', W', O),
 * H' = (H + 2 pad - dilation (kh - 1) - 1) / stride + 1, rounded down. The gradient is x's alone:
 * weights are frozen, and fastest as constants. */
struct t3d_ref t3d_conv2d(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref w,
                          struct t3d_ref bias, const struct t3d_conv *conv);

struct t3d_pooling {
    int kernel, pad;
    int stride;      /* 0 = kernel */
    int ceil_mode;   /* H' is rounded up, but no window starts behind the picture */
    int include_pad; /* an average counts the zeros of the padding */
};
/* Max: the gradient goes to the first of the largest. */
struct t3d_ref t3d_max_pool(struct t3d_graph *g, struct t3d_ref x, const struct t3d_pooling *p);
struct t3d_ref t3d_average_pool(struct t3d_graph *g, struct t3d_ref x, const struct t3d_pooling *p);

/* To (B, height, width, C). Pixel centres are matched, or with align_corners those of the corners;
 * no filter against aliasing (lib/image/resize.h has one, without a gradient). */
struct t3d_ref t3d_resize_bilinear(struct t3d_graph *g, struct t3d_ref x, int height, int width,
                                   int align_corners);
struct t3d_ref t3d_resize_nearest(struct t3d_graph *g, struct t3d_ref x, int height, int width);

/* One level of the orthonormal Haar transform, (B, H, W, C) -> (B, H / 2, W / 2, 4 C): the mean's
 * band, then those of horizontal, vertical and diagonal differences; and back. */
struct t3d_ref t3d_haar(struct t3d_graph *g, struct t3d_ref x);
struct t3d_ref t3d_haar_inverse(struct t3d_graph *g, struct t3d_ref x);

/* Every op of this file, for tests and benches; ends with NULL. */
extern const struct t3d_op *const t3d_ops[];

#endif
