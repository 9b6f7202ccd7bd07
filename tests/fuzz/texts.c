/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any text through every tokenizer; run in the source tree, whose reference
 * tokenizers it takes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "net/tokenize_clip.h"
#include "net/tokenize_unigram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIPS = 2, UNIGRAMS = 3, MOST = 77 };

static struct t3d_clip_tokenizer *clip[CLIPS];
static struct t3d_unigram_tokenizer *unigram[UNIGRAMS];

static void open_all(void)
{
    static const char *const folder[UNIGRAMS] = {"tests/ref/tokens/unigram",
                                                 "tests/ref/tokens/unigram_json",
                                                 "tests/ref/tokens/unigram_bytes"};
    struct t3d_err err;

    for (int i = 0; i < CLIPS; i++)
        if (t3d_clip_tokenizer_open(&clip[i], "tests/ref/tokens/clip", &err) < 0)
            abort();
    t3d_clip_tokenizer_clean_as(clip[1], T3D_CLEANING_OPEN_CLIP);
    for (int i = 0; i < UNIGRAMS; i++)
        if (t3d_unigram_tokenizer_open(&unigram[i], folder[i], &err) < 0)
            abort();
}

static void check(const struct t3d_tokens *t, size_t least, uint32_t size, uint32_t end)
{
    if (t->n < least || t->n > MOST || t->id[t->n - 1] != end || (t->truncated && t->n != MOST))
        abort();
    for (size_t i = 0; i < t->n; i++)
        if (t->id[i] >= size)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct t3d_arena a = {0};
    struct t3d_tokens t;
    struct t3d_err err;

    if (!clip[0])
        open_all();
    for (int i = 0; i < CLIPS; i++) {
        if (t3d_clip_tokenize(&t, clip[i], text, size, MOST, &a, &err) < 0)
            abort();
        check(&t, 2, t3d_clip_tokenizer_size(clip[i]), t3d_clip_tokenizer_end(clip[i]));
    }
    for (int i = 0; i < UNIGRAMS; i++) {
        if (t3d_unigram_tokenize(&t, unigram[i], text, size, MOST, &a, &err) < 0)
            abort();
        check(&t, 1, t3d_unigram_tokenizer_size(unigram[i]), t3d_unigram_tokenizer_end(unigram[i]));
    }
    t3d_arena_free(&a);
    return 0;
}
