/* SPDX-License-Identifier: Apache-2.0 */
/* Layer norm (Ba et al. 2016), RMS norm (Zhang and Sennrich 2019), group norm (Wu and He 2018).
 *
 * With h = (x - mean) rstd and y = h gamma + beta, for e = gy gamma over the n elements of a group:
 * dx = rstd (e - mean(e) - h mean(e h)); RMS norm has no mean and no mean(e). Gradients of gamma
 * and beta are summed over blocks of rows of a fixed length, then over the blocks in order. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

enum { X, GAMMA, BETA };
enum { ROWS = 32 }; /* of a block of gradients */

static double eps_of(const struct t3d_call *c)
{
    return ((const struct t3di_norm_attr *)c->attr)->eps;
}

static int is_rms(const struct t3d_call *c)
{
    return c->op == &t3d_op_rms_norm;
}

static int check_weights(struct t3d_call *c, int64_t n, struct t3d_err *err)
{
    for (int i = GAMMA; i < c->n_in; i++)
        if (c->in[i] && (c->in_shape[i].n != 1 || c->in_shape[i].dim[0] != n))
            return t3d_shape_error(c, err, "weights must have %lld elements", (long long)n);
    return t3di_same_shape(c, err);
}

/* out 1: (rows, 2) mean and rstd. */
static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X];

    if (x->n < 1)
        return t3d_shape_error(c, err, "the input needs an axis");
    c->out_shape[1] = T3D_SHAPE(t3d_shape_part(x, 0, x->n - 1), 2);
    return check_weights(c, x->dim[x->n - 1], err);
}

static void statistics(const t3d_real *x, int64_t n, int rms, double eps, t3d_real *mean,
                       t3d_real *rstd)
{
    const struct t3di_kernel *k = t3di_kernel();

    *mean = rms ? 0 : k->sum(x, n) / (t3d_real)n;
    *rstd = (t3d_real)(1 / sqrt((double)k->sum_squares(x, *mean, n) / (double)n + eps));
}

static void store(t3d_real *to, int64_t row, t3d_real mean, t3d_real rstd)
{
    if (to) {
        to[2 * row] = mean;
        to[2 * row + 1] = rstd;
    }
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[X];
    int64_t rows = t3d_shape_part(s, 0, s->n - 1), n = s->dim[s->n - 1];
    const t3d_real *x = c->in[X];
    t3d_real *y = c->out[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t i = 0; i < rows; i++) {
        t3d_real mean, rstd;

        statistics(x + i * n, n, is_rms(c), eps_of(c), &mean, &rstd);
        t3di_kernel()->normalise(y + i * n, x + i * n, mean, rstd, c->in[GAMMA], c->in[BETA], n);
        store(c->out[1], i, mean, rstd);
    }
    return T3D_OK;
}

static size_t work(const struct t3d_call *c, int backward)
{
    const struct t3d_shape *s = &c->in_shape[X];
    int64_t rows = t3d_shape_part(s, 0, s->n - 1), n = s->dim[s->n - 1];

    /* sums of gamma and beta for each block */
    return backward ? (size_t)(n * 2 * ((rows + ROWS - 1) / ROWS)) * sizeof(t3d_real) : 0;
}

struct rows {
    const t3d_real *x, *gy, *gamma, *stat;
    t3d_real *g; /* of x, or NULL */
    int64_t n;
    int rms, fresh;
};

static void block_gradient(const struct rows *r, int64_t from, int64_t to, t3d_real *sums)
{
    const struct t3di_kernel *k = t3di_kernel();
    int64_t n = r->n;

    memset(sums, 0, (size_t)(2 * n) * sizeof *sums);
    for (int64_t i = from; i < to; i++) {
        const t3d_real *gy = r->gy + i * n, *x = r->x + i * n;
        t3d_real mean = r->stat[2 * i], rstd = r->stat[2 * i + 1], sum[2];

        k->norm_sums(gy, x, mean, rstd, r->gamma, sums, sums + n, n, sum);
        if (r->g)
            k->norm_grad(r->g + i * n, gy, x, mean, rstd, r->gamma,
                         r->rms ? 0 : sum[0] / (t3d_real)n, sum[1] / (t3d_real)n, n, r->fresh);
    }
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[X];
    int64_t rows = t3d_shape_part(s, 0, s->n - 1), n = s->dim[s->n - 1];
    int64_t blocks = (rows + ROWS - 1) / ROWS;
    struct rows r = {c->in[X], c->grad_out[0], c->in[GAMMA],    c->out[1], c->grad_in[X],
                     n,        is_rms(c),      c->grad_fresh[X]};
    t3d_real *sums = c->work;

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t b = 0; b < blocks; b++)
        block_gradient(&r, b * ROWS, T3D_MIN(rows, (b + 1) * ROWS), sums + 2 * b * n);
    for (int64_t b = 0; b < blocks; b++) {
        if (c->grad_in[GAMMA])
            t3di_kernel()->axpy(c->grad_in[GAMMA], 1, sums + 2 * b * n, n);
        if (c->n_in > BETA && c->grad_in[BETA])
            t3di_kernel()->axpy(c->grad_in[BETA], 1, sums + 2 * b * n + n, n);
    }
    return T3D_OK;
}

/* --- group norm ------------------------------------------------------------------------------- */

struct groups {
    int64_t batch, channels, groups, area; /* area: elements of a channel */
};

static struct groups groups_of(const struct t3d_call *c)
{
    const struct t3d_shape *x = &c->in_shape[X];

    return (struct groups){x->dim[0], x->dim[1], ((const struct t3di_norm_attr *)c->attr)->groups,
                           t3d_shape_part(x, 2, x->n)};
}

static int group_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X];
    int groups = ((const struct t3di_norm_attr *)c->attr)->groups;

    if (x->n < 2 || groups < 1 || x->dim[1] % groups)
        return t3d_shape_error(c, err, "the channels (axis 1) do not divide into %d groups",
                               groups);
    c->out_shape[1] = T3D_SHAPE(x->dim[0] * groups, 2);
    return check_weights(c, x->dim[1], err);
}

static int group_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct groups s = groups_of(c);
    int64_t per = s.channels / s.groups, n = per * s.area;
    const t3d_real *gamma = c->in[GAMMA], *beta = c->in[BETA];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (s.batch * s.groups * n > T3DI_BLOCK)
    for (int64_t i = 0; i < s.batch * s.groups; i++) {
        const t3d_real *x = (const t3d_real *)c->in[X] + i * n;
        t3d_real *y = (t3d_real *)c->out[0] + i * n, mean, rstd;
        int64_t channel = i % s.groups * per;

        statistics(x, n, 0, eps_of(c), &mean, &rstd);
        store(c->out[1], i, mean, rstd);
        for (int64_t j = 0; j < per; j++) {
            t3d_real w = rstd * (gamma ? gamma[channel + j] : 1);

            t3di_kernel()->unary[T3DI_LINEAR](y + j * s.area, x + j * s.area, s.area, w,
                                              (beta ? beta[channel + j] : 0) - mean * w);
        }
    }
    return T3D_OK;
}

/* sums: of gy h and gy for each (image, channel). */
static size_t group_work(const struct t3d_call *c, int backward)
{
    struct groups s = groups_of(c);

    return backward ? (size_t)(2 * s.batch * s.channels) * sizeof(t3d_real) : 0;
}

static void group_gradient(const struct t3d_call *c, const struct groups *s, int64_t i)
{
    int64_t per = s->channels / s->groups, n = per * s->area, channel = i % s->groups * per;
    const t3d_real *x = (const t3d_real *)c->in[X] + i * n;
    const t3d_real *gy = (const t3d_real *)c->grad_out[0] + i * n, *gamma = c->in[GAMMA];
    const t3d_real *stat = (const t3d_real *)c->out[1] + 2 * i;
    t3d_real *sums = (t3d_real *)c->work + 2 * i * per, m1 = 0, m2 = 0;

    for (int64_t j = 0; j < per; j++) {
        t3d_real sum = t3di_kernel()->sum(gy + j * s->area, s->area);
        t3d_real w = gamma ? gamma[channel + j] : 1;

        sums[2 * j + 1] = sum;
        sums[2 * j] =
            (t3di_kernel()->dot(gy + j * s->area, x + j * s->area, s->area) - sum * stat[0]) *
            stat[1];
        m1 += w * sum;
        m2 += w * sums[2 * j];
    }
    m1 /= (t3d_real)n;
    m2 /= (t3d_real)n;
    for (int64_t j = 0; c->grad_in[X] && j < per; j++) {
        t3d_real w = stat[1] * (gamma ? gamma[channel + j] : 1), u = m2 * stat[1] * stat[1];
        t3d_real *g = (t3d_real *)c->grad_in[X] + i * n + j * s->area;

        for (int64_t p = 0; p < s->area; p++)
            g[p] += w * gy[j * s->area + p] - stat[1] * m1 - u * (x[j * s->area + p] - stat[0]);
    }
}

static int group_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct groups s = groups_of(c);
    const t3d_real *sums = c->work;
    t3d_real *gamma = c->grad_in[GAMMA], *beta = c->grad_in[BETA];

    (void)err;
#pragma omp parallel for num_threads(c->threads)
    for (int64_t i = 0; i < s.batch * s.groups; i++)
        group_gradient(c, &s, i);
    for (int64_t i = 0; i < s.batch * s.channels; i++) {
        if (gamma)
            gamma[i % s.channels] += sums[2 * i];
        if (beta)
            beta[i % s.channels] += sums[2 * i + 1];
    }
    return T3D_OK;
}

/* --- ops -------------------------------------------------------------------------------------- */

#define ATTR(eps, groups)                                                                          \
    .attr = &(const struct t3di_norm_attr)                                                         \
    {                                                                                              \
        (eps), (groups)                                                                            \
    }

static const struct t3d_op_case layer_cases[] = {
    {"weights", 3, {T3D_DIMS(2, 35, 21), T3D_DIMS(21), T3D_DIMS(21)}, ATTR(1e-5, 0)},
    {"bare", 3, {T3D_DIMS(4, 19)}, ATTR(1e-5, 0), .absent = 6},
    {"bench",
     3,
     {T3D_DIMS(16384, 1024), T3D_DIMS(1024), T3D_DIMS(1024)},
     ATTR(1e-5, 0),
     .bench = 1},
    {.name = NULL}};
static const struct t3d_op_case rms_cases[] = {
    {"weights", 2, {T3D_DIMS(35, 21), T3D_DIMS(21)}, ATTR(1e-6, 0)},
    {"bare", 2, {T3D_DIMS(2, 2, 19)}, ATTR(1e-6, 0), .absent = 2},
    {"blocks", 2, {T3D_DIMS(131, 157), T3D_DIMS(157)}, ATTR(1e-6, 0), .batch = 1},
    {"bench", 2, {T3D_DIMS(16384, 1024), T3D_DIMS(1024)}, ATTR(1e-6, 0), .bench = 1},
    {.name = NULL}};
static const struct t3d_op_case group_cases[] = {
    {"images", 3, {T3D_DIMS(2, 6, 3, 5), T3D_DIMS(6), T3D_DIMS(6)}, ATTR(1e-5, 3)},
    {"bare", 3, {T3D_DIMS(2, 4, 7)}, ATTR(1e-5, 2), .absent = 6},
    {.name = NULL}};

#define NORM(title, inputs, shape_fn, prefix, table)                                               \
    {                                                                                              \
        .name = (title), .min_in = 1, .max_in = (inputs), .n_out = 2,                              \
        .attr_size = sizeof(struct t3di_norm_attr), .shape = shape_fn,                             \
        .backward_reads_in = 1 << X | 1 << GAMMA, .backward_reads_out = 2, .aux_out = 2,           \
        .full_out = 2,                                                                             \
        .backend[T3D_CPU] = {.work = prefix##work,                                                 \
                             .forward = prefix##forward,                                           \
                             .backward = prefix##backward},                                        \
        .cases = table

const struct t3d_op t3d_op_layer_norm = NORM("layer_norm", 3, shape, , layer_cases), .sets_grad = 1
}
;
const struct t3d_op t3d_op_rms_norm = NORM("rms_norm", 2, shape, , rms_cases), .sets_grad = 1
}
;
const struct t3d_op t3d_op_group_norm = NORM("group_norm", 3, group_shape, group_, group_cases)
}
;
