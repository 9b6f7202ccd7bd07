/* SPDX-License-Identifier: Apache-2.0 */
/* model/loader_impl.h -- the samples that a loader draws from: where their members lie. */
#ifndef T3D_MODEL_LOADER_IMPL_H
#define T3D_MODEL_LOADER_IMPL_H

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "model/loader.h"

struct t3di_picture {
    const uint8_t *data; /* in a mapped shard */
    uint32_t size;
};

struct t3di_sample {
    char key[33];
    uint64_t group_hash;
    uint32_t group; /* dense, in the order of the hashes */
    const uint8_t *text;
    uint32_t text_size;
    uint32_t first_view, n_views;   /* in the table of pictures */
    uint32_t first_depth, n_depths; /* the same of depth pictures, where they are needed */
    int torn;                       /* its views, or depths, are not 0, 1, 2, ... */
};

struct t3di_index {
    struct t3d_arena arena;
    char *dir; /* renders/<set> */
    uint32_t resolution;
    struct t3d_blob *blob; /* (n_blobs) shards */
    size_t n_blobs;
    struct t3di_sample *sample; /* (n_samples) by group, then key */
    size_t n_samples, sample_capacity;
    struct t3di_picture *picture;
    size_t n_pictures, picture_capacity;
    int need_depth;
    struct t3di_picture *depth;
    size_t n_depths, depth_capacity;
    uint32_t *group_first; /* (n_groups + 1) first sample of each group */
    size_t n_groups;
    uint32_t *by_size;   /* (n_groups) groups, those of most samples first */
    uint32_t *round_at;  /* (n_rounds + 1) where a round begins in an epoch */
    size_t n_rounds;     /* samples of the largest group */
    int n_views, digits; /* of the set; digits of a view's name */
    char hash[T3D_SHA256_HEX];
};

int t3di_index_open(struct t3di_index *x, const struct t3d_loader_config *c,
                    struct t3d_err *err) T3D_MUST_CHECK;
void t3di_index_close(struct t3di_index *x);

/* Caption i of a sample, empty when there is none; *n = how many there are. */
struct t3d_caption t3di_caption(const struct t3di_sample *s, size_t i, size_t *n);

/* Orders in which groups with similar captions stand together, one for each epoch in use. */
struct t3di_neighbours;

/* block: so many groups stay together. */
int t3di_neighbours_new(struct t3di_neighbours **out, const struct t3di_index *x, uint64_t seed,
                        int block, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_neighbours_free(struct t3di_neighbours *n);
/* Place i in the order of the first n groups of by_size in round `round`, counted over all epochs:
 * an index below n. Not from two threads at once. */
uint32_t t3di_neighbours_at(struct t3di_neighbours *x, uint64_t round, uint64_t n, uint64_t i);

#endif
