/* SPDX-License-Identifier: Apache-2.0 */
/* Results that are saved but not yet committed: their records wait for the commit. */
#include "base/json.h"
#include "base/tool.h"
#include "store/reject.h"
#include "store/stage_impl.h"

#include "base/clock.h"

enum { BATCH = 256 };

int t3di_batch_begin(struct t3di_loop *l, struct t3d_err *err)
{
    int r;

    if (l->open)
        return T3D_OK;
    r = t3d_manifest_begin(l->m, err);
    if (r < 0)
        return r;
    l->open = 1;
    l->opened = t3d_clock_s();
    l->in_batch = 0;
    return T3D_OK;
}

static int write_records(struct t3di_loop *l, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < l->n_out && r == T3D_OK; i++)
        r = t3d_emit(l->out[i], err);
    return r;
}

static int write_rejects(struct t3di_loop *l, struct t3d_err *err)
{
    for (size_t i = 0; i < l->n_reject; i++)
        fprintf(l->rejects, "%s\n", l->reject[i]);
    if (l->n_reject && fflush(l->rejects) != 0)
        return t3d_err_sys(err, "cannot write", l->common->rejects);
    return T3D_OK;
}

int t3di_batch_commit(struct t3di_loop *l, struct t3d_err *err)
{
    int r = T3D_OK;

    if (l->open) {
        l->open = 0;
        r = t3d_run_renew(l->m, err);
        if (r == T3D_OK)
            r = t3d_manifest_commit(l->m, err);
        else
            t3d_manifest_rollback(l->m);
    }
    if (r == T3D_OK)
        r = write_rejects(l, err);
    if (r == T3D_OK)
        r = write_records(l, err);
    t3di_batch_drop(l);
    return r;
}

void t3di_batch_drop(struct t3di_loop *l)
{
    for (size_t i = 0; i < l->n_out; i++)
        cJSON_Delete(l->out[i]);
    for (size_t i = 0; i < l->n_reject; i++)
        free(l->reject[i]);
    l->n_out = l->n_reject = 0;
}

/* Called once an item: a full or old batch ends. */
static int count(struct t3di_loop *l, struct t3d_err *err)
{
    if (++l->in_batch < BATCH && (!l->open || t3d_clock_s() - l->opened < 0.5))
        return T3D_OK;
    l->in_batch = 0;
    return t3di_batch_commit(l, err);
}

int t3di_batch_record(struct t3di_loop *l, struct t3d_stage_item *item, struct t3d_err *err)
{
    if (item->record) {
        if (!l->out && !(l->out = calloc(BATCH, sizeof *l->out)))
            return t3d_err_nomem(err, "records");
        l->out[l->n_out++] = item->record;
        item->record = NULL;
    }
    return count(l, err);
}

int t3di_batch_reject(struct t3di_loop *l, const char *uid, const char *status, const char *reason,
                      double value, const char *message, struct t3d_err *err)
{
    cJSON *o;

    if (l->rejects) {
        if (!l->reject && !(l->reject = calloc(BATCH, sizeof *l->reject)))
            return t3d_err_nomem(err, "rejects");
        o = t3d_reject_record(uid, l->st->name, status, reason, value, message);
        l->reject[l->n_reject] = o ? t3d_json_text(o, 0) : NULL;
        cJSON_Delete(o);
        if (!l->reject[l->n_reject])
            return t3d_err_nomem(err, "rejects");
        l->n_reject++;
    }
    return count(l, err);
}
