/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: what we make of assimp's scenes, and assimp on its way there. A crash inside
 * the library alone is the library's (it runs in a child for that reason): it ends this run, and is
 * looked at by hand. */
#include "reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (t3d_read_other_load() < 0)
        return 0;
    return fuzz_read(t3d_read_other, "x.3ds", data, size);
}
