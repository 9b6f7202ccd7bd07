/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/cap3d.h"
#include "store/shard_impl.h"

uint32_t t3d_cap3d_picture(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t w, h;

    if (size < 24 || memcmp(p + 12, "IHDR", 4) != 0 || !t3di_png_sound(p, size))
        return 0;
    w = (uint32_t)p[16] << 24 | (uint32_t)p[17] << 16 | (uint32_t)p[18] << 8 | p[19];
    h = (uint32_t)p[20] << 24 | (uint32_t)p[21] << 16 | (uint32_t)p[22] << 8 | p[23];
    return w == h && w <= 16384 ? w : 0;
}
