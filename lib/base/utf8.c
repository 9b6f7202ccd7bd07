/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "base/json_impl.h"

size_t t3d_utf8_decode(const char *s, size_t n, uint32_t *c)
{
    static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07}; /* bits of the first byte */
    size_t len = t3di_utf8_char((const unsigned char *)s, n);

    if (len) {
        *c = (unsigned char)s[0] & first[len];
        for (size_t i = 1; i < len; i++)
            *c = *c << 6 | ((unsigned char)s[i] & 0x3f);
    }
    return len;
}

size_t t3d_utf8_encode(char *out, uint32_t c)
{
    static const uint8_t mark[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(mark[len] | c);
    return len;
}

size_t t3d_utf8_valid(const char *s, size_t n)
{
    return t3di_utf8_valid(s, n);
}
