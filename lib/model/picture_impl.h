/* SPDX-License-Identifier: Apache-2.0 */
/* model/picture_impl.h -- the loader's pictures as numbers. */
#ifndef T3D_MODEL_PICTURE_IMPL_H
#define T3D_MODEL_PICTURE_IMPL_H

#include "num/op.h"

/* Channel k of a pixel (4 x 8 bit, straight alpha) over white, in [0, 1]. */
static inline t3d_real t3di_over_white(const uint8_t *rgba, int k)
{
    unsigned a = rgba[3];

    return (t3d_real)(rgba[k] * a + 255 * (255 - a)) / (255 * 255);
}

/* n pixels as what is compared: over white (n, 3), and their alpha (n). */
static inline void t3di_put_picture(t3d_real *rgb, t3d_real *alpha, const uint8_t *rgba, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        for (int j = 0; j < 3; j++)
            rgb[3 * k + (size_t)j] = t3di_over_white(rgba + 4 * k, j);
        alpha[k] = (t3d_real)rgba[4 * k + 3] / 255;
    }
}

/* n codes of a depth picture (65535 = nothing) as distances along the axis of a camera with this
 * range, and what each counts: the pixel's alpha times `share`, 0 where nothing is. */
static inline void t3di_put_depth(t3d_real *depth, t3d_real *counts, const uint16_t *code,
                                  const uint8_t *rgba, size_t n, const double range[2],
                                  double share)
{
    for (size_t k = 0; k < n; k++) {
        int some = code[k] != 65535;

        depth[k] = some ? (t3d_real)(range[0] + code[k] * (range[1] - range[0]) / 65535) : 0;
        counts[k] = some ? (t3d_real)(share * rgba[4 * k + 3] / 255) : 0;
    }
}

#endif
