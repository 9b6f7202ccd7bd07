/* SPDX-License-Identifier: Apache-2.0 */
/* google/sentencepiece: src/normalizer.cc, src/unigram_model.cc (EncodeOptimized),
 * src/sentencepiece_processor.cc; the map is a trie of darts-clone. */
#include "net/tokenize_unigram.h"

#include <stdio.h>

#include "base/utf8.h"
#include "net/tokenize_unigram_impl.h"

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
enum { SPACE_MARK = 3, REPLACEMENT_MAX = 1024, UNKNOWN_PENALTY = 10 };

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

const char *t3d_unigram_tokenizer_piece(const struct t3d_unigram_tokenizer *t, uint32_t id,
                                        char *buf, size_t n)
{
    if (id < t->n_all) {
        snprintf(buf, n, "%.*s", (int)t->all[id].n, t->all[id].s);
        return buf;
    }
    for (size_t i = 0; i < t->n_added; i++) {
        if (t->added[i].id == id) {
            snprintf(buf, n, "%s", t->added[i].s);
            return buf;
        }
    }
    return NULL;
}

void t3di_put(struct t3di_buffer *b, const char *s, size_t n)
{
    if (b->capacity - b->n < n) {
        size_t more = T3D_MAX(2 * b->capacity, b->n + n + 256);
        char *grown = t3d_alloc_raw(b->arena, more, 1);

        if (!grown) {
            b->failed = 1;
            return;
        }
        if (b->n)
            memcpy(grown, b->s, b->n);
        b->s = grown;
        b->capacity = more;
    }
    if (n)
        memcpy(b->s + b->n, s, n);
    b->n += n;
}

/* --- the normaliser of sentencepiece ----------------------------------------------------------
 */

static size_t character(const char *s, size_t n)
{
    uint32_t c;

    return (uint8_t)*s < 0x80 ? 1 : t3d_utf8_decode(s, n, &c);
}

/* Bytes of the longest user-defined piece at s. */
static size_t match_user(const struct t3d_unigram_tokenizer *t, const char *s, size_t n)
{
    uint32_t at = T3DI_TRIE_ROOT;
    size_t longest = 0;

    for (size_t i = 0; i < n && (at = t3di_trie_next(&t->trie, at, (uint8_t)s[i])); i++) {
        uint32_t value = t->trie.value[at];

        if (value != T3DI_TRIE_NONE && t->piece[value].type == T3DI_PIECE_USER)
            longest = i + 1;
    }
    return longest;
}

static uint32_t unit(const struct t3d_unigram_tokenizer *t, uint32_t i)
{
    const uint8_t *p = t->map + (size_t)i * 4;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t u)
{
    return u >> 10 << ((u & 0x200) >> 6);
}

size_t t3di_map_match(const struct t3d_unigram_tokenizer *t, const char *s, size_t n, int longest,
                      struct t3di_text *to)
{
    size_t found = 0;
    uint32_t at, u;

    if (!t->n_units)
        return 0;
    at = offset_of(unit(t, 0));
    for (size_t i = 0; i < n && (longest || !found); i++) {
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
            found = i + 1;
            to->s = t->pool + value;
            to->n = strnlen(to->s, REPLACEMENT_MAX);
        }
    }
    return found;
}

/* What the first bytes of s become; returns how many they are. */
static size_t normalise_prefix(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                               struct t3di_text *to)
{
    size_t len = t->has_user ? match_user(t, s, n) : 0;

    if (!len && (uint8_t)*s < 0x80 && t->plain[(uint8_t)*s] && (n == 1 || (uint8_t)s[1] < 0x80))
        len = 1;
    if (!len) {
        len = t3di_map_match(t, s, n, 1, to);
        if (len)
            return len;
        len = character(s, n);
    }
    if (len) {
        *to = (struct t3di_text){s, len};
        return len;
    }
    *to = (struct t3di_text){"\xef\xbf\xbd", 3};
    return 1;
}

static void put_space(const struct t3d_unigram_tokenizer *t, struct t3di_buffer *b)
{
    t3di_put(b, t->escape_spaces ? space_mark : " ", t->escape_spaces ? SPACE_MARK : 1);
}

static void strip_end(const struct t3d_unigram_tokenizer *t, struct t3di_buffer *b)
{
    const char *mark = t->escape_spaces ? space_mark : " ";
    size_t n = strlen(mark);

    while (b->n >= n && memcmp(b->s + b->n - n, mark, n) == 0)
        b->n -= n;
}

/* Normalizer::Normalize. */
static void normalise(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                      struct t3di_buffer *b)
{
    int after_space = t->remove_spaces;
    struct t3di_text to;
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
    while (i < n && !b->failed) {
        i += normalise_prefix(t, s + i, n - i, &to);
        while (after_space && to.n && to.s[0] == ' ')
            to.s++, to.n--;
        if (to.n)
            after_space = t->remove_spaces && to.s[to.n - 1] == ' ';
        while (to.n) {
            const char *space = memchr(to.s, ' ', to.n);
            size_t before = space ? (size_t)(space - to.s) : to.n;

            t3di_put(b, to.s, before);
            if (space)
                put_space(t, b);
            to.s += before + (space != NULL);
            to.n -= before + (space != NULL);
        }
    }
    if (t->remove_spaces)
        strip_end(t, b);
    if (t->dummy_prefix && t->space_is_suffix)
        put_space(t, b);
}

/* --- the best path ---------------------------------------------------------------------------
 */

/* Scores are float in sentencepiece, double in tokenizers. The first of equal ones stays. */
static void relax(const struct t3d_unigram_tokenizer *t, struct t3di_node *node, double score,
                  size_t start, uint32_t id)
{
    if (!t->is_json)
        score = (double)(float)score;
    if (node->start < 0 || score > node->score)
        *node = (struct t3di_node){score, (int64_t)start, id};
}

static double score_of(const struct t3d_unigram_tokenizer *t, const struct t3di_piece *p)
{
    return p->type == T3DI_PIECE_USER ? (double)((float)p->n * (float)t->max_score) - .1 : p->score;
}

/* The best path: node[i] for each byte i of s. */
static void search(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                   struct t3di_node *node)
{
    double unknown = t->min_score - UNKNOWN_PENALTY;

    for (size_t i = 0, len; i < n; i += len) {
        uint32_t at = T3DI_TRIE_ROOT;
        int has_single = 0;

        len = character(s + i, n - i);
        len = len ? len : 1;
        for (size_t k = i; k < n && (at = t3di_trie_next(&t->trie, at, (uint8_t)s[k])); k++) {
            uint32_t value = t->trie.value[at];
            const struct t3di_piece *p = &t->piece[value];

            if (value == T3DI_TRIE_NONE || p->type == T3DI_PIECE_UNUSED)
                continue;
            relax(t, &node[k + 1], score_of(t, p) + node[i].score, i, p->id);
            has_single |= k + 1 == i + len;
        }
        if (!has_single)
            relax(t, &node[i + len], unknown + node[i].score, i, t->unknown);
    }
}

void t3di_search_id(struct t3di_search *x, uint32_t id)
{
    if (x->n == x->id_capacity) {
        size_t more = 2 * x->id_capacity + 64;
        uint32_t *grown = t3d_alloc_raw(x->arena, more, sizeof *grown);

        if (!grown) {
            x->failed = 1;
            return;
        }
        if (x->n)
            memcpy(grown, x->id, x->n * sizeof *grown);
        x->id = grown;
        x->id_capacity = more;
    }
    x->id[x->n++] = id;
}

/* A run of unknown characters, backwards: one token, or its bytes. The text of the unknown piece
 * itself is that piece (tokenizers looks a run up before it falls back). */
static void put_unknown(struct t3di_search *x, const char *s, size_t n)
{
    const struct t3d_unigram_tokenizer *t = x->t;
    int is_piece = t->is_json && n == t->unknown_n && memcmp(s, t->unknown_text, n) == 0;

    if (!t->byte_fallback || is_piece) {
        t3di_search_id(x, t->unknown);
        return;
    }
    while (n-- > 0)
        t3di_search_id(x, t->byte[(uint8_t)s[n]]);
}

/* The pieces of the path, from the end; then turned. */
static void collect(struct t3di_search *x, const char *s, size_t n)
{
    const struct t3di_node *node = x->node;
    size_t first = x->n;

    for (size_t at = n, end = n; at > 0; end = at) {
        at = (size_t)node[at].start;
        if (node[end].id != x->t->unknown) {
            t3di_search_id(x, node[end].id);
            continue;
        }
        while (at > 0 && node[at].id == x->t->unknown)
            at = (size_t)node[at].start;
        put_unknown(x, s + at, end - at);
    }
    for (size_t i = first, k = x->n; i + 1 < k; i++) {
        uint32_t swap = x->id[i];

        x->id[i] = x->id[--k];
        x->id[k] = swap;
    }
}

void t3di_search_text(struct t3di_search *x, const char *s, size_t n)
{
    if (n + 1 > x->node_capacity) {
        x->node_capacity = T3D_MAX(2 * (n + 1), 256);
        x->node = t3d_alloc_raw(x->arena, x->node_capacity, sizeof *x->node);
    }
    if (!x->node || x->failed) {
        x->failed = 1;
        return;
    }
    for (size_t i = 0; i <= n; i++)
        x->node[i] = (struct t3di_node){0, i ? -1 : 0, 0};
    search(x->t, s, n, x->node);
    collect(x, s, n);
}

static void tokenize_piece_model(struct t3di_search *x, const char *text, size_t size)
{
    struct t3di_buffer b = {.arena = x->arena};

    normalise(x->t, text, size, &b);
    if (b.failed)
        x->failed = 1;
    else
        t3di_search_text(x, b.s, b.n);
}

int t3d_unigram_tokenize(struct t3d_tokens *out, const struct t3d_unigram_tokenizer *t,
                         const char *text, size_t size, size_t max, struct t3d_arena *a,
                         struct t3d_err *err)
{
    struct t3di_search x = {.t = t, .arena = a};

    memset(out, 0, sizeof *out);
    if (max < 1)
        return t3d_err_set(err, T3D_FAIL, "bad-length", "0 tokens have no room for </s>");
    if (t->is_json)
        t3di_json_tokenize(&x, text, size);
    else
        tokenize_piece_model(&x, text, size);
    out->truncated = x.n > max - 1;
    if (out->truncated)
        x.n = max - 1;
    t3di_search_id(&x, t->end);
    if (x.failed)
        return t3d_err_nomem(err, "a caption");
    out->id = x.id;
    out->n = x.n;
    return T3D_OK;
}
