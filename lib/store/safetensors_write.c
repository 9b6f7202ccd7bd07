/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/json.h"
#include "store/safetensors.h"

enum { PREFIX = 8, HEADER_ALIGN = 8, HEADER_MAX = 100000000 };

static int by_type_and_name(const void *a, const void *b)
{
    const struct t3d_tensor *x = a, *y = b;

    if (x->type != y->type)
        return x->type > y->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
    const struct t3d_safetensors_pair *x = a, *y = b;

    return strcmp(x->key, y->key);
}

static int bad(struct t3d_err *err, const char *path, const char *name, const char *what)
{
    return t3d_err_set(err, T3D_FAIL, "bad-tensor", "cannot write '%s': '%.200s' %s", path, name,
                       what);
}

static int add_meta(cJSON *header, struct t3d_safetensors_pair *meta, size_t n, const char *path,
                    struct t3d_err *err)
{
    cJSON *o = cJSON_AddObjectToObject(header, "__metadata__");

    if (!o)
        return t3d_err_nomem(err, path);
    qsort(meta, n, sizeof *meta, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(meta[i - 1].key, meta[i].key) == 0)
            return bad(err, path, meta[i].key, "is there twice in the metadata");
        if (!cJSON_AddStringToObject(o, meta[i].key, meta[i].value))
            return t3d_err_nomem(err, path);
    }
    return T3D_OK;
}

/* One entry; *at grows by its bytes. */
static int add_tensor(cJSON *header, const struct t3d_tensor *t, uint64_t *at)
{
    cJSON *o = cJSON_AddObjectToObject(header, t->name), *shape, *offsets;
    uint64_t bytes = t->count * t3d_tensor_type_size(t->type);

    if (!o || !cJSON_AddStringToObject(o, "dtype", t3d_tensor_type_name(t->type)))
        return -1;
    shape = cJSON_AddArrayToObject(o, "shape");
    offsets = cJSON_AddArrayToObject(o, "data_offsets");
    if (!shape || !offsets)
        return -1;
    for (int i = 0; i < t->n_axes; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[i])))
            return -1;
    if (!cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*at)) ||
        !cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(*at + bytes))))
        return -1;
    *at += bytes;
    return 0;
}

/* Of tensors sorted by name; their strides become those of C order. */
static int check_tensors(struct t3d_tensor *t, size_t n, const char *path, struct t3d_err *err)
{
    uint64_t bytes, total = 0;

    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(t[i - 1].name, t[i].name) == 0)
            return bad(err, path, t[i].name, "is there twice");
        if (strcmp(t[i].name, "__metadata__") == 0)
            return bad(err, path, t[i].name, "is no name for a tensor");
        if (t[i].n_axes < 0 || t[i].n_axes > T3D_TENSOR_MAX_AXES)
            return bad(err, path, t[i].name, "has more than 8 axes");
        if (t3d_tensor_layout(&t[i], &bytes) < 0 || __builtin_add_overflow(total, bytes, &total) ||
            total >> 53)
            return bad(err, path, t[i].name, "is too large");
    }
    return T3D_OK;
}

static int put(const char *path, const char *text, const struct t3d_tensor *t, size_t n,
               struct t3d_err *err)
{
    size_t length = strlen(text),
           padded = (length + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    uint8_t prefix[PREFIX];
    struct t3d_out out;
    int r, ok;

    if (padded > HEADER_MAX)
        return bad(err, path, n ? t[0].name : "",
                   "and the others need a header above 100,000,000 bytes");
    r = t3d_out_open(&out, path, err);
    if (r < 0)
        return r;
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (uint8_t)(padded >> 8 * i);
    ok = fwrite(prefix, 1, PREFIX, out.f) == PREFIX && fwrite(text, 1, length, out.f) == length &&
         (padded == length || fwrite("        ", 1, padded - length, out.f) == padded - length);
    for (size_t i = 0; ok && i < n; i++) {
        size_t bytes = t[i].count * t3d_tensor_type_size(t[i].type);

        ok = !bytes || fwrite(t[i].data, 1, bytes, out.f) == bytes;
    }
    if (!ok) {
        r = t3d_err_sys(err, "cannot write", path);
        t3d_out_abort(&out);
        return r;
    }
    return t3d_out_commit(&out, 1, err);
}

static int write_sorted(const char *path, struct t3d_tensor *t, size_t n,
                        struct t3d_safetensors_pair *meta, size_t n_meta, struct t3d_err *err)
{
    cJSON *header = cJSON_CreateObject();
    char *text = NULL;
    uint64_t at = 0;
    int r = header ? T3D_OK : t3d_err_nomem(err, path);

    if (r == T3D_OK && n_meta)
        r = add_meta(header, meta, n_meta, path, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        if (add_tensor(header, &t[i], &at) < 0)
            r = t3d_err_nomem(err, path);
    if (r == T3D_OK) {
        text = t3d_json_text(header, 0);
        r = text ? put(path, text, t, n, err) : t3d_err_nomem(err, path);
    }
    free(text);
    cJSON_Delete(header);
    return r;
}

int t3d_safetensors_write(const char *path, const struct t3d_tensor *tensor, size_t n,
                          const struct t3d_safetensors_pair *meta, size_t n_meta,
                          struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_tensor *t = t3d_alloc(&a, n, sizeof *t);
    struct t3d_safetensors_pair *m = t3d_alloc(&a, n_meta, sizeof *m);
    int r;

    if (!t || !m) {
        t3d_arena_free(&a);
        return t3d_err_nomem(err, path);
    }
    if (n)
        memcpy(t, tensor, n * sizeof *t);
    if (n_meta)
        memcpy(m, meta, n_meta * sizeof *m);
    t3d_tensor_sort(t, n);
    r = check_tensors(t, n, path, err);
    if (r == T3D_OK) {
        if (n)
            qsort(t, n, sizeof *t, by_type_and_name);
        r = write_sorted(path, t, n, m, n_meta, err);
    }
    t3d_arena_free(&a);
    return r;
}
