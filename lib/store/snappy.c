/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/snappy_impl.h"

/* Section 1: the length as a little-endian varint of at most 32 bits. Bytes taken, 0 = damaged. */
static size_t length(const uint8_t *in, size_t in_n, uint64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < in_n && i < 5; i++) {
        *n |= (uint64_t)(in[i] & 0x7f) << (7 * i);
        if (!(in[i] & 0x80))
            return i + 1;
    }
    return 0;
}

/* Section 2.2: a copy may overlap itself, which repeats a pattern. */
static void copy(uint8_t *to, size_t back, size_t n)
{
    const uint8_t *from = to - back;

    if (back >= n) {
        memcpy(to, from, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

int t3di_snappy(const uint8_t *in, size_t in_n, uint8_t *out, size_t n)
{
    static const uint8_t extra[4] = {0, 1, 2, 4}; /* bytes behind the tag, by its two lowest bits */
    const uint8_t *end = in + in_n;
    uint64_t wanted;
    size_t at = 0, k = length(in, in_n, &wanted);

    if (!k || wanted != n)
        return -1;
    for (in += k; in < end;) {
        unsigned tag = *in++, more = extra[tag & 3];
        size_t len = (tag >> 2) + 1, value = 0;

        if ((tag & 3) == 0) /* section 2.1: a literal; lengths above 60 stand behind the tag */
            more = len > 60 ? (unsigned)len - 60 : 0;
        if ((size_t)(end - in) < more)
            return -1;
        for (unsigned i = 0; i < more; i++)
            value |= (size_t)in[i] << (8 * i);
        in += more;
        if ((tag & 3) == 0) {
            len = more ? value + 1 : len;
            if (len > (size_t)(end - in) || len > n - at)
                return -1;
            memcpy(out + at, in, len);
            in += len;
        } else {
            if ((tag & 3) == 1) { /* 4 to 11 bytes, an offset of 11 bits */
                len = 4 + ((tag >> 2) & 7);
                value |= (size_t)(tag >> 5) << 8;
            }
            if (!value || value > at || len > n - at)
                return -1;
            copy(out + at, value, len);
        }
        at += len;
    }
    return at == n ? 0 : -1;
}
