/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/product.h -- a product of matrices, planned once and run many times: by cuBLASLt, or by
 * our own loops where that is missing or does not take the shape. */
#ifndef T3D_NUM_CUDA_PRODUCT_H
#define T3D_NUM_CUDA_PRODUCT_H

#include "base/err.h"
#include "num/cuda/kernel.h"

enum t3di_cuda_epilogue {
    T3DI_CUDA_PLAIN,
    T3DI_CUDA_BIAS, /* + bias (n) */
    T3DI_CUDA_RELU, /* max(+ bias, 0); the bias may be absent */
    T3DI_CUDA_GELU  /* GELU's tanh form of the same */
};

struct t3di_cuda_product_desc {
    struct t3di_cuda_matrices of;
    int a_bf16, b_bf16, c_bf16;
    enum t3di_cuda_epilogue epilogue;
    int bias, bias_bf16; /* is there one? */
    int onto;            /* C starts from another matrix of C's layout (run's `from`) */
};

struct t3di_cuda_product;

int t3di_cuda_product_new(struct t3di_cuda_product **p, const struct t3di_cuda_product_desc *d,
                          struct t3d_err *err) T3D_MUST_CHECK;
void t3di_cuda_product_free(struct t3di_cuda_product *p);
/* Does it do the epilogue? If not it makes the bare product (onto and add as asked for). */
int t3di_cuda_product_fuses(const struct t3di_cuda_product *p);
/* from and bias are looked at only if the description names them. from may be c. */
int t3di_cuda_product_run(const struct t3di_cuda_product *p, struct t3di_dev c, struct t3di_dev a,
                          struct t3di_dev b, struct t3di_dev from, struct t3di_dev bias,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
