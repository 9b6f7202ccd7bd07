/* SPDX-License-Identifier: Apache-2.0 */
/* store/check.h -- is a workspace whole? `t3d manifest check`.
 *
 * Looks at the database (SQLite's own integrity check), hashes every file of objects/ that the
 * manifest names, walks all shards with their indices, compares them with the states of `render`,
 * and lists what killed runs have left. Changes nothing. */
#ifndef T3D_STORE_CHECK_H
#define T3D_STORE_CHECK_H

#include <stdint.h>

#include "store/manifest.h"

/* One problem: a JSON object {"problem", "uid"?, "path"?, "message"}; problem is one of
 * damaged-manifest, missing, modified, bad-shard, bad-index, unknown-sample, wrong-number,
 * not-in-shards, leftover. tell takes it over; what it returns (not T3D_OK) stops the check. */
struct t3d_check {
    int threads;
    int (*tell)(void *ctx, cJSON *problem, struct t3d_err *err);
    void *ctx;
    uint64_t objects, shards, problems; /* out */
};

int t3d_check_run(struct t3d_manifest *m, struct t3d_check *c, struct t3d_err *err) T3D_MUST_CHECK;

#endif
