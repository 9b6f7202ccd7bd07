/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: lists of objects as they come from elsewhere: rows of addresses, members of a
 * long JSON object, licences, Snappy's pages,
 * members of zip files. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "store/dataset.h"
#include "store/json_members.h"
#include "store/snappy_impl.h"
#include "store/url_list.h"
#include "store/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rows(const char *path, struct t3d_arena *a)
{
    struct t3d_url_list *l;
    struct t3d_url_row row;
    struct t3d_err err;
    const char *url;
    char uid[129], slug[64], *clean;

    if (t3d_url_list_open(&l, path, &err) < 0)
        return;
    while (t3d_url_list_next(l, &row, &err) == T3D_OK) {
        struct t3d_xl_entry e = {"github", row.url ? row.url : "", row.format};

        if (row.license)
            t3d_license_slug(row.license, slug);
        for (int i = 0; i < 3; i++) {
            static const char *const source[] = {"github", "sketchfab", "smithsonian"};

            e.source = source[i];
            if (t3d_objaverse_xl_url(&url, uid, &e, "http://m", NULL, a, &err) == T3D_OK &&
                strncmp(url, "http://m/", 9) != 0)
                abort();
        }
        if (row.url && t3d_http_url(row.url, &clean, &err) == T3D_OK)
            free(clean);
    }
    t3d_url_list_close(l);
}

static void members(const char *path)
{
    struct t3d_json_members *j;
    struct t3d_json_member m;
    struct t3d_err err;

    if (t3d_json_members_open(&j, path, &err) < 0)
        return;
    while (t3d_json_members_next(j, &m, &err) == T3D_OK)
        if (strlen(m.value) > m.n)
            abort();
    t3d_json_members_close(j);
}

static void zip(const uint8_t *data, size_t size)
{
    const struct t3d_zip_member *m;
    struct t3d_zip *z;
    struct t3d_err err;
    uint8_t *content;
    size_t n;

    if (t3d_zip_parse(&z, data, size, "zip", &err) < 0)
        return;
    m = t3d_zip_members(z, &n);
    for (size_t i = 0; i < n && i < 50; i++)
        if (t3d_zip_read(z, &m[i], 1 << 20, &content, &err) == T3D_OK)
            free(content);
    t3d_zip_close(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[1 << 16];
    static int fd = -1;
    struct t3d_arena a = {0};
    char path[64];

    if (fd < 0)
        fd = memfd_create("list", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    rows(path, &a);
    members(path);
    for (size_t n = 1; n <= sizeof out; n *= 4)
        (void)t3di_snappy(data, size, out, n);
    if (size)
        (void)t3di_snappy(data + 1, size - 1, out, (size_t)data[0] * 64);
    zip(data, size);
    t3d_arena_free(&a);
    return 0;
}
