/* SPDX-License-Identifier: Apache-2.0 */
/* An object with all that is known of it, as one JSON object, and back. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/manifest_impl.h"

/* Measures of this stage stand at the top of "measures", those of others in a member named by it.
 */
static const char plain_stage[] = "filter";

/* Stage numbers are in order of first use; records shall not depend on that. */
static int sorted_stages(const struct t3d_manifest *m, const char *name[T3DI_MAX_STAGES])
{
    for (int i = 0; i < m->n_stages; i++) {
        int k = i;
        for (; k > 0 && strcmp(name[k - 1], m->stage[i]) > 0; k--)
            name[k] = name[k - 1];
        name[k] = m->stage[i];
    }
    return m->n_stages;
}

static int set_text(cJSON *o, const char *key, const char *s)
{
    return s ? t3d_json_set_str(o, key, s) : t3d_json_set(o, key, cJSON_CreateNull());
}

static int add_sources(struct t3d_manifest *m, int64_t num, cJSON *record, struct t3d_err *err)
{
    sqlite3_stmt *st;
    cJSON *list = NULL;
    int r = t3di_query(m, &st, err,
                       "SELECT dataset, path FROM source WHERE num = ?1 AND i > 0 ORDER BY i", "i",
                       num);

    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) {
        cJSON *one = cJSON_CreateObject();
        if (!list && (list = cJSON_CreateArray()) && t3d_json_set(record, "sources", list) < 0)
            list = NULL;
        if (!list || !one ||
            t3d_json_set_str(one, "dataset", (const char *)sqlite3_column_text(st, 0)) ||
            t3d_json_set_str(one, "source", (const char *)sqlite3_column_text(st, 1)) ||
            !cJSON_AddItemToArray(list, one)) {
            cJSON_Delete(one);
            r = t3d_err_nomem(err, "a record");
        }
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

static int add_measures(struct t3d_manifest *m, int64_t num, cJSON *record, struct t3d_err *err)
{
    cJSON *all = cJSON_CreateObject(), *of_filter = NULL, *one;
    const char *name[T3DI_MAX_STAGES];
    int n = sorted_stages(m, name), r = T3D_OK;

    if (!all)
        return t3d_err_nomem(err, "a record");
    r = t3d_manifest_find_measures(m, num, plain_stage, &of_filter, err);
    if (r == T3D_OK && cJSON_IsObject(of_filter)) {
        cJSON_Delete(all);
        all = of_filter;
        of_filter = NULL;
    }
    cJSON_Delete(of_filter);
    for (int i = 0; i < n && r == T3D_OK; i++) {
        if (strcmp(name[i], plain_stage) == 0)
            continue;
        r = t3d_manifest_find_measures(m, num, name[i], &one, err);
        if (r == T3D_OK && one && t3d_json_set(all, name[i], one) < 0)
            r = t3d_err_nomem(err, "a record");
    }
    if (r < 0 || !all->child) {
        cJSON_Delete(all);
        return r;
    }
    return t3d_json_set(record, "measures", all) < 0 ? t3d_err_nomem(err, "a record") : T3D_OK;
}

static int add_state(cJSON *stages, const char *name, const struct t3d_state *s)
{
    cJSON *o = cJSON_CreateObject();

    if (!o || t3d_json_set(stages, name, o) ||
        t3d_json_set_str(o, "state", t3d_state_name(s->code)))
        return -1;
    if (s->key[0] && t3d_json_set_str(o, "key", s->key))
        return -1;
    if (s->reason[0] && t3d_json_set_str(o, "reason", s->reason))
        return -1;
    if (!isnan(s->value) && t3d_json_set_num(o, "value", s->value))
        return -1;
    return s->message[0] && t3d_json_set_str(o, "message", s->message) ? -1 : 0;
}

static int add_states(struct t3d_manifest *m, int64_t num, cJSON *record, struct t3d_err *err)
{
    cJSON *stages = cJSON_CreateObject();
    const char *name[T3DI_MAX_STAGES];
    struct t3d_state s;
    int n = sorted_stages(m, name), r = T3D_OK;

    if (!stages || t3d_json_set(record, "stages", stages) < 0)
        return t3d_err_nomem(err, "a record");
    for (int i = 0; i < n && r == T3D_OK; i++) {
        r = t3d_manifest_find_state(m, name[i], num, &s, err);
        if (r == T3D_OK && s.code != T3D_STATE_NONE && add_state(stages, name[i], &s) < 0)
            r = t3d_err_nomem(err, "a record");
    }
    return r;
}

static int add_captions(const struct t3d_object *o, cJSON *record)
{
    cJSON *list;

    if (set_text(record, "caption", o->n_captions ? o->caption[0] : NULL))
        return -1;
    if (o->n_captions < 2)
        return 0;
    list = cJSON_CreateStringArray(o->caption, (int)o->n_captions);
    return list ? t3d_json_set(record, "captions", list) : -1;
}

static int add_file(const struct t3d_object *o, cJSON *record)
{
    if (!o->content[0])
        return 0;
    if (t3d_json_set_str(record, "content", o->content) ||
        t3d_json_set_str(record, "ending", o->ending) ||
        t3d_json_set_num(record, "bytes", (double)o->bytes))
        return -1;
    return strcmp(o->content, o->file_sha256) ? t3d_json_set_str(record, "sha256", o->file_sha256)
                                              : 0;
}

static int add_object(const struct t3d_object *o, cJSON *record)
{
    if (t3d_json_set_str(record, "uid", o->uid) ||
        t3d_json_set_num(record, "num", (double)o->num) || set_text(record, "dataset", o->source) ||
        set_text(record, "source", o->path) || set_text(record, "license", o->license) ||
        add_captions(o, record) || add_file(o, record) || set_text(record, "split", o->split))
        return -1;
    if (o->split_given && t3d_json_set_bool(record, "split_given", 1))
        return -1;
    return o->group ? t3d_json_set_str(record, "group", o->group) : 0;
}

int t3d_manifest_record(struct t3d_manifest *m, const struct t3d_object *o, cJSON **out,
                        struct t3d_err *err)
{
    cJSON *record = cJSON_CreateObject();
    int r = !record || add_object(o, record) < 0 ? t3d_err_nomem(err, o->uid) : T3D_OK;

    *out = NULL;
    if (r == T3D_OK && m->n_stages == 0)
        r = t3di_stages(m, err);
    if (r == T3D_OK && o->path)
        r = add_sources(m, o->num, record, err);
    if (r == T3D_OK)
        r = add_measures(m, o->num, record, err);
    if (r == T3D_OK)
        r = add_states(m, o->num, record, err);
    if (r < 0)
        cJSON_Delete(record);
    else
        *out = record;
    return r;
}

/* --- back
 * ------------------------------------------------------------------------------------------ */

static int bad_record(const char *uid, const char *what, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_SKIP, "bad-record", "record of %.140s: %s", uid, what);
}

static int read_hash(const cJSON *record, const char *key, char out[65], struct t3d_err *err)
{
    const char *s = t3d_json_str(record, key, "");
    unsigned char md[32];

    out[0] = 0;
    if (!*s)
        return T3D_OK;
    if (t3d_unhex(s, sizeof md, md) < 0)
        return bad_record(t3d_json_str(record, "uid", ""), "content and sha256 are 64 hex digits",
                          err);
    t3d_hex(md, sizeof md, out);
    return T3D_OK;
}

static int read_captions(const cJSON *record, struct t3d_object *o, struct t3d_arena *a)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(record, "captions"), *one;
    const char *first = t3d_json_str(record, "caption", NULL);
    size_t n = cJSON_IsArray(list) ? (size_t)cJSON_GetArraySize(list) : 0;

    o->caption = t3d_alloc(a, n + 1, sizeof *o->caption);
    if (!o->caption)
        return -1;
    if (n) {
        cJSON_ArrayForEach (one, list)
            if (cJSON_IsString(one))
                o->caption[o->n_captions++] = one->valuestring;
    } else if (first) {
        o->caption[o->n_captions++] = first;
    }
    return 0;
}

static int read_object(const cJSON *record, struct t3d_object *o, struct t3d_arena *a,
                       struct t3d_err *err)
{
    const char *uid = t3d_json_str(record, "uid", ""), *ending = t3d_json_str(record, "ending", "");
    double bytes = t3d_json_num(record, "bytes", 0);
    int r;

    memset(o, 0, sizeof *o);
    if (!t3d_uid_valid(uid))
        return t3d_err_set(err, T3D_SKIP, "bad-uid", "'%.140s' is not a valid uid", uid);
    snprintf(o->uid, sizeof o->uid, "%s", uid);
    r = read_hash(record, "content", o->content, err);
    if (r == T3D_OK)
        r = read_hash(record, "sha256", o->file_sha256, err);
    if (r < 0)
        return r;
    if (!o->file_sha256[0])
        memcpy(o->file_sha256, o->content, sizeof o->content);
    if (strlen(ending) >= sizeof o->ending ||
        strspn(ending, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(ending))
        return bad_record(uid, "the ending is not 0 to 15 of a-z 0-9", err);
    snprintf(o->ending, sizeof o->ending, "%s", ending);
    if (!(bytes >= 0 && bytes <= 0x1p53))
        return bad_record(uid, "bytes is not a size", err);
    o->bytes = (uint64_t)bytes;
    o->source = t3d_json_str(record, "dataset", "local");
    o->path = t3d_json_str(record, "source", NULL);
    o->license = t3d_json_str(record, "license", NULL);
    o->split = t3d_json_str(record, "split", NULL);
    o->group = t3d_json_str(record, "group", NULL);
    o->split_given = t3d_json_bool(record, "split_given", 0);
    return read_captions(record, o, a) < 0 ? t3d_err_nomem(err, uid) : T3D_OK;
}

static int put_sources(struct t3d_manifest *m, const cJSON *record, struct t3d_object *o,
                       struct t3d_err *err)
{
    const cJSON *one;
    struct t3d_object more;
    int r = T3D_OK;

    cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(record, "sources")) {
        more = (struct t3d_object){.num = o->num};
        memcpy(more.uid, o->uid, sizeof more.uid);
        more.source = t3d_json_str(one, "dataset", "local");
        more.path = t3d_json_str(one, "source", NULL);
        if (more.path && r >= 0)
            r = t3d_manifest_register(m, &more, 1, err);
    }
    return r < 0 ? r : T3D_OK;
}

static int put_measures(struct t3d_manifest *m, const cJSON *record, int64_t num,
                        struct t3d_err *err)
{
    cJSON *plain = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(record, "measures"), 1), *one,
          *after;
    const cJSON *stages = cJSON_GetObjectItemCaseSensitive(record, "stages");
    int r = T3D_OK;

    if (!cJSON_IsObject(plain)) {
        cJSON_Delete(plain);
        return T3D_OK;
    }
    for (one = plain->child; one && r == T3D_OK; one = after) {
        after = one->next;
        if (!cJSON_IsObject(one) || !cJSON_HasObjectItem(stages, one->string))
            continue;
        r = t3d_manifest_put_measures(m, num, one->string, one, err);
        cJSON_Delete(cJSON_DetachItemViaPointer(plain, one));
    }
    if (r == T3D_OK && plain->child)
        r = t3d_manifest_put_measures(m, num, plain_stage, plain, err);
    cJSON_Delete(plain);
    return r;
}

static int put_state(struct t3d_manifest *m, const char *stage, const cJSON *o, int64_t num,
                     struct t3d_err *err)
{
    struct t3d_state s = {.value = t3d_json_num(o, "value", NAN)}, old;
    int code = t3d_state_code(t3d_json_str(o, "state", "none"));
    int r = read_hash(o, "key", s.key, err);

    if (r < 0)
        return r;
    if (code <= T3D_STATE_NONE || code == T3D_STATE_CLAIMED)
        return code < 0 ? bad_record(stage, "unknown state", err) : T3D_OK;
    s.code = (enum t3d_state_code)code;
    snprintf(s.reason, sizeof s.reason, "%s", t3d_json_str(o, "reason", ""));
    snprintf(s.message, sizeof s.message, "%s", t3d_json_str(o, "message", ""));
    r = t3d_manifest_find_state(m, stage, num, &old, err);
    if (r < 0)
        return r;
    if (old.code == T3D_STATE_CLAIMED)
        return T3D_OK;
    if (strcmp(old.key, s.key) == 0 &&
        (old.code == T3D_STATE_OK || (old.code == s.code && strcmp(old.reason, s.reason) == 0)))
        return T3D_OK;
    return t3d_manifest_put_state(m, stage, num, &s, err);
}

int t3d_manifest_put_record(struct t3d_manifest *m, const cJSON *record, int64_t *num,
                            struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_object o;
    const cJSON *stage;
    int fresh = 0, r = read_object(record, &o, &a, err);

    if (r == T3D_OK) {
        fresh = r = t3d_manifest_register(m, &o, 1, err);
        if (r >= 0)
            r = put_sources(m, record, &o, err);
    }
    if (r == T3D_OK)
        r = put_measures(m, record, o.num, err);
    cJSON_ArrayForEach (stage, cJSON_GetObjectItemCaseSensitive(record, "stages")) {
        if (r == T3D_OK)
            r = put_state(m, stage->string, stage, o.num, err);
    }
    if (num)
        *num = o.num;
    t3d_arena_free(&a);
    return r < 0 ? r : fresh;
}
