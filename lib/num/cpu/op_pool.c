/* SPDX-License-Identifier: Apache-2.0 */
/* Max and average pooling of pictures (B, H, W, C), with the sizes and divisors of PyTorch's
 * (documentation of torch.nn.MaxPool2d and AvgPool2d). */
#include <math.h>
#include <stddef.h>

#include "num/cpu/op_impl.h"

struct size {
    int64_t batch, h, w, c, oh, ow;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3d_shape *x = &c->in_shape[0], *y = &c->out_shape[0];

    return (struct size){x->dim[0], x->dim[1], x->dim[2], x->dim[3], y->dim[1], y->dim[2]};
}

static int64_t out_size(int64_t n, const struct t3di_pool_attr *a)
{
    int64_t span = n + 2 * (int64_t)a->pad - a->kernel;
    int64_t out = (span + (a->ceil_mode ? a->stride - 1 : 0)) / a->stride + 1;

    /* no window may start in the padding behind the picture */
    return a->ceil_mode && (out - 1) * a->stride >= n + a->pad ? out - 1 : out;
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_pool_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];

    if (x->n != 4)
        return t3d_shape_error(c, err, "pictures are (B, H, W, C)");
    if (a->kernel < 1 || a->stride < 1 || a->pad < 0 || 2 * a->pad > a->kernel)
        return t3d_shape_error(c, err,
                               "kernel and stride start at 1; padding is at most half the "
                               "kernel");
    if (T3D_MIN(x->dim[1], x->dim[2]) + 2 * (int64_t)a->pad < a->kernel)
        return t3d_shape_error(c, err, "the picture is smaller than the kernel");
    c->out_shape[0] =
        T3D_SHAPE(x->dim[0], out_size(x->dim[1], a), out_size(x->dim[2], a), x->dim[3]);
    return T3D_OK;
}

/* What a result pixel sees: rows [y0, y1), columns [x0, x1), and what an average divides by. */
struct window {
    int64_t y0, y1, x0, x1;
    t3d_real scale;
};

static struct window window_at(const struct size *z, const struct t3di_pool_attr *a, int64_t oy,
                               int64_t ox)
{
    int64_t y0 = oy * a->stride - a->pad, x0 = ox * a->stride - a->pad;
    int64_t y1 = T3D_MIN(y0 + a->kernel, z->h + a->pad);
    int64_t x1 = T3D_MIN(x0 + a->kernel, z->w + a->pad), whole = (y1 - y0) * (x1 - x0), seen;
    struct window v = {T3D_MAX(y0, 0), T3D_MIN(y1, z->h), T3D_MAX(x0, 0), T3D_MIN(x1, z->w), 1};

    seen = (v.y1 - v.y0) * (v.x1 - v.x0);
    if (!a->max)
        v.scale = 1 / (t3d_real)(a->include_pad ? whole : seen);
    return v;
}

/* --- forward ---------------------------------------------------------------------------------- */

static void max_into(t3d_real *y, const t3d_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i]; /* NaN stays */
}

static void pool_pixel(t3d_real *y, const t3d_real *x, const struct size *z, const struct window *v,
                       int max)
{
    const struct t3di_kernel *k = t3di_kernel();

    for (int64_t i = 0; i < z->c; i++)
        y[i] = max ? -(t3d_real)INFINITY : 0;
    for (int64_t iy = v->y0; iy < v->y1; iy++)
        for (int64_t ix = v->x0; ix < v->x1; ix++) {
            const t3d_real *from = x + (iy * z->w + ix) * z->c;

            if (max)
                max_into(y, from, z->c);
            else
                k->axpy(y, v->scale, from, z->c);
        }
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_pool_attr *a = c->attr;
    struct size z = size_of(c);

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (z.batch * z.h * z.w * z.c > T3DI_BLOCK)
    for (int64_t t = 0; t < z.batch * z.oh; t++) {
        const t3d_real *x = (const t3d_real *)c->in[0] + t / z.oh * z.h * z.w * z.c;
        t3d_real *y = (t3d_real *)c->out[0] + t * z.ow * z.c;

        for (int64_t ox = 0; ox < z.ow; ox++) {
            struct window v = window_at(&z, a, t % z.oh, ox);

            pool_pixel(y + ox * z.c, x, &z, &v, a->max);
        }
    }
    return T3D_OK;
}

/* --- backward --------------------------------------------------------------------------------- */

/* To the first of the largest, in the order of rows. */
static void max_gradient(t3d_real *g, const t3d_real *x, t3d_real gy, const struct size *z,
                         const struct window *v)
{
    int64_t best = (v->y0 * z->w + v->x0) * z->c;

    for (int64_t iy = v->y0; iy < v->y1; iy++)
        for (int64_t ix = v->x0; ix < v->x1; ix++) {
            int64_t at = (iy * z->w + ix) * z->c;

            if (x[at] > x[best])
                best = at;
        }
    g[best] += gy;
}

static void pixel_gradient(t3d_real *g, const t3d_real *x, const t3d_real *gy, const struct size *z,
                           const struct window *v, int max)
{
    for (int64_t i = 0; max && i < z->c; i++)
        max_gradient(g + i, x + i, gy[i], z, v);
    for (int64_t iy = v->y0; !max && iy < v->y1; iy++)
        for (int64_t ix = v->x0; ix < v->x1; ix++)
            t3di_kernel()->axpy(g + (iy * z->w + ix) * z->c, v->scale, gy, z->c);
}

/* Windows may overlap: one thread a picture. */
static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_pool_attr *a = c->attr;
    struct size z = size_of(c);

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (z.batch * z.h * z.w * z.c > T3DI_BLOCK)
    for (int64_t b = 0; b < z.batch; b++)
        for (int64_t t = 0; t < z.oh * z.ow; t++) {
            struct window v = window_at(&z, a, t / z.ow, t % z.ow);
            int64_t from = b * z.h * z.w * z.c;

            pixel_gradient((t3d_real *)c->grad_in[0] + from, (const t3d_real *)c->in[0] + from,
                           (const t3d_real *)c->grad_out[0] + (b * z.oh * z.ow + t) * z.c, &z, &v,
                           a->max);
        }
    return T3D_OK;
}

/* --- cases: kernel, stride, padding, ceil_mode, include_pad, max --------------------------------
 */

#define ATTR(...)                                                                                  \
    .attr = &(const struct t3di_pool_attr)                                                         \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static const struct t3d_op_case cases[] = {
    {"max 2", 1, {T3D_DIMS(2, 6, 5, 3)}, ATTR(2, 2, 0, 0, 0, 1), .batch = 1},
    {"max 3, overlapping", 1, {T3D_DIMS(2, 7, 8, 20)}, ATTR(3, 2, 1, 0, 0, 1), .batch = 1},
    {"max 3, ceil", 1, {T3D_DIMS(1, 8, 6, 4)}, ATTR(3, 2, 0, 1, 0, 1), .batch = 1},
    {"average 3", 1, {T3D_DIMS(2, 5, 6, 5)}, ATTR(3, 1, 1, 0, 1, 0), .batch = 1},
    {"average of what is there", 1, {T3D_DIMS(2, 5, 6, 5)}, ATTR(3, 1, 1, 0, 0, 0), .batch = 1},
    {"average, ceil", 1, {T3D_DIMS(1, 8, 6, 18)}, ATTR(3, 2, 1, 1, 1, 0), .batch = 1},
    {"blocks", 1, {T3D_DIMS(2, 33, 31, 37)}, ATTR(3, 2, 1, 0, 0, 1), .batch = 1},
    {"bench", 1, {T3D_DIMS(2, 128, 128, 128)}, ATTR(2, 2, 0, 0, 0, 1), .bench = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_pool = {.name = "pool2d",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .n_out = 1,
                                   .attr_size = sizeof(struct t3di_pool_attr),
                                   .shape = shape,
                                   .backward_reads_in = 1,
                                   .backend[T3D_CPU] = {.forward = forward, .backward = backward},
                                   .cases = cases};
