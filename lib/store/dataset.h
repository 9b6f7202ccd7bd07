/* SPDX-License-Identifier: Apache-2.0 */
/* store/dataset.h -- the lists of public data sets as rows for t3d_fetch_urls.
 *
 *     t3d_dataset_open(&d, T3D_OBJAVERSE, &conf, err);          fetches the index files
 *     while ((r = t3d_dataset_next(d, &row, err)) == T3D_OK) ... row.url ...
 *     t3d_dataset_close(d);
 *
 * Index files come over HTTP into <workspace>/lists/<data set>/<revision>/ and stay there: the next
 * run reads them again without a request (conf.redo fetches them anew). Memory does not depend on
 * the length of the lists, but for 8 bytes for each uid of conf.uids.
 *
 * What a row is made of is a pure function of the entry: t3d_objaverse_url, t3d_objaverse_xl_url.
 */
#ifndef T3D_STORE_DATASET_H
#define T3D_STORE_DATASET_H

#include "base/opt.h"
#include "store/http.h"
#include "store/url_list.h"

struct t3d_arena;
struct t3d_dataset;

enum t3d_dataset_kind { T3D_OBJAVERSE, T3D_OBJAVERSE_XL };

/* NULL, 0 and empty lists = everything. Borrowed until close. */
struct t3d_dataset_conf {
    const char *workspace;
    const char *base_url; /* takes the place of scheme and host of all addresses */
    const char *revision; /* branch, tag or commit; "main" */
    const char *uids;     /* file: a uid (or SHA-256) a line */
    struct t3d_list licenses, formats;
    struct t3d_list sources;    /* of Objaverse-XL: sketchfab smithsonian github */
    struct t3d_list categories; /* of LVIS; "all" = any */
    uint64_t count;             /* most rows */
    int no_annotations;         /* of Objaverse 1.0: do not fetch them; licences are unknown then */
    int redo;
    const struct t3d_http_conf *http; /* for the index files; parts is set by the call */
};

struct t3d_dataset_counts {
    uint64_t entries;                                   /* of the index, looked at */
    uint64_t chosen;                                    /* given out as rows */
    uint64_t not_listed, licenses, formats, categories; /* passed over because of these wishes */
};

/* T3D_USAGE for wishes that cannot be fulfilled, T3D_RETRY when an index cannot be had now,
 * T3D_FAIL when it is damaged. */
int t3d_dataset_open(struct t3d_dataset **d, enum t3d_dataset_kind kind,
                     const struct t3d_dataset_conf *conf, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_dataset_close(struct t3d_dataset *d); /* NULL is fine */
/* T3D_OK, T3D_END, or an error that ends the list. An entry that cannot be used is a row with
 * row->bad, and so is a uid of conf.uids that the index does not have. */
int t3d_dataset_next(struct t3d_dataset *d, struct t3d_url_row *row,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_dataset_count(const struct t3d_dataset *d, struct t3d_dataset_counts *n);

/* One file of a repository of Hugging Face's hub into the folder of lists, if it is not there:
 * *path, malloc'd. Of the names (NULL-terminated) the first one that the hub has. */
int t3d_dataset_file(const struct t3d_dataset_conf *conf, const char *dataset,
                     const char *repository, const char *const *names, char **path,
                     struct t3d_err *err) T3D_MUST_CHECK;

/* --- pure functions; the text is in the arena, NULL when memory is out; T3D_SKIP with the reason
 */

/* {base}/datasets/allenai/objaverse/resolve/{revision}/{path}. "bad-path" for a path that is not
 * one below the repository. */
int t3d_objaverse_url(const char **url, const char *base, const char *revision, const char *path,
                      struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* What an entry of Objaverse-XL asks for. */
struct t3d_xl_entry {
    const char *source, *identifier;
    const char *object_path; /* of source sketchfab: in Objaverse 1.0; NULL = it has none */
};
/* The address, and the uid: of Sketchfab's objects theirs, else uuid5 of the identifier. */
int t3d_objaverse_xl_url(const char **url, char uid[129], const struct t3d_xl_entry *e,
                         const char *base, const char *revision, struct t3d_arena *a,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* Sketchfab's uid at the end of an identifier; "" = none. */
void t3d_sketchfab_uid(const char *identifier, char uid[129]);

/* The short name of a licence however it is written: "cc0", "by", "by-nc-sa", ... else itself in
 * lower case. */
void t3d_license_slug(const char *license, char slug[64]);

#endif
