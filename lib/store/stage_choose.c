/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects does a stage work on, and who has claimed them? */
#include "base/progress.h"
#include "base/tool.h"
#include "store/manifest_impl.h"
#include "store/stage_impl.h"

#include "base/clock.h"

enum { CLAIMS = 64, LOOKS = 1024, ATTEMPTS = 3 };

void t3di_queue_push(struct t3di_queue *q, struct t3di_entry *e)
{
    e->next = NULL;
    if (q->last)
        q->last->next = e;
    else
        q->first = e;
    q->last = e;
    q->n++;
}

struct t3di_entry *t3di_queue_pop(struct t3di_queue *q)
{
    struct t3di_entry *e = q->first;

    if (e) {
        q->first = e->next;
        if (!q->first)
            q->last = NULL;
        q->n--;
    }
    return e;
}

static struct t3di_entry *entry_new(struct t3d_err *err)
{
    struct t3di_entry *e = calloc(1, sizeof *e);

    if (!e) {
        t3d_err_nomem(err, "an object");
        return NULL;
    }
    e->item.code = T3D_STATE_FAIL;
    e->item.err.value = NAN;
    return e;
}

int t3di_choose_init(struct t3di_loop *l, struct t3d_err *err)
{
    char *params = l->st->params ? t3d_json_text(l->st->params, 1) : strdup("{}"), version[16];
    struct t3d_sha256 *h = NULL;
    int r = params ? t3d_sha256_new(&h, err) : t3d_err_nomem(err, "parameters");

    if (r == T3D_OK) {
        snprintf(version, sizeof version, "%d", l->st->format_version);
        t3d_sha256_add_str(h, "t3d/1");
        t3d_sha256_add_str(h, l->st->name);
        t3d_sha256_add_str(h, version);
        t3d_sha256_add_str(h, params);
        t3d_sha256_end(h, l->params);
    }
    free(params);
    for (int i = 0; r == T3D_OK && l->st->needs_if_run && l->st->needs_if_run[i]; i++)
        if (t3d_manifest_stage_has_run(l->m, l->st->needs_if_run[i]))
            l->if_run |= 1u << i;
    return r;
}

static int add_inputs(struct t3di_loop *l, struct t3d_sha256 *h, int64_t num, struct t3d_err *err)
{
    struct t3d_state s;
    int r = T3D_OK;

    for (int i = 0; r >= 0 && l->st->inputs && l->st->inputs[i]; i++) {
        r = t3d_manifest_find_state(l->m, l->st->inputs[i], num, &s, err);
        if (r >= 0)
            t3d_sha256_add_str(h, s.key);
    }
    return r < 0 ? r : T3D_OK;
}

static void add_words(struct t3d_sha256 *h, const struct t3d_object *o)
{
    t3d_sha256_add_str(h, o->license ? o->license : "");
    t3d_sha256_add_str(h, o->source ? o->source : "");
    for (size_t i = 0; i < o->n_captions; i++)
        t3d_sha256_add_str(h, o->caption[i]);
}

/* key = SHA-256(parameters' hash, content hash [, keys of inputs] [, licence, source, captions]) */
static int make_key(struct t3di_loop *l, struct t3d_stage_item *item, struct t3d_err *err)
{
    const struct t3d_object *o = &item->object;
    struct t3d_sha256 *h;
    char text[2 * 64 + 1];
    int r;

    if (!l->st->words_matter && !l->st->inputs) {
        int n = snprintf(text, sizeof text, "%s%s", l->params, o->content);
        t3d_sha256_hex(text, (size_t)n, item->key);
        return T3D_OK;
    }
    r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add(h, l->params, 64);
    t3d_sha256_add_str(h, o->content);
    r = add_inputs(l, h, o->num, err);
    if (l->st->words_matter)
        add_words(h, o);
    t3d_sha256_end(h, item->key);
    return r;
}

/* Writes the name of an upstream stage that is not ok into *blocking, or NULL. */
static int upstream(struct t3di_loop *l, int64_t num, const char **blocking, struct t3d_state *s,
                    struct t3d_err *err)
{
    const char *const *lists[] = {l->st->needs, l->st->needs_if_run};

    *blocking = NULL;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; lists[k] && lists[k][i]; i++) {
            int r;
            if (k == 1 && !(l->if_run >> i & 1))
                continue;
            r = t3d_manifest_find_state(l->m, lists[k][i], num, s, err);
            if (r < 0)
                return r;
            if (s->code != T3D_STATE_OK) {
                *blocking = lists[k][i];
                return T3D_OK;
            }
        }
    }
    return T3D_OK;
}

/* An object that an earlier stage has not let through: not ours; a record of it is told about. */
static void not_eligible(struct t3di_entry *e, const char *stage, const struct t3d_state *s)
{
    struct t3d_stage_item *item = &e->item;

    e->kind = item->record ? T3DI_BAD : T3DI_DROP;
    item->code = T3D_STATE_NONE;
    if (!item->record)
        return;
    if (!stage)
        t3d_err_set(&item->err, T3D_SKIP, "upstream-not-ok", "object %s has not been fetched",
                    item->object.uid);
    else
        t3d_err_set(&item->err, T3D_SKIP, "upstream-not-ok", "object %s: %s is %s%s%s, not ok",
                    item->object.uid, stage, t3d_state_name(s->code), *s->reason ? ": " : "",
                    s->reason);
}

static enum t3di_entry_kind by_state(struct t3di_loop *l, struct t3d_stage_item *item)
{
    const struct t3d_state *s = &item->before;

    if (s->code == T3D_STATE_CLAIMED)
        return T3DI_BUSY;
    if (l->common->redo || strcmp(s->key, item->key) != 0)
        return T3DI_WORK;
    if (s->code == T3D_STATE_OK)
        return l->st->have && !l->st->have(l->ctx, &item->object) ? T3DI_WORK : T3DI_STORED;
    if (s->code == T3D_STATE_REJECT)
        return T3DI_STORED;
    return s->code == T3D_STATE_FAIL && s->attempt >= ATTEMPTS ? T3DI_STORED : T3DI_WORK;
}

static int decide(struct t3di_loop *l, struct t3di_entry *e, struct t3d_err *err)
{
    struct t3d_stage_item *item = &e->item;
    struct t3d_state up;
    const char *blocking;
    int r;

    if (e->kind == T3DI_BAD)
        return T3D_OK;
    if (l->common->shard_count > 1 &&
        t3d_hash64(item->object.uid) % l->common->shard_count != l->common->shard_index) {
        e->kind = T3DI_DROP;
        return T3D_OK;
    }
    r = upstream(l, item->object.num, &blocking, &up, err);
    if (r < 0)
        return r;
    if (blocking || !item->object.content[0]) {
        not_eligible(e, blocking, &up);
        return T3D_OK;
    }
    r = make_key(l, item, err);
    if (r == T3D_OK)
        r = t3d_manifest_find_state(l->m, l->st->name, item->object.num, &item->before, err);
    if (r == T3D_OK)
        e->kind = by_state(l, item);
    /* Nobody to tell about an object that was ok before. */
    if (e->kind == T3DI_STORED && item->before.code == T3D_STATE_OK && !item->record)
        e->kind = T3DI_DROP;
    return r;
}

static int claim(struct t3di_loop *l, struct t3di_entry *e, struct t3d_err *err)
{
    struct t3d_claim c = {.num = e->item.object.num, .seen = &e->item.before};
    int r = t3d_manifest_claim(l->m, l->st->name, &c, 1, err);

    if (r == T3D_OK && !c.got)
        e->kind = T3DI_BUSY;
    return r;
}

/* --- from the manifest
 * ----------------------------------------------------------------------------- */

static int defer(struct t3di_loop *l, int64_t num, struct t3d_err *err)
{
    if ((l->n_deferred & (l->n_deferred - 1)) == 0) {
        size_t n = l->n_deferred ? 2 * l->n_deferred : 1;
        int64_t *more = realloc(l->deferred, n * sizeof *more);
        if (!more)
            return t3d_err_nomem(err, "the list of busy objects");
        l->deferred = more;
    }
    l->deferred[l->n_deferred++] = num;
    return T3D_OK;
}

static void dropped(struct t3di_loop *l)
{
    l->sum->skipped++;
    l->sum->seen++;
    t3d_progress_add(l->progress, 0);
}

/* Look at the next objects of the manifest; what is to be worked on or told about goes to list.
 * Most may have been done before, so they are decided on in scratch memory. */
static int look(struct t3di_loop *l, struct t3di_queue *list, struct t3d_err *err)
{
    struct t3di_entry seen, *e;
    int r = T3D_OK;

    for (int i = 0; i < LOOKS && list->n < CLAIMS; i++) {
        memset(&seen, 0, sizeof seen);
        t3d_arena_reset(&l->scratch);
        r = t3d_cursor_next(l->cursor, &seen.item.object, &l->scratch, err);
        if (r == T3D_OK)
            r = decide(l, &seen, err);
        if (r != T3D_OK)
            return r;
        if (seen.kind == T3DI_DROP) {
            dropped(l);
            continue;
        }
        if (seen.kind == T3DI_BUSY) {
            if ((r = defer(l, seen.item.object.num, err)) < 0)
                return r;
            continue;
        }
        e = entry_new(err);
        if (!e)
            return T3D_FAIL;
        e->kind = seen.kind;
        memcpy(e->item.key, seen.item.key, sizeof e->item.key);
        e->item.before = seen.item.before;
        r = t3di_object_copy(&e->item.object, &seen.item.object, &e->item.arena, err);
        t3di_queue_push(list, e);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

static int claim_list(struct t3di_loop *l, struct t3di_queue *list, struct t3d_err *err)
{
    struct t3di_entry *e;
    int own, r = T3D_OK;

    if (!list->n)
        return T3D_OK;
    r = t3di_begin(l->m, &own, err);
    if (r < 0)
        return r;
    while (r == T3D_OK && (e = t3di_queue_pop(list))) {
        if (e->kind == T3DI_WORK)
            r = claim(l, e, err);
        if (r == T3D_OK && e->kind == T3DI_BUSY) {
            r = defer(l, e->item.object.num, err);
            t3di_entry_free(l, e);
            continue;
        }
        t3di_queue_push(&l->ready, e);
    }
    return t3di_end(l->m, own, r, err);
}

static int refill_bulk(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_queue list = {0};
    struct t3di_entry *e;
    int r = t3di_read_begin(l->m, err), end;

    if (r < 0)
        return r;
    end = look(l, &list, err);
    t3di_read_end(l->m);
    if (end >= 0)
        r = claim_list(l, &list, err);
    while ((e = t3di_queue_pop(&list)))
        t3di_entry_free(l, e);
    if (end == T3D_END) {
        t3d_cursor_close(l->cursor);
        l->cursor = NULL;
    }
    return end < 0 ? end : r;
}

/* --- one after the other: stdin, and what was busy
 * --------------------------------------------------- */

static void bad_record(struct t3di_entry *e, const char *reason, const char *text)
{
    e->kind = T3DI_BAD;
    if (reason)
        t3d_err_set(&e->item.err, T3D_SKIP, reason, "%s", text);
    e->item.code = T3D_STATE_FAIL;
}

static int find_object(struct t3di_loop *l, struct t3di_entry *e, struct t3d_err *err)
{
    const char *uid = t3d_json_str(e->item.record, "uid", NULL);
    char text[256];
    int r;

    if (!uid || !t3d_uid_valid(uid)) {
        snprintf(text, sizeof text, "%s, line %llu: %s%.140s", l->in.name,
                 (unsigned long long)l->in.number,
                 uid ? "not a valid uid: " : "the record has no string \"uid\"", uid ? uid : "");
        bad_record(e, "bad-uid", text);
        return T3D_OK;
    }
    r = t3d_manifest_find(l->m, uid, &e->item.object, &e->item.arena, err);
    if (r == T3D_END) {
        snprintf(e->item.object.uid, sizeof e->item.object.uid, "%s", uid);
        snprintf(text, sizeof text,
                 "no object of the manifest has the uid %s: `t3d fetch` adds objects", uid);
        bad_record(e, "unknown-uid", text);
        r = T3D_OK;
    }
    return r;
}

static int read_record(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_entry *e = entry_new(err);
    int r;

    if (!e)
        return T3D_FAIL;
    r = t3d_ndjson_next(&l->in, &e->item.record, &e->item.err);
    if (r == T3D_SKIP) {
        bad_record(e, NULL, NULL);
        r = T3D_OK;
    } else if (r == T3D_OK) {
        e->item.err.value = NAN;
        r = find_object(l, e, err);
    } else if (r < 0 && err) {
        *err = e->item.err;
    }
    if (r == T3D_OK)
        t3di_queue_push(&l->backlog, e);
    else
        t3di_entry_free(l, e);
    return r;
}

static int read_deferred(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_entry *e;
    struct t3d_object *o;
    size_t n = 0;
    int64_t num;
    int r;

    if (l->at_deferred == l->n_deferred)
        return T3D_END;
    if (!(e = entry_new(err)))
        return T3D_FAIL;
    num = l->deferred[l->at_deferred++];
    r = t3di_objects(l->m, num, num + 1, &o, &n, &e->item.arena, err);
    if (r == T3D_OK && n == 1) {
        e->item.object = *o;
        t3di_queue_push(&l->backlog, e);
    } else {
        t3di_entry_free(l, e);
    }
    return r;
}

/* At least one record, and what more can be had without waiting. */
static int fill_backlog(struct t3di_loop *l, struct t3d_err *err)
{
    int r = T3D_OK;

    if (!l->common->use_stdin)
        return read_deferred(l, err);
    while (r == T3D_OK && l->backlog.n < CLAIMS && (!l->backlog.n || t3d_ndjson_wait(&l->in, -1)))
        r = read_record(l, err);
    return r == T3D_END && l->backlog.n ? T3D_OK : r;
}

/* Decide on the backlog in order, as far as the first object that another run (or this one, earlier
 * in the stream) has in hand. */
static int decide_backlog(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_entry *e;
    int own, r = t3di_begin(l->m, &own, err);

    while (r == T3D_OK && (e = l->backlog.first)) {
        r = decide(l, e, err);
        if (r == T3D_OK && e->kind == T3DI_WORK)
            r = claim(l, e, err);
        if (r < 0)
            break;
        if (e->kind == T3DI_BUSY)
            break;
        t3di_queue_pop(&l->backlog);
        if (e->kind == T3DI_DROP) {
            dropped(l);
            t3di_entry_free(l, e);
        } else {
            t3di_queue_push(&l->ready, e);
        }
    }
    return t3di_end(l->m, own, r, err);
}

/* The first of the backlog is busy. Without anything in flight of our own there is nothing to do
 * but wait: for the other run to finish the object, or to die. */
static int wait_busy(struct t3di_loop *l, struct t3d_err *err)
{
    struct timespec nap = {.tv_nsec = 10000000};
    int freed, r = t3di_release(l, err);

    if (r != T3D_OK || l->in_flight)
        return r == T3D_OK ? T3D_RETRY : r;
    if (t3d_clock_s() >= l->reap_due) {
        r = t3d_run_reap(l->m, &freed, err);
        l->reap_due = t3d_clock_s() + 0.5;
        if (r < 0 || freed)
            return r < 0 ? r : T3D_RETRY;
    }
    nanosleep(&nap, NULL);
    return T3D_RETRY;
}

static int refill(struct t3di_loop *l, struct t3d_err *err)
{
    int r;

    if (l->cursor)
        return refill_bulk(l, err);
    if (!l->backlog.n) {
        r = fill_backlog(l, err);
        if (r != T3D_OK)
            return r;
    }
    r = decide_backlog(l, err);
    if (r == T3D_OK && !l->ready.n && l->backlog.n)
        return wait_busy(l, err);
    return r;
}

int t3di_choose(struct t3di_loop *l, struct t3di_entry **out, struct t3d_err *err)
{
    int r;

    while (!l->ready.n) {
        if (t3d_stop_requested())
            return T3D_END;
        r = refill(l, err);
        if (r != T3D_OK)
            return r;
    }
    if (t3d_stop_requested())
        return T3D_END;
    *out = t3di_queue_pop(&l->ready);
    return T3D_OK;
}

/* --- count only
 * ------------------------------------------------------------------------------------ */

static void count(struct t3di_loop *l, const struct t3di_entry *e)
{
    l->sum->seen++;
    if (e->kind == T3DI_WORK)
        l->sum->ok++;
    else if (e->kind == T3DI_BUSY)
        l->sum->busy++;
    else if (e->kind == T3DI_BAD && e->item.code == T3D_STATE_FAIL)
        l->sum->failed++;
    else
        l->sum->skipped++;
}

int t3di_choose_count(struct t3di_loop *l, struct t3d_err *err)
{
    struct t3di_entry seen, *e;
    int r = T3D_OK;

    while (r == T3D_OK && !t3d_stop_requested()) {
        if (l->common->use_stdin) {
            r = read_record(l, err);
            e = r == T3D_OK ? t3di_queue_pop(&l->backlog) : NULL;
        } else {
            e = &seen;
            memset(e, 0, sizeof *e);
            t3d_arena_reset(&l->scratch);
            r = t3d_cursor_next(l->cursor, &e->item.object, &l->scratch, err);
        }
        if (r == T3D_OK)
            r = decide(l, e, err);
        if (r == T3D_OK)
            count(l, e);
        if (e && e != &seen)
            t3di_entry_free(l, e);
    }
    return r == T3D_END ? T3D_OK : r;
}
