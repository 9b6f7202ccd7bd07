/* SPDX-License-Identifier: Apache-2.0 */
/* metric/picture.h -- PSNR and SSIM of two pictures of one size.
 *
 * Pictures are 8-bit sRGB RGBA, straight alpha (image/image.h), and go over a background before
 * anything else, without rounding: white unless the dialect says otherwise. Values are of sRGB
 * codes / 255 unless it says linear. */
#ifndef T3D_METRIC_PICTURE_H
#define T3D_METRIC_PICTURE_H

#include <stdint.h>

#include "base/err.h"

struct t3d_picture_pair {
    const uint8_t *a, *b; /* (height, width, 4) */
    uint32_t width, height;
};

enum t3d_psnr_rule {
    T3D_PSNR_WHITE,  /* all pixels, over white */
    T3D_PSNR_BLACK,  /* all pixels, over black */
    T3D_PSNR_MASK,   /* pixels where either alpha is above 0, over white */
    T3D_PSNR_LINEAR, /* all pixels, over white, in linear light */
    T3D_PSNR_BBOX    /* the box of the pixels where either alpha is above 0, over white */
};

#define T3D_PSNR_CAP 100 /* dB: equal pictures have no finite PSNR */

/* 10 log10(1 / MSE), at most T3D_PSNR_CAP (*capped). NAN when the mask has no pixel. */
double t3d_psnr(const struct t3d_picture_pair *p, enum t3d_psnr_rule rule, int threads,
                int *capped);

enum t3d_ssim_rule {
    /* Wang, Bovik, Sheikh, Simoncelli 2004: Gaussian of 11 x 11, sigma 1.5, K .01 and .03, range 1,
     * population covariance, each channel of RGB, windows wholly inside; = scikit-image with
     * gaussian_weights, use_sample_covariance off, and pytorch-msssim. */
    T3D_SSIM_GAUSS11,
    T3D_SSIM_SKIMAGE,      /* scikit-image's defaults: uniform 7 x 7, sample covariance */
    T3D_SSIM_TORCHMETRICS, /* as GAUSS11, reflected at the borders, mean over the whole picture */
    T3D_SSIM_LUMA,         /* as GAUSS11 on .299 R + .587 G + .114 B (BT.601) */
    T3D_SSIM_BLACK,        /* as GAUSS11 over black */
    T3D_SSIM_MASK /* as GAUSS11, mean over windows about pixels where an alpha is above 0 */
};

/* T3D_SKIP "too-small" when a side is below the window's. NAN when the mask has no pixel. */
int t3d_ssim(double *out, const struct t3d_picture_pair *p, enum t3d_ssim_rule rule, int threads,
             struct t3d_err *err) T3D_MUST_CHECK;

#endif
