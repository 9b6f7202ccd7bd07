/* SPDX-License-Identifier: Apache-2.0 */
/* metric/match.h -- which prediction belongs to which reference.
 *
 * Two files are one pair, named after the reference. Of two folders files pair by their path below
 * the folder without its ending, so out/chairs/a.glb goes with ref/chairs/a.obj. Where a folder
 * holds any 3D file its pictures are textures and no items. */
#ifndef T3D_METRIC_MATCH_H
#define T3D_METRIC_MATCH_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

extern const char t3d_picture_endings[]; /* "png jpg jpeg webp" */

struct t3d_match {
    const char *uid;
    const char *pred, *ref; /* paths; NULL = there is none */
    int ambiguous;          /* several files of one side have this name */
};

struct t3d_matches {
    struct t3d_match *match; /* sorted by uid, in the arena */
    size_t n;
    int pictures; /* items are pictures, else 3D files */
};

/* T3D_USAGE when a path does not exist, one is a file and the other a folder, one side has pictures
 * and the other 3D files, or the reference is empty. */
int t3d_match(struct t3d_matches *m, const char *pred, const char *ref, struct t3d_arena *a,
              struct t3d_err *err) T3D_MUST_CHECK;

#endif
