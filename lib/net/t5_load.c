/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "net/t5_impl.h"

static const float *matrix(struct t3di_t5 *t, int block, const char *name, int64_t rows,
                           int64_t columns)
{
    return t3di_weights_take(&t->weights, T3D_SHAPE(rows, columns),
                             "encoder.block.%d.layer.%s.weight", block, name);
}

static const float *norm(struct t3di_t5 *t, int block, const char *name)
{
    return t3di_weights_take(&t->weights, T3D_SHAPE(t->config.width),
                             "encoder.block.%d.layer.%s.layer_norm.weight", block, name);
}

static void load_block(struct t3di_t5 *t, int i)
{
    const struct t3di_t5_config *c = &t->config;
    struct t3di_t5_block *b = &t->block[i];
    int64_t inner = (int64_t)c->heads * c->head_width;

    b->norm1 = norm(t, i, "0");
    b->q = matrix(t, i, "0.SelfAttention.q", inner, c->width);
    b->k = matrix(t, i, "0.SelfAttention.k", inner, c->width);
    b->v = matrix(t, i, "0.SelfAttention.v", inner, c->width);
    b->out = matrix(t, i, "0.SelfAttention.o", c->width, inner);
    b->norm2 = norm(t, i, "1");
    b->in = matrix(t, i, c->gated ? "1.DenseReluDense.wi_0" : "1.DenseReluDense.wi", c->hidden,
                   c->width);
    if (c->gated)
        b->gate = matrix(t, i, "1.DenseReluDense.wi_1", c->hidden, c->width);
    b->down = matrix(t, i, "1.DenseReluDense.wo", c->width, c->hidden);
}

/* The embeddings are tied: older files hold them twice or only under the encoder's name. */
static void load_table(struct t3di_t5 *t)
{
    static const char own[] = "encoder.embed_tokens.weight", shared[] = "shared.weight";
    struct t3d_shape shape = T3D_SHAPE(t->config.vocab, t->config.width);
    int has_own = t3di_weights_find(&t->weights, own) != NULL;
    int has_shared = t3di_weights_find(&t->weights, shared) != NULL;

    if (has_own)
        t->table = t3di_weights_take(&t->weights, shape, "%s", own);
    if (has_shared || !has_own)
        t->table = t3di_weights_take(&t->weights, shape, "%s", shared);
}

/* What a whole T5 holds beside its encoder. */
static int is_decoders(const char *name)
{
    return strncmp(name, "decoder.", 8) == 0 || strcmp(name, "lm_head.weight") == 0;
}

static int refuse_umt5(const struct t3di_t5 *t, struct t3d_err *err)
{
    char name[128];

    for (int i = 1; i < t->config.layers; i++) {
        snprintf(name, sizeof name,
                 "encoder.block.%d.layer.0.SelfAttention.relative_attention_bias.weight", i);
        if (t3di_weights_find(&t->weights, name))
            return t3d_err_set(err, T3D_SKIP, "unsupported-model",
                               "'%s': '%s': position biases in every block are umT5's, which is "
                               "not supported; take a T5 or FLAN-T5 encoder",
                               t->weights.path, name);
    }
    return T3D_OK;
}

int t3di_t5_load(struct t3di_t5 *t, const char *dir, int threads, struct t3d_err *err)
{
    static const char *const files[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", NULL};
    const struct t3di_t5_config *c = &t->config;
    int r = t3di_weights_open(&t->weights, dir, files, threads, err);

    if (r < 0)
        return r;
    t->block = t3d_alloc(&t->arena, (size_t)c->layers, sizeof *t->block);
    if (!t->block)
        return t3d_err_nomem(err, dir);
    load_table(t);
    t->bias =
        t3di_weights_take(&t->weights, T3D_SHAPE(c->buckets, c->heads),
                          "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    for (int i = 0; i < c->layers; i++)
        load_block(t, i);
    t->last =
        t3di_weights_take(&t->weights, T3D_SHAPE(c->width), "encoder.final_layer_norm.weight");
    r = refuse_umt5(t, err);
    if (r == T3D_OK)
        r = t3di_weights_finish(&t->weights, is_decoders, err);
    return r < 0 ? r : t3di_weights_pool(&t->weights, &t->pool, err);
}
