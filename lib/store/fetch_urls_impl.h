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

struct t3di_url_job {
    struct t3d_fetch_job base;
    uint64_t index; /* in the list, of this shard */
    const char *url, *sha256, *uid;
    int64_t size, about;
    int needs_transfer;
    struct t3d_http_result http;   /* data and path belong to the job */
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
    struct t3di_url_job *ring[T3DI_WINDOW]; /* rows read and not entered; owns them */
};

/* The next row of the list as a job; *j = NULL: it is of another shard. T3D_END, T3D_RETRY as the
 * list. */
int t3di_url_job_next(struct t3di_urls *s, struct t3di_url_job **j,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* To the intake, which takes the job over. */
int t3di_url_job_enter(struct t3di_urls *s, struct t3di_url_job *j,
                       struct t3d_err *err) T3D_MUST_CHECK;
/* --dry-run. Returns an exit code. */
int t3di_urls_preview(struct t3di_urls *s, struct t3d_err *err) T3D_MUST_CHECK;

#endif
