/* SPDX-License-Identifier: Apache-2.0 */
/* image/png.h -- a fast PNG writer.
 *
 * Filters and compressor are our own and made for each other (image/deflate.h): a training set is
 * written once and read many times, but PNG at libpng's defaults costs more than the rendering.
 * Bytes are a pure function of the pixels. Specification: PNG (ISO/IEC 15948). */
#ifndef T3D_IMAGE_PNG_H
#define T3D_IMAGE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_png_writer; /* compressor and buffers, for reuse; one per thread */

int t3d_png_writer_new(struct t3d_png_writer **out, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_png_writer_free(struct t3d_png_writer *w);

struct t3d_png_text {
    const char *key, *value;
}; /* tEXt (Latin-1) or iTXt when value is not ASCII */

/* channels 1 (grey), 3 (RGB) or 4 (RGBA); depth 8, or 16 with pixels as native uint16_t.
 * *png is owned by the writer and valid until its next call. */
int t3d_png_encode(struct t3d_png_writer *w, const void *pixels, uint32_t width, uint32_t height,
                   int channels, int depth, const struct t3d_png_text *text, size_t n_text,
                   const uint8_t **png, size_t *size, struct t3d_err *err) T3D_MUST_CHECK;

#endif
