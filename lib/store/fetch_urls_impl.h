/* SPDX-License-Identifier: Apache-2.0 */
/* store/fetch_urls_impl.h -- the state of `t3d fetch urls`: fetch_urls.c moves the rows,
 * fetch_urls_row.c says what a row is and what of it goes into the manifest. */
#ifndef T3D_STORE_FETCH_URLS_IMPL_H
#define T3D_STORE_FETCH_URLS_IMPL_H

#include "store/fetch.h"
#include "store/url_list.h"

/* Rows between the oldest that is under way and the newest. */
enum { T3DI_WINDOW = 4096, T3DI_REASONS = 64 };

/* Stamp of an address that is not asked again. */
#define T3DI_PERMANENT "permanent\n"

/* --- fetch_urls_beside.c, fetch_urls_zip.c: what a worker asks for itself */

/* The directory of the zip that was looked at last. */
struct t3di_zip {
    const char *url; /* NULL = none */
    unsigned char *directory;
    size_t size;
    uint64_t total; /* bytes of the zip */
    char etag[160];
};

/* Of one worker. */
struct t3di_side {
    struct t3d_http *http; /* NULL = not needed yet */
    struct t3di_zip zip;
    struct t3d_arena arena; /* of zip */
};

/* Where the files of one object are. */
struct t3di_beside {
    struct t3di_side *side;
    struct t3d_arena *arena;
    const char *url; /* of the main file, or of the zip */
    const char *zip; /* the main member's name, NULL = no zip */
    int zip_folder;  /* bytes of it that are its folder */
    uint64_t left;   /* bytes that the object may have yet */
    unsigned files;
    int transient; /* something failed that may come later */
    int status;    /* of the last reply */
    unsigned attempts;
    struct t3d_unpacker *unpacker;
    int thread;
    const char *folder; /* for temporary files */
};

struct t3di_urls;
/* NULL when it cannot be opened. */
struct t3di_side *t3di_side_of(struct t3di_urls *s, int thread, struct t3d_err *err);
void t3di_side_close(struct t3di_side *side);
/* One transfer, to its end. T3D_SKIP = it failed; out is to be freed in each case but grades below
 * T3D_SKIP. */
int t3di_side_fetch(struct t3di_side *side, const struct t3d_http_request *q,
                    struct t3d_http_result *out, struct t3d_err *err) T3D_MUST_CHECK;
/* A descriptor of the body; -1 on error. */
int t3di_side_file(struct t3d_http_result *r, const char *name, struct t3d_err *err);
/* For t3d_gather_begin: ctx is a struct t3di_beside. */
int t3di_beside_open(void *ctx, const char *name, struct t3d_err *err);
/* A descriptor of the member that is called so, below the main member's folder. */
int t3di_zip_open(struct t3di_beside *b, const char *below, struct t3d_err *err);

struct t3di_url_job {
    struct t3d_fetch_job base;
    const char *ask;    /* what is asked for: url without "#member" */
    const char *member; /* of the archive at ask; NULL = none is named */
    int is_archive;
    /* Of an archive that was unpacked: owned, each the base of a struct t3di_url_job. */
    struct t3d_fetch_job **object;
    size_t n_objects;
    uint64_t n_known; /* objects of an archive that is as it was */
    uint64_t index;   /* in the list, of this shard */
    const char *url, *sha256, *uid;
    int64_t size, about;
    int needs_transfer;
    struct t3d_http_result http;   /* data and path belong to the job */
    int transient;                 /* a file beside it may come later */
    int has_content;               /* for the workers to store */
    int recalled;                  /* the failure is that of an earlier run */
    int early;                     /* it is in the store since an earlier run */
    int done, stopped, remembered; /* done: through the workers */
    enum t3d_http_class class;
    int status;
    unsigned attempts;
    char etag[160];
};

struct t3di_urls {
    struct t3d_fetch *f;
    const struct t3d_fetch_urls *conf;
    struct t3d_captions *captions;
    struct t3d_url_list *list;
    struct t3d_http *http;
    struct t3d_arena arena;
    uint64_t next_index, emitted; /* rows read; rows entered */
    size_t in_pipe;
    int list_end, silent;
    double start, moved; /* moved: when a row was entered last */
    double start_time;
    uint64_t ok, failed, rejected, unchanged, stopped;
    struct {
        char text[64];
        uint64_t n;
    } reason[T3DI_REASONS];
    size_t n_reasons;
    struct t3di_side *side; /* one for each worker */
    uint64_t beside_requests;
    const char *parts;
    FILE *archives; /* "address NUL stamp NUL" of those whose objects are entered */
    char *archives_text;
    size_t archives_size;
    struct t3di_url_job *ring[T3DI_WINDOW]; /* rows read and not entered; owns them */
};

/* The next row of the list as a job; *j = NULL: it is of another shard. T3D_END, T3D_RETRY as the
 * list. */
int t3di_url_job_next(struct t3di_urls *s, struct t3di_url_job **j,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* fetch_urls_archive.c. In a worker: the objects of the archive that has come. */
int t3di_url_archive(struct t3di_urls *s, struct t3di_url_job *j, int thread,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* In a worker: the one member that the row names. */
int t3di_url_member(struct t3di_urls *s, struct t3di_url_job *j, int thread,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when the stamp's objects are all in the store; *n of them. */
int t3di_url_archive_holds(const struct t3di_urls *s, const char *stamp, uint64_t *n);
/* Note for the end of the run that all objects were entered. */
int t3di_url_archive_done(struct t3di_urls *s, const struct t3di_url_job *j,
                          struct t3d_err *err) T3D_MUST_CHECK;
int t3di_url_archives_end(struct t3di_urls *s, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_url_job_free(struct t3di_url_job *j);
/* "<content>\n<ending, or parts>\n<sha256 of the main file>\n" in the arena. */
char *t3di_url_stamp(struct t3d_arena *a, const struct t3d_object *o);

/* To the intake, which takes the job over. */
int t3di_url_job_enter(struct t3di_urls *s, struct t3di_url_job *j,
                       struct t3d_err *err) T3D_MUST_CHECK;
/* --dry-run. Returns an exit code. */
int t3di_urls_preview(struct t3di_urls *s, struct t3d_err *err) T3D_MUST_CHECK;

#endif
