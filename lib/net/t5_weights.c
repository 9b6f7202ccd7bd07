/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/t5_impl.h"

struct loader {
    struct t3di_t5_weights *w;
    const struct t3di_t5_config *c;
    const char *dir;
    uint8_t *used; /* (file.n) */
    struct t3d_err *err;
    int rc;
};

static void fail(struct loader *l, const char *name, const char *what)
{
    if (l->rc == T3D_OK)
        l->rc = t3d_err_set(l->err, T3D_SKIP, "bad-weights", "'%s': tensor '%s' %s", l->dir, name,
                            what);
}

static void fail_memory(struct loader *l)
{
    if (l->rc == T3D_OK)
        l->rc = t3d_err_nomem(l->err, l->dir);
}

static void fail_shape(struct loader *l, const struct t3d_tensor *t, int64_t rows, int64_t columns)
{
    char what[160];
    int n = snprintf(what, sizeof what, "has the shape (");

    for (int i = 0; i < t->n_axes && n < 100; i++)
        n += snprintf(what + n, sizeof what - (size_t)n, "%s%llu", i ? ", " : "",
                      (unsigned long long)t->shape[i]);
    snprintf(what + n, sizeof what - (size_t)n, "), but config.json says (%lld%s%.0lld)",
             (long long)rows, columns ? ", " : "", (long long)columns);
    fail(l, t->name, what);
}

static int is_float(enum t3d_tensor_type type)
{
    return type == T3D_TENSOR_F32 || type == T3D_TENSOR_F16 || type == T3D_TENSOR_BF16 ||
           type == T3D_TENSOR_F64;
}

/* The tensor (rows, columns), columns 0 = one axis; NULL and an error when it is not as expected.
 */
static const struct t3d_tensor *find(struct loader *l, const char *name, int64_t rows,
                                     int64_t columns)
{
    const struct t3d_tensor *t = t3d_safetensors_find(&l->w->file, name);

    if (l->rc < 0)
        return NULL;
    if (!t) {
        fail(l, name, "is missing");
        return NULL;
    }
    l->used[t - l->w->file.tensor] = 1;
    if (t->n_axes != (columns ? 2 : 1) || t->shape[0] != (uint64_t)rows ||
        (columns && t->shape[1] != (uint64_t)columns))
        fail_shape(l, t, rows, columns);
    else if (!is_float(t->type))
        fail(l, name, "is not of floats");
    l->w->bytes += t->count * t3d_tensor_type_size(t->type);
    return l->rc < 0 ? NULL : t;
}

static void check_finite(struct loader *l, const char *name, const float *x, size_t n)
{
    enum { BLOCK = 4096 };

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = T3D_MIN(n, i + BLOCK);
        float sum = 0;

        for (size_t k = i; k < end; k++)
            sum += 0 * x[k]; /* NaN when any is not finite */
        if (!(sum == 0)) {
            fail(l, name, "has a NaN or an infinity");
            return;
        }
    }
}

/* Floats of a tensor: where they lie in the file if they can be used there, else copied to `to`,
 * or to memory of their own when that is NULL. */
static const float *load(struct loader *l, float *to, const char *name, int64_t rows,
                         int64_t columns)
{
    const struct t3d_tensor *t = find(l, name, rows, columns);
    const float *x = to;

    if (!t)
        return NULL;
    if (!to && t->type == T3D_TENSOR_F32 && (uintptr_t)t->data % sizeof(float) == 0) {
        x = (const float *)(const void *)t->data;
    } else {
        to = to ? to : t3d_alloc_raw(&l->w->arena, t->count, sizeof *to);
        if (!to) {
            fail_memory(l);
            return NULL;
        }
        t3d_tensor_floats(t, to);
        x = to;
    }
    check_finite(l, name, x, t->count);
    return x;
}

static const float *block_tensor(struct loader *l, float *to, int block, const char *name,
                                 int64_t rows, int64_t columns)
{
    char full[128];

    snprintf(full, sizeof full, "encoder.block.%d.layer.%s.weight", block, name);
    return load(l, to, full, rows, columns);
}

static void load_block(struct loader *l, int i)
{
    const struct t3di_t5_config *c = l->c;
    struct t3di_t5_block *b = &l->w->block[i];
    int64_t inner = (int64_t)c->heads * c->head_width;
    float *qkv = t3d_alloc_raw(&l->w->arena, (size_t)(3 * inner * c->width), sizeof *qkv);

    if (!qkv) {
        fail_memory(l);
        return;
    }
    block_tensor(l, qkv, i, "0.SelfAttention.q", inner, c->width);
    block_tensor(l, qkv + inner * c->width, i, "0.SelfAttention.k", inner, c->width);
    block_tensor(l, qkv + 2 * inner * c->width, i, "0.SelfAttention.v", inner, c->width);
    b->qkv = qkv;
    b->out = block_tensor(l, NULL, i, "0.SelfAttention.o", c->width, inner);
    b->norm1 = block_tensor(l, NULL, i, "0.layer_norm", c->width, 0);
    if (c->gated) {
        b->in = block_tensor(l, NULL, i, "1.DenseReluDense.wi_0", c->hidden, c->width);
        b->gate = block_tensor(l, NULL, i, "1.DenseReluDense.wi_1", c->hidden, c->width);
    } else {
        b->in = block_tensor(l, NULL, i, "1.DenseReluDense.wi", c->hidden, c->width);
    }
    b->down = block_tensor(l, NULL, i, "1.DenseReluDense.wo", c->width, c->hidden);
    b->norm2 = block_tensor(l, NULL, i, "1.layer_norm", c->width, 0);
}

/* The embeddings are tied: older files hold them twice or only under the encoder's name. */
static void load_table(struct loader *l)
{
    static const char *const name[] = {"shared.weight", "encoder.embed_tokens.weight"};
    const struct t3d_safetensors *f = &l->w->file;
    int first = !t3d_safetensors_find(f, name[0]) && t3d_safetensors_find(f, name[1]);

    l->w->table = load(l, NULL, name[first], l->c->vocab, l->c->width);
    if (!first && t3d_safetensors_find(f, name[1]))
        find(l, name[1], l->c->vocab, l->c->width);
}

/* What a whole T5 holds beside its encoder. */
static int is_decoders(const char *name)
{
    return strncmp(name, "decoder.", 8) == 0 || strcmp(name, "lm_head.weight") == 0;
}

static void refuse_extra(struct loader *l)
{
    const struct t3d_safetensors *f = &l->w->file;

    for (size_t i = 0; i < f->n && l->rc == T3D_OK; i++) {
        const char *name = f->tensor[i].name;

        if (l->used[i] || is_decoders(name))
            continue;
        if (strstr(name, "relative_attention_bias"))
            l->rc = t3d_err_set(l->err, T3D_SKIP, "unsupported-model",
                                "'%s': tensor '%s': position biases in every block are umT5's, "
                                "which is not supported; take a T5 or FLAN-T5 encoder",
                                l->dir, name);
        else
            fail(l, name, "is not part of a T5 encoder of this config.json");
    }
}

static void load_all(struct loader *l)
{
    struct t3di_t5_weights *w = l->w;
    const struct t3di_t5_config *c = l->c;

    l->used = calloc(w->file.n + 1, 1);
    w->block = t3d_alloc(&w->arena, (size_t)c->layers, sizeof *w->block);
    if (!l->used || !w->block) {
        fail_memory(l);
        return;
    }
    load_table(l);
    w->bias = load(l, NULL, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                   c->buckets, c->heads);
    for (int i = 0; i < c->layers && l->rc == T3D_OK; i++)
        load_block(l, i);
    w->last = load(l, NULL, "encoder.final_layer_norm.weight", c->width, 0);
    refuse_extra(l);
}

int t3di_t5_weights_open(struct t3di_t5_weights *w, const struct t3di_t5_config *c, const char *dir,
                         struct t3d_err *err)
{
    struct loader l = {.w = w, .c = c, .dir = dir, .err = err};

    memset(w, 0, sizeof *w);
    l.rc = t3d_safetensors_open(&w->file, dir, err);
    if (l.rc < 0) {
        memset(&w->file, 0, sizeof w->file);
        return l.rc;
    }
    load_all(&l);
    free(l.used);
    return l.rc;
}

void t3di_t5_weights_close(struct t3di_t5_weights *w)
{
    t3d_safetensors_close(&w->file);
    t3d_arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}
