/* SPDX-License-Identifier: Apache-2.0 */
/* store/reject.h -- the lines of --rejects, the same for every stage:
 * {"uid", "stage", "status", "reason", "value", "message", "path"}. */
#ifndef T3D_STORE_REJECT_H
#define T3D_STORE_REJECT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "base/err.h"

/* Without path; value NAN is null, message "" is left out. Caller frees; NULL when memory is out.
 */
cJSON *t3d_reject_record(const char *uid, const char *stage, const char *status, const char *reason,
                         double value, const char *message);

/* One line to f; NULL = nobody wants it. status: "reject", "fail", "missing", "modified". path may
 * be NULL. */
int t3d_reject_write(FILE *f, const char *uid, const char *stage, const char *status,
                     const struct t3d_err *why, const char *path,
                     struct t3d_err *err) T3D_MUST_CHECK;

#endif
