/* SPDX-License-Identifier: Apache-2.0 */
/* google/sentencepiece: src/normalizer.cc, src/unigram_model.cc (EncodeOptimized),
 * src/sentencepiece_processor.cc; the trie is darts-clone's. */
#include "net/tokenize_unigram.h"

#include "base/utf8.h"
#include "net/tokenize_unigram_impl.h"

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
enum { SPACE_MARK = 3 };

struct text {
    const char *s;
    size_t n;
};

struct buffer {
    char *s;
    size_t n;
};

struct node {
    float score;
    int64_t start; /* byte where the best piece that ends here begins; -1 = unreached */
    uint32_t id;
};

void t3d_unigram_tokenizer_free(struct t3d_unigram_tokenizer *t)
{
    if (t)
        t3d_arena_free(&t->arena);
    free(t);
}

uint32_t t3d_unigram_tokenizer_size(const struct t3d_unigram_tokenizer *t)
{
    return t->size;
}

uint32_t t3d_unigram_tokenizer_end(const struct t3d_unigram_tokenizer *t)
{
    return t->end;
}

const char *t3d_unigram_tokenizer_hash(const struct t3d_unigram_tokenizer *t)
{
    return t->hash;
}

/* First piece of [low, high) whose byte at depth is >= c; a piece that ends there counts as -1. */
static size_t lower_bound(const struct t3di_piece *p, size_t low, size_t high, size_t depth, int c)
{
    while (low < high) {
        size_t middle = (low + high) / 2;
        int at = depth < p[middle].n ? (uint8_t)p[middle].s[depth] : -1;

        if (at < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void t3di_piece_narrow(const struct t3d_unigram_tokenizer *t, size_t *low, size_t *high,
                       size_t depth, uint8_t c)
{
    *low = lower_bound(t->piece, *low, *high, depth, c);
    *high = lower_bound(t->piece, *low, *high, depth, c + 1);
}

static size_t character(const char *s, size_t n)
{
    uint32_t c;

    return t3d_utf8_decode(s, n, &c);
}

/* Bytes of the longest user-defined piece at s. */
static size_t match_user(const struct t3d_unigram_tokenizer *t, const char *s, size_t n)
{
    size_t low = 0, high = t->n_pieces, longest = 0;

    for (size_t i = 0; i < n && low < high; i++) {
        t3di_piece_narrow(t, &low, &high, i, (uint8_t)s[i]);
        if (low < high && t->piece[low].n == i + 1 && t->piece[low].type == T3DI_PIECE_USER)
            longest = i + 1;
    }
    return longest;
}

static uint32_t unit(const struct t3d_unigram_tokenizer *t, uint32_t i)
{
    const uint8_t *p = t->trie + (size_t)i * 4;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t u)
{
    return u >> 10 << ((u & 0x200) >> 6);
}

/* Bytes of the longest key of the map at s; *to = its replacement. 0 when there is none. */
static size_t match_map(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                        struct text *to)
{
    size_t longest = 0;
    uint32_t at, u;

    if (!t->n_units)
        return 0;
    at = offset_of(unit(t, 0));
    for (size_t i = 0; i < n; i++) {
        at ^= (uint8_t)s[i];
        if (at >= t->n_units)
            break;
        u = unit(t, at);
        if ((u & 0x800000ff) != (uint8_t)s[i])
            break;
        at ^= offset_of(u);
        if (at >= t->n_units)
            break;
        if (u >> 8 & 1) { /* a key ends here: its value is in the unit before its children */
            uint32_t value = unit(t, at) & 0x7fffffff;

            if (value >= t->pool_size)
                break;
            longest = i + 1;
            to->s = t->pool + value;
            to->n = strlen(to->s);
        }
    }
    return longest;
}

/* What the first bytes of s become; returns how many they are. */
static size_t normalise_prefix(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                               struct text *to)
{
    size_t len = t->has_user ? match_user(t, s, n) : 0;

    if (!len) {
        len = match_map(t, s, n, to);
        if (len)
            return len;
        len = character(s, n);
    }
    if (len) {
        *to = (struct text){s, len};
        return len;
    }
    *to = (struct text){"\xef\xbf\xbd", 3};
    return 1;
}

static void put_space(const struct t3d_unigram_tokenizer *t, struct buffer *b)
{
    size_t n = t->escape_spaces ? SPACE_MARK : 1;

    memcpy(b->s + b->n, t->escape_spaces ? space_mark : " ", n);
    b->n += n;
}

static void strip_end(const struct t3d_unigram_tokenizer *t, struct buffer *b)
{
    const char *mark = t->escape_spaces ? space_mark : " ";
    size_t n = strlen(mark);

    while (b->n >= n && memcmp(b->s + b->n - n, mark, n) == 0)
        b->n -= n;
}

/* Normalizer::Normalize. */
static void normalise(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                      struct buffer *b)
{
    int after_space = t->remove_spaces;
    struct text to;
    size_t i = 0, len;

    while (t->remove_spaces && i < n) { /* leading spaces */
        len = normalise_prefix(t, s + i, n - i, &to);
        if (to.n != 1 || to.s[0] != ' ')
            break;
        i += len;
    }
    if (i == n)
        return;
    if (t->dummy_prefix && !t->space_is_suffix)
        put_space(t, b);
    while (i < n) {
        i += normalise_prefix(t, s + i, n - i, &to);
        while (after_space && to.n && to.s[0] == ' ')
            to.s++, to.n--;
        for (size_t k = 0; k < to.n; k++) {
            if (to.s[k] == ' ')
                put_space(t, b);
            else
                b->s[b->n++] = to.s[k];
        }
        if (to.n)
            after_space = t->remove_spaces && to.s[to.n - 1] == ' ';
    }
    if (t->remove_spaces)
        strip_end(t, b);
    if (t->dummy_prefix && t->space_is_suffix)
        put_space(t, b);
}

/* An upper bound of the normalised length, so that one allocation is enough. */
static size_t bound(const struct t3d_unigram_tokenizer *t, const char *s, size_t n)
{
    size_t total = SPACE_MARK;
    struct text to;

    for (size_t i = 0; i < n;) {
        i += normalise_prefix(t, s + i, n - i, &to);
        total += to.n;
        for (size_t k = 0; k < to.n; k++)
            total += to.s[k] == ' ' ? SPACE_MARK - 1 : 0;
    }
    return total;
}

static void relax(struct node *node, double score, size_t start, uint32_t id)
{
    if (node->start < 0 || score > node->score)
        *node = (struct node){(float)score, (int64_t)start, id};
}

/* The best path: node[i] for each byte i of s. The first of equal scores stays. */
static void search(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                   struct node *node)
{
    float unknown = t->min_score - 10;

    for (size_t i = 0, len; i < n; i += len) {
        size_t low = 0, high = t->n_pieces;
        int has_single = 0;

        len = character(s + i, n - i);
        len = len ? len : 1;
        for (size_t k = 0; i + k < n; k++) {
            const struct t3di_piece *p;
            double score;

            t3di_piece_narrow(t, &low, &high, k, (uint8_t)s[i + k]);
            if (low == high)
                break;
            p = &t->piece[low];
            if (p->n != k + 1 || p->type == T3DI_PIECE_UNUSED)
                continue;
            score =
                p->type == T3DI_PIECE_USER ? (float)(k + 1) * t->max_score - .1 : (double)p->score;
            relax(&node[i + k + 1], score + node[i].score, i, p->id);
            has_single |= k + 1 == len;
        }
        if (!has_single)
            relax(&node[i + len], unknown + node[i].score, i, t->unknown);
    }
}

/* The pieces of the path; a run of unknown characters
 * is one token, or its bytes. */
static size_t collect(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                      const struct node *node, uint32_t *id)
{
    size_t m = 0;

    for (size_t at = n; at > 0; at = (size_t)node[at].start) {
        if (node[at].id != t->unknown) {
            id[m++] = node[at].id;
        } else if (t->byte_fallback) {
            for (size_t k = at; k > (size_t)node[at].start; k--)
                id[m++] = t->byte[(uint8_t)s[k - 1]];
        } else if (m == 0 || id[m - 1] != t->unknown) {
            id[m++] = t->unknown;
        }
    }
    for (size_t i = 0; i < m / 2; i++) {
        uint32_t swap = id[i];

        id[i] = id[m - 1 - i];
        id[m - 1 - i] = swap;
    }
    return m;
}

int t3d_unigram_tokenize(struct t3d_tokens *out, const struct t3d_unigram_tokenizer *t,
                         const char *text, size_t size, size_t max, struct t3d_arena *a,
                         struct t3d_err *err)
{
    struct buffer b = {0};
    struct node *node;

    memset(out, 0, sizeof *out);
    if (max < 1)
        return t3d_err_set(err, T3D_FAIL, "bad-length", "0 tokens have no room for </s>");
    b.s = t3d_alloc_raw(a, bound(t, text, size), 1);
    if (!b.s)
        return t3d_err_nomem(err, "a caption");
    normalise(t, text, size, &b);
    node = t3d_alloc_raw(a, b.n + 1, sizeof *node);
    out->id = t3d_alloc_raw(a, b.n + 1, sizeof *out->id);
    if (!node || !out->id)
        return t3d_err_nomem(err, "a caption");
    for (size_t i = 0; i <= b.n; i++)
        node[i] = (struct node){0, i ? -1 : 0, 0};
    search(t, b.s, b.n, node);
    out->n = collect(t, b.s, b.n, node, out->id);
    if (out->n > max - 1) {
        out->n = max - 1;
        out->truncated = 1;
    }
    out->id[out->n++] = t->end;
    return T3D_OK;
}
