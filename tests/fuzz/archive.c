/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the unpacker's code in the child, with libarchive, against a caller that checks
 * what it says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "store/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct t3d_unpacker *u;
    static const struct t3d_archive_limits limits = {
        .members = 1000, .member_bytes = 1 << 20, .bytes = 4 << 20, .seconds = 5};
    struct t3d_archive *a;
    struct t3d_err err;
    int fd = memfd_create("archive", 0);

    if (!u && t3d_unpacker_open(&u, 1, &limits, &err) < 0)
        abort();
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (t3d_archive_open(&a, u, 0, fd, "x", "/tmp", &err) == T3D_OK) {
        for (size_t i = 0; i < a->n; i++) {
            int m = t3d_archive_member(a, &a->member[i], &err);
            if (m < 0 || (i && strcmp(a->member[i - 1].name, a->member[i].name) >= 0))
                abort();
            close(m);
        }
        t3d_archive_close(a);
    } else if (strcmp(err.reason, "parser-crashed") == 0) {
        abort();
    }
    close(fd);
    return 0;
}
