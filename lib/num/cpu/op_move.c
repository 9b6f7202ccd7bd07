/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that only move numbers: concat, slice, permute, patchify. Backward moves them back and adds.
 */
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

/* to[i step + ...] (+)= from: `rows` runs of n elements with a step between runs on each side. */
static void move(t3d_real *to, int64_t to_step, const t3d_real *from, int64_t from_step,
                 int64_t rows, int64_t n, int add, int threads)
{
#pragma omp parallel for num_threads(threads) if (rows * n > T3DI_BLOCK)
    for (int64_t i = 0; i < rows; i++) {
        if (add)
            t3di_kernel()->axpy(to + i * to_step, 1, from + i * from_step, n);
        else
            memcpy(to + i * to_step, from + i * from_step, (size_t)n * sizeof *to);
    }
}

static int axis_of(const struct t3d_call *c)
{
    return ((const struct t3di_axis_attr *)c->attr)->axis;
}

/* --- concat and slice ---------------------------------------------------------------------------
 */

static int concat_shape(struct t3d_call *c, struct t3d_err *err)
{
    struct t3d_shape *y = &c->out_shape[0];
    int axis = axis_of(c);

    *y = c->in_shape[0];
    if (axis < 0 || axis >= y->n)
        return t3d_shape_error(c, err, "there is no axis %d", axis);
    for (int i = 1; i < c->n_in; i++) {
        struct t3d_shape s = c->in_shape[i];
        int64_t more = axis < s.n ? s.dim[axis] : 0;

        s.dim[axis] = y->dim[axis];
        if (!c->in[i] || !t3d_shape_equal(&s, y))
            return t3d_shape_error(c, err, "the shapes differ in more than axis %d", axis);
        y->dim[axis] += more;
    }
    return T3D_OK;
}

static int concat_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *y = &c->out_shape[0];
    int64_t rows = t3d_shape_part(y, 0, axis_of(c)), row = t3d_shape_part(y, axis_of(c), y->n);
    t3d_real *to = c->out[0];

    (void)err;
    for (int i = 0; i < c->n_in; i++) {
        int64_t n = t3d_shape_part(&c->in_shape[i], axis_of(c), y->n);

        move(to, row, c->in[i], n, rows, n, 0, c->threads);
        to += n;
    }
    return T3D_OK;
}

static int concat_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *y = &c->out_shape[0];
    int64_t rows = t3d_shape_part(y, 0, axis_of(c)), row = t3d_shape_part(y, axis_of(c), y->n);
    const t3d_real *from = c->grad_out[0];

    (void)err;
    for (int i = 0; i < c->n_in; i++) {
        int64_t n = t3d_shape_part(&c->in_shape[i], axis_of(c), y->n);

        if (c->grad_in[i])
            move(c->grad_in[i], n, from, row, rows, n, 1, c->threads);
        from += n;
    }
    return T3D_OK;
}

static int slice_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_axis_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];

    if (a->axis < 0 || a->axis >= x->n || a->start < 0 || a->length < 1 ||
        a->start > x->dim[a->axis] - a->length)
        return t3d_shape_error(c, err, "%lld elements from %lld of axis %d are not there",
                               (long long)a->length, (long long)a->start, a->axis);
    c->out_shape[0] = *x;
    c->out_shape[0].dim[a->axis] = a->length;
    return T3D_OK;
}

struct cut {
    int64_t rows, x_row, y_row, first;
};

static struct cut cut_of(const struct t3d_call *c)
{
    const struct t3di_axis_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];
    int64_t inner = t3d_shape_part(x, a->axis + 1, x->n);

    return (struct cut){t3d_shape_part(x, 0, a->axis), x->dim[a->axis] * inner, a->length * inner,
                        a->start * inner};
}

static int slice_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct cut s = cut_of(c);

    (void)err;
    move(c->out[0], s.y_row, (const t3d_real *)c->in[0] + s.first, s.x_row, s.rows, s.y_row, 0,
         c->threads);
    return T3D_OK;
}

static int slice_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct cut s = cut_of(c);

    (void)err;
    move((t3d_real *)c->grad_in[0] + s.first, s.x_row, c->grad_out[0], s.y_row, s.rows, s.y_row, 1,
         c->threads);
    return T3D_OK;
}

/* --- permute: axis i of the result is axis order[i] of the input ---------------------------------
 */

static int permute_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_permute_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];
    unsigned seen = 0;

    c->out_shape[0] = *x;
    for (int i = 0; i < x->n; i++) {
        if (a->order[i] < 0 || a->order[i] >= x->n || seen >> a->order[i] & 1)
            return t3d_shape_error(c, err, "the order is no permutation of the %d axes", x->n);
        seen |= 1u << a->order[i];
        c->out_shape[0].dim[i] = x->dim[a->order[i]];
    }
    return T3D_OK;
}

/* Rows of y (its last axis) come from x with one step; back: x (+)= y. */
static void permute(const struct t3d_call *c, t3d_real *y, t3d_real *x, int back)
{
    const struct t3di_permute_attr *a = c->attr;
    const struct t3d_shape *sx = &c->in_shape[0], *sy = &c->out_shape[0];
    int64_t step[T3D_MAX_AXES], n = sy->n ? sy->dim[sy->n - 1] : 1;
    int64_t rows = t3d_shape_count(sy) / n;

    for (int i = 0; i < sy->n; i++)
        step[i] = t3d_shape_part(sx, a->order[i] + 1, sx->n);
#pragma omp parallel for num_threads(c->threads) if (rows * n > T3DI_BLOCK)
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = 0, left = r, s = sy->n ? step[sy->n - 1] : 1;
        t3d_real *row = y + r * n, *p;

        for (int i = sy->n - 2; i >= 0; i--) {
            at += left % sy->dim[i] * step[i];
            left /= sy->dim[i];
        }
        p = x + at;
        if (back)
            for (int64_t j = 0; j < n; j++)
                p[j * s] += row[j];
        else
            for (int64_t j = 0; j < n; j++)
                row[j] = p[j * s];
    }
}

static int permute_forward(const struct t3d_call *c, struct t3d_err *err)
{
    (void)err;
    permute(c, c->out[0], (t3d_real *)(uintptr_t)c->in[0], 0);
    return T3D_OK;
}

static int permute_backward(const struct t3d_call *c, struct t3d_err *err)
{
    (void)err;
    permute(c, (t3d_real *)(uintptr_t)c->grad_out[0], c->grad_in[0], 1);
    return T3D_OK;
}

/* --- patchify: pictures <-> rows of patches ------------------------------------------------------
 */

struct tiles {
    int64_t batch, channels, h, w, p;
    int last; /* channels last */
};

/* From the shape of the pictures. */
static struct tiles tiles_of(const struct t3d_shape *s, const struct t3di_patch_attr *a)
{
    int last = a->channels_last;

    return (struct tiles){
        s->dim[0], s->dim[last ? 3 : 1], s->dim[last ? 1 : 2], s->dim[last ? 2 : 3], a->patch,
        last};
}

static int patchify_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_patch_attr *a = c->attr;
    struct tiles t = tiles_of(&c->in_shape[0], a);

    if (c->in_shape[0].n != 4 || a->patch < 1 || t.h % a->patch || t.w % a->patch)
        return t3d_shape_error(c, err, "pictures of 4 axes do not divide into patches of %d",
                               a->patch);
    c->out_shape[0] = T3D_SHAPE(t.batch, t.h / t.p * (t.w / t.p), t.p * t.p * t.channels);
    return T3D_OK;
}

static int unpatchify_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_patch_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];
    int64_t p = a->patch, channels;

    if (x->n != 3 || p < 1 || a->height < 1 || a->width < 1 || a->height % p || a->width % p ||
        x->dim[1] != a->height / p * (a->width / p) || x->dim[2] % (p * p))
        return t3d_shape_error(c, err, "the rows are not the patches of %d of a %d x %d picture",
                               a->patch, a->width, a->height);
    channels = x->dim[2] / (p * p);
    c->out_shape[0] = a->channels_last ? T3D_SHAPE(x->dim[0], a->height, a->width, channels)
                                       : T3D_SHAPE(x->dim[0], channels, a->height, a->width);
    return T3D_OK;
}

static void copy_run(t3d_real *picture, t3d_real *patch, int64_t n, int to_picture, int add)
{
    t3d_real *to = to_picture ? picture : patch, *from = to_picture ? patch : picture;

    if (add)
        t3di_kernel()->axpy(to, 1, from, n);
    else
        memcpy(to, from, (size_t)n * sizeof *to);
}

/* A patch is (C, p, p), with channels last (p, p, C): runs of p, or p C, elements. */
static void patches(const struct tiles *t, t3d_real *picture, t3d_real *rows, int to_picture,
                    int add, int threads)
{
    int64_t across = t->w / t->p, count = t->h / t->p * across, area = t->p * t->p * t->channels;

#pragma omp parallel for num_threads(threads) if (t->batch * count * area > T3DI_BLOCK)
    for (int64_t i = 0; i < t->batch * count; i++) {
        int64_t b = i / count, y0 = i % count / across * t->p, x0 = i % across * t->p;
        t3d_real *patch = rows + i * area;

        for (int64_t k = 0; k < (t->last ? 1 : t->channels); k++)
            for (int64_t y = 0; y < t->p; y++) {
                int64_t run = t->last ? t->p * t->channels : t->p;
                int64_t at = t->last ? ((b * t->h + y0 + y) * t->w + x0) * t->channels
                                     : ((b * t->channels + k) * t->h + y0 + y) * t->w + x0;

                copy_run(picture + at, patch, run, to_picture, add);
                patch += run;
            }
    }
}

static int patchify_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct tiles t = tiles_of(&c->in_shape[0], c->attr);

    (void)err;
    patches(&t, (t3d_real *)(uintptr_t)c->in[0], c->out[0], 0, 0, c->threads);
    return T3D_OK;
}

static int patchify_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct tiles t = tiles_of(&c->in_shape[0], c->attr);

    (void)err;
    patches(&t, c->grad_in[0], (t3d_real *)(uintptr_t)c->grad_out[0], 1, 1, c->threads);
    return T3D_OK;
}

static int unpatchify_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct tiles t = tiles_of(&c->out_shape[0], c->attr);

    (void)err;
    patches(&t, c->out[0], (t3d_real *)(uintptr_t)c->in[0], 1, 0, c->threads);
    return T3D_OK;
}

static int unpatchify_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct tiles t = tiles_of(&c->out_shape[0], c->attr);

    (void)err;
    patches(&t, (t3d_real *)(uintptr_t)c->grad_out[0], c->grad_in[0], 0, 1, c->threads);
    return T3D_OK;
}

/* --- ops ----------------------------------------------------------------------------------------
 */

#define AXIS(...)                                                                                  \
    .attr = &(const struct t3di_axis_attr)                                                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define ORDER(...)                                                                                 \
    .attr = &(const struct t3di_permute_attr)                                                      \
    {                                                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define PATCH(...)                                                                                 \
    .attr = &(const struct t3di_patch_attr)                                                        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const struct t3d_op_case concat_cases[] = {
    {"tokens",
     3,
     {T3D_DIMS(2, 1, 5), T3D_DIMS(2, 3, 5), T3D_DIMS(2, 2, 5)},
     AXIS(1, 0, 0, 0),
     .batch = 7},
    {"last", 2, {T3D_DIMS(3, 2), T3D_DIMS(3, 4)}, AXIS(1, 0, 0, 0), .batch = 3},
    {"first", 2, {T3D_DIMS(3, 2), T3D_DIMS(1, 2)}, AXIS(0, 0, 0, 0)},
    {.name = NULL}};
static const struct t3d_op_case slice_cases[] = {
    {"middle", 1, {T3D_DIMS(2, 5, 3)}, AXIS(1, 1, 3, 0), .batch = 1},
    {"last", 1, {T3D_DIMS(2, 2, 6)}, AXIS(2, 4, 2, 0), .batch = 1},
    {.name = NULL}};
static const struct t3d_op_case permute_cases[] = {
    {"heads", 1, {T3D_DIMS(2, 3, 4, 5)}, ORDER(0, 2, 1, 3), .batch = 1},
    {"transpose", 1, {T3D_DIMS(7, 5)}, ORDER(1, 0)},
    {"all", 1, {T3D_DIMS(2, 3, 2, 3, 2)}, ORDER(4, 2, 0, 3, 1)},
    {.name = NULL}};
static const struct t3d_op_case patchify_cases[] = {
    {"channels first", 1, {T3D_DIMS(2, 3, 4, 6)}, PATCH(2, 0, 0, 0), .batch = 1},
    {"channels last", 1, {T3D_DIMS(2, 4, 6, 3)}, PATCH(2, 1, 0, 0), .batch = 1},
    {.name = NULL}};
static const struct t3d_op_case unpatchify_cases[] = {
    {"channels first", 1, {T3D_DIMS(2, 6, 12)}, PATCH(2, 0, 4, 6), .batch = 1},
    {"channels last", 1, {T3D_DIMS(2, 6, 12)}, PATCH(2, 1, 4, 6), .batch = 1},
    {.name = NULL}};

#define MOVE(title, most, attr, prefix)                                                            \
    {                                                                                              \
        .name = (title), .min_in = 1, .max_in = (most), .n_out = 1, .attr_size = sizeof(attr),     \
        .shape = prefix##_shape,                                                                   \
        .backend[T3D_CPU] = {.forward = prefix##_forward, .backward = prefix##_backward},          \
        .cases = prefix##_cases                                                                    \
    }

const struct t3d_op t3d_op_concat = MOVE("concat", T3D_MAX_IN, struct t3di_axis_attr, concat);
const struct t3d_op t3d_op_slice = MOVE("slice", 1, struct t3di_axis_attr, slice);
const struct t3d_op t3d_op_permute = MOVE("permute", 1, struct t3di_permute_attr, permute);
const struct t3d_op t3d_op_patchify = MOVE("patchify", 1, struct t3di_patch_attr, patchify);
const struct t3d_op t3d_op_unpatchify = MOVE("unpatchify", 1, struct t3di_patch_attr, unpatchify);
