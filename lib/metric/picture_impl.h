/* SPDX-License-Identifier: Apache-2.0 */
/* metric/picture_impl.h -- the loops over pixels, once per instruction set. */
#ifndef T3D_METRIC_PICTURE_IMPL_H
#define T3D_METRIC_PICTURE_IMPL_H

#include <stddef.h>
#include <stdint.h>

enum {
    T3DI_SSIM_TAPS = 11,
    T3DI_SSIM_SLACK = 32, /* floats that may be read behind a row */
    T3DI_SSIM_BAND = 64,  /* rows of results that are one task */
    T3DI_SSIM_TILE = 128, /* columns of results that are done together */
    T3DI_SSIM_MAP = 160,  /* floats of a row of a tile, with its margins and room to read over */
    /* rows of products for each tap and one row of sums, four maps each */
    T3DI_SSIM_RING = 4 * (T3DI_SSIM_TAPS + 1) * T3DI_SSIM_MAP
};

struct t3di_ssim {
    /* Planes, rows of `stride` floats, of sRGB / 255 - 1/2; or, with x NULL, one channel of the
     * pixels themselves, over white. */
    const float *x, *y;
    size_t stride;
    const uint8_t *a, *b;
    int shift; /* of the channel in a pixel's word: 0, 8, 16 */
    uint32_t width, height;
    uint32_t taps; /* 7 or 11 */
    float weight[T3DI_SSIM_TAPS];
    float covariance; /* factor: 1, or n / (n - 1) */
};

struct t3d_err;
/* The mean of the index of three planes over windows about pixels of the mask. */
int t3di_ssim_mask(double *out, const struct t3di_ssim *s, int threads, struct t3d_err *err);

struct t3di_picture_kernel {
    /* Sum over n pixels and three channels of ((a over bg) - (b over bg))^2, times 65025^2; bg is
     * 255 or 0. */
    double (*squares)(const uint8_t *a, const uint8_t *b, size_t n, float bg);
    /* n pixels over white, codes / 255 - 1/2, to three planes. */
    void (*planes)(float *const out[3], const uint8_t *in, size_t n);
    /* Sum of the index over result rows [first, last); ring: scratch of T3DI_SSIM_RING floats.
     */
    double (*ssim)(const struct t3di_ssim *s, uint32_t first, uint32_t last, float *ring);
};

extern const struct t3di_picture_kernel t3di_picture_portable, t3di_picture_avx2,
    t3di_picture_avx512;

#endif
