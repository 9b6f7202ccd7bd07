/* SPDX-License-Identifier: Apache-2.0 */
/* store/pickle_impl.h -- the pickle machine (pickle_machine.c), the containers around it (pickle.c)
 * and the zip members (pickle_zip.c). */
#ifndef T3D_STORE_PICKLE_IMPL_H
#define T3D_STORE_PICKLE_IMPL_H

#include "base/arena.h"
#include "store/pickle.h"

enum t3di_pickle_kind {
    T3DI_P_NONE,
    T3DI_P_BOOL,
    T3DI_P_INT,
    T3DI_P_BIG, /* an integer of more than 8 bytes: text holds its bytes */
    T3DI_P_FLOAT,
    T3DI_P_TEXT,
    T3DI_P_TUPLE,
    T3DI_P_LIST,
    T3DI_P_DICT, /* items: key, value, key, value, ... */
    T3DI_P_GLOBAL,
    T3DI_P_STORAGE,
    T3DI_P_TENSOR
};

enum t3di_pickle_global {
    T3DI_P_ORDERED_DICT,
    T3DI_P_REBUILD_TENSOR,
    T3DI_P_REBUILD_TENSOR_V2,
    T3DI_P_REBUILD_PARAMETER,
    T3DI_P_STORAGE_TYPE
};

struct t3di_pickled {
    enum t3di_pickle_kind kind;
    enum t3di_pickle_global global;
    enum t3d_tensor_type type; /* of a storage or its global */
    int64_t number;            /* integer, or bool */
    const char *text;          /* text (not NUL-terminated), or a storage's key */
    size_t size;               /* of text; or number of items */
    struct t3di_pickled **item;
    size_t capacity;
    /* storage */
    uint64_t elements;
    uint64_t first; /* element of the root storage at which a view begins */
    const uint8_t *data;
    /* tensor */
    struct t3di_pickled *storage;
    uint64_t offset; /* in elements */
    struct t3d_tensor tensor;
    int visiting;
};

struct t3di_pickle_reader {
    const uint8_t *data;
    size_t size, at;
    const char *name;              /* of the file, for messages */
    struct t3d_arena scratch;      /* values; freed when the table is made */
    struct t3di_pickled **storage; /* each storage named by a persistent id, once a key */
    size_t n_storages, storage_capacity;
    struct t3d_err *err;
};

int t3di_pickle_bad(struct t3di_pickle_reader *r, const char *fmt, ...) T3D_PRINTF(2, 3);
/* An allocation failed: the arenas are limited, so this is the file's fault. */
int t3di_pickle_too_large(struct t3di_pickle_reader *r);

/* Run one pickle from r->at, which ends behind its STOP; *out is its value. */
int t3di_pickle_run(struct t3di_pickle_reader *r, struct t3di_pickled **out) T3D_MUST_CHECK;

/* Append to a tuple, list or dict. -1 when memory is out. */
int t3di_pickle_append(struct t3d_arena *a, struct t3di_pickled *v, struct t3di_pickled *item);

/* A value that is text equal to s. */
int t3di_pickle_is(const struct t3di_pickled *v, const char *s);

/* One member of a zip file. */
struct t3di_zip_member {
    const char *name; /* not NUL-terminated */
    size_t name_size;
    const uint8_t *data;
    size_t size;
};

/* The stored (not compressed) members of a zip or zip64 file. */
int t3di_zip_members(struct t3di_pickle_reader *r, struct t3di_zip_member **member,
                     size_t *n) T3D_MUST_CHECK;

#endif
