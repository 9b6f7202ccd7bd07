/* SPDX-License-Identifier: Apache-2.0 */
/* metric/memo.h -- what was found out before, by key: an NDJSON file that only grows.
 *
 * A line is {"key", "value"}. It is written whole and at once, so a kill loses at most the one in
 * hand; what a kill left of a line is cut off by the next run. One run at a time has the file. */
#ifndef T3D_METRIC_MEMO_H
#define T3D_METRIC_MEMO_H

#include <cjson/cJSON.h>

#include "base/err.h"

struct t3d_memo;

/* path NULL: in memory only. T3D_RETRY "busy" when another run has the file; T3D_SKIP "not-json"
 * when a line is none of ours. */
int t3d_memo_open(struct t3d_memo **out, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_memo_close(struct t3d_memo *m);

/* Borrowed; NULL when the key is not known. */
const cJSON *t3d_memo_find(const struct t3d_memo *m, const char *key);
/* Takes value over, also on failure; a later value of a key replaces the earlier one. */
int t3d_memo_put(struct t3d_memo *m, const char *key, cJSON *value,
                 struct t3d_err *err) T3D_MUST_CHECK;

#endif
