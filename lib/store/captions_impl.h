/* SPDX-License-Identifier: Apache-2.0 */
/* store/captions_impl.h -- between the index of captions and the readers that fill it. */
#ifndef T3D_STORE_CAPTIONS_IMPL_H
#define T3D_STORE_CAPTIONS_IMPL_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "store/captions.h"

enum t3di_caption_field {
    T3DI_UID,
    T3DI_PATH,
    T3DI_SHA256,
    T3DI_CAPTION,
    T3DI_LICENSE,
    T3DI_DATASET,
    T3DI_GROUP,
    T3DI_SPLIT,
    T3DI_KEY, /* a key of unknown kind: the column without a header, the name of a JSON member */
    T3DI_FIELDS
};

/* NULL or "" = absent. CAPTION is used when captions == NULL. */
struct t3di_caption_row {
    const char *field[T3DI_FIELDS];
    const cJSON *captions; /* a list of strings */
    uint64_t where;        /* line or byte, for messages */
};

/* Who wants the rows themselves, in the order of the file, instead of an index. Rows need no key
 * then. `bad` hears of rows that cannot be used. */
struct t3di_caption_reader {
    int (*row)(void *ctx, const struct t3di_caption_row *row, struct t3d_err *err);
    int (*bad)(void *ctx, const char *reason, const char *text, struct t3d_err *err);
    void *ctx;
};
/* Read a list as t3d_captions_open does. */
int t3di_captions_each(const struct t3di_caption_reader *reader, const char *path,
                       struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when rows need no key. */
int t3di_captions_keyless(const struct t3d_captions *c);
/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
int t3di_is_utf8(const char *text);

/* T3DI_FIELDS for a word that is no column name. */
enum t3di_caption_field t3di_caption_field(const char *word, size_t n);

/* Add a row, or count it as bad. Fails only for lack of memory. */
int t3di_captions_add(struct t3d_captions *c, const struct t3di_caption_row *row,
                      struct t3d_err *err);

/* Count a bad row; the first one's message is kept. */
void t3di_captions_bad(struct t3d_captions *c, uint64_t where, const char *reason, const char *fmt,
                       ...) T3D_PRINTF(4, 5);

/* "line" or "byte": what `where` counts. */
void t3di_captions_unit(struct t3d_captions *c, const char *unit);

/* The reader has come to p: pages of the mapped file far behind it are given back, so that a long
 * list does not fill the memory. *done: what has been given back so far, 0 at first. */
void t3di_captions_release(const struct t3d_blob *b, const void *p, size_t *done);

int t3di_captions_read_csv(struct t3d_captions *c, const struct t3d_blob *b, const char *name,
                           struct t3d_err *err);
int t3di_captions_read_json(struct t3d_captions *c, const struct t3d_blob *b, const char *name,
                            struct t3d_err *err);

#endif
