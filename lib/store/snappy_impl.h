/* SPDX-License-Identifier: Apache-2.0 */
/* store/snappy_impl.h -- the raw Snappy format (google/snappy, format_description.txt), as
 * Parquet's pages use it: no framing, no checksum. */
#ifndef T3D_STORE_SNAPPY_IMPL_H
#define T3D_STORE_SNAPPY_IMPL_H

#include <stddef.h>
#include <stdint.h>

/* Exactly n bytes into out. 0, or -1 for a stream that is damaged or gives another length. */
int t3di_snappy(const uint8_t *in, size_t in_n, uint8_t *out, size_t n);

#endif
