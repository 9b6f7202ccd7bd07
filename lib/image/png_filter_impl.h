/* SPDX-License-Identifier: Apache-2.0 */
/* image/png_filter_impl.h -- PNG row filters for writing (ISO/IEC 15948, 9.2-9.4).
 *
 * out, row and above have n bytes, pixels of bpp (1-8); above is zeros for the first row. Each
 * returns the sum of |residual as a signed byte|, the usual measure for choosing one
 * (section 12.7). */
#ifndef T3D_IMAGE_PNG_FILTER_IMPL_H
#define T3D_IMAGE_PNG_FILTER_IMPL_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t t3di_filter_fn(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                                size_t bpp);

t3di_filter_fn t3di_filter_up, t3di_filter_paeth, t3di_filter_up_avx2, t3di_filter_paeth_avx2;

/* The part of a row from byte i on. */
uint64_t t3di_filter_paeth_from(size_t i, uint8_t *out, const uint8_t *row, const uint8_t *above,
                                size_t n, size_t bpp);

#endif
