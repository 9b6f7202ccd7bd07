/* SPDX-License-Identifier: Apache-2.0 */
#include "store/captions.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "store/captions_impl.h"
#include "store/manifest.h"
#include "store/split.h"

enum { BLOCK = 1 << 20, RELEASE = 1 << 24, BY_PATH = 1, BY_SHA256 = 2, BY_UID = 4, BY_NAME = 8 };

/* A row is packed bytes: used flag, then the strings of row_fields, then its captions, each with
 * its NUL, then an empty string. */
static const enum t3di_caption_field row_fields[] = {T3DI_UID, T3DI_LICENSE, T3DI_DATASET,
                                                     T3DI_GROUP, T3DI_SPLIT};

struct key {
    const char *text;
    char *row;
    uint32_t older; /* next key with this hash slot's text, + 1; 0 = none */
    uint32_t kinds; /* BY_... */
};

struct t3d_captions {
    struct t3d_arena arena;
    char *block;
    size_t block_left;
    struct key *key;
    size_t n_keys, key_capacity;
    uint32_t *slot; /* newest key of each text, + 1; open addressing, at most half full */
    size_t n_texts, slot_capacity;
    const char *unit;
    struct t3d_caption_counts n;
    const struct t3di_caption_reader *reader; /* NULL = make an index */
    int lost;                                 /* the reader could not take a bad row */
};

int t3di_captions_keyless(const struct t3d_captions *c)
{
    return c->reader != NULL;
}

enum t3di_caption_field t3di_caption_field(const char *word, size_t n)
{
    static const struct {
        const char *word;
        enum t3di_caption_field field;
    } names[] = {{"uid", T3DI_UID},         {"id", T3DI_UID},          {"path", T3DI_PATH},
                 {"file", T3DI_PATH},       {"filename", T3DI_PATH},   {"sha256", T3DI_SHA256},
                 {"hash", T3DI_SHA256},     {"caption", T3DI_CAPTION}, {"captions", T3DI_CAPTION},
                 {"text", T3DI_CAPTION},    {"license", T3DI_LICENSE}, {"licence", T3DI_LICENSE},
                 {"dataset", T3DI_DATASET}, {"pack", T3DI_DATASET},    {"group", T3DI_GROUP},
                 {"split", T3DI_SPLIT}};

    for (size_t i = 0; i < T3D_COUNT(names); i++)
        if (strlen(names[i].word) == n && strncasecmp(names[i].word, word, n) == 0)
            return names[i].field;
    return T3DI_FIELDS;
}

void t3di_captions_unit(struct t3d_captions *c, const char *unit)
{
    c->unit = unit;
}

void t3di_captions_bad(struct t3d_captions *c, uint64_t where, const char *reason, const char *fmt,
                       ...)
{
    char text[400];
    va_list ap;

    if (c->n.bad++ && !c->reader)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (c->reader) {
        struct t3d_err why;
        t3d_err_set(&why, T3D_SKIP, reason, "%s %llu: %s", c->unit, (unsigned long long)where,
                    text);
        c->lost |= c->reader->bad(c->reader->ctx, reason, why.msg, NULL) < 0;
        return;
    }
    t3d_err_set(&c->n.first_bad, T3D_SKIP, reason, "%s %llu: %s", c->unit,
                (unsigned long long)where, text);
}

/* FNV-1a with a final mix (Fowler, Noll, Vo; finaliser of MurmurHash3). */
static uint64_t hash_text(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    return h ^ h >> 33;
}

static uint32_t *find_slot(const struct t3d_captions *c, uint32_t *slot, size_t capacity,
                           const char *text)
{
    size_t i = hash_text(text) & (capacity - 1);

    while (slot[i] && strcmp(c->key[slot[i] - 1].text, text) != 0)
        i = (i + 1) & (capacity - 1);
    return &slot[i];
}

static int grow_slots(struct t3d_captions *c, struct t3d_err *err)
{
    size_t capacity = c->slot_capacity ? 2 * c->slot_capacity : 1024;
    uint32_t *slot = calloc(capacity, sizeof *slot);

    if (!slot)
        return t3d_err_nomem(err, "the captions");
    for (size_t i = 0; i < c->slot_capacity; i++)
        if (c->slot[i])
            *find_slot(c, slot, capacity, c->key[c->slot[i] - 1].text) = c->slot[i];
    free(c->slot);
    c->slot = slot;
    c->slot_capacity = capacity;
    return T3D_OK;
}

static int add_key(struct t3d_captions *c, const char *text, char *row, uint32_t kinds,
                   struct t3d_err *err)
{
    uint32_t *slot;
    int r;

    if (c->n_keys == c->key_capacity) {
        size_t capacity = c->key_capacity ? c->key_capacity + c->key_capacity / 2 : 1024;
        struct key *key = capacity < UINT32_MAX ? realloc(c->key, capacity * sizeof *key) : NULL;
        if (!key)
            return t3d_err_nomem(err, "the captions");
        c->key = key;
        c->key_capacity = capacity;
    }
    if (2 * (c->n_texts + 1) > c->slot_capacity && (r = grow_slots(c, err)) < 0)
        return r;
    slot = find_slot(c, c->slot, c->slot_capacity, text);
    c->n_texts += *slot == 0;
    c->key[c->n_keys] = (struct key){text, row, *slot, kinds};
    *slot = (uint32_t)++c->n_keys;
    return T3D_OK;
}

static char *take_bytes(struct t3d_captions *c, size_t n)
{
    char *p;

    if (n > c->block_left) {
        c->block_left = T3D_MAX(n, BLOCK);
        c->block = t3d_alloc_raw(&c->arena, c->block_left, 1);
        if (!c->block) {
            c->block_left = 0;
            return NULL;
        }
    }
    p = c->block;
    c->block += n;
    c->block_left -= n;
    return p;
}

int t3di_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        int more = *s < 0x80                 ? 0
                   : *s >= 0xc2 && *s < 0xe0 ? 1
                   : *s >= 0xe0 && *s < 0xf0 ? 2
                   : *s >= 0xf0 && *s < 0xf5 ? 3
                                             : -1;
        if (more < 0 || (*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
            (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
            return 0;
        for (s++; more > 0; more--, s++)
            if ((*s & 0xc0) != 0x80)
                return 0;
    }
    return 1;
}

/* Copy with control characters as blanks and blanks at both ends dropped; returns the end behind
 * NUL. */
static char *put_text(char *to, const char *s)
{
    char *begin = to;

    s = s ? s : "";
    while (*s && (unsigned char)*s <= ' ')
        s++;
    for (; *s; s++)
        *to++ = (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s;
    while (to > begin && to[-1] == ' ')
        to--;
    *to++ = 0;
    return to;
}

/* Captions of a row: the list, or one text, which may itself be a JSON list in a CSV cell. */
static size_t count_bytes(const struct t3di_caption_row *row, const cJSON *list)
{
    size_t n = 2;
    const cJSON *item;

    for (size_t i = 0; i < T3D_COUNT(row_fields); i++)
        n += row->field[row_fields[i]] ? strlen(row->field[row_fields[i]]) + 1 : 1;
    cJSON_ArrayForEach (item, list)
        n += cJSON_IsString(item) ? strlen(item->valuestring) + 1 : 0;
    if (!list && row->field[T3DI_CAPTION])
        n += strlen(row->field[T3DI_CAPTION]) + 1;
    return n;
}

static char *pack_row(struct t3d_captions *c, const struct t3di_caption_row *row, const cJSON *list)
{
    char *begin = take_bytes(c, count_bytes(row, list)), *p = begin, *q;
    const cJSON *item;

    if (!p)
        return NULL;
    *p++ = 0;
    for (size_t i = 0; i < T3D_COUNT(row_fields); i++)
        p = put_text(p, row->field[row_fields[i]]);
    cJSON_ArrayForEach (item, list) {
        q = cJSON_IsString(item) ? put_text(p, item->valuestring) : p + 1;
        p = q - p > 1 ? q : p; /* an empty text would end the list */
    }
    if (!list && row->field[T3DI_CAPTION]) {
        q = put_text(p, row->field[T3DI_CAPTION]);
        p = q - p > 1 ? q : p;
    }
    *p = 0;
    return begin;
}

static int is_sha256(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static char *keep_key(struct t3d_captions *c, const char *s, int lower)
{
    size_t n = strlen(s) + 1;
    char *p = take_bytes(c, n);

    for (size_t i = 0; p && i < n; i++)
        p[i] = lower ? (char)tolower((unsigned char)s[i]) : s[i];
    return p;
}

static int add_keys(struct t3d_captions *c, const struct t3di_caption_row *row, char *packed,
                    struct t3d_err *err)
{
    static const struct {
        enum t3di_caption_field field;
        uint32_t kinds;
    } kinds[] = {{T3DI_PATH, BY_PATH},
                 {T3DI_SHA256, BY_SHA256},
                 {T3DI_UID, BY_UID | BY_NAME},
                 {T3DI_KEY, BY_PATH | BY_UID | BY_NAME}};

    for (size_t i = 0; i < T3D_COUNT(kinds); i++) {
        const char *s = row->field[kinds[i].field];
        uint32_t k = kinds[i].kinds;
        char *text;
        int r;

        if (!s || !*s)
            continue;
        /* The ids of Objaverse-XL are SHA-256 digests of the file. */
        if (is_sha256(s))
            k |= BY_SHA256;
        while (k & BY_PATH && s[0] == '.' && s[1] == '/')
            s += 2;
        text = keep_key(c, s, is_sha256(s));
        if (!text)
            return t3d_err_nomem(err, "the captions");
        r = add_key(c, text, packed, k, err);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

/* NULL, or what is wrong with the row. */
static const char *find_fault(const struct t3di_caption_row *row, const char **reason)
{
    const char *uid = row->field[T3DI_UID], *sha256 = row->field[T3DI_SHA256];
    const char *split = row->field[T3DI_SPLIT];
    int keyed = 0;

    for (int i = 0; i < T3DI_FIELDS; i++) {
        const char *s = row->field[i];
        if (s && !t3di_is_utf8(s))
            return *reason = "not-utf8", "is not UTF-8: convert the list with iconv";
        keyed |= s && *s && (i == T3DI_UID || i == T3DI_PATH || i == T3DI_SHA256 || i == T3DI_KEY);
    }
    if (!keyed)
        return *reason = "no-key", "has no uid, path or sha256";
    if (uid && *uid && !t3d_uid_valid(uid))
        return *reason = "bad-uid", "has a uid that is not 1 to 128 of A-Z a-z 0-9 . _ -";
    if (sha256 && *sha256 && !is_sha256(sha256))
        return *reason = "bad-sha256", "has a sha256 that is not 64 hexadecimal digits";
    if (split && *split && t3d_split_from(split) == T3D_SPLIT_NONE)
        return *reason = "bad-split", "has a split that is not train, val or test";
    return NULL;
}

int t3di_captions_add(struct t3d_captions *c, const struct t3di_caption_row *row,
                      struct t3d_err *err)
{
    const char *cell = row->field[T3DI_CAPTION], *reason = NULL;
    const char *fault = find_fault(row, &reason);
    cJSON *parsed = NULL;
    char *packed;

    if (c->reader)
        return c->reader->row(c->reader->ctx, row, err);
    if (fault) {
        t3di_captions_bad(c, row->where, reason, "the row %s", fault);
        return T3D_OK;
    }
    if (!row->captions && cell && *cell == '[') {
        parsed = cJSON_Parse(cell);
        if (!cJSON_IsArray(parsed)) {
            cJSON_Delete(parsed);
            parsed = NULL;
        }
    }
    packed = pack_row(c, row, row->captions ? row->captions : parsed);
    cJSON_Delete(parsed);
    if (!packed)
        return t3d_err_nomem(err, "the captions");
    c->n.rows++;
    return add_keys(c, row, packed, err);
}

void t3di_captions_release(const struct t3d_blob *b, const void *p, size_t *done)
{
    size_t at = (size_t)((const uint8_t *)p - b->data) & ~(size_t)(RELEASE - 1);

    if (!b->map || at <= *done)
        return;
    (void)madvise((char *)b->map + *done, at - *done, MADV_DONTNEED);
    *done = at;
}

static int read_file(struct t3d_captions *c, const char *path, struct t3d_err *err)
{
    struct t3d_blob b;
    size_t i = 0;
    int r = t3d_blob_open(&b, path, 0, err);

    if (r < 0) {
        if (err)
            err->code = T3D_USAGE;
        return T3D_USAGE;
    }
    while (i < b.size && (isspace(b.data[i]) || b.data[i] == 0xef || b.data[i] == 0xbb ||
                          b.data[i] == 0xbf)) /* white space and the byte order mark */
        i++;
    if (b.size > 2 && b.data[0] == 0x1f && b.data[1] == 0x8b)
        r = t3d_err_set(err, T3D_USAGE, "compressed", "'%s' is gzip: unpack it with gunzip first",
                        path);
    else if (i < b.size && (b.data[i] == '{' || b.data[i] == '['))
        r = t3di_captions_read_json(c, &b, path, err);
    else
        r = t3di_captions_read_csv(c, &b, path, err);
    t3d_blob_close(&b);
    return r;
}

int t3d_captions_open(struct t3d_captions **out, const char *path, struct t3d_err *err)
{
    struct t3d_captions *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return t3d_err_nomem(err, "the captions");
    c->unit = "line";
    r = read_file(c, path, err);
    if (r < 0) {
        t3d_captions_close(c);
        return r;
    }
    *out = c;
    return T3D_OK;
}

int t3di_captions_each(const struct t3di_caption_reader *reader, const char *path,
                       struct t3d_err *err)
{
    struct t3d_captions c = {.unit = "line", .reader = reader};
    int r = read_file(&c, path, err);

    return r == T3D_OK && c.lost ? t3d_err_nomem(err, "the captions") : r;
}

void t3d_captions_close(struct t3d_captions *c)
{
    if (!c)
        return;
    free(c->key);
    free(c->slot);
    t3d_arena_free(&c->arena);
    free(c);
}

void t3d_captions_count(const struct t3d_captions *c, struct t3d_caption_counts *n)
{
    *n = c->n;
}

/* The newest key of this text and kind, + 1; 0 = none. */
static uint32_t look_up(const struct t3d_captions *c, const char *text, uint32_t kind)
{
    uint32_t k =
        text && *text && c->slot_capacity ? *find_slot(c, c->slot, c->slot_capacity, text) : 0;

    while (k && !(c->key[k - 1].kinds & kind))
        k = c->key[k - 1].older;
    return k;
}

/* The longest tail of the absolute path that the list has. */
static uint32_t look_up_suffix(const struct t3d_captions *c, const char *path)
{
    uint32_t k = look_up(c, path, BY_PATH);

    for (const char *s = path; !k && (s = strchr(s, '/')) != NULL;)
        k = look_up(c, ++s, BY_PATH);
    return k;
}

static uint32_t look_up_name(const struct t3d_captions *c, const char *path, struct t3d_arena *a)
{
    const char *base = t3d_path_base(path), *dot = strrchr(base, '.');
    char *stem = t3d_strndup(a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));

    return look_up(c, stem, BY_NAME);
}

static uint32_t look_up_all(const struct t3d_captions *c, const struct t3d_caption_query *q,
                            const char **by, uint32_t *kind, struct t3d_arena *a)
{
    const char *path = q->absolute ? q->absolute : q->below;
    uint32_t k;

    *kind = BY_PATH;
    if (*by = "path", (k = look_up(c, q->below, BY_PATH)))
        return k;
    if (*by = "sha256", *kind = BY_SHA256, (k = look_up(c, q->sha256, BY_SHA256)))
        return k;
    if (*by = "uid", *kind = BY_UID, (k = look_up(c, q->uid, BY_UID)))
        return k;
    if (!path)
        return 0;
    if (*by = "path-suffix", *kind = BY_PATH, (k = look_up_suffix(c, path)))
        return k;
    *by = "name";
    *kind = BY_NAME;
    return look_up_name(c, path, a);
}

/* Take what the row gives; what an earlier row gave stays. */
static void take_row(struct t3d_captions *c, struct t3d_caption_match *m, char *row, uint32_t kind,
                     size_t *left)
{
    const char **to[] = {&m->uid, &m->license, &m->dataset, &m->group, &m->split};
    const char *s = row + 1;

    c->n.matched += row[0] == 0;
    row[0] = 1;
    for (size_t i = 0; i < T3D_COUNT(to); i++, s += strlen(s) + 1)
        if (*s && (i > 0 || kind & (BY_PATH | BY_SHA256)))
            *to[i] = s; /* rows come newest first, so the first of the file wins */
    for (size_t n = 0; *s; s += strlen(s) + 1, n++)
        m->caption[*left + n] = s;
}

static size_t count_captions(const char *row)
{
    const char *s = row + 1;
    size_t n = 0;

    for (size_t i = 0; i < T3D_COUNT(row_fields); i++)
        s += strlen(s) + 1;
    for (; *s; s += strlen(s) + 1)
        n++;
    return n;
}

int t3d_captions_find(struct t3d_captions *c, const struct t3d_caption_query *q,
                      struct t3d_caption_match *m, struct t3d_arena *a, struct t3d_err *err)
{
    const char *by;
    uint32_t kind, first = look_up_all(c, q, &by, &kind, a);
    size_t left;

    memset(m, 0, sizeof *m);
    if (!first)
        return T3D_END;
    m->by = by;
    for (uint32_t k = first; k; k = c->key[k - 1].older)
        if (c->key[k - 1].kinds & kind)
            m->n_captions += count_captions(c->key[k - 1].row);
    m->caption = t3d_alloc(a, m->n_captions, sizeof *m->caption);
    if (!m->caption)
        return t3d_err_nomem(err, "the captions of an object");
    left = m->n_captions;
    for (uint32_t k = first; k; k = c->key[k - 1].older)
        if (c->key[k - 1].kinds & kind) {
            left -= count_captions(c->key[k - 1].row);
            take_row(c, m, c->key[k - 1].row, kind, &left);
        }
    return T3D_OK;
}

static int same_captions(const struct t3d_object *o, const struct t3d_caption_match *m)
{
    if (o->n_captions != m->n_captions)
        return 0;
    for (size_t i = 0; i < o->n_captions; i++)
        if (strcmp(o->caption[i], m->caption[i]) != 0)
            return 0;
    return 1;
}

static int replace(const char **text, const char *by)
{
    int changed = by && (!*text || strcmp(*text, by) != 0);

    if (by)
        *text = by;
    return changed;
}

int t3d_captions_describe(struct t3d_captions *c, const struct t3d_caption_query *q,
                          struct t3d_object *o, const char **uid, int *changed, struct t3d_arena *a,
                          struct t3d_err *err)
{
    struct t3d_caption_match m;
    int r;

    *uid = NULL;
    *changed = 0;
    if (!c || (r = t3d_captions_find(c, q, &m, a, err)) == T3D_END)
        return T3D_OK;
    if (r < 0)
        return r;
    *uid = m.uid;
    *changed = m.n_captions && !same_captions(o, &m);
    if (m.n_captions) {
        o->caption = m.caption;
        o->n_captions = m.n_captions;
    }
    *changed |=
        replace(&o->license, m.license) | replace(&o->group, m.group) | replace(&o->split, m.split);
    if (m.dataset)
        o->source = m.dataset;
    if (m.split)
        o->split_given = 1;
    return T3D_OK;
}
