/* SPDX-License-Identifier: Apache-2.0 */
/* image/image.h -- pictures in memory, and reading PNG, JPEG and WebP.
 *
 * Pixels are 8-bit sRGB RGBA, straight alpha, rows from the top, (height, width, 4). Grey becomes
 * RGB, missing alpha 255, 16-bit is rounded to 8, palettes and tRNS are expanded, CMYK and YCCK
 * JPEGs are converted. No gamma or ICC conversion (glTF 2.0 section 3.8.2 asks to ignore them). */
#ifndef T3D_IMAGE_IMAGE_H
#define T3D_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum { T3D_IMAGE_MAX_SIDE = 16384 }; /* larger is T3D_SKIP "image-too-large" before any decoding */

enum t3d_image_format { T3D_IMAGE_UNKNOWN, T3D_IMAGE_PNG, T3D_IMAGE_JPEG, T3D_IMAGE_WEBP };

struct t3d_image_info {
    enum t3d_image_format format;
    uint32_t width, height;
    int channels;  /* 1 grey, 2 grey + alpha, 3, 4 as stored (palette: 3, or 4 with tRNS) */
    int has_alpha; /* the file can carry alpha */
};

/* From the header alone, by its bytes and never by its name; no decoding, no allocation.
 * T3D_SKIP "not-an-image", "image-too-large", "bad-image". */
int t3d_image_probe(struct t3d_image_info *info, const uint8_t *data, size_t size,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* Decode to RGBA8 in the arena: *pixels (height, width, 4). Truncated or damaged data is T3D_SKIP
 * "bad-image"; nothing half-decoded is returned. */
int t3d_image_decode(struct t3d_image_info *info, uint8_t **pixels, struct t3d_arena *a,
                     const uint8_t *data, size_t size, struct t3d_err *err) T3D_MUST_CHECK;

/* A PNG of 16-bit grey, not interlaced (render's depth pictures): *pixels (height, width). Any
 * other picture, or one that is damaged, is T3D_SKIP "bad-image". */
int t3d_image_decode_grey16(struct t3d_image_info *info, uint16_t **pixels, struct t3d_arena *a,
                            const uint8_t *data, size_t size, struct t3d_err *err) T3D_MUST_CHECK;

#endif
