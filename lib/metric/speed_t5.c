/* SPDX-License-Identifier: Apache-2.0 */
/* The embed-t5 row: the encoder of T5-base v1.1 with random weights, written as transformers saves
 * it; 8 texts of 77 tokens in runs of 1 and of 8, captions of the lengths of T3Bench's prompts, and
 * the unigram tokenizer on ten thousand captions. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "metric/speed.h"
#include "net/encoder.h"
#include "store/safetensors.h"

enum {
    TEXTS = 8,
    LONG = 77,
    CAPTIONS = 64,
    TOKENIZED = 10000,
    WIDTH = 768,
    HIDDEN = 2048,
    LAYERS = 12,
    VOCAB = 1024,
    POOL = WIDTH * HIDDEN, /* numbers that all tensors share */
    TENSORS = 9 * LAYERS + 3
};

static const char *const words[] = {"a",    "red",  "green",    "cube",  "sphere",   "on",
                                    "the",  "tall", "wooden",   "chair", "with",     "small",
                                    "lamp", "made", "polished", "metal", "standing", "table"};

struct maker {
    struct t3d_arena *a;
    struct t3d_tensor tensor[TENSORS];
    size_t n;
    float *pool;
    int failed;
};

static void add(struct maker *m, int64_t rows, int64_t columns, const char *fmt, ...)
    T3D_PRINTF(4, 5);
static void add(struct maker *m, int64_t rows, int64_t columns, const char *fmt, ...)
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
                             .data = (const uint8_t *)m->pool};
    m->failed |= !t->name || t3d_tensor_layout(t, &bytes) < 0;
}

static int make_weights(struct maker *m, const char *path, struct t3d_err *err)
{
    static const char square[] = "qkvo";

    for (int i = 0; i < LAYERS; i++) {
        for (int k = 0; k < 4; k++)
            add(m, WIDTH, WIDTH, "encoder.block.%d.layer.0.SelfAttention.%c.weight", i, square[k]);
        for (int k = 0; k < 2; k++) {
            add(m, WIDTH, 0, "encoder.block.%d.layer.%d.layer_norm.weight", i, k);
            add(m, HIDDEN, WIDTH, "encoder.block.%d.layer.1.DenseReluDense.wi_%d.weight", i, k);
        }
        add(m, WIDTH, HIDDEN, "encoder.block.%d.layer.1.DenseReluDense.wo.weight", i);
    }
    add(m, WIDTH, 0, "encoder.final_layer_norm.weight");
    add(m, 32, 12, "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
    add(m, VOCAB, WIDTH, "shared.weight");
    if (m->failed)
        return t3d_err_nomem(err, "a network");
    return t3d_safetensors_write(path, m->tensor, m->n, NULL, 0, err);
}

static const char config[] =
    "{\"model_type\": \"t5\", \"vocab_size\": 1024, \"d_model\": 768, \"d_kv\": 64, \"d_ff\": "
    "2048, "
    "\"num_layers\": 12, \"num_heads\": 12, \"feed_forward_proj\": \"gated-gelu\"}";

/* Pieces of one and two letters and the words, marked and not. */
static int write_tokenizer(const char *path, struct t3d_err *err)
{
    static const char head[] =
        "{\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
        "[{\"type\": \"WhitespaceSplit\"}, {\"type\": \"Metaspace\", \"replacement\": "
        "\"\\u2581\"}]}, "
        "\"post_processor\": {\"single\": [{\"Sequence\": {\"id\": \"A\"}}, {\"SpecialToken\": "
        "{\"id\": \"</s>\"}}], \"special_tokens\": {\"</s>\": {\"ids\": [1]}}}, \"model\": "
        "{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", 0], [\"</s>\", 0], "
        "[\"\\u2581\", -4]";
    struct t3d_out o;
    int r = t3d_out_open(&o, path, err);

    if (r < 0)
        return r;
    fputs(head, o.f);
    for (int i = 0; i < 26; i++)
        fprintf(o.f, ", [\"%c\", -9]", 'a' + i);
    for (int i = 0; i < 26 * 26; i++)
        fprintf(o.f, ", [\"%c%c\", -%d]", 'a' + i / 26, 'a' + i % 26, 9 + i % 7);
    for (size_t i = 0; i < T3D_COUNT(words); i++)
        fprintf(o.f, ", [\"\\u2581%s\", -%zu]", words[i], 5 + i);
    fputs("]}}", o.f);
    return t3d_out_commit(&o, 0, err);
}

static int make_folder(struct t3d_speed *b, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct maker m = {.a = &a, .pool = t3d_alloc_raw(&a, POOL, sizeof *m.pool)};
    const char *const path[] = {t3d_sprintf(&a, "%s/t5", b->scratch),
                                t3d_sprintf(&a, "%s/t5/config.json", b->scratch),
                                t3d_sprintf(&a, "%s/t5/tokenizer.json", b->scratch),
                                t3d_sprintf(&a, "%s/t5/model.safetensors", b->scratch)};
    struct t3d_rng rng = t3d_rng_for(1, "embed-t5", 0);
    int r = T3D_OK;

    if (!m.pool || !path[0] || !path[1] || !path[2] || !path[3])
        r = t3d_err_nomem(err, "a network");
    for (int i = 0; r == T3D_OK && i < POOL; i++)
        m.pool[i] = (float)(t3d_rng_uniform(&rng) - .5) / 8;
    if (r == T3D_OK)
        r = t3d_make_dirs(path[0], err);
    if (r == T3D_OK)
        r = t3d_write_file(path[1], config, strlen(config), err);
    if (r == T3D_OK)
        r = write_tokenizer(path[2], err);
    if (r == T3D_OK)
        r = make_weights(&m, path[3], err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&b->t5, path[0], &(struct t3d_encoder_options){.threads = b->threads},
                             err);
    t3d_arena_free(&a);
    return r;
}

/* --- the work --------------------------------------------------------------------------------- */

static struct t3d_tokens *make_tokens(struct t3d_arena *a, size_t n, size_t length)
{
    /* with </s>; those of T3Bench's prompts have about 12 in the mean */
    static const unsigned char lengths[] = {10, 9, 12, 11, 8, 10, 14, 9, 11, 20, 17, 7, 13, 23, 9};
    struct t3d_tokens *t = t3d_alloc(a, n, sizeof *t);

    for (uint32_t i = 0; t && i < n; i++) {
        t[i].n = length ? length : lengths[i % T3D_COUNT(lengths)];
        t[i].id = t3d_alloc(a, t[i].n, sizeof *t[i].id);
        if (!t[i].id)
            return NULL;
        for (uint32_t k = 0; k < t[i].n; k++)
            t[i].id[k] = k == t[i].n - 1 ? 1 : 3 + (i * 31 + k) % (VOCAB - 3);
    }
    return t;
}

static int run(struct t3d_speed *b, const struct t3d_tokens *tokens, size_t n, size_t batch,
               float *rows, double *seconds, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i += batch)
        r = t3d_encoder_texts(b->t5, tokens + i, batch, rows, NULL, err);
    *seconds = t3d_clock_s() - start;
    return r;
}

static int tokenize(struct t3d_speed *b, double *seconds, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    double start = t3d_clock_s();
    int r = T3D_OK;

    for (size_t i = 0; i < TOKENIZED && r == T3D_OK; i++) {
        struct t3d_tokens t;
        char text[128];
        int n = 0;

        for (size_t k = 0; k < 8; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, " %s",
                          words[(i * 7 + k * k) % T3D_COUNT(words)]);
        r = t3d_encoder_tokenize(b->t5, &t, text, (size_t)n, &a, err);
        t3d_arena_reset(&a);
    }
    *seconds = t3d_clock_s() - start;
    t3d_arena_free(&a);
    return r;
}

int t3di_speed_t5(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_tokens *texts = make_tokens(&a, TEXTS, LONG);
    struct t3d_tokens *captions = make_tokens(&a, CAPTIONS, 0);
    float *rows = t3d_alloc(&a, CAPTIONS * (size_t)WIDTH, sizeof *rows);
    int r = rows && texts && captions ? T3D_OK : t3d_err_nomem(err, "texts");

    *row = (struct t3d_speed_row){.unit = "texts",
                                  .work = TEXTS,
                                  .threads = b->threads,
                                  .phase = {"batch1", "batch8", "captions64", "tokenize10k"}};
    if (r == T3D_OK && !b->t5)
        r = make_folder(b, err);
    if (r == T3D_OK)
        r = run(b, texts, TEXTS, 1, rows, &row->phase_s[0], err);
    if (r == T3D_OK)
        r = run(b, texts, TEXTS, TEXTS, rows, &row->phase_s[1], err);
    if (r == T3D_OK)
        r = run(b, captions, CAPTIONS, CAPTIONS, rows, &row->phase_s[2], err);
    if (r == T3D_OK)
        r = tokenize(b, &row->phase_s[3], err);
    t3d_arena_free(&a);
    return r;
}
