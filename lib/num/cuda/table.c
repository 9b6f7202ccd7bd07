/* SPDX-License-Identifier: Apache-2.0 */
/* Which op runs by which functions: the ops' own files name no back end but the host's. */
#include <stddef.h>

#include "num/cuda/op.h"
#include "num/cuda_impl.h"

static const struct {
    const struct t3d_op *first;
    int n; /* neighbours that share the functions */
    const struct t3d_op_backend *run;
} table[] = {
    {&t3d_op_matmul, 1, &t3di_cuda_matmul},
    {&t3d_op_matmul_act, 1, &t3di_cuda_matmul},
    {&t3d_op_batch_matmul, 1, &t3di_cuda_batch_matmul},
    {t3d_op_unary, T3DI_N_UNARY, &t3di_cuda_unary_op},
    {t3d_op_binary, T3DI_N_BINARY, &t3di_cuda_binary_op},
    {&t3d_op_layer_norm, 1, &t3di_cuda_norm_op},
    {&t3d_op_rms_norm, 1, &t3di_cuda_norm_op},
    {&t3d_op_softmax, 1, &t3di_cuda_softmax_op},
    {&t3d_op_attend, 1, &t3di_cuda_attend_op},
    {&t3d_op_cross_entropy, 1, &t3di_cuda_entropy_op},
    {t3d_op_losses, T3DI_N_LOSSES, &t3di_cuda_loss_op},
    {&t3d_op_embedding, 1, &t3di_cuda_pick_op},
    {&t3d_op_gather, 1, &t3di_cuda_pick_op},
    {&t3d_op_scatter, 1, &t3di_cuda_scatter_op},
    {&t3d_op_concat, 1, &t3di_cuda_concat_op},
    {&t3d_op_slice, 1, &t3di_cuda_slice_op},
    {&t3d_op_permute, 1, &t3di_cuda_permute_op},
    {&t3d_op_patchify, 1, &t3di_cuda_patchify_op},
    {&t3d_op_unpatchify, 1, &t3di_cuda_unpatchify_op},
    {&t3d_op_reduce, 1, &t3di_cuda_reduce_op},
    {&t3d_op_sinusoid, 1, &t3di_cuda_sinusoid_op},
};

const struct t3d_op_backend *t3di_cuda_functions(const struct t3d_op *op)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int k = 0; k < table[i].n; k++)
            if (op == table[i].first + k)
                return table[i].run;
    return NULL;
}
