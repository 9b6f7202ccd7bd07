/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/dnnl_impl.h -- oneDNN's matrix product, where it is built in and its bits are stable. */
#ifndef T3D_NUM_CPU_DNNL_IMPL_H
#define T3D_NUM_CPU_DNNL_IMPL_H

#include "num/cpu/kernel.h"

struct t3di_product; /* one primitive with its packed weights */

struct t3di_product_desc {
    int64_t m, n, k;
    int64_t a_row, a_col, b_row, b_col; /* strides as in gemm.h; C is (m, n) in C order */
    int bias;                           /* + bias (n) */
    enum t3di_unary act;                /* T3DI_N_UNARY = none; after the bias */
    int add;                            /* + what C holds */
    const t3d_real *constant;           /* B for good: packed now; else NULL */
};

/* 1 where the product may be used: AVX-512, where a result does not depend on the number of threads
 * nor on m (measured over 60 shapes; it does with AVX2's kernels), in float, unless
 * T3D_BLAS=plain. */
int t3di_product_usable(void);

/* Does oneDNN know this activation? */
int t3di_product_has(enum t3di_unary act);

/* c: the call that prepares, whose pool a constant B is packed into. */
int t3di_product_new(struct t3di_product **product, const struct t3di_product_desc *d,
                     struct t3d_call *c, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_product_free(struct t3di_product *p);
/* b is ignored where it is packed, bias where the description has none. */
int t3di_product_run(struct t3di_product *p, const t3d_real *a, const t3d_real *b,
                     const t3d_real *bias, t3d_real *c, struct t3d_err *err) T3D_MUST_CHECK;

/* "2.6.3 (avx512_core_bf16)", or NULL when it is not built in. */
const char *t3di_product_library(void);

#endif
