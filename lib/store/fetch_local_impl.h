/* SPDX-License-Identifier: Apache-2.0 */
/* store/fetch_local_impl.h -- what the files of `t3d fetch local` share: fetch_local.c has files
 * and folders, fetch_local_archive.c what is inside archives. */
#ifndef T3D_STORE_FETCH_LOCAL_IMPL_H
#define T3D_STORE_FETCH_LOCAL_IMPL_H

#include "base/walk.h"
#include "store/archive.h"
#include "store/fetch.h"

struct t3di_local_archive;

struct t3di_local {
    struct t3d_fetch *f;
    const struct t3d_fetch_local *conf;
    struct t3d_captions *captions;
    struct t3d_walk walk;
    struct t3d_arena arena;
    size_t at;
    const char *prefix, *real;       /* a prefix of file names and its absolute path */
    struct t3di_local_archive *open; /* members are being handed out */
    struct t3di_local_archive *done; /* all members were */
    uint64_t n_archives, hidden, other;
};

struct t3di_local_job {
    struct t3d_fetch_job base;
    const struct t3d_walk_file *file; /* of a member: made up, below the archive's path */
    const char *folder;
    struct t3di_local_archive *archive; /* NULL = a file of its own */
    struct t3d_archive_place place;     /* member NULL = the archive, or a member, is refused */
};

/* In fetch_local.c. */
const char *t3di_local_absolute(struct t3di_local *s, const struct t3d_walk_file *w,
                                struct t3d_arena *a);
int t3di_local_read(struct t3d_fetch *f, struct t3di_local_job *j, int thread, int fd,
                    const struct stat *st, struct t3d_err *err) T3D_MUST_CHECK;

/* An archive of the walk: opened, passed over because nothing in it is new, or (*item set) refused.
 */
int t3di_local_archive_open(struct t3di_local *s, const struct t3d_walk_file *w, void **item,
                            struct t3d_err *err) T3D_MUST_CHECK;
/* The next member of s->open as a job; T3D_END = there is none left. */
int t3di_local_archive_next(struct t3di_local *s, void **item, struct t3d_err *err) T3D_MUST_CHECK;
/* In a worker: what is known of the member and is as it was, 1. */
int t3di_local_member_holds(const struct t3di_local *s, const struct t3di_local_job *j);
/* In a worker: the member into the store. */
int t3di_local_member(const struct t3di_local *s, struct t3di_local_job *j, int thread,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* The job is about to be entered (or dropped: ok 0): its archive is let go. */
void t3di_local_archive_leave(struct t3di_local *s, struct t3di_local_job *j, int ok);
/* After the run: remember archives all of whose members are in the manifest. */
int t3di_local_archive_end(struct t3di_local *s, int remember, struct t3d_err *err) T3D_MUST_CHECK;

#endif
