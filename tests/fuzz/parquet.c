/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {"?sha256", "?fileIdentifier", "?license", "?i32", "?f64",
                                          "?yes",    "?four",           "?last",    NULL};
    static int fd = -1;
    struct t3d_parquet_value v[T3D_PARQUET_COLUMNS];
    struct t3d_parquet *p;
    struct t3d_err err;
    static volatile uint8_t seen;
    char path[64];

    if (fd < 0)
        fd = memfd_create("parquet", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size ||
        t3d_parquet_open(&p, path, columns, &err) < 0)
        return 0;
    for (int i = 0; i < 10000 && t3d_parquet_next(p, v, &err) == T3D_OK; i++)
        for (int k = 0; k < 8; k++)
            for (size_t b = 0; v[k].type == T3D_PARQUET_TEXT && b < v[k].n; b++)
                seen = (uint8_t)v[k].text[b];
    t3d_parquet_close(p);
    return seen > 255;
}
