/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/op_impl.h -- what the CPU ops share: attributes, and helpers for parallel passes. */
#ifndef T3D_NUM_CPU_OP_IMPL_H
#define T3D_NUM_CPU_OP_IMPL_H

#include "num/cpu/kernel.h"

/* --- attributes ------------------------------------------------------------------------------ */

struct t3di_matmul_attr {
    enum t3di_unary act; /* T3DI_N_UNARY = none */
};
struct t3di_batch_attr {
    int transpose_b;
    double scale;
};
struct t3di_attend_attr {
    int heads, causal, packed;
    double scale;
};
struct t3di_norm_attr {
    double eps;
    int groups;
};
struct t3di_unary_attr {
    enum t3di_unary kind;
    double p, q;
};
struct t3di_binary_attr {
    enum t3di_binary kind;
};

struct t3di_axis_attr {
    int axis; /* -1 = all, where that makes sense */
    int64_t start, length;
    int mean;
};
struct t3di_permute_attr {
    int order[T3D_MAX_AXES];
};
struct t3di_patch_attr {
    int patch, channels_last, height, width; /* height, width: of unpatchify's pictures */
};
struct t3di_sine_attr {
    int width;
    double scale, max_period;
};
struct t3di_conv_attr {
    int stride, pad_h, pad_w, dilation, groups, relu;
};
struct t3di_pool_attr {
    int kernel, stride, pad, ceil_mode, include_pad, max;
};
enum t3di_resize { T3DI_NEAREST, T3DI_BILINEAR, T3DI_BILINEAR_CORNERS };
struct t3di_resize_attr {
    enum t3di_resize mode;
    int height, width;
};
enum t3di_loss { T3DI_MSE, T3DI_L1, T3DI_HUBER, T3DI_N_LOSSES };
struct t3di_loss_attr {
    enum t3di_loss kind;
    double delta; /* Huber's bend */
};

extern const struct t3d_op t3d_op_matmul, t3d_op_matmul_act, t3d_op_batch_matmul;
extern const struct t3d_op t3d_op_attend, t3d_op_layer_norm, t3d_op_rms_norm, t3d_op_group_norm;
extern const struct t3d_op t3d_op_unary[T3DI_N_UNARY], t3d_op_binary[T3DI_N_BINARY];
extern const struct t3d_op t3d_op_softmax, t3d_op_cross_entropy, t3d_op_losses[T3DI_N_LOSSES];
extern const struct t3d_op t3d_op_embedding, t3d_op_gather, t3d_op_scatter;
extern const struct t3d_op t3d_op_concat, t3d_op_slice, t3d_op_permute;
extern const struct t3d_op t3d_op_patchify, t3d_op_unpatchify, t3d_op_reduce, t3d_op_sinusoid;
extern const struct t3d_op t3d_op_conv, t3d_op_pool, t3d_op_resize, t3d_op_haar;
extern const struct t3d_op t3d_op_haar_inverse;

/* --- helpers --------------------------------------------------------------------------------- */

/* out_shape[0] = in_shape[0]. */
int t3di_same_shape(struct t3d_call *c, struct t3d_err *err);

/* Index of the calling thread in its team. */
int t3di_thread(void);
/* g (n) += sum over rows of x (rows, n): in the order of the rows, threads split the columns. */
void t3di_add_columns(t3d_real *g, const t3d_real *x, int64_t rows, int64_t n, int threads);
/* g += x, or g = x. */
void t3di_add_into(t3d_real *g, const t3d_real *x, int64_t n, int set, int threads);
/* The unary kernels over all threads. */
void t3di_unary_run(enum t3di_unary kind, t3d_real *y, const t3d_real *x, int64_t n, double p,
                    double q, int threads);
void t3di_unary_grad_run(enum t3di_unary kind, t3d_real *g, const t3d_real *gy, const t3d_real *x,
                         int64_t n, double p, double q, int set, int threads);

#endif
