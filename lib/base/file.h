/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h -- whole files in, atomic files out.
 *
 * Everything that must not be seen half-written goes through struct t3d_out: the bytes go to
 * "PATH.<pid>.<n>.tmp" in the same folder and reach PATH by rename in t3d_out_commit. */
#ifndef T3D_BASE_FILE_H
#define T3D_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct t3d_arena;

/* Bytes of a file, either mapped read-only or owned by an arena. */
struct t3d_blob {
    const uint8_t *data;
    size_t size;
    void *map; /* not NULL when mapped: t3d_blob_close unmaps */
};

/* Map path. A missing file is T3D_SKIP "missing-file", an unreadable one T3D_SKIP
 * "unreadable-file", a folder or device T3D_SKIP "not-a-file", one above max_bytes (0 = any)
 * T3D_SKIP "too-large". An empty file gives size 0. */
int t3d_blob_open(struct t3d_blob *b, const char *path, uint64_t max_bytes,
                  struct t3d_err *err) T3D_MUST_CHECK;
/* The same for an open descriptor (not closed). name is for messages. */
int t3d_blob_open_fd(struct t3d_blob *b, int fd, const char *name, uint64_t max_bytes,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_blob_close(struct t3d_blob *b);

/* An output file that appears whole or not at all. */
struct t3d_out {
    FILE *f; /* write here */
    char *path, *tmp;
};

int t3d_out_open(struct t3d_out *o, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
/* Flush, optionally fsync, close, rename. On error the temporary file is gone. */
int t3d_out_commit(struct t3d_out *o, int sync, struct t3d_err *err) T3D_MUST_CHECK;
/* Drop it. Safe on a zeroed or committed one. */
void t3d_out_abort(struct t3d_out *o);

/* Write n bytes to path by the way above. */
int t3d_write_file(const char *path, const void *data, size_t n,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* All of n bytes to fd, whatever write() takes at once. name is for messages. */
int t3d_write_all(int fd, const void *data, size_t n, const char *name,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* mkdir -p. */
int t3d_make_dirs(const char *path, struct t3d_err *err) T3D_MUST_CHECK;
/* The folders above path. */
int t3d_make_parent(const char *path, struct t3d_err *err) T3D_MUST_CHECK;

/* rm -r, without following links; what cannot be removed stays. */
void t3d_remove_tree(const char *path);

/* "a/b" from "a" and "b"; b alone when it is absolute or a is "" or ".". NULL when memory is out.
 */
char *t3d_path_join(struct t3d_arena *a, const char *dir, const char *name);
/* The part behind the last '/'. */
const char *t3d_path_base(const char *path);
/* The ending behind the last '.' of the last component, without the dot; "" when there is none. */
const char *t3d_path_ending(const char *path);

#endif
