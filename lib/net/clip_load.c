/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of both layouts under their names: transformers' CLIPModel and its towers alone, and
 * open_clip's CLIP, which packs q, k and v and stores the projections for x P. */
#include <fnmatch.h>
#include <string.h>

#include "net/clip_impl.h"

static const char *const transformers_files[] = {
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", NULL};
static const char *const open_clip_files[] = {"open_clip_model.safetensors",
                                              "open_clip_pytorch_model.bin", NULL};

/* Names of one layout. A block's names follow prefix.<layer>. */
struct names {
    const char *prefix, *blocks;
    const char *norm1, *norm2, *out, *up, *down;
};

static const struct names transformers_names = {
    "", "encoder.layers", "layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"};
static const struct names open_clip_names = {
    "", "transformer.resblocks", "ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"};

struct loader {
    struct t3di_clip *clip;
    struct t3di_weights *w;
    const struct t3di_clip_tower *tower;
    struct t3di_clip_weights *to;
    struct names names;
    int no_memory;
};

/* weight and bias of a part of block i. */
static void take_pair(struct loader *l, const float **weight, const float **bias,
                      struct t3d_shape shape, int64_t i, const char *part)
{
    const struct names *n = &l->names;

    *weight = t3di_weights_take(l->w, shape, "%s%s.%lld.%s.weight", n->prefix, n->blocks,
                                (long long)i, part);
    *bias = t3di_weights_take(l->w, T3D_SHAPE(shape.dim[0]), "%s%s.%lld.%s.bias", n->prefix,
                              n->blocks, (long long)i, part);
}

static void take_qkv(struct loader *l, struct t3di_clip_block *b, int64_t i)
{
    int64_t d = l->tower->width;
    const struct names *n = &l->names;

    if (l->clip->config.layout == T3DI_TRANSFORMERS) {
        take_pair(l, &b->q_w, &b->q_b, T3D_SHAPE(d, d), i, "self_attn.q_proj");
        take_pair(l, &b->k_w, &b->k_b, T3D_SHAPE(d, d), i, "self_attn.k_proj");
        take_pair(l, &b->v_w, &b->v_b, T3D_SHAPE(d, d), i, "self_attn.v_proj");
        return;
    }
    b->q_w = t3di_weights_take(l->w, T3D_SHAPE(3 * d, d), "%s%s.%lld.attn.in_proj_weight",
                               n->prefix, n->blocks, (long long)i);
    b->q_b = t3di_weights_take(l->w, T3D_SHAPE(3 * d), "%s%s.%lld.attn.in_proj_bias", n->prefix,
                               n->blocks, (long long)i);
    if (b->q_w && b->q_b) {
        b->k_w = b->q_w + d * d;
        b->v_w = b->k_w + d * d;
        b->k_b = b->q_b + d;
        b->v_b = b->k_b + d;
    }
}

static int take_blocks(struct loader *l, struct t3d_err *err)
{
    const struct t3di_clip_tower *t = l->tower;
    int64_t d = t->width;

    l->to->block = t3d_alloc(&l->w->arena, (size_t)t->layers, sizeof *l->to->block);
    if (!l->to->block)
        return t3d_err_nomem(err, l->w->path);
    for (int64_t i = 0; i < t->layers; i++) {
        struct t3di_clip_block *b = &l->to->block[i];

        take_pair(l, &b->norm1_w, &b->norm1_b, T3D_SHAPE(d), i, l->names.norm1);
        take_qkv(l, b, i);
        take_pair(l, &b->out_w, &b->out_b, T3D_SHAPE(d, d), i, l->names.out);
        take_pair(l, &b->norm2_w, &b->norm2_b, T3D_SHAPE(d), i, l->names.norm2);
        take_pair(l, &b->up_w, &b->up_b, T3D_SHAPE(t->mlp, d), i, l->names.up);
        take_pair(l, &b->down_w, &b->down_b, T3D_SHAPE(d, t->mlp), i, l->names.down);
    }
    return T3D_OK;
}

/* open_clip's (D, E), used as x P, to (E, D). */
static const float *take_transposed(struct loader *l, int64_t rows, int64_t columns,
                                    const char *prefix, const char *name)
{
    const float *p = t3di_weights_take(l->w, T3D_SHAPE(rows, columns), "%s%s", prefix, name);
    float *q = p ? t3d_alloc_raw(&l->w->arena, (size_t)(rows * columns), sizeof *q) : NULL;

    l->no_memory |= p && !q;
    for (int64_t i = 0; q && i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            q[j * rows + i] = p[i * columns + j];
    return q;
}

/* Class token plus its position, once for each picture of a batch. */
static const float *first_tokens(struct loader *l, const float *class, const float *position)
{
    int64_t d = l->tower->width, n = l->clip->max_batch;
    float *p =
        class && position ? t3d_alloc_raw(&l->w->arena, (size_t)n, (size_t)d * sizeof *p) : NULL;

    l->no_memory |= class && position && !p;
    for (int64_t i = 0; p && i < n; i++)
        for (int64_t k = 0; k < d; k++)
            p[i * d + k] = class[k] + position[k];
    return p;
}

static int take_image(struct loader *l, struct t3d_err *err)
{
    const struct t3di_clip_config *c = &l->clip->config;
    struct t3di_clip_weights *to = l->to;
    int64_t d = c->image.width;
    int hf = c->layout == T3DI_TRANSFORMERS;
    const char *p = l->names.prefix, *position;
    const float *class, *all;
    int r = take_blocks(l, err);

    position = hf ? "embeddings.position_embedding.weight" : "positional_embedding";
    class = t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s", p,
                              hf ? "embeddings.class_embedding" : "class_embedding");
    to->patch = t3di_weights_take(l->w, T3D_SHAPE(d, 3, c->patch, c->patch), "%s%s", p,
                                  hf ? "embeddings.patch_embedding.weight" : "conv1.weight");
    all = t3di_weights_take(l->w, T3D_SHAPE(c->image.tokens, d), "%s%s", p, position);
    to->position = all ? all + d : NULL;
    to->first = first_tokens(l, class, all);
    to->pre_w =
        t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.weight", p, hf ? "pre_layrnorm" : "ln_pre");
    to->pre_b =
        t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.bias", p, hf ? "pre_layrnorm" : "ln_pre");
    to->norm_w =
        t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.weight", p, hf ? "post_layernorm" : "ln_post");
    to->norm_b =
        t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.bias", p, hf ? "post_layernorm" : "ln_post");
    if (!c->image.projects)
        return r;
    to->projection =
        hf ? t3di_weights_take(l->w, T3D_SHAPE(c->embed, d), "visual_projection.weight")
           : take_transposed(l, d, c->embed, p, "proj");
    return r;
}

static int take_text(struct loader *l, struct t3d_err *err)
{
    const struct t3di_clip_config *c = &l->clip->config;
    struct t3di_clip_weights *to = l->to;
    int64_t d = c->text.width;
    int hf = c->layout == T3DI_TRANSFORMERS;
    const char *p = l->names.prefix, *norm = hf ? "final_layer_norm" : "ln_final";
    int r = take_blocks(l, err);

    to->table =
        t3di_weights_take(l->w, T3D_SHAPE(c->vocab, d), "%s%s", p,
                          hf ? "embeddings.token_embedding.weight" : "token_embedding.weight");
    to->position =
        t3di_weights_take(l->w, T3D_SHAPE(c->text.tokens, d), "%s%s", p,
                          hf ? "embeddings.position_embedding.weight" : "positional_embedding");
    to->norm_w = t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.weight", p, norm);
    to->norm_b = t3di_weights_take(l->w, T3D_SHAPE(d), "%s%s.bias", p, norm);
    if (!c->text.projects)
        return r;
    to->projection = hf ? t3di_weights_take(l->w, T3D_SHAPE(c->embed, d), "text_projection.weight")
                        : take_transposed(l, d, c->embed, p, "text_projection");
    return r;
}

/* What files of CLIP may hold beside the towers: the scale of the logits, indices that old versions
 * saved (huggingface/transformers, CLIPTextEmbeddings.position_ids), the scalars of OpenAI's. */
static int is_known_extra(const char *name)
{
    static const char *const known[] = {"logit_scale",      "*position_ids",  "*attn_mask",
                                        "input_resolution", "context_length", "vocab_size"};

    for (size_t i = 0; i < T3D_COUNT(known); i++)
        if (fnmatch(known[i], name, 0) == 0)
            return 1;
    return 0;
}

static int refuse_others(const struct t3di_weights *w, struct t3d_err *err)
{
    static const char *const other[][2] = {
        {"logit_bias", "a SigLIP model"},
        {"visual.attnpool.positional_embedding", "a ResNet as image tower"},
        {"visual.attn_pool.probe", "an attention pooler"},
        {"visual.trunk.cls_token", "an image tower from timm"},
        {"visual.trunk.pos_embed", "an image tower from timm"},
        {"text.transformer.embeddings.word_embeddings.weight", "a text tower from transformers"},
        {"vision_model.head.probe", "a SigLIP model"}};

    for (size_t i = 0; i < T3D_COUNT(other); i++)
        if (t3di_weights_find(w, other[i][0]))
            return t3d_err_set(err, T3D_SKIP, "unsupported-model",
                               "'%s' has '%s', so it is %s: only CLIP with two plain transformers "
                               "is known here",
                               w->path, other[i][0], other[i][1]);
    return T3D_OK;
}

/* Versions of transformers differ in whether a tower saved alone has its prefix. */
static const char *tower_prefix(const struct t3di_weights *w, const char *prefix, const char *probe)
{
    return t3di_weights_find(w, probe) ? "" : prefix;
}

static int load_towers(struct loader *l, struct t3d_err *err)
{
    struct t3di_clip *clip = l->clip;
    int hf = clip->config.layout == T3DI_TRANSFORMERS, r = T3D_OK;

    l->names = hf ? transformers_names : open_clip_names;
    if (clip->config.image.present) {
        l->names.prefix =
            hf ? tower_prefix(l->w, "vision_model.", "embeddings.class_embedding") : "visual.";
        l->tower = &clip->config.image;
        l->to = &clip->image;
        r = take_image(l, err);
    }
    if (clip->config.text.present && r == T3D_OK) {
        l->names.prefix =
            !hf ? t3di_weights_find(l->w, "text.token_embedding.weight") ? "text." : ""
                : tower_prefix(l->w, "text_model.", "embeddings.token_embedding.weight");
        l->tower = &clip->config.text;
        l->to = &clip->text;
        r = take_text(l, err);
    }
    return r;
}

int t3di_clip_load(struct t3di_clip *clip, const char *dir, int threads, struct t3d_err *err)
{
    struct loader l = {.clip = clip, .w = &clip->weights};
    int hf = clip->config.layout == T3DI_TRANSFORMERS;
    int r = t3di_weights_open(l.w, dir, hf ? transformers_files : open_clip_files, threads, err);

    if (r == T3D_OK)
        r = refuse_others(l.w, err);
    if (r == T3D_OK)
        r = load_towers(&l, err);
    if (r == T3D_OK)
        r = t3di_weights_finish(l.w, is_known_extra, err);
    return r == T3D_OK && l.no_memory ? t3d_err_nomem(err, l.w->path) : r;
}
