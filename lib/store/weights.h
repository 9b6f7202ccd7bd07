/* SPDX-License-Identifier: Apache-2.0 */
/* store/weights.h -- networks that others have trained: where they are at home, and getting them
 * into <workspace>/models/NAME (store/model_find.h).
 *
 *     const struct t3d_weights *w = t3d_weights_find("clip-vit-b32");
 *     r = t3d_weights_fetch(w, &where, &done, err);
 *
 * Files come over store/http.h into <workspace>/models/.NAME.new, which becomes NAME by one rename
 * when all are there and have been checked: against the SHA-256 of the catalogue where that is
 * known for certain, else against the one that the server itself gives (X-Linked-ETag of
 * Hugging Face's hub). NAME/source.json says of each file where it came from, its size, its SHA-256
 * and what that was checked against. An interrupted run goes on where it was. */
#ifndef T3D_STORE_WEIGHTS_H
#define T3D_STORE_WEIGHTS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "store/http.h"

enum { T3D_WEIGHTS_FILES = 12 };

struct t3d_weights {
    const char *name;
    const char *repo;    /* of Hugging Face's hub, NULL = other homes */
    int kind;            /* which files it has */
    unsigned about_mb;   /* of all files that are fetched, in 10^6 bytes, rounded */
    const char *license; /* SPDX identifier */
    const char *about;
};

struct t3d_weights_file {
    const char *name;   /* in the folder */
    char url[320];      /* at home, or below base_url */
    const char *sha256; /* 64 hex digits, or the first 8 where the home names only those, or NULL */
    int optional;       /* not every such model has it */
    int otherwise;      /* when it is not there the next one is taken, else the next is left out */
};

/* The catalogue, in the order of --list. */
const struct t3d_weights *t3d_weights_all(size_t *n);
/* NULL = none of that name; the nearest name is then in near (or ""). */
const struct t3d_weights *t3d_weights_find(const char *name, char near[64]);
/* base_url NULL = the homes; else their scheme and host are replaced by it. revision NULL = main.
 * Returns the number of files. */
size_t t3d_weights_files(const struct t3d_weights *w, const char *base_url, const char *revision,
                         struct t3d_weights_file f[T3D_WEIGHTS_FILES]);
/* {"name","license","about","about_bytes","files":[{"name","url","sha256" or null,...}]}. */
cJSON *t3d_weights_record(const struct t3d_weights *w, const char *base_url, const char *revision);

struct t3d_weights_where {
    const char *workspace, *base_url, *revision; /* the latter may be NULL */
    const char *progress;                        /* mode of base/progress.h */
    int redo;                                    /* also when it is there */
    struct t3d_http_conf http;                   /* parts is set by the call */
};

struct t3d_weights_done {
    int was_there; /* nothing was fetched */
    size_t files;
    uint64_t bytes, fetched;
};

/* T3D_RETRY when the server is busy or the net is down, T3D_FAIL when a file is not to be had or is
 * not what it should be; T3D_OK also when it is there already. A stop that was requested is
 * T3D_END.
 */
int t3d_weights_fetch(const struct t3d_weights *w, const struct t3d_weights_where *where,
                      struct t3d_weights_done *done, struct t3d_err *err) T3D_MUST_CHECK;

#endif
