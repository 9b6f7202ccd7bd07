/* SPDX-License-Identifier: Apache-2.0 */
/* store/split_rows.h -- the objects that a split is made of, in one pass over the manifest: a
 * million in a few seconds, where asking for each object's states and measures takes ten times as
 * long. */
#ifndef T3D_STORE_SPLIT_ROWS_H
#define T3D_STORE_SPLIT_ROWS_H

#include "store/manifest.h"
#include "store/split.h"

enum { T3D_SPLIT_NEEDS = 4 };

struct t3d_split_row {
    int64_t num;
    const char *uid, *group,
        *geometry;         /* borrowed; NULL = none. geometry: filter's geometry_hash */
    enum t3d_split stored; /* in the manifest now */
    int given;             /* by the source */
    int keyed;             /* stage splits is ok with this key */
};

/* Call each for every object for which all stages of needs (NULL-terminated, at most
 * T3D_SPLIT_NEEDS) are ok, in number order; only for the one numbered num unless num is -1. An
 * error from it ends the pass and is returned, T3D_END ends it quietly; it may not write to the
 * manifest. */
int t3d_split_rows(struct t3d_manifest *m, const char *const *needs, const char key[65],
                   int64_t num,
                   int (*each)(void *ctx, const struct t3d_split_row *row, struct t3d_err *err),
                   void *ctx, struct t3d_err *err) T3D_MUST_CHECK;

#endif
