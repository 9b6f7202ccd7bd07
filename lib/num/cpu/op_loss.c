/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: cross entropy of rows, and weighted means of a function of differences. Sums run over
 * blocks of a fixed length, then over the blocks in order, in double. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

/* --- cross entropy: logits (R, C), targets (R) -> mean of log sum exp - logit of the target ------
 */

struct rows {
    int64_t n, classes;
    const int32_t *target; /* NULL: the target of row i is i; below 0 = the row does not count */
};

static struct rows rows_of(const struct t3d_call *c)
{
    const struct t3d_shape *s = &c->in_shape[0];

    return (struct rows){s->dim[0], s->dim[1], c->in[1]};
}

static int64_t target_of(const struct rows *r, int64_t i)
{
    return r->target ? r->target[i] : i;
}

static int64_t counted(const struct rows *r)
{
    int64_t n = 0;

    for (int64_t i = 0; i < r->n; i++)
        n += target_of(r, i) >= 0;
    return T3D_MAX(n, 1);
}

static int entropy_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[0], *t = &c->in_shape[1];

    if (s->n != 2 || (c->in[1] && (t->n != 1 || t->dim[0] != s->dim[0] || t->type != T3D_INT)))
        return t3d_shape_error(c, err, "it takes logits (R, C) and R integers");
    if (!c->in[1] && s->dim[0] != s->dim[1])
        return t3d_shape_error(c, err, "without targets the logits must be square");
    c->out_shape[0] = T3D_SHAPE(1);
    c->out_shape[1] = T3D_SHAPE(s->dim[0]); /* log sum exp */
    return T3D_OK;
}

/* A row's loss and its exponentials. */
static size_t entropy_work(const struct t3d_call *c, int backward)
{
    struct rows r = rows_of(c);

    return (size_t)((backward ? 0 : r.n) + r.classes * c->threads) * sizeof(t3d_real);
}

static int check_targets(const struct rows *r, struct t3d_err *err)
{
    for (int64_t i = 0; r->target && i < r->n; i++)
        if (r->target[i] >= r->classes)
            return t3d_err_set(err, T3D_USAGE, "index-out-of-range",
                               "cross_entropy: target %d of row %lld is not below %lld",
                               r->target[i], (long long)i, (long long)r->classes);
    return T3D_OK;
}

static int entropy_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_kernel *k = t3di_kernel();
    struct rows r = rows_of(c);
    t3d_real *loss = c->work, *scratch = loss + r.n, *log_sum = c->out[1];
    const t3d_real *x = c->in[0];
    double sum = 0;
    int code = check_targets(&r, err);

    if (code < 0)
        return code;
#pragma omp parallel for num_threads(c->threads) if (r.n * r.classes > T3DI_BLOCK)
    for (int64_t i = 0; i < r.n; i++) {
        const t3d_real *row = x + i * r.classes;
        t3d_real most = k->max(row, r.classes);
        t3d_real e = k->exp_sum(scratch + t3di_thread() * r.classes, row, most, r.classes);
        t3d_real l = most + (t3d_real)log((double)e);
        int64_t t = target_of(&r, i);

        loss[i] = t < 0 ? 0 : l - row[t];
        if (log_sum)
            log_sum[i] = l;
    }
    for (int64_t i = 0; i < r.n; i++)
        sum += (double)loss[i];
    *(t3d_real *)c->out[0] = (t3d_real)(sum / (double)counted(&r));
    return T3D_OK;
}

/* dx = gy (softmax - one hot) / rows */
static int entropy_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_kernel *k = t3di_kernel();
    struct rows r = rows_of(c);
    const t3d_real *x = c->in[0], *log_sum = c->out[1];
    t3d_real scale = *(const t3d_real *)c->grad_out[0] / (t3d_real)counted(&r);

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (r.n * r.classes > T3DI_BLOCK)
    for (int64_t i = 0; i < r.n; i++) {
        t3d_real *p = (t3d_real *)c->work + t3di_thread() * r.classes;
        t3d_real *g = (t3d_real *)c->grad_in[0] + i * r.classes;
        int64_t t = target_of(&r, i);

        if (t < 0)
            continue;
        k->exp_sum(p, x + i * r.classes, log_sum[i], r.classes);
        p[t] -= 1;
        k->axpy(g, scale, p, r.classes);
    }
    return T3D_OK;
}

/* --- weighted mean of f(y - target) -------------------------------------------------------------
 */

enum { Y, TARGET, WEIGHT };

static int loss_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *y = &c->in_shape[Y], *w = &c->in_shape[WEIGHT];
    int fits = !c->in[WEIGHT] || (w->n <= y->n && w->type == T3D_REAL);

    if (y->type != T3D_REAL || !t3d_shape_equal(y, &c->in_shape[TARGET]))
        return t3d_shape_error(c, err, "the target must have the shape of the first input");
    for (int i = 0; fits && c->in[WEIGHT] && i < w->n; i++)
        fits = w->dim[i] == y->dim[i];
    if (!fits)
        return t3d_shape_error(c, err, "the weights' axes must be the first ones of the inputs");
    c->out_shape[0] = T3D_SHAPE(1);
    return T3D_OK;
}

/* f(d) and f'(d); Huber with its bend at delta, as d^2 / 2 inside (Huber 1964). */
static t3d_real value_of(const struct t3di_loss_attr *a, t3d_real d)
{
    t3d_real size = d < 0 ? -d : d, bend = (t3d_real)a->delta;

    if (a->kind == T3DI_MSE)
        return d * d;
    if (a->kind == T3DI_L1)
        return size;
    return size < bend ? d * d / 2 : bend * (size - bend / 2);
}

static t3d_real slope_of(const struct t3di_loss_attr *a, t3d_real d)
{
    t3d_real bend = (t3d_real)a->delta;

    if (a->kind == T3DI_MSE)
        return 2 * d;
    if (a->kind == T3DI_L1)
        return (t3d_real)((d > 0) - (d < 0));
    return T3D_CLAMP(d, -bend, bend);
}

enum { BLOCK = 4096 };

static size_t loss_work(const struct t3d_call *c, int backward)
{
    return backward
               ? 0
               : (size_t)((t3d_shape_count(&c->in_shape[Y]) + BLOCK - 1) / BLOCK) * sizeof(double);
}

/* Elements that share a weight. */
static int64_t share_of(const struct t3d_call *c)
{
    int64_t n = t3d_shape_count(&c->in_shape[Y]);

    return c->in[WEIGHT] ? n / t3d_shape_count(&c->in_shape[WEIGHT]) : n;
}

static int loss_forward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = t3d_shape_count(&c->in_shape[Y]), blocks = (n + BLOCK - 1) / BLOCK;
    int64_t share = share_of(c);
    const t3d_real *y = c->in[Y], *target = c->in[TARGET], *weight = c->in[WEIGHT];
    double *part = c->work, sum = 0;

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (n > T3DI_BLOCK)
    for (int64_t b = 0; b < blocks; b++) {
        t3d_real f[BLOCK];
        int64_t at = b * BLOCK, m = T3D_MIN(BLOCK, n - at);

        for (int64_t i = 0; i < m; i++)
            f[i] = value_of(c->attr, y[at + i] - target[at + i]);
        for (int64_t i = 0; weight && i < m; i++)
            f[i] *= weight[(at + i) / share];
        part[b] = (double)t3di_kernel()->sum(f, m);
    }
    for (int64_t b = 0; b < blocks; b++)
        sum += part[b];
    *(t3d_real *)c->out[0] = (t3d_real)(sum / (double)n);
    return T3D_OK;
}

static int loss_backward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = t3d_shape_count(&c->in_shape[Y]), share = share_of(c);
    const t3d_real *y = c->in[Y], *target = c->in[TARGET], *weight = c->in[WEIGHT];
    t3d_real *gy = c->grad_in[Y], *gt = c->grad_in[TARGET];
    t3d_real scale = *(const t3d_real *)c->grad_out[0] / (t3d_real)n;

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i++) {
        t3d_real d = scale * slope_of(c->attr, y[i] - target[i]) * (weight ? weight[i / share] : 1);

        if (gy)
            gy[i] += d;
        if (gt)
            gt[i] -= d;
    }
    return T3D_OK;
}

/* --- ops ----------------------------------------------------------------------------------------
 */

static const struct t3d_op_case entropy_cases[] = {
    {"targets", 2, {T3D_DIMS(5, 19), T3D_DIMS_INT(5)}, .int_below = 19},
    {"diagonal", 2, {T3D_DIMS(6, 6)}, .absent = 2},
    {.name = NULL}};

const struct t3d_op t3d_op_cross_entropy = {.name = "cross_entropy",
                                            .min_in = 1,
                                            .max_in = 2,
                                            .n_out = 2,
                                            .shape = entropy_shape,
                                            .backward_reads_in = 3,
                                            .backward_reads_out = 2,
                                            .aux_out = 2,
                                            .full_out = 2,
                                            .backend[T3D_CPU] = {.work = entropy_work,
                                                                 .forward = entropy_forward,
                                                                 .backward = entropy_backward},
                                            .cases = entropy_cases};

#define CASES(kind)                                                                                \
    (const struct t3d_op_case[])                                                                   \
    {                                                                                              \
        {"weights of samples",                                                                     \
         3,                                                                                        \
         {T3D_DIMS(4, 3, 5), T3D_DIMS(4, 3, 5), T3D_DIMS(4)},                                      \
         .attr = &(const struct t3di_loss_attr){(kind), 0.8},                                      \
         .frozen = 4},                                                                             \
            {"bare",                                                                               \
             3,                                                                                    \
             {T3D_DIMS(50, 101), T3D_DIMS(50, 101)},                                               \
             .attr = &(const struct t3di_loss_attr){(kind), 0.8},                                  \
             .absent = 4},                                                                         \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }
#define LOSS(id, title)                                                                            \
    [id] = {.name = (title),                                                                       \
            .min_in = 2,                                                                           \
            .max_in = 3,                                                                           \
            .n_out = 1,                                                                            \
            .attr_size = sizeof(struct t3di_loss_attr),                                            \
            .shape = loss_shape,                                                                   \
            .backward_reads_in = 7,                                                                \
            .backend[T3D_CPU] = {.work = loss_work,                                                \
                                 .forward = loss_forward,                                          \
                                 .backward = loss_backward},                                       \
            .cases = CASES(id)}

const struct t3d_op t3d_op_losses[T3DI_N_LOSSES] = {LOSS(T3DI_MSE, "mse"), LOSS(T3DI_L1, "l1"),
                                                    LOSS(T3DI_HUBER, "huber")};
