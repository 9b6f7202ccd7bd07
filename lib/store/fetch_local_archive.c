/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of `t3d fetch local`: one at a time is unpacked in the calling thread (by its child,
 * while the workers have members of the one before), then each member that is a 3D file is a job
 * like a file. An archive whose members all went well is remembered with their contents, so that a
 * second run need not unpack it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/tool.h"
#include "store/fetch_local_impl.h"

enum {
    REMEMBERED = 4096, /* objects of an archive whose contents are kept in its stamp */
    FRESH_S = 2        /* store/stamp.h: a file changed so lately may change unseen */
};

struct t3di_local_archive {
    struct t3di_local_archive *next;
    const struct t3d_walk_file *file;
    const char *path; /* absolute */
    struct t3d_archive *a;
    char stamp[128]; /* of the archive's file; "" = do not rely on it */
    size_t at, refused_at;
    size_t jobs; /* under way */
    size_t ok, failed;
    int64_t known; /* the object that the archive was when it could not be read, or -1 */
    FILE *contents;
    char *text;
    size_t text_size;
};

/* --- stamps
 * --------------------------------------------------------------------------------------- */

static long long nanoseconds(struct timespec t)
{
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void make_stamp(const struct t3di_local *s, const struct stat *st, char stamp[128])
{
    const struct t3d_common *c = s->f->common;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    stamp[0] = 0;
    if (T3D_MAX(nanoseconds(st->st_mtim), nanoseconds(st->st_ctim)) + FRESH_S * 1000000000LL <
        nanoseconds(now))
        snprintf(stamp, 128, "archive %lld %lld %lld %llu/%llu", (long long)st->st_size,
                 nanoseconds(st->st_mtim), nanoseconds(st->st_ctim),
                 (unsigned long long)c->shard_index, (unsigned long long)c->shard_count);
}

/* "<content> <ending> <sha256 of the main file>": all of it is in the store. */
static int is_stored(const char *line, const char *workspace)
{
    char content[65], ending[16], file[65], *path;
    struct t3d_arena a = {0};
    struct stat st;
    int r;

    if (sscanf(line, "%64[0-9a-f] %15[a-z0-9] %64[0-9a-f]", content, ending, file) != 3)
        return 0;
    path = t3d_content_path(&a, workspace, file, ending);
    r = path && stat(path, &st) == 0;
    if (r && strcmp(content, file) != 0) {
        path = t3d_content_path(&a, workspace, content, "parts");
        r = path && stat(path, &st) == 0;
    }
    t3d_arena_free(&a);
    return r;
}

/* Objects of an archive that is as it was, or -1. */
static long count_known(const struct t3di_local *s, const char *stamp, const char *old)
{
    size_t n = strlen(stamp);
    long objects = 0;

    if (!n || strncmp(stamp, old, n) != 0 || old[n] != '\n')
        return -1;
    for (const char *line = old + n + 1; *line; objects++) {
        if (!is_stored(line, s->f->common->workspace))
            return -1;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return objects;
}

int t3di_local_member_holds(const struct t3di_local *s, const struct t3di_local_job *j)
{
    const char *stamp = j->archive->stamp, *old = j->base.stamp;
    size_t n = strlen(stamp);

    return n && strncmp(stamp, old, n) == 0 && old[n] == '\n' &&
           is_stored(old + n + 1, s->f->common->workspace);
}

/* --- jobs
 * ----------------------------------------------------------------------------------------- */

/* A job for a made-up file: the archive's path, and `name` below it. */
static struct t3di_local_job *job_for(struct t3di_local *s, struct t3di_local_archive *o,
                                      const char *name, struct t3d_err *err)
{
    struct t3di_local_job *j = t3d_fetch_job_new(sizeof *j);
    struct t3d_arena *a = j ? &j->base.item.arena : NULL;
    struct t3d_walk_file *w = j ? t3d_alloc(a, 1, sizeof *w) : NULL;
    const char *slash = *name ? "/" : "";
    char *path = NULL;
    int r;

    if (w)
        path = t3d_sprintf(a, "%s%s%s", o->file->path, slash, name);
    if (path) {
        w->path = path;
        w->below = path + (o->file->below - o->file->path);
        w->named = o->file->named;
        j->file = w;
        j->archive = o;
        j->folder = ".";
        j->base.item.file = t3d_sprintf(a, "%s%s%s", o->path, slash, name);
        j->base.item.object.path = *w->below ? w->below : w->path;
    }
    if (!path || !j->base.item.file) {
        t3d_err_nomem(err, "an archive's member");
        r = T3D_FAIL;
    } else {
        r = t3d_fetch_recall(s->f, &j->base, err);
    }
    if (r < 0) {
        if (j)
            t3d_fetch_drop(s, j);
        return NULL;
    }
    o->jobs++;
    return j;
}

static struct t3di_local_job *refusal(struct t3di_local *s, struct t3di_local_archive *o,
                                      const char *name, const struct t3d_err *why,
                                      struct t3d_err *err)
{
    struct t3di_local_job *j = job_for(s, o, name, err);

    if (j)
        j->base.item.err = *why;
    return j;
}

static int next_member(struct t3di_local *s, struct t3di_local_archive *o, void **item,
                       struct t3d_err *err)
{
    while (o->at < o->a->n) {
        const struct t3d_archive_member *m = &o->a->member[o->at++];
        struct t3di_local_job *j;

        if (!t3d_ending_in(m->name, T3D_FETCH_FORMATS))
            continue;
        j = job_for(s, o, m->name, err);
        if (!j)
            return err->code;
        if (!t3d_fetch_in_shard(s->f, j->file->below)) {
            o->jobs--;
            t3d_fetch_drop(s, j);
            continue;
        }
        j->place = (struct t3d_archive_place){o->a, m};
        *item = j;
        return T3D_OK;
    }
    return T3D_END;
}

/* Members that were refused: those that would be objects count as such. */
static int next_refused(struct t3di_local *s, struct t3di_local_archive *o, void **item,
                        struct t3d_err *err)
{
    while (o->refused_at < o->a->n_refused) {
        const struct t3d_archive_refused *m = &o->a->refused[o->refused_at++];
        struct t3d_err why = m->err;
        struct t3di_local_job *j;

        if (!t3d_ending_in(m->name, T3D_FETCH_FORMATS))
            continue;
        t3d_err_prefix(&why, "'%.200s' in archive '%.100s'", m->name, o->file->path);
        j = refusal(s, o, m->name, &why, err);
        if (!j)
            return err->code;
        if (!t3d_fetch_in_shard(s->f, j->file->below)) {
            o->jobs--;
            t3d_fetch_drop(s, j);
            continue;
        }
        *item = j;
        return T3D_OK;
    }
    return T3D_END;
}

int t3di_local_archive_next(struct t3di_local *s, void **item, struct t3d_err *err)
{
    struct t3di_local_archive *o = s->open;
    int r = next_member(s, o, item, err);

    if (r == T3D_END)
        r = next_refused(s, o, item, err);
    if (r == T3D_END) {
        s->open = NULL;
        o->next = s->done;
        s->done = o;
        if (!o->jobs) {
            t3d_archive_close(o->a);
            o->a = NULL;
        }
    }
    return r;
}

/* --- one archive
 * ---------------------------------------------------------------------------------- */

static void archive_free(struct t3di_local_archive *o)
{
    t3d_archive_close(o->a);
    if (o->contents)
        fclose(o->contents);
    free(o->text);
    free(o);
}

static int open_file(const struct t3d_walk_file *w, struct stat *st, struct t3d_err *err)
{
    int fd = w->error ? -1 : open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int e = w->error ? w->error : errno;

    if (fd < 0)
        return t3d_err_set(err, T3D_SKIP, e == ENOENT ? "missing-file" : "unreadable-file",
                           "cannot open '%s': %s", w->path, strerror(e)),
               -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    close(fd);
    t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", w->path);
    return -1;
}

static void tell(struct t3di_local *s, const struct t3di_local_archive *o)
{
    const struct t3d_archive *a = o->a;
    size_t parts = 0, first = 0;

    s->hidden += a->hidden;
    s->other += a->other;
    s->n_archives++;
    for (size_t i = a->n_refused; i-- > 0;)
        if (!t3d_ending_in(a->refused[i].name, T3D_FETCH_FORMATS)) {
            parts++;
            first = i;
        }
    if (parts)
        t3d_warn("archive '%s': %zu members that are no objects were refused; the first: '%s': %s",
                 o->file->path, parts, a->refused[first].name, a->refused[first].err.msg);
}

/* Is there anything to do? */
static int recall(struct t3di_local *s, struct t3di_local_archive *o, struct t3d_err *err)
{
    int ask = !s->f->common->redo && !s->captions && !s->conf->license && s->f->m;
    const char *old = "";
    struct t3d_arena a = {0};
    int64_t num = -1;
    long n = -1;
    int r = s->f->m ? t3d_seen_find(s->f->m, o->path, &num, &old, &a, err) : T3D_END;

    if (r == T3D_OK) {
        o->known = num;
        n = ask ? count_known(s, o->stamp, old) : -1;
    }
    t3d_arena_free(&a);
    for (long i = 0; i < n && s->f->intake; i++)
        t3d_intake_skip(s->f->intake);
    return r < 0 ? r : n >= 0 ? T3D_END : T3D_OK;
}

static int unpack(struct t3di_local *s, struct t3di_local_archive *o, int fd, struct t3d_err *err)
{
    char *folder = t3d_sprintf(&s->arena, "%s/objects", s->f->common->workspace);
    int r;

    if (!folder)
        return t3d_err_nomem(err, o->path);
    r = t3d_archive_open(&o->a, s->f->unpacker, 0, fd, o->file->path, folder, err);
    if (r == T3D_OK) {
        o->contents = open_memstream(&o->text, &o->text_size);
        if (!o->contents)
            r = t3d_err_nomem(err, o->path);
    }
    return r;
}

int t3di_local_archive_open(struct t3di_local *s, const struct t3d_walk_file *w, void **item,
                            struct t3d_err *err)
{
    struct t3di_local_archive *o = calloc(1, sizeof *o);
    struct t3d_err why = {0};
    struct stat st;
    int fd, r;

    *item = NULL;
    if (!o)
        return t3d_err_nomem(err, w->path);
    o->file = w;
    o->known = -1;
    o->path = t3di_local_absolute(s, w, &s->arena);
    if (!o->path) {
        free(o);
        return t3d_err_nomem(err, w->path);
    }
    fd = open_file(w, &st, &why);
    if (fd >= 0)
        make_stamp(s, &st, o->stamp);
    r = fd >= 0 ? recall(s, o, err) : T3D_OK;
    if (r == T3D_OK)
        r = fd >= 0 ? unpack(s, o, fd, &why) : T3D_SKIP;
    if (fd >= 0)
        close(fd);
    if (r == T3D_SKIP) {
        o->next = s->done;
        s->done = o;
        if (t3d_fetch_in_shard(s->f, w->below))
            *item = refusal(s, o, "", &why, err);
        return *item || t3d_fetch_in_shard(s->f, w->below) == 0 ? T3D_OK : err->code;
    }
    if (r != T3D_OK) { /* T3D_END: nothing to do, or no more is wanted */
        archive_free(o);
        if (r != T3D_END && why.code)
            *err = why;
        return r == T3D_END ? T3D_OK : r;
    }
    tell(s, o);
    s->open = o;
    return T3D_OK;
}

/* --- a member in a worker
 * ------------------------------------------------------------------------- */

int t3di_local_member(const struct t3di_local *s, struct t3di_local_job *j, int thread,
                      struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object;
    struct stat st;
    int fd = t3d_archive_member(j->place.archive, j->place.member, err), r;

    if (fd < 0)
        return err->code;
    t3d_gather_begin(&j->base.files, s->f->common->workspace, &j->place, t3d_archive_resolve,
                     &in->arena);
    r = fstat(fd, &st) < 0 ? t3d_err_sys(err, "cannot look at", j->file->path)
                           : t3di_local_read(s->f, j, thread, fd, &st, err);
    t3d_gather_fini(&j->base.files);
    close(fd);
    in->stamp = "";
    if (r == T3D_OK && j->archive->stamp[0] && !j->base.files.missing)
        in->stamp = t3d_sprintf(&in->arena, "%s\n%s %s %s\n", j->archive->stamp, o->content,
                                o->ending, o->file_sha256);
    return r == T3D_OK && !in->stamp ? t3d_err_nomem(err, j->file->path) : r;
}

void t3di_local_archive_leave(struct t3di_local *s, struct t3di_local_job *j, int ok)
{
    struct t3di_local_archive *o = j->archive;
    const char *line =
        ok ? strchr(j->base.unchanged ? j->base.stamp : j->base.item.stamp, '\n') : NULL;

    if (!o)
        return;
    o->jobs--;
    if (line && o->contents && o->ok < REMEMBERED) {
        fputs(line + 1, o->contents);
        o->ok++;
    } else {
        o->failed++;
    }
    if (!o->jobs && o != s->open) {
        t3d_archive_close(o->a);
        o->a = NULL;
    }
}

/* The archive can be read now: the failure that stood for it is history. */
static int forget_failure(struct t3di_local *s, const struct t3di_local_archive *o,
                          struct t3d_err *err)
{
    struct t3d_state st = {.code = T3D_STATE_MODIFIED, .reason = "modified", .value = NAN};

    if (o->known < 0)
        return T3D_OK;
    snprintf(st.message, sizeof st.message, "the archive can be read now");
    return t3d_manifest_put_state(s->f->m, "fetch", o->known, &st, err);
}

static int remember(struct t3di_local *s, struct t3di_local_archive *o, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    const char *stamp = "";
    int r = forget_failure(s, o, err);

    if (o->stamp[0] && !o->failed && fflush(o->contents) == 0)
        stamp = t3d_sprintf(&a, "%s\n%s", o->stamp, o->text);
    if (r == T3D_OK)
        r = stamp ? t3d_seen_early(s->f->m, o->path, stamp, err) : t3d_err_nomem(err, o->path);
    t3d_arena_free(&a);
    return r;
}

int t3di_local_archive_end(struct t3di_local *s, int keep, struct t3d_err *err)
{
    struct t3di_local_archive *o;
    int r = T3D_OK;

    if (s->open) {
        s->open->next = s->done;
        s->done = s->open;
        s->done->failed++; /* not all of it was seen */
        s->open = NULL;
    }
    while ((o = s->done) != NULL) {
        s->done = o->next;
        if (r == T3D_OK && keep && o->contents && !o->jobs)
            r = remember(s, o, err);
        archive_free(o);
    }
    return r;
}
