/* SPDX-License-Identifier: Apache-2.0 */
/* fetch/fetch_cap3d.h -- the two halves of t3d fetch cap3d. */
#ifndef FETCH_FETCH_CAP3D_H
#define FETCH_FETCH_CAP3D_H

#include "base/opt.h"

struct t3d_manifest;

struct fetch_renders {
    uint64_t in_archives; /* objects that the archives have renders of */
    uint64_t ok, unchanged, failed;
    uint64_t not_ready; /* they have not passed fetch and filter */
};

/* Cap3D's ready-made renders, from its zip files, as shards renders/cap3d-<side> for the objects of
 * the workspace. */
int fetch_cap3d_renders(const struct t3d_common *common, const struct t3d_list *zips,
                        struct t3d_manifest *m, struct fetch_renders *n,
                        struct t3d_err *err) T3D_MUST_CHECK;

#endif
