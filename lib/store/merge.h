/* SPDX-License-Identifier: Apache-2.0 */
/* store/merge.h -- bring the results of other hosts or workspaces into one: `t3d manifest merge`.
 *
 * A source is a workspace (its folder or its manifest.db): objects, captions, measures, states, the
 * files of objects/ and the shards below renders/ are taken over; or, where there is no
 * manifest.db, the outcome of stages run with --shard i/N: parts/<stage>.p<i>of<N>.done with its
 * .ndjson, and the tars below renders/. Samples find their place by key, so the numbers of the
 * other manifest do not matter. Merging the same again changes nothing. */
#ifndef T3D_STORE_MERGE_H
#define T3D_STORE_MERGE_H

#include <stdint.h>

#include "store/manifest.h"

struct t3d_merge_count {
    uint64_t objects; /* new ones */
    uint64_t records; /* read in all */
    uint64_t files;   /* copied into objects/ */
    uint64_t samples; /* taken into shards */
    uint64_t unknown; /* samples whose object is not in the manifest */
    uint64_t skipped; /* records and shards that could not be used; `tell` has heard of each */
};

/* tell: called for each thing that is left out; may be NULL. Adds to *count. */
int t3d_merge(struct t3d_manifest *m, const char *path, struct t3d_merge_count *count,
              void (*tell)(void *ctx, const struct t3d_err *why), void *ctx,
              struct t3d_err *err) T3D_MUST_CHECK;

#endif
