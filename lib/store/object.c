/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/arena.h"
#include "base/json.h"
#include "store/manifest_impl.h"

enum { BATCH = 256 };

int t3d_uid_valid(const char *s)
{
    size_t n = 0;

    for (; s[n]; n++)
        if (n == T3D_UID_SIZE - 1 || !(isalnum((unsigned char)s[n]) || strchr("._-", s[n])))
            return 0;
    return n > 0 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

void t3d_object_key(const struct t3d_object *o, char key[33])
{
    snprintf(key, 33, "%.32s", o->content);
}

/* --- register ------------------------------------------------------------------------------------
 */

struct known {
    int64_t num;
    char uid[T3D_UID_SIZE], content[65];
};

static int step_known(struct t3d_manifest *m, sqlite3_stmt *st, struct known *k,
                      struct t3d_err *err)
{
    int r = t3di_step(m, st, err);

    if (r != T3D_OK)
        return r;
    k->num = sqlite3_column_int64(st, 0);
    snprintf(k->uid, sizeof k->uid, "%s", (const char *)sqlite3_column_text(st, 1));
    t3di_column_hex(st, 2, k->content, 32);
    t3di_done(st);
    return T3D_OK;
}

static int find_uid(struct t3d_manifest *m, const char *uid, struct known *k, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r =
        t3di_query(m, &st, err, "SELECT num, uid, content FROM object WHERE uid = ?1", "t", uid);

    return r == T3D_OK ? step_known(m, st, k, err) : r;
}

static int find_content(struct t3d_manifest *m, const char *content, struct known *k,
                        struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r = t3di_query(m, &st, err,
                       "SELECT num, uid, content FROM object WHERE content IS NOT NULL AND "
                       "substr(content, 1, 8) = substr(?1, 1, 8) AND content = ?1 "
                       "ORDER BY num LIMIT 1",
                       "x", content);

    return r == T3D_OK ? step_known(m, st, k, err) : r;
}

int t3di_find_key(struct t3d_manifest *m, const char *key, int64_t *num, struct t3d_err *err)
{
    int r = t3di_int(m, num, -1, err,
                     "SELECT num FROM object WHERE content IS NOT NULL AND substr(content, 1, 8) = "
                     "substr(?1, 1, 8) AND substr(content, 1, 16) = ?1 ORDER BY num LIMIT 1",
                     "x", key);

    return r == T3D_OK && *num < 0 ? T3D_END : r;
}

static int add_source(struct t3d_manifest *m, int64_t num, const struct t3d_object *o,
                      struct t3d_err *err)
{
    if (!o->path)
        return T3D_OK;
    return t3di_exec(m, err,
                     "INSERT INTO source(num, i, dataset, path) SELECT ?1, (SELECT count(*) FROM "
                     "source WHERE num = ?1), ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM source WHERE "
                     "num = ?1 AND dataset = ?2 AND path = ?3)",
                     "itt", num, o->source ? o->source : "local", o->path);
}

static int put_captions(struct t3d_manifest *m, int64_t num, const struct t3d_object *o, int fresh,
                        struct t3d_err *err)
{
    int r = T3D_OK;

    if (!o->n_captions)
        return T3D_OK;
    if (!fresh)
        r = t3di_exec(m, err, "DELETE FROM caption WHERE num = ?1 AND i >= ?2", "ii", num,
                      (int64_t)o->n_captions);
    for (size_t i = 0; i < o->n_captions && r == T3D_OK; i++)
        r = t3di_exec(m, err,
                      "INSERT INTO caption(num, i, text) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE "
                      "SET text = excluded.text WHERE text IS NOT excluded.text",
                      "iit", num, (int64_t)i, o->caption[i]);
    return r;
}

static int update(struct t3d_manifest *m, const struct t3d_object *o, struct t3d_err *err)
{
    int r = T3D_OK;

    if (o->content[0])
        r = t3di_exec(
            m, err,
            "UPDATE object SET content = ?2, file = ?3, ending = ?4, bytes = ?5 WHERE num "
            "= ?1 AND (content IS NOT ?2 OR ending IS NOT ?4 OR bytes IS NOT ?5)",
            "ixxti", o->num, o->content,
            strcmp(o->content, o->file_sha256) == 0 ? "" : o->file_sha256, o->ending,
            (int64_t)o->bytes);
    if (r == T3D_OK && (o->license || o->split || o->group))
        r = t3di_exec(m, err,
                      "UPDATE object SET license = coalesce(?2, license), \"group\" = coalesce(?4, "
                      "\"group\"), split_given = iif(?3 IS NULL, split_given, ?5), split = "
                      "coalesce(?3, split) WHERE num = ?1",
                      "ittti", o->num, o->license, o->split, o->group, (int64_t)o->split_given);
    if (r == T3D_OK)
        r = put_captions(m, o->num, o, 0, err);
    if (r == T3D_OK)
        r = add_source(m, o->num, o, err);
    return r;
}

static int insert(struct t3d_manifest *m, struct t3d_object *o, struct t3d_err *err)
{
    int r = T3D_OK;

    if (m->next_num < 0)
        r = t3di_int(m, &m->next_num, 0, err, "SELECT max(num) + 1 FROM object", "");
    if (r < 0)
        return r;
    o->num = m->next_num;
    r = t3di_exec(
        m, err,
        "INSERT INTO object(num, uid, content, file, ending, bytes, license, split, "
        "split_given, \"group\") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0), ?10)",
        "itxxtittit", o->num, o->uid, o->content,
        strcmp(o->content, o->file_sha256) == 0 ? "" : o->file_sha256, o->ending, (int64_t)o->bytes,
        o->license, o->split, (int64_t)o->split_given, o->group);
    if (r == T3D_OK && o->path)
        r = t3di_exec(m, err, "INSERT INTO source(num, i, dataset, path) VALUES(?1, 0, ?2, ?3)",
                      "itt", o->num, o->source ? o->source : "local", o->path);
    if (r == T3D_OK)
        r = put_captions(m, o->num, o, 1, err);
    if (r == T3D_OK)
        m->next_num++;
    return r;
}

static int duplicate(const struct t3d_object *o, const struct known *k, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_SKIP, "duplicate-of",
                       "object %s has the same content as %s, which is kept", o->uid, k->uid);
}

static int check_object(const struct t3d_object *o, struct t3d_err *err)
{
    if (!t3d_uid_valid(o->uid))
        return t3d_err_set(err, T3D_SKIP, "bad-uid",
                           "'%.140s' cannot be a uid: use 1 to 128 of A-Z a-z 0-9 . _ -", o->uid);
    if (o->split && strcmp(o->split, "train") && strcmp(o->split, "val") &&
        strcmp(o->split, "test"))
        return t3d_err_set(err, T3D_SKIP, "bad-split",
                           "object %s: split '%.40s' is not train, val or test", o->uid, o->split);
    return T3D_OK;
}

int t3d_manifest_register(struct t3d_manifest *m, struct t3d_object *o, int given_uid,
                          struct t3d_err *err)
{
    struct known k, same;
    int r = check_object(o, err), s = T3D_END;

    if (r < 0)
        return r;
    r = find_uid(m, o->uid, &k, err);
    if (r >= 0 && o->content[0] && !(r == T3D_OK && strcmp(k.content, o->content) == 0))
        s = find_content(m, o->content, &same, err);
    if (r < 0 || s < 0)
        return r < 0 ? r : s;
    if (r == T3D_OK) {
        o->num = k.num;
        if (s == T3D_OK && same.num != k.num)
            return duplicate(o, &same, err);
        r = update(m, o, err);
        return r < 0 ? r : T3D_END;
    }
    if (s == T3D_END)
        return insert(m, o, err);
    if (given_uid)
        return duplicate(o, &same, err);
    o->num = same.num;
    snprintf(o->uid, sizeof o->uid, "%s", same.uid);
    r = update(m, o, err);
    return r < 0 ? r : T3D_END;
}

int t3d_manifest_put_split(struct t3d_manifest *m, int64_t num, const char *split,
                           struct t3d_err *err)
{
    return t3di_exec(m, err, "UPDATE object SET split = ?2 WHERE num = ?1 AND split IS NOT ?2",
                     "it", num, split);
}

/* --- read
 * ------------------------------------------------------------------------------------------ */

static const char *column_dup(sqlite3_stmt *st, int column, struct t3d_arena *a, int *bad)
{
    const char *s = (const char *)sqlite3_column_text(st, column);
    char *copy = s ? t3d_strdup(a, s) : NULL;

    *bad |= s && !copy;
    return copy;
}

static int read_object(sqlite3_stmt *st, struct t3d_object *o, struct t3d_arena *a,
                       struct t3d_err *err)
{
    int bad = 0;

    memset(o, 0, sizeof *o);
    o->num = sqlite3_column_int64(st, 0);
    snprintf(o->uid, sizeof o->uid, "%s", (const char *)sqlite3_column_text(st, 1));
    t3di_column_hex(st, 2, o->content, 32);
    t3di_column_hex(st, 3, o->file_sha256, 32);
    if (!o->file_sha256[0])
        memcpy(o->file_sha256, o->content, sizeof o->content);
    snprintf(o->ending, sizeof o->ending, "%s", (const char *)sqlite3_column_text(st, 4));
    o->bytes = (uint64_t)sqlite3_column_int64(st, 5);
    o->license = column_dup(st, 6, a, &bad);
    o->split = column_dup(st, 7, a, &bad);
    o->split_given = sqlite3_column_int(st, 8);
    o->group = column_dup(st, 9, a, &bad);
    return bad ? t3d_err_nomem(err, o->uid) : T3D_OK;
}

static int read_objects(struct t3d_manifest *m, int64_t lo, int64_t hi, struct t3d_object *o,
                        size_t max, size_t *n, struct t3d_arena *a, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r =
        t3di_query(m, &st, err,
                   "SELECT num, uid, content, file, ending, bytes, license, split, split_given, "
                   "\"group\" FROM object WHERE num >= ?1 AND num < ?2 ORDER BY num LIMIT ?3",
                   "iii", lo, hi, (int64_t)max);

    *n = 0;
    if (r < 0)
        return r;
    while (*n < max && (r = t3di_step(m, st, err)) == T3D_OK) {
        r = read_object(st, &o[*n], a, err);
        if (r < 0)
            break;
        ++*n;
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

/* The first source of each object; both lists are in number order. */
static int read_sources(struct t3d_manifest *m, struct t3d_object *o, size_t n, struct t3d_arena *a,
                        struct t3d_err *err)
{
    sqlite3_stmt *st;
    size_t k = 0;
    int bad = 0;
    int r =
        t3di_query(m, &st, err,
                   "SELECT num, dataset, path FROM source WHERE num >= ?1 AND num <= ?2 AND i = 0 "
                   "ORDER BY num",
                   "ii", o[0].num, o[n - 1].num);

    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) {
        int64_t num = sqlite3_column_int64(st, 0);
        while (k < n && o[k].num < num)
            k++;
        if (k == n || o[k].num != num)
            continue;
        o[k].source = column_dup(st, 1, a, &bad);
        o[k].path = column_dup(st, 2, a, &bad);
    }
    t3di_done(st);
    return r < 0 ? r : bad ? t3d_err_nomem(err, "a source") : T3D_OK;
}

static int add_caption(struct t3d_object *o, sqlite3_stmt *st, struct t3d_arena *a)
{
    int bad = 0;
    const char *text = column_dup(st, 1, a, &bad);

    /* Grown by doubling: objects have one caption or a few. */
    if (!bad && (o->n_captions & (o->n_captions - 1)) == 0) {
        const char **more = t3d_alloc(a, o->n_captions ? 2 * o->n_captions : 1, sizeof *more);
        if (!more)
            return -1;
        if (o->n_captions)
            memcpy(more, o->caption, o->n_captions * sizeof *more);
        o->caption = more;
    }
    if (bad)
        return -1;
    o->caption[o->n_captions++] = text;
    return 0;
}

static int read_captions(struct t3d_manifest *m, struct t3d_object *o, size_t n,
                         struct t3d_arena *a, struct t3d_err *err)
{
    sqlite3_stmt *st;
    size_t k = 0;
    int r = t3di_query(
        m, &st, err, "SELECT num, text FROM caption WHERE num >= ?1 AND num <= ?2 ORDER BY num, i",
        "ii", o[0].num, o[n - 1].num);

    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) {
        int64_t num = sqlite3_column_int64(st, 0);
        while (k < n && o[k].num < num)
            k++;
        if (k < n && o[k].num == num && add_caption(&o[k], st, a) < 0)
            r = t3d_err_nomem(err, "captions");
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

int t3di_objects(struct t3d_manifest *m, int64_t lo, int64_t hi, struct t3d_object **out, size_t *n,
                 struct t3d_arena *a, struct t3d_err *err)
{
    size_t max = hi - lo < BATCH ? (size_t)(hi - lo) : BATCH;
    struct t3d_object *o = t3d_alloc(a, max, sizeof *o);
    int r;

    *n = 0;
    *out = o;
    if (!o)
        return t3d_err_nomem(err, "objects");
    r = t3di_read_begin(m, err);
    if (r < 0)
        return r;
    r = read_objects(m, lo, hi, o, max, n, a, err);
    if (r == T3D_OK && *n)
        r = read_sources(m, o, *n, a, err);
    if (r == T3D_OK && *n)
        r = read_captions(m, o, *n, a, err);
    t3di_read_end(m);
    return r;
}

int t3d_manifest_find(struct t3d_manifest *m, const char *uid, struct t3d_object *o,
                      struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_object *list;
    struct known k;
    size_t n = 0;
    int r = find_uid(m, uid, &k, err);

    if (r == T3D_OK)
        r = t3di_objects(m, k.num, k.num + 1, &list, &n, a, err);
    if (r == T3D_OK && n == 1)
        *o = list[0];
    return r == T3D_OK && n == 0 ? T3D_END : r;
}

static const char *dup_or_null(struct t3d_arena *a, const char *s, int *bad)
{
    const char *copy = s ? t3d_strdup(a, s) : NULL;

    *bad |= s && !copy;
    return copy;
}

int t3di_object_copy(struct t3d_object *to, const struct t3d_object *from, struct t3d_arena *a,
                     struct t3d_err *err)
{
    int bad = 0;

    *to = *from;
    to->source = dup_or_null(a, from->source, &bad);
    to->path = dup_or_null(a, from->path, &bad);
    to->license = dup_or_null(a, from->license, &bad);
    to->split = dup_or_null(a, from->split, &bad);
    to->group = dup_or_null(a, from->group, &bad);
    to->caption = t3d_alloc(a, from->n_captions, sizeof *to->caption);
    bad |= !to->caption;
    for (size_t i = 0; i < from->n_captions && !bad; i++)
        to->caption[i] = dup_or_null(a, from->caption[i], &bad);
    return bad ? t3d_err_nomem(err, from->uid) : T3D_OK;
}

/* --- cursor
 * ---------------------------------------------------------------------------------------- */

struct t3d_cursor {
    struct t3d_manifest *m;
    int64_t next; /* number to go on with */
    struct t3d_object *object;
    size_t n, at;
    struct t3d_arena arena; /* of the batch */
};

int t3d_cursor_open(struct t3d_cursor **out, struct t3d_manifest *m, int64_t first,
                    struct t3d_err *err)
{
    struct t3d_cursor *c = calloc(1, sizeof *c);

    *out = c;
    if (!c)
        return t3d_err_nomem(err, "a list of objects");
    c->m = m;
    c->next = first;
    return T3D_OK;
}

int t3d_cursor_next(struct t3d_cursor *c, struct t3d_object *o, struct t3d_arena *a,
                    struct t3d_err *err)
{
    int r;

    if (c->at == c->n) {
        t3d_arena_reset(&c->arena);
        c->at = 0;
        r = t3di_objects(c->m, c->next, INT64_MAX, &c->object, &c->n, &c->arena, err);
        if (r < 0) {
            c->n = 0;
            return r;
        }
        if (c->n == 0)
            return T3D_END;
        c->next = c->object[c->n - 1].num + 1;
    }
    return t3di_object_copy(o, &c->object[c->at++], a, err);
}

void t3d_cursor_close(struct t3d_cursor *c)
{
    if (!c)
        return;
    t3d_arena_free(&c->arena);
    free(c);
}
