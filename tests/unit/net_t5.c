/* SPDX-License-Identifier: Apache-2.0 */
/* Against vectors of transformers (tests/ref/make_t5.py); invariance; folders that are wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "net/t5_impl.h"

static struct t3d_err err;
static struct t3d_arena arena;
static char scratch[64];

struct vectors {
    struct t3d_tokens *tokens;
    size_t n, sum, width;
    float *rows, *features;
};

static const struct t3d_tensor *tensor(const struct t3d_safetensors *s, const char *name)
{
    const struct t3d_tensor *t = t3d_safetensors_find(s, name);

    assert_non_null(t);
    return t;
}

static float *floats(const struct t3d_tensor *t)
{
    float *x = t3d_alloc(&arena, t->count, sizeof *x);

    assert_non_null(x);
    t3d_tensor_floats(t, x);
    return x;
}

static struct vectors read_vectors(const char *dir)
{
    char *path = t3d_path_join(&arena, dir, "case.safetensors");
    struct t3d_safetensors s;
    struct vectors v = {0};
    float *ids, *n;

    assert_int_equal(t3d_safetensors_open(&s, path, &err), T3D_OK);
    ids = floats(tensor(&s, "ids"));
    n = floats(tensor(&s, "n"));
    v.rows = floats(tensor(&s, "rows"));
    v.features = floats(tensor(&s, "features"));
    v.n = tensor(&s, "n")->count;
    v.width = tensor(&s, "rows")->shape[1];
    v.tokens = t3d_alloc(&arena, v.n, sizeof *v.tokens);
    for (size_t i = 0; i < v.n; i++) {
        v.tokens[i].n = (size_t)n[i];
        v.tokens[i].id = t3d_alloc(&arena, v.tokens[i].n, sizeof(uint32_t));
        for (size_t k = 0; k < v.tokens[i].n; k++)
            v.tokens[i].id[k] = (uint32_t)ids[v.sum++];
    }
    t3d_safetensors_close(&s);
    return v;
}

static struct t3d_encoder *open_net(const char *dir, struct t3d_encoder_options o)
{
    struct t3d_encoder *t;

    if (t3d_encoder_open(&t, dir, &o, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

/* rows, then features. */
static float *run(struct t3d_encoder *t, const struct t3d_tokens *x, size_t n, size_t sum)
{
    size_t width = (size_t)t3d_encoder_info(t)->width;
    float *out = t3d_alloc(&arena, (n + sum) * width, sizeof *out);

    if (t3d_encoder_texts(t, x, n, out, out + n * width, &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

static double compare(const float *a, const float *b, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void check_folder(const char *dir, double feature_tolerance)
{
    struct vectors v = read_vectors(dir);
    struct t3d_encoder *t = open_net(dir, (struct t3d_encoder_options){.threads = 2});
    float *got = run(t, v.tokens, v.n, v.sum), *again;
    double row = compare(got, v.rows, v.n * v.width);
    double feature = compare(got + v.n * v.width, v.features, v.sum * v.width);

    assert_int_equal(t3d_encoder_info(t)->width, v.width);
    if (getenv("T3D_TEST_PRINT"))
        print_message("# %s: rows differ by %g, features by %g\n", dir, row, feature);
    assert_true(row < 1e-5 && feature < feature_tolerance);
    again = run(t, v.tokens, v.n, v.sum);
    assert_memory_equal(got, again, (v.n + v.sum) * v.width * sizeof *got);
    t3d_encoder_free(t);
    t3d_arena_reset(&arena);
}

static void rows_are_transformers(void **state)
{
    (void)state;
    check_folder("tests/ref/t5/v10", 2e-5);
    check_folder("tests/ref/t5/v11", 2e-5);
    if (getenv("T3D_TEST_T5")) /* a folder with a case made by make_t5.py */
        check_folder(getenv("T3D_TEST_T5"), 1e-4);
}

static void buckets_are_transformers(void **state)
{
    struct t3di_t5_config c = {0};
    FILE *f = fopen("tests/ref/t5/buckets.txt", "r");
    int lines = 0, expected;

    (void)state;
    assert_non_null(f);
    while (fscanf(f, "%d %d:", &c.buckets, &c.max_distance) == 2) {
        for (int d = -150; d <= 150; d++) {
            assert_int_equal(fscanf(f, "%d", &expected), 1);
            assert_int_equal(t3di_t5_bucket(&c, d), expected);
        }
        lines++;
    }
    assert_int_equal(lines, 4);
    fclose(f);
}

/* Alone, in any batch, without padding to buckets, with any number of threads: the same bits. */
static void bits_depend_on_the_text_alone(void **state)
{
    static const struct t3d_encoder_options option[] = {{.threads = 1},
                                                        {.threads = 3},
                                                        {.threads = 2, .batch = 1},
                                                        {.threads = 2, .batch = 4},
                                                        {.threads = 2, .no_savings = 1}};
    struct vectors v = read_vectors("tests/ref/t5/v11");
    struct t3d_encoder *t =
        open_net("tests/ref/t5/v11", (struct t3d_encoder_options){.threads = 2});
    float *first = run(t, v.tokens, v.n, v.sum), *one;
    size_t at = v.n * v.width;

    (void)state;
    for (size_t i = 0; i < v.n; i++) {
        one = run(t, &v.tokens[i], 1, v.tokens[i].n);
        assert_memory_equal(one, first + i * v.width, v.width * sizeof *one);
        assert_memory_equal(one + v.width, first + at, v.tokens[i].n * v.width * sizeof *one);
        at += v.tokens[i].n * v.width;
    }
    t3d_encoder_free(t);
    for (size_t i = 0; i < T3D_COUNT(option); i++) {
        t = open_net("tests/ref/t5/v11", option[i]);
        one = run(t, v.tokens, v.n, v.sum);
        if (memcmp(one, first, (v.n + v.sum) * v.width * sizeof *one))
            fail_msg("option %zu changes the bits by %g", i,
                     compare(one, first, (v.n + v.sum) * v.width));
        t3d_encoder_free(t);
    }
    t3d_arena_reset(&arena);
}

static void bad_tokens_are_named(void **state)
{
    struct t3d_encoder *t =
        open_net("tests/ref/t5/v10", (struct t3d_encoder_options){.threads = 1});
    uint32_t id[600] = {61};
    struct t3d_tokens x = {.id = id, .n = 1};
    float *row = t3d_alloc(&arena, 20, sizeof *row);

    (void)state;
    assert_int_equal(t3d_encoder_texts(t, &x, 1, row, NULL, &err), T3D_USAGE);
    assert_string_equal(err.reason, "bad-tokens");
    id[0] = 60;
    assert_int_equal(t3d_encoder_texts(t, &x, 1, row, NULL, &err), T3D_OK);
    x.n = 0;
    assert_int_equal(t3d_encoder_texts(t, &x, 1, row, NULL, &err), T3D_USAGE);
    x.n = 513;
    assert_int_equal(t3d_encoder_texts(t, &x, 1, row, NULL, &err), T3D_USAGE);
    assert_int_equal(t3d_encoder_texts(t, NULL, 0, NULL, NULL, &err), T3D_OK);
    t3d_encoder_free(t);
    t3d_arena_reset(&arena);
}

/* --- folders that are wrong ------------------------------------------------------------------ */

static void write_text(const char *name, const char *text)
{
    char *path = t3d_path_join(&arena, scratch, name);

    assert_int_equal(t3d_write_file(path, text, strlen(text), &err), T3D_OK);
}

static const char config[] = "{\"model_type\":\"t5\",\"vocab_size\":61,\"d_model\":20,\"d_kv\":6,"
                             "\"num_heads\":3,\"num_layers\":2,\"d_ff\":28";

static void expect(const char *more, const char *reason, const char *part)
{
    char *text = t3d_sprintf(&arena, "%s%s}", config, more);
    struct t3d_encoder *t;
    int r;

    write_text("config.json", text);
    r = t3d_encoder_open(&t, scratch, &(struct t3d_encoder_options){.threads = 1}, &err);
    if (!reason) {
        assert_int_equal(r, T3D_OK);
        t3d_encoder_free(t);
        return;
    }
    assert_null(t);
    if (r != T3D_SKIP || strcmp(err.reason, reason) || !strstr(err.msg, part))
        fail_msg("%s: %d %s: %s", more, r, err.reason, err.msg);
}

/* The weights of v10 with one change: the tensor `name` is left out (data NULL) or replaced. */
static void write_weights(const char *name, const struct t3d_tensor *instead)
{
    struct t3d_safetensors s;
    struct t3d_tensor table[64];
    size_t n = 0;
    char *path = t3d_path_join(&arena, scratch, "model.safetensors");

    assert_int_equal(t3d_safetensors_open(&s, "tests/ref/t5/v10", &err), T3D_OK);
    for (size_t i = 0; i < s.n; i++)
        if (!name || strcmp(s.tensor[i].name, name))
            table[n++] = s.tensor[i];
    if (instead)
        table[n++] = *instead;
    assert_int_equal(t3d_safetensors_write(path, table, n, NULL, 0, &err), T3D_OK);
    t3d_safetensors_close(&s);
}

static void wrong_configs_are_named(void **state)
{
    (void)state;
    write_weights(NULL, NULL);
    expect("", NULL, NULL);
    expect(",\"feed_forward_proj\":\"gated-gelu\"", "bad-weights", "wi_0.weight'");
    expect(",\"feed_forward_proj\":\"gated-silu\"", "unsupported-model", "gated-silu");
    expect(",\"dense_act_fn\":\"gelu\"", "bad-config", "dense_act_fn contradicts");
    expect(",\"is_gated_act\":true", "bad-config", "is_gated_act contradicts");
    expect(",\"relative_attention_num_buckets\":16", "bad-weights", "relative_attention_bias");
    expect(",\"relative_attention_num_buckets\":30", "bad-config", "num_buckets");
    expect(",\"relative_attention_max_distance\":8", "bad-config", "max_distance");
    expect(",\"layer_norm_epsilon\":0", "bad-config", "layer_norm_epsilon");
    expect(",\"n_positions\":2.5", "bad-config", "n_positions");
}

static void wrong_sizes_are_named(void **state)
{
    static const char *const text[] = {"{\"model_type\":\"t5\",\"d_model\":-1}",
                                       "{\"model_type\":\"t5\",\"num_heads\":\"8\"}",
                                       "{\"model_type\":\"t5\",\"d_model\":1e30}",
                                       "{\"model_type\":\"umt5\"}", "{\"model_type\":\"bert\"}"};
    struct t3d_encoder *t;

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(text); i++) {
        write_text("config.json", text[i]);
        assert_int_equal(t3d_encoder_open(&t, scratch, &(struct t3d_encoder_options){0}, &err),
                         T3D_SKIP);
        assert_string_equal(err.reason, i < 3 ? "bad-config" : "unsupported-model");
    }
}

static void wrong_weights_are_named(void **state)
{
    static const char wo[] = "encoder.block.1.layer.1.DenseReluDense.wo.weight";
    static const char bias[] =
        "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight";
    static float data[32 * 28];
    struct t3d_tensor t = {.name = wo,
                           .type = T3D_TENSOR_F32,
                           .n_axes = 2,
                           .shape = {20, 28},
                           .data = (const uint8_t *)data};
    uint64_t bytes;

    (void)state;
    write_weights(wo, NULL);
    expect("", "bad-weights", "1 tensors are missing");
    data[300] = NAN;
    assert_int_equal(t3d_tensor_layout(&t, &bytes), 0);
    write_weights(wo, &t);
    expect("", "bad-weights", "has a NaN or");
    data[300] = -INFINITY;
    write_weights(wo, &t);
    expect("", "bad-weights", "has a NaN or an infinity");
    data[300] = 0;
    write_weights(wo, &t);
    expect("", NULL, NULL);
    t.shape[0] = 28;
    t.shape[1] = 20;
    assert_int_equal(t3d_tensor_layout(&t, &bytes), 0);
    write_weights(wo, &t);
    expect("", "bad-weights", "(28, 20), the configuration says (20, 28)");
    t.name = bias;
    write_weights(NULL, &t);
    expect("", "unsupported-model", "umT5");
    t.name = "encoder.block.2.layer_norm.weight";
    write_weights(NULL, &t);
    expect("", "bad-weights", "not part of");
    t.name = "decoder.final_layer_norm.weight";
    write_weights(NULL, &t);
    expect("", NULL, NULL);
}

/* --- texts ---------------------------------------------------------------------------------- */

enum { PIECES = 200, LONG = 100000 };

static void copy_tokenizer(const char *from)
{
    struct t3d_blob b;
    char *path = t3d_path_join(&arena, scratch, "tokenizer.json");

    assert_int_equal(t3d_blob_open(&b, from, 0, &err), T3D_OK);
    assert_int_equal(t3d_write_file(path, b.data, b.size, &err), T3D_OK);
    t3d_blob_close(&b);
}

static void write_text_folder(void)
{
    static float table[PIECES * 20];
    struct t3d_tensor t = {.name = "shared.weight",
                           .type = T3D_TENSOR_F32,
                           .n_axes = 2,
                           .shape = {PIECES, 20},
                           .data = (const uint8_t *)table};
    uint64_t bytes;

    for (int i = 0; i < PIECES * 20; i++)
        table[i] = (float)((i * 7919) % 1009 - 504) / 500;
    assert_int_equal(t3d_tensor_layout(&t, &bytes), 0);
    write_weights("shared.weight", &t);
    write_text("config.json", "{\"model_type\":\"t5\",\"vocab_size\":200,\"d_model\":20,\"d_kv\":6,"
                              "\"num_heads\":3,\"num_layers\":2,\"d_ff\":28}");
    write_text("tokenizer_config.json", "{\"model_max_length\":40}");
}

/* Whatever the texts are, each gets the row that it has alone. */
static void rows_are_never_shifted(void **state)
{
    enum { N = 7, WIDTH = 20 };
    static char endless[LONG];
    const char *text[N] = {"",
                           "a red cube",
                           endless,
                           "a\xff\xc3 \xed\xa0\x80",
                           "</s>",
                           "a red cube",
                           "\xf0\x9f\x98\x80 \xe4\xb8\xad"};
    struct t3d_encoder *e;
    struct t3d_tokens tokens[N];
    float rows[N][WIDTH], one[WIDTH];

    (void)state;
    for (int i = 0; i < LONG - 1; i++)
        endless[i] = "a red cube "[i % 11];
    write_text_folder();
    copy_tokenizer("tests/ref/tokens/unigram_json/tokenizer.json");
    e = open_net(scratch, (struct t3d_encoder_options){.threads = 2});
    assert_int_equal(t3d_encoder_info(e)->max_tokens, 40);
    for (int i = 0; i < N; i++) {
        assert_int_equal(
            t3d_encoder_tokenize(e, &tokens[i], text[i], strlen(text[i]), &arena, &err), T3D_OK);
        assert_int_equal(tokens[i].truncated, i == 2);
    }
    assert_int_equal(tokens[0].n, 1);
    assert_int_equal(tokens[2].n, 40);
    assert_int_equal(t3d_encoder_texts(e, tokens, N, rows[0], NULL, &err), T3D_OK);
    for (int i = 0; i < N; i++) {
        double sum = 0;

        assert_int_equal(t3d_encoder_texts(e, &tokens[i], 1, one, NULL, &err), T3D_OK);
        assert_memory_equal(one, rows[i], sizeof one);
        for (int k = 0; k < WIDTH; k++)
            sum += (double)one[k] * (double)one[k];
        assert_true(fabs(sum - 1) < 1e-6);
    }
    assert_memory_equal(rows[1], rows[5], sizeof one);
    t3d_encoder_free(e);
    write_weights(NULL, NULL);
    copy_tokenizer("tests/ref/tokens/unigram_bytes/tokenizer.json");
    expect("", "bad-tokenizer", "the network's table 61");
}

static int set_up(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/t3d-t5.%ld", (long)getpid());
    return t3d_make_dirs(scratch, &err);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(scratch);
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_transformers),      cmocka_unit_test(rows_are_transformers),
        cmocka_unit_test(bits_depend_on_the_text_alone), cmocka_unit_test(bad_tokens_are_named),
        cmocka_unit_test(wrong_configs_are_named),       cmocka_unit_test(wrong_sizes_are_named),
        cmocka_unit_test(wrong_weights_are_named),       cmocka_unit_test(rows_are_never_shifted),
    };

    return cmocka_run_group_tests_name("net/t5", tests, set_up, tear_down);
}
