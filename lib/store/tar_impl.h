/* SPDX-License-Identifier: Apache-2.0 */
/* store/tar_impl.h -- the part of ustar (POSIX.1-1988, pax(1) "ustar Interchange Format") that
 * shards use: regular files with names of at most 100 bytes, nothing else, always the same header
 * bytes. */
#ifndef T3D_STORE_TAR_IMPL_H
#define T3D_STORE_TAR_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3DI_TAR_BLOCK = 512, T3DI_TAR_END = 1024, T3DI_TAR_NAME = 101, T3DI_KEY = 32 };

/* Bytes of a member in the tar: header, data, padding. */
uint64_t t3di_tar_span(uint64_t size);

/* T3D_SKIP "bad-member" for a name that does not fit and for 8 GiB or more. */
int t3di_tar_header(uint8_t block[T3DI_TAR_BLOCK], const char *name, uint64_t size,
                    struct t3d_err *err) T3D_MUST_CHECK;

struct t3di_tar_member {
    char name[T3DI_TAR_NAME];
    uint64_t offset; /* of the data */
    uint64_t size;
};

/* The member at *pos of a tar of n bytes in memory; *pos moves behind it. T3D_END at the end
 * marker, which must be followed by nothing; T3D_SKIP "bad-shard" for anything that is not as we
 * write it. */
int t3di_tar_next(const uint8_t *data, uint64_t n, uint64_t *pos, struct t3di_tar_member *m,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when s begins with 32 lower-case hex digits and then `end`. */
int t3di_key_valid(const char *s, char end);

#endif
