/* SPDX-License-Identifier: Apache-2.0 */
/* store/archive_impl.h -- what the two sides of the unpacker say to each other. */
#ifndef T3D_STORE_ARCHIVE_IMPL_H
#define T3D_STORE_ARCHIVE_IMPL_H

#include "base/sandbox.h"
#include "store/archive.h"

enum { T3DI_ARCHIVE_NAME = 2048 }; /* with its NUL */

/* Caller to child, with the archive and the spool. */
struct t3di_unpack {
    uint64_t size;
    struct t3d_archive_limits limits;
};

enum t3di_note_kind { T3DI_MEMBER, T3DI_REFUSED, T3DI_COUNTS, T3DI_FAILED };

/* Child to caller: the head, then the name with its NUL. */
struct t3di_note {
    int32_t kind;
    uint64_t offset, size; /* of a member; with T3DI_COUNTS: hidden, other */
    double value;          /* the rest: T3DI_REFUSED, T3DI_FAILED */
    char reason[32];
    char msg[320];
};

/* Run in the child; ctx is a struct t3di_unpack_library. */
int t3di_unpack_main(struct t3d_sandbox_child *c, void *ctx);
void t3di_unpack_prepare(void *ctx, int slot);

struct t3di_unpack_library {
    void *functions; /* NULL = libarchive is not there */
    char why[200];
};

#endif
