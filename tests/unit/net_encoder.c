/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny CLIPs as transformers and open_clip save them, against torch's rows (tests/ref/clip), and
 * folders that are wrong in one place each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "net/encoder.h"
#include "store/safetensors.h"

enum { PICTURES = 5, MAX_TEXTS = 16, MAX_TOKENS = 11 };

static struct t3d_err err;
static struct t3d_arena arena;
static char folder[] = "/tmp/t3d-encoder-XXXXXX";

/* --- what torch says ------------------------------------------------------------------------ */

struct expected {
    float *images, *texts, *features; /* NULL = none */
    struct t3d_tokens tokens[MAX_TEXTS];
    size_t n_texts, n_tokens;
};

static float *expected_floats(const struct t3d_safetensors *s, const char *name)
{
    const struct t3d_tensor *t = t3d_safetensors_find(s, name);
    float *p = t ? t3d_alloc(&arena, t->count, sizeof *p) : NULL;

    if (p)
        t3d_tensor_floats(t, p);
    return p;
}

static struct expected expected(const char *name)
{
    struct expected x = {0};
    struct t3d_safetensors s;
    const struct t3d_tensor *t;
    float *ids;

    assert_int_equal(
        t3d_safetensors_open(&s, t3d_sprintf(&arena, "tests/ref/clip/%s.expect.safetensors", name),
                             &err),
        T3D_OK);
    x.images = expected_floats(&s, "images");
    x.texts = expected_floats(&s, "texts");
    x.features = expected_floats(&s, "features");
    t = t3d_safetensors_find(&s, "ids");
    ids = expected_floats(&s, "ids");
    x.n_texts = t ? t->shape[0] : 0;
    for (size_t i = 0; i < x.n_texts; i++) {
        struct t3d_tokens *k = &x.tokens[i];

        k->id = t3d_alloc(&arena, MAX_TOKENS, sizeof *k->id);
        while (k->n < MAX_TOKENS && ids[i * MAX_TOKENS + k->n] >= 0) {
            k->id[k->n] = (uint32_t)ids[i * MAX_TOKENS + k->n];
            k->n++;
        }
        x.n_tokens += k->n;
    }
    t3d_safetensors_close(&s);
    return x;
}

/* The inputs of make_clip.py, pixels(). */
static float *pixels(int side)
{
    int64_t n = (int64_t)PICTURES * 3 * side * side;
    float *p = t3d_alloc(&arena, (size_t)n, sizeof *p);

    for (int64_t i = 0; i < n; i++)
        p[i] = (float)((i * 7919) % 251 - 125) / 64;
    return p;
}

static void assert_close(const float *got, const float *want, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance))
            fail_msg("number %zu is %.8g, not %.8g", i, (double)got[i], (double)want[i]);
}

static struct t3d_encoder *open_with(const char *dir, struct t3d_encoder_options o)
{
    struct t3d_encoder *e;

    if (t3d_encoder_open(&e, dir, &o, &err) != T3D_OK)
        fail_msg("%s: %s", err.reason, err.msg);
    return e;
}

static void check_rows(const char *name, struct t3d_encoder_options o)
{
    struct t3d_encoder *e = open_with(t3d_sprintf(&arena, "tests/ref/clip/%s", name), o);
    const struct t3d_encoder_info *i = t3d_encoder_info(e);
    struct expected x = expected(name);
    size_t width = (size_t)i->width, d = (size_t)i->token_width;
    float *rows = t3d_alloc(&arena, MAX_TEXTS * width, sizeof *rows);
    float *features = t3d_alloc(&arena, x.n_tokens * d, sizeof *features);

    assert_string_equal(i->family, "clip");
    assert_int_equal(strlen(i->weights_hash), 64);
    assert_true(!x.images == !i->image_size && !x.texts == !i->token_width);
    if (x.images) {
        assert_int_equal(t3d_encoder_images(e, pixels(i->image_size), PICTURES, rows, &err),
                         T3D_OK);
        assert_close(rows, x.images, PICTURES * width, 1e-5);
    }
    if (x.texts) {
        assert_int_equal(t3d_encoder_texts(e, x.tokens, x.n_texts, rows, NULL, &err), T3D_OK);
        assert_close(rows, x.texts, x.n_texts * width, 1e-5);
        assert_int_equal(t3d_encoder_texts(e, x.tokens, x.n_texts, rows, features, &err), T3D_OK);
        assert_close(rows, x.texts, x.n_texts * width, 1e-5);
        assert_close(features, x.features, x.n_tokens * d, 1e-4);
    }
    t3d_encoder_free(e);
    t3d_arena_reset(&arena);
}

static const char *const names[] = {"hf",        "hf-old",    "hf-text",
                                    "hf-vision", "open_clip", "open_clip-bin"};

static void rows_are_torchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < T3D_COUNT(names); i++) {
        check_rows(names[i], (struct t3d_encoder_options){.threads = 2});
        check_rows(names[i], (struct t3d_encoder_options){.threads = 1, .no_savings = 1});
    }
}

/* All rows of the folder into one block. */
static float *all_rows(const char *dir, struct t3d_encoder_options o, size_t *n)
{
    struct t3d_encoder *e = open_with(dir, o);
    struct expected x = expected("hf");
    size_t width = (size_t)t3d_encoder_info(e)->width;
    float *rows = t3d_alloc(&arena, (PICTURES + x.n_texts) * width, sizeof *rows);

    *n = (PICTURES + x.n_texts) * width;
    assert_int_equal(t3d_encoder_images(e, pixels(23), PICTURES, rows, &err), T3D_OK);
    assert_int_equal(t3d_encoder_texts(e, x.tokens, x.n_texts, rows + PICTURES * width, NULL, &err),
                     T3D_OK);
    t3d_encoder_free(e);
    return rows;
}

static void bits_do_not_depend_on_batch_or_threads(void **state)
{
    static const struct t3d_encoder_options options[] = {
        {.threads = 1}, {.threads = 3}, {.threads = 2, .batch = 1}, {.threads = 1, .batch = 4}};
    size_t n, m;
    float *want = all_rows("tests/ref/clip/hf", (struct t3d_encoder_options){.threads = 2}, &n);

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(options); i++) {
        float *got = all_rows("tests/ref/clip/hf", options[i], &m);

        assert_int_equal(n, m);
        assert_memory_equal(got, want, n * sizeof *got);
    }
    t3d_arena_reset(&arena);
}

/* More shapes than graphs are kept: those made again give the same bits. */
static void texts_of_any_number(void **state)
{
    struct t3d_encoder *e =
        open_with("tests/ref/clip/hf", (struct t3d_encoder_options){.threads = 1});
    struct expected x = expected("hf");
    size_t width = (size_t)t3d_encoder_info(e)->width;
    float *one = t3d_alloc(&arena, width, sizeof *one);
    struct t3d_tokens many[150];
    float *rows = t3d_alloc(&arena, T3D_COUNT(many) * width, sizeof *rows);

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(many); i++)
        many[i] = x.tokens[i * i % x.n_texts];
    for (size_t n = 1; n <= T3D_COUNT(many); n = n * 2 + 1) {
        assert_int_equal(t3d_encoder_texts(e, many, n, rows, NULL, &err), T3D_OK);
        assert_int_equal(t3d_encoder_texts(e, &many[n - 1], 1, one, NULL, &err), T3D_OK);
        assert_memory_equal(one, rows + (n - 1) * width, width * sizeof *one);
    }
    assert_int_equal(t3d_encoder_texts(e, NULL, 0, NULL, NULL, &err), T3D_OK);
    assert_int_equal(t3d_encoder_images(e, NULL, 0, NULL, &err), T3D_OK);
    t3d_encoder_free(e);
    t3d_arena_reset(&arena);
}

/* --- folders made here ---------------------------------------------------------------------- */

/* A copy of a file of tests/ref/clip/FROM in our folder. */
static void copy_file(const char *from, const char *name)
{
    struct t3d_blob b;

    assert_int_equal(t3d_blob_open(&b, t3d_sprintf(&arena, "tests/ref/%s/%s", from, name), 0, &err),
                     T3D_OK);
    assert_int_equal(
        t3d_write_file(t3d_sprintf(&arena, "%s/%s", folder, name), b.data, b.size, &err), T3D_OK);
    t3d_blob_close(&b);
}

static void copy_folder(const char *name)
{
    int hf = strncmp(name, "hf", 2) == 0;

    t3d_remove_tree(folder);
    assert_int_equal(t3d_make_dirs(folder, &err), T3D_OK);
    copy_file(t3d_sprintf(&arena, "clip/%s", name), hf ? "config.json" : "open_clip_config.json");
    copy_file(t3d_sprintf(&arena, "clip/%s", name),
              hf ? "model.safetensors" : "open_clip_model.safetensors");
    if (hf)
        copy_file(t3d_sprintf(&arena, "clip/%s", name), "preprocessor_config.json");
}

/* Sets a member, by a path with dots, of a file of the folder; value is JSON, NULL = remove it. */
static void edit(const char *file, const char *path, const char *value)
{
    char *name = t3d_sprintf(&arena, "%s/%s", folder, file), *copy = t3d_strdup(&arena, path),
         *text;
    cJSON *root, *o;

    assert_int_equal(t3d_json_read(&root, name, 1 << 20, &err), T3D_OK);
    o = root;
    for (char *dot; (dot = strchr(copy, '.')); copy = dot + 1) {
        *dot = 0;
        o = cJSON_GetObjectItem(o, copy);
        assert_non_null(o);
    }
    cJSON_DeleteItemFromObject(o, copy);
    if (value)
        cJSON_AddItemToObject(o, copy, cJSON_Parse(value));
    text = t3d_json_text(root, 0);
    assert_int_equal(t3d_write_file(name, text, strlen(text), &err), T3D_OK);
    free(text);
    cJSON_Delete(root);
}

static void refused(const char *reason, const char *says)
{
    struct t3d_encoder *e;
    int r = t3d_encoder_open(&e, folder, &(struct t3d_encoder_options){.threads = 1}, &err);

    if (r != T3D_SKIP || strcmp(err.reason, reason) != 0 || !strstr(err.msg, says))
        fail_msg("expected %s with '%s', got %d %s: %s", reason, says, r, r < 0 ? err.reason : "",
                 r < 0 ? err.msg : "");
    assert_null(e);
}

struct bad {
    const char *folder, *file, *path, *value, *reason, *says;
};

static const struct bad bad_configs[] = {
    {"hf", "config.json", "model_type", "\"bert\"", "unsupported-model", "bert"},
    {"hf", "config.json", "model_type", "7", "unsupported-model", "model_type"},
    {"hf", "config.json", "text_config", "[1]", "bad-config", "text_config"},
    {"hf", "config.json", "text_config.hidden_act", "\"swiglu\"", "unsupported-model", "swiglu"},
    {"hf", "config.json", "text_config.num_attention_heads", "5", "bad-config", "5 heads"},
    {"hf", "config.json", "text_config.num_attention_heads", "\"3\"", "bad-config", "whole number"},
    {"hf", "config.json", "text_config.hidden_size", "1e300", "bad-config", "hidden_size"},
    {"hf", "config.json", "text_config.hidden_size", "15", "bad-weights", "(12)"},
    {"hf", "config.json", "text_config.vocab_size", "41", "bad-weights", "token_embedding"},
    {"hf", "config.json", "text_config.num_hidden_layers", "1", "bad-weights", "layers.1."},
    {"hf", "config.json", "text_config.num_hidden_layers", "3", "bad-weights", "16 tensors"},
    {"hf", "config.json", "text_config.num_hidden_layers", "2.5", "bad-config", "whole number"},
    {"hf", "config.json", "text_config.layer_norm_eps", "-1", "bad-config", "layer_norm_eps"},
    {"hf", "config.json", "projection_dim", "8", "bad-weights", "projection"},
    {"hf", "config.json", "vision_config.patch_size", "6", "bad-weights", "patch_embedding"},
    {"hf", "config.json", "vision_config.patch_size", "0", "bad-config", "patch_size"},
    {"hf", "config.json", "vision_config.patch_size", "24", "bad-config", "larger"},
    {"hf", "config.json", "vision_config.image_size", "[23, 24]", "unsupported-model", "square"},
    {"hf", "config.json", "vision_config.image_size", "28", "bad-config", "takes 28"},
    {"hf", "config.json", "vision_config.num_channels", "4", "unsupported-model", "num_channels"},
    {"hf", "preprocessor_config.json", "image_mean", NULL, "bad-config", "image_mean"},
    {"hf", "preprocessor_config.json", "image_std", "[1, 2]", "bad-config", "image_std"},
    {"hf", "preprocessor_config.json", "image_std", "[1, 0, 1]", "bad-config", "deviation"},
    {"hf", "preprocessor_config.json", "size", NULL, "bad-config", "size"},
    {"hf", "preprocessor_config.json", "resample", NULL, "bad-config", "resample"},
    {"hf", "preprocessor_config.json", "resample", "0", "unsupported-model", "resample"},
    {"hf", "preprocessor_config.json", "do_rescale", "false", "unsupported-model", "do_rescale"},
    {"hf", "preprocessor_config.json", "crop_size", "22", "bad-config", "22"},
    {"open_clip", "open_clip_config.json", "model_cfg", "{}", "bad-config", "vision_cfg"},
    {"open_clip", "open_clip_config.json", "model_cfg.embed_dim", NULL, "bad-config", "embed_dim"},
    {"open_clip", "open_clip_config.json", "model_cfg.quick_gelu", "1", "bad-config", "quick_gelu"},
    {"open_clip", "open_clip_config.json", "model_cfg.init_logit_bias", "-10", "unsupported-model",
     "SigLIP"},
    {"open_clip", "open_clip_config.json", "model_cfg.vision_cfg.timm_model_name", "\"vit\"",
     "unsupported-model", "timm_model_name"},
    {"open_clip", "open_clip_config.json", "model_cfg.vision_cfg.layers", "[3, 4, 6, 3]",
     "unsupported-model", "ResNet"},
    {"open_clip", "open_clip_config.json", "model_cfg.vision_cfg.head_width", "64", "bad-config",
     "head_width"},
    {"open_clip", "open_clip_config.json", "model_cfg.text_cfg.pool_type", "\"last\"",
     "unsupported-model", "pool_type"},
    {"open_clip", "open_clip_config.json", "model_cfg.vision_cfg.image_size", "30", "bad-weights",
     "visual.positional_embedding"},
    {"open_clip", "open_clip_config.json", "model_cfg.text_cfg.heads", "7", "bad-config",
     "7 heads"},
    {"open_clip", "open_clip_config.json", "preprocess_cfg", NULL, "bad-config", "mean"},
    {"open_clip", "open_clip_config.json", "preprocess_cfg.mean", NULL, "bad-config", "mean"},
    {"open_clip", "open_clip_config.json", "preprocess_cfg.resize_mode", "\"crop\"",
     "unsupported-model", "resize_mode"}};

static void bad_configurations_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad_configs); i++) {
        const struct bad *b = &bad_configs[i];

        copy_folder(b->folder);
        edit(b->file, b->path, b->value);
        refused(b->reason, b->says);
        t3d_arena_reset(&arena);
    }
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(
        t3d_write_file(t3d_sprintf(&arena, "%s/%s", folder, name), text, strlen(text), &err),
        T3D_OK);
}

static void missing_and_broken_files_are_named(void **state)
{
    struct t3d_encoder *e;

    (void)state;
    copy_folder("hf");
    unlink(t3d_sprintf(&arena, "%s/preprocessor_config.json", folder));
    refused("bad-config", "preprocessor_config.json");
    assert_int_equal(
        t3d_encoder_open(&e, folder, &(struct t3d_encoder_options){.recipe = "openai"}, &err),
        T3D_OK); /* states what is missing */
    t3d_encoder_free(e);
    copy_folder("hf");
    unlink(t3d_sprintf(&arena, "%s/model.safetensors", folder));
    refused("missing-file", "model.safetensors");
    write_text("model.safetensors", "{}");
    refused("bad-safetensors", "model.safetensors");
    write_text("config.json", "[1, 2");
    refused("bad-config", "config.json");
    write_text("config.json", "[1, 2]");
    refused("bad-config", "config.json");
    unlink(t3d_sprintf(&arena, "%s/config.json", folder));
    refused("missing-file", "open_clip_config.json");
    t3d_remove_tree(folder);
    refused("missing-file", folder);
    t3d_arena_reset(&arena);
}

/* --- weights that are wrong ------------------------------------------------------------------- */

/* The folder with one tensor changed: renamed, of another type, or with a number in it. */
static void change_tensor(const char *file, const char *name, const char *renamed,
                          enum t3d_tensor_type type, const float *number)
{
    char *path = t3d_sprintf(&arena, "%s/%s", folder, file);
    struct t3d_safetensors s;
    struct t3d_tensor *t = NULL;

    assert_int_equal(t3d_safetensors_open(&s, path, &err), T3D_OK);
    for (size_t i = 0; i < s.n; i++)
        if (strcmp(s.tensor[i].name, name) == 0)
            t = &s.tensor[i];
    assert_non_null(t);
    t->name = renamed;
    t->type = type;
    if (number) {
        uint8_t *data = t3d_alloc(&arena, t->count, sizeof(float));

        memcpy(data, t->data, t->count * sizeof(float));
        memcpy(data + (t->count - 1) * sizeof(float), number, sizeof(float));
        t->data = data;
    }
    assert_int_equal(t3d_safetensors_write(path, s.tensor, s.n, NULL, 0, &err), T3D_OK);
    t3d_safetensors_close(&s);
}

static void bad_weights_are_named(void **state)
{
    static const char table[] = "text_model.embeddings.token_embedding.weight";
    static const float wrong[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(wrong); i++) {
        copy_folder("hf");
        change_tensor("model.safetensors", table, table, T3D_TENSOR_F32, &wrong[i]);
        refused("bad-weights", table);
    }
    copy_folder("hf");
    change_tensor("model.safetensors", table, table, T3D_TENSOR_I32, NULL);
    refused("bad-weights", "I32");
    copy_folder("hf");
    change_tensor("model.safetensors", table, "text_model.table", T3D_TENSOR_F32, NULL);
    refused("bad-weights", table);
    copy_folder("hf");
    change_tensor("model.safetensors", "logit_scale", "scale", T3D_TENSOR_F32, NULL);
    refused("bad-weights", "'scale'");
    copy_folder("open_clip");
    change_tensor("open_clip_model.safetensors", "logit_scale", "logit_bias", T3D_TENSOR_F32, NULL);
    refused("unsupported-model", "SigLIP");
    t3d_arena_reset(&arena);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void wrong_calls_are_refused(void **state)
{
    struct t3d_encoder *e;
    uint32_t no_end[] = {38, 1}, outside[] = {38, 40, 39};
    struct t3d_tokens t = {no_end, 2, 0};
    float row[16];

    (void)state;
    assert_int_equal(t3d_encoder_open(&e, "tests/ref/clip/hf",
                                      &(struct t3d_encoder_options){.device = "tpu"}, &err),
                     T3D_USAGE);
    assert_int_equal(t3d_encoder_open(&e, "tests/ref/clip/hf",
                                      &(struct t3d_encoder_options){.recipe = "best"}, &err),
                     T3D_USAGE);
    assert_int_equal(t3d_encoder_open(&e, "tests/ref/clip/hf",
                                      &(struct t3d_encoder_options){.threads = -1}, &err),
                     T3D_USAGE);
    e = open_with("tests/ref/clip/hf", (struct t3d_encoder_options){.threads = 1});
    assert_int_equal(t3d_encoder_texts(e, &t, 1, row, NULL, &err), T3D_USAGE);
    t = (struct t3d_tokens){outside, 3, 0};
    assert_int_equal(t3d_encoder_texts(e, &t, 1, row, NULL, &err), T3D_USAGE);
    t.n = 0;
    assert_int_equal(t3d_encoder_texts(e, &t, 1, row, NULL, &err), T3D_USAGE);
    assert_int_equal(t3d_encoder_tokenize(e, &t, "a", 1, &arena, &err), T3D_USAGE);
    t3d_encoder_free(e);
    e = open_with("tests/ref/clip/hf-text", (struct t3d_encoder_options){.threads = 1});
    assert_int_equal(t3d_encoder_images(e, row, 1, row, &err), T3D_USAGE);
    assert_int_equal(t3d_encoder_picture(e, row, (uint8_t[4]){0}, 1, 1, &arena, &err), T3D_USAGE);
    t3d_encoder_free(e);
}

/* A folder whose table is as long as the tokenizer of tests/ref/tokens/clip. */
static void make_folder_with_tokenizer(void)
{
    struct t3d_safetensors s;
    char *path = t3d_sprintf(&arena, "%s/model.safetensors", folder), *rows;
    enum { VOCAB = 624, WIDTH = 12 };

    copy_folder("hf");
    copy_file("tokens/clip", "vocab.json");
    copy_file("tokens/clip", "merges.txt");
    edit("config.json", "text_config.vocab_size", "624");
    edit("config.json", "text_config.eos_token_id", "2");
    assert_int_equal(t3d_safetensors_open(&s, path, &err), T3D_OK);
    rows = t3d_alloc(&arena, VOCAB * WIDTH, sizeof(float));
    for (size_t i = 0; i < VOCAB * WIDTH; i++)
        memcpy(rows + i * sizeof(float), &(float){(float)(i % 17) / 8 - 1}, sizeof(float));
    for (size_t i = 0; i < s.n; i++)
        if (strcmp(s.tensor[i].name, "text_model.embeddings.token_embedding.weight") == 0) {
            s.tensor[i].shape[0] = VOCAB;
            s.tensor[i].count = VOCAB * WIDTH;
            s.tensor[i].data = (const uint8_t *)rows;
        }
    assert_int_equal(t3d_safetensors_write(path, s.tensor, s.n, NULL, 0, &err), T3D_OK);
    t3d_safetensors_close(&s);
}

static void texts_go_all_the_way(void **state)
{
    static const char *const texts[] = {"", "a red cube", "a red cube on a green sphere and so on"};
    struct t3d_encoder *e;
    struct t3d_tokens t[T3D_COUNT(texts)];
    float rows[T3D_COUNT(texts) * 9];
    char explained[8192] = "";
    FILE *f = fmemopen(explained, sizeof explained - 1, "w");

    (void)state;
    make_folder_with_tokenizer();
    e = open_with(folder, (struct t3d_encoder_options){.threads = 1});
    assert_int_equal(t3d_encoder_info(e)->max_tokens, MAX_TOKENS);
    for (size_t i = 0; i < T3D_COUNT(texts); i++)
        assert_int_equal(t3d_encoder_tokenize(e, &t[i], texts[i], strlen(texts[i]), &arena, &err),
                         T3D_OK);
    assert_int_equal(t[0].n, 2);
    assert_int_equal(t[2].n, MAX_TOKENS);
    assert_true(t[2].truncated && t[2].id[MAX_TOKENS - 1] == t[0].id[1]);
    assert_int_equal(t3d_encoder_texts(e, t, T3D_COUNT(texts), rows, NULL, &err), T3D_OK);
    assert_non_null(f);
    t3d_encoder_explain(e, texts[1], f);
    fclose(f);
    assert_non_null(strstr(explained, "quick_gelu"));
    assert_non_null(strstr(explained, "eos_token_id is 2"));
    assert_non_null(strstr(explained, "tokens: "));
    assert_non_null(strstr(explained, "(start)"));
    assert_non_null(strstr(explained, "red_"));
    t3d_encoder_free(e);
    edit("config.json", "text_config.eos_token_id", "7");
    refused("bad-config", "eos_token_id");
    t3d_arena_reset(&arena);
}

static void pictures_go_all_the_way(void **state)
{
    struct t3d_encoder *e = open_with(
        "tests/ref/clip/hf", (struct t3d_encoder_options){.threads = 1, .background = {9, 9, 9}});
    float *input = t3d_alloc(&arena, 2 * 3 * 23 * 23, sizeof *input), rows[18];
    uint8_t clear[4] = {200, 10, 30, 0}, grey[4] = {9, 9, 9, 255};

    (void)state;
    assert_int_equal(t3d_encoder_picture(e, input, clear, 1, 1, &arena, &err), T3D_OK);
    assert_int_equal(t3d_encoder_picture(e, input + 3 * 23 * 23, grey, 1, 1, &arena, &err), T3D_OK);
    assert_int_equal(t3d_encoder_images(e, input, 2, rows, &err), T3D_OK);
    assert_memory_equal(rows, rows + 9, 9 * sizeof *rows);
    t3d_encoder_free(e);
    t3d_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_torchs),
        cmocka_unit_test(bits_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(texts_of_any_number),
        cmocka_unit_test(bad_configurations_are_named),
        cmocka_unit_test(missing_and_broken_files_are_named),
        cmocka_unit_test(bad_weights_are_named),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(texts_go_all_the_way),
        cmocka_unit_test(pictures_go_all_the_way),
    };
    int r;

    if (!mkdtemp(folder))
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    t3d_remove_tree(folder);
    t3d_arena_free(&arena);
    return r;
}
