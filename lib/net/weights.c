/* SPDX-License-Identifier: Apache-2.0 */
#include "net/weights_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the file ------------------------------------------------------------------------------- */

static int add_blobs(struct t3di_weights *w, const struct t3d_blob *blob, size_t n,
                     struct t3d_err *err)
{
    struct t3d_sha256 *sha;
    int r = t3d_sha256_new(&sha, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        t3d_sha256_add(sha, blob[i].data, blob[i].size);
    t3d_sha256_end(sha, w->hash);
    return T3D_OK;
}

static int open_file(struct t3di_weights *w, const char *path, struct t3d_err *err)
{
    const char *ending = t3d_path_ending(path);
    int r;

    if (strcmp(ending, "safetensors") == 0 || strcmp(ending, "json") == 0) {
        r = t3d_safetensors_open(&w->safetensors, path, err);
        if (r < 0)
            return r;
        w->tensor = w->safetensors.tensor;
        w->n = w->safetensors.n;
        return add_blobs(w, w->safetensors.blob, w->safetensors.n_blobs, err);
    }
    r = t3d_pickle_open(&w->pickle, path, err);
    if (r < 0)
        return r;
    w->tensor = w->pickle.tensor;
    w->n = w->pickle.n;
    return add_blobs(w, &w->pickle.blob, 1, err);
}

int t3di_weights_open(struct t3di_weights *w, const char *dir, const char *const *files,
                      int threads, struct t3d_err *err)
{
    int r = T3D_OK;

    *w = (struct t3di_weights){.threads = threads};
    for (size_t i = 0; files[i] && !w->path; i++) {
        char *path = t3d_path_join(&w->arena, dir, files[i]);

        if (!path)
            return t3d_err_nomem(err, dir);
        if (access(path, F_OK) == 0)
            w->path = path;
    }
    if (!w->path)
        r = t3d_err_set(err, T3D_SKIP, "missing-file", "'%s' has no weights: no %s", dir, files[0]);
    if (r == T3D_OK)
        r = open_file(w, w->path, err);
    if (r == T3D_OK) {
        w->used = t3d_alloc(&w->arena, w->n + 1, 1);
        if (!w->used)
            r = t3d_err_nomem(err, w->path);
    }
    for (size_t i = 0; i < w->n; i++)
        w->bytes += w->tensor[i].count * t3d_tensor_type_size(w->tensor[i].type);
    if (r < 0)
        t3di_weights_close(w);
    return r;
}

void t3di_weights_close(struct t3di_weights *w)
{
    if (w->safetensors.blob)
        t3d_safetensors_close(&w->safetensors);
    if (w->pickle.blob.data)
        t3d_pickle_close(&w->pickle);
    t3d_arena_free(&w->arena);
    *w = (struct t3di_weights){0};
}

static int add_mapping(struct t3d_pool *pool, const struct t3d_blob *b)
{
    if (!b->map)
        return T3D_OK;
    madvise(b->map, b->size, MADV_DONTNEED); /* only a wish */
    return t3d_pool_add_mapping(pool, b->data, b->size);
}

int t3di_weights_pool(const struct t3di_weights *w, struct t3d_pool **pool, struct t3d_err *err)
{
    int r = T3D_OK;

    *pool = t3d_pool_new();
    if (!*pool)
        return t3d_err_nomem(err, w->path);
    for (size_t i = 0; i < w->safetensors.n_blobs && r == T3D_OK; i++)
        r = add_mapping(*pool, &w->safetensors.blob[i]);
    if (r == T3D_OK)
        r = add_mapping(*pool, &w->pickle.blob);
    return r < 0 ? t3d_err_nomem(err, w->path) : T3D_OK;
}

/* --- one tensor ------------------------------------------------------------------------------- */

const struct t3d_tensor *t3di_weights_find(const struct t3di_weights *w, const char *name)
{
    return t3d_tensor_find(w->tensor, w->n, name);
}

static const float *complain(struct t3di_weights *w, const char *name, const char *fmt, ...)
    T3D_PRINTF(3, 4);
static const float *complain(struct t3di_weights *w, const char *name, const char *fmt, ...)
{
    char text[sizeof w->err.msg];
    va_list ap;

    if (w->failed)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->failed = 1;
    t3d_err_set(&w->err, T3D_SKIP, "bad-weights", "'%s': '%s' %s", w->path, name, text);
    return NULL;
}

static const char *shape_text(const struct t3d_tensor *t, char *buf, size_t n)
{
    size_t at = 0;

    buf[0] = 0;
    for (int i = 0; i < t->n_axes && at < n; i++)
        at += (size_t)snprintf(buf + at, n - at, "%s%llu", i ? ", " : "",
                               (unsigned long long)t->shape[i]);
    return buf;
}

static int same_shape(const struct t3d_tensor *t, const struct t3d_shape *s)
{
    if (t->n_axes != s->n)
        return 0;
    for (int i = 0; i < s->n; i++)
        if (t->shape[i] != (uint64_t)s->dim[i])
            return 0;
    return 1;
}

static int is_dense(const struct t3d_tensor *t)
{
    struct t3d_tensor c = *t;
    uint64_t bytes;

    return t3d_tensor_layout(&c, &bytes) == 0 &&
           memcmp(c.stride, t->stride, (size_t)t->n_axes * sizeof *c.stride) == 0;
}

static int is_real(enum t3d_tensor_type type)
{
    return type == T3D_TENSOR_F32 || type == T3D_TENSOR_F16 || type == T3D_TENSOR_BF16 ||
           type == T3D_TENSOR_F64;
}

/* The exponent of infinities and NaN is all ones (IEEE 754, binary32). */
static int is_finite(const float *x, uint64_t n, int threads)
{
    enum { BLOCK = 1 << 16 };
    uint32_t bad = 0;

#pragma omp parallel for num_threads(threads) reduction(| : bad) if (n > BLOCK)
    for (uint64_t i = 0; i < n; i += BLOCK) {
        uint64_t end = T3D_MIN(n, i + BLOCK);

        for (uint64_t k = i; k < end; k++) {
            uint32_t u;

            memcpy(&u, &x[k], sizeof u);
            bad |= (u & 0x7f800000u) == 0x7f800000u;
        }
    }
    return !bad;
}

static const float *floats(struct t3di_weights *w, const struct t3d_tensor *t)
{
    float *copy;

    if (t->type == T3D_TENSOR_F32 && (uintptr_t)t->data % sizeof(float) == 0 && is_dense(t))
        return (const float *)(const void *)t->data;
    copy = t3d_alloc_raw(&w->arena, t->count, sizeof *copy);
    if (copy)
        t3d_tensor_floats(t, copy);
    else
        complain(w, t->name, "does not fit into memory");
    return copy;
}

static void note_missing(struct t3di_weights *w, const char *name)
{
    size_t room = sizeof w->missing - w->missing_length;
    size_t need = strlen(name) + 4;

    if (w->n_missing++ < 4 && need < room)
        w->missing_length += (size_t)snprintf(w->missing + w->missing_length, room, "%s'%s'",
                                              w->missing_length ? ", " : "", name);
}

const float *t3di_weights_take(struct t3di_weights *w, struct t3d_shape shape, const char *fmt, ...)
{
    char name[256], have[T3D_SHAPE_TEXT], want[T3D_SHAPE_TEXT];
    const struct t3d_tensor *t;
    const float *p;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    t = t3di_weights_find(w, name);
    if (!t) {
        note_missing(w, name);
        return NULL;
    }
    w->used[t - w->tensor] = 1;
    if (!same_shape(t, &shape))
        return complain(w, name, "has the shape (%s), the configuration says %s",
                        shape_text(t, have, sizeof have),
                        t3d_shape_text(&shape, want, sizeof want));
    if (!is_real(t->type))
        return complain(w, name, "has elements of type %s: expected F32, F16, BF16 or F64",
                        t3d_tensor_type_name(t->type));
    p = floats(w, t);
    if (p && !is_finite(p, t->count, w->threads))
        return complain(w, name, "has a NaN or an infinity");
    return p;
}

/* --- the whole -------------------------------------------------------------------------------- */

static int check_extra(const struct t3di_weights *w, int (*ignore)(const char *name),
                       struct t3d_err *err)
{
    char names[256];
    size_t n = 0, length = 0;

    for (size_t i = 0; i < w->n; i++) {
        const char *name = w->tensor[i].name;

        if (w->used[i] || (ignore && ignore(name)))
            continue;
        if (n++ < 4 && length + strlen(name) + 4 < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s'%s'",
                                       length ? ", " : "", name);
    }
    if (n == 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "bad-weights",
                       "'%s': %zu tensors are not part of the network that the configuration "
                       "describes: %s%s",
                       w->path, n, names, n > 4 ? ", ..." : "");
}

int t3di_weights_finish(struct t3di_weights *w, int (*ignore)(const char *name),
                        struct t3d_err *err)
{
    if (w->failed) {
        if (err)
            *err = w->err;
        return w->err.code;
    }
    if (w->n_missing)
        return t3d_err_set(err, T3D_SKIP, "bad-weights", "'%s': %zu tensors are missing: %s%s",
                           w->path, w->n_missing, w->missing, w->n_missing > 4 ? ", ..." : "");
    return check_extra(w, ignore, err);
}
