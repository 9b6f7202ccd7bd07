/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, fused: blocks of query rows against all keys, so that no (T, T) matrix of a batch is
 * ever stored; backward computes the probabilities again from the stored log sums (Dao et al.,
 * "FlashAttention", 2022, algorithm 4, with a whole row of keys a block).
 *
 * One task is a (sample, head, row block) forward and a (sample, head) backward, so that sums have
 * one order for any number of threads. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "num/cpu/gemm.h"
#include "num/cpu/op_impl.h"

enum { Q, K, V, MASK, BIAS };
enum { ROWS = 128 };
#define NOTHING 1e30 /* log sum of a row that sees no key: exp(s - NOTHING) = 0 */

struct size {
    int64_t batch, heads, tq, tk, width, d; /* width = heads d */
    int64_t q_row, k_row;                   /* elements between tokens */
    int causal, packed, bias_batch;
    t3d_real scale;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3di_attend_attr *a = c->attr;
    const struct t3d_shape *q = &c->in_shape[Q];
    struct size z = {.batch = q->dim[0],
                     .heads = a->heads,
                     .tq = q->dim[1],
                     .tk = a->packed ? q->dim[1] : c->in_shape[K].dim[1],
                     .width = a->packed ? q->dim[2] / 3 : q->dim[2],
                     .causal = a->causal,
                     .packed = a->packed,
                     .bias_batch = c->in_shape[BIAS].n == 4};

    z.d = z.width / z.heads;
    z.q_row = z.k_row = a->packed ? 3 * z.width : z.width;
    z.scale = (t3d_real)(a->scale > 0 ? a->scale : 1 / sqrt((double)z.d));
    return z;
}

static int check_bias(const struct t3d_call *c, const struct size *z, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[BIAS];
    struct t3d_shape three = T3D_SHAPE(z->heads, z->tq, z->tk);
    struct t3d_shape four = T3D_SHAPE(z->batch, z->heads, z->tq, z->tk);

    if (c->in[BIAS] && !t3d_shape_equal(s, &three) && !t3d_shape_equal(s, &four))
        return t3d_shape_error(c, err, "the bias must be (heads, Tq, Tk) or (B, heads, Tq, Tk)");
    return T3D_OK;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_attend_attr *a = c->attr;
    const struct t3d_shape *q = &c->in_shape[Q], *k = &c->in_shape[K];
    struct size z;

    if (q->n != 3 || a->heads < 1 || q->dim[2] % ((a->packed ? 3 : 1) * a->heads))
        return t3d_shape_error(c, err, "the last axis does not divide into %d heads", a->heads);
    if (!a->packed && (!c->in[K] || !c->in[V] || k->n != 3 || k->dim[0] != q->dim[0] ||
                       k->dim[2] != q->dim[2] || !t3d_shape_equal(k, &c->in_shape[V])))
        return t3d_shape_error(c, err, "q, k and v do not belong together");
    z = size_of(c);
    if (c->in[MASK] && !t3d_shape_equal(&c->in_shape[MASK], &T3D_SHAPE_INT(z.batch, z.tk)))
        return t3d_shape_error(c, err, "the mask must be (B, Tk) integers");
    if (z.causal && z.tq > z.tk)
        return t3d_shape_error(c, err, "causal attention needs a key for each query");
    c->out_shape[0] = T3D_SHAPE(z.batch, z.tq, z.width);
    c->out_shape[1] = T3D_SHAPE(z.batch, z.heads, z.tq);
    return check_bias(c, &z, err);
}

static double flops(const struct t3d_call *c)
{
    struct size z = size_of(c);

    return 4. * (double)z.batch * (double)z.tq * (double)z.tk * (double)z.width;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* One (ROWS, Tk) matrix. */
static size_t scores_bytes(const struct size *z)
{
    return rounded((size_t)(T3D_MIN(ROWS, z->tq) * z->tk) * sizeof(t3d_real));
}

static size_t scratch_of(const struct size *z, int backward)
{
    return scores_bytes(z) * (backward ? 2 : 1) + t3di_gemm_small_work(z->tk, z->d);
}

static size_t work(const struct t3d_call *c, int backward)
{
    struct size z = size_of(c);

    return scratch_of(&z, backward) * (size_t)c->threads;
}

/* --- one head ----------------------------------------------------------------------------------
 */

/* Rows and columns of one head of one sample, and the block of query rows [from, to). */
struct head {
    const struct t3d_call *c;
    struct size z;
    int64_t b, h, from, to;
    int64_t keys; /* that any row of the block sees */
    t3d_real *scores;
    void *gemm;
};

static const t3d_real *part(const struct head *h, int input)
{
    const struct size *z = &h->z;
    const t3d_real *p = h->c->in[z->packed ? Q : input];
    int64_t tokens = input == Q ? z->tq : z->tk;

    return p + h->b * tokens * z->q_row + (z->packed ? input * z->width : 0) + h->h * z->d;
}

static t3d_real *part_grad(const struct head *h, int input)
{
    const struct size *z = &h->z;
    t3d_real *p = h->c->grad_in[z->packed ? Q : input];
    int64_t tokens = input == Q ? z->tq : z->tk;

    return p ? p + h->b * tokens * z->q_row + (z->packed ? input * z->width : 0) + h->h * z->d
             : NULL;
}

static struct head head_at(const struct t3d_call *c, const struct size *z, int64_t b, int64_t h,
                           int64_t from, char *scratch)
{
    struct head r = {.c = c,
                     .z = *z,
                     .b = b,
                     .h = h,
                     .from = from,
                     .to = T3D_MIN(z->tq, from + ROWS),
                     .scores = (t3d_real *)scratch};

    r.keys = z->causal ? T3D_MIN(z->tk, z->tk - z->tq + r.to) : z->tk;
    return r;
}

static int64_t seen(const struct head *h, int64_t row)
{
    return h->z.causal ? h->z.tk - h->z.tq + row + 1 : h->z.tk;
}

/* Offset of a row of scores in the bias or its gradient. */
static int64_t bias_row(const struct head *h, int64_t row)
{
    int64_t first = h->z.bias_batch ? h->b * h->z.heads : 0;

    return ((first + h->h) * h->z.tq + row) * h->z.tk;
}

/* scores = scale q k^T + bias, -inf where the mask forbids; columns [0, keys). */
static void score(const struct head *h)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    const struct size *z = &h->z;
    const t3d_real *bias = h->c->in[BIAS];
    const int32_t *mask = h->c->in[MASK];

    t3di_gemm_small(&(struct t3di_gemm){.m = h->to - h->from,
                                        .n = h->keys,
                                        .k = z->d,
                                        .a = part(h, Q) + h->from * z->q_row,
                                        .a_row = z->q_row,
                                        .a_col = 1,
                                        .b = part(h, K),
                                        .b_row = 1,
                                        .b_col = z->k_row,
                                        .c = h->scores,
                                        .c_row = z->tk},
                    h->gemm);
    for (int64_t i = h->from; i < h->to; i++) {
        t3d_real *s = h->scores + (i - h->from) * z->tk;

        kernel->unary[T3DI_LINEAR](s, s, h->keys, z->scale, 0);
        if (bias)
            kernel->binary[T3DI_ADD](s, s, 1, bias + bias_row(h, i), 1, h->keys);
        for (int64_t j = 0; mask && j < h->keys; j++)
            if (!mask[h->b * z->tk + j])
                s[j] = -(t3d_real)INFINITY;
    }
}

/* Rows of scores to probabilities. log_sum: (rows) written, or NULL. */
static void soften(const struct head *h, t3d_real *log_sum)
{
    const struct t3di_kernel *kernel = t3di_kernel();

    for (int64_t i = h->from; i < h->to; i++) {
        t3d_real *s = h->scores + (i - h->from) * h->z.tk, most, sum = 0;
        int64_t n = seen(h, i);

        memset(s + n, 0, (size_t)(h->keys - n) * sizeof *s);
        most = kernel->max(s, n);
        if (most > -(t3d_real)INFINITY) {
            sum = kernel->exp_sum(s, s, most, n);
            kernel->unary[T3DI_LINEAR](s, s, n, 1 / sum, 0);
        } else {
            memset(s, 0, (size_t)n * sizeof *s); /* nothing to see */
        }
        if (log_sum)
            log_sum[i] = sum > 0 ? most + (t3d_real)log((double)sum) : (t3d_real)NOTHING;
    }
}

static void head_forward(const struct head *h)
{
    const struct size *z = &h->z;
    t3d_real *log_sum = h->c->out[1];

    score(h);
    soften(h, log_sum ? log_sum + (h->b * z->heads + h->h) * z->tq : NULL);
    t3di_gemm_small(&(struct t3di_gemm){.m = h->to - h->from,
                                        .n = z->d,
                                        .k = h->keys,
                                        .a = h->scores,
                                        .a_row = z->tk,
                                        .a_col = 1,
                                        .b = part(h, V),
                                        .b_row = z->k_row,
                                        .b_col = 1,
                                        .c = (t3d_real *)h->c->out[0] +
                                             (h->b * z->tq + h->from) * z->width + h->h * z->d,
                                        .c_row = z->width},
                    h->gemm);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    int64_t blocks = (z.tq + ROWS - 1) / ROWS;
    size_t one = scratch_of(&z, 0);

    (void)err;
#pragma omp parallel for num_threads(c->threads)
    for (int64_t t = 0; t < z.batch * z.heads * blocks; t++) {
        struct head h = head_at(c, &z, t / blocks / z.heads, t / blocks % z.heads,
                                t % blocks * ROWS, (char *)c->work + one * (size_t)t3di_thread());

        h.gemm = (char *)h.scores + scores_bytes(&z);
        head_forward(&h);
    }
    return T3D_OK;
}

/* --- backward ----------------------------------------------------------------------------------
 */

/* Scores to probabilities by the stored log sums. */
static void soften_again(const struct head *h)
{
    const t3d_real *log_sum = (const t3d_real *)h->c->out[1] + (h->b * h->z.heads + h->h) * h->z.tq;

    for (int64_t i = h->from; i < h->to; i++) {
        t3d_real *s = h->scores + (i - h->from) * h->z.tk;
        int64_t n = seen(h, i);

        memset(s + n, 0, (size_t)(h->keys - n) * sizeof *s);
        t3di_kernel()->exp_sum(s, s, log_sum[i], n); /* exp -inf = 0 where nothing is seen */
    }
}

/* ds = p (dp - do . o) in place of dp; the gradient of the bias; then ds *= scale. */
static void score_gradient(const struct head *h, t3d_real *dp)
{
    const struct t3di_kernel *kernel = t3di_kernel();
    const struct size *z = &h->z;
    const t3d_real *gy = h->c->grad_out[0], *y = h->c->out[0];
    t3d_real *bias = h->c->grad_in[BIAS];

    for (int64_t i = h->from; i < h->to; i++) {
        int64_t at = (h->b * z->tq + i) * z->width + h->h * z->d;
        t3d_real *ds = dp + (i - h->from) * z->tk;
        const t3d_real *p = h->scores + (i - h->from) * z->tk;
        t3d_real delta = kernel->dot(gy + at, y + at, z->d);

        kernel->unary[T3DI_LINEAR](ds, ds, h->keys, 1, -delta);
        kernel->binary[T3DI_MUL](ds, ds, 1, p, 1, h->keys);
        if (bias)
            kernel->axpy(bias + bias_row(h, i), 1, ds, h->keys);
        kernel->unary[T3DI_LINEAR](ds, ds, h->keys, z->scale, 0);
    }
}

/* dk += ds^T q, dv += p^T do: from (rows, keys) and (rows, d). */
static void key_gradient(const struct head *h, const t3d_real *s, const t3d_real *rows,
                         int64_t row_step, t3d_real *to)
{
    if (to)
        t3di_gemm_small(&(struct t3di_gemm){.m = h->keys,
                                            .n = h->z.d,
                                            .k = h->to - h->from,
                                            .a = s,
                                            .a_row = 1,
                                            .a_col = h->z.tk,
                                            .b = rows,
                                            .b_row = row_step,
                                            .b_col = 1,
                                            .c = to,
                                            .c_row = h->z.k_row,
                                            .add = 1},
                        h->gemm);
}

static void head_backward(const struct head *h, t3d_real *dp)
{
    const struct size *z = &h->z;
    const t3d_real *gy =
        (const t3d_real *)h->c->grad_out[0] + (h->b * z->tq + h->from) * z->width + h->h * z->d;
    t3d_real *dq = part_grad(h, Q);

    score(h);
    soften_again(h);
    t3di_gemm_small(&(struct t3di_gemm){.m = h->to - h->from,
                                        .n = h->keys,
                                        .k = z->d,
                                        .a = gy,
                                        .a_row = z->width,
                                        .a_col = 1,
                                        .b = part(h, V),
                                        .b_row = 1,
                                        .b_col = z->k_row,
                                        .c = dp,
                                        .c_row = z->tk},
                    h->gemm);
    key_gradient(h, h->scores, gy, z->width, part_grad(h, V));
    score_gradient(h, dp);
    key_gradient(h, dp, part(h, Q) + h->from * z->q_row, z->q_row, part_grad(h, K));
    if (dq)
        t3di_gemm_small(&(struct t3di_gemm){.m = h->to - h->from,
                                            .n = z->d,
                                            .k = h->keys,
                                            .a = dp,
                                            .a_row = z->tk,
                                            .a_col = 1,
                                            .b = part(h, K),
                                            .b_row = z->k_row,
                                            .b_col = 1,
                                            .c = dq + h->from * z->q_row,
                                            .c_row = z->q_row,
                                            .add = 1},
                        h->gemm);
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct size z = size_of(c);
    /* A bias shared by the batch gathers from all samples: then a task is a head of all. */
    int together = c->grad_in[BIAS] && !z.bias_batch;
    int64_t tasks = together ? z.heads : z.batch * z.heads;
    size_t one = scratch_of(&z, 1);

    (void)err;
#pragma omp parallel for num_threads(c->threads)
    for (int64_t t = 0; t < tasks; t++)
        for (int64_t b = together ? 0 : t / z.heads; b < (together ? z.batch : t / z.heads + 1);
             b++)
            for (int64_t from = 0; from < z.tq; from += ROWS) {
                struct head h = head_at(c, &z, b, t % z.heads, from,
                                        (char *)c->work + one * (size_t)t3di_thread());
                t3d_real *dp = h.scores + scores_bytes(&z) / sizeof(t3d_real);

                h.gemm = (char *)dp + scores_bytes(&z);
                head_backward(&h, dp);
            }
    return T3D_OK;
}

#define ATTR(heads, causal, packed, scale)                                                         \
    .attr = &(const struct t3di_attend_attr)                                                       \
    {                                                                                              \
        (heads), (causal), (packed), (scale)                                                       \
    }

static const struct t3d_op_case cases[] = {
    {"full",
     5,
     {T3D_DIMS(2, 3, 8), T3D_DIMS(2, 5, 8), T3D_DIMS(2, 5, 8)},
     ATTR(2, 0, 0, 0),
     .absent = 24,
     .batch = 7},
    {"packed", 5, {T3D_DIMS(2, 7, 24)}, ATTR(2, 0, 1, 0), .absent = 30, .batch = 1},
    {"packed, causal", 5, {T3D_DIMS(2, 7, 24)}, ATTR(2, 1, 1, 0.7), .absent = 30, .batch = 1},
    {"causal, few queries",
     5,
     {T3D_DIMS(2, 3, 8), T3D_DIMS(2, 5, 8), T3D_DIMS(2, 5, 8)},
     ATTR(4, 1, 0, 0),
     .absent = 24,
     .batch = 7},
    {"mask and bias",
     5,
     {T3D_DIMS(3, 4, 6), T3D_DIMS(3, 5, 6), T3D_DIMS(3, 5, 6), T3D_DIMS_INT(3, 5),
      T3D_DIMS(2, 4, 5)},
     ATTR(2, 0, 0, 1),
     .int_below = 2,
     .batch = 15},
    {"bias of each sample",
     5,
     {T3D_DIMS(2, 12, 3), [BIAS] = T3D_DIMS(2, 1, 12, 12)},
     ATTR(1, 0, 1, 0),
     .absent = 14,
     .batch = 17},
    {"unseen", /* the mask is 0 everywhere */
     5,
     {T3D_DIMS(1, 2, 6), [MASK] = T3D_DIMS_INT(1, 2)},
     ATTR(1, 0, 1, 0),
     .absent = 22,
     .batch = 9},
    {"several blocks", 5, {T3D_DIMS(1, 150, 12)}, ATTR(2, 1, 1, 0), .absent = 30},
    {"clip b/32", 5, {T3D_DIMS(32, 50, 2304)}, ATTR(12, 0, 1, 0), .absent = 30, .bench = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_attend = {
    .name = "attend",
    .min_in = 1,
    .max_in = 5,
    .n_out = 2,
    .attr_size = sizeof(struct t3di_attend_attr),
    .shape = shape,
    .backward_reads_in = 31,
    .backward_reads_out = 3,
    .aux_out = 2,
    .full_out = 2,
    .flops = flops,
    .backend[T3D_CPU] = {.work = work, .forward = forward, .backward = backward},
    .cases = cases};
