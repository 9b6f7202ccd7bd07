/* SPDX-License-Identifier: Apache-2.0 */
#include "store/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/content.h"
#include "store/manifest_impl.h"
#include "store/shard.h"

enum { BATCH = 4096 };

struct merge {
    struct t3d_manifest *m;
    struct t3d_merge_count *count;
    void (*tell)(void *ctx, const struct t3d_err *why);
    void *ctx;
    struct t3d_arena arena; /* for paths */
};

/* What is left out is told; anything worse than one bad thing stops the merge. */
static int leave_out(struct merge *g, int r, const struct t3d_err *why, struct t3d_err *err)
{
    if (r == T3D_SKIP) {
        g->count->skipped++;
        if (g->tell)
            g->tell(g->ctx, why);
        return T3D_OK;
    }
    if (r < 0 && err)
        *err = *why;
    return r;
}

static int exists(const char *path)
{
    return path && access(path, F_OK) == 0;
}

static char *join(struct merge *g, const char *dir, const char *name)
{
    return t3d_sprintf(&g->arena, "%s/%s", dir, name);
}

/* Names in dir that end in `ending`, sorted bytewise, in the arena. "" = all folders. */
static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_dir(struct merge *g, const char *dir, const char *ending, char ***names, size_t *n,
                    struct t3d_err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    size_t max = 0;

    *n = 0;
    *names = NULL;
    if (!d && (errno == ENOENT || errno == ENOTDIR))
        return T3D_OK;
    if (!d)
        return t3d_err_sys(err, "cannot list", dir);
    while ((e = readdir(d))) {
        size_t len = strlen(e->d_name), k = strlen(ending);
        if (e->d_name[0] == '.' || len < k || strcmp(e->d_name + len - k, ending) != 0)
            continue;
        if (*n == max) {
            char **more = t3d_alloc(&g->arena, max ? 2 * max : 64, sizeof *more);
            if (more && *n)
                memcpy(more, *names, *n * sizeof *more);
            *names = more;
            max = max ? 2 * max : 64;
        }
        if (!*names || !((*names)[*n] = t3d_strdup(&g->arena, e->d_name))) {
            closedir(d);
            return t3d_err_nomem(err, dir);
        }
        ++*n;
    }
    closedir(d);
    if (*n)
        qsort(*names, *n, sizeof **names, compare_names);
    return T3D_OK;
}

/* --- records
 * --------------------------------------------------------------------------------------- */

static int put_record(struct merge *g, const cJSON *record, struct t3d_err *err)
{
    struct t3d_err why = {0};
    int r = t3d_manifest_put_record(g->m, record, NULL, &why);

    g->count->records++;
    g->count->objects += r == T3D_OK;
    return leave_out(g, r < 0 ? r : T3D_OK, &why, err);
}

/* Transactions of BATCH records, so that others can get at the manifest meanwhile. */
static int next_batch(struct merge *g, uint64_t i, struct t3d_err *err)
{
    int r = T3D_OK;

    if (i % BATCH)
        return T3D_OK;
    if (g->m->writing)
        r = t3d_manifest_commit(g->m, err);
    return r == T3D_OK ? t3d_manifest_begin(g->m, err) : r;
}

static int end_batches(struct merge *g, int r, struct t3d_err *err)
{
    if (!g->m->writing)
        return r;
    if (r >= 0)
        return t3d_manifest_commit(g->m, err);
    t3d_manifest_rollback(g->m);
    return r;
}

static int copy_file(struct merge *g, const char *from, const char *sha256, const char *ending,
                     struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *to = t3d_content_path(&a, g->m->workspace, sha256, ending), found[65];
    char *source = t3d_content_path(&a, from, sha256, ending);
    uint64_t size;
    int fd = -1, r = T3D_OK;

    if (!to || !source) {
        r = t3d_err_nomem(err, "a file");
    } else if (!exists(to) && (fd = open(source, O_RDONLY | O_CLOEXEC)) >= 0) {
        r = t3d_content_add_fd(g->m->workspace, fd, source, ending, found, &size, err);
        g->count->files += r == T3D_OK;
        close(fd);
    }
    t3d_arena_free(&a);
    return r;
}

static int copy_files(struct merge *g, const char *from, const struct t3d_object *o,
                      struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_part *part;
    size_t n = 0;
    int r;

    if (!o->content[0])
        return T3D_OK;
    r = copy_file(g, from, o->file_sha256, o->ending, err);
    if (r == T3D_OK)
        r = t3d_content_parts(from, o->content, &part, &n, &a, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = copy_file(g, from, part[i].sha256, part[i].ending, err);
    if (r == T3D_OK && n)
        r = copy_file(g, from, o->content, "parts", err);
    t3d_arena_free(&a);
    return r;
}

/* Files first, then the record that names them. */
static int merge_objects(struct merge *g, struct t3d_manifest *other, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_err why = {0};
    struct t3d_cursor *c;
    struct t3d_object o;
    int r = t3d_cursor_open(&c, other, 0, err);

    for (uint64_t i = 0; r == T3D_OK; i++) {
        cJSON *record = NULL;
        t3d_arena_reset(&a);
        r = t3d_cursor_next(c, &o, &a, err);
        if (r != T3D_OK)
            break;
        r = copy_files(g, other->workspace, &o, &why);
        r = leave_out(g, r, &why, err);
        if (r == T3D_OK)
            r = t3d_manifest_record(other, &o, &record, err);
        if (r == T3D_OK)
            r = next_batch(g, i, err);
        if (r == T3D_OK)
            r = put_record(g, record, err);
        cJSON_Delete(record);
    }
    r = end_batches(g, r, err);
    t3d_cursor_close(c);
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

static int merge_manifest(struct merge *g, const char *dir, struct t3d_err *err)
{
    struct t3d_manifest *other;
    int r = t3d_manifest_open(&other, dir, T3D_MANIFEST_READONLY, err);

    if (r < 0)
        return r;
    r = merge_objects(g, other, err);
    t3d_manifest_close(other);
    return r;
}

/* --- parts
 * ----------------------------------------------------------------------------------------- */

/* The .done names the hash of its .ndjson: a file that was cut on its way is seen. */
static int check_part(const char *done, const char *records, struct t3d_err *err)
{
    struct t3d_blob b;
    cJSON *json;
    char sha256[65];
    int r = t3d_json_read(&json, done, 1 << 20, err);

    if (r < 0)
        return r;
    r = t3d_blob_open(&b, records, 0, err);
    if (r == T3D_OK) {
        t3d_sha256_hex(b.data, b.size, sha256);
        t3d_blob_close(&b);
        if (strcmp(sha256, t3d_json_str(json, "sha256", "")) != 0)
            r = t3d_err_set(
                err, T3D_SKIP, "bad-part",
                "'%s' is not what its .done describes: copy it again, or run that part again",
                records);
    }
    cJSON_Delete(json);
    return r;
}

static int merge_records(struct merge *g, const char *path, struct t3d_err *err)
{
    struct t3d_ndjson in;
    struct t3d_err why = {0};
    FILE *f = fopen(path, "re");
    cJSON *record;
    int r = T3D_OK;

    if (!f)
        return t3d_err_sys(err, "cannot open", path);
    t3d_ndjson_init(&in, f, path);
    for (uint64_t i = 0; r == T3D_OK; i++) {
        r = t3d_ndjson_next(&in, &record, &why);
        if (r == T3D_END)
            break;
        if (r < 0) {
            r = leave_out(g, r, &why, err);
            continue;
        }
        r = next_batch(g, i, err);
        if (r == T3D_OK)
            r = put_record(g, record, err);
        cJSON_Delete(record);
    }
    r = end_batches(g, r, err);
    t3d_ndjson_fini(&in);
    fclose(f);
    return r < 0 ? r : T3D_OK;
}

static int merge_part(struct merge *g, const char *done, struct t3d_err *err)
{
    char *records = t3d_sprintf(&g->arena, "%.*s.ndjson", (int)(strlen(done) - 5), done);
    struct t3d_err why = {0};
    int r;

    if (!records)
        return t3d_err_nomem(err, done);
    r = check_part(done, records, &why);
    if (r < 0)
        return leave_out(g, r, &why, err);
    return merge_records(g, records, err);
}

/* --- shards
 * ---------------------------------------------------------------------------------------- */

static int put_sample(struct merge *g, struct t3d_shards *to, const struct t3d_sample *s,
                      struct t3d_err *err)
{
    int64_t num;
    int r = t3di_find_key(g->m, s->key, &num, err);

    if (r == T3D_END) {
        g->count->unknown++;
        return T3D_OK;
    }
    if (r == T3D_OK)
        r = t3d_shards_put(to, num, s->key, s->member, s->n, err);
    g->count->samples += r == T3D_OK;
    return r;
}

static int merge_tar(struct merge *g, struct t3d_shards *to, const char *path, struct t3d_err *err)
{
    struct t3d_shard_reader *reader;
    struct t3d_arena a = {0};
    struct t3d_sample s;
    int r = t3d_shard_reader_open(&reader, path, err);

    if (r < 0)
        return r;
    while (r == T3D_OK) {
        t3d_arena_reset(&a);
        r = t3d_shard_reader_next(reader, &s, &a, err);
        if (r == T3D_OK)
            r = put_sample(g, to, &s, err);
    }
    t3d_shard_reader_close(reader);
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

static int hash_file(const char *path, char sha256[65], uint64_t *bytes, struct t3d_err *err)
{
    struct t3d_blob b;
    int r = t3d_blob_open(&b, path, 0, err);

    if (r < 0)
        return r;
    t3d_sha256_hex(b.data, b.size, sha256);
    *bytes = b.size;
    t3d_blob_close(&b);
    return T3D_OK;
}

/* A tar that is taken over. */
struct taken {
    char *path, *name; /* name: <folder of renders>/<file> */
    char sha256[65];
    uint64_t bytes, samples;
    int done; /* all of it is in our shards */
};

/* Imported tars are remembered by name and hash; the same again is not copied again. */
static int take_tar(struct merge *g, struct t3d_shards *to, struct taken *t, struct t3d_err *err)
{
    uint64_t before = g->count->samples;
    int64_t known = 0;
    int r = hash_file(t->path, t->sha256, &t->bytes, err);

    if (r == T3D_OK)
        r = t3di_int(g->m, &known, 0, err, "SELECT 1 FROM shard WHERE path = ?1 AND sha256 = ?2",
                     "tx", t->name, t->sha256);
    if (r < 0 || known)
        return r;
    r = t3d_shard_check(t->path, err);
    if (r == T3D_OK)
        r = merge_tar(g, to, t->path, err);
    t->samples = g->count->samples - before;
    t->done = r == T3D_OK;
    return r;
}

static int remember(struct merge *g, struct taken *t, size_t n, int in_place, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        if (!t[i].done)
            continue;
        r = t3di_exec(
            g->m, err,
            "INSERT OR REPLACE INTO shard(path, objects, bytes, sha256) VALUES(?1, ?2, ?3, ?4)",
            "tiix", t[i].name, (int64_t)t[i].samples, (int64_t)t[i].bytes, t[i].sha256);
        if (r == T3D_OK && in_place) { /* a reader of *.tar must not meet a sample twice */
            char *idx = t3d_sprintf(&g->arena, "%.*s.idx", (int)(strlen(t[i].path) - 4), t[i].path);
            unlink(t[i].path);
            if (idx)
                unlink(idx);
        }
    }
    return r;
}

/* All tars of one folder of renders/ into the folder of the same name here. In our own workspace:
 * the tars of parts only. */
static int merge_folder(struct merge *g, const char *from, const char *name, int in_place,
                        struct t3d_err *err)
{
    struct t3d_err why = {0};
    struct t3d_shards *to = NULL;
    struct taken *t = NULL;
    char **tar, *dir = t3d_sprintf(&g->arena, "%s/renders/%s", g->m->workspace, name);
    size_t n;
    int r = dir ? list_dir(g, from, ".tar", &tar, &n, err) : t3d_err_nomem(err, from);

    if (r < 0 || n == 0)
        return r;
    t = t3d_alloc(&g->arena, n, sizeof *t);
    r = t ? t3d_shards_open(&to, dir, 0, 1, err) : t3d_err_nomem(err, from);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        if (in_place && !strstr(tar[i], ".p"))
            continue;
        t[i].path = join(g, from, tar[i]);
        t[i].name = join(g, name, tar[i]);
        r = t[i].path && t[i].name ? take_tar(g, to, &t[i], &why) : t3d_err_nomem(&why, from);
        r = leave_out(g, r, &why, err);
    }
    if (r == T3D_OK)
        r = t3d_shards_finish(to, err);
    if (r == T3D_OK)
        r = remember(g, t, n, in_place, err);
    t3d_shards_close(to);
    return r;
}

static int same_folder(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int merge_renders(struct merge *g, const char *dir, struct t3d_err *err)
{
    char *renders = join(g, dir, "renders"), **name;
    size_t n;
    int in_place = same_folder(dir, g->m->workspace);
    int r = renders ? list_dir(g, renders, "", &name, &n, err) : t3d_err_nomem(err, dir);

    for (size_t i = 0; r == T3D_OK && i < n; i++) {
        char *from = join(g, renders, name[i]);
        r = from ? merge_folder(g, from, name[i], in_place, err) : t3d_err_nomem(err, dir);
    }
    return r;
}

static int merge_parts(struct merge *g, const char *dir, size_t *found, struct t3d_err *err)
{
    char **done;
    int r = list_dir(g, dir, ".done", &done, found, err);

    for (size_t i = 0; r == T3D_OK && i < *found; i++) {
        char *path = join(g, dir, done[i]);
        r = path ? merge_part(g, path, err) : t3d_err_nomem(err, dir);
    }
    return r;
}

static int merge_workspace(struct merge *g, const char *dir, struct t3d_err *err)
{
    char *db = join(g, dir, "manifest.db"), *parts = join(g, dir, "parts");
    size_t found = 0;
    int r = T3D_OK;

    if (!db || !parts)
        return t3d_err_nomem(err, dir);
    if (exists(db) && !same_folder(dir, g->m->workspace)) {
        r = merge_manifest(g, dir, err);
        found = 1;
    } else {
        r = merge_parts(g, parts, &found, err);
    }
    if (r == T3D_OK && !found)
        r = t3d_err_set(err, T3D_USAGE, "nothing-to-merge",
                        "'%s' has neither manifest.db nor finished parts (parts/*.done)", dir);
    return r == T3D_OK ? merge_renders(g, dir, err) : r;
}

int t3d_merge(struct t3d_manifest *m, const char *path, struct t3d_merge_count *count,
              void (*tell)(void *ctx, const struct t3d_err *why), void *ctx, struct t3d_err *err)
{
    struct merge g = {.m = m, .count = count, .tell = tell, .ctx = ctx};
    const char *ending = t3d_path_ending(path), *base = t3d_path_base(path);
    struct stat st;
    int r;

    if (stat(path, &st) < 0) {
        r = t3d_err_set(err, T3D_USAGE, "missing-file", "'%s' does not exist", path);
    } else if (S_ISDIR(st.st_mode)) {
        r = merge_workspace(&g, path, err);
    } else if (strcmp(base, "manifest.db") == 0) {
        char *dir = t3d_sprintf(&g.arena, "%.*s.", (int)(base - path), path);
        r = dir ? merge_workspace(&g, dir, err) : t3d_err_nomem(err, path);
    } else if (strcmp(ending, "done") == 0) {
        r = merge_part(&g, path, err);
    } else {
        r = t3d_err_set(err, T3D_USAGE, "nothing-to-merge",
                        "'%s' is not a workspace, a manifest.db or a .done file", path);
    }
    t3d_arena_free(&g.arena);
    return r;
}
