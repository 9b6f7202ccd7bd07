/* SPDX-License-Identifier: Apache-2.0 */
#include "store/stage.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/tool.h"
#include "store/manifest_impl.h"
#include "store/stage_impl.h"

void t3di_entry_free(struct t3di_loop *l, struct t3di_entry *e)
{
    if (!e)
        return;
    if (l->st->done && e->kind == T3DI_WORK)
        l->st->done(l->ctx, &e->item);
    cJSON_Delete(e->item.record);
    t3d_arena_free(&e->item.arena);
    free(e);
}

/* --- the pipe's operations
 * ------------------------------------------------------------------------- */

static int next(void *ctx, void **item, struct t3d_err *err)
{
    struct t3di_loop *l = ctx;
    struct t3di_entry *e = NULL;
    int r = t3di_choose(l, &e, err);

    if (r == T3D_OK && e->kind == T3DI_WORK && l->st->load)
        r = l->st->load(l->ctx, l->m, &e->item, err);
    if (r < 0) {
        t3di_entry_free(l, e);
        return r;
    }
    if (r == T3D_OK)
        l->in_flight++;
    *item = e;
    return r;
}

static void work(void *ctx, int thread, void *item)
{
    struct t3di_loop *l = ctx;
    struct t3di_entry *e = item;

    if (e->kind == T3DI_WORK)
        l->st->work(l->ctx, thread, &e->item);
}

static int tell(struct t3di_loop *l, struct t3d_stage_item *item, struct t3d_err *err)
{
    const char *reason = *item->err.reason ? item->err.reason : "failed";
    const char *status = item->code == T3D_STATE_NONE ? "reject" : t3d_state_name(item->code);

    return t3di_batch_reject(l, item->object.uid, status, reason, item->err.value, item->err.msg,
                             err);
}

static int emit_worked(struct t3di_loop *l, struct t3d_stage_item *item, struct t3d_err *err)
{
    struct t3d_state s = {.code = item->code, .value = NAN};
    int r = t3di_batch_begin(l, err);

    memcpy(s.key, item->key, sizeof s.key);
    if (item->code != T3D_STATE_OK) {
        snprintf(s.reason, sizeof s.reason, "%s", *item->err.reason ? item->err.reason : "failed");
        snprintf(s.message, sizeof s.message, "%s", item->err.msg);
        s.value = item->err.value;
    }
    if (r == T3D_OK && l->st->save)
        r = l->st->save(l->ctx, l->m, item, err);
    if (r == T3D_OK)
        r = t3d_manifest_put_state(l->m, l->st->name, item->object.num, &s, err);
    if (r == T3D_OK && l->st->also)
        r = t3d_manifest_put_state(l->m, l->st->also, item->object.num, &s, err);
    if (r != T3D_OK)
        return r;
    l->sum->ok += item->code == T3D_STATE_OK;
    l->sum->rejected += item->code == T3D_STATE_REJECT;
    l->sum->failed += item->code == T3D_STATE_FAIL;
    t3d_progress_add(l->progress, item->code == T3D_STATE_OK       ? 0
                                  : item->code == T3D_STATE_REJECT ? 1
                                                                   : 2);
    if (item->code == T3D_STATE_FAIL)
        t3d_debug("%s: %s", item->object.uid, item->err.msg);
    return item->code == T3D_STATE_OK ? t3di_batch_record(l, item, err) : tell(l, item, err);
}

static int emit_stored(struct t3di_loop *l, struct t3d_stage_item *item, struct t3d_err *err)
{
    const struct t3d_state *s = &item->before;
    int r = T3D_OK;

    item->code = s->code;
    l->sum->failed += s->code == T3D_STATE_FAIL;
    l->sum->skipped += s->code != T3D_STATE_FAIL;
    t3d_progress_add(l->progress, s->code == T3D_STATE_OK       ? 0
                                  : s->code == T3D_STATE_REJECT ? 1
                                                                : 2);
    if (s->code != T3D_STATE_OK)
        return t3di_batch_reject(l, item->object.uid, t3d_state_name(s->code), s->reason, s->value,
                                 s->message, err);
    if (item->record && l->st->recall)
        r = l->st->recall(l->ctx, l->m, item, err);
    return r == T3D_OK ? t3di_batch_record(l, item, err) : r;
}

static int emit_entry(struct t3di_loop *l, struct t3di_entry *e, struct t3d_err *err)
{
    int r;

    l->in_flight--;
    l->sum->seen++;
    if (e->kind == T3DI_WORK) {
        r = emit_worked(l, &e->item, err);
    } else if (e->kind == T3DI_STORED) {
        r = emit_stored(l, &e->item, err);
    } else {
        l->sum->failed += e->item.code == T3D_STATE_FAIL;
        l->sum->skipped += e->item.code != T3D_STATE_FAIL;
        r = tell(l, &e->item, err);
    }
    t3di_entry_free(l, e);
    return r;
}

static int gather(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3d_stage_item **item = malloc((l->held.n + 1) * sizeof(struct t3d_stage_item *));
    size_t n = 0;
    int r = T3D_OK;

    if (!item)
        return t3d_err_nomem(err, "a batch");
    for (struct t3di_entry *e = l->held.first; e; e = e->next)
        if (e->kind == T3DI_WORK)
            item[n++] = &e->item;
    if (n)
        r = l->st->gather(l->ctx, item, n, err);
    free(item);
    return r;
}

/* The batch is committed at once, so that no transaction is open while the next one is gathered. */
int t3di_release(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_entry *e;
    int r = l->held.n ? gather(l, err) : T3D_OK;

    if (r < 0)
        return r;
    l->weight = 0;
    while (r == T3D_OK && (e = t3di_queue_pop(&l->held)))
        r = emit_entry(l, e, err);
    return r == T3D_OK ? t3di_batch_commit(l, err) : r;
}

static int emit(void *ctx, void *p, struct t3d_err *err)
{
    struct t3di_loop *l = ctx;
    struct t3di_entry *e = p;

    if (!l->st->gather)
        return emit_entry(l, e, err);
    t3di_queue_push(&l->held, e);
    l->weight += e->kind == T3DI_WORK ? e->item.weight : 0;
    return l->weight >= l->st->batch ? t3di_release(l, err) : T3D_OK;
}

static void drop(void *ctx, void *p)
{
    struct t3di_loop *l = ctx;

    l->in_flight--;
    t3di_entry_free(l, p);
}

/* With one thread the pipe calls this before each item; a batch then waits for more unless standard
 * input is silent. */
static int idle(void *ctx, struct t3d_err *err)
{
    struct t3di_loop *l = ctx;

    if (l->held.n && l->common->threads == 1 &&
        !(l->common->use_stdin && !t3d_ndjson_wait(&l->in, -1)))
        return T3D_OK;
    return t3di_release(l, err);
}

static int wait_record(void *ctx, int wake)
{
    struct t3di_loop *l = ctx;

    return l->ready.n || l->backlog.n ? 1 : t3d_ndjson_wait(&l->in, wake);
}

/* --- run
 * ------------------------------------------------------------------------------------------- */

static int open_loop(struct t3di_loop *l, struct t3d_err *err)
{
    int64_t total = 0;
    int r = t3di_choose_init(l, err);

    if (r == T3D_OK && !l->common->dry_run)
        r = t3d_run_begin(l->m, l->st->name, err);
    if (r == T3D_OK && !l->common->use_stdin) {
        r = t3d_cursor_open(&l->cursor, l->m, 0, err);
        if (r == T3D_OK)
            r = t3di_int(l->m, &total, 0, err, "SELECT count(*) FROM object", "");
    }
    if (r == T3D_OK && l->common->rejects && !l->common->dry_run) {
        l->rejects = fopen(l->common->rejects, "we");
        if (!l->rejects)
            r = t3d_err_sys(err, "cannot create", l->common->rejects);
    }
    if (l->common->use_stdin)
        t3d_ndjson_init(&l->in, stdin, "standard input");
    l->progress = l->common->dry_run
                      ? NULL
                      : t3d_progress_new(l->common->progress ? l->common->progress : "none",
                                         l->st->name, "objects", (uint64_t)total);
    return r;
}

/* What is saved is committed, whatever stopped the run; claims go back. */
static int close_loop(struct t3di_loop *l, int r, struct t3d_err *err)
{
    struct t3d_err late = {0};
    struct t3di_entry *e;
    int s = r >= 0 ? t3di_release(l, &late) : T3D_OK;

    if (s >= 0)
        s = t3di_batch_commit(l, &late);
    if (s >= 0)
        s = t3d_run_end(l->m, &late);
    else
        (void)!t3d_run_end(l->m, NULL);
    while ((e = t3di_queue_pop(&l->held)))
        t3di_entry_free(l, e);
    while ((e = t3di_queue_pop(&l->ready)) || (e = t3di_queue_pop(&l->backlog))) {
        l->sum->busy += e->kind == T3DI_BUSY;
        t3di_entry_free(l, e);
    }
    l->sum->busy += l->n_deferred - l->at_deferred;
    if (l->rejects && fclose(l->rejects) != 0 && s >= 0)
        s = t3d_err_sys(&late, "cannot write", l->common->rejects);
    if (r >= 0 && s < 0) {
        r = s;
        if (err)
            *err = late;
    }
    t3d_progress_free(l->progress);
    t3d_cursor_close(l->cursor);
    t3d_arena_free(&l->scratch);
    if (l->common->use_stdin)
        t3d_ndjson_fini(&l->in);
    free(l->deferred);
    free(l->out);
    free(l->reject);
    return r < 0 ? r : T3D_OK;
}

static int run_pipe(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3d_pipe_ops ops = {
        .next = next, .work = work, .emit = emit, .drop = drop, .idle = idle};
    int threads = l->common->threads > 0 ? (int)T3D_MIN(l->common->threads, 4096) : t3d_cpu_count();
    size_t window = l->st->window ? l->st->window : 4;

    if (l->common->use_stdin)
        ops.wait = wait_record;
    return t3d_pipe_run(&ops, l, threads, window * (size_t)threads, err);
}

static void report(const struct t3di_loop *l)
{
    const struct t3d_stage_summary *s = l->sum;

    if (l->common->dry_run) {
        t3d_info("%llu objects would be done, %llu need nothing or are not eligible, %llu are "
                 "claimed by "
                 "another run, %llu records cannot be used",
                 (unsigned long long)s->ok, (unsigned long long)s->skipped,
                 (unsigned long long)s->busy, (unsigned long long)s->failed);
        return;
    }
    t3d_info("%llu ok, %llu rejected, %llu failed, %llu skipped in %.1f s%s",
             (unsigned long long)s->ok, (unsigned long long)s->rejected,
             (unsigned long long)s->failed, (unsigned long long)s->skipped, s->seconds,
             s->stop ? "; stopped by a signal: run the same command again to go on" : "");
}

int t3d_stage_run(const struct t3d_stage *st, void *ctx, struct t3d_manifest *m,
                  const struct t3d_common *common, struct t3d_stage_summary *summary,
                  struct t3d_err *err)
{
    struct t3di_loop l = {.st = st, .ctx = ctx, .m = m, .common = common, .sum = summary};
    double start = t3d_clock_s();
    int r;

    memset(summary, 0, sizeof *summary);
    r = open_loop(&l, err);
    if (r == T3D_OK)
        r = common->dry_run ? t3di_choose_count(&l, err) : run_pipe(&l, err);
    r = close_loop(&l, r, err);
    summary->seconds = t3d_clock_s() - start;
    summary->stop = t3d_stop_requested();
    if (r == T3D_OK && !common->dry_run && !summary->stop && common->shard_count > 1)
        r = t3di_stage_write_part(m, st->name, common->shard_index, common->shard_count, err);
    if (r == T3D_OK)
        report(&l);
    return r;
}

int t3d_stage_exit(const struct t3d_stage_summary *s)
{
    if (s->stop)
        return s->stop;
    return s->failed ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}
