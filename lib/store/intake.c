/* SPDX-License-Identifier: Apache-2.0 */
#include "store/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "store/manifest_impl.h"
#include "store/reject.h"

enum { BATCH = 256, FORMAT_VERSION = 1 };

struct t3d_intake {
    struct t3d_manifest *m;
    FILE *rejects;
    char *rejects_name;
    struct t3d_intake_item *item[BATCH];
    size_t n;
    struct timespec since; /* when the first of item[] came */
    struct t3d_intake_count count;
};

void t3d_intake_item_free(struct t3d_intake_item *item)
{
    struct t3d_arena a;

    if (!item)
        return;
    a = item->arena;
    cJSON_Delete(item->measures);
    free(item);
    t3d_arena_free(&a);
}

/* --- files that were seen ------------------------------------------------------------------------
 */

/* Half a SHA-256: the manifest needs no names of folders outside the workspace. */
static void file_key(const char *file, char key[33])
{
    char hex[T3D_SHA256_HEX];

    t3d_sha256_hex(file, strlen(file), hex);
    memcpy(key, hex, 32);
    key[32] = 0;
}

int t3d_seen_find(struct t3d_manifest *m, const char *file, int64_t *num, const char **stamp,
                  struct t3d_arena *a, struct t3d_err *err)
{
    sqlite3_stmt *st;
    char key[33];
    int r;

    file_key(file, key);
    r = t3di_query(m, &st, err, "SELECT num, stamp FROM file WHERE key = ?1", "x", key);
    if (r == T3D_OK)
        r = t3di_step(m, st, err);
    if (r != T3D_OK)
        return r;
    *num = sqlite3_column_int64(st, 0);
    *stamp = t3d_strdup(a, (const char *)sqlite3_column_text(st, 1));
    t3di_done(st);
    return *stamp ? T3D_OK : t3d_err_nomem(err, file);
}

int t3d_seen_object(struct t3d_manifest *m, int64_t num, struct t3d_object *o, struct t3d_arena *a,
                    struct t3d_err *err)
{
    struct t3d_object *list;
    size_t n;
    int r = t3di_objects(m, num, num + 1, &list, &n, a, err);

    if (r < 0 || n == 0)
        return r < 0 ? r : T3D_END;
    *o = list[0];
    return T3D_OK;
}

static int put_seen(struct t3d_manifest *m, const char *file, int64_t num, const char *stamp,
                    struct t3d_err *err)
{
    char key[33];

    file_key(file, key);
    return t3di_exec(
        m, err,
        "INSERT INTO file(key, num, stamp) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
        "num = excluded.num, stamp = excluded.stamp",
        "xit", key, num, stamp ? stamp : "");
}

int t3d_seen_early(struct t3d_manifest *m, const char *file, const char *stamp, struct t3d_err *err)
{
    return put_seen(m, file, -1, stamp, err);
}

/* --- one item, inside a transaction
 * ------------------------------------------------------------------ */

/* The key of the work: what was to be stored. */
static void state_key(const struct t3d_object *o, char key[65])
{
    char text[100];
    int n = snprintf(text, sizeof text, "fetch %d %s", FORMAT_VERSION, o->content);

    t3d_sha256_hex(text, (size_t)n, key);
}

static int put_state(struct t3d_intake *in, const struct t3d_object *o, enum t3d_state_code code,
                     const struct t3d_err *why, struct t3d_err *err)
{
    struct t3d_state s = {.code = code, .value = NAN}, old;
    int r;

    state_key(o, s.key);
    if (code != T3D_STATE_OK) {
        snprintf(s.reason, sizeof s.reason, "%s", why->reason);
        snprintf(s.message, sizeof s.message, "%s", why->msg);
        s.value = why->value;
    }
    r = t3d_manifest_find_state(in->m, "fetch", o->num, &old, err);
    if (r < 0 || (code == T3D_STATE_OK && old.code == code && strcmp(old.key, s.key) == 0))
        return r < 0 ? r : T3D_OK;
    return t3d_manifest_put_state(in->m, "fetch", o->num, &s, err);
}

static int write_reject(struct t3d_intake *in, const struct t3d_object *o, enum t3d_state_code code,
                        const struct t3d_err *why, struct t3d_err *err)
{
    return t3d_reject_write(in->rejects, o->uid, "fetch", t3d_state_name(code), why, o->path, err);
}

/* The object is in the manifest without content and with this state; one that is ok stays so. */
static int put_failure(struct t3d_intake *in, struct t3d_intake_item *item,
                       enum t3d_state_code code, const struct t3d_err *why, struct t3d_err *err)
{
    struct t3d_object *o = &item->object;
    struct t3d_state old;
    int r;

    if (code == T3D_STATE_REJECT)
        in->count.rejected++;
    else
        in->count.failed++;
    o->content[0] = o->file_sha256[0] = 0;
    r = t3d_manifest_register(in->m, o, item->given_uid, err);
    if (r >= 0)
        r = t3d_manifest_find_state(in->m, "fetch", o->num, &old, err);
    if (r >= 0 && old.code != T3D_STATE_OK)
        r = put_state(in, o, code, why, err);
    return r < 0 ? r : write_reject(in, o, code, why, err);
}

/* 1 when a file other than this one is the object too. */
static int has_other_file(struct t3d_intake *in, int64_t num, const char *file, int64_t *n,
                          struct t3d_err *err)
{
    char key[33];

    file_key(file, key);
    return t3di_int(in->m, n, 0, err,
                    "SELECT EXISTS (SELECT 1 FROM file WHERE num = ?1 AND key <> ?2)", "ix", num,
                    key);
}

/* The file was object `old` and is now item's. */
static int mark_modified(struct t3d_intake *in, const struct t3d_intake_item *item, int64_t old,
                         struct t3d_err *err)
{
    struct t3d_object o;
    struct t3d_err why;
    struct t3d_arena a = {0};
    int64_t others = 0;
    int r = has_other_file(in, old, item->file, &others, err);

    if (r == T3D_OK && !others)
        r = t3d_seen_object(in->m, old, &o, &a, err);
    if (r == T3D_OK && !others) {
        t3d_err_set(&why, T3D_SKIP, "modified", "the file '%s' has changed and is now object %s",
                    item->object.path ? item->object.path : "", item->object.uid);
        r = put_state(in, &o, T3D_STATE_MODIFIED, &why, err);
        if (r == T3D_OK)
            r = write_reject(in, &o, T3D_STATE_MODIFIED, &why, err);
        in->count.modified++;
    }
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

/* T3D_SKIP "duplicate-uid" when another object has this uid: register would change its content. */
static int check_given_uid(struct t3d_intake *in, const struct t3d_intake_item *item,
                           int64_t before, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_object o;
    int r;

    if (!item->given_uid || item->replace)
        return T3D_OK;
    r = t3d_manifest_find(in->m, item->object.uid, &o, &a, err);
    if (r == T3D_OK && o.content[0] && o.num != before &&
        strcmp(o.content, item->object.content) != 0)
        r = t3d_err_set(
            err, T3D_SKIP, "duplicate-uid",
            "'%s' is given the uid %s, which '%s' with other content has: give each its own",
            item->object.path, item->object.uid, o.path ? o.path : "another object");
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

static void name_object(struct t3d_intake_item *item)
{
    struct t3d_object *o = &item->object;
    char hex[T3D_SHA256_HEX];

    if (o->uid[0])
        return;
    if (o->content[0]) {
        t3d_object_key(o, o->uid);
    } else {
        t3d_sha256_hex(item->file, strlen(item->file), hex);
        snprintf(o->uid, sizeof o->uid, "%.32s", hex);
    }
}

/* The uid of the object that has this content, as a reason. */
static int name_duplicate(struct t3d_intake *in, const struct t3d_object *o, struct t3d_err *why,
                          struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_object first;
    char key[33];
    int64_t num;
    int r;

    t3d_object_key(o, key);
    r = t3di_find_key(in->m, key, &num, err);
    if (r == T3D_OK)
        r = t3d_seen_object(in->m, num, &first, &a, err);
    if (r == T3D_OK)
        snprintf(why->reason, sizeof why->reason, "duplicate-of %.50s", first.uid);
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

static int refuse(struct t3d_intake *in, struct t3d_intake_item *item, struct t3d_err *why,
                  struct t3d_err *err)
{
    int r = T3D_OK;

    item->code = T3D_STATE_FAIL;
    if (!in->count.refused.code)
        in->count.refused = *why;
    if (strcmp(why->reason, "duplicate-of") == 0) {
        item->code = T3D_STATE_REJECT;
        r = name_duplicate(in, &item->object, why, err);
    } else {
        /* Not its uid: the manifest shows it under the one of its content. */
        t3d_object_key(&item->object, item->object.uid);
        item->given_uid = 0;
    }
    return r < 0 ? r : put_failure(in, item, item->code, why, err);
}

/* A licence that is only the general one gives way to what the content has. */
static int settle_license(struct t3d_intake *in, struct t3d_intake_item *item, struct t3d_err *err)
{
    struct t3d_object first;
    char key[33];
    int64_t num;
    int r;

    if (!item->weak_license)
        return T3D_OK;
    t3d_object_key(&item->object, key);
    r = t3di_find_key(in->m, key, &num, err);
    if (r == T3D_OK)
        r = t3d_seen_object(in->m, num, &first, &item->arena, err);
    if (r == T3D_OK && first.license)
        item->object.license = NULL;
    return r < 0 ? r : T3D_OK;
}

static int put_ok(struct t3d_intake *in, struct t3d_intake_item *item, int64_t before,
                  struct t3d_err *err)
{
    struct t3d_object *o = &item->object;
    struct t3d_err why = {0};
    int fresh, r = check_given_uid(in, item, before, &why);

    if (r == T3D_OK)
        r = settle_license(in, item, &why);
    if (r == T3D_OK)
        r = t3d_manifest_register(in->m, o, item->given_uid, &why);
    if (r == T3D_SKIP)
        return refuse(in, item, &why, err);
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    fresh = r == T3D_OK;
    in->count.fresh += fresh;
    in->count.again += !fresh;
    in->count.bytes += fresh ? o->bytes : 0;
    return put_state(in, o, T3D_STATE_OK, NULL, err);
}

static int put_item(struct t3d_intake *in, struct t3d_intake_item *item, struct t3d_err *err)
{
    int64_t before = -1;
    const char *stamp;
    int r = T3D_OK, read;

    name_object(item);
    if (item->file)
        r = t3d_seen_find(in->m, item->file, &before, &stamp, &item->arena, err);
    if (r >= 0)
        r = item->code == T3D_STATE_OK ? put_ok(in, item, before, err)
                                       : put_failure(in, item, item->code, &item->err, err);
    read = item->code == T3D_STATE_OK || item->code == T3D_STATE_REJECT;
    if (r >= 0 && item->file && read && before >= 0 && before != item->object.num)
        r = mark_modified(in, item, before, err);
    /* A file that cannot be read now keeps the object it was. */
    if (r >= 0 && item->file && (read || before < 0))
        r = put_seen(in->m, item->file, item->object.num, item->stamp, err);
    if (r >= 0 && item->measures)
        r = t3d_manifest_put_measures(in->m, item->object.num, "fetch", item->measures, err);
    return r < 0 ? r : T3D_OK;
}

/* --- batches
 * -------------------------------------------------------------------------------------- */

static int flush(struct t3d_intake *in, struct t3d_err *err)
{
    int r;

    if (!in->n)
        return T3D_OK;
    r = t3d_manifest_begin(in->m, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < in->n && r == T3D_OK; i++)
        r = put_item(in, in->item[i], err);
    if (r == T3D_OK)
        r = t3d_manifest_commit(in->m, err);
    else
        t3d_manifest_rollback(in->m);
    for (size_t i = 0; i < in->n; i++)
        t3d_intake_item_free(in->item[i]);
    in->n = 0;
    if (r == T3D_OK && in->rejects && fflush(in->rejects) != 0)
        r = t3d_err_sys(err, "cannot write", in->rejects_name);
    return r;
}

int t3d_intake_open(struct t3d_intake **out, struct t3d_manifest *m, const char *rejects,
                    struct t3d_err *err)
{
    struct t3d_intake *in = calloc(1, sizeof *in);
    int r = T3D_OK;

    if (!in)
        return t3d_err_nomem(err, "the intake");
    in->m = m;
    if (rejects) {
        in->rejects_name = strdup(rejects);
        in->rejects = fopen(rejects, "we");
        if (!in->rejects)
            r = t3d_err_sys(err, "cannot create", rejects);
        else if (!in->rejects_name)
            r = t3d_err_nomem(err, rejects);
    }
    if (r < 0) {
        t3d_intake_abort(in);
        return r;
    }
    *out = in;
    return T3D_OK;
}

int t3d_intake_add(struct t3d_intake *in, struct t3d_intake_item *item, struct t3d_err *err)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!in->n)
        in->since = now;
    in->item[in->n++] = item;
    return in->n == BATCH || now.tv_sec > in->since.tv_sec + 1 ? flush(in, err) : T3D_OK;
}

void t3d_intake_skip(struct t3d_intake *in)
{
    in->count.unchanged++;
}

void t3d_intake_abort(struct t3d_intake *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n; i++)
        t3d_intake_item_free(in->item[i]);
    if (in->rejects)
        fclose(in->rejects);
    free(in->rejects_name);
    free(in);
}

int t3d_intake_finish(struct t3d_intake *in, struct t3d_intake_count *count, struct t3d_err *err)
{
    int r = flush(in, err);

    if (count)
        *count = in->count;
    if (in->rejects && fclose(in->rejects) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", in->rejects_name);
    in->rejects = NULL;
    t3d_intake_abort(in);
    return r;
}
