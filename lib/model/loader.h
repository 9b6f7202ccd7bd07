/* SPDX-License-Identifier: Apache-2.0 */
/* model/loader.h -- batches of views and captions, straight from rendered shards.
 *
 *     struct t3d_loader_config c = {.workspace = ".", .view_set = "ring16+4", .split = "train",
 *                                   .resolution = 64, .batch = 256, .views = 1, .seed = 1};
 *     r = t3d_loader_open(&l, &c, err);
 *     t3d_loader_seek(l, step);
 *     while (...) { r = t3d_loader_next(l, &b, err); ... b->pixels ... }
 *     t3d_loader_close(l);
 *
 * What stands at (step, slot) is a pure function of the seed, the position step * batch + slot and
 * the set of samples: it depends neither on threads nor on where reading began, so a run goes on
 * where it stopped, and N machines can share a batch. An epoch has as many positions as there are
 * samples, in rounds: round r goes over the groups (scenes of the same words) with more than r
 * samples, in an order of its own, so a batch holds no group twice unless a round ends in it;
 * object, views and caption are drawn anew each time. With `neighbours` groups whose captions share
 * many words stand together (by MinHash: Broder, "On the resemblance and containment of documents",
 * 1997; other words count in every round), so that a contrastive batch holds what is hard to tell
 * apart.
 *
 * Threads decode ahead of the reader. The smallest rendered set at or above the wanted resolution
 * is read and reduced: of depth the mean of those source pixels that have one. Decoded views stay
 * in a cache of bounded size. */
#ifndef T3D_MODEL_LOADER_H
#define T3D_MODEL_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_manifest;
struct t3d_loader;

struct t3d_loader_config {
    const char *workspace;
    const char *view_set;   /* "ring16+4" */
    const char *light;      /* NULL = studio */
    const char *split;      /* "train", "val" or "test" */
    const char *const *uid; /* (n_uids) only these; NULL = all of the split. A uid that is
                               unknown, or of another split, is refused */
    size_t n_uids;
    uint32_t resolution; /* of the pictures handed out */
    int batch, views;    /* samples a batch, views a sample */
    const int *view;     /* (fixed) the first of a sample's views */
    int fixed;           /* the others are drawn, without repetition */
    int turn;            /* the fixed ones move on together by less than this, drawn; 0 = never */
    int need_captions;   /* samples without are left out */
    int need_depth;      /* depth pictures are handed out, too; a sample without is refused */
    int neighbours;      /* so many groups with similar captions stand together; 0 = any order */
    uint64_t seed;
    size_t cache_bytes; /* decoded views kept; 0 = 256 MiB */
    int threads;        /* that decode; 0 = 1 */
};

struct t3d_caption {
    const char *text; /* (size) no NUL behind it */
    size_t size;
};

struct t3d_batch {
    int64_t step;
    int n, views, side;
    const uint8_t *pixels; /* (n, views, side, side, 4) straight-alpha sRGB */
    const uint16_t *depth; /* (n, views, side, side) as render writes it: 65535 = nothing is there,
                              else 65535 (z - near) / (far - near); NULL unless need_depth */
    const int *view;       /* (n, views) number of the view in its set */
    const struct t3d_caption *caption; /* (n) one of the sample's; size 0 without */
    const uint32_t *sample;            /* (n) below t3d_loader_samples */
};

/* T3D_USAGE when nothing fits: no such set is rendered, no object is in the split; the message says
 * which command makes it; also where depth is needed and is not there. T3D_SKIP "bad-shard",
 * "bad-index". */
int t3d_loader_open(struct t3d_loader **out, const struct t3d_loader_config *c,
                    struct t3d_err *err) T3D_MUST_CHECK;
void t3d_loader_close(struct t3d_loader *l);

/* The next batch handed out is that of this step. */
void t3d_loader_seek(struct t3d_loader *l, int64_t step);
/* Borrowed until the next call. A sample whose pictures or captions cannot be read is passed over
 * for another one (which one is again a function of the position); T3D_FAIL when 16 in a row
 * cannot. */
int t3d_loader_next(struct t3d_loader *l, const struct t3d_batch **b,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* The batch of this step, whatever came before; *waited_s grows by the time until it was there. */
int t3d_loader_at(struct t3d_loader *l, int64_t step, const struct t3d_batch **b, double *waited_s,
                  struct t3d_err *err) T3D_MUST_CHECK;

size_t t3d_loader_samples(const struct t3d_loader *l);
size_t t3d_loader_groups(const struct t3d_loader *l);
int t3d_loader_set_views(const struct t3d_loader *l);   /* views of the set */
uint32_t t3d_loader_source(const struct t3d_loader *l); /* resolution of the set that is read */
/* Group of a sample (equal numbers: scenes of the same words), and its captions. */
uint32_t t3d_loader_group(const struct t3d_loader *l, uint32_t sample);
size_t t3d_loader_captions(const struct t3d_loader *l, uint32_t sample);
struct t3d_caption t3d_loader_caption(const struct t3d_loader *l, uint32_t sample, size_t i);
/* SHA-256 in hex over the samples' keys and the set's name: tells one set of data from another. */
const char *t3d_loader_hash(const struct t3d_loader *l);
/* Samples passed over so far because they could not be read, and what was wrong with the last. */
uint64_t t3d_loader_skipped(const struct t3d_loader *l, struct t3d_err *last);

/* Position i of an epoch's order of n: a permutation of 0..n-1 that depends on seed and epoch. */
uint64_t t3d_loader_order(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i);

#endif
