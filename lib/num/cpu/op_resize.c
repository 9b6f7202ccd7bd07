/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures (B, H, W, C) to another size, as torch.nn.functional.interpolate does it without
 * antialiasing, and the Haar transform. */
#include <stddef.h>
#include <string.h>

#include "num/cpu/op_impl.h"

struct size {
    int64_t batch, h, w, c, oh, ow;
};

static struct size size_of(const struct t3d_call *c)
{
    const struct t3d_shape *x = &c->in_shape[0], *y = &c->out_shape[0];

    return (struct size){x->dim[0], x->dim[1], x->dim[2], x->dim[3], y->dim[1], y->dim[2]};
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_resize_attr *a = c->attr;
    const struct t3d_shape *x = &c->in_shape[0];

    if (x->n != 4)
        return t3d_shape_error(c, err, "pictures are (B, H, W, C)");
    if (a->height < 1 || a->width < 1)
        return t3d_shape_error(c, err, "a picture of %d x %d is empty", a->width, a->height);
    c->out_shape[0] = T3D_SHAPE(x->dim[0], a->height, a->width, x->dim[3]);
    return T3D_OK;
}

/* Places i and j of n, and j's weight, for place k of `out`. */
struct tap {
    int64_t i, j;
    t3d_real weight;
};

static struct tap tap_at(const struct t3di_resize_attr *a, int64_t k, int64_t out, int64_t n)
{
    double at;
    struct tap t;

    if (a->mode == T3DI_NEAREST)
        return (struct tap){k * n / out, k * n / out, 0};
    if (a->mode == T3DI_BILINEAR_CORNERS)
        at = out > 1 ? (double)k * (double)(n - 1) / (double)(out - 1) : 0;
    else
        at = ((double)k + 0.5) * (double)n / (double)out - 0.5;
    at = T3D_MAX(at, 0);
    t.i = T3D_MIN((int64_t)at, n - 1);
    t.j = T3D_MIN(t.i + 1, n - 1);
    t.weight = (t3d_real)(at - (double)t.i);
    return t;
}

/* fn(source index, weight) of the four pixels that result (oy, ox) is made of. */
static int pixels_of(const struct size *z, struct tap y, struct tap x, int64_t at[4],
                     t3d_real weight[4])
{
    const int64_t row[2] = {y.i, y.j}, column[2] = {x.i, x.j};
    const t3d_real wy[2] = {1 - y.weight, y.weight}, wx[2] = {1 - x.weight, x.weight};
    int n = 0;

    for (int k = 0; k < 4; k++) {
        t3d_real w = wy[k / 2] * wx[k % 2];

        if (w == 0)
            continue;
        at[n] = (row[k / 2] * z->w + column[k % 2]) * z->c;
        weight[n++] = w;
    }
    return n;
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_resize_attr *a = c->attr;
    struct size z = size_of(c);

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (z.batch * z.oh * z.ow * z.c > T3DI_BLOCK)
    for (int64_t t = 0; t < z.batch * z.oh; t++) {
        const t3d_real *x = (const t3d_real *)c->in[0] + t / z.oh * z.h * z.w * z.c;
        t3d_real *y = (t3d_real *)c->out[0] + t * z.ow * z.c;
        struct tap row = tap_at(a, t % z.oh, z.oh, z.h);

        for (int64_t ox = 0; ox < z.ow; ox++, y += z.c) {
            int64_t at[4];
            t3d_real w[4];
            int n = pixels_of(&z, row, tap_at(a, ox, z.ow, z.w), at, w);

            t3di_kernel()->unary[T3DI_LINEAR](y, x + at[0], z.c, w[0], 0);
            for (int i = 1; i < n; i++)
                t3di_kernel()->axpy(y, w[i], x + at[i], z.c);
        }
    }
    return T3D_OK;
}

/* Results share pixels: one thread a picture. */
static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3di_resize_attr *a = c->attr;
    struct size z = size_of(c);

    (void)err;
#pragma omp parallel for num_threads(c->threads) if (z.batch * z.oh * z.ow * z.c > T3DI_BLOCK)
    for (int64_t b = 0; b < z.batch; b++)
        for (int64_t t = 0; t < z.oh * z.ow; t++) {
            t3d_real *g = (t3d_real *)c->grad_in[0] + b * z.h * z.w * z.c, w[4];
            const t3d_real *gy = (const t3d_real *)c->grad_out[0] + (b * z.oh * z.ow + t) * z.c;
            int64_t at[4];
            int n = pixels_of(&z, tap_at(a, t / z.ow, z.oh, z.h), tap_at(a, t % z.ow, z.ow, z.w),
                              at, w);

            for (int i = 0; i < n; i++)
                t3di_kernel()->axpy(g + at[i], w[i], gy, z.c);
        }
    return T3D_OK;
}

/* --- Haar ---------------------------------------------------------------------------------------
 *
 * One level, orthonormal (Haar 1910): 2 x 2 pixels a b / c d give the bands (a + b + c + d) / 2,
 * (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2. The matrix is its own inverse. */

static int haar_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[0];

    if (x->n != 4 || x->dim[1] % 2 || x->dim[2] % 2)
        return t3d_shape_error(c, err, "pictures are (B, H, W, C) with an even height and width");
    c->out_shape[0] = T3D_SHAPE(x->dim[0], x->dim[1] / 2, x->dim[2] / 2, 4 * x->dim[3]);
    return T3D_OK;
}

static int haar_inverse_shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[0];

    if (x->n != 4 || x->dim[3] % 4)
        return t3d_shape_error(c, err, "it needs four bands of channels");
    c->out_shape[0] = T3D_SHAPE(x->dim[0], 2 * x->dim[1], 2 * x->dim[2], x->dim[3] / 4);
    return T3D_OK;
}

/* to[k] = or += the k-th of the four combinations of from[0..3]. */
static void combine(t3d_real *const to[4], const t3d_real *const from[4], int64_t n, int add)
{
    for (int64_t i = 0; i < n; i++) {
        t3d_real a = from[0][i], b = from[1][i], c = from[2][i], d = from[3][i];
        t3d_real s = a + b, t = c + d, u = a - b, v = c - d, half = (t3d_real)0.5;
        t3d_real y[4] = {half * (s + t), half * (u + v), half * (s - t), half * (u - v)};

        for (int k = 0; k < 4; k++)
            to[k][i] = add ? to[k][i] + y[k] : y[k];
    }
}

/* pixels (batch, 2 h, 2 w, c) to bands (batch, h, w, 4 c), or back. */
static void haar(t3d_real *to, const t3d_real *from, const struct t3d_shape *bands, int back,
                 int add, int threads)
{
    int64_t h = bands->dim[1], w = bands->dim[2], n = bands->dim[3] / 4;

#pragma omp parallel for num_threads(threads) if (t3d_shape_count(bands) > T3DI_BLOCK)
    for (int64_t r = 0; r < bands->dim[0] * h; r++)
        for (int64_t x = 0; x < w; x++) {
            int64_t band = (r * w + x) * 4 * n, pixel = (4 * r * w + 2 * x) * n;
            int64_t at[4] = {pixel, pixel + n, pixel + 2 * w * n, pixel + (2 * w + 1) * n};
            t3d_real *out[4];
            const t3d_real *in[4];

            for (int k = 0; k < 4; k++) {
                out[k] = to + (back ? at[k] : band + k * n);
                in[k] = from + (back ? band + k * n : at[k]);
            }
            combine(out, in, n, add);
        }
}

static int is_inverse(const struct t3d_call *c)
{
    return c->op == &t3d_op_haar_inverse;
}

static int haar_forward(const struct t3d_call *c, struct t3d_err *err)
{
    int back = is_inverse(c);

    (void)err;
    haar(c->out[0], c->in[0], back ? &c->in_shape[0] : &c->out_shape[0], back, 0, c->threads);
    return T3D_OK;
}

static int haar_backward(const struct t3d_call *c, struct t3d_err *err)
{
    int back = is_inverse(c);

    (void)err;
    haar(c->grad_in[0], c->grad_out[0], back ? &c->in_shape[0] : &c->out_shape[0], !back,
         !c->grad_fresh[0], c->threads);
    return T3D_OK;
}

/* --- cases ------------------------------------------------------------------------------------ */

#define ATTR(mode, height, width)                                                                  \
    .attr = &(const struct t3di_resize_attr)                                                       \
    {                                                                                              \
        T3DI_##mode, height, width                                                                 \
    }

static const struct t3d_op_case cases[] = {
    {"bilinear, larger", 1, {T3D_DIMS(2, 3, 4, 5)}, ATTR(BILINEAR, 7, 6), .batch = 1},
    {"bilinear, smaller", 1, {T3D_DIMS(2, 9, 8, 3)}, ATTR(BILINEAR, 4, 3), .batch = 1},
    {"corners", 1, {T3D_DIMS(2, 4, 3, 17)}, ATTR(BILINEAR_CORNERS, 7, 8), .batch = 1},
    {"corners, to one", 1, {T3D_DIMS(1, 4, 3, 2)}, ATTR(BILINEAR_CORNERS, 1, 2), .batch = 1},
    {"nearest", 1, {T3D_DIMS(2, 5, 4, 3)}, ATTR(NEAREST, 8, 6), .batch = 1},
    {"blocks", 1, {T3D_DIMS(2, 16, 15, 20)}, ATTR(BILINEAR, 33, 31), .batch = 1},
    {"bench", 1, {T3D_DIMS(8, 64, 64, 32)}, ATTR(BILINEAR, 128, 128), .bench = 1},
    {.name = NULL}};
static const struct t3d_op_case haar_cases[] = {
    {"even", 1, {T3D_DIMS(2, 4, 6, 3)}, .batch = 1},
    {"blocks", 1, {T3D_DIMS(2, 32, 34, 19)}, .batch = 1},
    {"bench", 1, {T3D_DIMS(8, 128, 128, 32)}, .bench = 1},
    {.name = NULL}};
static const struct t3d_op_case inverse_cases[] = {
    {"even", 1, {T3D_DIMS(2, 2, 3, 12)}, .batch = 1},
    {"blocks", 1, {T3D_DIMS(2, 16, 17, 76)}, .batch = 1},
    {.name = NULL}};

const struct t3d_op t3d_op_resize = {.name = "resize",
                                     .min_in = 1,
                                     .max_in = 1,
                                     .n_out = 1,
                                     .attr_size = sizeof(struct t3di_resize_attr),
                                     .shape = shape,
                                     .backend[T3D_CPU] = {.forward = forward, .backward = backward},
                                     .cases = cases};
const struct t3d_op t3d_op_haar = {
    .name = "haar",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = haar_shape,
    .sets_grad = 1,
    .backend[T3D_CPU] = {.forward = haar_forward, .backward = haar_backward},
    .cases = haar_cases};
const struct t3d_op t3d_op_haar_inverse = {
    .name = "haar_inverse",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .shape = haar_inverse_shape,
    .sets_grad = 1,
    .backend[T3D_CPU] = {.forward = haar_forward, .backward = haar_backward},
    .cases = inverse_cases};
