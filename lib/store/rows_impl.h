/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows_impl.h -- a set of rows under construction: its files, its journal, its lock. */
#ifndef T3D_STORE_ROWS_IMPL_H
#define T3D_STORE_ROWS_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "store/rows.h"

enum { T3DI_ROWS_DATA, T3DI_ROWS_INDEX, T3DI_ROWS_FILES };

/* What an object has in one table: rows of the .npy, bytes of the .ndjson. */
struct t3di_rows_span {
    uint64_t row, byte;
    uint32_t n, bytes;
};

struct t3di_rows_entry {
    int64_t num;
    char key[T3D_ROWS_KEY + 1];
    struct t3di_rows_span span[T3D_ROWS_TABLES];
};

struct t3di_rows_list {
    struct t3di_rows_entry *entry;
    size_t n, capacity;
};

struct t3di_rows_path {
    char *final, *part, *next; /* NAME.npy, NAME.npy.part, NAME.npy.new */
};

struct t3di_rows_file {
    struct t3di_rows_path path[T3DI_ROWS_FILES];
    uint32_t width, row_bytes;
    int half, runs;
    int fd[T3DI_ROWS_FILES]; /* of the parts; -1 = closed */
    uint64_t rows, bytes;    /* in the parts */
};

struct t3d_rows {
    struct t3d_arena arena; /* strings */
    const char *dir;
    struct t3di_rows_path about; /* SET.json; no part */
    char *journal, *lock;
    const char *text;         /* what SET.json shall hold */
    char set[T3D_SHA256_HEX]; /* hash of it and of the tables */
    struct t3di_rows_file table[T3D_ROWS_TABLES];
    size_t n_tables;
    int lock_fd, journal_fd;
    uint64_t journal_end;
    struct t3di_rows_list old;  /* of the finished files when the set was opened, by number */
    struct t3di_rows_list part; /* of the journal; a number may be there several times */
    uint32_t *slot;             /* number -> last index in part, + 1; open addressing */
    size_t n_slots;
    int64_t limit;
    const char *replaces;
};

/* rows.c. Take the lock and make `part` current. create: begin a journal when there is none;
 * without it that is T3D_END (and the lock is free again). */
int t3di_rows_lock(struct t3d_rows *s, int create, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_rows_unlock(struct t3d_rows *s);
void t3di_rows_close_files(struct t3d_rows *s);
int t3di_rows_append(struct t3di_rows_list *l, const struct t3di_rows_entry *e,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* The last entry of a number in the journal, or NULL. */
const struct t3di_rows_entry *t3di_rows_part(const struct t3d_rows *s, int64_t num);

/* rows_index.c. The finished files' entries, by number. None (and *why) when they are not whole or
 * were made in another way; *why NULL when there are no files. */
int t3di_rows_load(struct t3d_rows *s, struct t3di_rows_list *out, const char **why,
                   struct t3d_err *err) T3D_MUST_CHECK;
int t3di_rows_by_num(const void *a, const void *b);
/* The head of a line: its row and how many it stands for; the bytes behind "row":R, or NULL. */
const char *t3di_rows_head(const char *line, const char *end, int runs, uint64_t *row, uint64_t *n);

/* rows_merge.c. The lock is held on entry, not after; parts, journal and lock are gone. */
int t3di_rows_merge(struct t3d_rows *s, struct t3d_err *err) T3D_MUST_CHECK;
/* If the journal says that a change over has begun, complete it: it is then gone. The lock is held,
 * the files are closed. */
int t3di_rows_recover(struct t3d_rows *s, struct t3d_err *err) T3D_MUST_CHECK;

#endif
