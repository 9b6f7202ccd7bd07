/* SPDX-License-Identifier: Apache-2.0 */
/* base/walk.h -- the files below folders, in an order that depends on their names alone.
 *
 *     t3d_walk(&w, &arena, paths, n_paths, "glb gltf obj", err);
 *     for (size_t i = 0; i < w.n; i++) ... w.file[i].path ...
 *
 * Folders are searched to any depth. Names that begin with '.' are passed over, files with other
 * endings too; both are counted. Symbolic links are followed; each folder is entered once (by
 * device and inode, real folders before links), so loops end. What the caller names itself is
 * always in the list, whatever it is called. The list is sorted bytewise by path and holds each
 * path once. */
#ifndef T3D_BASE_WALK_H
#define T3D_BASE_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_walk_file {
    const char
        *path; /* to open it: as the caller spelt it, or that folder, '/', and what is below */
    const char
        *below; /* the end of path below the named folder; for a named file its last component */
    int named;  /* the caller named it */
    int error;  /* errno: does not exist, or a folder that cannot be read; 0 = fine */
};

struct t3d_walk {
    struct t3d_walk_file *file; /* in the arena */
    size_t n;
    uint64_t hidden;   /* names with a leading '.' */
    uint64_t other;    /* files with other endings, devices, sockets */
    uint64_t repeated; /* folders reached a second time by a link, and links that lead nowhere */
};

/* endings: lower case, separated by blanks; compared without regard to case. Fails for lack of
 * memory only. */
int t3d_walk(struct t3d_walk *w, struct t3d_arena *a, const char *const *path, size_t n_paths,
             const char *endings, struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when the ending of path is in the list. */
int t3d_ending_in(const char *path, const char *endings);

#endif
