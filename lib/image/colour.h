/* SPDX-License-Identifier: Apache-2.0 */
/* image/colour.h -- sRGB (IEC 61966-2-1) to linear light and back. */
#ifndef T3D_IMAGE_COLOUR_H
#define T3D_IMAGE_COLOUR_H

#include <stddef.h>
#include <stdint.h>

/* Exact decoding of the 256 codes; linear[i] = c <= .04045 ? c/12.92 : ((c+.055)/1.055)^2.4. */
const float *t3d_srgb_to_linear_table(void);

float t3d_srgb_to_linear(float c);
float t3d_linear_to_srgb(float c);

/* The 8-bit code nearest to linear value v (clamped to [0,1]; NaN gives 0), by a table that is
 * exact: equal to rounding t3d_linear_to_srgb(v) * 255 for every float. */
uint8_t t3d_linear_to_srgb8(float v);
/* The same for n values; in and out do not overlap. */
void t3d_linear_to_srgb8_row(uint8_t *out, const float *in, size_t n);

#endif
