/* SPDX-License-Identifier: Apache-2.0 */
/* num/pool_impl.h -- packed copies of constants, found by what they are copies of. */
#ifndef T3D_NUM_POOL_IMPL_H
#define T3D_NUM_POOL_IMPL_H

#include "num/graph.h"

enum { T3DI_PACK_KEY = 40 };

struct t3di_pack {
    const void *source;
    size_t source_bytes;        /* contiguous */
    int64_t key[T3DI_PACK_KEY]; /* what tells the copies of one source apart; unused = 0 */
    size_t bytes;               /* of the copy; 64-byte aligned */
    int (*fill)(void *to, const struct t3di_pack *p, struct t3d_err *err);
    const void *arg; /* fill's */
    /* Memory of another device; NULL = the host's. */
    void *(*alloc)(size_t bytes);
    void (*release)(void *memory);
};

/* The copy, from the pool or made now; its bytes are added to c->state_bytes, and to
 * c->shared_bytes where it was there. It lives as long as the pool. NULL = error. */
const void *t3di_pool_pack(struct t3d_call *c, const struct t3di_pack *p, struct t3d_err *err);

void t3di_pool_retain(struct t3d_pool *p);

#endif
