/* SPDX-License-Identifier: Apache-2.0 */
#include "model/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

int t3d_model_write_json(const char *dir, const char *name, cJSON *json, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, name), *text = json ? t3d_json_text(json, 0) : NULL;
    int r = path && text ? t3d_write_file(path, text, strlen(text), err) : t3d_err_nomem(err, name);

    free(text);
    cJSON_Delete(json);
    t3d_arena_free(&a);
    return r;
}

static const void *convert(const t3d_real *x, int64_t n, enum t3d_tensor_type type,
                           struct t3d_arena *a)
{
    float *f = t3d_alloc_raw(a, (size_t)n, sizeof *f);
    uint16_t *h;

    if (!f)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        f[i] = (float)x[i];
    if (type != T3D_TENSOR_F16)
        return f;
    h = t3d_alloc_raw(a, (size_t)n, sizeof *h);
    for (int64_t i = 0; h && i < n; i++)
        h[i] = t3d_half_from_float(f[i]);
    return h;
}

static int describe(struct t3d_tensor *t, struct t3d_graph *g, int i, enum t3d_tensor_type type,
                    struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_ref p = t3d_graph_param_at(g, i, &t->name);
    struct t3d_shape s = t3d_graph_shape(g, p);

    t->type = type;
    t->n_axes = s.n;
    for (int d = 0; d < s.n; d++)
        t->shape[d] = (uint64_t)s.dim[d];
    t->data = convert(t3d_graph_data(g, p), t3d_shape_count(&s), type, a);
    return t->data ? T3D_OK : t3d_err_nomem(err, t->name);
}

int t3d_model_write_weights(const char *dir, struct t3d_graph *g, enum t3d_tensor_type type,
                            const struct t3d_safetensors_pair *meta, size_t n_meta,
                            struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, "model.safetensors");
    size_t n = (size_t)t3d_graph_n_params(g);
    struct t3d_tensor *t = t3d_alloc(&a, n, sizeof *t);
    int r = path && t ? T3D_OK : t3d_err_nomem(err, dir);

    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = describe(&t[i], g, (int)i, type, &a, err);
    if (r == T3D_OK)
        r = t3d_safetensors_write(path, t, n, meta, n_meta, err);
    t3d_arena_free(&a);
    return r;
}

/* --- reading --------------------------------------------------------------------------------- */

static int bad(struct t3d_err *err, const char *path, const char *name, const char *what)
{
    return t3d_err_set(err, T3D_SKIP, "bad-weights", "%s: tensor %s %s", path, name, what);
}

static int read_one(const struct t3d_safetensors *s, const char *path, struct t3d_graph *g, int i,
                    struct t3d_sha256 *sha, struct t3d_err *err)
{
    const char *name;
    struct t3d_ref p = t3d_graph_param_at(g, i, &name);
    struct t3d_shape shape = t3d_graph_shape(g, p);
    const struct t3d_tensor *t = t3d_safetensors_find(s, name);
    t3d_real *x = t3d_graph_data(g, p);
    int same = t && t->n_axes == shape.n;

    if (!t)
        return bad(err, path, name, "is missing");
    for (int d = 0; d < shape.n && same; d++)
        same = t->shape[d] == (uint64_t)shape.dim[d];
    if (!same)
        return bad(err, path, name, "has another shape than config.json says");
    t3d_tensor_floats(t, (float *)x);
    for (uint64_t k = 0; k < t->count; k++)
        if (!isfinite(x[k]))
            return bad(err, path, name, "has a number that is not finite");
    t3d_sha256_add_str(sha, name);
    t3d_sha256_add(sha, x, t->count * sizeof *x);
    return T3D_OK;
}

int t3d_model_read_weights(const char *path, struct t3d_graph *g, char *hash, struct t3d_err *err)
{
    struct t3d_safetensors s;
    struct t3d_sha256 *sha;
    char hex[T3D_SHA256_HEX];
    int r = t3d_safetensors_open(&s, path, err);

    if (r < 0)
        return r;
    r = t3d_sha256_new(&sha, err);
    if (r < 0) {
        t3d_safetensors_close(&s);
        return r;
    }
    if (s.n > (size_t)t3d_graph_n_params(g))
        r = t3d_err_set(err, T3D_SKIP, "bad-weights", "%s has %zu tensors, the model %d", path, s.n,
                        t3d_graph_n_params(g));
    for (int i = 0; i < t3d_graph_n_params(g) && r == T3D_OK; i++)
        r = read_one(&s, path, g, i, sha, err);
    t3d_sha256_end(sha, hex);
    if (hash)
        memcpy(hash, hex, sizeof hex);
    t3d_safetensors_close(&s);
    return r;
}
