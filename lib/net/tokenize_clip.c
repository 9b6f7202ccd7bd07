/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tokenize_clip.h"

#include "base/utf8.h"
#include "net/clean.h"
#include "net/tokenize_clip_impl.h"
#include "net/unicode.h"

enum { LONG_S = 0x17f };

struct run {
    const struct t3d_clip_tokenizer *t;
    struct t3d_tokens *out;
    size_t max;                     /* most tokens of the text */
    uint32_t *symbol, *rank, *made; /* of the word: symbols, and what each makes with its next */
};

void t3d_clip_tokenizer_free(struct t3d_clip_tokenizer *t)
{
    if (t)
        t3d_arena_free(&t->arena);
    free(t);
}

uint32_t t3d_clip_tokenizer_size(const struct t3d_clip_tokenizer *t)
{
    return t->size;
}

uint32_t t3d_clip_tokenizer_start(const struct t3d_clip_tokenizer *t)
{
    return t->start;
}

uint32_t t3d_clip_tokenizer_end(const struct t3d_clip_tokenizer *t)
{
    return t->end;
}

void t3d_clip_tokenizer_clean_as(struct t3d_clip_tokenizer *t, enum t3d_cleaning cleaning)
{
    t->cleaning = cleaning;
}

const char *t3d_clip_tokenizer_hash(const struct t3d_clip_tokenizer *t)
{
    return t->hash;
}

struct t3di_merge *t3di_merge_find(const struct t3d_clip_tokenizer *t, uint32_t left,
                                   uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
    size_t i = (size_t)(h >> 32) & t->merge_mask;

    while (t->merge[i].rank != T3DI_NO_MERGE &&
           (t->merge[i].left != left || t->merge[i].right != right))
        i = (i + 1) & t->merge_mask;
    return &t->merge[i];
}

static void look_up(struct run *r, size_t at, uint32_t left, uint32_t right)
{
    const struct t3di_merge *m = t3di_merge_find(r->t, left, right);

    r->rank[at] = m->rank;
    r->made[at] = m->id;
}

/* All places of the pair of rank `best`, from the left; only pairs beside one are looked up again.
 * Returns the number of symbols left. */
static size_t merge_pass(struct run *r, size_t n, uint32_t best)
{
    size_t out = 0;
    int before = 0; /* the symbol before was made in this pass */

    for (size_t i = 0; i < n;) {
        int now = i + 1 < n && r->rank[i] == best;
        uint32_t s = now ? r->made[i] : r->symbol[i];

        if (out && (now || before)) {
            look_up(r, out - 1, r->symbol[out - 1], s);
        } else if (out) {
            r->rank[out - 1] = r->rank[i - 1];
            r->made[out - 1] = r->made[i - 1];
        }
        r->symbol[out++] = s;
        before = now;
        i += 1 + (size_t)now;
    }
    return out;
}

/* Merge the pair of the lowest rank, in all its places, until none is left (openai/CLIP,
 * clip/simple_tokenizer.py, bpe). */
static size_t merge_word(struct run *r, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        look_up(r, i, r->symbol[i], r->symbol[i + 1]);
    for (;;) {
        uint32_t best = T3DI_NO_MERGE;

        for (size_t i = 0; i + 1 < n; i++)
            best = T3D_MIN(best, r->rank[i]);
        if (best == T3DI_NO_MERGE)
            return n;
        n = merge_pass(r, n, best);
    }
}

static void add_word(struct run *r, const uint32_t *c, size_t n)
{
    char bytes[T3D_UTF8_MAX];
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = t3d_utf8_encode(bytes, c[i]);

        for (size_t k = 0; k < len; k++)
            r->symbol[m++] = r->t->byte[i + 1 == n && k + 1 == len][(uint8_t)bytes[k]];
    }
    m = merge_word(r, m);
    for (size_t i = 0; i < m; i++) {
        if (r->out->n == r->max) {
            r->out->truncated = 1;
            return;
        }
        r->out->id[r->out->n++] = r->symbol[i];
    }
}

/* Length of 's 't 're 've 'm 'll 'd at c, or 0. Python's regex, without regard to case, takes a
 * long s for an s. */
static size_t contraction(enum t3d_cleaning cleaning, const uint32_t *c, size_t n)
{
    if (n < 2 || c[0] != '\'')
        return 0;
    if (cleaning == T3D_CLEANING_OPEN_CLIP && c[1] == LONG_S)
        return 2;
    if (c[1] == 's' || c[1] == 't' || c[1] == 'm' || c[1] == 'd')
        return 2;
    if (n > 2 && (((c[1] == 'r' || c[1] == 'v') && c[2] == 'e') || (c[1] == 'l' && c[2] == 'l')))
        return 3;
    return 0;
}

/* Length of the match of the pattern at c, which is no space. */
static size_t match(enum t3d_cleaning cleaning, const uint32_t *c, size_t n)
{
    enum t3d_unicode_class kind = t3d_unicode_class(c[0]);
    size_t len = contraction(cleaning, c, n);

    if (len || kind == T3D_UNICODE_NUMBER)
        return len ? len : 1;
    for (len = 1; len < n && t3d_unicode_class(c[len]) == kind;)
        len++;
    return len;
}

static void add_text(struct run *r, const uint32_t *c, size_t n)
{
    for (size_t i = 0; i < n && !r->out->truncated;) {
        size_t len = 1;

        if (t3d_unicode_class(c[i]) != T3D_UNICODE_SPACE) {
            len = match(r->t->cleaning, c + i, n - i);
            add_word(r, c + i, len);
        }
        i += len;
    }
}

/* What transformers' tokenizer does first: NFC, then lower case. */
static int64_t clean_transformers(uint32_t **out, const uint32_t *c, size_t n, struct t3d_arena *a)
{
    const uint32_t *nfc;
    int64_t length = t3d_unicode_nfc(&nfc, c, n, a), m = 0;

    *out = length < 0 ? NULL : t3d_alloc_raw(a, (size_t)length + 1, 2 * sizeof **out);
    if (!*out)
        return -1;
    for (int64_t i = 0; i < length; i++)
        m += (int64_t)t3d_unicode_lower(nfc[i], *out + m);
    return m;
}

/* UTF-8 to clean characters; the number of them, or -1 when memory is out. */
static int64_t read_text(uint32_t **out, enum t3d_cleaning cleaning, const char *text, size_t size,
                         struct t3d_arena *a)
{
    uint32_t *c = t3d_alloc_raw(a, size, sizeof *c);
    size_t n = 0;

    if (!c)
        return -1;
    for (size_t i = 0; i < size; n++) {
        size_t len = t3d_utf8_decode(text + i, size - i, &c[n]);

        if (!len)
            c[n] = 0xfffd;
        i += len ? len : 1;
    }
    return cleaning == T3D_CLEANING_OPEN_CLIP ? t3di_clean_open_clip(out, c, n, a)
                                              : clean_transformers(out, c, n, a);
}

int t3d_clip_words(const char *text, size_t size,
                   int (*each)(void *ctx, const char *word, size_t n, struct t3d_err *err),
                   void *ctx, struct t3d_arena *a, struct t3d_err *err)
{
    uint32_t *c;
    int64_t n = read_text(&c, T3D_CLEANING_TRANSFORMERS, text, size, a);
    char *word = n < 0 ? NULL : t3d_alloc_raw(a, (size_t)n + 1, T3D_UTF8_MAX);
    int r = word ? T3D_OK : t3d_err_nomem(err, "a text");

    for (size_t i = 0, len; r == T3D_OK && i < (size_t)n; i += len) {
        size_t bytes = 0;

        len = 1;
        if (t3d_unicode_class(c[i]) == T3D_UNICODE_SPACE)
            continue;
        len = match(T3D_CLEANING_TRANSFORMERS, c + i, (size_t)n - i);
        for (size_t k = 0; k < len; k++)
            bytes += t3d_utf8_encode(word + bytes, c[i + k]);
        r = each(ctx, word, bytes, err);
    }
    return r;
}

int t3d_clip_tokenize(struct t3d_tokens *out, const struct t3d_clip_tokenizer *t, const char *text,
                      size_t size, size_t max, struct t3d_arena *a, struct t3d_err *err)
{
    struct run r = {.t = t, .out = out, .max = max - 1};
    uint32_t *c;
    int64_t n;

    memset(out, 0, sizeof *out);
    if (max < 2)
        return t3d_err_set(err, T3D_FAIL, "bad-length", "%zu tokens have no room for start and end",
                           max);
    n = read_text(&c, t->cleaning, text, size, a);
    if (n < 0)
        return t3d_err_nomem(err, "a caption");
    r.symbol = t3d_alloc_raw(a, (size_t)n, T3D_UTF8_MAX * sizeof *r.symbol);
    r.rank = t3d_alloc_raw(a, (size_t)n, T3D_UTF8_MAX * sizeof *r.rank);
    r.made = t3d_alloc_raw(a, (size_t)n, T3D_UTF8_MAX * sizeof *r.made);
    out->id = t3d_alloc(a, T3D_MIN(max, (size_t)n * T3D_UTF8_MAX + 2), sizeof *out->id);
    if (!r.symbol || !r.rank || !r.made || !out->id)
        return t3d_err_nomem(err, "a caption");
    out->id[out->n++] = t->start;
    add_text(&r, c, (size_t)n);
    out->id[out->n++] = t->end;
    return T3D_OK;
}
