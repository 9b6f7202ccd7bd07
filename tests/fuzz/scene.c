/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the flat scene that a parsing child hands to its parent. */
#include <stdint.h>

#include "geom/scene.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *buf = aligned_alloc(64, (size + 64) / 64 * 64);
    struct t3d_normalisation n;
    struct t3d_scene s;

    memcpy(buf, data, size);
    if (t3d_scene_unpack(&s, buf, size, NULL) == T3D_OK) {
        if (t3d_scene_packed_size(&s) != size)
            abort();
        if (t3d_scene_normalisation(&s, &n, NULL) == T3D_OK && !(n.scale > 0))
            abort();
    }
    free(buf);
    return 0;
}
