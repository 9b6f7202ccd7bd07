/* SPDX-License-Identifier: Apache-2.0 */
/* store/content.h -- objects/ab/<sha256>.<ext>: every file once, by content hash.
 *
 * An object of several files is its main file plus <sha256 of main>.parts: lines "sha256 size name",
 * sorted bytewise, one for each external file by the name under which the main file refers to it; the
 * SHA-256 of (main's sha256, newline, the .parts text) is then the object's content hash; for an object
 * of one file it is the file's own hash. */
#ifndef T3D_STORE_CONTENT_H
#define T3D_STORE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_part {
    const char *name;   /* as the main file refers to it */
    char sha256[65];
    char ending[16];
    uint64_t size;
};

/* Path of a stored file, in the arena: "<workspace>/objects/ab/<sha256>.<ending>". */
char *t3d_content_path(struct t3d_arena *a, const char *workspace, const char *sha256,
                       const char *ending);

/* Copy (reflink or copy_file_range where the file system can, hash on the way) the open file fd into the
 * store: sha256 and size out. A file that is there with the right size is left alone. */
int t3d_content_add_fd(const char *workspace, int fd, const char *name, const char *ending,
                       char sha256[65], uint64_t *size, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_content_add(const char *workspace, const void *data, size_t n, const char *ending,
                    char sha256[65], struct t3d_err *err) T3D_MUST_CHECK;

/* Write the .parts file of main (nothing when n == 0) and give the content hash. */
int t3d_content_add_parts(const char *workspace, const char *main_sha256, const struct t3d_part *parts,
                          size_t n, char content[65], struct t3d_err *err) T3D_MUST_CHECK;
/* Read it; n = 0 when there is none. */
int t3d_content_parts(const char *workspace, const char *main_sha256, struct t3d_part **parts,
                      size_t *n, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* Open external file `name` of an object in the store (or fd for geom/import.h's resolver): -1 and
 * T3D_SKIP "missing-file" when .parts does not list it. ctx is a struct t3d_content_ctx. */
struct t3d_content_ctx {
    const char *workspace, *main_sha256;
    const struct t3d_part *part;
    size_t n;
};
int t3d_content_resolve(void *ctx, const char *name, struct t3d_err *err);

/* Re-hash one stored file: T3D_SKIP "modified" or "missing". */
int t3d_content_verify(const char *workspace, const char *sha256, const char *ending,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
