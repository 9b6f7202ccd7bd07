/* SPDX-License-Identifier: Apache-2.0 */
/* store/lookup.h -- texts by key in a file (SQLite), for indices of data sets that are too long for
 * memory: object paths, annotations, captions. Derived data: a file that is damaged or of another
 * version is made anew.
 *
 *     t3d_lookup_open(&l, "lists/objaverse/index.db", err);
 *     if (!t3d_lookup_has(l, "paths")) {
 *         t3d_lookup_begin(l, "paths", err);
 *         t3d_lookup_add(l, key, text, err);  ...
 *         t3d_lookup_commit(l, err);                the table is there whole or not at all
 *     }
 *     r = t3d_lookup_find(l, "paths", key, &text, err);
 */
#ifndef T3D_STORE_LOOKUP_H
#define T3D_STORE_LOOKUP_H

#include <stdint.h>

#include "base/err.h"

struct t3d_lookup;

int t3d_lookup_open(struct t3d_lookup **l, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_lookup_close(struct t3d_lookup *l); /* NULL is fine; drops what is not committed */

/* Remove the file and what SQLite keeps beside it. */
void t3d_lookup_remove(const char *path);

/* 1 when a table of this name was committed from this source (t3d_lookup_commit). */
int t3d_lookup_has(struct t3d_lookup *l, const char *table, const char *source);
/* Begin to fill a table; what it had goes when `fresh`. */
int t3d_lookup_begin(struct t3d_lookup *l, const char *table, int fresh,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* A key that is there gets the text behind the one that it has, on a line of its own. */
int t3d_lookup_add(struct t3d_lookup *l, const char *key, const char *text,
                   struct t3d_err *err) T3D_MUST_CHECK;
int t3d_lookup_commit(struct t3d_lookup *l, const char *source, struct t3d_err *err) T3D_MUST_CHECK;
/* T3D_OK with the text, borrowed until the next call; T3D_END. */
int t3d_lookup_find(struct t3d_lookup *l, const char *table, const char *key, const char **text,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* Number of keys; 0 on any error. */
uint64_t t3d_lookup_count(struct t3d_lookup *l, const char *table);

#endif
