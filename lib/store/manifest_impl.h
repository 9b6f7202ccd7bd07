/* SPDX-License-Identifier: Apache-2.0 */
/* store/manifest_impl.h -- what the files of store share about manifest.db.
 *
 *     r = t3di_query(m, &st, err, "SELECT num FROM object WHERE uid = ?1", "t", uid);
 *     if (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) num = sqlite3_column_int64(st, 0);
 *     t3di_done(st);
 *
 * SQL is always a string literal (or static): prepared statements are kept by its address. */
#ifndef T3D_STORE_MANIFEST_IMPL_H
#define T3D_STORE_MANIFEST_IMPL_H

#include <sqlite3.h>

#include "store/manifest.h"

enum { T3DI_MAX_STAGES = 64, T3DI_STATEMENTS = 128 };

struct t3d_manifest {
    sqlite3 *db;
    char *workspace;
    int writing;       /* inside begin/commit */
    int reading;       /* depth of t3di_read_begin */
    int64_t next_num;  /* of the next new object, inside a transaction; -1 = not looked up */
    int64_t run;       /* row of the run that owns our claims; 0 = none */
    int64_t lease_due; /* when the lease is to be renewed, seconds */
    int n_stages;      /* stage names seen, by id - 1 */
    char stage[T3DI_MAX_STAGES][160];
    struct {
        const char *sql;
        sqlite3_stmt *st;
    } statement[T3DI_STATEMENTS];
};

/* Turn the last SQLite error into a grade: full or I/O = T3D_IO, locked = T3D_RETRY, else T3D_FAIL.
 */
int t3di_sqlite_err(struct t3d_manifest *m, const char *what, struct t3d_err *err);

/* Prepare (or reuse) and bind. Types: i int64_t, t text (NULL = null), x 2n hex digits as a blob of
 * n bytes ("" = null), d double (NAN = null). Texts are not copied: they must live until t3di_done.
 */
int t3di_query(struct t3d_manifest *m, sqlite3_stmt **st, struct t3d_err *err, const char *sql,
               const char *types, ...) T3D_MUST_CHECK;
/* T3D_OK = a row, T3D_END, or an error. */
int t3di_step(struct t3d_manifest *m, sqlite3_stmt *st, struct t3d_err *err) T3D_MUST_CHECK;
/* Reset; st may be NULL. */
void t3di_done(sqlite3_stmt *st);
/* Query, run to its end, reset. */
int t3di_exec(struct t3d_manifest *m, struct t3d_err *err, const char *sql, const char *types,
              ...) T3D_MUST_CHECK;
/* The first column of the first row; otherwise when there is none. */
int t3di_int(struct t3d_manifest *m, int64_t *out, int64_t otherwise, struct t3d_err *err,
             const char *sql, const char *types, ...) T3D_MUST_CHECK;

/* A read transaction around many small queries (nested in begin/commit: nothing). */
int t3di_read_begin(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_read_end(struct t3d_manifest *m);

/* Begin unless the caller has; *own says whether to end it. End: commit, or roll back when r < 0.
 */
int t3di_begin(struct t3d_manifest *m, int *own, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_end(struct t3d_manifest *m, int own, int r, struct t3d_err *err) T3D_MUST_CHECK;

/* Number of a stage name, from 1. T3D_END = unknown and create is 0. */
int t3di_stage(struct t3d_manifest *m, const char *name, int create, int *id,
               struct t3d_err *err) T3D_MUST_CHECK;
/* Read the table of stage names again; m->stage[0 .. n_stages). */
int t3di_stages(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK;

/* Column as hex into out (2n + 1 bytes) or "". */
void t3di_column_hex(sqlite3_stmt *st, int column, char *out, size_t bytes);

/* Objects numbered lo .. hi - 1, in order, whole, in the arena. */
int t3di_objects(struct t3d_manifest *m, int64_t lo, int64_t hi, struct t3d_object **o, size_t *n,
                 struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
/* Number of the object whose shard key is the 32 hex digits `key`; T3D_END = none. */
int t3di_find_key(struct t3d_manifest *m, const char *key, int64_t *num,
                  struct t3d_err *err) T3D_MUST_CHECK;
/* A copy of from, with its strings, in the arena. */
int t3di_object_copy(struct t3d_object *to, const struct t3d_object *from, struct t3d_arena *a,
                     struct t3d_err *err) T3D_MUST_CHECK;

#endif
