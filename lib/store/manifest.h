/* SPDX-License-Identifier: Apache-2.0 */
/* store/manifest.h -- manifest.db, the one index of a workspace: objects, captions, measures, stage
 * states, shards, runs, results. SQLite in WAL mode on a local disk (doc/decisions says why).
 *
 *     t3d_manifest_open(&m, ".", T3D_MANIFEST_CREATE, err);
 *     t3d_manifest_begin(m, err);
 *     t3d_manifest_register(m, &object, err);
 *     t3d_manifest_commit(m, err);
 *
 * One handle belongs to one thread. Several processes of one host may use one workspace; writers
 * wait up to 30 s. All writes outside begin/commit are transactions of their own. doc/formats.md
 * has the schema. */
#ifndef T3D_STORE_MANIFEST_H
#define T3D_STORE_MANIFEST_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_manifest;

enum { T3D_UID_SIZE = 129, T3D_SHARD_OBJECTS = 256 };

enum { T3D_MANIFEST_CREATE = 1, T3D_MANIFEST_READONLY = 2 };

/* Without CREATE a missing file is T3D_USAGE and says which command makes one. A network file
 * system, a newer schema version and a file that is not a manifest are refused with what to do. */
int t3d_manifest_open(struct t3d_manifest **m, const char *workspace, int flags,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_manifest_close(struct t3d_manifest *m);
const char *t3d_manifest_workspace(const struct t3d_manifest *m);

int t3d_manifest_begin(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK; /* IMMEDIATE */
int t3d_manifest_commit(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_manifest_rollback(struct t3d_manifest *m);

/* 1 when s is [A-Za-z0-9._-]{1,128} and neither "." nor "..". */
int t3d_uid_valid(const char *s);

struct t3d_object {
    int64_t num; /* position in the manifest, from 0; shard = num / 256 */
    char uid[T3D_UID_SIZE];
    char content[65];     /* content hash, hex: of the file, or of its .parts; "" = not there yet */
    char file_sha256[65]; /* of the main file */
    char ending[16];      /* "glb" */
    uint64_t bytes;       /* main file and parts */
    const char *source;   /* data set or "local", "primitives"; --dataset */
    const char *path;     /* below the given root, or the address */
    const char *license;  /* as given; NULL = unknown */
    const char *split, *group; /* NULL = none; split "train", "val" or "test" */
    int split_given;           /* the source gave it: splits keeps it */
    const char **caption;
    size_t n_captions;
};

/* The shard key: first 32 hex digits of the content hash. */
void t3d_object_key(const struct t3d_object *o, char key[33]);

/* Insert or find, inside a transaction. T3D_OK: o->num is set, new. T3D_END: the uid (or the same
 * content and source path) was there; o->num is set, captions, licence, split and group are updated
 * when given. The same content under another path with no given uid adds a source to the object
 * (T3D_END). given_uid = 1 and other object with this content: T3D_SKIP "duplicate-of" naming the
 * uid. */
int t3d_manifest_register(struct t3d_manifest *m, struct t3d_object *o, int given_uid,
                          struct t3d_err *err) T3D_MUST_CHECK;

/* Borrow into the arena. T3D_END = no such uid. */
int t3d_manifest_find(struct t3d_manifest *m, const char *uid, struct t3d_object *o,
                      struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* Objects in number order, without holding a read transaction open between calls. uid filter, stage
 * filters and shard are applied by the caller or by store/stage.h. */
struct t3d_cursor;
int t3d_cursor_open(struct t3d_cursor **c, struct t3d_manifest *m, int64_t first,
                    struct t3d_err *err) T3D_MUST_CHECK;
int t3d_cursor_next(struct t3d_cursor *c, struct t3d_object *o, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK; /* T3D_OK, T3D_END */
void t3d_cursor_close(struct t3d_cursor *c);

/* Measures of a stage as one JSON object. find: *json NULL when there are none; caller frees. */
int t3d_manifest_put_measures(struct t3d_manifest *m, int64_t num, const char *stage,
                              const cJSON *json, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_manifest_find_measures(struct t3d_manifest *m, int64_t num, const char *stage, cJSON **json,
                               struct t3d_err *err) T3D_MUST_CHECK;

int t3d_manifest_put_split(struct t3d_manifest *m, int64_t num, const char *split,
                           struct t3d_err *err) T3D_MUST_CHECK;

/* Stage states: one row per (stage, object). */
enum t3d_state_code { /* names in files: ok reject fail missing modified claimed */
                      T3D_STATE_NONE,
                      T3D_STATE_OK,
                      T3D_STATE_REJECT,
                      T3D_STATE_FAIL,
                      T3D_STATE_MISSING,
                      T3D_STATE_MODIFIED,
                      T3D_STATE_CLAIMED
};
const char *t3d_state_name(enum t3d_state_code s);
/* The other way; -1 for another word. */
int t3d_state_code(const char *name);

struct t3d_state {
    enum t3d_state_code code;
    char key[65];    /* of the work that led to code */
    char reason[64]; /* "" for ok */
    double value;    /* NAN = none */
    char message[512];
    int attempt; /* how often this key has been tried; put counts it, whatever is given */
};
int t3d_manifest_put_state(struct t3d_manifest *m, const char *stage, int64_t num,
                           const struct t3d_state *s, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_manifest_find_state(struct t3d_manifest *m, const char *stage, int64_t num,
                            struct t3d_state *s, struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when any object has a result of this stage (for stages that bind only once they have run). */
int t3d_manifest_stage_has_run(struct t3d_manifest *m, const char *stage);

/* A run owns claims: it is known by host, boot, process and start time, and has a lease of 10
 * minutes (renewed by t3d_run_renew, at most once a minute). Beginning one frees the claims of dead
 * runs: of this host at once, of other hosts after their lease, and removes the temporary files
 * that dead processes of this host left in objects/. t3d_manifest_close ends it. */
int t3d_run_begin(struct t3d_manifest *m, const char *tool, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_run_renew(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK;
/* Give all claims back (states are again what they were) and end the run. */
int t3d_run_end(struct t3d_manifest *m, struct t3d_err *err) T3D_MUST_CHECK;
/* Free the claims of runs that have died since. *freed = number of runs. */
int t3d_run_reap(struct t3d_manifest *m, int *freed, struct t3d_err *err) T3D_MUST_CHECK;

/* Claim objects for the run, all in one transaction. `seen` is the state that made the caller want
 * it: a claim is refused (got = 0) when another run has the object or has changed its state since.
 * A claim ends with t3d_manifest_put_state or t3d_run_end. */
struct t3d_claim {
    int64_t num;
    const struct t3d_state *seen;
    int got;
};
int t3d_manifest_claim(struct t3d_manifest *m, const char *stage, struct t3d_claim *claim, size_t n,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* The record of an object as `manifest list` and `export` print it: uid, num, dataset, source (the
 * path below the given root or the address), license, caption, content, split, measures, stages
 * {name:{state,key,reason,value}}; doc/formats.md has all of it. Caller frees. */
int t3d_manifest_record(struct t3d_manifest *m, const struct t3d_object *o, cJSON **record,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* The way back: register the object of a record, or update what the record has of it; measures and
 * states too, but never a claim, and never another result over an ok one with the same key. The
 * same record again changes nothing. T3D_OK = new, T3D_END = was there, T3D_SKIP "bad-record",
 * "bad-uid", "duplicate-of". Call it between begin and commit. *num may be NULL. */
int t3d_manifest_put_record(struct t3d_manifest *m, const cJSON *record, int64_t *num,
                            struct t3d_err *err) T3D_MUST_CHECK;

#endif
