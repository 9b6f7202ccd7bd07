/* SPDX-License-Identifier: Apache-2.0 */
/* net/unicode.h -- the little of Unicode that tokenizers need. */
#ifndef T3D_NET_UNICODE_H
#define T3D_NET_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

struct t3d_arena;

enum t3d_unicode_class {
    T3D_UNICODE_OTHER,
    T3D_UNICODE_LETTER, /* general category L* */
    T3D_UNICODE_NUMBER, /* general category N* */
    T3D_UNICODE_SPACE   /* White_Space */
};

/* The version of the tables, "14.0.0". */
const char *t3d_unicode_version(void);

enum t3d_unicode_class t3d_unicode_class(uint32_t c);

/* Lower case of one character, without context (a final sigma stays a sigma): out gets 1 or 2
 * characters, whose number is returned. */
size_t t3d_unicode_lower(uint32_t c, uint32_t out[2]);

/* Normalisation form C (UAX #15) of n characters. *out lies in the arena or is `in` itself when
 * nothing changes; returns its length, or -1 when memory is out. */
int64_t t3d_unicode_nfc(const uint32_t **out, const uint32_t *in, size_t n,
                        struct t3d_arena *a) T3D_MUST_CHECK;

/* Bytes of the extended grapheme cluster (UAX #29) at s, n > 0 bytes of UTF-8; a byte that begins
 * no character is one alone. */
size_t t3d_unicode_cluster(const char *s, size_t n);

#endif
