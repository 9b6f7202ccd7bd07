/* SPDX-License-Identifier: Apache-2.0 */
/* Probe and decode any bytes; what the probe refuses, the decoder must refuse, and sizes must
 * agree. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A depth picture is a picture for the other reader, too, with the same numbers, rounded. */
static void grey(const uint8_t *data, size_t size, struct t3d_arena *a)
{
    struct t3d_image_info info, same;
    uint16_t *codes;
    uint8_t *pixels;

    if (t3d_image_decode_grey16(&info, &codes, a, data, size, NULL) != T3D_OK)
        return;
    if (t3d_image_decode(&same, &pixels, a, data, size, NULL) != T3D_OK)
        return; /* a damaged chunk behind the pixels */
    for (size_t i = 0; i < (size_t)info.width * info.height; i++)
        if (pixels[4 * i] != (codes[i] * 255u + 32767) / 65535)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t3d_arena a = {.limit = 64u << 20};
    struct t3d_image_info probed, info;
    int known = t3d_image_probe(&probed, data, size, NULL);
    uint8_t *pixels;
    volatile uint8_t sink = 0;

    if (known == T3D_OK && (uint64_t)probed.width * probed.height > 4u << 20)
        return 0; /* fuzzing is for bugs, not for patience */
    if (t3d_image_decode(&info, &pixels, &a, data, size, NULL) == T3D_OK) {
        if (known != T3D_OK || info.width != probed.width || info.height != probed.height)
            abort();
        for (size_t i = 0; i < (size_t)info.width * info.height * 4; i++)
            sink = (uint8_t)(sink + pixels[i]);
    }
    grey(data, size, &a);
    t3d_arena_free(&a);
    return 0;
}
