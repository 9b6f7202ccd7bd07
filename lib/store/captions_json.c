/* SPDX-License-Identifier: Apache-2.0 */
/* A list of captions may be one JSON object of a hundred megabytes: a scanner finds the members,
 * and only one of them at a time becomes a tree. */
#include <string.h>

#include "store/captions_impl.h"

/* A file made of JSON values with white space between: one map, one list, or NDJSON. */
struct scan {
    const char *begin, *p, *end;
    const char *name;
    const struct t3d_blob *blob;
};

enum { PEEK = 64 }; /* members looked at to tell a record from a map */

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static int skip_string(struct scan *s)
{
    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '\\')
            s->p++;
        else if (*s->p == '"')
            return s->p++, 0;
    }
    s->p = s->end;
    return -1;
}

/* Past one value, whatever it is; brackets are only counted, cJSON judges the syntax later. */
static int skip_value(struct scan *s)
{
    size_t depth = 0;

    skip_space(s);
    for (const char *begin = s->p; s->p < s->end;) {
        char c = *s->p;
        if (c == '"') {
            if (skip_string(s) < 0)
                return -1;
            if (!depth)
                return 0;
            continue;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (!depth)
                return s->p > begin ? 0 : -1;
            if (!--depth)
                return s->p++, 0;
        } else if (!depth &&
                   (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            return s->p > begin ? 0 : -1;
        }
        s->p++;
    }
    return depth ? -1 : 0;
}

static int broken(const struct scan *s, const char *what, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "not-json", "%s byte %lld: %s: is the file cut off?",
                       s->name, (long long)(s->p - s->begin), what);
}

/* Inside an object, at a key: *key and *value are the texts of both, s->p behind the value. 1 = the
 * object has ended. */
static int next_member(struct scan *s, struct scan *key, struct scan *value)
{
    skip_space(s);
    if (s->p < s->end && *s->p == ',')
        s->p++;
    skip_space(s);
    if (s->p < s->end && *s->p == '}')
        return s->p++, 1;
    if (s->p >= s->end || *s->p != '"')
        return -1;
    *key = *s;
    if (skip_string(s) < 0)
        return -1;
    key->end = s->p;
    skip_space(s);
    if (s->p >= s->end || *s->p++ != ':')
        return -1;
    skip_space(s);
    *value = *s;
    if (skip_value(s) < 0)
        return -1;
    value->end = s->p;
    return 0;
}

static cJSON *parse(const struct scan *s)
{
    return cJSON_ParseWithLength(s->p, (size_t)(s->end - s->p));
}

static int add_record(struct t3d_captions *c, const cJSON *o, const char *key, uint64_t where,
                      struct t3d_err *err)
{
    struct t3di_caption_row row = {.where = where};
    const cJSON *m;

    row.field[T3DI_KEY] = key;
    if (cJSON_IsString(o))
        row.field[T3DI_CAPTION] = o->valuestring;
    else if (cJSON_IsArray(o))
        row.captions = o;
    else if (!cJSON_IsObject(o))
        return t3di_captions_bad(c, where, "not-a-record", "neither a text, a list nor a record"),
               T3D_OK;
    for (m = cJSON_IsObject(o) ? o->child : NULL; m; m = m->next) {
        enum t3di_caption_field f =
            m->string ? t3di_caption_field(m->string, strlen(m->string)) : T3DI_FIELDS;
        if (f == T3DI_FIELDS || cJSON_IsNull(m))
            continue;
        if (f == T3DI_CAPTION && cJSON_IsArray(m))
            row.captions = m;
        else if (cJSON_IsString(m))
            row.field[f] = m->valuestring;
        else
            return t3di_captions_bad(c, where, "not-a-record", "member '%.40s' is not a text",
                                     m->string),
                   T3D_OK;
    }
    return t3di_captions_add(c, &row, err);
}

static int add_text(struct t3d_captions *c, const struct scan *s, const char *key,
                    struct t3d_err *err)
{
    uint64_t where = (uint64_t)(s->p - s->begin);
    cJSON *o = parse(s);
    int r = T3D_OK;

    if (o)
        r = add_record(c, o, key, where, err);
    else
        t3di_captions_bad(c, where, "not-json", "not JSON: %.40s",
                          cJSON_GetErrorPtr() ? "bad syntax" : "");
    cJSON_Delete(o);
    return r;
}

/* 1 when the object at s is a record: two of its first members have known names, one of them a key.
 */
static int is_record(struct scan s)
{
    struct scan key, value;
    int keys = 0, known = 0;

    s.p++;
    for (int i = 0; i < PEEK && next_member(&s, &key, &value) == 0; i++) {
        enum t3di_caption_field f = t3di_caption_field(key.p + 1, (size_t)(key.end - key.p) - 2);
        keys += f <= T3DI_SHA256;
        known += f < T3DI_FIELDS;
    }
    return keys && known > 1;
}

static int read_map(struct t3d_captions *c, struct scan *s, struct t3d_err *err)
{
    struct scan key, value;
    size_t released = 0;
    int x, r = T3D_OK;

    s->p++;
    while ((x = next_member(s, &key, &value)) == 0 && r == T3D_OK) {
        cJSON *name = parse(&key);
        t3di_captions_release(s->blob, key.p, &released);
        if (name)
            r = add_text(c, &value, name->valuestring, err);
        else
            t3di_captions_bad(c, (uint64_t)(key.p - key.begin), "not-json", "the key is not JSON");
        cJSON_Delete(name);
    }
    return r < 0 ? r : x < 0 ? broken(s, "not a member of an object", err) : T3D_OK;
}

static int read_list(struct t3d_captions *c, struct scan *s, struct t3d_err *err)
{
    size_t released = 0;

    for (s->p++;;) {
        struct scan item;
        int r;

        skip_space(s);
        if (s->p < s->end && *s->p == ',')
            s->p++;
        skip_space(s);
        if (s->p < s->end && *s->p == ']')
            return s->p++, T3D_OK;
        item = *s;
        if (s->p >= s->end || skip_value(s) < 0)
            return broken(s, "the list does not end", err);
        item.end = s->p;
        r = add_text(c, &item, NULL, err);
        if (r < 0)
            return r;
        t3di_captions_release(s->blob, s->p, &released);
    }
}

int t3di_captions_read_json(struct t3d_captions *c, const struct t3d_blob *b, const char *name,
                            struct t3d_err *err)
{
    struct scan s = {.begin = (const char *)b->data,
                     .p = (const char *)b->data,
                     .end = (const char *)b->data + b->size,
                     .name = name,
                     .blob = b};
    int r = T3D_OK;

    t3di_captions_unit(c, "byte");
    if (b->size >= 3 && memcmp(b->data, "\xef\xbb\xbf", 3) == 0)
        s.p += 3;
    for (skip_space(&s); s.p < s.end && r == T3D_OK; skip_space(&s)) {
        struct scan item = s;
        if (*s.p == '[') {
            r = read_list(c, &s, err);
        } else if (*s.p == '{' && !is_record(s)) {
            r = read_map(c, &s, err);
        } else if (*s.p != '{' || skip_value(&s) < 0) {
            r = broken(&s, "not a JSON object", err);
        } else {
            item.end = s.p;
            r = add_text(c, &item, NULL, err);
        }
    }
    return r;
}
