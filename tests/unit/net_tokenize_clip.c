/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "net/tokenize_clip.h"
#include "net/unicode.h"

static struct t3d_err err;
static struct t3d_arena arena;

/* T3D_CLIP_VOCAB and T3D_CLIP_CASES try another vocabulary, with lines of make_tokens_clip.py. */
static const char *or_env(const char *name, const char *otherwise)
{
    const char *s = getenv(name);

    return s ? s : otherwise;
}

static void check_case(const struct t3d_clip_tokenizer *t, const cJSON *c)
{
    const char *text = t3d_json_str(c, "text", "");
    const cJSON *ids = cJSON_GetObjectItem(c, "ids"), *id;
    struct t3d_tokens got;
    size_t i = 0;

    assert_int_equal(t3d_clip_tokenize(&got, t, text, strlen(text),
                                       (size_t)t3d_json_num(c, "max", 0), &arena, &err),
                     T3D_OK);
    cJSON_ArrayForEach (id, ids) {
        if (i >= got.n || got.id[i] != (uint32_t)id->valuedouble)
            fail_msg("'%s': token %zu is %u, not %g", text, i, i < got.n ? got.id[i] : 0,
                     id->valuedouble);
        i++;
    }
    assert_int_equal(got.n, i);
    t3d_arena_reset(&arena);
}

static int check_cases(const struct t3d_clip_tokenizer *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    struct t3d_ndjson in;
    cJSON *c;
    int n = 0, r;

    assert_non_null(f);
    t3d_ndjson_init(&in, f, "cases");
    while ((r = t3d_ndjson_next(&in, &c, &err)) != T3D_END) {
        if (r == T3D_OK) { /* a NUL in a text is no JSON that we read */
            check_case(t, c);
            cJSON_Delete(c);
            n++;
        }
    }
    t3d_ndjson_fini(&in);
    fclose(f);
    return n;
}

static void ids_are_transformers(void **state)
{
    struct t3d_clip_tokenizer *t;

    (void)state;
    assert_int_equal(
        t3d_clip_tokenizer_open(&t, or_env("T3D_CLIP_VOCAB", "tests/ref/tokens/clip"), &err),
        T3D_OK);
    assert_true(check_cases(t, or_env("T3D_CLIP_CASES", "tests/ref/tokens/clip/cases.ndjson")) >=
                40);
    assert_int_equal(strlen(t3d_clip_tokenizer_hash(t)), 64);
    t3d_clip_tokenizer_free(t);
}

static void ids_are_open_clips(void **state)
{
    struct t3d_clip_tokenizer *t;

    (void)state;
    assert_int_equal(t3d_clip_tokenizer_open(&t, "tests/ref/tokens/clip", &err), T3D_OK);
    t3d_clip_tokenizer_clean_as(t, T3D_CLEANING_OPEN_CLIP);
    assert_true(check_cases(t, "tests/ref/tokens/clip/cases_open_clip.ndjson") >= 60);
    t3d_clip_tokenizer_free(t);
}

/* The same merges as open_clip's list and as tokenizer.json. */
static void other_files_are_the_same(void **state)
{
    char path[2][64];
    struct t3d_blob vocab, merges;
    struct t3d_clip_tokenizer *t;
    char *json;

    (void)state;
    if (getenv("T3D_CLIP_VOCAB"))
        return;
    snprintf(path[0], sizeof path[0], "/tmp/t3d-clip.%ld.txt", (long)getpid());
    snprintf(path[1], sizeof path[1], "/tmp/t3d-clip.%ld.json", (long)getpid());
    assert_int_equal(t3d_blob_open(&vocab, "tests/ref/tokens/clip/vocab.json", 0, &err), T3D_OK);
    assert_int_equal(t3d_blob_open(&merges, "tests/ref/tokens/clip/merges.txt", 0, &err), T3D_OK);
    assert_int_equal(t3d_write_file(path[0], merges.data, merges.size, &err), T3D_OK);
    json = t3d_sprintf(&arena,
                       "{\"model\":{\"end_of_word_suffix\":\"</w>\",\"vocab\":%.*s,"
                       "\"merges\":[",
                       (int)vocab.size, (const char *)vocab.data);
    for (const char *s = strchr((const char *)merges.data, '\n') + 1, *e = NULL;
         s < (const char *)merges.data + merges.size; s = e + 1) {
        e = strchr(s, '\n');
        json = t3d_sprintf(&arena, "%s%s\"%.*s\"", json, json[strlen(json) - 1] == '[' ? "" : ",",
                           (int)(e - s), s);
    }
    json = t3d_sprintf(&arena, "%s]}}", json);
    assert_int_equal(t3d_write_file(path[1], json, strlen(json), &err), T3D_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(t3d_clip_tokenizer_open(&t, path[i], &err), T3D_OK);
        assert_int_equal(t3d_clip_tokenizer_end(t), t3d_clip_tokenizer_size(t) - 1);
        assert_int_equal(t3d_clip_tokenizer_start(t), t3d_clip_tokenizer_size(t) - 2);
        assert_true(
            check_cases(t, or_env("T3D_CLIP_CASES", "tests/ref/tokens/clip/cases.ndjson")) >= 40);
        t3d_clip_tokenizer_free(t);
        unlink(path[i]);
    }
    t3d_blob_close(&vocab);
    t3d_blob_close(&merges);
}

static int open_json(const char *text)
{
    struct t3d_clip_tokenizer *t;
    char path[64];
    int r;

    snprintf(path, sizeof path, "/tmp/t3d-bad.%ld.json", (long)getpid());
    assert_int_equal(t3d_write_file(path, text, strlen(text), &err), T3D_OK);
    r = t3d_clip_tokenizer_open(&t, path, &err);
    assert_null(t);
    unlink(path);
    return r;
}

static void wrong_files_are_named(void **state)
{
#define MODEL(v, m) "{\"model\":{\"end_of_word_suffix\":\"</w>\",\"vocab\":" v ",\"merges\":" m "}}"
    static const char *const cases[][2] = {
        {"", "JSON"},
        {"{}", "end_of_word_suffix"},
        {MODEL("{}", "[]"), "no vocabulary"},
        {MODEL("{\"a\":-1}", "[]"), "whole"},
        {MODEL("{\"a\":99999999}", "[]"), "id above"},
        {MODEL("{\"a\":1}", "1"), "no merges"},
        {MODEL("{\"a\":1}", "[\"a\"]"), "two symbols"},
        {MODEL("{\"a\":1}", "[\"a b\"]"), "lacks"},
        {MODEL("{\"a\":1}", "[[\"a\"]]"), "two symbols"},
        {MODEL("{\"a\":1,\"b\":2}", "[]"), "symbol of byte 0"},
    };

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(cases); i++) {
        err.msg[0] = 0;
        assert_int_equal(open_json(cases[i][0]), T3D_SKIP);
        if (strcmp(err.reason, "bad-tokenizer") != 0 || (i && !strstr(err.msg, cases[i][1])))
            fail_msg("%s: %s", cases[i][0], err.msg);
    }
}

/* 100 kB of one word, of marks that all have to be sorted, and of bytes that are not UTF-8. */
static void long_texts_are_cut(void **state)
{
    struct t3d_clip_tokenizer *t;
    struct t3d_tokens got;
    size_t n = 100000;
    char *text = malloc(n);

    (void)state;
    assert_int_equal(t3d_clip_tokenizer_open(&t, "tests/ref/tokens/clip", &err), T3D_OK);
    for (int k = 0; k < 6; k++) {
        t3d_clip_tokenizer_clean_as(t, k < 3 ? T3D_CLEANING_TRANSFORMERS : T3D_CLEANING_OPEN_CLIP);
        for (size_t i = 0; i < n; i += 2)
            memcpy(text + i,
                   k % 3 == 0   ? &"onreedue"[i * 7 % 8 & 6]
                   : k % 3 == 1 ? &"\xcc\x80\xcc\xa3"[i & 2]
                                : "\xff\x80",
                   2);
        assert_int_equal(t3d_clip_tokenize(&got, t, text, n, 77, &arena, &err), T3D_OK);
        assert_int_equal(got.n, 77);
        assert_int_equal(got.truncated, 1);
        assert_int_equal(got.id[76], t3d_clip_tokenizer_end(t));
        t3d_arena_reset(&arena);
    }
    for (size_t i = 0; i < n; i++) /* one entity in another */
        text[i] = "&amp;"[i < 5 ? i : 1 + (i - 5) % 4];
    assert_int_equal(t3d_clip_tokenize(&got, t, text, n, 77, &arena, &err), T3D_OK);
    assert_int_equal(t3d_clip_tokenize(&got, t, "\xff", 1, 77, &arena, &err), T3D_OK);
    assert_int_equal(got.n, 2 + 3); /* the three bytes of U+FFFD */
    assert_int_equal(t3d_clip_tokenize(&got, t, "x", 1, 1, &arena, &err), T3D_FAIL);
    t3d_clip_tokenizer_free(t);
    free(text);
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
        cmocka_unit_test(ids_are_transformers),     cmocka_unit_test(ids_are_open_clips),
        cmocka_unit_test(other_files_are_the_same), cmocka_unit_test(wrong_files_are_named),
        cmocka_unit_test(long_texts_are_cut),
    };

    return cmocka_run_group_tests_name("net/tokenize_clip", tests, NULL, tear_down);
}
