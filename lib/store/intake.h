/* SPDX-License-Identifier: Apache-2.0 */
/* store/intake.h -- how fetched objects enter the manifest: in batches, in the order given, with
 * one row of stage `fetch` each.
 *
 *     t3d_intake_open(&in, m, rejects, err);
 *     for each object: fill *item, t3d_intake_add(in, item, err);       takes the item over
 *     t3d_intake_finish(in, &count, err);
 *
 * The files of an object are in the content store before it is added (data, then manifest row), and
 * a batch is one short transaction, so whatever kills the process, the manifest names no file that
 * is not there, and the next run goes on where this one ended, with the same numbers.
 *
 * What becomes of an item:
 *   new content                          a new object, fetch: ok
 *   content that is there                another source of that object, or, with a uid of its own,
 * an object without content, fetch: reject, "duplicate-of UID" a known file with other content a
 * new object; the old one fetch: modified, unless another file still has it a given uid that has
 * other content   fetch: fail, "duplicate-uid", unless it is the same file code FAIL or MISSING an
 * object without content with that state; an object that has its content stays ok
 *
 * Files that were looked at are remembered (by a digest of the absolute path, with a stamp of size
 * and times), so that a second run need not read them. */
#ifndef T3D_STORE_INTAKE_H
#define T3D_STORE_INTAKE_H

#include "base/arena.h"
#include "store/manifest.h"

struct t3d_intake;

/* malloc'd; all its strings live in its arena. Freed by the intake. */
struct t3d_intake_item {
    struct t3d_object object; /* uid "" = the first 32 hex digits of content, or of SHA-256(file) */
    int given_uid;            /* the source list gave object.uid */
    int weak_license;         /* object.license is for objects that have none */
    int replace;              /* a given uid may take new content */
    enum t3d_state_code code; /* OK, FAIL, MISSING */
    struct t3d_err err;       /* why not OK */
    const char *file;         /* absolute path; NULL = none */
    const char *stamp;        /* "" = read it again next time */
    cJSON *measures;          /* of stage fetch, owned; NULL = none */
    struct t3d_arena arena;
};

struct t3d_intake_count {
    uint64_t fresh;     /* new objects */
    uint64_t again;     /* content that was there: another source, or the same once more */
    uint64_t unchanged; /* not looked at again (counted by t3d_intake_skip) */
    uint64_t rejected, failed, modified;
    uint64_t bytes;         /* of new objects */
    struct t3d_err refused; /* the first duplicate; code 0 = none */
};

/* rejects: file of NDJSON lines, made anew; NULL = none. */
int t3d_intake_open(struct t3d_intake **in, struct t3d_manifest *m, const char *rejects,
                    struct t3d_err *err) T3D_MUST_CHECK;
int t3d_intake_add(struct t3d_intake *in, struct t3d_intake_item *item,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* One that needs nothing. */
void t3d_intake_skip(struct t3d_intake *in);
/* Write what waits, close, free. *in is invalid afterwards, also on error. count may be NULL. */
int t3d_intake_finish(struct t3d_intake *in, struct t3d_intake_count *count,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* Drop what waits; NULL is fine. */
void t3d_intake_abort(struct t3d_intake *in);

void t3d_intake_item_free(struct t3d_intake_item *item);

/* What is known of a file: T3D_OK with the object's number and the stamp (in the arena, "" = do not
 * rely on it), or T3D_END. */
int t3d_seen_find(struct t3d_manifest *m, const char *file, int64_t *num, const char **stamp,
                  struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
/* Remember a file whose object is not in the manifest yet: t3d_seen_find then gives num -1. */
int t3d_seen_early(struct t3d_manifest *m, const char *file, const char *stamp,
                   struct t3d_err *err) T3D_MUST_CHECK;
/* The object with this number, borrowed into the arena; T3D_END = none. */
int t3d_seen_object(struct t3d_manifest *m, int64_t num, struct t3d_object *o, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

#endif
