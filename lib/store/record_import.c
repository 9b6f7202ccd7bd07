/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record_import.h"

#include "base/tool.h"

enum { BATCH = 4096 };

static int refuse(struct t3d_record_import *in, const cJSON *record, const struct t3d_err *why,
                  struct t3d_err *err)
{
    in->bad++;
    return in->refuse(in->ctx, record, why, err);
}

/* Transactions of BATCH records; with dry_run one. */
static int make_room(struct t3d_record_import *in, struct t3d_err *err)
{
    uint64_t n = in->fresh + in->known + in->bad;
    int r = T3D_OK;

    if (in->writing && n % BATCH == 0 && !in->dry_run) {
        in->writing = 0;
        r = t3d_manifest_commit(in->m, err);
    }
    if (r == T3D_OK && !in->writing) {
        r = t3d_manifest_begin(in->m, err);
        in->writing = r == T3D_OK;
    }
    return r;
}

static int put_record(struct t3d_record_import *in, const cJSON *record, struct t3d_err *err)
{
    struct t3d_err why = {0};
    int r = make_room(in, err);

    if (r < 0)
        return r;
    r = t3d_manifest_put_record(in->m, record, NULL, &why);
    in->fresh += r == T3D_OK;
    in->known += r == T3D_END;
    if (r == T3D_SKIP)
        return refuse(in, record, &why, err);
    if (r < 0)
        *err = why;
    return r < 0 ? r : T3D_OK;
}

int t3d_record_import_stream(struct t3d_record_import *in, FILE *f, const char *name,
                             struct t3d_err *err)
{
    struct t3d_ndjson lines;
    struct t3d_err why = {0};
    int r = T3D_OK;

    t3d_ndjson_init(&lines, f, name);
    while (r == T3D_OK && !t3d_stop_requested()) {
        cJSON *record = NULL;
        r = t3d_ndjson_next(&lines, &record, &why);
        if (r == T3D_SKIP)
            r = refuse(in, NULL, &why, err);
        else if (r < 0)
            *err = why;
        else if (r == T3D_OK)
            r = put_record(in, record, err);
        cJSON_Delete(record);
    }
    t3d_ndjson_fini(&lines);
    return r < 0 ? r : T3D_OK;
}

int t3d_record_import_end(struct t3d_record_import *in, int r, struct t3d_err *err)
{
    if (in->writing && r == T3D_OK && !in->dry_run)
        return t3d_manifest_commit(in->m, err);
    if (in->writing)
        t3d_manifest_rollback(in->m);
    return r;
}
