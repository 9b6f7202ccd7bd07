/* SPDX-License-Identifier: Apache-2.0 */
/* store/gzip.h -- gzip files (RFC 1952) that are small enough to hold. */
#ifndef T3D_STORE_GZIP_H
#define T3D_STORE_GZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

/* 1 when the bytes begin as a gzip member does. */
int t3d_gzip_is(const void *data, size_t size);

/* The content of one member, in the arena. T3D_SKIP "bad-gzip" when it is damaged or cut off,
 * "too-large" above max bytes. name is for messages. */
int t3d_gzip_inflate(uint8_t **out, size_t *n, struct t3d_arena *a, const void *data, size_t size,
                     size_t max, const char *name, struct t3d_err *err) T3D_MUST_CHECK;

#endif
