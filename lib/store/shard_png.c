/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/shard_impl.h"

/* The PNG specification's own checksum (annex D): reflected polynomial 0xEDB88320, a byte a step.
 */
static uint32_t crc32_of(const uint32_t table[256], const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;

    while (n--)
        c = table[(c ^ *p++) & 255] ^ c >> 8;
    return ~c;
}

static void fill(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? 0xEDB88320u ^ table[i] >> 1 : table[i] >> 1;
    }
}

static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int t3di_png_sound(const uint8_t *data, size_t size)
{
    uint32_t table[256], n;
    size_t at = 8;

    if (size < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0)
        return 0;
    fill(table);
    while (size - at >= 12) {
        n = big32(data + at);
        if (n > size - at - 12 ||
            crc32_of(table, data + at + 4, (size_t)n + 4) != big32(data + at + 8 + n))
            return 0;
        if (memcmp(data + at + 4, "IEND", 4) == 0)
            return at + 12 + n == size;
        at += 12 + (size_t)n;
    }
    return 0;
}
