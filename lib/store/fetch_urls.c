/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch urls: a list of addresses. Rows are read as transfers have room; what has come is
 * stored by the workers, in the order in which it comes, and entered in the order of the list, so
 * that numbers do not depend on the net. What waits for an earlier row is remembered
 * (t3d_seen_early): whatever ends the run, it is not fetched twice. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/walk.h"
#include "store/captions.h"
#include "store/fetch_urls_impl.h"

enum { PIPE = 256, GRACE_S = 2, EARLY_S = 2 };

/* --- one object, in a worker
 * ---------------------------------------------------------------------- */

/* What is no 3D file at all is not stored: an error page, or a pointer in place of the file. */
static int check_head(const struct t3di_url_job *j, struct t3d_err *err)
{
    unsigned char head[512];
    const unsigned char *data = j->http.data;
    size_t n = (size_t)T3D_MIN(j->http.bytes, sizeof head);

    if (!data) {
        FILE *f = fopen(j->http.path, "re");

        n = f ? fread(head, 1, sizeof head, f) : 0;
        if (f)
            fclose(f);
        data = head;
    }
    if (t3d_http_is_page(data, n))
        return t3d_err_set(err, T3D_SKIP, "html-page", "'%.300s' is a web page, not a 3D file",
                           j->url);
    if (t3d_http_is_pointer(data, n))
        return t3d_err_set(err, T3D_SKIP, "lfs-pointer",
                           "'%.300s' is a pointer of Git LFS, not the file", j->url);
    return T3D_OK;
}

static int store(struct t3di_urls *s, struct t3di_url_job *j, struct t3d_err *err)
{
    const char *workspace = s->f->common->workspace;
    struct t3d_object *o = &j->base.item.object;
    int r = check_head(j, err);

    if (r < 0)
        return r;
    if (j->http.data)
        return t3d_content_put(workspace, j->http.data, (size_t)j->http.bytes, o->ending,
                               o->file_sha256, err);
    r = t3d_content_take(workspace, j->http.path, j->http.bytes, o->ending, o->file_sha256, err);
    free(j->http.path);
    j->http.path = NULL;
    return r;
}

char *t3di_url_stamp(struct t3d_arena *a, const struct t3d_object *o)
{
    return t3d_sprintf(a, "%s\n%s\n%s\n", o->content,
                       strcmp(o->content, o->file_sha256) == 0 ? o->ending : "parts",
                       o->file_sha256);
}

/* The one file of the address, and those beside it that it names. */
static int keep(struct t3di_urls *s, struct t3di_url_job *j, int thread, struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object;
    struct t3di_beside b = {.arena = &in->arena, .url = j->ask, .left = s->conf->max_bytes};
    const char *stamp;
    int r = T3D_OK;

    if (!j->early) {
        snprintf(o->file_sha256, sizeof o->file_sha256, "%s", j->http.sha256);
        o->bytes = j->http.bytes;
        r = store(s, j, err);
    }
    if (r == T3D_OK && !(b.side = t3di_side_of(s, thread, err)))
        r = err->code;
    if (r < 0)
        return r;
    t3d_gather_begin(&j->base.files, s->f->common->workspace, &b, t3di_beside_open, &in->arena);
    t3d_gather_stored(&j->base.files, o);
    r = t3d_fetch_names(s->f, &j->base, thread, j->url, err);
    if (r >= T3D_OK && b.transient)
        r = t3d_err_set(err, T3D_SKIP, "beside", "a file that it names could not be fetched now");
    j->transient = b.transient;
    if (r == T3D_OK)
        r = t3d_gather_end(&j->base.files, o, &stamp, err);
    t3d_gather_fini(&j->base.files);
    if (r == T3D_OK)
        in->stamp = t3di_url_stamp(&in->arena, o);
    return r == T3D_OK && !in->stamp ? t3d_err_nomem(err, j->url) : r;
}

static void work(void *ctx, int thread, void *item)
{
    struct t3di_url_job *j = item;
    struct t3d_intake_item *in = &j->base.item;
    int r;

    if (!j->has_content)
        return;
    if (j->is_archive)
        r = j->member ? t3di_url_member(ctx, j, thread, &in->err)
                      : t3di_url_archive(ctx, j, thread, &in->err);
    else
        r = keep(ctx, j, thread, &in->err);
    in->code = T3D_STATE_OK;
    if (r == T3D_SKIP && !strstr(in->err.msg, j->url))
        t3d_err_prefix(&in->err, "'%.300s'", j->url);
    if (r < 0) {
        t3d_fetch_set_failure(&j->base, r);
        in->object.content[0] = 0;
        j->class = j->transient ? T3D_HTTP_TRANSIENT : T3D_HTTP_PERMANENT;
        in->stamp = j->transient ? "" : T3DI_PERMANENT;
        if (j->member && (j->status == 404 || j->status == 410))
            in->code = T3D_STATE_MISSING;
    }
    t3d_http_result_free(&j->http);
}

/* --- transfers
 * ------------------------------------------------------------------------------------ */

/* What has become of a transfer: content for the workers, or a failure. */
static void settle(struct t3di_urls *s, struct t3di_url_job *j)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_http_result *r = &j->http;

    j->class = r->class;
    j->status = r->status;
    j->attempts = r->attempts;
    snprintf(j->etag, sizeof j->etag, "%s", r->etag);
    if (r->class == T3D_HTTP_OK) {
        j->has_content = 1;
        return;
    }
    if (r->class == T3D_HTTP_STOPPED) {
        j->stopped = 1;
        s->stopped++;
        return;
    }
    in->err = r->err;
    in->code = r->status == 404 || r->status == 410 ? T3D_STATE_MISSING : T3D_STATE_FAIL;
    in->stamp = r->class == T3D_HTTP_PERMANENT ? T3DI_PERMANENT : "";
}

/* The next row as an item that needs no transfer, or into the engine. T3D_OK = *item is set;
 * T3D_RETRY = look again. */
static int take_row(struct t3di_urls *s, void **item, struct t3d_err *err)
{
    struct t3di_url_job *j = NULL;
    int r = t3di_url_job_next(s, &j, err);

    if (r == T3D_END || r == T3D_RETRY) {
        s->list_end |= r == T3D_END;
        s->silent = r == T3D_RETRY;
        return T3D_RETRY;
    }
    if (r < 0)
        return r;
    s->silent = 0;
    if (!j) /* of another shard */
        return T3D_RETRY;
    s->ring[j->index % T3DI_WINDOW] = j;
    if (j->needs_transfer) {
        struct t3d_http_request q = {.url = j->ask,
                                     .sha256 = j->sha256,
                                     .size = j->size,
                                     .max_bytes = s->conf->max_bytes,
                                     .user = j};

        r = t3d_http_submit(s->http, &q, err);
        return r < 0 ? r : T3D_RETRY;
    }
    *item = j;
    return T3D_OK;
}

static int may_read(const struct t3di_urls *s)
{
    return !s->list_end && s->next_index - s->emitted < T3DI_WINDOW && t3d_http_room(s->http);
}

static int next(void *ctx, void **item, struct t3d_err *err)
{
    struct t3di_urls *s = ctx;
    struct t3d_http_result result;
    int r;

    if (t3d_stop_requested()) {
        s->list_end = 1;
        t3d_http_stop(s->http, GRACE_S);
    }
    for (s->silent = 0; may_read(s) && !s->silent;) {
        r = take_row(s, item, err);
        if (r != T3D_RETRY) {
            s->in_pipe += r == T3D_OK;
            return r;
        }
    }
    r = t3d_http_next(s->http, s->silent || s->in_pipe ? 20 : 200, &result, err);
    if (r == T3D_OK) {
        struct t3di_url_job *j = result.user;

        j->http = result;
        settle(s, j);
        *item = j;
        s->in_pipe++;
    } else if (r == T3D_END && !(s->list_end && !s->in_pipe)) {
        if (s->silent && !s->in_pipe && s->list)
            t3d_url_list_wait(s->list, 100);
        return s->list_end ? T3D_END : T3D_RETRY;
    }
    return r;
}

/* --- into the manifest, in the order of the list
 * ------------------------------------------------ */

/* Objects that wait for an earlier one. */
static int remember_waiting(struct t3di_urls *s, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    int r = t3d_manifest_begin(s->f->m, err);

    if (r < 0)
        return r;
    for (uint64_t i = s->emitted; i < s->next_index && r == T3D_OK; i++) {
        struct t3di_url_job *j = s->ring[i % T3DI_WINDOW];
        const struct t3d_object *o;
        char *stamp;

        if (!j || !j->done || j->remembered || !j->has_content || j->is_archive ||
            j->base.item.code != T3D_STATE_OK)
            continue;
        o = &j->base.item.object;
        stamp = t3d_sprintf(&a, "early %s %s %llu %u %s\n", o->file_sha256, o->ending,
                            (unsigned long long)o->bytes, j->attempts, j->etag);
        r = stamp ? t3d_seen_early(s->f->m, j->base.item.file, stamp, err)
                  : t3d_err_nomem(err, j->url);
        j->remembered = 1;
    }
    if (r == T3D_OK)
        r = t3d_manifest_commit(s->f->m, err);
    else
        t3d_manifest_rollback(s->f->m);
    t3d_arena_free(&a);
    return r;
}

static int emit(void *ctx, void *item, struct t3d_err *err)
{
    struct t3di_urls *s = ctx;
    struct t3di_url_job *j = item;
    double now = t3d_clock_s();
    int r = T3D_OK;

    s->in_pipe--;
    j->done = 1;
    if (j->base.fatal) {
        *err = j->base.item.err;
        return j->base.fatal;
    }
    if (s->emitted != j->index && now - s->moved > EARLY_S) {
        s->moved = now;
        r = remember_waiting(s, err);
    }
    /* Behind one that was stopped all wait for the next run, which gives them their numbers. */
    while (r == T3D_OK && (j = s->ring[s->emitted % T3DI_WINDOW]) && j->done && !j->stopped) {
        s->ring[s->emitted++ % T3DI_WINDOW] = NULL;
        s->moved = now;
        r = t3di_url_job_enter(s, j, err);
    }
    return r;
}

/* A job that will not be emitted stays in the ring, where the run's end finds it. */
static void drop(void *ctx, void *item)
{
    (void)ctx;
    (void)item;
}

static void drop_all(struct t3di_urls *s)
{
    for (size_t i = 0; i < T3DI_WINDOW; i++)
        if (s->ring[i]) {
            t3d_http_result_free(&s->ring[i]->http);
            t3di_url_job_free(s->ring[i]);
        }
}

/* --- the run
 * -------------------------------------------------------------------------------------- */

static void count_reasons(const struct t3di_urls *s, cJSON *o)
{
    cJSON *all = cJSON_CreateObject();

    for (size_t i = 0; i < s->n_reasons; i++)
        t3d_json_set_num(all, s->reason[i].text, (double)s->reason[i].n);
    t3d_json_set(o, "status_dict", all);
}

/* The names are those of img2dataset's statistics where it has them. */
static int statistics(const struct t3di_urls *s, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject(), *http = t3d_http_statistics(s->http), *m;
    double seconds = t3d_clock_s() - s->start;
    struct rusage u;
    int r;

    getrusage(RUSAGE_SELF, &u);
    t3d_json_set_str(o, "stage", "fetch");
    t3d_json_set_num(o, "count", (double)s->next_index);
    t3d_json_set_num(o, "successes", (double)s->ok);
    t3d_json_set_num(o, "failed_to_download", (double)s->failed);
    t3d_json_set_num(o, "rejected", (double)s->rejected);
    t3d_json_set_num(o, "unchanged", (double)s->unchanged);
    t3d_json_set_num(o, "left", (double)s->stopped);
    if (s->conf->rows && s->conf->rows->count)
        s->conf->rows->count(s->conf->rows->ctx, o);
    t3d_json_set_num(o, "duration", seconds);
    t3d_json_set_num(o, "start_time", s->start_time);
    t3d_json_set_num(o, "end_time", s->start_time + seconds);
    count_reasons(s, o);
    cJSON_ArrayForEach (m, http)
        t3d_json_set(o, m->string, cJSON_Duplicate(m, 1));
    cJSON_Delete(http);
    t3d_json_set_num(o, "beside_requests", (double)s->beside_requests);
    t3d_json_set_num(o, "objects_per_s", (double)s->ok / seconds);
    t3d_json_set_num(o, "peak_mib", (double)(u.ru_maxrss / 1024));
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}

static int run(struct t3di_urls *s, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
    struct t3d_http_conf c = s->conf->http;
    struct timespec t;
    int r, x;

    clock_gettime(CLOCK_REALTIME, &t);
    s->start_time = (double)t.tv_sec;
    s->start = s->moved = t3d_clock_s();
    c.parts = t3d_sprintf(&s->arena, "%s/incoming", s->f->common->workspace);
    if (!c.parts)
        return t3d_err_nomem(err, "the partial files");
    c.max_bytes = s->conf->max_bytes;
    s->parts = c.parts;
    s->side = t3d_alloc(&s->arena, (size_t)s->f->common->threads, sizeof *s->side);
    s->archives = open_memstream(&s->archives_text, &s->archives_size);
    if (!s->side || !s->archives)
        return t3d_err_nomem(err, "the run");
    r = t3d_http_open(&s->http, &c, err);
    if (r < 0)
        return r;
    r = t3d_fetch_run(s->f, &ops, s, PIPE, err);
    for (int64_t i = 0; i < (int64_t)s->f->common->threads; i++) {
        struct t3d_http_totals n = {0};

        if (s->side[i].http)
            t3d_http_count(s->side[i].http, &n);
        s->beside_requests += n.requests;
        t3di_side_close(&s->side[i]);
    }
    if (r >= 0 && (x = t3di_url_archives_end(s, err)) < 0)
        r = x;
    x = r >= 0 && s->next_index > s->emitted ? remember_waiting(s, err) : T3D_OK;
    r = x < 0 ? x : r;
    drop_all(s);
    if (r >= 0) {
        t3d_fetch_count_captions(s->captions);
        x = statistics(s, err);
        r = x < 0 ? x : r;
    }
    rmdir(c.parts); /* when it is empty */
    return r;
}

int t3d_fetch_urls(struct t3d_fetch *f, const struct t3d_fetch_urls *urls, struct t3d_err *err)
{
    struct t3di_urls *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return t3d_err_nomem(err, "the list");
    s->f = f;
    s->conf = urls;
    r = urls->captions ? t3d_captions_open(&s->captions, urls->captions, err) : T3D_OK;
    if (r == T3D_OK && !urls->rows)
        r = t3d_url_list_open(&s->list, urls->list, err);
    if (r == T3D_OK)
        r = t3d_fetch_open(f, err);
    if (r == T3D_OK)
        r = f->common->dry_run ? t3di_urls_preview(s, err) : run(s, err);
    t3d_http_close(s->http);
    t3d_url_list_close(s->list);
    t3d_captions_close(s->captions);
    if (s->archives)
        fclose(s->archives);
    free(s->archives_text);
    t3d_arena_free(&s->arena);
    free(s);
    return r;
}
