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

static void ids_are_sentencepieces(void **state)
{
    FILE *f = fopen("tests/ref/tokens/unigram/cases.ndjson", "rb");
    struct t3d_unigram_tokenizer *t;
    struct t3d_ndjson in;
    struct t3d_tokens got;
    cJSON *c;
    int n = 0, r;

    (void)state;
    assert_non_null(f);
    assert_int_equal(t3d_unigram_tokenizer_open(&t, "tests/ref/tokens/unigram", &err), T3D_OK);
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
    assert_true(n >= 20);
    assert_int_equal(t3d_unigram_tokenize(&got, t, "a red cube", 10, 2, &arena, &err), T3D_OK);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.truncated, 1);
    assert_int_equal(got.id[1], t3d_unigram_tokenizer_end(t));
    t3d_unigram_tokenizer_free(t);
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
        cmocka_unit_test(damaged_models_are_survived),
    };

    return cmocka_run_group_tests_name("net/tokenize_unigram", tests, NULL, tear_down);
}
