/* SPDX-License-Identifier: Apache-2.0 */
#include "store/gzip.h"

#include <libdeflate.h>

#include "base/arena.h"

int t3d_gzip_is(const void *data, size_t size)
{
    return size >= 18 && memcmp(data, "\x1f\x8b\x08", 3) == 0;
}

/* RFC 1952, 2.3.1: the last four bytes are the content's size modulo 2^32; the inflater checks
 * that, and the CRC. */
int t3d_gzip_inflate(uint8_t **out, size_t *n, struct t3d_arena *a, const void *data, size_t size,
                     size_t max, const char *name, struct t3d_err *err)
{
    const uint8_t *tail = (const uint8_t *)data + size - 4;
    struct libdeflate_decompressor *d;
    enum libdeflate_result r;

    if (!t3d_gzip_is(data, size))
        return t3d_err_set(err, T3D_SKIP, "bad-gzip", "'%s' is not a gzip file", name);
    *n = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (*n > max)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)*n,
                             "'%s' inflates to %zu bytes, more than the limit of %zu", name, *n,
                             max);
    *out = t3d_alloc_raw(a, *n, 1);
    d = libdeflate_alloc_decompressor();
    if (!*out || !d) {
        libdeflate_free_decompressor(d);
        return t3d_err_nomem(err, name);
    }
    r = libdeflate_gzip_decompress(d, data, size, *out, *n, NULL);
    libdeflate_free_decompressor(d);
    if (r != LIBDEFLATE_SUCCESS)
        return t3d_err_set(err, T3D_SKIP, "bad-gzip", "'%s' is damaged or cut off", name);
    return T3D_OK;
}
