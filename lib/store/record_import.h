/* SPDX-License-Identifier: Apache-2.0 */
/* store/record_import.h -- records as `t3d manifest export` writes them, into a manifest: in
 * batches, so that what was read before a kill is kept, and the same again changes nothing.
 *
 *     struct t3d_record_import in = {.m = m, .refuse = tell, .ctx = ctx};
 *     r = t3d_record_import_stream(&in, stdin, "standard input", err);
 *     r = t3d_record_import_end(&in, r, err);
 */
#ifndef T3D_STORE_RECORD_IMPORT_H
#define T3D_STORE_RECORD_IMPORT_H

#include "base/json.h"
#include "store/manifest.h"

struct t3d_record_import {
    struct t3d_manifest *m;
    int dry_run; /* one transaction, rolled back at the end */
    /* A line that is no record (record NULL) or one that cannot be imported, and why; an error ends
     * the import. */
    int (*refuse)(void *ctx, const cJSON *record, const struct t3d_err *why, struct t3d_err *err);
    void *ctx;
    uint64_t fresh, known, bad; /* counted */
    int writing;                /* the module's */
};

/* All records of f, or those before a stop was requested. */
int t3d_record_import_stream(struct t3d_record_import *in, FILE *f, const char *name,
                             struct t3d_err *err) T3D_MUST_CHECK;
/* r: how the streams went; commits when that is T3D_OK, else rolls back and gives it. */
int t3d_record_import_end(struct t3d_record_import *in, int r, struct t3d_err *err) T3D_MUST_CHECK;

#endif
