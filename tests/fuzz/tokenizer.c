/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the files of tokenizers. The first byte says which kind: 0 CLIP's
 * tokenizer.json, 1 a list of merges, 2 vocab.json and merges.txt (behind the first 0xff), 3 a
 * unigram tokenizer.json, 4 spiece.model. What is accepted must tokenize. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "net/tokenize_clip.h"
#include "net/tokenize_unigram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "a Red c\xcc\x81ube's \xef\xbc\xa1\xff </s> <0x41> \xe2\x96\x81 12";
static char folder[64];

static const char *put(const char *name, const uint8_t *data, size_t size)
{
    static char path[2][128];
    static int turn;
    char *p = path[turn ^= 1];
    FILE *f;

    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    f = fopen(p, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    return p;
}

static void check(const struct t3d_tokens *t, uint32_t size, uint32_t end)
{
    if (t->n < 1 || t->n > 9 || t->id[t->n - 1] != end)
        abort();
    for (size_t i = 0; i < t->n; i++)
        if (t->id[i] >= size)
            abort();
}

static void refused(int r, const struct t3d_err *err)
{
    if (r != T3D_SKIP || !err->reason[0] || !err->msg[0])
        abort();
}

static void clip(const char *path, struct t3d_arena *a)
{
    struct t3d_clip_tokenizer *t;
    struct t3d_err err = {0};
    struct t3d_tokens out;
    int r = t3d_clip_tokenizer_open(&t, path, &err);

    if (r < 0) {
        refused(r, &err);
        return;
    }
    if (t3d_clip_tokenize(&out, t, text, sizeof text, 9, a, &err) < 0)
        abort();
    check(&out, t3d_clip_tokenizer_size(t), t3d_clip_tokenizer_end(t));
    t3d_clip_tokenizer_free(t);
}

static void unigram(const char *path, struct t3d_arena *a)
{
    struct t3d_unigram_tokenizer *t;
    struct t3d_err err = {0};
    struct t3d_tokens out;
    char buf[8];
    int r = t3d_unigram_tokenizer_open(&t, path, &err);

    if (r < 0) {
        refused(r, &err);
        return;
    }
    if (t3d_unigram_tokenize(&out, t, text, sizeof text, 9, a, &err) < 0)
        abort();
    check(&out, t3d_unigram_tokenizer_size(t), t3d_unigram_tokenizer_end(t));
    for (size_t i = 0; i < out.n; i++)
        t3d_unigram_tokenizer_piece(t, out.id[i], buf, sizeof buf);
    t3d_unigram_tokenizer_free(t);
}

static void remove_folder(void)
{
    t3d_remove_tree(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct t3d_arena a = {0};
    struct t3d_err err;
    const uint8_t *cut;

    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/dev/shm/t3d-fuzz.%ld", (long)getpid());
        if (t3d_make_dirs(folder, &err) < 0 || atexit(remove_folder) != 0)
            abort();
    }
    if (size < 1 || data[0] > 4)
        return -1;
    cut = memchr(data + 1, 0xff, size - 1);
    switch (data[0]) {
    case 0:
        clip(put("tokenizer.json", data + 1, size - 1), &a);
        break;
    case 1:
        clip(put("merges.txt", data + 1, size - 1), &a);
        break;
    case 2:
        cut = cut ? cut : data + size;
        put("merges.txt", cut, (size_t)(data + size - cut));
        clip(put("vocab.json", data + 1, (size_t)(cut - data - 1)), &a);
        break;
    case 3:
        unigram(put("tokenizer.json", data + 1, size - 1), &a);
        break;
    default:
        unigram(put("spiece.model", data + 1, size - 1), &a);
    }
    t3d_arena_free(&a);
    return 0;
}
