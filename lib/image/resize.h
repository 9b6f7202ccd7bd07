/* SPDX-License-Identifier: Apache-2.0 */
/* image/resize.h -- resizing that equals Pillow's ImagingResample bit for bit on 8-bit pixels
 * (its fixed-point two-pass convolution: 8-bit coefficients in 22-bit precision, horizontal first).
 */
#ifndef T3D_IMAGE_RESIZE_H
#define T3D_IMAGE_RESIZE_H

#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum t3d_filter { T3D_FILTER_BOX, T3D_FILTER_BILINEAR, T3D_FILTER_BICUBIC, T3D_FILTER_LANCZOS };

/* in (h, w, channels) -> out (oh, ow, channels), caller's memory; channels 1, 3 or 4 (treated
 * alike: for RGBA pass premultiplied pixels). Sides up to T3D_IMAGE_MAX_SIDE. Scratch comes from
 * the arena. */
int t3d_resize(uint8_t *out, uint32_t ow, uint32_t oh, const uint8_t *in, uint32_t w, uint32_t h,
               int channels, enum t3d_filter filter, struct t3d_arena *scratch,
               struct t3d_err *err) T3D_MUST_CHECK;

#endif
