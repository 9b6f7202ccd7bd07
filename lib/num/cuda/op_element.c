/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that work element by element. */
#include <stddef.h>

#include "num/cuda/op.h"

/* --- walks ---------------------------------------------------------------------------------------
 */

void t3di_walk_add(struct t3di_walk *w, int64_t dim, int64_t a, int64_t b)
{
    int last = w->n - 1;

    if (dim == 1)
        return;
    if (w->n && w->a[last] * w->dim[last] == a && w->b[last] * w->dim[last] == b) {
        w->dim[last] *= dim;
        return;
    }
    w->dim[w->n] = dim;
    w->a[w->n] = a;
    w->b[w->n++] = b;
}

void t3di_walk_end(struct t3di_walk *w)
{
    if (!w->n) { /* a single number */
        w->n = 1;
        w->dim[0] = w->a[0] = w->b[0] = 1;
    }
    for (int i = 0, j = w->n - 1; i < j; i++, j--) {
        int64_t dim = w->dim[i], a = w->a[i], b = w->b[i];

        w->dim[i] = w->dim[j];
        w->a[i] = w->a[j];
        w->b[i] = w->b[j];
        w->dim[j] = dim;
        w->a[j] = a;
        w->b[j] = b;
    }
}

/* --- one variable
 * --------------------------------------------------------------------------------- */

static int unary_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_unary_attr *a = c->attr;

    (void)err;
    t3di_cuda_unary(a->kind, t3di_out(c, 0), t3di_in(c, 0), t3d_shape_count(&c->in_shape[0]),
                    (float)a->p, (float)a->q, c->stream);
    return T3D_OK;
}

static int unary_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_unary_attr *a = c->attr;

    (void)err;
    t3di_cuda_unary_grad(a->kind, t3di_grad_in(c, 0), t3di_grad_out(c, 0), t3di_in(c, 0),
                         t3d_shape_count(&c->in_shape[0]), (float)a->p, (float)a->q,
                         c->grad_fresh[0], c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_unary_op = {.forward = unary_forward,
                                                  .backward = unary_backward};

/* --- two variables
 * --------------------------------------------------------------------------------- */

/* Steps of both operands over the axes of the result; 0 where one repeats. */
static struct t3di_walk walk_of(const struct t3d_call *c)
{
    const struct t3d_shape *a = &c->in_shape[0], *b = &c->in_shape[1], *y = &c->out_shape[0];
    struct t3di_walk w = {0};
    int64_t size_a = 1, size_b = 1;

    for (int i = 1; i <= y->n; i++) {
        int64_t dim_a = i <= a->n ? a->dim[a->n - i] : 1;
        int64_t dim_b = i <= b->n ? b->dim[b->n - i] : 1;

        t3di_walk_add(&w, y->dim[y->n - i], dim_a == 1 ? 0 : size_a, dim_b == 1 ? 0 : size_b);
        size_a *= dim_a;
        size_b *= dim_b;
    }
    t3di_walk_end(&w);
    return w;
}

static int kind_of(const struct t3d_call *c)
{
    return ((const struct t3di_binary_attr *)c->attr)->kind;
}

static int binary_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_walk w = walk_of(c);

    (void)err;
    t3di_cuda_binary(kind_of(c), t3di_out(c, 0), t3di_in(c, 0), t3di_in(c, 1), &w, c->stream);
    return T3D_OK;
}

static size_t binary_work(const struct t3d_call *c, int backward)
{
    struct t3di_walk w = walk_of(c);
    int64_t a = c->grad_in[0] ? t3di_cuda_binary_work(&w, 0) : 0;
    int64_t b = c->grad_in[1] ? t3di_cuda_binary_work(&w, 1) : 0;

    return backward ? (size_t)T3D_MAX(a, b) : 0;
}

static int binary_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_walk w = walk_of(c);

    (void)err;
    for (int which = 0; which < 2; which++)
        if (c->grad_in[which])
            t3di_cuda_binary_grad(kind_of(c), which, t3di_grad_in(c, which), t3di_grad_out(c, 0),
                                  t3di_in(c, 0), t3di_in(c, 1), &w, c->grad_fresh[which], c->work,
                                  c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_binary_op = {
    .work = binary_work, .forward = binary_forward, .backward = binary_backward};
