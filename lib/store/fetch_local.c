/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch local: files below folders. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/walk.h"
#include "store/captions.h"
#include "store/fetch.h"

struct source {
    struct t3d_fetch *f;
    const struct t3d_fetch_local *conf;
    struct t3d_captions *captions;
    struct t3d_walk walk;
    struct t3d_arena arena;
    size_t at;
    const char *prefix, *real; /* a prefix of file names and its absolute path */
};

struct job {
    struct t3d_fetch_job base;
    const struct t3d_walk_file *file;
    const char *folder;
};

/* --- one file
 * ------------------------------------------------------------------------------------- */

static int open_file(const struct job *j, struct stat *st, struct t3d_err *err)
{
    const char *path = j->file->path;
    int e = j->file->error, fd = -1;

    if (!e && (fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
        e = errno;
    if (!e && fstat(fd, st) < 0)
        e = errno;
    if (e == ENOENT || e == ENOTDIR)
        return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s' does not exist", path);
    if (e)
        t3d_err_set(err, T3D_SKIP, "unreadable-file", "cannot open '%s': %s", path, strerror(e));
    else if (!S_ISREG(st->st_mode))
        t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", path);
    else if (!t3d_ending_in(path, T3D_FETCH_FORMATS))
        t3d_err_set(err, T3D_SKIP, "unknown-format",
                    "'%s' has no ending of a 3D file: fetch takes " T3D_FETCH_FORMATS, path);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return T3D_SKIP;
}

static int read_object(struct t3d_fetch *f, struct job *j, int thread, int fd,
                       const struct stat *st, struct t3d_err *err)
{
    struct t3d_object *o = &j->base.item.object;
    int r = t3d_gather_main(&j->base.files, fd, st, j->file->path, o, err);

    if (r == T3D_OK)
        r = t3d_fetch_names(f, &j->base, thread, j->file->path, err);
    return r < 0 ? r : t3d_gather_end(&j->base.files, o, &j->base.item.stamp, err);
}

static void work(void *ctx, int thread, void *item)
{
    const struct source *s = ctx;
    struct job *j = item;
    struct t3d_intake_item *in = &j->base.item;
    const char *path = j->file->path, *workspace = s->f->common->workspace;
    struct stat st;
    int fd, r;

    if (t3d_stamp_holds(j->base.stamp, workspace, path, j->folder)) {
        j->base.unchanged = 1;
        return;
    }
    fd = open_file(j, &st, &in->err);
    if (fd < 0) {
        t3d_fetch_set_failure(&j->base, fd);
        if (strcmp(in->err.reason, "missing-file") == 0)
            in->code = T3D_STATE_MISSING;
        return;
    }
    t3d_gather_begin(&j->base.files, workspace, j->folder, s->conf->open, &in->arena);
    r = read_object(s->f, j, thread, fd, &st, &in->err);
    t3d_gather_fini(&j->base.files);
    close(fd);
    in->code = T3D_STATE_OK;
    if (r < 0) {
        snprintf(in->object.uid, sizeof in->object.uid, "%.32s", in->object.file_sha256);
        in->object.content[0] = 0;
        if (r == T3D_SKIP && !strstr(in->err.msg, path))
            t3d_err_prefix(&in->err, "'%s'", path);
        t3d_fetch_set_failure(&j->base, r);
    }
}

/* --- the list
 * ------------------------------------------------------------------------------------- */

/* Absolute, with links in the caller's part resolved; what is below stays as it was found. */
static const char *absolute(struct source *s, const struct t3d_walk_file *w, struct t3d_arena *a)
{
    size_t n = (size_t)(w->below - w->path);
    char *real;

    if (!s->prefix || strlen(s->prefix) != n || memcmp(s->prefix, w->path, n) != 0) {
        s->prefix = t3d_strndup(&s->arena, w->path, n);
        if (!s->prefix)
            return NULL;
        real = realpath(n ? s->prefix : ".", NULL);
        s->real = t3d_strdup(&s->arena, real ? real : n ? s->prefix : ".");
        free(real);
        if (!s->real)
            return NULL;
    }
    return *w->below ? t3d_path_join(a, s->real, w->below) : t3d_strdup(a, s->real);
}

static int next(void *ctx, void **item, struct t3d_err *err)
{
    struct source *s = ctx;
    const struct t3d_walk_file *w;
    struct job *j;
    int r = T3D_OK;

    while (s->at < s->walk.n && !t3d_fetch_in_shard(s->f, s->walk.file[s->at].below))
        s->at++;
    if (s->at == s->walk.n || t3d_stop_requested())
        return T3D_END;
    w = &s->walk.file[s->at++];
    j = t3d_fetch_job_new(sizeof *j);
    if (!j)
        return t3d_err_nomem(err, w->path);
    j->file = w;
    j->folder =
        t3d_strndup(&j->base.item.arena, w->path, (size_t)(t3d_path_base(w->path) - w->path));
    j->folder = j->folder && *j->folder ? j->folder : ".";
    j->base.item.file = absolute(s, w, &j->base.item.arena);
    j->base.item.object.path = *w->below ? w->below : w->path;
    r = j->base.item.file ? t3d_fetch_recall(s->f, &j->base, err) : t3d_err_nomem(err, w->path);
    if (r < 0)
        t3d_fetch_drop(s, j);
    *item = j;
    return r;
}

static int uid_from_name(struct job *j)
{
    struct t3d_intake_item *in = &j->base.item;
    const char *base = t3d_path_base(j->file->path), *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    char *name = t3d_strndup(&in->arena, base, n);

    if (!name || !t3d_uid_valid(name))
        return t3d_err_set(&in->err, T3D_SKIP, "bad-uid",
                           "'%s': --uid-from name needs a name of 1 to 128 of A-Z a-z 0-9 . _ -",
                           j->file->path);
    snprintf(in->object.uid, sizeof in->object.uid, "%s", name);
    in->given_uid = 1;
    return T3D_OK;
}

/* What the list of captions and the options say about the object. */
static int describe(struct source *s, struct job *j, const char **uid, int *changed,
                    struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object;
    char key[T3D_UID_SIZE];
    struct t3d_caption_query q = {
        .below = j->file->below, .absolute = in->file, .sha256 = o->file_sha256, .uid = key};
    int r;

    snprintf(key, sizeof key, "%s", o->uid);
    if (!key[0])
        t3d_object_key(o, key);
    r = t3d_captions_describe(s->captions, &q, o, uid, changed, &in->arena, err);
    if (r < 0)
        return r;
    if (s->conf->dataset || !o->source)
        o->source = s->conf->dataset ? s->conf->dataset : "local";
    if (!o->license && s->conf->license) {
        o->license = s->conf->license;
        in->weak_license = *changed = 1;
    }
    return T3D_OK;
}

/* The file is as it was: only what the list says about it may be new. */
static int emit_unchanged(struct source *s, struct job *j, struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    const char *path = in->object.path, *uid;
    int changed = 0, r = T3D_OK;

    if (s->captions || s->conf->license)
        r = t3d_seen_object(s->f->m, j->base.known, &in->object, &in->arena, err);
    if (r == T3D_OK && in->object.content[0])
        r = describe(s, j, &uid, &changed, err);
    if (r < 0) {
        t3d_fetch_drop(s, j);
        return r;
    }
    if (!changed)
        return t3d_fetch_skip(s->f, &j->base);
    in->object.path = path;
    in->given_uid = 1; /* it keeps the one it has */
    in->code = T3D_STATE_OK;
    in->stamp = j->base.stamp;
    return t3d_fetch_hand_over(s->f, &j->base, err);
}

/* The uid of a file that was here before with this content stays; else the list may give one. */
static int choose_uid(struct source *s, struct job *j, const char *uid, struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object, old;
    int r = j->base.known >= 0 ? t3d_seen_object(s->f->m, j->base.known, &old, &in->arena, err)
                               : T3D_END;

    if (r < 0)
        return r;
    if (r == T3D_OK && strcmp(old.content, o->content) == 0)
        uid = t3d_strdup(&in->arena, old.uid);
    if (uid) {
        snprintf(o->uid, sizeof o->uid, "%s", uid);
        in->given_uid = 1;
    } else if (s->conf->uid_from_name && uid_from_name(j) < 0) {
        t3d_fetch_set_failure(&j->base, T3D_SKIP);
        o->content[0] = 0;
    }
    return T3D_OK;
}

static int emit(void *ctx, void *item, struct t3d_err *err)
{
    struct source *s = ctx;
    struct job *j = item;
    const char *uid;
    int changed, r;

    if (j->base.unchanged)
        return emit_unchanged(s, j, err);
    if (j->base.fatal)
        return t3d_fetch_fatal(s->f, &j->base, err);
    r = describe(s, j, &uid, &changed, err);
    if (r == T3D_OK && j->base.item.code == T3D_STATE_OK)
        r = choose_uid(s, j, uid, err);
    if (r < 0) {
        t3d_fetch_drop(s, j);
        return r;
    }
    return t3d_fetch_hand_over(s->f, &j->base, err);
}

/* --dry-run: what is known by its stamp against what would be read. */
static int preview(struct source *s, struct t3d_err *err)
{
    uint64_t known = 0, total = 0, bytes = 0;
    void *item;
    int r;

    while ((r = next(s, &item, err)) == T3D_OK) {
        struct job *j = item;
        struct stat st;

        total++;
        if (t3d_stamp_holds(j->base.stamp, s->f->common->workspace, j->file->path, j->folder))
            known++;
        else if (stat(j->file->path, &st) == 0)
            bytes += (uint64_t)st.st_size;
        t3d_fetch_drop(s, j);
    }
    if (r < 0)
        return r;
    t3d_info("dry run: %llu objects, %llu unchanged, %llu to fetch (%.1f MB without parts)",
             (unsigned long long)total, (unsigned long long)known,
             (unsigned long long)(total - known), (double)bytes / 1e6);
    return T3D_EXIT_OK;
}

static int run(struct source *s, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {
        .next = next, .work = work, .emit = emit, .drop = t3d_fetch_drop};
    int r;

    if (s->f->common->dry_run)
        return preview(s, err);
    s->f->n = s->walk.n;
    r = t3d_fetch_run(s->f, &ops, s, 0, err);
    if (r < 0)
        return r;
    if (s->walk.hidden || s->walk.other || s->walk.repeated)
        t3d_info(
            "passed over: %llu files of other kinds, %llu hidden names, %llu folders or links that "
            "lead back or nowhere",
            (unsigned long long)s->walk.other, (unsigned long long)s->walk.hidden,
            (unsigned long long)s->walk.repeated);
    t3d_fetch_count_captions(s->captions);
    return r;
}

int t3d_fetch_local(struct t3d_fetch *f, const struct t3d_fetch_local *local, struct t3d_err *err)
{
    struct source s = {.f = f, .conf = local};
    int r = T3D_OK;

    if (local->captions)
        r = t3d_captions_open(&s.captions, local->captions, err);
    if (r == T3D_OK)
        r = t3d_walk(&s.walk, &s.arena, local->paths->item, local->paths->n, T3D_FETCH_FORMATS,
                     err);
    if (r == T3D_OK)
        r = t3d_fetch_open(f, err);
    if (r == T3D_OK)
        r = run(&s, err);
    t3d_captions_close(s.captions);
    t3d_arena_free(&s.arena);
    return r;
}
