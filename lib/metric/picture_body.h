/* SPDX-License-Identifier: Apache-2.0 */
/* metric/picture_body.h -- the loops of metric/picture_impl.h. */
#ifndef T3D_METRIC_PICTURE_BODY_H
#define T3D_METRIC_PICTURE_BODY_H

#include <string.h>

#include "geom/cpu/simd16.h"
#include "metric/picture_impl.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pixels are read as little-endian words"
#endif

enum { MAP = T3DI_SSIM_MAP };

V16 double sum16(v16 v)
{
    float lane[16];
    double sum = 0;

    v16_store(lane, v);
    for (int i = 0; i < 16; i++)
        sum += (double)lane[i];
    return sum;
}

/* Whole numbers below 2^24 until they are squared: c a + bg (255 - a) for each side. */
V16 v16 squares16(const uint8_t *a, const uint8_t *b, v16 bg)
{
    v16 alpha = v16_bytes(a, 24), beta = v16_bytes(b, 24), sum = v16_set(0);
    v16 ground = v16_mul(bg, v16_sub(beta, alpha));

    for (int c = 0; c < 24; c += 8) {
        v16 d = v16_fma(v16_bytes(a, c), alpha, ground);
        d = v16_sub(d, v16_mul(v16_bytes(b, c), beta));
        sum = v16_fma(d, d, sum);
    }
    return sum;
}

static double squares(const uint8_t *a, const uint8_t *b, size_t n, float bg)
{
    v16 ground = v16_set(bg), sum = v16_set(0);
    uint8_t last[2][64] = {{0}};
    double total = 0;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        sum = v16_add(sum, squares16(a + 4 * i, b + 4 * i, ground));
        if (i % 512 == 496) { /* few enough for single precision */
            total += sum16(sum);
            sum = v16_set(0);
        }
    }
    if (i < n) { /* the rest, and equal pixels behind it */
        memcpy(last[0], a + 4 * i, 4 * (n - i));
        memcpy(last[1], b + 4 * i, 4 * (n - i));
        sum = v16_add(sum, squares16(last[0], last[1], ground));
    }
    return total + sum16(sum);
}

V16 void planes16(v16 out[3], const uint8_t *in)
{
    v16 alpha = v16_bytes(in, 24), scale = v16_set(1 / 65025.f);
    v16 ground = v16_mul(v16_set(255), v16_sub(v16_set(255), alpha));

    for (int c = 0; c < 3; c++)
        out[c] =
            v16_sub(v16_mul(v16_fma(v16_bytes(in, 8 * c), alpha, ground), scale), v16_set(.5f));
}

static void planes(float *const out[3], const uint8_t *in, size_t n)
{
    uint8_t last[64] = {0};
    float lane[16];
    v16 v[3];
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        planes16(v, in + 4 * i);
        for (int c = 0; c < 3; c++)
            v16_store(out[c] + i, v[c]);
    }
    if (i == n)
        return;
    memcpy(last, in + 4 * i, 4 * (n - i));
    planes16(v, last);
    for (int c = 0; c < 3; c++) {
        v16_store(lane, v[c]);
        memcpy(out[c] + i, lane, (n - i) * sizeof *lane);
    }
}

V16 void products16(v16 a, v16 b, float *out)
{
    v16_store(out, a);
    v16_store(out + MAP, b);
    v16_store(out + 2 * MAP, v16_fma(a, a, v16_mul(b, b)));
    v16_store(out + 3 * MAP, v16_mul(a, b));
}

/* One channel of sixteen pixels over white, codes / 255 - 1/2. */
V16 v16 channel16(const uint8_t *p, int shift)
{
    v16 alpha = v16_bytes(p, 24), white = v16_set(255);
    v16 v = v16_fma(v16_bytes(p, shift), alpha, v16_mul(white, v16_sub(white, alpha)));

    return v16_sub(v16_mul(v, v16_set(1 / 65025.f)), v16_set(.5f));
}

/* x, y, x^2 + y^2 and x y of `width` pixels of row y from column x0, in four maps. */
V16 void products(const struct t3di_ssim *s, uint32_t y, uint32_t x0, uint32_t width, float *out)
{
    const float *p = s->x + y * s->stride + x0, *q = s->y + y * s->stride + x0;
    const uint8_t *a = s->a + 4 * ((size_t)y * s->width + x0),
                  *b = s->b + 4 * ((size_t)y * s->width + x0);
    uint8_t last[2][64] = {{0}};
    uint32_t i = 0;

    if (s->x) {
        for (; i < width; i += 16)
            products16(v16_load(p + i), v16_load(q + i), out + i);
        return;
    }
    for (; i + 16 <= width; i += 16)
        products16(channel16(a + 4 * i, s->shift), channel16(b + 4 * i, s->shift), out + i);
    if (i == width)
        return;
    memcpy(last[0], a + 4 * i, 4 * (width - i));
    memcpy(last[1], b + 4 * i, 4 * (width - i));
    products16(channel16(last[0], s->shift), channel16(last[1], s->shift), out + i);
}

/* Windows are symmetric: pairs of taps share a weight. row[t] are the rows of the window. */
V16 void down(const struct t3di_ssim *s, uint32_t taps, float *const *row, uint32_t width,
              float *out)
{
    const uint32_t half = taps / 2;

    for (uint32_t m = 0; m < 4 * MAP; m += MAP)
        for (uint32_t i = m; i < m + width; i += 16) {
            v16 v = v16_mul(v16_set(s->weight[half]), v16_load(row[half] + i));
            for (uint32_t t = 0; t < half; t++)
                v = v16_fma(v16_set(s->weight[t]),
                            v16_add(v16_load(row[t] + i), v16_load(row[taps - 1 - t] + i)), v);
            v16_store(out + i, v);
        }
}

V16 v16 across(const struct t3di_ssim *s, uint32_t taps, const float *in)
{
    const uint32_t half = taps / 2;
    v16 v = v16_mul(v16_set(s->weight[half]), v16_load(in + half));

    for (uint32_t t = 0; t < half; t++)
        v = v16_fma(v16_set(s->weight[t]), v16_add(v16_load(in + t), v16_load(in + taps - 1 - t)),
                    v);
    return v;
}

/* Wang et al. 2004, equation 13; values are shifted by one half, means are not. */
V16 v16 index16(const struct t3di_ssim *s, uint32_t taps, const float *sums)
{
    const v16 half = v16_set(.5f), two = v16_set(2), c1 = v16_set(1e-4f), c2 = v16_set(9e-4f);
    v16 x = across(s, taps, sums), y = across(s, taps, sums + MAP), cov = v16_set(s->covariance);
    v16 both = v16_sub(across(s, taps, sums + 2 * MAP), v16_fma(x, x, v16_mul(y, y)));
    v16 product = v16_sub(across(s, taps, sums + 3 * MAP), v16_mul(x, y));
    v16 mx = v16_add(x, half), my = v16_add(y, half);
    v16 up = v16_mul(v16_fma(two, v16_mul(mx, my), c1), v16_fma(two, v16_mul(cov, product), c2));

    return v16_div(up,
                   v16_mul(v16_add(v16_fma(mx, mx, v16_mul(my, my)), c1), v16_fma(cov, both, c2)));
}

/* One row of n results. */
V16 double index_row(const struct t3di_ssim *s, uint32_t taps, const float *sums, uint32_t n)
{
    v16 sum = v16_set(0);
    double total = 0;
    uint32_t i = 0;

    for (; i + 16 <= n; i += 16)
        sum = v16_add(sum, index16(s, taps, sums + i));
    if (i < n) {
        float lane[16];
        v16_store(lane, index16(s, taps, sums + i));
        for (uint32_t k = 0; k < n - i; k++)
            total += (double)lane[k];
    }
    return total + sum16(sum);
}

/* A tile of rows [first, last) and n columns of results from column x0: the products of its window
 * stay in the first-level cache. */
V16 double tile(const struct t3di_ssim *s, uint32_t taps, uint32_t first, uint32_t last,
                uint32_t x0, uint32_t n, float *ring)
{
    float *row[T3DI_SSIM_TAPS], *sums = ring + 4 * MAP * taps;
    uint32_t width = n + taps - 1;
    double total = 0;

    for (uint32_t y = first; y < last + taps - 1; y++) {
        products(s, y, x0, width, ring + 4 * MAP * (y % taps));
        if (y < first + taps - 1)
            continue;
        for (uint32_t t = 0; t < taps; t++)
            row[t] = ring + 4 * MAP * ((y + 1 + t) % taps);
        down(s, taps, row, width, sums);
        total += index_row(s, taps, sums, n);
    }
    return total;
}

static double ssim(const struct t3di_ssim *s, uint32_t first, uint32_t last, float *ring)
{
    uint32_t n = s->width - s->taps + 1;
    double total = 0;

    for (uint32_t x = 0; x < n; x += T3DI_SSIM_TILE) {
        uint32_t m = n - x < T3DI_SSIM_TILE ? n - x : T3DI_SSIM_TILE;
        total += s->taps == 7 ? tile(s, 7, first, last, x, m, ring)
                              : tile(s, 11, first, last, x, m, ring);
    }
    return total;
}

#define T3DI_PICTURE(name) const struct t3di_picture_kernel name = {squares, planes, ssim}

#endif
