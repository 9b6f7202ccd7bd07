/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vocabulary.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "net/bpe_train.h"

static int make(const char *dir, const struct t3d_loader *l, int size, struct t3d_err *err)
{
    struct t3d_bpe_trainer *b;
    int r = t3d_bpe_trainer_new(&b, (uint32_t)size, err);

    for (uint32_t i = 0; r == T3D_OK && i < t3d_loader_samples(l); i++)
        for (size_t k = 0; r == T3D_OK && k < t3d_loader_captions(l, i); k++) {
            struct t3d_caption c = t3d_loader_caption(l, i, k);

            r = t3d_bpe_trainer_add(b, c.text, c.size, err);
        }
    if (r == T3D_OK)
        r = t3d_bpe_trainer_write(b, dir, err);
    t3d_bpe_trainer_free(b);
    return r;
}

int t3d_vocabulary_open(struct t3d_clip_tokenizer **out, const char *dir,
                        const struct t3d_loader *captions, int size, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, "merges.txt"); /* the last to be written */
    int r = path ? T3D_OK : t3d_err_nomem(err, dir);

    if (r == T3D_OK && access(path, F_OK) < 0)
        r = make(dir, captions, size, err);
    if (r == T3D_OK)
        r = t3d_clip_tokenizer_open(out, dir, err);
    t3d_arena_free(&a);
    return r;
}

int t3d_vocabulary_copy(const char *from, const char *to, struct t3d_err *err)
{
    static const char *const name[] = {"vocab.json", "merges.txt"};
    struct t3d_arena a = {0};
    int r = T3D_OK;

    for (size_t i = 0; i < T3D_COUNT(name) && r == T3D_OK; i++) {
        char *source = t3d_path_join(&a, from, name[i]), *target = t3d_path_join(&a, to, name[i]);
        struct t3d_blob b;

        r = source && target ? t3d_blob_open(&b, source, 0, err) : t3d_err_nomem(err, to);
        if (r < 0)
            break;
        r = t3d_write_file(target, b.data, b.size, err);
        t3d_blob_close(&b);
    }
    t3d_arena_free(&a);
    return r;
}

int t3d_vocabulary_put(const struct t3d_clip_tokenizer *t, const char *text, size_t size, int n,
                       int32_t *ids, int32_t *seen, int *cut, struct t3d_arena *scratch,
                       struct t3d_err *err)
{
    uint32_t none = t3d_clip_tokenizer_size(t);
    struct t3d_tokens tokens = {.id = &none, .n = 1};
    int r = text ? t3d_clip_tokenize(&tokens, t, text, size, (size_t)n, scratch, err) : T3D_OK;

    for (int i = 0; i < n && r == T3D_OK; i++) {
        seen[i] = (size_t)i < tokens.n;
        ids[i] = seen[i] ? (int32_t)tokens.id[i] : (int32_t)none;
    }
    if (cut)
        *cut = tokens.truncated;
    return r;
}

struct looking {
    const struct t3d_clip_tokenizer *t;
    struct t3d_arena arena; /* of one word */
    char *word;
    size_t n;
};

static int look(void *ctx, const char *word, size_t size, struct t3d_err *err)
{
    enum { KNOWN = 3 }; /* start, the word, end */
    struct looking *l = ctx;
    struct t3d_tokens tokens;
    int r;

    if (*l->word)
        return T3D_OK;
    r = t3d_clip_tokenize(&tokens, l->t, word, size, KNOWN + 1, &l->arena, err);
    if (r == T3D_OK && tokens.n > KNOWN)
        snprintf(l->word, l->n, "%.*s", (int)size, word);
    t3d_arena_reset(&l->arena);
    return r;
}

int t3d_vocabulary_unknown(const struct t3d_clip_tokenizer *t, const char *text, char *word,
                           size_t n, struct t3d_err *err)
{
    struct looking l = {.t = t, .word = word, .n = n};
    struct t3d_arena a = {0};
    int r;

    *word = 0;
    r = t3d_clip_words(text, strlen(text), look, &l, &a, err);
    t3d_arena_free(&a);
    t3d_arena_free(&l.arena);
    return r;
}
