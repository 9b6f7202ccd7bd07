/* SPDX-License-Identifier: Apache-2.0 */
#include "store/safetensors.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/jsontok.h"
#include "base/utf8.h"

enum { PREFIX = 8, HEADER_MAX = 100000000, INDEX_MAX = 100000000, MAX_DEPTH = 8 };

struct entry {
    uint64_t begin, end;
    struct t3d_tensor *t;
};

struct reader {
    struct t3d_safetensors *s;
    struct t3d_jsontok j;
    const char *name; /* of the file */
    const uint8_t *data;
    uint64_t size; /* of the data behind the header */
    struct entry *entry;
    struct t3d_err *err;
};

static int bad(struct reader *r, const char *tensor, const char *what)
{
    if (tensor)
        return t3d_err_set(r->err, T3D_SKIP, "bad-safetensors", "'%s': tensor '%.200s' %s", r->name,
                           tensor, what);
    return t3d_err_set(r->err, T3D_SKIP, "bad-safetensors", "'%s' %s", r->name, what);
}

static int by_key(const void *a, const void *b)
{
    const struct t3d_safetensors_pair *x = a, *y = b;

    return strcmp(x->key, y->key);
}

static int read_metadata(struct reader *r, uint32_t t)
{
    struct t3d_safetensors *s = r->s;
    const struct t3d_jtok *tok = r->j.tok;

    if (tok[t].type != T3D_JTOK_OBJECT)
        return bad(r, NULL, "has a __metadata__ that is not an object");
    if (s->meta)
        return bad(r, NULL, "has __metadata__ twice");
    s->meta = t3d_alloc(&s->arena, tok[t].n, sizeof *s->meta);
    if (!s->meta)
        return t3d_err_nomem(r->err, r->name);
    for (uint32_t i = 0, k = t3d_jtok_first(&r->j, t); i < tok[t].n; i++) {
        uint32_t v = tok[k].next;

        if (tok[v].type != T3D_JTOK_STRING)
            return bad(r, NULL, "has a __metadata__ value that is not a string");
        s->meta[i].key = t3d_jtok_string(&r->j, k, &s->arena);
        s->meta[i].value = t3d_jtok_string(&r->j, v, &s->arena);
        if (!s->meta[i].key || !s->meta[i].value)
            return t3d_err_nomem(r->err, r->name);
        k = tok[v].next;
    }
    s->n_meta = tok[t].n;
    if (s->n_meta)
        qsort(s->meta, s->n_meta, sizeof *s->meta, by_key);
    for (size_t i = 1; i < s->n_meta; i++)
        if (strcmp(s->meta[i - 1].key, s->meta[i].key) == 0)
            return bad(r, NULL, "has a __metadata__ key twice");
    return T3D_OK;
}

static int read_type(struct reader *r, struct t3d_tensor *t, uint32_t v)
{
    char *type;

    if (r->j.tok[v].type != T3D_JTOK_STRING)
        return bad(r, t->name, "has a dtype that is not a string");
    type = t3d_jtok_string(&r->j, v, &r->s->arena);
    if (!type)
        return t3d_err_nomem(r->err, r->name);
    if (t3d_tensor_type_find(&t->type, type) < 0)
        return t3d_err_set(r->err, T3D_SKIP, "unsupported-type",
                           "'%s': tensor '%.200s' has elements of type '%.40s'; known are F64 F32 "
                           "F16 BF16 I64 I32 I16 I8 U8 BOOL",
                           r->name, t->name, type);
    return T3D_OK;
}

static int read_shape(struct reader *r, struct t3d_tensor *t, uint32_t v)
{
    const struct t3d_jtok *tok = r->j.tok;

    if (tok[v].type != T3D_JTOK_ARRAY)
        return bad(r, t->name, "has a shape that is not an array");
    if (tok[v].n > T3D_TENSOR_MAX_AXES)
        return bad(r, t->name, "has more than 8 axes");
    t->n_axes = (int)tok[v].n;
    for (uint32_t i = 0, e = t3d_jtok_first(&r->j, v); i < tok[v].n; i++, e = tok[e].next)
        if (!t3d_jtok_whole(&r->j, e, &t->shape[i]))
            return bad(r, t->name, "has a size in its shape that is not a whole number");
    return T3D_OK;
}

static int read_offsets(struct reader *r, struct entry *e, uint32_t v)
{
    uint32_t first = t3d_jtok_first(&r->j, v);

    if (r->j.tok[v].type != T3D_JTOK_ARRAY || r->j.tok[v].n != 2 ||
        !t3d_jtok_whole(&r->j, first, &e->begin) ||
        !t3d_jtok_whole(&r->j, r->j.tok[first].next, &e->end))
        return bad(r, e->t->name, "has data_offsets that are not two whole numbers");
    return T3D_OK;
}

/* Members of other names are passed over, as the reference does. */
static int read_members(struct reader *r, struct entry *e, uint32_t v)
{
    const struct t3d_jtok *tok = r->j.tok;
    unsigned seen = 0;
    int rc = T3D_OK;

    for (uint32_t i = 0, k = t3d_jtok_first(&r->j, v); i < tok[v].n && rc == T3D_OK; i++) {
        uint32_t value = tok[k].next;
        unsigned bit = t3d_jtok_is(&r->j, k, "dtype")          ? 1
                       : t3d_jtok_is(&r->j, k, "shape")        ? 2
                       : t3d_jtok_is(&r->j, k, "data_offsets") ? 4
                                                               : 0;
        if (seen & bit)
            return bad(r, e->t->name, "has a member twice");
        seen |= bit;
        rc = bit == 1   ? read_type(r, e->t, value)
             : bit == 2 ? read_shape(r, e->t, value)
             : bit == 4 ? read_offsets(r, e, value)
                        : T3D_OK;
        k = tok[value].next;
    }
    if (rc == T3D_OK && seen != 7)
        return bad(r, e->t->name, "lacks dtype, shape or data_offsets");
    return rc;
}

static int read_entry(struct reader *r, struct entry *e, uint32_t key)
{
    uint64_t bytes;
    uint32_t v = r->j.tok[key].next;
    int rc;

    e->t->name = t3d_jtok_string(&r->j, key, &r->s->arena);
    if (!e->t->name)
        return t3d_err_nomem(r->err, r->name);
    if (r->j.tok[v].type != T3D_JTOK_OBJECT)
        return bad(r, e->t->name, "is not described by an object");
    rc = read_members(r, e, v);
    if (rc < 0)
        return rc;
    if (t3d_tensor_layout(e->t, &bytes) < 0)
        return bad(r, e->t->name, "has a shape whose size overflows");
    if (e->end < e->begin || e->end > r->size)
        return bad(r, e->t->name, "has data_offsets outside the file");
    if (e->end - e->begin != bytes)
        return bad(r, e->t->name, "has data_offsets that differ from its shape and dtype");
    e->t->data = r->data + e->begin;
    return T3D_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* No hole, no overlap, nothing behind. */
static int check_cover(struct reader *r)
{
    uint64_t at = 0;

    if (r->s->n)
        qsort(r->entry, r->s->n, sizeof *r->entry, by_offset);
    for (size_t i = 0; i < r->s->n; i++) {
        if (r->entry[i].begin > at)
            return bad(r, r->entry[i].t->name, "has a hole before it");
        if (r->entry[i].begin < at)
            return bad(r, r->entry[i].t->name, "overlaps the tensor before it");
        at = r->entry[i].end;
    }
    if (at != r->size)
        return t3d_err_value(r->err, T3D_SKIP, "bad-safetensors", (double)(r->size - at),
                             "'%s' has %" PRIu64 " bytes behind its last tensor", r->name,
                             r->size - at);
    return T3D_OK;
}

static int read_entries(struct reader *r)
{
    struct t3d_safetensors *s = r->s;
    const struct t3d_jtok *tok = r->j.tok;
    uint32_t n = tok[T3D_JTOK_ROOT].n;
    const char *twice;
    int rc = T3D_OK;

    s->tensor = t3d_alloc(&s->arena, n, sizeof *s->tensor);
    r->entry = t3d_alloc(&s->arena, n, sizeof *r->entry);
    if (!s->tensor || !r->entry)
        return t3d_err_nomem(r->err, r->name);
    for (uint32_t i = 0, k = t3d_jtok_first(&r->j, T3D_JTOK_ROOT); i < n && rc == T3D_OK; i++) {
        if (t3d_jtok_is(&r->j, k, "__metadata__")) {
            rc = read_metadata(r, tok[k].next);
        } else {
            r->entry[s->n].t = &s->tensor[s->n];
            rc = read_entry(r, &r->entry[s->n], k);
            s->n++;
        }
        k = tok[tok[k].next].next;
    }
    if (rc == T3D_OK)
        rc = check_cover(r);
    if (rc < 0)
        return rc;
    twice = t3d_tensor_sort(s->tensor, s->n);
    return twice ? bad(r, twice, "is there twice") : T3D_OK;
}

static uint64_t load_u64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* The header's text must be one object padded by spaces alone: a reader that skips other bytes
 * would let two files with one meaning differ. */
static int check_header(struct reader *r, const uint8_t *data, uint64_t size, uint64_t *length)
{
    if (size < PREFIX)
        return bad(r, NULL, "is shorter than the 8 bytes of its header's length");
    *length = load_u64(data);
    if (*length > HEADER_MAX)
        return t3d_err_value(r->err, T3D_SKIP, "bad-safetensors", (double)*length,
                             "'%s' gives its header %" PRIu64 " bytes, more than the limit of %d",
                             r->name, *length, HEADER_MAX);
    if (*length > size - PREFIX)
        return t3d_err_value(r->err, T3D_SKIP, "bad-safetensors", (double)*length,
                             "'%s' is cut off in its header of %" PRIu64 " bytes", r->name,
                             *length);
    if (*length == 0 || data[PREFIX] != '{')
        return bad(r, NULL, "has a header that does not begin with '{'");
    if (t3d_utf8_valid((const char *)data + PREFIX, *length) != *length)
        return bad(r, NULL, "has a header that is not UTF-8");
    if (memchr(data + PREFIX, 0, *length))
        return bad(r, NULL, "has a NUL byte in its header");
    return T3D_OK;
}

static int parse(struct t3d_safetensors *s, const uint8_t *data, size_t size, const char *name,
                 struct t3d_err *err)
{
    struct reader r = {.s = s, .name = name, .err = err};
    struct t3d_arena scratch = {0};
    struct t3d_err why;
    uint64_t length = 0;
    int rc = check_header(&r, data, size, &length);

    if (rc < 0)
        return rc;
    r.data = data + PREFIX + length;
    r.size = size - PREFIX - length;
    rc = t3d_jsontok_parse(&r.j, &scratch, (const char *)data + PREFIX, length, MAX_DEPTH, &why);
    if (rc < 0)
        rc = t3d_err_set(err, T3D_SKIP, "bad-safetensors", "'%s': header: %s", name, why.msg);
    else
        rc = read_entries(&r);
    t3d_arena_free(&scratch);
    return rc;
}

int t3d_safetensors_parse(struct t3d_safetensors *s, const void *data, size_t size,
                          const char *name, struct t3d_err *err)
{
    int r;

    memset(s, 0, sizeof *s);
    r = parse(s, data, size, name, err);
    if (r < 0)
        t3d_safetensors_close(s);
    return r;
}

static int open_file(struct t3d_safetensors *s, const char *path, struct t3d_err *err)
{
    int r;

    s->blob = t3d_alloc(&s->arena, 1, sizeof *s->blob);
    if (!s->blob)
        return t3d_err_nomem(err, path);
    r = t3d_blob_open(s->blob, path, 0, err);
    if (r < 0)
        return r;
    s->n_blobs = 1;
    return parse(s, s->blob->data, s->blob->size, path, err);
}

static int is_plain_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/');
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct index {
    struct t3d_jsontok j;
    uint32_t map; /* the token of weight_map */
    char **file;  /* (n_files) sorted, each once */
    size_t n_files;
    struct t3d_safetensors *part; /* (n_files) */
};

static int read_index(struct index *x, struct t3d_arena *a, const struct t3d_blob *b,
                      const char *path, struct t3d_err *err)
{
    const struct t3d_jtok *tok;
    struct t3d_err why;
    size_t n;

    if (t3d_jsontok_parse(&x->j, a, (const char *)b->data, b->size, MAX_DEPTH, &why) < 0)
        return t3d_err_set(err, T3D_SKIP, "bad-safetensors", "'%s': %s", path, why.msg);
    tok = x->j.tok;
    x->map = t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "weight_map");
    if (tok[x->map].type != T3D_JTOK_OBJECT || tok[x->map].n == 0)
        return t3d_err_set(err, T3D_SKIP, "bad-safetensors",
                           "'%s' has no weight_map that names shards", path);
    n = tok[x->map].n;
    x->file = t3d_alloc(a, n, sizeof *x->file);
    if (!x->file)
        return t3d_err_nomem(err, path);
    for (uint32_t i = 0, k = t3d_jtok_first(&x->j, x->map); i < n; i++, k = tok[tok[k].next].next) {
        x->file[i] = t3d_jtok_string(&x->j, tok[k].next, a);
        if (!x->file[i] || !is_plain_name(x->file[i]))
            return t3d_err_set(err, T3D_SKIP, "bad-safetensors",
                               "'%s': the shard '%.100s' is not a plain file name", path,
                               x->file[i] ? x->file[i] : "");
    }
    qsort(x->file, n, sizeof *x->file, by_string);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(x->file[i], x->file[x->n_files - 1]) != 0)
            x->file[x->n_files++] = x->file[i];
    return T3D_OK;
}

static int open_parts(struct index *x, struct t3d_arena *a, const char *path, struct t3d_err *err)
{
    char *dir = t3d_strndup(a, path, (size_t)(t3d_path_base(path) - path));

    x->part = t3d_alloc(a, x->n_files, sizeof *x->part);
    if (!x->part || !dir)
        return t3d_err_nomem(err, path);
    for (size_t i = 0; i < x->n_files; i++) {
        char *file = t3d_sprintf(a, "%s%s", dir, x->file[i]);
        int r = file ? open_file(&x->part[i], file, err) : t3d_err_nomem(err, path);

        if (r < 0)
            return r;
    }
    return T3D_OK;
}

/* Each tensor of the map is in its shard; with as many tensors in the shards as in the map, the two
 * agree. */
static int check_map(const struct index *x, struct t3d_arena *a, const char *path,
                     struct t3d_err *err)
{
    const struct t3d_jtok *tok = x->j.tok;
    size_t n = 0;

    for (uint32_t i = 0, k = t3d_jtok_first(&x->j, x->map); i < tok[x->map].n; i++) {
        char *name = t3d_jtok_string(&x->j, k, a), *file = t3d_jtok_string(&x->j, tok[k].next, a);
        char **at;

        if (!name || !file)
            return t3d_err_nomem(err, path);
        at = bsearch(&file, x->file, x->n_files, sizeof *x->file, by_string);
        if (!at || !t3d_safetensors_find(&x->part[at - x->file], name))
            return t3d_err_set(err, T3D_SKIP, "bad-safetensors",
                               "'%s': tensor '%.150s' is not in its shard '%.100s'", path, name,
                               file);
        k = tok[tok[k].next].next;
    }
    for (size_t i = 0; i < x->n_files; i++)
        n += x->part[i].n;
    if (n != tok[x->map].n)
        return t3d_err_set(err, T3D_SKIP, "bad-safetensors",
                           "'%s' names %u tensors, its shards have %zu", path, tok[x->map].n, n);
    return T3D_OK;
}

/* One table over all shards, which keep their own memory: the arenas and maps move over. */
static int join_parts(struct t3d_safetensors *s, struct index *x, const char *path,
                      struct t3d_err *err)
{
    const char *twice;

    s->tensor = t3d_alloc(&s->arena, x->j.tok[x->map].n, sizeof *s->tensor);
    s->meta = t3d_alloc(&s->arena, x->part[0].n_meta, sizeof *s->meta);
    s->blob = t3d_alloc(&s->arena, x->n_files, sizeof *s->blob);
    if (!s->tensor || !s->meta || !s->blob)
        return t3d_err_nomem(err, path);
    for (size_t i = 0; i < x->n_files; i++) {
        const struct t3d_safetensors *p = &x->part[i];

        for (size_t k = 0; k < p->n; k++) {
            s->tensor[s->n] = p->tensor[k];
            s->tensor[s->n].name = t3d_strdup(&s->arena, p->tensor[k].name);
            if (!s->tensor[s->n++].name)
                return t3d_err_nomem(err, path);
        }
    }
    for (; s->n_meta < x->part[0].n_meta; s->n_meta++) {
        struct t3d_safetensors_pair *m = &s->meta[s->n_meta];

        m->key = t3d_strdup(&s->arena, x->part[0].meta[s->n_meta].key);
        m->value = t3d_strdup(&s->arena, x->part[0].meta[s->n_meta].value);
        if (!m->key || !m->value)
            return t3d_err_nomem(err, path);
    }
    twice = t3d_tensor_sort(s->tensor, s->n);
    if (twice)
        return t3d_err_set(err, T3D_SKIP, "bad-safetensors",
                           "'%s': tensor '%.200s' is in two shards", path, twice);
    for (size_t i = 0; i < x->n_files; i++) {
        s->blob[s->n_blobs++] = x->part[i].blob[0];
        x->part[i].n_blobs = 0;
    }
    return T3D_OK;
}

static int open_index(struct t3d_safetensors *s, const char *path, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct index x = {0};
    struct t3d_blob b;
    int r = t3d_blob_open(&b, path, INDEX_MAX, err);

    if (r < 0)
        return r;
    r = read_index(&x, &a, &b, path, err);
    if (r == T3D_OK)
        r = open_parts(&x, &a, path, err);
    if (r == T3D_OK)
        r = check_map(&x, &a, path, err);
    if (r == T3D_OK)
        r = join_parts(s, &x, path, err);
    for (size_t i = 0; x.part && i < x.n_files; i++)
        t3d_safetensors_close(&x.part[i]);
    t3d_blob_close(&b);
    t3d_arena_free(&a);
    return r;
}

static int open_folder(struct t3d_safetensors *s, const char *path, struct t3d_err *err)
{
    char *file = t3d_path_join(&s->arena, path, "model.safetensors");
    char *list = t3d_path_join(&s->arena, path, "model.safetensors.index.json");
    struct stat st;

    if (!file || !list)
        return t3d_err_nomem(err, path);
    if (stat(file, &st) == 0)
        return open_file(s, file, err);
    if (stat(list, &st) == 0)
        return open_index(s, list, err);
    return t3d_err_set(err, T3D_SKIP, "missing-file",
                       "'%s' has neither model.safetensors nor model.safetensors.index.json", path);
}

int t3d_safetensors_open(struct t3d_safetensors *s, const char *path, struct t3d_err *err)
{
    struct stat st;
    int r;

    memset(s, 0, sizeof *s);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        r = open_folder(s, path, err);
    else if (strcmp(t3d_path_ending(path), "json") == 0)
        r = open_index(s, path, err);
    else
        r = open_file(s, path, err);
    if (r < 0)
        t3d_safetensors_close(s);
    return r;
}

void t3d_safetensors_close(struct t3d_safetensors *s)
{
    for (size_t i = 0; i < s->n_blobs; i++)
        t3d_blob_close(&s->blob[i]);
    t3d_arena_free(&s->arena);
    memset(s, 0, sizeof *s);
}

const struct t3d_tensor *t3d_safetensors_find(const struct t3d_safetensors *s, const char *name)
{
    return t3d_tensor_find(s->tensor, s->n, name);
}

const char *t3d_safetensors_meta(const struct t3d_safetensors *s, const char *key)
{
    struct t3d_safetensors_pair want = {.key = key}, *hit = NULL;

    if (s->n_meta)
        hit = bsearch(&want, s->meta, s->n_meta, sizeof *s->meta, by_key);
    return hit ? hit->value : NULL;
}
