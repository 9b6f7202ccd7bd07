/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: lists of addresses, and names of archive members. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/archive.h"
#include "store/url_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name(const uint8_t *data, size_t size)
{
    char text[4096], out[2048], again[2048];
    size_t n = size < sizeof text ? size : sizeof text - 1;

    memcpy(text, data, n);
    text[n] = 0;
    if (t3d_archive_name(out, sizeof out, text, NULL) < 0)
        return;
    /* A plain name is its own plain name, and leads nowhere. */
    if (t3d_archive_name(again, sizeof again, out, NULL) < 0 || strcmp(out, again) != 0 ||
        out[0] == '/' || strncmp(out, "../", 3) == 0 || strstr(out, "/../") || strchr(out, '\\'))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("list", 0), r = 0;
    struct t3d_url_list *l;
    struct t3d_url_row row;
    struct t3d_err err;
    char path[40];

    name(data, size);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        __builtin_trap();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (t3d_url_list_open(&l, path, &err) == T3D_OK) {
        while ((r = t3d_url_list_next(l, &row, &err)) == T3D_OK)
            if (!row.bad.code && !row.url)
                __builtin_trap();
        t3d_url_list_close(l);
    }
    close(fd);
    return 0;
}
