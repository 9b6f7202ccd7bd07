/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/op.h -- what the CUDA ops share: operands of a call, walks over axes, and the functions
 * that the table names. */
#ifndef T3D_NUM_CUDA_OP_H
#define T3D_NUM_CUDA_OP_H

#include "num/cpu/op_impl.h"
#include "num/cuda/kernel.h"

static inline struct t3di_dev t3di_in(const struct t3d_call *c, int i)
{
    return (struct t3di_dev){(void *)(uintptr_t)c->in[i], c->in_storage[i] == T3D_BF16};
}

static inline struct t3di_dev t3di_out(const struct t3d_call *c, int k)
{
    return (struct t3di_dev){c->out[k], c->out_storage[k] == T3D_BF16};
}

static inline struct t3di_dev t3di_grad_in(const struct t3d_call *c, int i)
{
    return (struct t3di_dev){c->grad_in[i], c->grad_in_storage[i] == T3D_BF16};
}

static inline struct t3di_dev t3di_grad_out(const struct t3d_call *c, int k)
{
    return (struct t3di_dev){(void *)(uintptr_t)c->grad_out[k], c->out_storage[k] == T3D_BF16};
}

/* `offset` elements further on. */
static inline struct t3di_dev t3di_at(struct t3di_dev t, int64_t offset)
{
    return (struct t3di_dev){(char *)t.p + offset * (t.bf16 ? 2 : 4), t.bf16};
}

/* Size 1 axes go, neighbours that both sides walk alike become one. */
void t3di_walk_add(struct t3di_walk *w, int64_t dim, int64_t a, int64_t b); /* innermost first */
void t3di_walk_end(struct t3di_walk *w);                                    /* outermost first */

extern const struct t3d_op_backend t3di_cuda_matmul, t3di_cuda_batch_matmul;
extern const struct t3d_op_backend t3di_cuda_unary_op, t3di_cuda_binary_op;
extern const struct t3d_op_backend t3di_cuda_norm_op, t3di_cuda_softmax_op, t3di_cuda_attend_op;
extern const struct t3d_op_backend t3di_cuda_entropy_op, t3di_cuda_loss_op, t3di_cuda_reduce_op;
extern const struct t3d_op_backend t3di_cuda_concat_op, t3di_cuda_slice_op, t3di_cuda_permute_op;
extern const struct t3d_op_backend t3di_cuda_patchify_op, t3di_cuda_unpatchify_op;
extern const struct t3d_op_backend t3di_cuda_pick_op, t3di_cuda_scatter_op, t3di_cuda_sinusoid_op;

#endif
