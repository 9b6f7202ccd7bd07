/* SPDX-License-Identifier: Apache-2.0 */
/* Features of two pictures compared as a loss. With u = x / sqrt(|x|^2 + e) and v the same of y a
 * pixel gives sum_c head_c (u_c - v_c)^2; so with g_c = 2 head_c (u_c - v_c) its gradient for x is
 * (g - u (u . g)) / sqrt(|x|^2 + e). */
#include "net/lpips_distance.h"

#include <math.h>
#include <string.h>

#include "net/lpips_impl.h"

enum { X, Y, HEAD };
enum { LANES = 16, BLOCK = 64 /* pixels of a task */ };

#define EPSILON 1e-8 /* torchmetrics: functional/image/lpips.py, _normalize_tensor */

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X], *head = &c->in_shape[HEAD];

    if (x->n != 4 || x->dim[3] % LANES || head->n != 1 || head->dim[0] != x->dim[3])
        return t3d_shape_error(c, err, "features are (N, H, W, 16 k), the head (16 k)");
    if (!t3d_shape_equal(x, &c->in_shape[Y]))
        return t3d_shape_error(c, err, "pictures that are compared have one shape");
    c->out_shape[0] = T3D_SHAPE(x->dim[0]);
    return T3D_OK;
}

static t3d_real total(const t3d_real lane[LANES])
{
    t3d_real sum = 0;

    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

/* 1 / sqrt(|x|^2 + e) */
static t3d_real inverse_length(const t3d_real *x, int64_t n)
{
    t3d_real lane[LANES] = {0};

    for (int64_t c = 0; c < n; c += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += x[c + i] * x[c + i];
    return 1 / (t3d_real)sqrt((double)(total(lane) + (t3d_real)EPSILON));
}

static t3d_real pixel(const t3d_real *x, const t3d_real *y, const t3d_real *head, int64_t n)
{
    t3d_real kx = inverse_length(x, n), ky = inverse_length(y, n), lane[LANES] = {0};

    for (int64_t c = 0; c < n; c += LANES)
        for (int i = 0; i < LANES; i++) {
            t3d_real d = x[c + i] * kx - y[c + i] * ky;

            lane[i] += head[c + i] * d * d;
        }
    return total(lane);
}

/* Adds share x the gradient. */
static void pixel_back(t3d_real *dx, const t3d_real *x, const t3d_real *y, const t3d_real *head,
                       int64_t n, t3d_real share)
{
    t3d_real kx = inverse_length(x, n), ky = inverse_length(y, n), lane[LANES] = {0}, along;

    for (int64_t c = 0; c < n; c += LANES)
        for (int i = 0; i < LANES; i++) {
            t3d_real u = x[c + i] * kx;

            lane[i] += u * head[c + i] * (u - y[c + i] * ky);
        }
    along = total(lane);
    share *= 2 * kx;
    for (int64_t c = 0; c < n; c += LANES)
        for (int i = 0; i < LANES; i++) {
            t3d_real u = x[c + i] * kx;

            dx[c + i] += share * (head[c + i] * (u - y[c + i] * ky) - u * along);
        }
}

static int64_t pixels_of(const struct t3d_call *c)
{
    return c->in_shape[X].dim[1] * c->in_shape[X].dim[2];
}

/* The sums of blocks of pixels, which are added in their order. */
static size_t work(const struct t3d_call *c, int backward)
{
    int64_t blocks = (pixels_of(c) + BLOCK - 1) / BLOCK;

    return backward ? 0 : (size_t)(c->in_shape[X].dim[0] * blocks) * sizeof(double);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = pixels_of(c), blocks = (n + BLOCK - 1) / BLOCK, width = c->in_shape[X].dim[3];
    int64_t pictures = c->in_shape[X].dim[0];
    const t3d_real *x = c->in[X], *y = c->in[Y];
    t3d_real *out = c->out[0];
    double *sum = c->work;

    (void)err;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < pictures * blocks; t++) {
        int64_t first = t % blocks * BLOCK, last = first + BLOCK < n ? first + BLOCK : n;

        sum[t] = 0;
        for (int64_t p = t / blocks * n + first; p < t / blocks * n + last; p++)
            sum[t] += (double)pixel(x + p * width, y + p * width, c->in[HEAD], width);
    }
    for (int64_t i = 0; i < pictures; i++) {
        double all = 0;

        for (int64_t k = 0; k < blocks; k++)
            all += sum[i * blocks + k];
        out[i] = (t3d_real)(all / (double)n);
    }
    return T3D_OK;
}

static int backward(const struct t3d_call *c, struct t3d_err *err)
{
    int64_t n = pixels_of(c), width = c->in_shape[X].dim[3];
    const t3d_real *x = c->in[X], *y = c->in[Y], *g = c->grad_out[0];
    t3d_real *dx = c->grad_in[X];

    if (c->grad_in[Y] || c->grad_in[HEAD])
        return t3d_err_set(err, T3D_USAGE, "bad-graph",
                           "the distance of features has a gradient for the first picture alone");
    if (!dx)
        return T3D_OK;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t p = 0; p < c->in_shape[X].dim[0] * n; p++) {
        if (c->grad_fresh[X])
            memset(dx + p * width, 0, (size_t)width * sizeof *dx);
        pixel_back(dx + p * width, x + p * width, y + p * width, c->in[HEAD], width,
                   g[p / n] / (t3d_real)n);
    }
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    return 9. * (double)t3d_shape_count(&c->in_shape[X]);
}

const struct t3d_op t3di_lpips_distance_op = {
    .name = "lpips_distance",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .shape = shape,
    .flops = flops,
    .backward_reads_in = 1 << X | 1 << Y | 1 << HEAD,
    .sets_grad = 1 << X,
    .backend[T3D_CPU] = {.work = work, .forward = forward, .backward = backward}};
