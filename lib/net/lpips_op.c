/* SPDX-License-Identifier: Apache-2.0 */
#include "base/isa.h"
#include "net/lpips_impl.h"

enum { X, HEAD };

static const struct t3di_lpips_kernel *kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return &t3di_lpips_avx512;
    case T3D_ISA_AVX2:
        return &t3di_lpips_avx2;
    default:
        return &t3di_lpips_portable;
    }
}

static int shape(struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X], *head = &c->in_shape[HEAD];
    const struct t3di_lpips_tap *tap = c->attr;

    if (x->n != 4 || x->dim[0] % 2 || x->dim[3] % 16 || head->n != 1 || head->dim[0] != x->dim[3])
        return t3d_shape_error(c, err, "features are (2 B, H, W, 16 k), the head (16 k)");
    if (tap->first < 0 || tap->first >= tap->last || tap->last > x->dim[1])
        return t3d_shape_error(c, err, "there are no rows %lld to %lld", (long long)tap->first,
                               (long long)tap->last);
    c->out_shape[0] = T3D_SHAPE(x->dim[0] / 2, T3D_LPIPS_RULES);
    return T3D_OK;
}

/* The sums of each row, which are added in their order. */
static size_t work(const struct t3d_call *c, int backward)
{
    const struct t3d_shape *x = &c->in_shape[X];

    return backward ? 0 : (size_t)(x->dim[0] / 2 * x->dim[1]) * T3D_LPIPS_RULES * sizeof(double);
}

static int forward(const struct t3d_call *c, struct t3d_err *err)
{
    const struct t3d_shape *x = &c->in_shape[X];
    const struct t3di_lpips_tap *tap = c->attr;
    int64_t rows = tap->last - tap->first, row = x->dim[2] * x->dim[3];
    int64_t pairs = x->dim[0] / 2, picture = x->dim[1] * row;
    const float *features = c->in[X];
    double *sum = c->work;
    float *out = c->out[0];

    (void)err;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < pairs * rows; t++) {
        const float *a = features + 2 * (t / rows) * picture + (tap->first + t % rows) * row;

        for (int r = 0; r < T3D_LPIPS_RULES; r++)
            sum[T3D_LPIPS_RULES * t + r] = 0;
        kernel()->pixels(sum + T3D_LPIPS_RULES * t, a, a + picture, c->in[HEAD], x->dim[2],
                         x->dim[3]);
    }
    for (int64_t i = 0; i < pairs * T3D_LPIPS_RULES; i++) {
        const double *from = sum + i / T3D_LPIPS_RULES * T3D_LPIPS_RULES * rows;
        double all = 0;

        for (int64_t y = 0; y < rows; y++)
            all += from[T3D_LPIPS_RULES * y + i % T3D_LPIPS_RULES];
        out[i] = (float)(all / (double)(rows * x->dim[2]));
    }
    return T3D_OK;
}

static double flops(const struct t3d_call *c)
{
    return 16. / 2 * (double)t3d_shape_count(&c->in_shape[X]);
}

const struct t3d_op t3di_lpips_op = {.name = "lpips",
                                     .min_in = 2,
                                     .max_in = 2,
                                     .n_out = 1,
                                     .attr_size = sizeof(struct t3di_lpips_tap),
                                     .shape = shape,
                                     .flops = flops,
                                     .backend[T3D_CPU] = {.work = work, .forward = forward}};
