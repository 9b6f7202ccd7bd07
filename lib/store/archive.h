/* SPDX-License-Identifier: Apache-2.0 */
/* store/archive.h -- the files inside an archive (zip, 7z, tar and compressed tar), unpacked in a
 * sandboxed child.
 *
 *     t3d_unpacker_open(&u, slots, NULL, err);            before threads and large memory
 *     r = t3d_archive_open(&a, u, slot, fd, "set.zip", folder, err);
 *     for (size_t i = 0; i < a->n; i++)
 *         fd = t3d_archive_member(a, &a->member[i], err); ... close(fd);
 *     t3d_archive_close(a);
 *
 * The child (libarchive, loaded there alone) has the archive and one nameless file, the spool; it
 * writes every regular member that may belong to a 3D object into the spool and says its name, size
 * and place. Names never become names of files. Nothing is given before the whole archive was read,
 * so one that is damaged, encrypted or a bomb gives no member at all. Archives inside archives are
 * opened down to max_depth; their members are called "inner.zip/name".
 *
 * Whole archives are refused (T3D_SKIP) as "bad-archive", "truncated-archive", "encrypted-archive",
 * "archive-bomb" (members, bytes or ratio above a limit), "nested-too-deep", "too-large", or with
 * the reasons of base/sandbox.h. Members are refused one by one, in a->refused: "unsafe-name"
 * (absolute, "..", backslash, control character, too long), "bad-encoding" (not UTF-8),
 * "not-a-file" (link, device, fifo), "too-large", "duplicate-name" (all of that name) and
 * "case-collision" (all whose names differ in the case of A-Z alone). */
#ifndef T3D_STORE_ARCHIVE_H
#define T3D_STORE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct t3d_unpacker;

/* 0 = the default. */
struct t3d_archive_limits {
    uint64_t members;      /* 1,000,000, of all depths */
    uint64_t member_bytes; /* 1 GiB */
    uint64_t bytes;        /* 256 GiB, of all members */
    double ratio;          /* 200: bytes of all members per byte of the archive, above 64 MiB */
    unsigned depth;        /* 2: archives inside it, and inside those */
    uint64_t memory_bytes; /* of the child: 1 GiB */
    double seconds;        /* 3600, for one archive */
};

struct t3d_archive_member {
    const char *name; /* parts joined by '/', no "." or ".." among them */
    uint64_t offset, size;
};

struct t3d_archive_refused {
    const char *name; /* printable */
    struct t3d_err err;
};

struct t3d_archive {
    struct t3d_archive_member *member; /* sorted bytewise by name */
    size_t n;
    struct t3d_archive_refused *refused;
    size_t n_refused;
    uint64_t hidden, other; /* members passed over: hidden names, and files of other kinds */
    /* the rest is the module's */
    const char *folder;
    int spool;
    struct t3d_arena arena;
};

/* slots: one for each thread that will open archives. */
int t3d_unpacker_open(struct t3d_unpacker **u, int slots, const struct t3d_archive_limits *limits,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_unpacker_close(struct t3d_unpacker *u);

/* fd: a regular file, not closed; its offset plays no part. folder: for large temporary files
 * without a name (the workspace's objects/); made when needed. T3D_IO when that disk is full,
 * T3D_END when a signal asks for the end (base/tool.h). */
int t3d_archive_open(struct t3d_archive **a, struct t3d_unpacker *u, int slot, int fd,
                     const char *name, const char *folder, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_archive_close(struct t3d_archive *a);

/* NULL when there is none. */
const struct t3d_archive_member *t3d_archive_find(const struct t3d_archive *a, const char *name);
/* A descriptor of a file without a name that holds the member; -1 on error. Any thread. */
int t3d_archive_member(const struct t3d_archive *a, const struct t3d_archive_member *m,
                       struct t3d_err *err);

/* A resolver for a member's external files: ctx is a struct t3d_archive_place. As
 * t3d_import_resolve_folder: names below the member's folder. */
struct t3d_archive_place {
    const struct t3d_archive *archive;
    const struct t3d_archive_member *member;
};
int t3d_archive_resolve(void *place, const char *name, struct t3d_err *err);

/* 1 when the ending of the name is that of an archive: .zip, .7z, .tar, .tar.gz, .tgz, ... */
int t3d_archive_is(const char *name);
/* For t3d_walk: the last endings of these. */
#define T3D_ARCHIVE_ENDINGS "zip 7z tar tgz tbz tbz2 txz tzst gz bz2 xz zst"

/* A name in its plain form into out (size bytes): "./" and "//" dropped. T3D_SKIP "unsafe-name" or
 * "bad-encoding". */
int t3d_archive_name(char *out, size_t size, const char *name, struct t3d_err *err) T3D_MUST_CHECK;

#endif
