/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-fetch: put 3D objects into a workspace, from folders or from the built-in world. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/walk.h"
#include "geom/import.h"
#include "geom/names.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "store/captions.h"
#include "store/content.h"
#include "store/gather.h"
#include "store/intake.h"
#include "store/stamp.h"

#define FORMATS "glb gltf obj ply stl off"

enum { MAX_WARNINGS = 10 }; /* the rest is in the manifest and in --rejects */

struct conf {
    struct t3d_common common;
    const char *captions, *license, *dataset, *uid_from; /* local */
    uint64_t count;                                      /* primitives */
    const char *world;
};

static const struct t3d_opt local_opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "captions, licences and ids: csv, json or ndjson, matched by uid, path or sha256"},
    {0, "license", T3D_OPT_STRING, offsetof(struct conf, license), "L", NULL, NULL,
     "licence of objects to which --captions gives none (SPDX identifier)"},
    {0, "dataset", T3D_OPT_STRING, offsetof(struct conf, dataset), "NAME", NULL, NULL,
     "name of the data set in the manifest; else that of --captions, else local"},
    {0, "uid-from", T3D_OPT_STRING, offsetof(struct conf, uid_from), "WHAT", "content",
     "content name",
     "uid of an object: from its content, or the file's name without ending, as in Objaverse"},
    {0}};

static const struct t3d_opt primitives_opts[] = {
    {'n', "count", T3D_OPT_U64, offsetof(struct conf, count), "N", "200", NULL,
     "number of objects"},
    {0, "world", T3D_OPT_STRING, offsetof(struct conf, world), "NAME", "full", "core full",
     "core: 6 colours x 5 shapes, alone or A on B; full: more shapes, colours, relations, "
     "textures"},
    {0}};

/* What both commands share. */
struct fetch {
    const struct conf *conf;
    struct t3d_manifest *m;
    struct t3d_intake *intake;
    struct t3d_progress *progress;
    struct t3d_arena arena;
    uint64_t at, n;
    struct t3d_walk walk; /* local */
    struct t3d_captions *captions;
    const char *prefix, *real; /* a prefix of file names and its absolute path */
    uint64_t missing_parts, warned;
};

/* One object under way; the intake frees it. */
struct job {
    struct t3d_intake_item item;
    struct fetch *f;
    uint64_t index;
    const struct t3d_walk_file *file;
    int64_t known;          /* number of the object that the file was, or -1 */
    const char *stamp;      /* of then */
    int unchanged, foreign; /* foreign: of another --shard */
    int fatal;              /* grade that ends the run, message in item.err */
    struct t3d_gather files;
};

static struct t3d_importer *importer;

static int before(int threads, struct t3d_err *err)
{
    return t3d_importer_open(&importer, threads, NULL, err);
}

static const char *workspace(const struct fetch *f)
{
    return f->conf->common.workspace;
}

static void drop(void *ctx, void *item)
{
    struct job *j = item;

    (void)ctx;
    t3d_intake_item_free(&j->item);
}

static struct job *new_job(struct fetch *f, uint64_t index)
{
    struct job *j = calloc(1, sizeof *j);

    if (j) {
        j->f = f;
        j->index = index;
        j->known = -1;
        j->item.code = T3D_STATE_FAIL;
        j->item.err.value = NAN;
    }
    return j;
}

/* Grades other than T3D_SKIP concern more than this object. */
static void set_failure(struct job *j, int r)
{
    j->item.code = T3D_STATE_FAIL;
    j->item.stamp = "";
    if (r != T3D_SKIP)
        j->fatal = r;
}

static int recall(struct job *j, struct t3d_err *err)
{
    int r = t3d_seen_find(j->f->m, j->item.file, &j->known, &j->stamp, &j->item.arena, err);

    if (r == T3D_END || j->f->conf->common.redo)
        j->stamp = "";
    return r < 0 ? r : T3D_OK;
}

static int hand_over(struct fetch *f, struct job *j, struct t3d_err *err)
{
    int grade = j->item.code == T3D_STATE_OK ? 0 : 2;

    if (grade && f->warned++ < MAX_WARNINGS)
        t3d_warn("%s", j->item.err.msg);
    t3d_progress_add(f->progress, grade);
    return t3d_intake_add(f->intake, &j->item, err);
}

static int skip(struct fetch *f, struct job *j)
{
    t3d_intake_skip(f->intake);
    t3d_progress_add(f->progress, 0);
    drop(f, j);
    return T3D_OK;
}

/* --- t3d fetch local: one file
 * -------------------------------------------------------------------- */

/* The names of other files, each copied into the content store as it is found. The stored copy of
 * the main file is parsed, which nobody changes. */
static int read_names(struct job *j, int thread, struct t3d_err *err)
{
    const struct t3d_object *o = &j->item.object;
    char *stored = t3d_content_path(&j->item.arena, workspace(j->f), o->file_sha256, o->ending);
    struct t3d_imported in;
    struct t3d_blob b;
    int may, r;

    if (!stored)
        return t3d_err_nomem(err, j->file->path);
    r = t3d_blob_open(&b, stored, 0, err);
    if (r < 0)
        return r;
    may = t3d_may_name_files(b.data, b.size, o->ending);
    t3d_blob_close(&b);
    if (!may)
        return T3D_OK;
    r = t3d_import(importer, thread, stored, t3d_gather_resolve, &j->files, T3D_READ_NAMES, &in,
                   err);
    if (r == T3D_OK)
        t3d_imported_close(&in);
    /* Whatever is wrong with a file of one piece is for filter to say. */
    if (r == T3D_SKIP && strcmp(o->ending, "gltf") != 0) {
        t3d_gather_forget(&j->files);
        r = T3D_OK;
    }
    return t3d_gather_check(&j->files, err) < 0 ? err->code : r;
}

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
    else if (!t3d_ending_in(path, FORMATS))
        t3d_err_set(err, T3D_SKIP, "unknown-format",
                    "'%s' has no ending of a 3D file: fetch takes " FORMATS, path);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return T3D_SKIP;
}

static int read_object(struct job *j, int thread, int fd, const struct stat *st,
                       struct t3d_err *err)
{
    struct t3d_object *o = &j->item.object;
    int r = t3d_gather_main(&j->files, fd, st, j->file->path, o, err);

    if (r == T3D_OK)
        r = read_names(j, thread, err);
    return r < 0 ? r : t3d_gather_end(&j->files, o, &j->item.stamp, err);
}

static void work_local(void *ctx, int thread, void *item)
{
    struct job *j = item;
    struct t3d_object *o = &j->item.object;
    const char *path = j->file->path;
    const char *folder = t3d_strndup(&j->item.arena, path, (size_t)(t3d_path_base(path) - path));
    struct stat st;
    int fd, r;

    (void)ctx;
    folder = folder && *folder ? folder : ".";
    if (t3d_stamp_holds(j->stamp, workspace(j->f), path, folder)) {
        j->unchanged = 1;
        return;
    }
    fd = open_file(j, &st, &j->item.err);
    if (fd < 0) {
        set_failure(j, fd);
        if (strcmp(j->item.err.reason, "missing-file") == 0)
            j->item.code = T3D_STATE_MISSING;
        return;
    }
    t3d_gather_begin(&j->files, workspace(j->f), folder, t3d_import_resolve_folder, &j->item.arena);
    r = read_object(j, thread, fd, &st, &j->item.err);
    t3d_gather_fini(&j->files);
    close(fd);
    j->item.code = T3D_STATE_OK;
    if (r < 0) {
        snprintf(o->uid, sizeof o->uid, "%.32s", o->file_sha256);
        o->content[0] = 0;
        if (r == T3D_SKIP && !strstr(j->item.err.msg, path))
            t3d_err_prefix(&j->item.err, "'%s'", path);
        set_failure(j, r);
    }
}

/* --- t3d fetch local: the list
 * ------------------------------------------------------------------------ */

/* Absolute, with links in the caller's part resolved; what is below stays as it was found. */
static const char *absolute(struct fetch *f, const struct t3d_walk_file *w, struct t3d_arena *a)
{
    size_t n = (size_t)(w->below - w->path);
    char *real;

    if (!f->prefix || strlen(f->prefix) != n || memcmp(f->prefix, w->path, n) != 0) {
        f->prefix = t3d_strndup(&f->arena, w->path, n);
        if (!f->prefix)
            return NULL;
        real = realpath(n ? f->prefix : ".", NULL);
        f->real = t3d_strdup(&f->arena, real ? real : n ? f->prefix : ".");
        free(real);
        if (!f->real)
            return NULL;
    }
    return *w->below ? t3d_path_join(a, f->real, w->below) : t3d_strdup(a, f->real);
}

static int in_shard(const struct t3d_common *c, const char *name)
{
    return c->shard_count <= 1 || t3d_hash64(name) % c->shard_count == c->shard_index;
}

static int next_local(void *ctx, void **item, struct t3d_err *err)
{
    struct fetch *f = ctx;
    const struct t3d_walk_file *w;
    struct job *j;
    int r = T3D_OK;

    while (f->at < f->n && !in_shard(&f->conf->common, f->walk.file[f->at].below))
        f->at++;
    if (f->at == f->n || t3d_stop_requested())
        return T3D_END;
    w = &f->walk.file[f->at];
    j = new_job(f, f->at++);
    if (!j)
        return t3d_err_nomem(err, w->path);
    j->file = w;
    j->stamp = "";
    j->item.file = absolute(f, w, &j->item.arena);
    j->item.object.path = *w->below ? w->below : w->path;
    if (!j->item.file)
        r = t3d_err_nomem(err, w->path);
    else if (f->m)
        r = recall(j, err);
    if (r < 0)
        drop(f, j);
    *item = j;
    return r;
}

static int uid_from_name(struct job *j)
{
    const char *base = t3d_path_base(j->file->path), *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    char *name = t3d_strndup(&j->item.arena, base, n);

    if (!name || !t3d_uid_valid(name))
        return t3d_err_set(&j->item.err, T3D_SKIP, "bad-uid",
                           "'%s': --uid-from name needs a name of 1 to 128 of A-Z a-z 0-9 . _ -",
                           j->file->path);
    snprintf(j->item.object.uid, sizeof j->item.object.uid, "%s", name);
    j->item.given_uid = 1;
    return T3D_OK;
}

/* What the list of captions and the options say about the object. */
static int describe(struct fetch *f, struct job *j, const char **uid, int *changed,
                    struct t3d_err *err)
{
    struct t3d_object *o = &j->item.object;
    char key[T3D_UID_SIZE];
    struct t3d_caption_query q = {
        .below = j->file->below, .absolute = j->item.file, .sha256 = o->file_sha256, .uid = key};
    int r;

    snprintf(key, sizeof key, "%s", o->uid);
    if (!key[0])
        t3d_object_key(o, key);
    r = t3d_captions_describe(f->captions, &q, o, uid, changed, &j->item.arena, err);
    if (r < 0)
        return r;
    if (f->conf->dataset || !o->source)
        o->source = f->conf->dataset ? f->conf->dataset : "local";
    if (!o->license && f->conf->license) {
        o->license = f->conf->license;
        j->item.weak_license = *changed = 1;
    }
    return T3D_OK;
}

/* The file is as it was: only what the list says about it may be new. */
static int emit_unchanged(struct fetch *f, struct job *j, struct t3d_err *err)
{
    const char *path = j->item.object.path, *uid;
    int changed = 0, r = T3D_OK;

    if (f->captions || f->conf->license)
        r = t3d_seen_object(f->m, j->known, &j->item.object, &j->item.arena, err);
    if (r == T3D_OK && j->item.object.content[0])
        r = describe(f, j, &uid, &changed, err);
    if (r < 0) {
        drop(f, j);
        return r;
    }
    if (!changed)
        return skip(f, j);
    j->item.object.path = path;
    j->item.given_uid = 1; /* it keeps the one it has */
    j->item.code = T3D_STATE_OK;
    j->item.stamp = j->stamp;
    return hand_over(f, j, err);
}

/* The uid of a file that was here before with this content stays; else the list may give one. */
static int choose_uid(struct fetch *f, struct job *j, const char *uid, struct t3d_err *err)
{
    struct t3d_object *o = &j->item.object, old;
    int r = j->known >= 0 ? t3d_seen_object(f->m, j->known, &old, &j->item.arena, err) : T3D_END;

    if (r < 0)
        return r;
    if (r == T3D_OK && strcmp(old.content, o->content) == 0)
        uid = t3d_strdup(&j->item.arena, old.uid);
    if (uid) {
        snprintf(o->uid, sizeof o->uid, "%s", uid);
        j->item.given_uid = 1;
    } else if (strcmp(f->conf->uid_from, "name") == 0 && uid_from_name(j) < 0) {
        set_failure(j, T3D_SKIP);
        o->content[0] = 0;
    }
    return T3D_OK;
}

static int emit_local(void *ctx, void *item, struct t3d_err *err)
{
    struct fetch *f = ctx;
    struct job *j = item;
    const char *uid;
    int changed, r = j->fatal;

    if (j->unchanged)
        return emit_unchanged(f, j, err);
    if (r)
        *err = j->item.err;
    else
        r = describe(f, j, &uid, &changed, err);
    if (r == T3D_OK && j->item.code == T3D_STATE_OK)
        r = choose_uid(f, j, uid, err);
    if (r < 0) {
        drop(f, j);
        return r;
    }
    f->missing_parts += j->files.missing;
    return hand_over(f, j, err);
}

static const struct t3d_pipe_ops local_ops = {
    .next = next_local, .work = work_local, .emit = emit_local, .drop = drop};

/* --- t3d fetch primitives
 * -------------------------------------------------------------------------------- */

static int next_primitive(void *ctx, void **item, struct t3d_err *err)
{
    struct fetch *f = ctx;
    struct job *j;
    int r = T3D_OK;

    if (f->at == f->n || t3d_stop_requested())
        return T3D_END;
    j = new_job(f, f->at++);
    if (!j)
        return t3d_err_nomem(err, "an object");
    j->stamp = "";
    /* No path begins so: it is remembered as a file is. */
    j->item.file =
        t3d_sprintf(&j->item.arena, "primitives " T3D_VERSION " %s %llu %llu", f->conf->world,
                    (unsigned long long)f->conf->common.seed, (unsigned long long)j->index);
    if (!j->item.file)
        r = t3d_err_nomem(err, "an object");
    else if (f->m)
        r = recall(j, err);
    if (r < 0)
        drop(f, j);
    *item = j;
    return r;
}

static void work_primitive(void *ctx, int thread, void *item)
{
    const struct fetch *f = ctx;
    struct job *j = item;
    struct t3d_object *o = &j->item.object;
    struct t3d_primitive_object p;
    enum t3d_world world = strcmp(f->conf->world, "core") == 0 ? T3D_WORLD_CORE : T3D_WORLD_FULL;
    int r;

    (void)thread;
    if (t3d_stamp_is_stored(j->stamp, workspace(f), "glb")) {
        j->unchanged = 1;
        return;
    }
    r = t3d_primitives_object(&p, world, f->conf->common.seed, j->index, &j->item.arena,
                              &j->item.err);
    if (r == T3D_OK && !in_shard(&f->conf->common, p.uid)) {
        j->unchanged = j->foreign = 1;
        return;
    }
    if (r == T3D_OK)
        r = t3d_content_add(workspace(f), p.glb, p.glb_size, "glb", o->content, &j->item.err);
    if (r < 0) {
        set_failure(j, r);
        return;
    }
    snprintf(o->uid, sizeof o->uid, "%s", p.uid);
    snprintf(o->ending, sizeof o->ending, "glb");
    memcpy(o->file_sha256, o->content, sizeof o->content);
    o->bytes = p.glb_size;
    o->source = "primitives";
    o->path = t3d_sprintf(&j->item.arena, "%s.glb", p.uid);
    o->license = "CC0-1.0";
    o->group = t3d_strdup(&j->item.arena, p.group);
    o->split = p.split;
    o->split_given = 1;
    o->caption = p.caption;
    o->n_captions = p.n_captions;
    j->item.stamp = t3d_sprintf(&j->item.arena, "%s\n", o->content);
    j->item.given_uid = j->item.replace = 1;
    j->item.code = T3D_STATE_OK;
    if (!o->path || !o->group || !j->item.stamp)
        set_failure(j, t3d_err_nomem(&j->item.err, p.uid));
}

static int emit_primitive(void *ctx, void *item, struct t3d_err *err)
{
    struct fetch *f = ctx;
    struct job *j = item;

    if (j->fatal) {
        int r = j->fatal;
        *err = j->item.err;
        drop(f, j);
        return r;
    }
    if (j->foreign) {
        drop(f, j);
        return T3D_OK;
    }
    return j->unchanged ? skip(f, j) : hand_over(f, j, err);
}

static const struct t3d_pipe_ops primitive_ops = {
    .next = next_primitive, .work = work_primitive, .emit = emit_primitive, .drop = drop};

/* --- the run
 * --------------------------------------------------------------------------------------------- */

static void report(const struct fetch *f, const struct t3d_intake_count *n)
{
    struct t3d_caption_counts c;

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
    if (f->walk.hidden || f->walk.other || f->walk.repeated)
        t3d_info(
            "passed over: %llu files of other kinds, %llu hidden names, %llu folders or links that "
            "lead back or nowhere",
            (unsigned long long)f->walk.other, (unsigned long long)f->walk.hidden,
            (unsigned long long)f->walk.repeated);
    if (f->missing_parts)
        t3d_warn("%llu files that objects name are not there",
                 (unsigned long long)f->missing_parts);
    if (!f->captions)
        return;
    t3d_captions_count(f->captions, &c);
    t3d_info("captions: %llu rows, %llu matched, %llu unmatched", (unsigned long long)c.rows,
             (unsigned long long)c.matched, (unsigned long long)(c.rows - c.matched));
    if (c.bad)
        t3d_warn("captions: %llu rows cannot be used; the first: %s", (unsigned long long)c.bad,
                 c.first_bad.msg);
}

static int run_pipe(struct fetch *f, const struct t3d_pipe_ops *ops, struct t3d_err *err)
{
    const struct t3d_common *c = &f->conf->common;
    struct t3d_intake_count n = {0};
    struct t3d_err late;
    int r = t3d_run_begin(f->m, "fetch", err), x;

    if (r == T3D_OK)
        r = t3d_intake_open(&f->intake, f->m, c->rejects, err);
    if (r < 0)
        return r;
    f->progress = t3d_progress_new(c->progress, "fetch", "objects", f->n);
    r = t3d_pipe_run(ops, f, (int)c->threads, 0, err);
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

static int finish(struct fetch *f, int r)
{
    t3d_captions_close(f->captions);
    t3d_manifest_close(f->m);
    t3d_arena_free(&f->arena);
    t3d_importer_close(importer);
    importer = NULL;
    return r;
}

/* Without a manifest everything is new. */
static int open_manifest(struct fetch *f, struct t3d_err *err)
{
    const struct t3d_common *c = &f->conf->common;
    int r = t3d_manifest_open(&f->m, workspace(f),
                              c->dry_run ? T3D_MANIFEST_READONLY : T3D_MANIFEST_CREATE, err);

    return c->dry_run && r < 0 && strcmp(err->reason, "no-manifest") == 0 ? T3D_OK : r;
}

/* --dry-run: what is known by its stamp against what would be read. */
static int preview(struct fetch *f, const struct t3d_pipe_ops *ops, struct t3d_err *err)
{
    uint64_t known = 0, total = 0, bytes = 0;
    void *item;
    int r;

    while ((r = ops->next(f, &item, err)) == T3D_OK) {
        struct job *j = item;
        const char *path = j->file ? j->file->path : "";
        struct stat st;
        char *folder = t3d_strndup(&j->item.arena, path, (size_t)(t3d_path_base(path) - path));

        total++;
        if (j->file
                ? t3d_stamp_holds(j->stamp, workspace(f), path, folder && *folder ? folder : ".")
                : t3d_stamp_is_stored(j->stamp, workspace(f), "glb"))
            known++;
        else if (j->file && stat(path, &st) == 0)
            bytes += (uint64_t)st.st_size;
        drop(f, j);
    }
    if (r < 0)
        return r;
    t3d_info("dry run: %llu objects, %llu unchanged, %llu to fetch (%.1f MB without parts)",
             (unsigned long long)total, (unsigned long long)known,
             (unsigned long long)(total - known), (double)bytes / 1e6);
    return T3D_EXIT_OK;
}

static int run_local(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct fetch f = {.conf = c};
    int r = T3D_OK;

    if (c->captions)
        r = t3d_captions_open(&f.captions, c->captions, err);
    if (r == T3D_OK)
        r = t3d_walk(&f.walk, &f.arena, c->common.operands.item, c->common.operands.n, FORMATS,
                     err);
    f.n = f.walk.n;
    if (r == T3D_OK)
        r = open_manifest(&f, err);
    if (r == T3D_OK)
        r = c->common.dry_run ? preview(&f, &local_ops, err) : run_pipe(&f, &local_ops, err);
    return finish(&f, r);
}

static int run_primitives(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct fetch f = {.conf = c, .n = c->count};
    int r = open_manifest(&f, err);

    if (r == T3D_OK)
        r = c->common.dry_run ? preview(&f, &primitive_ops, err)
                              : run_pipe(&f, &primitive_ops, err);
    return finish(&f, r);
}

static const struct t3d_command local = {.name = "local",
                                         .operands = "PATH...",
                                         .summary = "take 3D files from files and folders",
                                         .opts = local_opts,
                                         .conf_size = sizeof(struct conf),
                                         .run = run_local};

static const struct t3d_command primitives = {.name = "primitives",
                                              .summary =
                                                  "make captioned objects of the built-in world",
                                              .opts = primitives_opts,
                                              .conf_size = sizeof(struct conf),
                                              .run = run_primitives};

static const struct t3d_command *const commands[] = {&local, &primitives, NULL};

static const struct t3d_tool tool = {
    .name = "fetch",
    .summary = "put 3D objects into a workspace",
    .about = "Objects are copied into the workspace's content store and entered in its manifest, "
             "numbered in the "
             "bytewise order of their paths. A second run looks only at what has changed; an "
             "interrupted one "
             "goes on where it ended.\n\n"
             "local takes .glb, .gltf, .obj, .ply, .stl and .off. Below folders other files and "
             "hidden names are "
             "passed over and counted. The .bin, .mtl and pictures that a file names are copied "
             "with it; they "
             "have to lie in its folder or below. A missing picture is a measure of filter, a "
             "missing .bin makes "
             "the object fail with missing-file. Of a .gltf fetch reads the JSON, since the names "
             "are there, and "
             "a broken one fails here; whatever else is wrong with a file is for filter to say.\n\n"
             "The uid of an object is the one that --captions gives to its path or sha256, else "
             "the first 32 "
             "hexadecimal digits of its content hash. The same content at a second path is one "
             "object with two "
             "sources; a second given uid for it is rejected as duplicate-of UID. A changed file "
             "is a new object, "
             "and the old one is marked modified.\n\n"
             "primitives makes objects from the seed: the same world, seed and index give the same "
             "file.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
