/* SPDX-License-Identifier: Apache-2.0 */
/* image/sheet_impl.h -- the letters of contact sheets. */
#ifndef T3D_IMAGE_SHEET_IMPL_H
#define T3D_IMAGE_SHEET_IMPL_H

#include <stdint.h>

enum { T3DI_GLYPH_COLUMNS = 5, T3DI_GLYPH_ROWS = 9 };

/* The rows of a letter, top first, bit 4 = left; a box for what is not printable ASCII. */
const uint8_t *t3di_glyph(uint32_t code);

#endif
