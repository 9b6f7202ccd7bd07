/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "net/bpe_train.h"
#include "net/tokenize_clip.h"

static char dir[64];
static struct t3d_err err;
static struct t3d_arena arena;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/t3d-bpe.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    t3d_remove_tree(dir);
    t3d_arena_free(&arena);
    return 0;
}

static void make(uint32_t size, const char *const *text, size_t n)
{
    struct t3d_bpe_trainer *t;

    assert_int_equal(t3d_bpe_trainer_new(&t, size, &err), T3D_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t3d_bpe_trainer_add(t, text[i], strlen(text[i]), &err), T3D_OK);
    assert_int_equal(t3d_bpe_trainer_write(t, dir, &err), T3D_OK);
    t3d_bpe_trainer_free(t);
}

static struct t3d_clip_tokenizer *open_made(void)
{
    struct t3d_clip_tokenizer *t;

    if (t3d_clip_tokenizer_open(&t, dir, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

static size_t count(const struct t3d_clip_tokenizer *t, const char *text)
{
    struct t3d_tokens tokens;

    assert_int_equal(t3d_clip_tokenize(&tokens, t, text, strlen(text), 100, &arena, &err), T3D_OK);
    return tokens.n;
}

/* The words of Sennrich et al. 2016, algorithm 1: low 5, lower 2, newest 6, widest 3. By hand:
 * e+s (9, as has s+t</w>, but e is the lower id), es+t</w> (9), l+o (7), then e+w, n+ew,
 * new+est</w> (6 each). */
static void merges_are_those_of_the_paper(void **state)
{
    static const char *const want = "#version: 0.2\ne s\nes t</w>\nl o\ne w\nn ew\nnew est</w>\n";
    const char *text[16];
    struct t3d_blob b;
    char path[96];
    int n = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        text[n++] = "low";
    for (int i = 0; i < 2; i++)
        text[n++] = "Lower";
    for (int i = 0; i < 6; i++)
        text[n++] = "newest";
    for (int i = 0; i < 3; i++)
        text[n++] = "widest";
    make(512 + 2 + 6, text, (size_t)n);
    snprintf(path, sizeof path, "%s/merges.txt", dir);
    assert_int_equal(t3d_blob_open(&b, path, 0, &err), T3D_OK);
    assert_int_equal(b.size, strlen(want));
    assert_memory_equal(b.data, want, b.size);
    t3d_blob_close(&b);
}

static void known_words_become_one_token(void **state)
{
    static const char *const text[] = {"a red cube on a blue cylinder", "the blue cube's edge",
                                       "two na\xc3\xafve cubes, 12 of them"};
    struct t3d_clip_tokenizer *t;

    (void)state;
    make(1024, text, 3);
    t = open_made();
    assert_int_equal(t3d_clip_tokenizer_end(t), t3d_clip_tokenizer_size(t) - 1);
    assert_int_equal(count(t, "a red cube on a blue cylinder"), 9);
    assert_int_equal(count(t, "Na\xc3\xafve CUBE"), 4);
    assert_int_equal(count(t, "12"), 4);           /* digits stand alone */
    assert_true(count(t, "zebra") > 3);            /* falls back to bytes */
    assert_int_equal(count(t, "\xe2\x98\x83"), 5); /* a snowman: three bytes */
    t3d_clip_tokenizer_free(t);
}

static void order_of_texts_does_not_matter(void **state)
{
    static const char *const a[] = {"one two three", "three four", "abab ab"};
    static const char *const b[] = {"abab ab", "one two three", "three four"};
    char hash[65];
    struct t3d_clip_tokenizer *t;

    (void)state;
    make(520, a, 3);
    t = open_made();
    snprintf(hash, sizeof hash, "%s", t3d_clip_tokenizer_hash(t));
    t3d_clip_tokenizer_free(t);
    make(520, b, 3);
    t = open_made();
    assert_string_equal(t3d_clip_tokenizer_hash(t), hash);
    assert_int_equal(t3d_clip_tokenizer_size(t), 520);
    t3d_clip_tokenizer_free(t);
}

static void sizes_out_of_range_are_refused(void **state)
{
    struct t3d_bpe_trainer *t;

    (void)state;
    assert_int_equal(t3d_bpe_trainer_new(&t, 513, &err), T3D_USAGE);
    assert_int_equal(t3d_bpe_trainer_new(&t, 1025, &err), T3D_USAGE);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(merges_are_those_of_the_paper),
                                       cmocka_unit_test(known_words_become_one_token),
                                       cmocka_unit_test(order_of_texts_does_not_matter),
                                       cmocka_unit_test(sizes_out_of_range_are_refused)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
