/* SPDX-License-Identifier: Apache-2.0 */
/* store/shard_impl.h -- one shard under construction: its files, its journal, its lock. */
#ifndef T3D_STORE_SHARD_IMPL_H
#define T3D_STORE_SHARD_IMPL_H

#include "store/manifest.h"
#include "store/shard.h"
#include "store/tar_impl.h"

enum t3di_slot_kind {
    T3DI_SLOT_NONE, /* the journal does not speak of it: what the .tar says holds */
    T3DI_SLOT_PART, /* its members are in the .part */
    T3DI_SLOT_LOST, /* was in a .part that is gone: in the .tar if its key is there */
    T3DI_SLOT_GONE  /* removed */
};

struct t3di_slot {
    enum t3di_slot_kind kind;
    char key[T3DI_KEY + 1];
    uint64_t offset, size; /* bytes in the .part */
};

struct t3di_part {
    int64_t shard;                           /* number; -1 = this place is free */
    uint64_t used;                           /* for "least recently" */
    char *tar, *idx, *part, *journal, *lock; /* paths */
    int lock_fd, part_fd, journal_fd;
    uint64_t end, journal_end; /* bytes of whole objects, of whole lines */
    struct t3di_slot slot[T3D_SHARD_OBJECTS];
};

/* A journal line as t3di_part_note writes it: *at = the object's place in the shard, s.kind PART or
 * GONE. -1 = not one of this shard. */
int t3di_note_parse(const char *line, int64_t shard, int *at, struct t3di_slot *s);

/* suffix is "" or ".p<i>of<N>". */
int t3di_part_init(struct t3di_part *p, const char *dir, int64_t shard, const char *suffix,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3di_part_fini(struct t3di_part *p);

/* Take the lock and make slot[] current. create: make .part and .journal when they are missing;
 * without it a missing journal is T3D_END (and the lock is free again). */
int t3di_part_lock(struct t3di_part *p, int create, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_part_unlock(struct t3di_part *p);
/* Write one journal line; slot[] follows. */
int t3di_part_note(struct t3di_part *p, int64_t num, const struct t3di_slot *s,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* Merge into .tar and .idx, remove part, journal and lock file. The lock is held on entry, not
 * after. */
int t3di_part_finish(struct t3di_part *p, struct t3d_err *err) T3D_MUST_CHECK;

/* The objects in a finished shard by its .idx (0 = not there). have[i] for number 256 * shard + i.
 */
int t3di_index_have(const char *idx, const char *tar, int64_t shard,
                    uint8_t have[T3D_SHARD_OBJECTS], struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when the bytes are a PNG whose chunks all have the checksum that stands behind them. */
int t3di_png_sound(const uint8_t *data, size_t size);

#endif
