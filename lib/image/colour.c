/* SPDX-License-Identifier: Apache-2.0 */
#include "image/colour.h"

#include <math.h>
#include <string.h>

#include "image/colour_table.h"

const float *t3d_srgb_to_linear_table(void)
{
    return linear_of_code;
}

/* IEC 61966-2-1, 5.2; in double, so that the result is the nearest float. */
float t3d_srgb_to_linear(float c)
{
    double d = c;

    return (float)(d <= .04045 ? d / 12.92 : pow((d + .055) / 1.055, 2.4));
}

float t3d_linear_to_srgb(float c)
{
    double d = c;

    return (float)(d <= .0031308 ? d * 12.92 : 1.055 * pow(d, 1 / 2.4) - .055);
}

/* The upper 16 bits of a float in [2^-13, 1) (exponent and 7 bits of mantissa) choose a bucket; the
 * curve rises by less than one code within each, so that one comparison with the next threshold
 * decides. */
static inline uint8_t encode(float v)
{
    uint32_t bits, code;

    if (!(v > 0x1p-13f)) /* also NaN */
        return 0;
    if (v >= 1)
        return 255;
    memcpy(&bits, &v, sizeof bits);
    code = bucket[(bits >> 16) - (0x39000000u >> 16)];
    return (uint8_t)(code + (code < 255 && v >= threshold[(code + 1) & 255]));
}

uint8_t t3d_linear_to_srgb8(float v)
{
    return encode(v);
}

void t3d_linear_to_srgb8_row(uint8_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = encode(in[i]);
}
