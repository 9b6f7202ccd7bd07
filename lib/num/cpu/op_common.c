/* SPDX-License-Identifier: Apache-2.0 */
#include <omp.h>
#include <string.h>

#include "num/cpu/op_impl.h"

int t3di_same_shape(struct t3d_call *c, struct t3d_err *err)
{
    if (c->in_shape[0].type != T3D_REAL)
        return t3d_shape_error(c, err, "input 0 must be real");
    c->out_shape[0] = c->in_shape[0];
    return T3D_OK;
}

int t3di_thread(void)
{
    return omp_get_thread_num();
}

enum { COLUMNS = 128 };

void t3di_add_columns(t3d_real *g, const t3d_real *x, int64_t rows, int64_t n, int threads)
{
    const struct t3di_kernel *k = t3di_kernel();

#pragma omp parallel for num_threads(threads) if (rows * n > T3DI_BLOCK)
    for (int64_t j = 0; j < n; j += COLUMNS) {
        int64_t w = T3D_MIN(COLUMNS, n - j);
        t3d_real sum[COLUMNS] = {0};

        for (int64_t i = 0; i < rows; i++)
            k->axpy(sum, 1, x + i * n + j, w);
        k->axpy(g + j, 1, sum, w);
    }
}

void t3di_add_into(t3d_real *g, const t3d_real *x, int64_t n, int set, int threads)
{
    const struct t3di_kernel *k = t3di_kernel();

#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK) {
        int64_t m = T3D_MIN(T3DI_BLOCK, n - i);

        if (set)
            memcpy(g + i, x + i, (size_t)m * sizeof *g);
        else
            k->binary[T3DI_ADD](g + i, g + i, 1, x + i, 1, m);
    }
}

void t3di_unary_run(enum t3di_unary kind, t3d_real *y, const t3d_real *x, int64_t n, double p,
                    double q, int threads)
{
    const struct t3di_kernel *k = t3di_kernel();

#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK)
        k->unary[kind](y + i, x + i, T3D_MIN(T3DI_BLOCK, n - i), (t3d_real)p, (t3d_real)q);
}

void t3di_unary_grad_run(enum t3di_unary kind, t3d_real *g, const t3d_real *gy, const t3d_real *x,
                         int64_t n, double p, double q, int set, int threads)
{
    const struct t3di_kernel *k = t3di_kernel();

#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK)
        k->unary_grad[kind](g + i, gy + i, x + i, T3D_MIN(T3DI_BLOCK, n - i), (t3d_real)p,
                            (t3d_real)q, set);
}
