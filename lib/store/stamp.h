/* SPDX-License-Identifier: Apache-2.0 */
/* store/stamp.h -- whether the files of an object are still those that were read, by size and
 * times.
 *
 *     t3d_stamp_init(&s);
 *     for each file as it is read: t3d_stamp_add(&s, fd, &st, sha256, name, err);
 *     t3d_stamp_text(&s, content, &text, &arena, err);
 *     ... another run ...
 *     t3d_stamp_holds(text, workspace, "set/chair.gltf", "set")
 *
 * A stamp is text: the content hash, then a line "sha256 size mtime ctime name" for each file
 * (times in nanoseconds; the main file has no name) and "- 0 0 0 name" for one that was not there.
 * It holds when every file has the same size and times, no missing one has appeared, and the copies
 * are in the store. ctime is looked at because mtime can be set back. A file changed within two
 * seconds before it was read might change again within the clock's grain and look the same: such a
 * stamp is "", to be read again. */
#ifndef T3D_STORE_STAMP_H
#define T3D_STORE_STAMP_H

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_stamp {
    FILE *f;
    char *text;
    size_t size;
    struct timespec start;
    int fresh; /* some file is too new to be relied on */
};

void t3d_stamp_init(struct t3d_stamp *s);
/* st: of fd before it was read. T3D_SKIP "changed-while-read" when it differs now. name "" = main
 * file. */
int t3d_stamp_add(struct t3d_stamp *s, int fd, const struct stat *st, const char *sha256,
                  const char *name, struct t3d_err *err) T3D_MUST_CHECK;
/* watch: read the object again once a file of that name is there. */
void t3d_stamp_add_missing(struct t3d_stamp *s, const char *name, int watch);
/* The text in the arena; s is finished. */
int t3d_stamp_text(struct t3d_stamp *s, const char *content, const char **text, struct t3d_arena *a,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* Free. A zeroed or finished one is fine. */
void t3d_stamp_fini(struct t3d_stamp *s);

/* path: of the main file; names are below folder. NULL and "" never hold. */
int t3d_stamp_holds(const char *text, const char *workspace, const char *path, const char *folder);
/* Of an object of one file that came from no file: only the copy is looked for. */
int t3d_stamp_is_stored(const char *text, const char *workspace, const char *ending);

#endif
