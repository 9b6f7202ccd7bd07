/* SPDX-License-Identifier: Apache-2.0 */
/* The containers of torch/serialization.py: _legacy_save and _save. */
#include "store/pickle.h"

#include <inttypes.h>

#include "store/pickle_impl.h"

enum { MAX_DEPTH = 16, LEGACY_PROTOCOL = 1001, MEMORY_MAX = 1 << 30 };

/* The magic number 0x1950a86a20f9469cfc6c of legacy files, least byte first. */
static const uint8_t magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

struct walk {
    struct t3di_pickle_reader *r;
    struct t3d_pickle *p;
    size_t capacity;
};

static int add_tensor(struct walk *w, struct t3di_pickled *v, const char *name)
{
    struct t3d_pickle *p = w->p;
    const struct t3di_pickled *s = v->storage, *root = s->storage ? s->storage : s;
    size_t size = t3d_tensor_type_size(v->tensor.type), more = T3D_MAX(w->capacity * 2, 64);
    struct t3d_tensor *t;

    if (!root->data)
        return t3di_pickle_bad(w->r, "has no data for the tensor '%.150s'", name);
    if (p->n == w->capacity) {
        t = t3d_alloc(&p->arena, more, sizeof *t);
        if (!t)
            return t3di_pickle_too_large(w->r);
        if (p->n)
            memcpy(t, p->tensor, p->n * sizeof *t);
        p->tensor = t;
        w->capacity = more;
    }
    t = &p->tensor[p->n++];
    *t = v->tensor;
    t->name = name;
    t->data = root->data + (s->first + v->offset) * size;
    return T3D_OK;
}

static int walk(struct walk *w, struct t3di_pickled *v, const char *name, int depth);

/* "name.key" of an item; NULL for a key that is neither text nor a whole number. */
static int join(struct walk *w, const char *name, const struct t3di_pickled *key, char **out)
{
    const char *dot = *name ? "." : "";

    *out = NULL;
    if (key->kind == T3DI_P_TEXT) {
        if (memchr(key->text, 0, key->size) || key->size > 4096)
            return t3di_pickle_bad(w->r, "has a name with a NUL or of more than 4096 bytes");
        *out = t3d_sprintf(&w->p->arena, "%s%s%.*s", name, dot, (int)key->size, key->text);
    } else if (key->kind == T3DI_P_INT) {
        *out = t3d_sprintf(&w->p->arena, "%s%s%" PRId64, name, dot, key->number);
    } else {
        return T3D_OK;
    }
    return *out ? T3D_OK : t3di_pickle_too_large(w->r);
}

static int walk_items(struct walk *w, struct t3di_pickled *v, const char *name, int depth)
{
    struct t3di_pickled number = {.kind = T3DI_P_INT};
    int is_dict = v->kind == T3DI_P_DICT, r = T3D_OK;

    for (size_t i = 0; i < v->size && r == T3D_OK; i += 1 + (size_t)is_dict) {
        struct t3di_pickled *item = v->item[i + (size_t)is_dict];
        char *path = NULL;

        if (item->kind < T3DI_P_TUPLE)
            continue;
        number.number = (int64_t)i;
        r = join(w, name, is_dict ? v->item[i] : &number, &path);
        if (r == T3D_OK && path)
            r = walk(w, item, path, depth + 1);
    }
    return r;
}

/* A container that holds itself, or many that share parts, could be walked without end: depth is
 * limited, and each container is walked once. */
static int walk(struct walk *w, struct t3di_pickled *v, const char *name, int depth)
{
    if (v->kind == T3DI_P_TENSOR)
        return add_tensor(w, v, name);
    if (v->kind != T3DI_P_DICT && v->kind != T3DI_P_LIST && v->kind != T3DI_P_TUPLE)
        return T3D_OK;
    if (v->visiting)
        return T3D_OK;
    if (depth == MAX_DEPTH)
        return t3di_pickle_bad(w->r, "nests its values too deep");
    v->visiting = 1;
    return walk_items(w, v, name, depth);
}

static int make_table(struct t3di_pickle_reader *r, struct t3d_pickle *p, struct t3di_pickled *top)
{
    struct walk w = {.r = r, .p = p};
    const char *twice;
    int rc = walk(&w, top, "", 0);

    if (rc < 0)
        return rc;
    twice = t3d_tensor_sort(p->tensor, p->n);
    return twice ? t3di_pickle_bad(r, "has the tensor '%.150s' twice", twice) : T3D_OK;
}

static struct t3di_pickled *find_storage(struct t3di_pickle_reader *r, const char *key, size_t n)
{
    for (size_t i = 0; i < r->n_storages; i++)
        if (r->storage[i]->size == n && memcmp(r->storage[i]->text, key, n) == 0)
            return r->storage[i];
    return NULL;
}

/* Behind the pickles: for each key of the list its number of elements (8 bytes) and its data. */
static int read_legacy_storages(struct t3di_pickle_reader *r, const struct t3di_pickled *keys)
{
    if (keys->kind != T3DI_P_LIST)
        return t3di_pickle_bad(r, "has no list of its storages");
    for (size_t i = 0; i < keys->size; i++) {
        const struct t3di_pickled *k = keys->item[i];
        struct t3di_pickled *s = k->kind == T3DI_P_TEXT ? find_storage(r, k->text, k->size) : NULL;
        uint64_t n = 0, bytes;

        if (!s || s->data)
            return t3di_pickle_bad(r, "lists a storage that no tensor uses, or twice");
        if (r->size - r->at < 8)
            return t3di_pickle_bad(r, "is cut off before storage %zu", i);
        for (int b = 7; b >= 0; b--)
            n = n << 8 | r->data[r->at + (size_t)b];
        r->at += 8;
        if (n != s->elements)
            return t3di_pickle_bad(r, "gives storage %zu two sizes", i);
        if (__builtin_mul_overflow(n, t3d_tensor_type_size(s->type), &bytes) ||
            bytes > r->size - r->at)
            return t3di_pickle_bad(r, "is cut off in storage %zu", i);
        s->data = r->data + r->at;
        r->at += bytes;
    }
    return T3D_OK;
}

static int is_big_endian(const struct t3di_pickled *info)
{
    for (size_t i = 0; info->kind == T3DI_P_DICT && i < info->size; i += 2)
        if (t3di_pickle_is(info->item[i], "little_endian"))
            return !info->item[i + 1]->number;
    return 0;
}

static int read_legacy(struct t3di_pickle_reader *r, struct t3d_pickle *p)
{
    struct t3di_pickled *v[5];
    int rc;

    for (int i = 0; i < 5; i++) {
        rc = t3di_pickle_run(r, &v[i]);
        if (rc < 0)
            return rc;
        if (i == 0 && (v[0]->kind != T3DI_P_BIG || v[0]->size != sizeof magic ||
                       memcmp(v[0]->text, magic, sizeof magic) != 0))
            return t3di_pickle_bad(r, "does not begin with torch's magic number");
        if (i == 1 && (v[1]->kind != T3DI_P_INT || v[1]->number != LEGACY_PROTOCOL))
            return t3di_pickle_bad(r, "is not of torch's protocol %d", LEGACY_PROTOCOL);
        if (i == 2 && is_big_endian(v[2]))
            return t3d_err_set(r->err, T3D_SKIP, "unsupported-type", "'%s' is big-endian", r->name);
    }
    rc = read_legacy_storages(r, v[4]);
    return rc < 0 ? rc : make_table(r, p, v[3]);
}

/* The member called folder + name, where folder is that of data.pkl. */
static const struct t3di_zip_member *find_member(const struct t3di_zip_member *m, size_t n,
                                                 const struct t3di_zip_member *folder,
                                                 size_t n_folder, const char *name, size_t n_name)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].name_size == n_folder + n_name && memcmp(m[i].name, folder->name, n_folder) == 0 &&
            memcmp(m[i].name + n_folder, name, n_name) == 0)
            return &m[i];
    return NULL;
}

static int name_of_member(const void *a, const void *b)
{
    const struct t3di_zip_member *x = a, *y = b;
    int order = memcmp(x->name, y->name, T3D_MIN(x->name_size, y->name_size));

    return order ? order : (x->name_size > y->name_size) - (x->name_size < y->name_size);
}

static int read_zip_storages(struct t3di_pickle_reader *r, const struct t3di_zip_member *m,
                             size_t n, const char *folder, size_t n_folder)
{
    for (size_t i = 0; i < r->n_storages; i++) {
        struct t3di_pickled *s = r->storage[i];
        struct t3di_zip_member key = {0}, *hit;
        uint64_t bytes;
        char *name = t3d_sprintf(&r->scratch, "%.*sdata/%.*s", (int)n_folder, folder,
                                 (int)T3D_MIN(s->size, 4096), s->text);

        if (!name)
            return t3di_pickle_too_large(r);
        key.name = name;
        key.name_size = strlen(name);
        hit = bsearch(&key, m, n, sizeof *m, name_of_member);
        if (!hit)
            return t3di_pickle_bad(r, "has no member '%.150s'", name);
        if (__builtin_mul_overflow(s->elements, t3d_tensor_type_size(s->type), &bytes) ||
            bytes != hit->size)
            return t3di_pickle_bad(r, "has a member '%.150s' of another size than its storage",
                                   name);
        s->data = hit->data;
    }
    return T3D_OK;
}

static int read_zip(struct t3di_pickle_reader *r, struct t3d_pickle *p)
{
    static const char data[] = "data.pkl", order[] = "byteorder";
    struct t3di_pickle_reader inner;
    const struct t3di_zip_member *main = NULL, *byte_order;
    struct t3di_pickled *top;
    struct t3di_zip_member *m;
    size_t n = 0, n_folder = 0;
    int rc = t3di_zip_members(r, &m, &n);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n && !main; i++) {
        n_folder = m[i].name_size - T3D_MIN(sizeof data - 1, m[i].name_size);
        if (memcmp(m[i].name + n_folder, data, m[i].name_size - n_folder) == 0 &&
            m[i].name_size >= sizeof data - 1 && (!n_folder || m[i].name[n_folder - 1] == '/'))
            main = &m[i];
    }
    if (!main)
        return t3di_pickle_bad(r, "is a zip file without data.pkl");
    byte_order = find_member(m, n, main, n_folder, order, sizeof order - 1);
    if (byte_order && (byte_order->size < 6 || memcmp(byte_order->data, "little", 6) != 0))
        return t3d_err_set(r->err, T3D_SKIP, "unsupported-type", "'%s' is not little-endian",
                           r->name);
    inner = *r;
    inner.data = main->data;
    inner.size = main->size;
    inner.at = 0;
    rc = t3di_pickle_run(&inner, &top);
    r->scratch = inner.scratch;
    r->storage = inner.storage;
    r->n_storages = inner.n_storages;
    if (rc == T3D_OK) {
        const char *folder = main->name;

        qsort(m, n, sizeof *m, name_of_member);
        rc = read_zip_storages(r, m, n, folder, n_folder);
    }
    return rc < 0 ? rc : make_table(r, p, top);
}

static int parse(struct t3d_pickle *p, const uint8_t *data, size_t size, const char *name,
                 struct t3d_err *err)
{
    struct t3di_pickle_reader r = {
        .data = data, .size = size, .name = name, .scratch.limit = MEMORY_MAX, .err = err};
    int rc;

    p->arena.limit = MEMORY_MAX;

    if (size >= 4 && memcmp(data, "PK\3\4", 4) == 0)
        rc = read_zip(&r, p);
    else if (size >= 2 && data[0] == 0x80)
        rc = read_legacy(&r, p);
    else
        rc = t3di_pickle_bad(&r, "is neither a zip nor a legacy file of torch.save");
    t3d_arena_free(&r.scratch);
    return rc;
}

int t3d_pickle_parse(struct t3d_pickle *p, const void *data, size_t size, const char *name,
                     struct t3d_err *err)
{
    int r;

    memset(p, 0, sizeof *p);
    r = parse(p, data, size, name, err);
    if (r < 0)
        t3d_pickle_close(p);
    return r;
}

int t3d_pickle_open(struct t3d_pickle *p, const char *path, struct t3d_err *err)
{
    int r;

    memset(p, 0, sizeof *p);
    r = t3d_blob_open(&p->blob, path, 0, err);
    if (r == T3D_OK)
        r = parse(p, p->blob.data, p->blob.size, path, err);
    if (r < 0)
        t3d_pickle_close(p);
    return r;
}

void t3d_pickle_close(struct t3d_pickle *p)
{
    t3d_blob_close(&p->blob);
    t3d_arena_free(&p->arena);
    memset(p, 0, sizeof *p);
}

const struct t3d_tensor *t3d_pickle_find(const struct t3d_pickle *p, const char *name)
{
    return t3d_tensor_find(p->tensor, p->n, name);
}
