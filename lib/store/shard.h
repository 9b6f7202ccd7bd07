/* SPDX-License-Identifier: Apache-2.0 */
/* store/shard.h -- WebDataset shards: plain ustar, byte-reproducible, with an index.
 *
 * Shard n (NNNNNN.tar, or NNNNNN.p<i>of<N>.tar) holds the objects numbered [256n, 256n+256) in
 * number order, members of an object adjacent and sorted by name; header: mode 0444, uid = gid = 0,
 * mtime 0, no names; two zero blocks at the end. NNNNNN.idx: NDJSON, one line per member:
 * {"key","member","offset", "size","num"}, offset of the member's first data byte, num of the
 * object.
 *
 * While objects are added, NNNNNN.part holds their members in order of arrival and NNNNNN.journal
 * one line per object (num, key, offset, size), written after the data; a torn tail of either is
 * cut off by the next run. t3d_shards_finish merges .tar and .part by number into the new .tar, so
 * that the result depends only on the set of objects, never on order, threads or kills; a part that
 * is already in order (the usual case) becomes the .tar by rename. Writers of several processes
 * take flock on NNNNNN.lock around each step. One handle belongs to one thread. */
#ifndef T3D_STORE_SHARD_H
#define T3D_STORE_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_shards;

struct t3d_member {
    const char *suffix; /* "v00.png": the member is KEY.v00.png */
    const void *data;
    size_t size;
};

/* dir is made when missing. index/count: `--shard i/N` (0, 1 = none). Torn parts of dead runs are
 * repaired; whole ones are kept and continued. */
int t3d_shards_open(struct t3d_shards **s, const char *dir, uint32_t index, uint32_t count,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* Append an object (replacing what it had); data is in the file when this returns. key is 32 hex
 * digits, members in any order. T3D_SKIP "bad-member": a name or size that ustar cannot hold, or a
 * double. */
int t3d_shards_put(struct t3d_shards *s, int64_t num, const char *key,
                   const struct t3d_member *member, size_t n, struct t3d_err *err) T3D_MUST_CHECK;
/* The object leaves its shard (now rejected). Nothing happens when it is not there. */
int t3d_shards_remove(struct t3d_shards *s, int64_t num, struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when the object is in the shard or its part. */
int t3d_shards_has(struct t3d_shards *s, int64_t num);
/* Turn all parts into shards: write, fsync, rename .tar, then .idx, then delete part and journal.
 */
int t3d_shards_finish(struct t3d_shards *s, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_shards_close(struct t3d_shards *s);

/* Reading: map a .tar and step through its samples in order (no index needed). */
struct t3d_sample {
    const char *key;           /* in the arena */
    struct t3d_member *member; /* data points into the map; suffix in the arena */
    size_t n;
};
struct t3d_shard_reader;
int t3d_shard_reader_open(struct t3d_shard_reader **r, const char *path,
                          struct t3d_err *err) T3D_MUST_CHECK;
int t3d_shard_reader_next(struct t3d_shard_reader *r, struct t3d_sample *s, struct t3d_arena *a,
                          struct t3d_err *err)
    T3D_MUST_CHECK; /* T3D_OK, T3D_END, T3D_SKIP "bad-shard" */
void t3d_shard_reader_close(struct t3d_shard_reader *r);

/* Random access to the samples of a folder, also of shards that are being written, whole or parts
 * of --shard i/N. One finder belongs to one thread; a place may be read in any. */
struct t3d_shard_finder;
struct t3d_shard_place {
    int fd; /* close it */
    uint64_t offset, size;
};
int t3d_shard_finder_open(struct t3d_shard_finder **f, const char *dir,
                          struct t3d_err *err) T3D_MUST_CHECK;
/* T3D_END when object num is in no shard with this key. */
int t3d_shard_find(struct t3d_shard_finder *f, int64_t num, const char *key,
                   struct t3d_shard_place *place, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_shard_finder_close(struct t3d_shard_finder *f);
/* All of the sample lies in the arena. T3D_SKIP "bad-shard". */
int t3d_shard_read(const struct t3d_shard_place *place, struct t3d_sample *s, struct t3d_arena *a,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* A line of an .idx. */
struct t3d_shard_entry {
    char key[33];
    char member[101];
    uint64_t offset, size;
    int64_t num;
};
/* T3D_OK, or T3D_SKIP "bad-index". */
int t3d_shard_entry_parse(const char *line, struct t3d_shard_entry *e,
                          struct t3d_err *err) T3D_MUST_CHECK;

/* Checksums, order, index against tar: for `manifest check`. */
int t3d_shard_check(const char *path, struct t3d_err *err) T3D_MUST_CHECK;

#endif
