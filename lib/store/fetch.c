/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/tool.h"
#include "store/captions.h"

enum { MAX_WARNINGS = 10 }; /* the rest is in the manifest and in --rejects */

/* --- jobs
 * ----------------------------------------------------------------------------------------- */

void *t3d_fetch_job_new(size_t size)
{
    struct t3d_fetch_job *j = calloc(1, size);

    if (j) {
        j->known = -1;
        j->stamp = "";
        j->item.code = T3D_STATE_FAIL;
        j->item.err.value = NAN;
    }
    return j;
}

void t3d_fetch_drop(void *ctx, void *item)
{
    struct t3d_fetch_job *j = item;

    (void)ctx;
    t3d_intake_item_free(&j->item);
}

void t3d_fetch_set_failure(struct t3d_fetch_job *j, int r)
{
    j->item.code = T3D_STATE_FAIL;
    j->item.stamp = "";
    if (r != T3D_SKIP)
        j->fatal = r;
}

int t3d_fetch_recall(struct t3d_fetch *f, struct t3d_fetch_job *j, struct t3d_err *err)
{
    int r = f->m ? t3d_seen_find(f->m, j->item.file, &j->known, &j->stamp, &j->item.arena, err)
                 : T3D_END;

    if (r == T3D_END || f->common->redo)
        j->stamp = "";
    return r < 0 ? r : T3D_OK;
}

int t3d_fetch_hand_over(struct t3d_fetch *f, struct t3d_fetch_job *j, struct t3d_err *err)
{
    int grade = j->item.code == T3D_STATE_OK ? 0 : j->item.code == T3D_STATE_REJECT ? 1 : 2;

    if (grade == 2 && f->warned++ < MAX_WARNINGS)
        t3d_warn("%s", j->item.err.msg);
    t3d_progress_add(f->progress, grade);
    f->missing_parts += j->files.missing;
    return t3d_intake_add(f->intake, &j->item, err);
}

int t3d_fetch_skip(struct t3d_fetch *f, struct t3d_fetch_job *j)
{
    t3d_intake_skip(f->intake);
    t3d_progress_add(f->progress, 0);
    t3d_fetch_drop(f, j);
    return T3D_OK;
}

int t3d_fetch_fatal(struct t3d_fetch *f, struct t3d_fetch_job *j, struct t3d_err *err)
{
    int r = j->fatal;

    if (r) {
        *err = j->item.err;
        t3d_fetch_drop(f, j);
    }
    return r;
}

/* The stored copy of the main file is read, which nobody changes. */
int t3d_fetch_names(struct t3d_fetch *f, struct t3d_fetch_job *j, int thread, const char *name,
                    struct t3d_err *err)
{
    const struct t3d_object *o = &j->item.object;
    char *stored =
        t3d_content_path(&j->item.arena, f->common->workspace, o->file_sha256, o->ending);
    int r;

    if (!stored)
        return t3d_err_nomem(err, name);
    r = f->names ? f->names(thread, stored, o->ending, &j->files, err) : T3D_OK;
    /* Whatever is wrong with a file of one piece is for filter to say. */
    if (r == T3D_SKIP && strcmp(o->ending, "gltf") != 0) {
        t3d_gather_forget(&j->files);
        r = T3D_OK;
    }
    return t3d_gather_check(&j->files, err) < 0 ? err->code : r;
}

int t3d_fetch_in_shard(const struct t3d_fetch *f, const char *name)
{
    const struct t3d_common *c = f->common;

    return c->shard_count <= 1 || t3d_hash64(name) % c->shard_count == c->shard_index;
}

/* --- the run
 * -------------------------------------------------------------------------------------- */

int t3d_fetch_open(struct t3d_fetch *f, struct t3d_err *err)
{
    const struct t3d_common *c = f->common;
    int r = t3d_manifest_open(&f->m, c->workspace,
                              c->dry_run ? T3D_MANIFEST_READONLY : T3D_MANIFEST_CREATE, err);

    return c->dry_run && r < 0 && strcmp(err->reason, "no-manifest") == 0 ? T3D_OK : r;
}

int t3d_fetch_close(struct t3d_fetch *f, int r)
{
    t3d_manifest_close(f->m);
    f->m = NULL;
    return r;
}

static void report(const struct t3d_fetch *f, const struct t3d_intake_count *n)
{
    t3d_info(
        "%llu new objects (%.1f MB), %llu again, %llu unchanged, %llu modified, %llu rejected, "
        "%llu failed",
        (unsigned long long)n->fresh, (double)n->bytes / 1e6, (unsigned long long)n->again,
        (unsigned long long)n->unchanged, (unsigned long long)n->modified,
        (unsigned long long)n->rejected, (unsigned long long)n->failed);
    if (n->refused.code)
        t3d_warn("%s", n->refused.msg);
    if (f->warned > MAX_WARNINGS || (n->refused.code && n->failed + n->rejected > 1))
        t3d_warn("t3d manifest list --stage fetch and --rejects show the other failures");
    if (f->missing_parts)
        t3d_warn("%llu files that objects name are not there",
                 (unsigned long long)f->missing_parts);
}

void t3d_fetch_count_captions(const struct t3d_captions *list)
{
    struct t3d_caption_counts c;

    if (!list)
        return;
    t3d_captions_count(list, &c);
    t3d_info("captions: %llu rows, %llu matched, %llu unmatched", (unsigned long long)c.rows,
             (unsigned long long)c.matched, (unsigned long long)(c.rows - c.matched));
    if (c.bad)
        t3d_warn("captions: %llu rows cannot be used; the first: %s", (unsigned long long)c.bad,
                 c.first_bad.msg);
}

int t3d_fetch_run(struct t3d_fetch *f, const struct t3d_pipe_ops *ops, void *ctx, size_t window,
                  struct t3d_err *err)
{
    const struct t3d_common *c = f->common;
    struct t3d_intake_count n = {0};
    struct t3d_err late;
    int r = t3d_run_begin(f->m, "fetch", err), x;

    if (r == T3D_OK)
        r = t3d_intake_open(&f->intake, f->m, c->rejects, err);
    if (r < 0)
        return r;
    f->progress = t3d_progress_new(c->progress, "fetch", "objects", f->n);
    r = t3d_pipe_run(ops, ctx, (int)c->threads, window, err);
    x = t3d_intake_finish(f->intake, &n, &late); /* what is done stays done */
    t3d_progress_free(f->progress);
    if (r == T3D_OK && x < 0) {
        *err = late;
        r = x;
    }
    if (r < 0)
        return r;
    report(f, &n);
    return t3d_stop_requested() ? t3d_stop_requested() : n.failed ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}
