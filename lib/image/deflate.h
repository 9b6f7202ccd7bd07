/* SPDX-License-Identifier: Apache-2.0 */
/* image/deflate.h -- zlib streams of filtered PNG rows, made fast (RFC 1950, RFC 1951).
 *
 * General compressors try every byte position and enter every byte of a match into their tables.
 * Filtered rows have more structure: matches begin at pixels, most repeat the pixel before or the
 * row above, and a blank area is one match over many rows. So only pixels are looked up, the two
 * likely distances are tried first, and matches are passed over at the speed of comparing memory.
 */
#ifndef T3D_IMAGE_DEFLATE_H
#define T3D_IMAGE_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

struct t3di_deflate; /* tables for reuse; one per thread */

struct t3di_deflate *t3di_deflate_new(void); /* NULL when memory is out */
void t3di_deflate_free(struct t3di_deflate *d);

/* The most bytes that n can become. */
size_t t3di_deflate_bound(size_t n);

/* Compress n bytes: rows of stride bytes, each a filter byte and pixels of bpp bytes. out has room
 * for t3di_deflate_bound(n). Returns the size of the zlib stream, which depends on the input alone.
 */
size_t t3di_deflate_zlib(struct t3di_deflate *d, uint8_t *out, const uint8_t *in, size_t n,
                         size_t stride, size_t bpp) T3D_MUST_CHECK;

#endif
