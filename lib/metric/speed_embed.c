/* SPDX-License-Identifier: Apache-2.0 */
/* The embed row: CLIP B/32 with random weights, written as transformers saves it; pictures in runs
 * of 1, 8 and 32, all of them in each phase, and ten times as many captions, of the lengths of
 * T3Bench's prompts. The network alone: nothing is decoded, resized or cut into tokens. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "metric/speed.h"
#include "net/encoder.h"
#include "store/safetensors.h"

enum {
    PICTURES = 32,
    CAPTIONS = 10 * PICTURES,
    SIDE = 224,
    POOL = 768 * 3072, /* numbers that all tensors share */
    TENSORS = 400,
    SOME_TOKEN = 320,
    START = 49406,
    END = 49407
};

struct maker {
    struct t3d_arena *a;
    struct t3d_tensor tensor[TENSORS];
    size_t n;
    float *pool, *table; /* table: of the words */
    int failed;
};

/* ---- the folder -------------------------------------------------------------------------- */

static void add(struct maker *m, const float *data, int64_t rows, int64_t columns, const char *fmt,
                ...) T3D_PRINTF(5, 6);
static void add(struct maker *m, const float *data, int64_t rows, int64_t columns, const char *fmt,
                ...)
{
    struct t3d_tensor *t = &m->tensor[m->n++];
    char name[128];
    uint64_t bytes;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    *t = (struct t3d_tensor){.name = t3d_strdup(m->a, name),
                             .type = T3D_TENSOR_F32,
                             .n_axes = columns ? 2 : 1,
                             .shape = {(uint64_t)rows, (uint64_t)columns},
                             .data = (const uint8_t *)data};
    m->failed |= !t->name || t3d_tensor_layout(t, &bytes) < 0;
}

static void add_pair(struct maker *m, int64_t rows, int64_t columns, const char *tower, int layer,
                     const char *part)
{
    add(m, m->pool, rows, columns, "%s.encoder.layers.%d.%s.weight", tower, layer, part);
    add(m, m->pool, rows, 0, "%s.encoder.layers.%d.%s.bias", tower, layer, part);
}

static void add_tower(struct maker *m, const char *tower, int64_t d, int64_t tokens)
{
    static const char *const square[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                         "self_attn.out_proj"};

    for (int i = 0; i < 12; i++) {
        add_pair(m, d, 0, tower, i, "layer_norm1");
        for (size_t k = 0; k < T3D_COUNT(square); k++)
            add_pair(m, d, d, tower, i, square[k]);
        add_pair(m, d, 0, tower, i, "layer_norm2");
        add_pair(m, 4 * d, d, tower, i, "mlp.fc1");
        add_pair(m, d, 4 * d, tower, i, "mlp.fc2");
    }
    add(m, m->pool, tokens, d, "%s.embeddings.position_embedding.weight", tower);
}

static void add_norm(struct maker *m, int64_t d, const char *name)
{
    add(m, m->pool, d, 0, "%s.weight", name);
    add(m, m->pool, d, 0, "%s.bias", name);
}

static int make_weights(struct maker *m, const char *path, struct t3d_err *err)
{
    add_tower(m, "vision_model", 768, 50);
    add_tower(m, "text_model", 512, 77);
    add(m, m->pool, 768, 0, "vision_model.embeddings.class_embedding");
    add(m, m->pool, 768, 3 * 32 * 32, "vision_model.embeddings.patch_embedding.weight");
    m->tensor[m->n - 1].n_axes = 4;
    memcpy(m->tensor[m->n - 1].shape, (uint64_t[]){768, 3, 32, 32}, 4 * sizeof(uint64_t));
    add_norm(m, 768, "vision_model.pre_layrnorm");
    add_norm(m, 768, "vision_model.post_layernorm");
    add(m, m->table, END + 1, 512, "text_model.embeddings.token_embedding.weight");
    add_norm(m, 512, "text_model.final_layer_norm");
    add(m, m->pool, 512, 768, "visual_projection.weight");
    add(m, m->pool, 512, 512, "text_projection.weight");
    if (m->failed)
        return t3d_err_nomem(err, "a network");
    return t3d_safetensors_write(path, m->tensor, m->n, NULL, 0, err);
}

static const char config[] =
    "{\"model_type\": \"clip\", \"projection_dim\": 512, "
    "\"text_config\": {\"hidden_act\": \"quick_gelu\", \"eos_token_id\": 49407}, "
    "\"vision_config\": {\"hidden_act\": \"quick_gelu\"}}";
static const char processor[] = "{\"size\": {\"shortest_edge\": 224}, \"crop_size\": 224, "
                                "\"resample\": 3, \"image_mean\": [0.5, 0.5, 0.5], "
                                "\"image_std\": [0.5, 0.5, 0.5]}";

static int make_folder(struct t3d_speed *b, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct maker m = {.a = &a};
    const char *const path[] = {t3d_sprintf(&a, "%s/clip", b->scratch),
                                t3d_sprintf(&a, "%s/clip/config.json", b->scratch),
                                t3d_sprintf(&a, "%s/clip/preprocessor_config.json", b->scratch),
                                t3d_sprintf(&a, "%s/clip/model.safetensors", b->scratch)};
    struct t3d_rng rng = t3d_rng_for(1, "embed", 0);
    int r = T3D_OK;

    m.pool = t3d_alloc_raw(&a, POOL, sizeof *m.pool);
    m.table = t3d_alloc(&a, (END + 1) * (size_t)512, sizeof *m.table);
    if (!m.pool || !m.table || !path[0] || !path[1] || !path[2] || !path[3])
        r = t3d_err_nomem(err, "a network");
    for (int i = 0; r == T3D_OK && i < POOL; i++)
        m.pool[i] = (float)(t3d_rng_uniform(&rng) - .5) / 8;
    for (int i = 0; r == T3D_OK && i < END + 1; i++)
        memcpy(m.table + 512 * (size_t)i, m.pool + i, 512 * sizeof *m.table);
    if (r == T3D_OK)
        r = t3d_make_dirs(path[0], err);
    if (r == T3D_OK)
        r = t3d_write_file(path[1], config, strlen(config), err);
    if (r == T3D_OK)
        r = t3d_write_file(path[2], processor, strlen(processor), err);
    if (r == T3D_OK)
        r = make_weights(&m, path[3], err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&b->encoder, path[0],
                             &(struct t3d_encoder_options){.threads = b->threads}, err);
    t3d_arena_free(&a);
    return r;
}

/* ---- the work ---------------------------------------------------------------------------- */

/* 6 to 20 tokens, 10.9 in the mean, as T3Bench's prompts have. */
static struct t3d_tokens *make_captions(struct t3d_arena *a)
{
    static const unsigned char lengths[] = {10, 9, 12, 11, 8, 10, 14, 9, 11, 20,
                                            10, 6, 12, 13, 7, 10, 11, 9, 16, 10};
    struct t3d_tokens *t = t3d_alloc(a, CAPTIONS, sizeof *t);

    for (uint32_t i = 0; t && i < CAPTIONS; i++) {
        t[i].n = lengths[i % T3D_COUNT(lengths)];
        t[i].id = t3d_alloc(a, t[i].n, sizeof *t[i].id);
        if (!t[i].id)
            return NULL;
        for (uint32_t k = 0; k < t[i].n; k++)
            t[i].id[k] = k == 0 ? START : k == t[i].n - 1 ? END : SOME_TOKEN + (i * 31 + k) % 40000;
    }
    return t;
}

static int run_pictures(struct t3d_encoder *e, const float *input, size_t batch, float *rows,
                        double *seconds, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r = T3D_OK;

    for (size_t i = 0; i < PICTURES && r == T3D_OK; i += batch)
        r = t3d_encoder_images(e, input + i * 3 * SIDE * SIDE, batch, rows, err);
    *seconds = t3d_clock_s() - start;
    return r;
}

int t3di_speed_embed(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const size_t batch[] = {1, 8, 32};
    struct t3d_arena a = {0};
    float *input = t3d_alloc(&a, (size_t)PICTURES * 3 * SIDE * SIDE, sizeof *input);
    float *rows = t3d_alloc(&a, CAPTIONS * (size_t)512, sizeof *rows);
    struct t3d_tokens *captions = make_captions(&a);
    int r = input && rows && captions ? T3D_OK : t3d_err_nomem(err, "pictures");
    double start;

    *row = (struct t3d_speed_row){.unit = "pictures",
                                  .work = PICTURES,
                                  .threads = b->threads,
                                  .phase = {"batch1", "batch8", "batch32", "captions"}};
    if (r == T3D_OK && !b->encoder)
        r = make_folder(b, err);
    for (int64_t i = 0; r == T3D_OK && i < PICTURES * 3 * SIDE * SIDE; i++)
        input[i] = (float)(i * 7919 % 251 - 125) / 64;
    for (int i = 0; r == T3D_OK && i < 3; i++)
        r = run_pictures(b->encoder, input, batch[i], rows, &row->phase_s[i], err);
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_encoder_texts(b->encoder, captions, CAPTIONS, rows, NULL, err);
    row->phase_s[3] = t3d_clock_s() - start;
    t3d_arena_free(&a);
    return r;
}
