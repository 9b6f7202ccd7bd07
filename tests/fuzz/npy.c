/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the .npy reader. What it accepts must be readable to the last byte. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t bytes[] = {4, 2, 8, 1, 2, 4, 8}; /* by enum t3d_npy_type */
    struct t3d_err err = {0};
    struct t3d_npy n;
    uint64_t sum = 0, count = 1;
    FILE *f;
    int r;

    if (!path[0]) {
        snprintf(path, sizeof path, "/dev/shm/t3d-fuzz-npy.%ld", (long)getpid());
        if (atexit(remove_file) != 0)
            abort();
    }
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    r = t3d_npy_open(&n, path, &err);
    if (r < 0) {
        if (r != T3D_SKIP || !err.reason[0])
            abort();
        return 0;
    }
    for (int i = 0; i < n.n_axes; i++)
        count *= n.shape[i];
    if (count != n.count)
        abort();
    for (uint64_t i = 0; i < n.count * bytes[n.type]; i++)
        sum += ((const uint8_t *)n.data)[i];
    t3d_npy_close(&n);
    return sum == UINT64_MAX;
}
