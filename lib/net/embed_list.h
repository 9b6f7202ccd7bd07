/* SPDX-License-Identifier: Apache-2.0 */
/* net/embed_list.h -- a list of captions, or files of pictures, to rows: one per entry, in the
 * order of the list, also for entries that cannot be used. Needs no manifest. */
#ifndef T3D_NET_EMBED_LIST_H
#define T3D_NET_EMBED_LIST_H

#include <cjson/cJSON.h>

#include "net/encoder.h"

struct t3d_embed_list {
    const char *captions;      /* a list as store/text_list.h reads it, or NULL: */
    const char *const *images; /* (n) paths */
    size_t n_images;
    const char *output; /* a folder, or the name of a .npy */
    const cJSON *about; /* how the rows are made */
    int tokens, half, redo;
    int threads;
    size_t batch;         /* inputs of a call; 0 = chosen */
    const char *progress; /* auto, bar, json, none */
    const char *rejects;  /* file for entries that failed; NULL = none */
};

struct t3d_embed_list_summary {
    uint64_t rows, done, skipped, failed, truncated;
    const char *replaces; /* why files that were there are made anew, or NULL */
    struct t3d_err first; /* why the first one failed */
    int stop;             /* exit code that a signal asked for; the files are then not joined */
};

/* T3D_OK also when entries failed. What is there already, made in the same way of the same text or
 * picture, is not made again. `note` hears of each failure; may be NULL. */
int t3d_embed_list_run(struct t3d_encoder *e, const struct t3d_embed_list *l,
                       struct t3d_embed_list_summary *s,
                       void (*note)(const char *name, const struct t3d_err *why),
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
