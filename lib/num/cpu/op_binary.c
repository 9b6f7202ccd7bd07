/* SPDX-License-Identifier: Apache-2.0 */
/* a op b with broadcasting. Axes that all three tensors walk alike are merged first, so that most
 * calls become one run, or rows against a row. */
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

/* Merged axes, outermost first; a step of 0 repeats. The last axis always exists. */
struct walk {
    int n;
    int64_t dim[T3D_MAX_AXES], a[T3D_MAX_AXES], b[T3D_MAX_AXES];
};

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *a = &c->in_shape[0], *b = &c->in_shape[1];
    struct t3d_shape *y = &c->out_shape[0];

    if (a->type != T3D_REAL || b->type != T3D_REAL)
        return t3d_shape_error(c, err, "both inputs must be real");
    *y = a->n >= b->n ? *a : *b;
    for (int i = 1; i <= y->n; i++) {
        int64_t p = i <= a->n ? a->dim[a->n - i] : 1, q = i <= b->n ? b->dim[b->n - i] : 1;

        if (p != q && p != 1 && q != 1)
            return t3d_shape_error(c, err, "sizes %lld and %lld of axis %d do not match",
                                   (long long)p, (long long)q, y->n - i);
        y->dim[y->n - i] = T3D_MAX(p, q);
    }
    return T3D_OK;
}

/* Step of the axis that is i-th from the end: 1 where the tensor has it, 0 where it repeats. */
static int has(const struct t3d_shape *s, int i)
{
    return i <= s->n && s->dim[s->n - i] != 1;
}

static struct walk walk_of(const struct t3d_call *c)
{
    const struct t3d_shape *a = &c->in_shape[0], *b = &c->in_shape[1], *y = &c->out_shape[0];
    struct walk w = {0};
    int64_t size_a = 1, size_b = 1;
    int had_a = -1, had_b = -1;
    struct walk r = {0}; /* innermost first */

    for (int i = 1; i <= y->n; i++) {
        int64_t dim = y->dim[y->n - i];

        if (dim == 1)
            continue;
        if (r.n && has(a, i) == had_a && has(b, i) == had_b) {
            r.dim[r.n - 1] *= dim;
        } else {
            had_a = has(a, i);
            had_b = has(b, i);
            r.dim[r.n] = dim;
            r.a[r.n] = had_a ? size_a : 0;
            r.b[r.n++] = had_b ? size_b : 0;
        }
        size_a *= had_a ? dim : 1;
        size_b *= had_b ? dim : 1;
    }
    if (!r.n)
        r.dim[r.n++] = 1;
    w.n = r.n;
    for (int i = 0; i < r.n; i++) {
        w.dim[i] = r.dim[r.n - 1 - i];
        w.a[i] = r.a[r.n - 1 - i];
        w.b[i] = r.b[r.n - 1 - i];
    }
    return w;
}

/* Offset of index `flat` over the axes up to `axes` with these steps. */
static int64_t offset(const struct walk *w, int axes, const int64_t *step, int64_t flat)
{
    int64_t o = 0;

    for (int i = axes - 1; i >= 0; i--) {
        o += flat % w->dim[i] * step[i];
        flat /= w->dim[i];
    }
    return o;
}

static int64_t outer(const struct walk *w)
{
    int64_t n = 1;

    for (int i = 0; i < w->n - 1; i++)
        n *= w->dim[i];
    return n;
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_binary_attr *attr = c->attr;
    const struct t3di_kernel *k = t3di_kernel();
    struct walk w = walk_of(c);
    int64_t rows = outer(&w), n = w.dim[w.n - 1], part = T3D_MIN(n, T3DI_BLOCK);
    int64_t parts = (n + part - 1) / part;
    int sa = w.a[w.n - 1] != 0, sb = w.b[w.n - 1] != 0;
    const t3d_real *a = c->in[0], *b = c->in[1];
    t3d_real *y = c->out[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t t = 0; t < rows * parts; t++) {
        int64_t row = t / parts, at = t % parts * part;

        k->binary[attr->kind](y + row * n + at, a + offset(&w, w.n - 1, w.a, row) + (sa ? at : 0),
                              sa, b + offset(&w, w.n - 1, w.b, row) + (sb ? at : 0), sb,
                              T3D_MIN(part, n - at));
    }
    return T3D_OK;
}

/* The gradient of one operand: its own axes are kept, the others summed. */
struct side {
    const struct t3d_call *c;
    struct walk w;
    const int64_t *step;   /* of this operand */
    int which, inner_kept; /* does the operand walk along the last axis? */
    int n_kept, n_summed;  /* outer axes, by kind */
    int kept[T3D_MAX_AXES], summed[T3D_MAX_AXES];
    int64_t keeps, sums; /* their products */
};

static struct side side_of(const struct t3d_call *c, int which)
{
    struct side s = {.c = c, .w = walk_of(c), .which = which, .keeps = 1, .sums = 1};
    const int64_t *step = which ? s.w.b : s.w.a;

    s.inner_kept = step[s.w.n - 1] != 0;
    for (int i = 0; i < s.w.n - 1; i++) {
        if (step[i]) {
            s.kept[s.n_kept++] = i;
            s.keeps *= s.w.dim[i];
        } else {
            s.summed[s.n_summed++] = i;
            s.sums *= s.w.dim[i];
        }
    }
    return s;
}

/* Indices of the outer axes from the kept and the summed one; returns the row of y. */
static int64_t row_of(const struct side *s, int64_t kept, int64_t summed)
{
    int64_t index[T3D_MAX_AXES] = {0}, row = 0;

    for (int i = s->n_kept - 1; i >= 0; i--) {
        index[s->kept[i]] = kept % s->w.dim[s->kept[i]];
        kept /= s->w.dim[s->kept[i]];
    }
    for (int i = s->n_summed - 1; i >= 0; i--) {
        index[s->summed[i]] = summed % s->w.dim[s->summed[i]];
        summed /= s->w.dim[s->summed[i]];
    }
    for (int i = 0; i < s->w.n - 1; i++)
        row = row * s->w.dim[i] + index[i];
    return row;
}

enum { PART = 1024 };

/* to (n) (+)= the contribution of row `row`, elements from `at`. */
static void contribution(const struct side *s, t3d_real *to, int64_t row, int64_t at, int64_t n,
                         int set)
{
    const struct t3d_call *c = s->c;
    const struct t3di_binary_attr *attr = c->attr;
    const struct walk *w = &s->w;
    int sa = w->a[w->n - 1] != 0, sb = w->b[w->n - 1] != 0;
    int64_t oa = offset(w, w->n - 1, w->a, row) + (sa ? at : 0);
    int64_t ob = offset(w, w->n - 1, w->b, row) + (sb ? at : 0);
    const t3d_real *a = c->in[0], *b = c->in[1], *gy = c->grad_out[0];
    t3d_real none = 0; /* sums have no use for the operands */

    t3di_kernel()->binary_grad[attr->kind][s->which](to, gy + row * w->dim[w->n - 1] + at,
                                                     a ? a + oa : &none, a ? sa : 0,
                                                     b ? b + ob : &none, b ? sb : 0, n, set);
}

/* A part of one kept row: the sum over the summed axes in order. */
static void sum_part(const struct side *s, t3d_real *g, int64_t kept, int64_t at, int64_t n)
{
    const struct t3di_kernel *k = t3di_kernel();
    t3d_real sum[PART];

    if (s->sums == 1) {
        contribution(s, g, row_of(s, kept, 0), at, n, s->c->grad_fresh[s->which]);
        return;
    }
    for (int64_t i = 0; i < s->sums; i++)
        contribution(s, sum, row_of(s, kept, i), at, n, i == 0);
    if (s->c->grad_fresh[s->which])
        memcpy(g, sum, (size_t)n * sizeof *g);
    else
        k->binary[T3DI_ADD](g, g, 1, sum, 1, n);
}

/* One element: the sum over the last axis, too. */
static t3d_real sum_all(const struct side *s, int64_t kept)
{
    const struct t3di_kernel *k = t3di_kernel();
    int64_t n = s->w.dim[s->w.n - 1];
    t3d_real part[PART], sum = 0;

    for (int64_t i = 0; i < s->sums; i++)
        for (int64_t at = 0; at < n; at += PART) {
            contribution(s, part, row_of(s, kept, i), at, T3D_MIN(PART, n - at), 1);
            sum += k->sum(part, T3D_MIN(PART, n - at));
        }
    return sum;
}

static void gradient(const struct t3d_call *c, int which)
{
    struct side s = side_of(c, which);
    t3d_real *g = c->grad_in[which];
    int64_t n = s.w.dim[s.w.n - 1], parts = (n + PART - 1) / PART;
    int64_t total = s.keeps * s.sums * n;

    if (s.inner_kept) {
#pragma omp parallel for num_threads(c->threads) if (total > T3DI_BLOCK)
        for (int64_t t = 0; t < s.keeps * parts; t++) {
            int64_t at = t % parts * PART;

            sum_part(&s, g + t / parts * n + at, t / parts, at, T3D_MIN(PART, n - at));
        }
    } else {
#pragma omp parallel for num_threads(c->threads) if (total > T3DI_BLOCK)
        for (int64_t t = 0; t < s.keeps; t++)
            g[t] = sum_all(&s, t) + (c->grad_fresh[which] ? 0 : g[t]);
    }
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    (void)err;
    for (int which = 0; which < 2; which++)
        if (c->grad_in[which])
            gradient(c, which);
    return T3D_OK;
}

#define ATTR(kind)                                                                                 \
    .attr = &(const struct t3di_binary_attr)                                                       \
    {                                                                                              \
        kind                                                                                       \
    }
#define CASES(kind)                                                                                \
    (const struct t3d_op_case[])                                                                   \
    {                                                                                              \
        {"same", 2, {T3D_DIMS(3, 37), T3D_DIMS(3, 37)}, ATTR(kind), .lo = 0.5, .hi = 2},           \
            {"row", 2, {T3D_DIMS(2, 3, 21), T3D_DIMS(21)}, ATTR(kind), .lo = 0.5, .hi = 2},        \
            {"middle", 2, {T3D_DIMS(2, 3, 5), T3D_DIMS(2, 1, 5)}, ATTR(kind), .lo = 0.5, .hi = 2}, \
            {"column", 2, {T3D_DIMS(2, 3, 1), T3D_DIMS(2, 1, 5)}, ATTR(kind), .lo = 0.5, .hi = 2}, \
            {"few", 2, {T3D_DIMS(2, 1), T3D_DIMS(2, 3)}, ATTR(kind), .lo = 0.5, .hi = 2},          \
            {"scalar", 2, {T3D_DIMS(1), T3D_DIMS(2, 2, 19)}, ATTR(kind), .lo = 0.5, .hi = 2},      \
            {"bench",    2,         {T3D_DIMS(16384, 1024), T3D_DIMS(16384, 1024)},                \
             ATTR(kind), .lo = 0.5, .hi = 2,                                                       \
             .bench = 1},                                                                          \
        {                                                                                          \
            .name = NULL                                                                           \
        }                                                                                          \
    }
#define BINARY(kind, title, reads)                                                                 \
    [kind] = {.name = (title),                                                                     \
              .min_in = 2,                                                                         \
              .max_in = 2,                                                                         \
              .n_out = 1,                                                                          \
              .attr_size = sizeof(struct t3di_binary_attr),                                        \
              .shape = shape,                                                                      \
              .backward_reads_in = (reads),                                                        \
              .reuse_in = 3,                                                                       \
              .sets_grad = 3,                                                                      \
              .backend[T3D_CPU] = {.forward = forward, .backward = backward},                      \
              .cases = CASES(kind)}

const struct t3d_op t3d_op_binary[T3DI_N_BINARY] = {
    BINARY(T3DI_ADD, "add", 0), BINARY(T3DI_SUB, "sub", 0), BINARY(T3DI_MUL, "mul", 3),
    BINARY(T3DI_DIV, "div", 3)};
