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
#include "store/fetch_local_impl.h"

/* --- one file
 * ------------------------------------------------------------------------------------- */

static int open_file(const struct t3di_local_job *j, struct stat *st, struct t3d_err *err)
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

int t3di_local_read(struct t3d_fetch *f, struct t3di_local_job *j, int thread, int fd,
                    const struct stat *st, struct t3d_err *err)
{
    struct t3d_object *o = &j->base.item.object;
    int r = t3d_gather_main(&j->base.files, fd, st, j->file->path, o, err);

    if (r == T3D_OK)
        r = t3d_fetch_names(f, &j->base, thread, j->file->path, err);
    return r < 0 ? r : t3d_gather_end(&j->base.files, o, &j->base.item.stamp, err);
}

/* A file of its own. T3D_END: it could not be opened, and that is the job's result. */
static int take_file(const struct t3di_local *s, struct t3di_local_job *j, int thread)
{
    struct t3d_intake_item *in = &j->base.item;
    struct stat st;
    int fd = open_file(j, &st, &in->err), r;

    if (fd < 0) {
        t3d_fetch_set_failure(&j->base, fd);
        if (strcmp(in->err.reason, "missing-file") == 0)
            in->code = T3D_STATE_MISSING;
        return T3D_END;
    }
    t3d_gather_begin(&j->base.files, s->f->common->workspace, j->folder, s->conf->open, &in->arena);
    r = t3di_local_read(s->f, j, thread, fd, &st, &in->err);
    t3d_gather_fini(&j->base.files);
    close(fd);
    return r;
}

static void work(void *ctx, int thread, void *item)
{
    const struct t3di_local *s = ctx;
    struct t3di_local_job *j = item;
    struct t3d_intake_item *in = &j->base.item;
    const char *path = j->file->path, *workspace = s->f->common->workspace;
    int r;

    if (j->archive && !j->place.member) { /* refused: err says why */
        t3d_fetch_set_failure(&j->base, T3D_SKIP);
        return;
    }
    if (j->archive ? t3di_local_member_holds(s, j)
                   : t3d_stamp_holds(j->base.stamp, workspace, path, j->folder)) {
        j->base.unchanged = 1;
        return;
    }
    r = j->archive ? t3di_local_member(s, j, thread, &in->err) : take_file(s, j, thread);
    if (r == T3D_END)
        return;
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
const char *t3di_local_absolute(struct t3di_local *s, const struct t3d_walk_file *w,
                                struct t3d_arena *a)
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

static int next_file(struct t3di_local *s, const struct t3d_walk_file *w, void **item,
                     struct t3d_err *err)
{
    struct t3di_local_job *j = t3d_fetch_job_new(sizeof *j);
    int r = T3D_OK;

    if (!j)
        return t3d_err_nomem(err, w->path);
    j->file = w;
    j->folder =
        t3d_strndup(&j->base.item.arena, w->path, (size_t)(t3d_path_base(w->path) - w->path));
    j->folder = j->folder && *j->folder ? j->folder : ".";
    j->base.item.file = t3di_local_absolute(s, w, &j->base.item.arena);
    j->base.item.object.path = *w->below ? w->below : w->path;
    r = j->base.item.file ? t3d_fetch_recall(s->f, &j->base, err) : t3d_err_nomem(err, w->path);
    if (r < 0)
        t3d_fetch_drop(s, j);
    *item = j;
    return r;
}

static int next(void *ctx, void **item, struct t3d_err *err)
{
    struct t3di_local *s = ctx;
    int r = T3D_OK;

    for (*item = NULL; r == T3D_OK && !*item;) {
        const struct t3d_walk_file *w;

        if (t3d_stop_requested())
            return T3D_END;
        if (s->open) {
            r = t3di_local_archive_next(s, item, err);
            r = r == T3D_END ? T3D_OK : r;
            continue;
        }
        if (s->at == s->walk.n)
            return T3D_END;
        w = &s->walk.file[s->at++];
        if (s->f->unpacker && t3d_archive_is(w->path) && s->f->common->dry_run)
            s->n_archives++;
        else if (s->f->unpacker && t3d_archive_is(w->path))
            r = t3di_local_archive_open(s, w, item, err); /* each member has its shard */
        else if (t3d_fetch_in_shard(s->f, w->below))
            r = next_file(s, w, item, err);
    }
    return r;
}

static int uid_from_name(struct t3di_local_job *j)
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
static int describe(struct t3di_local *s, struct t3di_local_job *j, const char **uid, int *changed,
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
static int emit_unchanged(struct t3di_local *s, struct t3di_local_job *j, struct t3d_err *err)
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
static int choose_uid(struct t3di_local *s, struct t3di_local_job *j, const char *uid,
                      struct t3d_err *err)
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
    struct t3di_local *s = ctx;
    struct t3di_local_job *j = item;
    const char *uid;
    int changed, r;

    t3di_local_archive_leave(
        s, j, j->base.unchanged || (!j->base.fatal && j->base.item.code == T3D_STATE_OK));
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

static void drop(void *ctx, void *item)
{
    t3di_local_archive_leave(ctx, item, 0);
    t3d_fetch_drop(ctx, item);
}

/* --dry-run: what is known by its stamp against what would be read. */
static int preview(struct t3di_local *s, struct t3d_err *err)
{
    uint64_t known = 0, total = 0, bytes = 0;
    void *item;
    int r;

    while ((r = next(s, &item, err)) == T3D_OK) {
        struct t3di_local_job *j = item;
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
    if (s->n_archives)
        t3d_info("dry run: what is in %llu archives is not counted",
                 (unsigned long long)s->n_archives);
    return T3D_EXIT_OK;
}

/* A .gz or the like that is no tar is a file of another kind. */
static void drop_other(struct t3di_local *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->walk.n; i++) {
        const struct t3d_walk_file *w = &s->walk.file[i];

        if (w->named || w->error || t3d_archive_is(w->path) ||
            t3d_ending_in(w->path, T3D_FETCH_FORMATS))
            s->walk.file[n++] = *w;
        else
            s->walk.other++;
    }
    s->walk.n = n;
}

static int has_archives(const struct t3di_local *s)
{
    for (size_t i = 0; i < s->walk.n && s->f->unpacker; i++)
        if (t3d_archive_is(s->walk.file[i].path))
            return 1;
    return 0;
}

static int run(struct t3di_local *s, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
    int r, x;

    if (s->f->common->dry_run)
        return preview(s, err);
    s->f->n = has_archives(s) ? 0 : s->walk.n;
    r = t3d_fetch_run(s->f, &ops, s, 0, err);
    x = t3di_local_archive_end(s, r >= 0, err);
    if (r < 0 || x < 0)
        return r < 0 ? r : x;
    if (s->n_archives)
        t3d_info("%llu archives; passed over in them: %llu files of other kinds, %llu hidden names",
                 (unsigned long long)s->n_archives, (unsigned long long)s->other,
                 (unsigned long long)s->hidden);
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
    struct t3di_local s = {.f = f, .conf = local};
    int r = T3D_OK;

    if (local->captions)
        r = t3d_captions_open(&s.captions, local->captions, err);
    if (r == T3D_OK)
        r = t3d_walk(&s.walk, &s.arena, local->paths->item, local->paths->n,
                     f->unpacker ? T3D_FETCH_FORMATS " " T3D_ARCHIVE_ENDINGS : T3D_FETCH_FORMATS,
                     err);
    if (r == T3D_OK)
        drop_other(&s);
    if (r == T3D_OK)
        r = t3d_fetch_open(f, err);
    if (r == T3D_OK)
        r = run(&s, err);
    t3d_captions_close(s.captions);
    t3d_arena_free(&s.arena);
    return r;
}
