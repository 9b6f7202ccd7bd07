/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that only move numbers: walks over axes with steps on both sides. Backward is the same walk
 * with the sides changed, and adds. */
#include <stddef.h>

#include "num/cuda/context.h"
#include "num/cuda/op.h"

/* y over x: axes innermost first, as t3di_walk_add takes them. */
static void move(const struct t3d_call *c, struct t3di_dev y, struct t3di_dev x, struct t3di_walk w,
                 int back)
{
    t3di_walk_end(&w);
    if (back) {
        struct t3di_walk v = w;

        for (int i = 0; i < w.n; i++) {
            v.a[i] = w.b[i];
            v.b[i] = w.a[i];
        }
        t3di_cuda_move(x, y, &v, 1, c->stream);
    } else {
        t3di_cuda_move(y, x, &w, 0, c->stream);
    }
}

/* --- concat and slice
 * ------------------------------------------------------------------------------ */

/* `rows` runs of n, with a step between runs on each side. */
static struct t3di_walk runs(int64_t rows, int64_t n, int64_t y_row, int64_t x_row)
{
    struct t3di_walk w = {0};

    t3di_walk_add(&w, n, 1, 1);
    t3di_walk_add(&w, rows, y_row, x_row);
    return w;
}

static int axis_of(const struct t3d_call *c)
{
    return ((const struct t3di_axis_attr *)c->attr)->axis;
}

static int concat(const struct t3d_call *c, int back)
{
    const struct t3d_shape *s = &c->out_shape[0];
    int64_t rows = t3d_shape_part(s, 0, axis_of(c)), row = t3d_shape_part(s, axis_of(c), s->n);
    struct t3di_dev y = back ? t3di_grad_out(c, 0) : t3di_out(c, 0);
    int64_t first = 0;

    for (int i = 0; i < c->n_in; i++) {
        int64_t n = t3d_shape_part(&c->in_shape[i], axis_of(c), s->n);
        struct t3di_dev x = back ? t3di_grad_in(c, i) : t3di_in(c, i);

        if (x.p)
            move(c, t3di_at(y, first), x, runs(rows, n, row, n), back);
        first += n;
    }
    return T3D_OK;
}

static int slice(const struct t3d_call *c, int back)
{
    const struct t3di_axis_attr *a = c->attr;
    const struct t3d_shape *s = &c->in_shape[0];
    int64_t inner = t3d_shape_part(s, a->axis + 1, s->n);
    struct t3di_dev y = back ? t3di_grad_out(c, 0) : t3di_out(c, 0);
    struct t3di_dev x = back ? t3di_grad_in(c, 0) : t3di_in(c, 0);

    move(c, y, t3di_at(x, a->start * inner),
         runs(t3d_shape_part(s, 0, a->axis), a->length * inner, a->length * inner,
              s->dim[a->axis] * inner),
         back);
    return T3D_OK;
}

/* --- permute
 * ------------------------------------------------------------------------------------------ */

static int permute(const struct t3d_call *c, int back)
{
    const struct t3di_permute_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0], *y = &c->out_shape[0];
    struct t3di_walk w = {0};

    for (int i = y->n - 1; i >= 0; i--)
        t3di_walk_add(&w, y->dim[i], t3d_shape_part(y, i + 1, y->n),
                      t3d_shape_part(x, a->order[i] + 1, x->n));
    move(c, back ? t3di_grad_out(c, 0) : t3di_out(c, 0), back ? t3di_grad_in(c, 0) : t3di_in(c, 0),
         w, back);
    return T3D_OK;
}

/* --- patches: (B, H/p, W/p, a patch) over pictures
 * --------------------------------------------------------
 */

/* a = the rows' steps, b = the picture's. */
static struct t3di_walk patch_walk(const struct t3d_shape *s, const struct t3di_patch_attr *a)
{
    int last = a->channels_last;
    int64_t channels = s->dim[last ? 3 : 1], h = s->dim[last ? 1 : 2], w = s->dim[last ? 2 : 3];
    int64_t p = a->patch, area = p * p * channels;
    int64_t x = last ? channels : 1, y = x * w, channel = last ? 1 : h * w; /* a step of each */
    struct t3di_walk k = {0};

    if (last)
        t3di_walk_add(&k, channels, 1, channel);
    t3di_walk_add(&k, p, last ? channels : 1, x);
    t3di_walk_add(&k, p, last ? p * channels : p, y);
    if (!last)
        t3di_walk_add(&k, channels, p * p, channel);
    t3di_walk_add(&k, w / p, area, p * x);
    t3di_walk_add(&k, h / p, w / p * area, p * y);
    t3di_walk_add(&k, s->dim[0], h / p * (w / p) * area, channels * h * w);
    return k;
}

static void swap_sides(struct t3di_walk *w)
{
    for (int i = 0; i < w->n; i++) {
        int64_t a = w->a[i];

        w->a[i] = w->b[i];
        w->b[i] = a;
    }
}

static int patchify(const struct t3d_call *c, int back)
{
    move(c, back ? t3di_grad_out(c, 0) : t3di_out(c, 0), back ? t3di_grad_in(c, 0) : t3di_in(c, 0),
         patch_walk(&c->in_shape[0], c->attr), back);
    return T3D_OK;
}

static int unpatchify(const struct t3d_call *c, int back)
{
    struct t3di_walk w = patch_walk(&c->out_shape[0], c->attr);

    swap_sides(&w);
    move(c, back ? t3di_grad_out(c, 0) : t3di_out(c, 0), back ? t3di_grad_in(c, 0) : t3di_in(c, 0),
         w, back);
    return T3D_OK;
}

#define MOVE(name)                                                                                 \
    static int name##_forward(const struct t3d_call *c, struct t3d_err *err)                       \
    {                                                                                              \
        (void)err;                                                                                 \
        return name(c, 0);                                                                         \
    }                                                                                              \
    static int name##_backward(const struct t3d_call *c, struct t3d_err *err)                      \
    {                                                                                              \
        (void)err;                                                                                 \
        return name(c, 1);                                                                         \
    }                                                                                              \
    const struct t3d_op_backend t3di_cuda_##name##_op = {.forward = name##_forward,                \
                                                         .backward = name##_backward}

MOVE(concat);
MOVE(slice);
MOVE(permute);
MOVE(patchify);
MOVE(unpatchify);

/* --- rows by index
 * ------------------------------------------------------------------------------------ */

/* The many rows and the few, by op: an embedding's table is one sample. */
static struct t3di_cuda_pick pick_of(const struct t3d_call *c)
{
    const struct t3d_shape *many = c->op == &t3d_op_scatter ? &c->out_shape[0] : &c->in_shape[0];
    const struct t3d_shape *id = &c->in_shape[1];

    if (c->op == &t3d_op_embedding)
        return (struct t3di_cuda_pick){1, many->dim[0], t3d_shape_count(id), many->dim[1],
                                       c->in[1]};
    return (struct t3di_cuda_pick){many->dim[0], many->dim[1], id->dim[1],
                                   t3d_shape_part(many, 2, many->n), c->in[1]};
}

static int pick_prepare(struct t3d_call *c, struct t3d_err *err)
{
    c->state = t3di_cuda_claim(c->op->name, pick_of(c).many);
    return c->state ? T3D_OK : t3d_err_nomem(err, "checks of indices on the device");
}

static int pick_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_pick p = pick_of(c);
    struct t3di_cuda_check *check = c->state;

    (void)err;
    t3di_cuda_pick(t3di_out(c, 0), t3di_in(c, 0), &p, 0, &check->first, c->stream);
    return T3D_OK;
}

static int pick_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_pick p = pick_of(c);

    (void)err;
    t3di_cuda_spread(t3di_grad_in(c, 0), t3di_grad_out(c, 0), &p, NULL, c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_pick_op = {.prepare = pick_prepare,
                                                 .release = t3di_cuda_unclaim,
                                                 .forward = pick_forward,
                                                 .backward = pick_backward};

static int scatter_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_pick p = pick_of(c);
    struct t3di_cuda_check *check = c->state;

    (void)err;
    t3di_cuda_zero(t3di_out(c, 0), t3d_shape_count(&c->out_shape[0]), c->stream);
    t3di_cuda_spread(t3di_out(c, 0), t3di_in(c, 0), &p, &check->first, c->stream);
    return T3D_OK;
}

static int scatter_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_pick p = pick_of(c);

    (void)err;
    t3di_cuda_pick(t3di_grad_in(c, 0), t3di_grad_out(c, 0), &p, 1, NULL, c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_scatter_op = {.prepare = pick_prepare,
                                                    .release = t3di_cuda_unclaim,
                                                    .forward = scatter_forward,
                                                    .backward = scatter_backward};
