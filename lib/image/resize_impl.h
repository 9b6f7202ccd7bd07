/* SPDX-License-Identifier: Apache-2.0 */
/* image/resize_impl.h -- the two passes of t3d_resize, in plain C and with vectors. */
#ifndef T3D_IMAGE_RESIZE_IMPL_H
#define T3D_IMAGE_RESIZE_IMPL_H

#include <stddef.h>
#include <stdint.h>

enum {
    T3DI_RESIZE_BITS = 22, /* fraction bits of a coefficient: 32 - 8 - 2 */
    T3DI_RESIZE_SLACK =
        64 /* bytes that may be read behind a row; pairs and vectors reach over its end */
};

/* Output i is the sum over t < count[i] of k[i * width + t] * input[first[i] + t]. width is even
 * and the coefficients behind count[i] are 0. */
struct t3di_taps {
    uint32_t *first, *count;
    int32_t *k;
    size_t width;
};

/* Four rows at once: out[r] (n, channels) from in[r]. */
typedef void t3di_horizontal_fn(uint8_t *const out[4], const uint8_t *const in[4], uint32_t n,
                                int channels, const struct t3di_taps *taps);
/* One output row of n bytes: in is the first input row that takes part, k its count coefficients.
 */
typedef void t3di_vertical_fn(uint8_t *out, const uint8_t *in, size_t stride, size_t n,
                              const int32_t *k, uint32_t count);

t3di_horizontal_fn t3di_horizontal, t3di_horizontal_avx2;
t3di_vertical_fn t3di_vertical, t3di_vertical_avx2;

#endif
