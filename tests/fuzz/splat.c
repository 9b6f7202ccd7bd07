/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_read(t3d_read_splat, "fuzz.splat", data, size);
}
