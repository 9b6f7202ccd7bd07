/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/gemm.h -- the plain matrix product: C (+)= A B by blocks, for any strides.
 *
 * An element of C is summed over k in order, in blocks of a fixed length, so its bits depend
 * neither on the number of threads nor on m and n (Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication", 2008, for the blocking). */
#ifndef T3D_NUM_CPU_GEMM_H
#define T3D_NUM_CPU_GEMM_H

#include "num/op.h"

struct t3di_gemm {
    int64_t m, n, k;
    const t3d_real *a; /* A(i, p) = a[i a_row + p a_col] */
    int64_t a_row, a_col;
    const t3d_real *b; /* B(p, j) = b[p b_row + j b_col] */
    int64_t b_row, b_col;
    t3d_real *c; /* C(i, j) = c[i c_row + j] */
    int64_t c_row;
    int add;                /* C += A B */
    const t3d_real *packed; /* B by t3di_gemm_pack, or NULL */
};

/* Bytes of scratch, 64-byte aligned. */
size_t t3di_gemm_work(int64_t m, int64_t n, int64_t k, int threads, int packed);
void t3di_gemm(const struct t3di_gemm *g, void *work, int threads);

/* The same on one thread for matrices of some hundred rows at most: nothing is packed but a B
 * without b_col = 1. Scratch is only needed for that. An element is summed over all of k in order:
 * not the bits of t3di_gemm where k is above its block. */
size_t t3di_gemm_small_work(int64_t n, int64_t k);
void t3di_gemm_small(const struct t3di_gemm *g, void *work);

/* Bytes of a packed B. */
size_t t3di_gemm_packed(int64_t n, int64_t k);
void t3di_gemm_pack(const struct t3di_gemm *g, t3d_real *to, int threads);

#endif
