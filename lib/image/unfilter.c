/* SPDX-License-Identifier: Apache-2.0 */
/* PNG filters undone (ISO/IEC 15948, 9.2-9.4), in plain C. */
#include <stdlib.h>
#include <string.h>

#include "image/image_impl.h"

static inline uint8_t paeth(int a, int b, int c)
{
    int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);

    return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* bpp is a constant at each call, so that the loop-carried pixel stays in registers. */
static inline void serial(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n, int bpp,
                          int filter)
{
    uint8_t a[4] = {0}, c[4] = {0};

    for (size_t i = 0; i + (size_t)bpp <= n; i += (size_t)bpp)
        for (int k = 0; k < bpp; k++) {
            uint8_t b = above[i + (size_t)k], x = in[i + (size_t)k];

            x = (uint8_t)(x + (filter == 1   ? a[k]
                               : filter == 3 ? (a[k] + b) >> 1
                                             : paeth(a[k], b, c[k])));
            a[k] = x;
            c[k] = b;
            out[i + (size_t)k] = x;
        }
}

#define EACH_FILTER(bpp)                                                                           \
    if (filter == 1)                                                                               \
        serial(out, in, above, n, bpp, 1);                                                         \
    else if (filter == 3)                                                                          \
        serial(out, in, above, n, bpp, 3);                                                         \
    else                                                                                           \
        serial(out, in, above, n, bpp, 4)

void t3di_png_unfilter(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n, int bpp,
                       int filter)
{
    if (filter == 0) {
        memmove(out, in, n);
    } else if (filter == 2) {
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(in[i] + above[i]);
    } else if (bpp == 1) {
        EACH_FILTER(1);
    } else if (bpp == 2) {
        EACH_FILTER(2);
    } else if (bpp == 3) {
        EACH_FILTER(3);
    } else {
        EACH_FILTER(4);
    }
}
