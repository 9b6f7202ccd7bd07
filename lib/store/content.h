/* SPDX-License-Identifier: Apache-2.0 */
/* store/content.h -- objects/ab/<sha256>.<ending>: every file once, by content hash.
 *
 * An object of several files has also <content>.parts: the main file's sha256 in the first line,
 * then lines "sha256 size name", sorted bytewise, one for each external file by the name under
 * which the main file refers to it. The SHA-256 of this text is the object's content hash, so
 * .parts files are named by their own hash as all others are, and two objects may share a main
 * file. For an object of one file the content hash is the file's own.
 *
 * All calls are atomic and may run in any number of threads and processes at once. */
#ifndef T3D_STORE_CONTENT_H
#define T3D_STORE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_object;

struct t3d_part {
    const char *name; /* as the main file refers to it */
    char sha256[65];
    char ending[16];
    uint64_t size;
};

/* The ending of a file name as the store writes it: lower case, [a-z0-9]{1,15}, else "". */
void t3d_content_ending(const char *name, char ending[16]);

/* Path of a stored file, in the arena: "<workspace>/objects/ab/<sha256>.<ending>". */
char *t3d_content_path(struct t3d_arena *a, const char *workspace, const char *sha256,
                       const char *ending);

/* Copy (reflink or copy_file_range where the file system can, hash on the way) the open file fd
 * into the store: sha256 and size out. A file that is there with the right size is left alone. */
int t3d_content_add_fd(const char *workspace, int fd, const char *name, const char *ending,
                       char sha256[65], uint64_t *size, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_content_add(const char *workspace, const void *data, size_t n, const char *ending,
                    char sha256[65], struct t3d_err *err) T3D_MUST_CHECK;

/* The same for data or a file whose hash is known: it is not computed again. take renames the file
 * into the store; it has to be on the same file system. */
int t3d_content_put(const char *workspace, const void *data, size_t n, const char *ending,
                    const char *sha256, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_content_take(const char *workspace, const char *path, uint64_t size, const char *ending,
                     const char *sha256, struct t3d_err *err) T3D_MUST_CHECK;

/* Write the .parts file (nothing when n == 0) and give the content hash. part[].ending is not read:
 * it is the one of the name. A name with a control character is T3D_SKIP "bad-part-name". */
int t3d_content_add_parts(const char *workspace, const char *main_sha256,
                          const struct t3d_part *parts, size_t n, char content[65],
                          struct t3d_err *err) T3D_MUST_CHECK;
/* Read it by the object's content hash; n = 0 when there is none, that is for an object of one
 * file. */
int t3d_content_parts(const char *workspace, const char *content, struct t3d_part **parts,
                      size_t *n, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* Open external file `name` of an object in the store (or fd for geom/import.h's resolver): -1 and
 * T3D_SKIP "missing-file" when .parts does not list it. ctx is a struct t3d_content_ctx. */
struct t3d_content_ctx {
    const char *workspace, *main_sha256; /* main_sha256 is for messages */
    const struct t3d_part *part;
    size_t n;
};
int t3d_content_resolve(void *ctx, const char *name, struct t3d_err *err);

/* Where an object lies: the path of its main file and the context for t3d_content_resolve, all in
 * the arena. */
int t3d_content_locate(struct t3d_content_ctx *c, char **path, const char *workspace,
                       const struct t3d_object *o, struct t3d_arena *a,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* Re-hash one stored file (.parts too): T3D_SKIP "modified" or "missing". */
int t3d_content_verify(const char *workspace, const char *sha256, const char *ending,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
