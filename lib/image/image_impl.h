/* SPDX-License-Identifier: Apache-2.0 */
/* image/image_impl.h -- shared inside the image layer. */
#ifndef T3D_IMAGE_IMAGE_IMPL_H
#define T3D_IMAGE_IMAGE_IMPL_H

#include <stdint.h>

#include "image/image.h"

enum { T3DI_MAX_PIXELS = 64 << 20 }; /* of a picture to be decoded: 256 MiB as RGBA */

static inline uint32_t t3di_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void t3di_put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

extern const uint8_t t3di_png_signature[8];

/* Decoders: info is the probe's; pixels (height, width, 4) is the caller's. */
int t3di_decode_jpeg(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                     size_t size, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_decode_webp(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                     size_t size, struct t3d_err *err) T3D_MUST_CHECK;
/* Any PNG, by libpng: the reference, and the judge of damaged files. */
int t3di_decode_libpng(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                       size_t size, struct t3d_err *err) T3D_MUST_CHECK;

/* Common PNGs fast: 8 bits a sample, not interlaced, tRNS at most with a palette. 1 when decoded, 0
 * when the file is of another kind or damaged: libpng decides then. pixels must have room for
 * t3di_png_room() bytes; row (2, row_room) is scratch. */
int t3di_decode_png_fast(uint8_t *pixels, const struct t3d_image_info *info, struct t3d_arena *a,
                         const uint8_t *data, size_t size) T3D_MUST_CHECK;
/* One of 16-bit grey, to pixels (height, width); 0 when it is of another kind or damaged. */
int t3di_decode_png_grey16(uint16_t *pixels, const struct t3d_image_info *info, struct t3d_arena *a,
                           const uint8_t *data, size_t size) T3D_MUST_CHECK;
size_t t3di_png_room(const struct t3d_image_info *info);

/* Undo one row's filter (PNG section 9.2): out = n bytes from the filtered in and the row above,
 * bpp bytes a pixel (1-4). in may overlap out if it lies at or behind it. 16 bytes behind in, above
 * and out may be read, and those behind out up to 16 be written. */
typedef void t3di_unfilter_fn(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n,
                              int bpp, int filter);
t3di_unfilter_fn t3di_png_unfilter, t3di_png_unfilter_avx2;

#endif
