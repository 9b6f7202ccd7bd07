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

/* A part of a resized picture, without making the rest: pixels [x, x + w) and [y, y + h) of what
 * would be whole_w x whole_h (each up to 2^30). */
struct t3d_resize_part {
    uint32_t whole_w, whole_h, x, y, w, h;
    enum t3d_filter filter;
    int torch;    /* torch's 8-bit antialiased resize: the same with coefficients of 16 bits */
    int pillow13; /* columns go first when h shrinks by more than twice what w shrinks, as Pillow 13
                     has it (9.4 does not) */
};
int t3d_resize_part(uint8_t *out, const struct t3d_resize_part *part, const uint8_t *in, uint32_t w,
                    uint32_t h, int channels, struct t3d_arena *scratch,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
