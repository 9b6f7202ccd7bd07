/* SPDX-License-Identifier: Apache-2.0 */
/* y = scale a b for a batch of matrices: one thread a matrix when there are enough of them. */
#include <omp.h>
#include <stddef.h>

#include "num/cpu/gemm.h"
#include "num/cpu/op_impl.h"

struct size {
    int64_t batch, m, n, k;
    int transpose, inside; /* inside: the threads share each product */
    t3d_real scale;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3di_batch_attr *attr = c->attr;
    const struct t3d_shape *a = &c->in_shape[0], *y = &c->out_shape[0];
    struct size z = {.batch = t3d_shape_part(a, 0, a->n - 2),
                     .m = a->dim[a->n - 2],
                     .n = y->dim[y->n - 1],
                     .k = a->dim[a->n - 1],
                     .transpose = attr->transpose_b,
                     .scale = (t3d_real)attr->scale};

    z.inside = z.batch < c->threads;
    return z;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_batch_attr *attr = c->attr;
    const struct t3d_shape *a = &c->in_shape[0], *b = &c->in_shape[1];
    int n = a->n;

    if (n < 2 || b->n != n || a->type != T3D_REAL || b->type != T3D_REAL)
        return t3d_shape_error(c, err,
                               "both inputs must have the same number of axes, two or more");
    for (int i = 0; i < n - 2; i++)
        if (a->dim[i] != b->dim[i])
            return t3d_shape_error(c, err, "axis %d differs", i);
    if (a->dim[n - 1] != b->dim[attr->transpose_b ? n - 1 : n - 2])
        return t3d_shape_error(c, err, "the inner sizes differ");
    c->out_shape[0] = *a;
    c->out_shape[0].dim[n - 1] = b->dim[attr->transpose_b ? n - 2 : n - 1];
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    struct size z = size_of(c);

    return 2. * (double)z.batch * (double)z.m * (double)z.n * (double)z.k;
}

static size_t scratch_of(const struct size *z, int threads)
{
    int inner = z->inside ? threads : 1;
    size_t y = t3di_gemm_work(z->m, z->n, z->k, inner, 0);
    size_t da = t3di_gemm_work(z->m, z->k, z->n, inner, 0);
    size_t db = t3di_gemm_work(z->k, z->n, z->m, inner, 0);
    size_t dbt = t3di_gemm_work(z->n, z->k, z->m, inner, 0);

    y = T3D_MAX(y, da);
    db = T3D_MAX(db, dbt);
    return (T3D_MAX(y, db) + 63) / 64 * 64;
}

static size_t work(const struct t3d_call *c, int backward)
{
    struct size z = size_of(c);
    size_t gy = backward ? (t3d_shape_bytes(&c->out_shape[0]) + 63) / 64 * 64 : 0;

    return gy + scratch_of(&z, c->threads) * (size_t)(z.inside ? 1 : c->threads);
}

/* The product g of every matrix; strides are elements between matrices. */
static void each(const struct t3d_call *c, struct t3di_gemm g, const struct size *z, int64_t a_next,
                 int64_t b_next, int64_t c_next, char *scratch)
{
    size_t one = scratch_of(z, c->threads);

#pragma omp parallel for num_threads(c->threads) if (!z->inside)
    for (int64_t i = 0; i < z->batch; i++) {
        struct t3di_gemm h = g;

        h.a += i * a_next;
        h.b += i * b_next;
        h.c += i * c_next;
        t3di_gemm(&h, scratch + (z->inside ? 0 : one * (size_t)omp_get_thread_num()),
                  z->inside ? c->threads : 1);
    }
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    struct t3di_gemm g = {.m = z.m,
                          .n = z.n,
                          .k = z.k,
                          .a = c->in[0],
                          .a_row = z.k,
                          .a_col = 1,
                          .b = c->in[1],
                          .b_row = z.transpose ? 1 : z.n,
                          .b_col = z.transpose ? z.k : 1,
                          .c = c->out[0],
                          .c_row = z.n};

    (void)err;
    each(c, g, &z, z.m * z.k, z.k * z.n, z.m * z.n, c->work);
    if (z.scale != 1)
        t3di_unary_run(T3DI_LINEAR, c->out[0], c->out[0], z.batch * z.m * z.n, z.scale, 0,
                       c->threads);
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    int64_t mk = z.m * z.k, kn = z.k * z.n, mn = z.m * z.n;
    t3d_real *gy = c->work;
    char *scratch = (char *)c->work + (t3d_shape_bytes(&c->out_shape[0]) + 63) / 64 * 64;
    /* da = gy b^T; db = a^T gy, or for a transposed b: db = gy^T a */
    struct t3di_gemm da = {.m = z.m,
                           .n = z.k,
                           .k = z.n,
                           .a = gy,
                           .a_row = z.n,
                           .a_col = 1,
                           .b = c->in[1],
                           .b_row = z.transpose ? z.k : 1,
                           .b_col = z.transpose ? 1 : z.n,
                           .c = c->grad_in[0],
                           .c_row = z.k,
                           .add = 1};
    struct t3di_gemm db = {.m = z.k,
                           .n = z.n,
                           .k = z.m,
                           .a = c->in[0],
                           .a_row = 1,
                           .a_col = z.k,
                           .b = gy,
                           .b_row = z.n,
                           .b_col = 1,
                           .c = c->grad_in[1],
                           .c_row = z.n,
                           .add = 1};
    struct t3di_gemm dbt = {.m = z.n,
                            .n = z.k,
                            .k = z.m,
                            .a = gy,
                            .a_row = 1,
                            .a_col = z.n,
                            .b = c->in[0],
                            .b_row = z.k,
                            .b_col = 1,
                            .c = c->grad_in[1],
                            .c_row = z.k,
                            .add = 1};

    (void)err;
    t3di_unary_run(T3DI_LINEAR, gy, c->grad_out[0], z.batch * mn, z.scale, 0, c->threads);
    if (c->grad_in[0])
        each(c, da, &z, mn, kn, mk, scratch);
    if (c->grad_in[1] && z.transpose)
        each(c, dbt, &z, mn, mk, kn, scratch);
    else if (c->grad_in[1])
        each(c, db, &z, mk, mn, kn, scratch);
    return T3D_OK;
}

#define ATTR(transpose, scale)                                                                     \
    .attr = &(const struct t3di_batch_attr)                                                        \
    {                                                                                              \
        (transpose), (scale)                                                                       \
    }

static const struct t3d_op_case cases[] = {
    {"plain", 2, {T3D_DIMS(3, 4, 5), T3D_DIMS(3, 5, 6)}, ATTR(0, 1)},
    {"transposed", 2, {T3D_DIMS(2, 2, 4, 5), T3D_DIMS(2, 2, 6, 5)}, ATTR(1, 0.5)},
    {"one", 2, {T3D_DIMS(19, 35), T3D_DIMS(33, 35)}, ATTR(1, 2)},
    {.name = NULL}};

const struct t3d_op t3d_op_batch_matmul = {
    .name = "batch_matmul",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(struct t3di_batch_attr),
    .shape = shape,
    .backward_reads_in = 3,
    .flops = flops,
    .backend[T3D_CPU] = {.work = work, .forward = forward, .backward = backward},
    .cases = cases};
