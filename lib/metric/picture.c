/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "image/colour.h"
#include "metric/picture_impl.h"

enum { CHUNK = 1 << 15 /* pixels that are one task */ };

static const struct t3di_picture_kernel *kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return &t3di_picture_avx512;
    case T3D_ISA_AVX2:
        return &t3di_picture_avx2;
    default:
        return &t3di_picture_portable;
    }
}

/* --- PSNR --- */

static double decibel(double mse, int *capped)
{
    double v = mse > 0 ? -10 * log10(mse) : INFINITY;

    *capped = v > T3D_PSNR_CAP;
    return *capped ? T3D_PSNR_CAP : v;
}

/* Sums of fixed chunks, added in their order. */
static double mean_square(const struct t3d_picture_pair *p, float bg, int threads)
{
    size_t n = (size_t)p->width * p->height, chunks = (n + CHUNK - 1) / CHUNK;
    double *sum = malloc(chunks * sizeof *sum), total = 0;

    if (!sum)
        return kernel()->squares(p->a, p->b, n, bg) / (3. * 65025 * 65025 * (double)n);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t c = 0; c < chunks; c++)
        sum[c] = kernel()->squares(p->a + 4 * c * CHUNK, p->b + 4 * c * CHUNK,
                                   T3D_MIN((size_t)CHUNK, n - c * CHUNK), bg);
    for (size_t c = 0; c < chunks; c++)
        total += sum[c];
    free(sum);
    return total / (3. * 65025 * 65025 * (double)n);
}

static double over_white(const uint8_t *p, int c)
{
    return ((double)p[c] * p[3] + 255. * (255 - p[3])) / 65025;
}

static double over_white_linear(const uint8_t *p, int c)
{
    double alpha = p[3] / 255.;

    return (double)t3d_srgb_to_linear_table()[p[c]] * alpha + (1 - alpha);
}

static double mean_square_by_rule(const struct t3d_picture_pair *p, enum t3d_psnr_rule rule)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < (size_t)p->width * p->height; i++) {
        const uint8_t *a = p->a + 4 * i, *b = p->b + 4 * i;
        if (rule == T3D_PSNR_MASK && !a[3] && !b[3])
            continue;
        for (int c = 0; c < 3; c++) {
            double d = rule == T3D_PSNR_LINEAR ? over_white_linear(a, c) - over_white_linear(b, c)
                                               : over_white(a, c) - over_white(b, c);
            sum += d * d;
        }
        n++;
    }
    return n ? sum / (3. * (double)n) : NAN;
}

/* The box of the pixels where either alpha is above 0. */
static double mean_square_of_box(const struct t3d_picture_pair *p)
{
    uint32_t x0 = p->width, x1 = 0, y0 = p->height, y1 = 0;
    double sum = 0;

    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            size_t i = 4 * ((size_t)y * p->width + x) + 3;
            if (!p->a[i] && !p->b[i])
                continue;
            x0 = T3D_MIN(x0, x);
            x1 = T3D_MAX(x1, x + 1);
            y0 = T3D_MIN(y0, y);
            y1 = y + 1;
        }
    for (uint32_t y = y0; y < y1; y++) {
        size_t i = 4 * ((size_t)y * p->width + x0);
        sum += kernel()->squares(p->a + i, p->b + i, x1 - x0, 255);
    }
    return y1 > y0 ? sum / (3. * 65025 * 65025 * (double)(y1 - y0) * (x1 - x0)) : NAN;
}

double t3d_psnr(const struct t3d_picture_pair *p, enum t3d_psnr_rule rule, int threads, int *capped)
{
    double mse = rule == T3D_PSNR_WHITE || rule == T3D_PSNR_BLACK
                     ? mean_square(p, rule == T3D_PSNR_WHITE ? 255 : 0, threads)
                 : rule == T3D_PSNR_BBOX ? mean_square_of_box(p)
                                         : mean_square_by_rule(p, rule);

    *capped = 0;
    return isnan(mse) ? mse : decibel(mse, capped);
}

/* --- SSIM --- */

static void set_window(struct t3di_ssim *s, enum t3d_ssim_rule rule)
{
    double sum = 0, g[T3DI_SSIM_TAPS];
    int uniform = rule == T3D_SSIM_SKIMAGE;

    s->taps = uniform ? 7 : 11;
    s->covariance = uniform ? 49.f / 48 : 1;
    for (int i = 0; i < (int)s->taps; i++)
        sum += g[i] = uniform ? 1 : exp(-.5 * (i - 5) * (i - 5) / (1.5 * 1.5));
    for (uint32_t i = 0; i < s->taps; i++)
        s->weight[i] = (float)(g[i] / sum);
}

/* Column or row i of a picture reflected at its borders, which are not repeated. */
static uint32_t reflect(int64_t i, uint32_t n)
{
    i = i < 0 ? -i : i;
    return (uint32_t)(i >= n ? 2 * (int64_t)(n - 1) - i : i);
}

/* The picture's planes with `pad` reflected pixels about them; one plane for luma. */
static int make_planes(float **out, size_t *stride, const uint8_t *rgba,
                       const struct t3d_picture_pair *p, uint32_t pad, enum t3d_ssim_rule rule,
                       int threads, struct t3d_err *err)
{
    uint32_t w = p->width + 2 * pad, h = p->height + 2 * pad;
    size_t plane;

    *stride = ((size_t)w + 15) / 16 * 16 + T3DI_SSIM_SLACK;
    plane = *stride * h;
    *out = calloc(3 * plane, sizeof **out);
    if (!*out)
        return t3d_err_nomem(err, "a picture");
#pragma omp parallel for num_threads(threads) schedule(static)
    for (uint32_t y = 0; y < h; y++) {
        float *row = *out + y * *stride;
        float *const to[3] = {row + pad, row + plane + pad, row + 2 * plane + pad};
        kernel()->planes(to, rgba + 4 * (size_t)p->width * reflect((int64_t)y - pad, p->height),
                         p->width);
        for (uint32_t i = 0; rule == T3D_SSIM_BLACK && i < w; i++)
            for (int c = 0; c < 3; c++)
                to[c][i] -= (float)(255 - rgba[4 * ((size_t)p->width * y + i) + 3]) / 255;
        for (uint32_t i = 0; rule == T3D_SSIM_LUMA && i < w; i++)
            row[i] = .299f * to[0][i] + .587f * to[1][i] + .114f * to[2][i];
        for (int c = 0; c < 3; c++)
            for (uint32_t i = 0; i < pad; i++) {
                to[c][-1 - (int64_t)i] = to[c][reflect(-1 - (int64_t)i, p->width)];
                to[c][p->width + i] = to[c][reflect((int64_t)p->width + i, p->width)];
            }
    }
    return T3D_OK;
}

/* The sum of the index over bands of rows of each plane, added in order. */
static int sum_index(double *out, const struct t3di_ssim *s, int n_planes, int threads,
                     struct t3d_err *err)
{
    uint32_t rows = s->height - s->taps + 1, bands = (rows + T3DI_SSIM_BAND - 1) / T3DI_SSIM_BAND;
    uint32_t tasks = bands * (uint32_t)n_planes;
    double *sum = malloc(tasks * sizeof *sum), total = 0;

    if (!sum)
        return t3d_err_nomem(err, "ssim");
#pragma omp parallel num_threads(threads)
    {
        float ring[T3DI_SSIM_RING] __attribute__((uninitialized));
#pragma omp for schedule(dynamic)
        for (uint32_t k = 0; k < tasks; k++) {
            struct t3di_ssim mine = *s;
            uint32_t first = k % bands * T3DI_SSIM_BAND;
            mine.shift = 8 * (int)(k / bands);
            if (s->x) {
                mine.x += k / bands * s->stride * s->height;
                mine.y += k / bands * s->stride * s->height;
            }
            sum[k] = kernel()->ssim(&mine, first, T3D_MIN(rows, first + T3DI_SSIM_BAND), ring);
        }
    }
    for (uint32_t k = 0; k < tasks; k++)
        total += sum[k];
    free(sum);
    *out = total / ((double)rows * (s->width - s->taps + 1) * n_planes);
    return T3D_OK;
}

int t3d_ssim(double *out, const struct t3d_picture_pair *p, enum t3d_ssim_rule rule, int threads,
             struct t3d_err *err)
{
    struct t3di_ssim s = {.a = p->a, .b = p->b, .width = p->width, .height = p->height};
    uint32_t pad = rule == T3D_SSIM_TORCHMETRICS ? 5 : 0;
    float *x = NULL, *y = NULL;
    int r = T3D_OK;

    set_window(&s, rule);
    if (p->width < s.taps || p->height < s.taps)
        return t3d_err_set(err, T3D_SKIP, "too-small",
                           "%u x %u pixels are fewer than SSIM's window of %u x %u", p->width,
                           p->height, s.taps, s.taps);
    s.width += 2 * pad;
    s.height += 2 * pad;
    if (rule == T3D_SSIM_TORCHMETRICS || rule >= T3D_SSIM_LUMA) {
        r = make_planes(&x, &s.stride, p->a, p, pad, rule, threads, err);
        if (r == T3D_OK)
            r = make_planes(&y, &s.stride, p->b, p, pad, rule, threads, err);
    }
    s.x = x;
    s.y = y;
    if (r == T3D_OK && rule == T3D_SSIM_MASK)
        r = t3di_ssim_mask(out, &s, threads, err);
    else if (r == T3D_OK)
        r = sum_index(out, &s, rule == T3D_SSIM_LUMA ? 1 : 3, threads, err);
    free(x);
    free(y);
    return r;
}
