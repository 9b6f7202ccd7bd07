/* SPDX-License-Identifier: Apache-2.0 */
/* Rows picked by integers: embedding, gather, scatter. Sums into rows that are picked twice run in
 * the order of the picks. */
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

static int check_indices(const struct t3d_call *c, int input, int64_t below, struct t3d_err *err)
{
    const int32_t *id = c->in[input];
    int64_t n = t3d_shape_count(&c->in_shape[input]);

    for (int64_t i = 0; i < n; i++)
        if (id[i] < 0 || id[i] >= below)
            return t3d_err_set(err, T3D_USAGE, "index-out-of-range",
                               "%s: index %lld is %d, not in 0..%lld", c->op->name, (long long)i,
                               id[i], (long long)below - 1);
    return T3D_OK;
}

/* --- embedding: table (V, D), ids (...) -> (..., D) --------------------------------------------
 */

static int embed_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *table = &c->in_shape[0], *ids = &c->in_shape[1];

    if (table->n != 2 || ids->type != T3D_INT || ids->n >= T3D_MAX_AXES)
        return t3d_shape_error(c, err, "it takes a table (V, D) and integers");
    c->out_shape[0] = *ids;
    c->out_shape[0].type = T3D_REAL;
    c->out_shape[0].dim[c->out_shape[0].n++] = table->dim[1];
    return T3D_OK;
}

static int embed_forward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = t3d_shape_count(&c->in_shape[1]), d = c->in_shape[0].dim[1];
    const t3d_real *table = c->in[0];
    const int32_t *id = c->in[1];
    t3d_real *y = c->out[0];
    int r = check_indices(c, 1, c->in_shape[0].dim[0], err);

    if (r < 0)
        return r;
#pragma omp parallel for num_threads(c->threads) if (n * d > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * d, table + id[i] * d, (size_t)d * sizeof *y);
    return T3D_OK;
}

enum { COLUMNS = 64 };

/* Threads split the columns, since two rows may go to one place. */
static int embed_backward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = t3d_shape_count(&c->in_shape[1]), d = c->in_shape[0].dim[1];
    const t3d_real *gy = c->grad_out[0];
    const int32_t *id = c->in[1];
    t3d_real *g = c->grad_in[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (n * d > T3DI_BLOCK)
    for (int64_t j = 0; j < d; j += COLUMNS)
        for (int64_t i = 0; i < n; i++)
            t3di_kernel()->axpy(g + id[i] * d + j, 1, gy + i * d + j, T3D_MIN(COLUMNS, d - j));
    return T3D_OK;
}

/* --- gather: x (B, T, ...), index (B, K) -> (B, K, ...); scatter is its transpose ----------------
 */

struct pick {
    int64_t batch, many, few, width; /* many = T, few = K */
};

static int pick_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[0], *i = &c->in_shape[1];

    if (x->n < 2 || i->n != 2 || i->type != T3D_INT || i->dim[0] != x->dim[0])
        return t3d_shape_error(c, err, "it takes x (B, T, ...) and integers (B, K)");
    c->out_shape[0] = *x;
    return T3D_OK;
}

static int gather_shape(struct t3d_call *c, struct t3d_err *err)
{
    int r = pick_shape(c, err);

    c->out_shape[0].dim[1] = c->in_shape[1].dim[1];
    return r;
}

static int scatter_shape(struct t3d_call *c, struct t3d_err *err)
{
    int64_t many = ((const struct t3di_axis_attr *)c->attr)->length;
    int r = pick_shape(c, err);

    if (r < 0)
        return r;
    if (c->in_shape[1].dim[1] != c->in_shape[0].dim[1] || many < 1)
        return t3d_shape_error(c, err, "each of the K rows needs an index and a place");
    c->out_shape[0].dim[1] = many;
    return T3D_OK;
}

/* From the shapes of the longer tensor and the indices. */
static struct pick pick_of(const struct t3d_shape *longer, const struct t3d_shape *index)
{
    return (struct pick){longer->dim[0], longer->dim[1], index->dim[1],
                         t3d_shape_part(longer, 2, longer->n)};
}

/* few rows <- many rows; add: += */
static void pick(const struct pick *p, const int32_t *id, t3d_real *few, const t3d_real *many,
                 int add, int threads)
{
    int64_t w = p->width;

#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < p->batch * p->few; i++) {
        const t3d_real *from = many + (i / p->few * p->many + id[i]) * w;

        if (add)
            t3di_kernel()->axpy(few + i * w, 1, from, w);
        else
            memcpy(few + i * w, from, (size_t)w * sizeof *few);
    }
}

/* many rows += few rows, a sample a task */
static void spread(const struct pick *p, const int32_t *id, t3d_real *many, const t3d_real *few,
                   int threads)
{
    int64_t w = p->width;

#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t i = b * p->few; i < (b + 1) * p->few; i++)
            t3di_kernel()->axpy(many + (b * p->many + id[i]) * w, 1, few + i * w, w);
}

static int gather_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct pick p = pick_of(&c->in_shape[0], &c->in_shape[1]);
    int r = check_indices(c, 1, p.many, err);

    if (r == T3D_OK)
        pick(&p, c->in[1], c->out[0], c->in[0], 0, c->threads);
    return r;
}

static int gather_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct pick p = pick_of(&c->in_shape[0], &c->in_shape[1]);

    (void)err;
    spread(&p, c->in[1], c->grad_in[0], c->grad_out[0], c->threads);
    return T3D_OK;
}

static int scatter_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct pick p = pick_of(&c->out_shape[0], &c->in_shape[1]);
    int r = check_indices(c, 1, p.many, err);

    if (r < 0)
        return r;
    memset(c->out[0], 0, t3d_shape_bytes(&c->out_shape[0]));
    spread(&p, c->in[1], c->out[0], c->in[0], c->threads);
    return T3D_OK;
}

static int scatter_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct pick p = pick_of(&c->out_shape[0], &c->in_shape[1]);

    (void)err;
    pick(&p, c->in[1], c->grad_in[0], c->grad_out[0], 1, c->threads);
    return T3D_OK;
}

static const struct t3d_op_case embed_cases[] = {
    {"tokens", 2, {T3D_DIMS(5, 70), T3D_DIMS_INT(2, 7)}, .int_below = 5, .batch = 2},
    {.name = NULL}};
static const struct t3d_op_case gather_cases[] = {
    {"rows", 2, {T3D_DIMS(2, 5, 3), T3D_DIMS_INT(2, 7)}, .int_below = 5, .batch = 3},
    {"numbers", 2, {T3D_DIMS(2, 5), T3D_DIMS_INT(2, 1)}, .int_below = 5, .batch = 3},
    {.name = NULL}};
static const struct t3d_op_case scatter_cases[] = {
    {"rows",
     2,
     {T3D_DIMS(2, 7, 3), T3D_DIMS_INT(2, 7)},
     .attr = &(const struct t3di_axis_attr){.length = 5},
     .int_below = 5,
     .batch = 3},
    {.name = NULL}};

const struct t3d_op t3d_op_embedding = {
    .name = "embedding",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = embed_shape,
    .backward_reads_in = 2,
    .backend[T3D_CPU] = {.forward = embed_forward, .backward = embed_backward},
    .cases = embed_cases};
const struct t3d_op t3d_op_gather = {
    .name = "gather",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .shape = gather_shape,
    .backward_reads_in = 2,
    .backend[T3D_CPU] = {.forward = gather_forward, .backward = gather_backward},
    .cases = gather_cases};
const struct t3d_op t3d_op_scatter = {
    .name = "scatter",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(struct t3di_axis_attr),
    .shape = scatter_shape,
    .backward_reads_in = 2,
    .backend[T3D_CPU] = {.forward = scatter_forward, .backward = scatter_backward},
    .cases = scatter_cases};
