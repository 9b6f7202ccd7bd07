/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "net/tokenize_unigram.h"

static const char model[] = "tests/ref/tokens/unigram/spiece.model";
static struct t3d_err err;
static struct t3d_arena arena;

static void check_case(const struct t3d_unigram_tokenizer *t, const cJSON *c)
{
    const char *text = t3d_json_str(c, "text", "");
    const cJSON *id;
    struct t3d_tokens got;
    size_t i = 0;

    assert_int_equal(t3d_unigram_tokenize(&got, t, text, strlen(text), 4096, &arena, &err), T3D_OK);
    cJSON_ArrayForEach (id, cJSON_GetObjectItem(c, "ids")) {
        if (i >= got.n || got.id[i] != (uint32_t)id->valuedouble)
            fail_msg("'%s': token %zu is %u, not %g", text, i, i < got.n ? got.id[i] : 0,
                     id->valuedouble);
        i++;
    }
    assert_int_equal(got.n, i);
    t3d_arena_reset(&arena);
}

static int check_folder(const char *dir)
{
    char *path = t3d_path_join(&arena, dir, "cases.ndjson");
    FILE *f = fopen(path, "rb");
    struct t3d_unigram_tokenizer *t;
    struct t3d_ndjson in;
    cJSON *c;
    int n = 0, r;

    assert_non_null(f);
    if (t3d_unigram_tokenizer_open(&t, dir, &err) < 0)
        fail_msg("%s", err.msg);
    t3d_ndjson_init(&in, f, "cases");
    while ((r = t3d_ndjson_next(&in, &c, &err)) != T3D_END) {
        if (r == T3D_OK) {
            check_case(t, c);
            cJSON_Delete(c);
            n++;
        }
    }
    t3d_ndjson_fini(&in);
    fclose(f);
    t3d_unigram_tokenizer_free(t);
    return n;
}

static void ids_are_sentencepieces(void **state)
{
    (void)state;
    assert_true(check_folder("tests/ref/tokens/unigram") >= 20);
}

static void ids_are_those_of_tokenizers(void **state)
{
    (void)state;
    assert_true(check_folder("tests/ref/tokens/unigram_json") >= 186);
    assert_true(check_folder("tests/ref/tokens/unigram_bytes") >= 186);
}

static void every_text_is_valid(void **state)
{
    static const char *const dir[] = {"tests/ref/tokens/unigram", "tests/ref/tokens/unigram_json",
                                      "tests/ref/tokens/unigram_bytes"};
    enum { LONG = 100000 };
    char *text = malloc(LONG);

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(dir); i++) {
        struct t3d_unigram_tokenizer *t;
        struct t3d_tokens got, same;

        assert_int_equal(t3d_unigram_tokenizer_open(&t, dir[i], &err), T3D_OK);
        assert_int_equal(t3d_unigram_tokenize(&got, t, "a red cube", 10, 2, &arena, &err), T3D_OK);
        assert_int_equal(got.n, 2);
        assert_int_equal(got.truncated, 1);
        assert_int_equal(got.id[1], t3d_unigram_tokenizer_end(t));
        assert_int_equal(t3d_unigram_tokenize(&got, t, "", 0, 512, &arena, &err), T3D_OK);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.id[0], t3d_unigram_tokenizer_end(t));
        assert_int_equal(t3d_unigram_tokenize(&got, t, "a\xff\xc3z", 4, 9, &arena, &err), T3D_OK);
        assert_int_equal(
            t3d_unigram_tokenize(&same, t, "a\xef\xbf\xbd\xef\xbf\xbdz", 8, 9, &arena, &err),
            T3D_OK);
        if (i > 0) { /* sentencepiece does not map what was no UTF-8 */
            assert_int_equal(got.n, same.n);
            assert_memory_equal(got.id, same.id, got.n * sizeof *got.id);
        }
        for (int kind = 0; kind < 4; kind++) {
            static const char *const part[] = {"a red cube ", " ", "<", "\xcc\x81\xff"};
            for (size_t k = 0; k < LONG; k++)
                text[k] = part[kind][k % strlen(part[kind])];
            assert_int_equal(t3d_unigram_tokenize(&got, t, text, LONG, 512, &arena, &err), T3D_OK);
            assert_true(got.n <= 512 && got.id[got.n - 1] == t3d_unigram_tokenizer_end(t));
            t3d_arena_reset(&arena);
        }
        t3d_unigram_tokenizer_free(t);
    }
    free(text);
}

static void write_json(const char *path, const char *text)
{
    assert_int_equal(t3d_write_file(path, text, strlen(text), &err), T3D_OK);
}

/* What a tokenizer.json says that is not known is refused by its name. */
static void unknown_parts_are_named(void **state)
{
    static const struct {
        const char *from, *to, *part;
    } change[] = {
        {"\"Precompiled\"", "\"Lowercase\"", "normalizer of type 'Lowercase'"},
        {"\"WhitespaceSplit\"", "\"Whitespace\"", "pre_tokenizer of type 'Whitespace'"},
        {"\"Unigram\"", "\"WordPiece\"", "not a unigram tokenizer"},
        {"\"single_word\":false", "\"single_word\":true", "single_word"},
        {"\"ids\":[1]", "\"ids\":[]", "post_processor"},
        {"\"unk_id\":2", "\"unk_id\":null", "lacks the unknown piece"},
        {"\"byte_fallback\":false", "\"byte_fallback\":true", "falls back on bytes"},
    };
    struct t3d_unigram_tokenizer *t;
    struct t3d_blob b;
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "/tmp/t3d-unigram.%ld.json", (long)getpid());
    assert_int_equal(t3d_blob_open(&b, "tests/ref/tokens/unigram_json/tokenizer.json", 0, &err),
                     T3D_OK);
    for (size_t i = 0; i < T3D_COUNT(change); i++) {
        char *text = t3d_strndup(&arena, (const char *)b.data, b.size);
        char *at = strstr(text, change[i].from);

        assert_non_null(at);
        write_json(path, t3d_sprintf(&arena, "%.*s%s%s", (int)(at - text), text, change[i].to,
                                     at + strlen(change[i].from)));
        assert_int_equal(t3d_unigram_tokenizer_open(&t, path, &err), T3D_SKIP);
        assert_string_equal(err.reason, "bad-tokenizer");
        if (!strstr(err.msg, change[i].part))
            fail_msg("%zu: %s", i, err.msg);
        t3d_arena_reset(&arena);
    }
    unlink(path);
    t3d_blob_close(&b);
}

/* Cut and altered models are refused or work; the map inside them is never left. */
static void damaged_models_are_survived(void **state)
{
    struct t3d_unigram_tokenizer *t;
    struct t3d_tokens got;
    struct t3d_blob b;
    char path[64];
    uint8_t *copy;

    (void)state;
    snprintf(path, sizeof path, "/tmp/t3d-unigram.%ld", (long)getpid());
    assert_int_equal(t3d_blob_open(&b, model, 0, &err), T3D_OK);
    copy = malloc(b.size);
    for (size_t i = 0; i < 60; i++) {
        size_t n = i < 30 ? b.size * i / 30 : b.size;

        memcpy(copy, b.data, b.size);
        for (size_t k = i * 131; i >= 30 && k < b.size; k += 997)
            copy[k] ^= (uint8_t)(1 + i);
        assert_int_equal(t3d_write_file(path, copy, n, &err), T3D_OK);
        if (t3d_unigram_tokenizer_open(&t, path, &err) == T3D_OK) {
            assert_int_equal(
                t3d_unigram_tokenize(&got, t, "a \xef\xbc\xa1 \xc3\xa9\xff", 8, 9, &arena, &err),
                T3D_OK);
            t3d_unigram_tokenizer_free(t);
        } else {
            assert_string_equal(err.reason, "bad-tokenizer");
        }
    }
    unlink(path);
    free(copy);
    t3d_blob_close(&b);
}

static int tear_down(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_sentencepieces),
        cmocka_unit_test(ids_are_those_of_tokenizers),
        cmocka_unit_test(every_text_is_valid),
        cmocka_unit_test(unknown_parts_are_named),
        cmocka_unit_test(damaged_models_are_survived),
    };

    return cmocka_run_group_tests_name("net/tokenize_unigram", tests, NULL, tear_down);
}
