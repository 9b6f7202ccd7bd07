/* SPDX-License-Identifier: Apache-2.0 */
/* net/weights_impl.h -- the tensors of a folder, taken one by one under their names.
 *
 *     r = t3di_weights_open(&w, dir, files, err);
 *     conv = t3di_weights_take(&w, T3D_SHAPE(d, 3, p, p), "visual.conv1.weight");
 *     ...
 *     r = t3di_weights_finish(&w, ignore, err);       the first complaint, what is missing or left
 *
 * Complaints stick, so that a loader reads like a table; take then gives NULL. */
#ifndef T3D_NET_WEIGHTS_IMPL_H
#define T3D_NET_WEIGHTS_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "num/graph.h"
#include "store/pickle.h"
#include "store/safetensors.h"

struct t3di_weights {
    const char *path;                /* of the file, for messages */
    const struct t3d_tensor *tensor; /* (n) sorted by name */
    size_t n;
    unsigned char *used; /* (n) */
    uint64_t bytes;      /* of the tensors as stored */
    char hash[T3D_SHA256_HEX];
    int threads;
    struct t3d_arena arena; /* copies: of other types than float, of data that is not aligned */
    struct t3d_safetensors safetensors;
    struct t3d_pickle pickle;
    struct t3d_err err;
    int failed;
    size_t n_missing, missing_length;
    char missing[256]; /* names of the first */
};

/* The first of files (NULL ends the list) that is in the folder: .safetensors, ....index.json of
 * shards, .bin or .pt. T3D_SKIP "missing-file", or the reader's reason. */
int t3di_weights_open(struct t3di_weights *w, const char *dir, const char *const *files,
                      int threads, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_weights_close(struct t3di_weights *w);

/* Is there such a tensor? */
const struct t3d_tensor *t3di_weights_find(const struct t3di_weights *w, const char *name);

/* The floats of the tensor, which must have this shape and be finite: in the map, or in the arena.
 * NULL after a complaint. */
const float *t3di_weights_take(struct t3di_weights *w, struct t3d_shape shape, const char *fmt, ...)
    T3D_PRINTF(3, 4);

/* T3D_SKIP "bad-weights" names the first wrong tensor, or those missing, or those that nobody took
 * and that ignore (may be NULL) does not pass over. */
int t3di_weights_finish(struct t3di_weights *w, int (*ignore)(const char *name),
                        struct t3d_err *err) T3D_MUST_CHECK;

/* A pool for the graphs that use these weights. The file's pages are let go: what is needed again
 * is read again, so that a network is in memory once. */
int t3di_weights_pool(const struct t3di_weights *w, struct t3d_pool **pool,
                      struct t3d_err *err) T3D_MUST_CHECK;

#endif
