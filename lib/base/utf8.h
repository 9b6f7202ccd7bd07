/* SPDX-License-Identifier: Apache-2.0 */
/* base/utf8.h -- UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
#ifndef T3D_BASE_UTF8_H
#define T3D_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

enum { T3D_UTF8_MAX = 4 }; /* most bytes of a character */

/* The character at s (n bytes left, n > 0) in *c; returns its length, or 0 when there is none. */
size_t t3d_utf8_decode(const char *s, size_t n, uint32_t *c) T3D_MUST_CHECK;

/* Writes c (no surrogate, at most U+10FFFF) to out (T3D_UTF8_MAX bytes); returns the length. */
size_t t3d_utf8_encode(char *out, uint32_t c);

/* Offset of the first byte that begins no character; n when all is valid. */
size_t t3d_utf8_valid(const char *s, size_t n);

#endif
