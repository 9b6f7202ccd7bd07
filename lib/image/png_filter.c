/* SPDX-License-Identifier: Apache-2.0 */
#include "image/png_filter_impl.h"

#include <stdlib.h>

static inline unsigned size_of(uint8_t residual)
{
    return residual < 128 ? residual : 256u - residual;
}

uint64_t t3di_filter_up(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                        size_t bpp)
{
    uint64_t sum = 0;

    (void)bpp;
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(row[i] - above[i]);
        sum += size_of(out[i]);
    }
    return sum;
}

static inline uint8_t predict(int a, int b, int c)
{
    int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
    int near = pb <= pc ? b : c;

    return (uint8_t)(pa <= pb && pa <= pc ? a : near);
}

uint64_t t3di_filter_paeth_from(size_t i, uint8_t *out, const uint8_t *row, const uint8_t *above,
                                size_t n, size_t bpp)
{
    uint64_t sum = 0;

    for (; i < n && i < bpp; i++) {
        out[i] = (uint8_t)(row[i] - above[i]); /* nothing to the left: b is nearest */
        sum += size_of(out[i]);
    }
    for (; i < n; i++) {
        out[i] = (uint8_t)(row[i] - predict(row[i - bpp], above[i], above[i - bpp]));
        sum += size_of(out[i]);
    }
    return sum;
}

uint64_t t3di_filter_paeth(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                           size_t bpp)
{
    return t3di_filter_paeth_from(0, out, row, above, n, bpp);
}
