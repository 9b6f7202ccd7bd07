/* SPDX-License-Identifier: Apache-2.0 */
#include "store/weights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/tool.h"
#include "store/model_find.h"

#define MAX_BYTES ((uint64_t)64 << 30)

/* One model under way. */
struct fetch {
    const struct t3d_weights *w;
    const struct t3d_weights_where *where;
    struct t3d_http *http;
    struct t3d_arena arena;
    char *place, *staging;
    struct t3d_weights_file file[T3D_WEIGHTS_FILES];
    struct state {
        int there;
        uint64_t bytes;
        char sha256[65], etag[160];
        const char *checked; /* "catalogue", "server", "no" */
    } state[T3D_WEIGHTS_FILES];
    size_t n;
    struct t3d_progress *progress;
    uint64_t shown; /* megabytes */
    struct t3d_weights_done *done;
};

static int hash_file(const char *path, struct state *s, struct t3d_err *err)
{
    struct t3d_blob b;
    int r = t3d_blob_open(&b, path, 0, err);

    if (r < 0)
        return r;
    t3d_sha256_hex(b.data, b.size, s->sha256);
    s->bytes = b.size;
    t3d_blob_close(&b);
    return T3D_OK;
}

/* Whether the SHA-256 is the one of the catalogue, of which only the beginning may be known. */
static int check_hash(const struct t3d_weights_file *f, struct state *s, struct t3d_err *err)
{
    if (!f->sha256)
        return T3D_OK;
    s->checked = "catalogue";
    if (strncmp(s->sha256, f->sha256, strlen(f->sha256)) == 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_FAIL, "wrong-sha256",
                       "'%s' has the SHA-256 %s, the catalogue says %s%s: nothing was stored",
                       f->url, s->sha256, f->sha256, strlen(f->sha256) < 64 ? "..." : "");
}

/* A login or error page instead of weights. */
static int check_page(const char *path, const struct t3d_weights_file *f, struct t3d_err *err)
{
    unsigned char head[512];
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(head, 1, sizeof head, in) : 0;

    if (in)
        fclose(in);
    if (!t3d_http_is_page(head, n))
        return T3D_OK;
    return t3d_err_set(err, T3D_FAIL, "html-page", "'%s' is a web page, not the file", f->url);
}

static char *staged(struct fetch *f, size_t i)
{
    return t3d_path_join(&f->arena, f->staging, f->file[i].name);
}

/* Files that an interrupted run has left, whole. */
static int recall(struct fetch *f, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < f->n && r == T3D_OK; i++) {
        char *path = staged(f, i);
        struct stat st;

        if (!path)
            return t3d_err_nomem(err, f->w->name);
        if (stat(path, &st) < 0)
            continue;
        f->state[i].checked = "no";
        r = hash_file(path, &f->state[i], err);
        if (r == T3D_OK && check_hash(&f->file[i], &f->state[i], NULL) < 0)
            unlink(path);
        else
            f->state[i].there = r == T3D_OK;
    }
    return r;
}

static int submit(struct fetch *f, size_t i, struct t3d_err *err)
{
    const char *sha256 = f->file[i].sha256;
    struct t3d_http_request q = {.url = f->file[i].url,
                                 .sha256 = sha256 && strlen(sha256) == 64 ? sha256 : NULL,
                                 .size = -1,
                                 .user = &f->state[i]};

    return t3d_http_submit(f->http, &q, err);
}

static int keep(struct fetch *f, size_t i, struct t3d_http_result *r, struct t3d_err *err)
{
    struct state *s = &f->state[i];
    char *path = staged(f, i);
    int x;

    if (!path)
        return t3d_err_nomem(err, f->w->name);
    snprintf(s->sha256, sizeof s->sha256, "%s", r->sha256);
    snprintf(s->etag, sizeof s->etag, "%s", r->etag);
    s->bytes = r->bytes;
    s->checked = r->advertised ? "server" : "no";
    x = check_hash(&f->file[i], s, err);
    if (x < 0)
        return x;
    if (r->path && rename(r->path, path) < 0)
        return t3d_err_sys(err, "cannot create", path);
    if (r->path) {
        free(r->path);
        r->path = NULL;
    } else {
        x = t3d_write_file(path, r->data, r->bytes, err);
    }
    if (x == T3D_OK && (x = check_page(path, &f->file[i], err)) < 0)
        unlink(path);
    s->there = x == T3D_OK;
    f->done->fetched += r->bytes;
    return x;
}

/* A file that did not come: may it be missing? */
static int missing(struct fetch *f, size_t i, const struct t3d_http_result *r, struct t3d_err *err)
{
    const struct t3d_weights_file *file = &f->file[i];

    if (r->class == T3D_HTTP_STOPPED)
        return T3D_END;
    if (r->status == 404 && file->otherwise)
        return submit(f, i + 1, err);
    if (r->status == 404 && file->optional)
        return T3D_OK;
    *err = r->err;
    err->code = r->class == T3D_HTTP_TRANSIENT ? T3D_RETRY : T3D_FAIL;
    if (r->status == 401 || r->status == 403)
        return t3d_err_set(err, T3D_FAIL, r->err.reason,
                           "%.400s: it may need a token: --token-file FILE", r->err.msg);
    return t3d_err_prefix(err, "%s", f->w->name);
}

static void show(struct fetch *f)
{
    struct t3d_http_totals n;

    t3d_http_count(f->http, &n);
    for (; f->shown < n.bytes / 1000000; f->shown++)
        t3d_progress_add(f->progress, 0);
}

static int transfer(struct fetch *f, struct t3d_err *err)
{
    struct t3d_http_result result;
    int r = T3D_OK, x;

    for (size_t i = 0; i < f->n && r == T3D_OK; i++)
        if (!f->state[i].there && !(i && f->file[i - 1].otherwise))
            r = submit(f, i, err);
    while (r == T3D_OK) {
        size_t i;

        if (t3d_stop_requested())
            t3d_http_stop(f->http, 0);
        x = t3d_http_next(f->http, 200, &result, err);
        show(f);
        if (x == T3D_RETRY)
            continue;
        if (x != T3D_OK)
            return x == T3D_END ? T3D_OK : x;
        i = (size_t)((struct state *)result.user - f->state);
        r = result.class == T3D_HTTP_OK ? keep(f, i, &result, err) : missing(f, i, &result, err);
        t3d_http_result_free(&result);
    }
    return r;
}

static int write_source(struct fetch *f, struct t3d_err *err)
{
    char *path = t3d_path_join(&f->arena, f->staging, "source.json"), *text;
    cJSON *o = cJSON_CreateObject(), *list = cJSON_CreateArray();
    int r;

    t3d_json_set_str(o, "name", f->w->name);
    t3d_json_set_str(o, "license", f->w->license);
    for (size_t i = 0; i < f->n; i++) {
        const struct state *s = &f->state[i];
        cJSON *one;

        if (!s->there)
            continue;
        one = cJSON_CreateObject();
        t3d_json_set_str(one, "name", f->file[i].name);
        t3d_json_set_str(one, "url", f->file[i].url);
        t3d_json_set_num(one, "bytes", (double)s->bytes);
        t3d_json_set_str(one, "sha256", s->sha256);
        t3d_json_set_str(one, "checked_against", s->checked);
        if (*s->etag)
            t3d_json_set_str(one, "etag", s->etag);
        cJSON_AddItemToArray(list, one);
        f->done->files++;
        f->done->bytes += s->bytes;
    }
    t3d_json_set(o, "files", list);
    text = path ? t3d_json_text(o, 0) : NULL;
    cJSON_Delete(o);
    r = text ? t3d_write_file(path, text, strlen(text), err) : t3d_err_nomem(err, f->w->name);
    free(text);
    return r;
}

/* The folder appears whole; one that was there gives way. */
static int publish(struct fetch *f, struct t3d_err *err)
{
    char *old = t3d_sprintf(&f->arena, "%s/models/.%s.old", f->where->workspace, f->w->name);

    if (!old)
        return t3d_err_nomem(err, f->w->name);
    t3d_remove_tree(old);
    if (rename(f->place, old) < 0 && errno != ENOENT)
        return t3d_err_sys(err, "cannot replace", f->place);
    if (rename(f->staging, f->place) < 0)
        return t3d_err_sys(err, "cannot create", f->place);
    t3d_remove_tree(old);
    return T3D_OK;
}

/* 1 = all files of source.json are there with their sizes. */
static int is_there(struct fetch *f)
{
    char *path = t3d_path_join(&f->arena, f->place, "source.json");
    cJSON *o = NULL, *one;
    int ok = path && t3d_json_read(&o, path, 1 << 20, NULL) == T3D_OK;

    cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(o, "files")) {
        const char *name = t3d_json_str(one, "name", "");
        char *file = t3d_path_join(&f->arena, f->place, name);
        struct stat st;

        if (!file || stat(file, &st) < 0 || (double)st.st_size != t3d_json_num(one, "bytes", -1)) {
            ok = 0;
            continue;
        }
        f->done->files++;
        f->done->bytes += (uint64_t)st.st_size;
    }
    cJSON_Delete(o);
    return ok;
}

static int run(struct fetch *f, struct t3d_err *err)
{
    struct t3d_http_conf c = f->where->http;
    int r;

    c.parts = t3d_sprintf(&f->arena, "%s/models/.parts", f->where->workspace);
    if (!c.parts)
        return t3d_err_nomem(err, f->w->name);
    c.max_bytes = c.max_bytes ? c.max_bytes : MAX_BYTES;
    c.per_host = 4;
    f->n = t3d_weights_files(f->w, f->where->base_url, f->where->revision, f->file);
    r = t3d_make_dirs(f->staging, err);
    if (r == T3D_OK)
        r = recall(f, err);
    if (r == T3D_OK)
        r = t3d_http_open(&f->http, &c, err);
    if (r == T3D_OK) {
        f->progress = t3d_progress_new(f->where->progress, f->w->name, "MB", f->w->about_mb);
        r = transfer(f, err);
        t3d_progress_free(f->progress);
    }
    t3d_http_close(f->http);
    if (r == T3D_OK)
        r = write_source(f, err);
    if (r == T3D_OK)
        r = publish(f, err);
    if (r == T3D_OK)
        rmdir(c.parts);
    return r;
}

int t3d_weights_fetch(const struct t3d_weights *w, const struct t3d_weights_where *where,
                      struct t3d_weights_done *done, struct t3d_err *err)
{
    struct fetch f = {.w = w, .where = where, .done = done};
    int r;

    memset(done, 0, sizeof *done);
    r = t3d_model_place(&f.place, where->workspace, w->name, &f.arena, err);
    if (r == T3D_OK &&
        !(f.staging = t3d_sprintf(&f.arena, "%s/models/.%s.new", where->workspace, w->name)))
        r = t3d_err_nomem(err, w->name);
    if (r == T3D_OK && !where->redo && is_there(&f)) {
        done->was_there = 1;
    } else if (r == T3D_OK) {
        done->files = 0;
        done->bytes = 0;
        r = run(&f, err);
    }
    t3d_arena_free(&f.arena);
    return r;
}
