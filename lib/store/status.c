/* SPDX-License-Identifier: Apache-2.0 */
#include "store/status.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "store/manifest_impl.h"

enum { DEPTH = 8 };

/* Bytes on disk below the open folder, which is closed. */
static double tree_bytes(int dir, int depth)
{
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    struct dirent *e;
    struct stat st;
    double bytes = 0;

    if (!d) {
        if (dir >= 0)
            close(dir);
        return 0;
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        bytes += 512.0 * (double)st.st_blocks;
        if (S_ISDIR(st.st_mode) && depth < DEPTH)
            bytes += tree_bytes(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                depth + 1);
    }
    closedir(d);
    return bytes;
}

static double folder_bytes(const char *workspace, const char *name)
{
    int top = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;

    if (top < 0)
        return 0;
    dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(top);
    return tree_bytes(dir, 0);
}

static int add_to(cJSON *o, const char *key, double n)
{
    return t3d_json_set_num(o, key, t3d_json_num(o, key, 0) + n);
}

static int add_reason(cJSON *stage, const char *key, const char *reason, double n)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(stage, key);

    if (!list && (!(list = cJSON_CreateObject()) || t3d_json_set(stage, key, list)))
        return -1;
    return add_to(list, reason, n);
}

/* One group of rows: state, reason, claimed, count. */
static int add_group(cJSON *stage, int state, const char *reason, int claimed, double n)
{
    if (claimed)
        return add_to(stage, "claimed", n);
    switch (state) {
    case T3D_STATE_OK:
        return add_to(stage, "ok", n);
    case T3D_STATE_REJECT:
        return add_to(stage, "rejected", n) || add_reason(stage, "reasons", reason, n);
    case T3D_STATE_FAIL:
        return add_to(stage, "failed", n) || add_reason(stage, "failures", reason, n);
    case T3D_STATE_NONE:
        return 0;
    default:
        return add_to(stage, "other", n);
    }
}

static int add_groups(struct t3d_manifest *m, int id, cJSON *stage, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r = t3di_query(
        m, &st, err,
        "SELECT state, coalesce(reason, ''), owner IS NOT NULL AS claimed, count(*) AS n "
        "FROM stage_state WHERE stage = ?1 GROUP BY 1, 2, 3 ORDER BY n DESC, 2",
        "i", (int64_t)id);

    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK)
        if (add_group(stage, sqlite3_column_int(st, 0), (const char *)sqlite3_column_text(st, 1),
                      sqlite3_column_int(st, 2), sqlite3_column_double(st, 3)))
            r = t3d_err_nomem(err, "the status");
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

static int add_stage(struct t3d_manifest *m, const char *name, cJSON *stages, struct t3d_err *err)
{
    static const char *const count[] = {"ok", "rejected", "failed", "other", "claimed", "to_do"};
    cJSON *stage = cJSON_CreateObject();
    int64_t to_do;
    int id = 0, r;

    if (!stage || !cJSON_AddItemToArray(stages, stage)) {
        cJSON_Delete(stage);
        return t3d_err_nomem(err, "the status");
    }
    r = t3d_json_set_str(stage, "stage", name) ? t3d_err_nomem(err, "the status") : T3D_OK;
    for (size_t i = 0; i < T3D_COUNT(count) && r == T3D_OK; i++)
        r = t3d_json_set_num(stage, count[i], 0) ? t3d_err_nomem(err, "the status") : T3D_OK;
    if (r == T3D_OK)
        r = t3di_stage(m, name, 0, &id, err);
    if (r >= 0)
        r = t3di_int(
            m, &to_do, 0, err,
            "SELECT count(*) FROM object WHERE NOT EXISTS (SELECT 1 FROM stage_state WHERE "
            "stage = ?1 AND num = object.num AND state > 0) AND num NOT IN (SELECT num FROM "
            "stage_state WHERE state = 2)",
            "i", (int64_t)id);
    if (r == T3D_OK && t3d_json_set_num(stage, "to_do", (double)to_do))
        r = t3d_err_nomem(err, "the status");
    return r == T3D_OK ? add_groups(m, id, stage, err) : r;
}

static int add_stages(struct t3d_manifest *m, cJSON *out, struct t3d_err *err)
{
    static const char *const chain[] = {"fetch", "filter", "watertight", "render", "filter-views"};
    cJSON *stages = cJSON_CreateArray();
    int r = t3di_stages(m, err), id;

    if (!stages || t3d_json_set(out, "stages", stages))
        return t3d_err_nomem(err, "the status");
    for (size_t i = 0; i < T3D_COUNT(chain) && r == T3D_OK; i++) {
        int always = strcmp(chain[i], "filter") == 0 || strcmp(chain[i], "render") == 0;
        r = t3di_stage(m, chain[i], 0, &id, err);
        if (r == T3D_OK || (r == T3D_END && always))
            r = add_stage(m, chain[i], stages, err);
        else if (r == T3D_END)
            r = T3D_OK;
    }
    for (int i = 0; i < m->n_stages && r == T3D_OK; i++) {
        int known = 0;
        for (size_t k = 0; k < T3D_COUNT(chain); k++)
            known |= strcmp(chain[k], m->stage[i]) == 0;
        if (!known)
            r = add_stage(m, m->stage[i], stages, err);
    }
    return r;
}

static int add_splits(struct t3d_manifest *m, cJSON *out, struct t3d_err *err)
{
    sqlite3_stmt *st;
    cJSON *splits = cJSON_CreateObject();
    int r;

    if (!splits || t3d_json_set(out, "splits", splits))
        return t3d_err_nomem(err, "the status");
    r = t3di_query(m, &st, err,
                   "SELECT split, count(*) FROM object WHERE split IS NOT NULL GROUP BY split", "");
    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK)
        if (add_to(splits, (const char *)sqlite3_column_text(st, 0), sqlite3_column_double(st, 1)))
            r = t3d_err_nomem(err, "the status");
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

static int fill(struct t3d_manifest *m, cJSON *out, struct t3d_err *err)
{
    int64_t objects, captioned;
    cJSON *bytes = cJSON_CreateObject();
    int r = t3di_int(m, &objects, 0, err, "SELECT count(*) FROM object", "");

    if (r == T3D_OK)
        r = t3di_int(m, &captioned, 0, err, "SELECT count(*) FROM caption WHERE i = 0", "");
    if (r == T3D_OK && (t3d_json_set_str(out, "workspace", m->workspace) ||
                        t3d_json_set_num(out, "objects", (double)objects) ||
                        t3d_json_set_num(out, "captioned", (double)captioned)))
        r = t3d_err_nomem(err, "the status");
    if (r == T3D_OK)
        r = add_splits(m, out, err);
    if (r == T3D_OK)
        r = add_stages(m, out, err);
    if (!bytes || t3d_json_set(out, "bytes", bytes))
        return r < 0 ? r : t3d_err_nomem(err, "the status");
    if (r == T3D_OK &&
        (t3d_json_set_num(bytes, "objects", folder_bytes(m->workspace, "objects")) ||
         t3d_json_set_num(bytes, "renders", folder_bytes(m->workspace, "renders")) ||
         t3d_json_set_num(bytes, "embeddings", folder_bytes(m->workspace, "embeddings"))))
        r = t3d_err_nomem(err, "the status");
    return r;
}

int t3d_status(cJSON **out, const char *workspace, struct t3d_err *err)
{
    struct t3d_manifest *m;
    int r = t3d_manifest_open(&m, workspace, T3D_MANIFEST_READONLY, err);

    *out = NULL;
    if (r < 0)
        return r;
    *out = cJSON_CreateObject();
    r = *out ? t3di_read_begin(m, err) : t3d_err_nomem(err, "the status");
    if (r == T3D_OK) {
        r = fill(m, *out, err);
        t3di_read_end(m);
    }
    if (r < 0) {
        cJSON_Delete(*out);
        *out = NULL;
    }
    t3d_manifest_close(m);
    return r;
}
