/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/kernel.h -- the inner loops of the CPU ops, compiled once for each instruction set and
 * chosen at run time (T3D_ISA caps the choice). All are single-threaded; a result depends on the
 * arguments alone, never on alignment or neighbours. */
#ifndef T3D_NUM_CPU_KERNEL_H
#define T3D_NUM_CPU_KERNEL_H

#include <stdint.h>

#include "num/op.h"

/* y = f(x; p, q); the derivative is a function of x. */
enum t3di_unary {
    T3DI_LINEAR, /* p x + q */
    T3DI_GELU_ERF,
    T3DI_GELU_TANH,
    T3DI_QUICK_GELU,
    T3DI_SILU,
    T3DI_RELU,
    T3DI_SIGMOID,
    T3DI_TANH,
    T3DI_EXP,
    T3DI_LOG,
    T3DI_SOFTPLUS,
    T3DI_CLAMP, /* to [p, q] */
    T3DI_N_UNARY
};

enum t3di_binary { T3DI_ADD, T3DI_SUB, T3DI_MUL, T3DI_DIV, T3DI_N_BINARY };

struct t3di_kernel {
    const char *isa; /* "portable", "avx2", "avx512" */
    int mr, nr;      /* the tile of gemm */
    int small_rows;  /* the most that small takes */

    void (*unary[T3DI_N_UNARY])(t3d_real *y, const t3d_real *x, int64_t n, t3d_real p, t3d_real q);
    /* g (+)= gy f'(x); set: overwrite g. */
    void (*unary_grad[T3DI_N_UNARY])(t3d_real *g, const t3d_real *gy, const t3d_real *x, int64_t n,
                                     t3d_real p, t3d_real q, int set);
    /* y = a op b; a step of 0 repeats the first element. */
    void (*binary[T3DI_N_BINARY])(t3d_real *y, const t3d_real *a, int a_step, const t3d_real *b,
                                  int b_step, int64_t n);
    /* g (+)= gy d(a op b)/da, or db. */
    void (*binary_grad[T3DI_N_BINARY][2])(t3d_real *g, const t3d_real *gy, const t3d_real *a,
                                          int a_step, const t3d_real *b, int b_step, int64_t n,
                                          int set);
    void (*axpy)(t3d_real *y, t3d_real a, const t3d_real *x, int64_t n); /* y += a x */
    t3d_real (*sum)(const t3d_real *x, int64_t n);
    t3d_real (*dot)(const t3d_real *x, const t3d_real *y, int64_t n);
    t3d_real (*sum_squares)(const t3d_real *x, t3d_real mean, int64_t n); /* of x - mean */
    t3d_real (*max)(const t3d_real *x, int64_t n);
    /* y = exp(x - shift), returns the sum; y may be x. */
    t3d_real (*exp_sum)(t3d_real *y, const t3d_real *x, t3d_real shift, int64_t n);
    /* y = (x - mean) rstd [* gamma] [+ beta] */
    void (*normalise)(t3d_real *y, const t3d_real *x, t3d_real mean, t3d_real rstd,
                      const t3d_real *gamma, const t3d_real *beta, int64_t n);
    /* With h = (x - mean) rstd: by_gamma += gy h, by_beta += gy, sum = sums of gy gamma and of gy
     * gamma h; and g (+)= rstd (gy gamma - m1 - h m2). gamma may be NULL. */
    void (*norm_sums)(const t3d_real *gy, const t3d_real *x, t3d_real mean, t3d_real rstd,
                      const t3d_real *gamma, t3d_real *by_gamma, t3d_real *by_beta, int64_t n,
                      t3d_real sum[2]);
    void (*norm_grad)(t3d_real *g, const t3d_real *gy, const t3d_real *x, t3d_real mean,
                      t3d_real rstd, const t3d_real *gamma, t3d_real m1, t3d_real m2, int64_t n,
                      int set);
    /* C (m, n; row stride ldc) (+)= A B for packed panels a (k, mr) and b (k, nr). */
    void (*tile)(t3d_real *c, int64_t ldc, const t3d_real *a, const t3d_real *b, int64_t k, int m,
                 int n, int add);
    /* C (m <= small_rows, n <= nr) (+)= A B where they lie: A(i, p) = a[i a_row + p a_col], rows of
     * B b_row apart. */
    void (*small)(t3d_real *c, int64_t ldc, const t3d_real *a, int64_t a_row, int64_t a_col,
                  const t3d_real *b, int64_t b_row, int64_t k, int m, int64_t n, int add);
    void (*adamw)(t3d_real *w, t3d_real *m, t3d_real *v, const t3d_real *g, int64_t n,
                  const t3d_real step[6]);
};

/* The best for this processor. */
const struct t3di_kernel *t3di_kernel(void);

const struct t3di_kernel *t3di_kernel_portable(void);
const struct t3di_kernel *t3di_kernel_avx2(void);   /* NULL where it is not built */
const struct t3di_kernel *t3di_kernel_avx512(void); /* NULL where it is not built */

/* Elements of a task that a thread takes at once: small arrays stay in one thread. */
enum { T3DI_BLOCK = 16384 };

#endif
