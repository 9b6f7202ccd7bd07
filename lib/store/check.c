/* SPDX-License-Identifier: Apache-2.0 */
#include "store/check.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/par.h"
#include "base/tool.h"
#include "store/content.h"
#include "store/manifest_impl.h"
#include "store/run_impl.h"
#include "store/shard.h"

struct check {
    struct t3d_check *c;
    struct t3d_manifest *m;
    struct t3d_cursor *cursor;
    uint8_t *in_shards; /* bit per object number */
    int64_t max_num;
};

static int tell(struct check *k, const char *problem, const char *uid, const char *path,
                const char *message, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();

    if (!o || t3d_json_set_str(o, "problem", problem) || (uid && t3d_json_set_str(o, "uid", uid)) ||
        (path && t3d_json_set_str(o, "path", path)) || t3d_json_set_str(o, "message", message)) {
        cJSON_Delete(o);
        return t3d_err_nomem(err, "a problem");
    }
    k->c->problems++;
    return k->c->tell(k->c->ctx, o, err);
}

/* --- database
 * -------------------------------------------------------------------------------------- */

static int check_database(struct check *k, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r = t3di_query(k->m, &st, err, "PRAGMA integrity_check", "");

    while (r == T3D_OK && (r = t3di_step(k->m, st, err)) == T3D_OK) {
        const char *line = (const char *)sqlite3_column_text(st, 0);
        if (strcmp(line, "ok") != 0)
            r = tell(k, "damaged-manifest", NULL, "manifest.db", line, err);
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

/* --- objects
 * --------------------------------------------------------------------------------------- */

struct object_check {
    struct t3d_object object;
    struct t3d_arena arena;
    struct {
        struct t3d_err err;
        char name[96];
    } problem[8]; /* the first ones of an object; more files than that are rarely hurt one by one */
    int n;
};

static int next_object(void *ctx, void **item, struct t3d_err *err)
{
    struct check *k = ctx;
    struct object_check *o;
    int r;

    if (t3d_stop_requested())
        return T3D_END;
    o = calloc(1, sizeof *o);
    if (!o)
        return t3d_err_nomem(err, "an object");
    r = t3d_cursor_next(k->cursor, &o->object, &o->arena, err);
    if (r != T3D_OK) {
        t3d_arena_free(&o->arena);
        free(o);
        return r;
    }
    k->c->objects++;
    *item = o;
    return T3D_OK;
}

static void check_file(struct object_check *o, const char *workspace, const char *sha256,
                       const char *ending)
{
    if (o->n == (int)T3D_COUNT(o->problem))
        return;
    if (t3d_content_verify(workspace, sha256, ending, &o->problem[o->n].err) != T3D_OK) {
        snprintf(o->problem[o->n].name, sizeof o->problem[0].name, "objects/%.2s/%s%s%s", sha256,
                 sha256, *ending ? "." : "", ending);
        o->n++;
    }
}

static void check_object(void *ctx, int thread, void *item)
{
    struct check *k = ctx;
    struct object_check *o = item;
    struct t3d_part *part;
    size_t n = 0;

    (void)thread;
    if (!o->object.content[0])
        return;
    check_file(o, k->m->workspace, o->object.file_sha256, o->object.ending);
    if (strcmp(o->object.content, o->object.file_sha256) == 0)
        return;
    check_file(o, k->m->workspace, o->object.content, "parts");
    if (t3d_content_parts(k->m->workspace, o->object.content, &part, &n, &o->arena, NULL) != T3D_OK)
        return;
    for (size_t i = 0; i < n; i++)
        check_file(o, k->m->workspace, part[i].sha256, part[i].ending);
}

static void drop_object(void *ctx, void *item)
{
    struct object_check *o = item;

    (void)ctx;
    t3d_arena_free(&o->arena);
    free(o);
}

static int emit_object(void *ctx, void *item, struct t3d_err *err)
{
    struct check *k = ctx;
    struct object_check *o = item;
    int r = T3D_OK;

    for (int i = 0; i < o->n && r == T3D_OK; i++)
        r = tell(k, o->problem[i].err.reason, o->object.uid, o->problem[i].name,
                 o->problem[i].err.msg, err);
    drop_object(ctx, o);
    return r;
}

static int check_objects(struct check *k, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {
        .next = next_object, .work = check_object, .emit = emit_object, .drop = drop_object};
    int r = t3d_cursor_open(&k->cursor, k->m, 0, err);

    if (r == T3D_OK)
        r = t3d_pipe_run(&ops, k, k->c->threads, 0, err);
    t3d_cursor_close(k->cursor);
    return r;
}

/* --- shards
 * ---------------------------------------------------------------------------------------- */

static int check_entry(struct check *k, const struct t3d_shard_entry *e, const char *path,
                       struct t3d_err *err)
{
    char text[256];
    int64_t num;
    int r = t3di_find_key(k->m, e->key, &num, err);

    if (r == T3D_END) {
        snprintf(text, sizeof text, "sample %s is of no object of the manifest: render again",
                 e->key);
        return tell(k, "unknown-sample", NULL, path, text, err);
    }
    if (r < 0)
        return r;
    if (num <= k->max_num)
        k->in_shards[num / 8] |= (uint8_t)(1u << num % 8);
    if (num == e->num)
        return T3D_OK;
    snprintf(text, sizeof text, "sample %s has number %lld in the index and %lld in the manifest",
             e->key, (long long)e->num, (long long)num);
    return tell(k, "wrong-number", NULL, path, text, err);
}

static int check_entries(struct check *k, const char *path, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *idx = t3d_sprintf(&a, "%.*s.idx", (int)(strlen(path) - 4), path), line[512],
         last[33] = "";
    FILE *f = idx ? fopen(idx, "re") : NULL;
    struct t3d_shard_entry e;
    int r = T3D_OK;

    while (f && r == T3D_OK && fgets(line, sizeof line, f)) {
        if (t3d_shard_entry_parse(line, &e, NULL) != T3D_OK || strcmp(e.key, last) == 0)
            continue;
        memcpy(last, e.key, sizeof last);
        r = check_entry(k, &e, path, err);
    }
    if (f)
        fclose(f);
    t3d_arena_free(&a);
    return r;
}

static int check_tar(struct check *k, const char *path, struct t3d_err *err)
{
    struct t3d_err why = {0};
    int r = t3d_shard_check(path, &why);

    k->c->shards++;
    if (r == T3D_SKIP) {
        char text[sizeof why.msg + 64];
        snprintf(text, sizeof text, "%s: delete it and run render again", why.msg);
        r = tell(k, why.reason, NULL, path, text, err);
    } else if (r < 0 && err) {
        *err = why;
    }
    return r < 0 ? r : check_entries(k, path, err);
}

/* A run that was stopped: what its journal names waits in the .part and is no loss. */
static int check_journal(struct check *k, const char *path, struct t3d_err *err)
{
    FILE *f = fopen(path, "re");
    char line[256];
    int64_t num;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "{\"num\":%" SCNd64 ",", &num) == 1 && num >= 0 && num <= k->max_num)
            k->in_shards[num / 8] |= (uint8_t)(1u << num % 8);
    if (f)
        fclose(f);
    return tell(k, "leftover", NULL, path,
                "unfinished shard of a run that was stopped: run the same command again", err);
}

/* Objects that are rendered, if shards were made at all (render may write folders only). */
static int check_rendered(struct check *k, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int id, r = t3di_stage(k->m, "render", 0, &id, err);

    if (r != T3D_OK || k->c->shards == 0)
        return r < 0 ? r : T3D_OK;
    r = t3di_query(
        k->m, &st, err,
        "SELECT num, uid FROM stage_state JOIN object USING (num) WHERE stage = ?1 AND state = "
        "1 AND owner IS NULL ORDER BY num",
        "i", (int64_t)id);
    while (r == T3D_OK && (r = t3di_step(k->m, st, err)) == T3D_OK) {
        int64_t num = sqlite3_column_int64(st, 0);
        if (num <= k->max_num && !(k->in_shards[num / 8] >> num % 8 & 1))
            r = tell(k, "not-in-shards", (const char *)sqlite3_column_text(st, 1), NULL,
                     "the object is rendered by its state, but in no shard: run render again", err);
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

/* --- files
 * ----------------------------------------------------------------------------------------- */

static int check_name(struct check *k, const char *path, const char *name, int shards,
                      struct t3d_err *err)
{
    const char *ending = t3d_path_ending(name);

    if (t3di_stale_tmp(name))
        return tell(k, "leftover", NULL, path,
                    "temporary file of a process that is gone: may be deleted", err);
    if (!shards)
        return T3D_OK;
    if (strcmp(ending, "journal") == 0)
        return check_journal(k, path, err);
    return strcmp(ending, "tar") == 0 ? check_tar(k, path, err) : T3D_OK;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* All files `depth` folders below dir, in bytewise order. */
static int check_folder(struct check *k, const char *dir, int depth, int shards,
                        struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct dirent **list;
    int n = scandir(dir, &list, visible, compare_names), r = T3D_OK;

    if (n < 0 && errno == ENOENT)
        return T3D_OK;
    if (n < 0)
        return t3d_err_sys(err, "cannot list", dir);
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *path = t3d_sprintf(&a, "%s/%s", dir, list[i]->d_name);
        if (r == T3D_OK && !path)
            r = t3d_err_nomem(err, dir);
        if (r == T3D_OK && stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode) && depth > 0)
                r = check_folder(k, path, depth - 1, shards, err);
            else if (S_ISREG(st.st_mode))
                r = check_name(k, path, list[i]->d_name, shards, err);
        }
        free(list[i]);
        t3d_arena_reset(&a);
    }
    free(list);
    t3d_arena_free(&a);
    return r;
}

static int check_files(struct check *k, struct t3d_err *err)
{
    static const char *const folder[] = {"objects", "renders", "parts"};
    struct t3d_arena a = {0};
    int r = T3D_OK;

    for (size_t i = 0; i < T3D_COUNT(folder) && r == T3D_OK; i++) {
        char *path = t3d_sprintf(&a, "%s/%s", k->m->workspace, folder[i]);
        r = path ? check_folder(k, path, 1, i == 1, err) : t3d_err_nomem(err, folder[i]);
    }
    t3d_arena_free(&a);
    return r;
}

int t3d_check_run(struct t3d_manifest *m, struct t3d_check *c, struct t3d_err *err)
{
    struct check k = {.c = c, .m = m};
    int r;

    c->objects = c->shards = c->problems = 0;
    r = t3di_int(m, &k.max_num, -1, err, "SELECT max(num) FROM object", "");
    if (r == T3D_OK && !(k.in_shards = calloc((size_t)(k.max_num / 8 + 1), 1)))
        r = t3d_err_nomem(err, "the check");
    if (r == T3D_OK)
        r = check_database(&k, err);
    if (r == T3D_OK)
        r = check_objects(&k, err);
    if (r == T3D_OK)
        r = check_files(&k, err);
    if (r == T3D_OK)
        r = check_rendered(&k, err);
    free(k.in_shards);
    return r;
}
