/* SPDX-License-Identifier: Apache-2.0 */
/* store/zip.h -- single members of large zip files (APPNOTE.TXT 6.3.10: zip and zip64, stored and
 * deflated) by their index, without reading the rest. For files that are sets of pictures or of
 * further zips; archives of 3D objects go through store/archive.h.
 *
 *     t3d_zip_open(&z, fd, "renders.zip", err);
 *     const struct t3d_zip_member *m = t3d_zip_find(z, "uid.zip");
 *     r = t3d_zip_read(z, m, 1 << 28, &data, err);       malloc'd, m->size bytes
 *
 * Names are only compared; nothing is written. What a header says is checked against the file, and
 * the content against its CRC-32. */
#ifndef T3D_STORE_ZIP_H
#define T3D_STORE_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_zip;

struct t3d_zip_member {
    const char *name; /* as it stands there; "" when it has a NUL */
    uint64_t offset, packed, size;
    uint32_t crc;
    unsigned method, flags;
};

/* fd: not closed, must outlive the zip. T3D_SKIP "bad-zip". */
int t3d_zip_open(struct t3d_zip **z, int fd, const char *name, struct t3d_err *err) T3D_MUST_CHECK;
/* The same from memory, which must outlive it. */
int t3d_zip_parse(struct t3d_zip **z, const void *data, size_t size, const char *name,
                  struct t3d_err *err) T3D_MUST_CHECK;
void t3d_zip_close(struct t3d_zip *z); /* NULL is fine */
/* Members, sorted bytewise by name; the first of two with one name is the last one in the index. */
const struct t3d_zip_member *t3d_zip_members(const struct t3d_zip *z, size_t *n);
/* By the whole name; NULL = none. */
const struct t3d_zip_member *t3d_zip_find(const struct t3d_zip *z, const char *name);
/* malloc'd, m->size bytes. T3D_SKIP "bad-zip", "encrypted-archive", "too-large" above max. */
int t3d_zip_read(const struct t3d_zip *z, const struct t3d_zip_member *m, uint64_t max,
                 uint8_t **data, struct t3d_err *err) T3D_MUST_CHECK;

#endif
