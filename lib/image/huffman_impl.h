/* SPDX-License-Identifier: Apache-2.0 */
/* image/huffman_impl.h -- prefix codes of limited length. */
#ifndef T3D_IMAGE_HUFFMAN_IMPL_H
#define T3D_IMAGE_HUFFMAN_IMPL_H

#include <stdint.h>

struct t3di_code {
    uint16_t bits; /* first bit lowest, as DEFLATE writes it */
    uint8_t n;     /* 0: the symbol does not occur */
};

/* The canonical code (RFC 1951, 3.2.2) of up to 288 symbols by their frequencies, none longer than
 * limit (at most 15) bits. At least two symbols get a code, so that it is complete. */
void t3di_huffman(struct t3di_code *code, const uint32_t *freq, int n, int limit);

#endif
