/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, softmax, sums, losses and sinusoidal features. */
#include <stddef.h>

#include "num/cuda/context.h"
#include "num/cuda/op.h"

/* --- norms ---------------------------------------------------------------------------------------
 */

enum { X, GAMMA, BETA };
static const struct t3di_dev none;

static int is_rms(const struct t3d_call *c)
{
    return c->op == &t3d_op_rms_norm;
}

static int64_t rows_of(const struct t3d_shape *s)
{
    return t3d_shape_part(s, 0, s->n - 1);
}

static int norm_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[X];
    const struct t3di_norm_attr *a = c->attr;

    (void)err;
    t3di_cuda_norm(t3di_out(c, 0), c->out[1], t3di_in(c, X), t3di_in(c, GAMMA),
                   c->n_in > BETA ? t3di_in(c, BETA) : none, rows_of(s), s->dim[s->n - 1],
                   is_rms(c), (float)a->eps, c->stream);
    return T3D_OK;
}

static size_t norm_work(const struct t3d_call *c, int backward)
{
    const struct t3d_shape *s = &c->in_shape[X];

    return backward ? (size_t)t3di_cuda_norm_work(rows_of(s), s->dim[s->n - 1]) : 0;
}

static int norm_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[X];
    struct t3di_dev beta = c->n_in > BETA ? t3di_grad_in(c, BETA) : none;

    (void)err;
    t3di_cuda_norm_grad(t3di_grad_in(c, X), t3di_grad_in(c, GAMMA), beta, t3di_grad_out(c, 0),
                        t3di_in(c, X), c->out[1], t3di_in(c, GAMMA), rows_of(s), s->dim[s->n - 1],
                        is_rms(c), c->grad_fresh[X], c->work, c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_norm_op = {
    .work = norm_work, .forward = norm_forward, .backward = norm_backward};

/* --- softmax
 * -------------------------------------------------------------------------------------- */

static int softmax_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[0];

    (void)err;
    t3di_cuda_softmax(t3di_out(c, 0), t3di_in(c, 0), rows_of(s), s->dim[s->n - 1], c->stream);
    return T3D_OK;
}

static int softmax_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *s = &c->in_shape[0];

    (void)err;
    t3di_cuda_softmax_grad(t3di_grad_in(c, 0), t3di_grad_out(c, 0), t3di_out(c, 0), rows_of(s),
                           s->dim[s->n - 1], c->grad_fresh[0], c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_softmax_op = {.forward = softmax_forward,
                                                    .backward = softmax_backward};

/* --- cross entropy
 * --------------------------------------------------------------------------------- */

static struct t3di_cuda_rows logits_of(const struct t3d_call *c)
{
    const struct t3d_shape *s = &c->in_shape[0];

    return (struct t3di_cuda_rows){t3di_in(c, 0), c->in[1], s->dim[0], s->dim[1]};
}

/* The state is where bad targets are written to. */
static int entropy_prepare(struct t3d_call *c, struct t3d_err *err)
{
    c->state = t3di_cuda_claim(c->op->name, c->in_shape[0].dim[1]);
    return c->state ? T3D_OK : t3d_err_nomem(err, "checks of indices on the device");
}

static size_t entropy_work(const struct t3d_call *c, int backward)
{
    (void)backward;
    return (size_t)t3di_cuda_entropy_work(c->in_shape[0].dim[0]);
}

static int entropy_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_rows r = logits_of(c);
    struct t3di_cuda_check *check = c->state;

    (void)err;
    t3di_cuda_entropy(c->out[0], c->out[1], &r, &check->first, c->work, c->stream);
    return T3D_OK;
}

static int entropy_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_rows r = logits_of(c);

    (void)err;
    t3di_cuda_entropy_grad(t3di_grad_in(c, 0), c->grad_out[0], c->out[1], &r, c->work, c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_entropy_op = {
    entropy_prepare, t3di_cuda_unclaim, entropy_work, entropy_forward, entropy_backward};

/* --- weighted means of a function of differences
 * ---------------------------------------------------- */

enum { Y, TARGET, WEIGHT };

static struct t3di_cuda_loss loss_of(const struct t3d_call *c)
{
    const struct t3di_loss_attr *a = c->attr;
    int64_t n = t3d_shape_count(&c->in_shape[Y]);

    return (struct t3di_cuda_loss){
        .kind = a->kind,
        .bend = (float)a->delta,
        .y = t3di_in(c, Y),
        .target = t3di_in(c, TARGET),
        .weight = t3di_in(c, WEIGHT),
        .n = n,
        .share = c->in[WEIGHT] ? n / t3d_shape_count(&c->in_shape[WEIGHT]) : n};
}

static size_t loss_work(const struct t3d_call *c, int backward)
{
    return backward ? 0 : (size_t)t3di_cuda_loss_work(t3d_shape_count(&c->in_shape[Y]));
}

static int loss_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_loss l = loss_of(c);

    (void)err;
    t3di_cuda_loss(c->out[0], &l, c->work, c->stream);
    return T3D_OK;
}

static int loss_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct t3di_cuda_loss l = loss_of(c);

    (void)err;
    t3di_cuda_loss_grad(t3di_grad_in(c, Y), t3di_grad_in(c, TARGET), c->grad_out[0], &l, c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_loss_op = {
    .work = loss_work, .forward = loss_forward, .backward = loss_backward};

/* --- sums over an axis
 * -------------------------------------------------------------------------------- */

struct sums {
    int64_t outer, n, inner;
    float scale;
};

static struct sums sums_of(const struct t3d_call *c)
{
    const struct t3di_axis_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];
    struct sums z = {1, t3d_shape_count(x), 1, 1};

    if (a->axis >= 0)
        z = (struct sums){t3d_shape_part(x, 0, a->axis), x->dim[a->axis],
                          t3d_shape_part(x, a->axis + 1, x->n), 1};
    if (a->mean)
        z.scale = 1 / (float)z.n;
    return z;
}

static size_t reduce_work(const struct t3d_call *c, int backward)
{
    struct sums z = sums_of(c);

    return backward ? 0 : (size_t)t3di_cuda_sum_work(z.outer, z.n, z.inner);
}

static int reduce_forward(const struct t3d_call *c, struct t3d_err *err)
{
    struct sums z = sums_of(c);

    (void)err;
    t3di_cuda_sum(t3di_out(c, 0), t3di_in(c, 0), z.outer, z.n, z.inner, z.scale, 0, c->work,
                  c->stream);
    return T3D_OK;
}

static int reduce_backward(const struct t3d_call *c, struct t3d_err *err)
{
    struct sums z = sums_of(c);

    (void)err;
    t3di_cuda_repeat_add(t3di_grad_in(c, 0), t3di_grad_out(c, 0), z.outer, z.n, z.inner, z.scale,
                         c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_reduce_op = {
    .work = reduce_work, .forward = reduce_forward, .backward = reduce_backward};

/* --- sinusoid
 * ------------------------------------------------------------------------------------------ */

static int sine_forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_sine_attr *a = c->attr;

    (void)err;
    t3di_cuda_sinusoid(t3di_out(c, 0), t3di_in(c, 0), t3d_shape_count(&c->in_shape[0]),
                       a->width / 2, a->scale, a->max_period, c->stream);
    return T3D_OK;
}

static int sine_backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_sine_attr *a = c->attr;

    (void)err;
    t3di_cuda_sinusoid_grad(t3di_grad_in(c, 0), t3di_grad_out(c, 0), t3di_out(c, 0),
                            t3d_shape_count(&c->in_shape[0]), a->width / 2, a->scale, a->max_period,
                            c->stream);
    return T3D_OK;
}

const struct t3d_op_backend t3di_cuda_sinusoid_op = {.forward = sine_forward,
                                                     .backward = sine_backward};
