/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of `t3d fetch urls` that are archives. Each object in one is an object of the address
 * "URL#name"; a row may name one itself by that fragment, and then only its parts are fetched where
 * the archive is a zip and the server does ranges. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/walk.h"
#include "store/fetch_urls_impl.h"

void t3di_url_job_free(struct t3di_url_job *j)
{
    for (size_t i = 0; i < j->n_objects; i++)
        if (j->object[i])
            t3d_fetch_drop(NULL, j->object[i]);
    free(j->object);
    t3d_fetch_drop(NULL, j);
}

static char *folder_of(const struct t3di_urls *s, struct t3d_arena *a)
{
    return t3d_sprintf(a, "%s/objects", s->f->common->workspace);
}

/* --- one object of an archive
 * --------------------------------------------------------------------- */

/* The main file at fd, and what it names by `open`, into the store. */
static int take(struct t3di_urls *s, struct t3d_fetch_job *base, const char *url, const char *name,
                int fd, int (*open)(void *, const char *, struct t3d_err *), const void *place,
                int thread, struct t3d_err *err)
{
    struct t3d_intake_item *in = &base->item;
    struct t3d_object *o = &in->object;
    const char *stamp;
    struct stat st;
    int r;

    if (fd < 0)
        return err->code;
    t3d_gather_begin(&base->files, s->f->common->workspace, place, open, &in->arena);
    r = fstat(fd, &st) < 0 ? t3d_err_sys(err, "cannot look at", name)
                           : t3d_gather_main(&base->files, fd, &st, name, o, err);
    if (r == T3D_OK)
        r = t3d_fetch_names(s->f, base, thread, url, err);
    if (r == T3D_OK)
        r = t3d_gather_end(&base->files, o, &stamp, err);
    t3d_gather_fini(&base->files);
    close(fd);
    if (r == T3D_OK && !(in->stamp = t3di_url_stamp(&in->arena, o)))
        r = t3d_err_nomem(err, url);
    return r;
}

/* A job for the object `name`, with what the row says of all. */
static struct t3di_url_job *job_for(struct t3di_url_job *j, const char *name)
{
    struct t3di_url_job *one = t3d_fetch_job_new(sizeof *one);
    struct t3d_object *o = one ? &one->base.item.object : NULL, *from = &j->base.item.object;
    struct t3d_arena *a = one ? &one->base.item.arena : NULL;
    int bad = 0;

    if (!one)
        return NULL;
    one->url = one->ask = t3d_sprintf(a, "%s#%s", j->ask, name);
    o->path = one->base.item.file = one->url;
    o->source = from->source;
    o->license = from->license ? t3d_strdup(a, from->license) : NULL;
    bad |= !one->url || (from->license && !o->license);
    o->caption = from->n_captions ? t3d_alloc(a, from->n_captions, sizeof *o->caption) : NULL;
    for (size_t i = 0; i < from->n_captions && o->caption && !bad; i++) {
        o->caption[i] = t3d_strdup(a, from->caption[i]);
        bad |= !o->caption[i];
        o->n_captions++;
    }
    bad |= from->n_captions && !o->caption;
    if (bad) {
        t3d_fetch_drop(NULL, one);
        return NULL;
    }
    return one;
}

static void settle(struct t3di_url_job *one, const char *name, int r)
{
    struct t3d_intake_item *in = &one->base.item;

    in->code = T3D_STATE_OK;
    if (r == T3D_OK)
        return;
    if (r == T3D_SKIP)
        t3d_err_prefix(&in->err, "'%.200s'", one->url ? one->url : name);
    t3d_fetch_set_failure(&one->base, r);
    in->object.content[0] = in->object.file_sha256[0] = 0;
}

static int take_all(struct t3di_urls *s, struct t3di_url_job *j, const struct t3d_archive *a,
                    int thread, struct t3d_err *err)
{
    j->object = calloc(a->n + a->n_refused + 1, sizeof *j->object);
    if (!j->object)
        return t3d_err_nomem(err, j->url);
    for (size_t i = 0; i < a->n + a->n_refused; i++) {
        const struct t3d_archive_member *m = i < a->n ? &a->member[i] : NULL;
        const char *name = m ? m->name : a->refused[i - a->n].name;
        struct t3d_archive_place place = {a, m};
        struct t3di_url_job *one;
        struct t3d_err *why;
        int r = T3D_SKIP;

        if (!t3d_ending_in(name, T3D_FETCH_FORMATS))
            continue;
        one = job_for(j, name);
        if (!one)
            return t3d_err_nomem(err, j->url);
        j->object[j->n_objects++] = &one->base;
        why = &one->base.item.err;
        if (m)
            r = take(s, &one->base, one->url, name, t3d_archive_member(a, m, why),
                     t3d_archive_resolve, &place, thread, why);
        else
            *why = a->refused[i - a->n].err;
        settle(one, name, r);
        if (one->base.fatal) {
            *err = *why;
            return one->base.fatal;
        }
    }
    return T3D_OK;
}

static int open_archive(struct t3di_urls *s, struct t3d_http_result *r, const char *url, int thread,
                        struct t3d_archive **a, struct t3d_err *err)
{
    struct t3d_arena tmp = {0};
    char *folder = folder_of(s, &tmp);
    int fd = folder ? t3di_side_file(r, url, err) : (t3d_err_nomem(err, url), -1), x;

    x = fd < 0 ? err->code : t3d_archive_open(a, s->f->unpacker, thread, fd, url, folder, err);
    if (fd >= 0)
        close(fd);
    t3d_arena_free(&tmp);
    return x == T3D_END ? t3d_err_set(err, T3D_SKIP, "stopped", "the run was stopped") : x;
}

int t3di_url_archive(struct t3di_urls *s, struct t3di_url_job *j, int thread, struct t3d_err *err)
{
    struct t3d_archive *a;
    int r = open_archive(s, &j->http, j->url, thread, &a, err);

    if (r < 0) {
        j->transient = strcmp(err->reason, "stopped") == 0;
        return r;
    }
    r = take_all(s, j, a, thread, err);
    t3d_archive_close(a);
    if (r == T3D_OK && j->uid && j->n_objects == 1) {
        struct t3d_intake_item *in = &j->object[0]->item;

        snprintf(in->object.uid, sizeof in->object.uid, "%s", j->uid);
        in->given_uid = 1;
    } else if (r == T3D_OK && j->uid && j->n_objects > 1) {
        r = t3d_err_value(err, T3D_SKIP, "several-objects", (double)j->n_objects,
                          "the row has one uid and the archive %zu objects: name each by "
                          "URL#MEMBER in a row of its own",
                          j->n_objects);
    }
    if (r == T3D_OK && !j->n_objects)
        r = t3d_err_set(err, T3D_SKIP, "no-objects", "no file in the archive is a 3D file");
    return r;
}

/* --- one member
 * ----------------------------------------------------------------------------------- */

/* The whole archive for one member: no zip, or a server without ranges. */
static int whole_for_member(struct t3di_urls *s, struct t3di_url_job *j, struct t3di_beside *b,
                            struct t3d_err *err)
{
    struct t3d_http_request q = {
        .url = j->ask, .sha256 = j->sha256, .size = j->size, .max_bytes = s->conf->max_bytes};
    struct t3d_archive_place place = {0};
    struct t3d_http_result r;
    struct t3d_archive *a;
    int x = t3di_side_fetch(b->side, &q, &r, err);

    j->status = r.status;
    j->attempts += r.attempts;
    snprintf(j->etag, sizeof j->etag, "%s", r.etag);
    j->transient = x < 0 && r.class != T3D_HTTP_PERMANENT;
    if (x == T3D_OK)
        x = open_archive(s, &r, j->url, b->thread, &a, err);
    t3d_http_result_free(&r);
    if (x < 0)
        return x;
    place = (struct t3d_archive_place){a, t3d_archive_find(a, j->member)};
    for (size_t i = 0; i < a->n_refused && !place.member; i++)
        if (strcmp(a->refused[i].name, j->member) == 0) {
            *err = a->refused[i].err;
            x = T3D_SKIP;
        }
    if (x == T3D_OK && !place.member)
        x = t3d_err_set(err, T3D_SKIP, "missing-file", "it is not in the archive");
    if (x == T3D_OK)
        x = take(s, &j->base, j->url, j->member, t3d_archive_member(a, place.member, err),
                 t3d_archive_resolve, &place, b->thread, err);
    t3d_archive_close(a);
    return x;
}

int t3di_url_member(struct t3di_urls *s, struct t3di_url_job *j, int thread, struct t3d_err *err)
{
    struct t3d_arena *a = &j->base.item.arena;
    struct t3di_beside b = {.side = t3di_side_of(s, thread, err),
                            .arena = a,
                            .url = j->ask,
                            .zip = j->member,
                            .zip_folder = (int)(t3d_path_base(j->member) - j->member),
                            .left = s->conf->max_bytes,
                            .unpacker = s->f->unpacker,
                            .thread = thread,
                            .folder = folder_of(s, a)};
    char name[300];
    int r;

    if (!b.side || !b.folder)
        return b.side ? t3d_err_nomem(err, j->url) : err->code;
    t3d_http_url_name(j->ask, name, sizeof name);
    j->class = T3D_HTTP_OK;
    /* The list's size and sha256 are the archive's: they can be checked on the whole only. */
    if (t3d_ending_in(name, "zip") && !j->sha256) {
        r = take(s, &j->base, j->url, j->member, t3di_zip_open(&b, t3d_path_base(j->member), err),
                 t3di_beside_open, &b, thread, err);
        j->status = b.status;
        j->attempts = b.attempts;
        snprintf(j->etag, sizeof j->etag, "%s", b.side->zip.etag);
        if (r == T3D_OK && b.transient)
            r = t3d_err_set(err, T3D_SKIP, "beside",
                            "a file that it names could not be fetched now");
        j->transient = b.transient;
        if (r != T3D_SKIP || strcmp(err->reason, "no-ranges") != 0)
            return r;
    }
    return whole_for_member(s, j, &b, err);
}

/* --- archives that are known
 * ---------------------------------------------------------------------- */

/* "objects\n", then "<content> <ending> <sha256 of the main file>" a line. */
int t3di_url_archive_holds(const struct t3di_urls *s, const char *stamp, uint64_t *n)
{
    *n = 0;
    if (strncmp(stamp, "objects\n", 8) != 0)
        return 0;
    for (const char *line = stamp + 8; *line; ++*n) {
        char content[65], ending[16], *path;
        struct t3d_arena a = {0};
        struct stat st;
        int there;

        if (sscanf(line, "%64[0-9a-f] %15[a-z0-9]", content, ending) != 2)
            return 0;
        path = t3d_content_path(&a, s->f->common->workspace, content, ending);
        there = path && stat(path, &st) == 0;
        t3d_arena_free(&a);
        if (!there)
            return 0;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return *n > 0;
}

int t3di_url_archive_done(struct t3di_urls *s, const struct t3di_url_job *j, struct t3d_err *err)
{
    for (size_t i = 0; i < j->n_objects; i++)
        if (j->object[i]->item.code != T3D_STATE_OK)
            return T3D_OK; /* look again next time */
    fprintf(s->archives, "%s%cobjects\n", j->url, 0);
    for (size_t i = 0; i < j->n_objects; i++) {
        const struct t3d_object *o = &j->object[i]->item.object;

        fprintf(s->archives, "%s %s\n", o->content,
                strcmp(o->content, o->file_sha256) == 0 ? o->ending : "parts");
    }
    fputc(0, s->archives);
    return ferror(s->archives) ? t3d_err_nomem(err, j->url) : T3D_OK;
}

/* After all rows are in the manifest: what kills the process before costs a download, no object. */
int t3di_url_archives_end(struct t3di_urls *s, struct t3d_err *err)
{
    const char *at, *end;
    int r = T3D_OK;

    if (fflush(s->archives) != 0)
        return t3d_err_nomem(err, "the archives");
    at = s->archives_text;
    end = at + s->archives_size;
    while (at < end && r == T3D_OK) {
        const char *stamp = at + strlen(at) + 1;

        r = t3d_seen_early(s->f->m, at, stamp, err);
        at = stamp + strlen(stamp) + 1;
    }
    return r;
}
