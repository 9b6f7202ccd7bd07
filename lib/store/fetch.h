/* SPDX-License-Identifier: Apache-2.0 */
/* store/fetch.h -- the loop behind the commands of `t3d fetch`: objects from somewhere, in the
 * order of their source, through the content store into the manifest.
 *
 *     struct t3d_fetch f = {.common = &conf->common, .names = names};
 *     r = t3d_fetch_open(&f, err);
 *     if (r == T3D_OK) r = t3d_fetch_local(&f, &local, err);
 *     return t3d_fetch_close(&f, r);
 *
 * Results are exit codes, messages go through base/log. */
#ifndef T3D_STORE_FETCH_H
#define T3D_STORE_FETCH_H

#include "base/opt.h"
#include "base/par.h"
#include "store/archive.h"
#include "store/gather.h"
#include "store/http.h"
#include "store/intake.h"

struct t3d_captions;
struct t3d_progress;
struct t3d_url_row;

#define T3D_FETCH_FORMATS "glb gltf obj ply stl off fbx dae 3ds 3mf"

struct t3d_fetch {
    const struct t3d_common *common;
    /* Reads which files the stored file `path` names and has files resolve each
     * (t3d_gather_resolve), behind the sandbox; any thread. NULL = no file names others. */
    int (*names)(int thread, const char *path, const char *ending, struct t3d_gather *files,
                 struct t3d_err *err);
    struct t3d_unpacker *unpacker; /* NULL = archives are files of another kind */
    struct t3d_manifest *m;        /* NULL = a dry run without a manifest: everything is new */
    struct t3d_intake *intake;
    struct t3d_progress *progress;
    uint64_t n; /* objects to come, 0 = unknown */
    uint64_t missing_parts, warned;
};

/* One object under way; malloc'd, first in what the commands make of it; the intake frees it. */
struct t3d_fetch_job {
    struct t3d_intake_item item;
    int64_t known;          /* number of the object that the file was, or -1 */
    const char *stamp;      /* of then */
    int unchanged, foreign; /* foreign: of another --shard */
    int fatal;              /* grade that ends the run, message in item.err */
    struct t3d_gather files;
};

int t3d_fetch_open(struct t3d_fetch *f, struct t3d_err *err) T3D_MUST_CHECK;
/* Returns r. */
int t3d_fetch_close(struct t3d_fetch *f, int r);
/* Intake around the pipe, then the counts. window as in t3d_pipe_run. Returns an exit code. */
int t3d_fetch_run(struct t3d_fetch *f, const struct t3d_pipe_ops *ops, void *ctx, size_t window,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* --- for the operations of a pipe */

/* size: of the command's struct, which begins with the job. NULL when memory is out. */
void *t3d_fetch_job_new(size_t size);
void t3d_fetch_drop(void *ctx, void *item);
/* Grades other than T3D_SKIP concern more than this object. */
void t3d_fetch_set_failure(struct t3d_fetch_job *j, int r);
/* What is known of item.file; with --redo nothing. */
int t3d_fetch_recall(struct t3d_fetch *f, struct t3d_fetch_job *j,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* To the intake. */
int t3d_fetch_hand_over(struct t3d_fetch *f, struct t3d_fetch_job *j,
                        struct t3d_err *err) T3D_MUST_CHECK;
int t3d_fetch_skip(struct t3d_fetch *f, struct t3d_fetch_job *j);
/* The files that the stored main file names, copied by j->files. */
int t3d_fetch_names(struct t3d_fetch *f, struct t3d_fetch_job *j, int thread, const char *name,
                    struct t3d_err *err) T3D_MUST_CHECK;
int t3d_fetch_in_shard(const struct t3d_fetch *f, const char *name);
/* item.err ends the run when fatal. Drops the job then. */
int t3d_fetch_fatal(struct t3d_fetch *f, struct t3d_fetch_job *j, struct t3d_err *err);
void t3d_fetch_count_captions(const struct t3d_captions *c);

/* --- t3d fetch local */

struct t3d_fetch_local {
    const struct t3d_list *paths;
    const char *captions, *license, *dataset;
    int uid_from_name;
    /* Opens a file that an object in folder `folder` names, or -1 (T3D_SKIP "missing-file", ...).
     */
    int (*open)(void *folder, const char *name, struct t3d_err *err);
};
int t3d_fetch_local(struct t3d_fetch *f, const struct t3d_fetch_local *local,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* --- t3d fetch urls: doc/formats.md has the list's format */

/* Rows from elsewhere than a list, as t3d_url_list_next gives them. */
struct t3d_fetch_rows {
    int (*next)(void *ctx, struct t3d_url_row *row, struct t3d_err *err);
    /* Adds to the statistics at the end; may be NULL. */
    void (*count)(void *ctx, cJSON *statistics);
    void *ctx;
};

struct t3d_fetch_urls {
    const char *list;                  /* path, "-" = standard input; of rows their name */
    const struct t3d_fetch_rows *rows; /* NULL = the list is read */
    const char *captions, *license, *dataset;
    const struct t3d_list *licenses; /* allowed; n 0 = any */
    uint64_t max_bytes;              /* of one object */
    const char *retry;               /* "", "failed" */
    struct t3d_http_conf http;       /* parts is set by the call */
};
int t3d_fetch_urls(struct t3d_fetch *f, const struct t3d_fetch_urls *urls,
                   struct t3d_err *err) T3D_MUST_CHECK;

#endif
