/* SPDX-License-Identifier: Apache-2.0 */
/* store/dataset_impl.h -- between the drivers of data sets. */
#ifndef T3D_STORE_DATASET_IMPL_H
#define T3D_STORE_DATASET_IMPL_H

#include "base/arena.h"
#include "store/dataset.h"
#include "store/json_members.h"
#include "store/lookup.h"
#include "store/parquet.h"

enum { T3DI_BLOCK = 4096 };

/* Uids that are asked for, by 64 bits of their SHA-256. */
struct t3di_wanted {
    uint64_t *hash; /* sorted */
    uint8_t *found;
    size_t n, capacity;
};

struct t3di_candidate { /* an entry of object-paths.json */
    const char *uid, *path;
    struct t3d_err bad;
};

struct t3d_dataset {
    struct t3d_dataset_conf conf;
    const char *name; /* of the folder below lists/ */
    char *folder;
    struct t3d_lookup *index;
    struct t3di_wanted wanted, category;
    struct t3d_dataset_counts n;
    struct t3d_arena row; /* of the row that is given out */
    int (*next)(struct t3d_dataset *d, struct t3d_url_row *row, struct t3d_err *err);
    int index_end;
    FILE *uids; /* read again at the end, for those that the index does not have */
    uint64_t uids_line;
    /* Objaverse 1.0 */
    struct t3d_json_members *paths;
    struct t3d_arena block_arena;
    struct t3di_candidate block[T3DI_BLOCK];
    size_t block_n, block_at;
    /* Objaverse-XL */
    size_t source; /* the next one, of conf.sources */
    const char *now;
    struct t3d_parquet *table;
    int has_paths;
};

/* dataset_objaverse.c */
int t3di_objaverse_open(struct t3d_dataset *d, struct t3d_err *err) T3D_MUST_CHECK;
/* The index of object paths as table "paths", made when it is not there. */
int t3di_objaverse_paths(struct t3d_dataset *d, struct t3d_err *err) T3D_MUST_CHECK;
/* dataset_xl.c */
int t3di_objaverse_xl_open(struct t3d_dataset *d, struct t3d_err *err) T3D_MUST_CHECK;

/* dataset.c */
struct t3di_index_file {
    const char *names[4]; /* in the repository, the first that is there; NULL-terminated */
    char *path;           /* where it is; malloc'd by the call, NULL = optional and not there */
    int optional;
};
/* Files of a repository into folder, those that are not there yet. */
int t3di_dataset_fetch(const struct t3d_dataset_conf *c, const char *folder, const char *repository,
                       struct t3di_index_file *file, size_t n, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_wanted_add(struct t3di_wanted *w, const char *uid, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_wanted_sort(struct t3di_wanted *w);
/* 1 when it is asked for, or nothing is; marks it as found. */
int t3di_wanted_has(struct t3di_wanted *w, const char *uid);
/* 1 when the list is empty or has the licence, however it is written; the same for other words. */
int t3di_license_in(const struct t3d_list *list, const char *license);
int t3di_word_in(const struct t3d_list *list, const char *word);
/* Scheme and host of an address give way to base (NULL = the address as it is). */
char *t3di_rebase(const char *base, const char *url, struct t3d_arena *a);
/* Percent-encoding of all but unreserved bytes and '/' (RFC 3986, section 2). */
char *t3di_encode_path(const char *path, struct t3d_arena *a);
/* 1 for a relative path without empty, "." or ".." parts and control characters. */
int t3di_path_is_safe(const char *path);

#endif
