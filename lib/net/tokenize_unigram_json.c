/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that a tokenizer.json states, as huggingface/tokenizers takes them (src/tokenizer/
 * added_vocabulary.rs, src/normalizers/precompiled.rs, src/pre_tokenizers/metaspace.rs;
 * huggingface/spm_precompiled, src/lib.rs): added tokens are cut out, the rest is normalised, cut
 * at white space, marked, and each word has a path of its own.
 *
 * The map is not applied as sentencepiece applies it: a grapheme cluster of less than 6 bytes
 * becomes what its shortest prefix in the map becomes, and other clusters go character by
 * character. */
#include "base/utf8.h"
#include "net/tokenize_unigram_impl.h"
#include "net/unicode.h"

enum { WHOLE_CLUSTER_BELOW = 6 };

/* Bytes of the white space at s, or 0. */
static size_t white(const char *s, size_t n)
{
    uint32_t c;
    size_t len = t3d_utf8_decode(s, n, &c);

    return len && t3d_unicode_class(c) == T3D_UNICODE_SPACE ? len : 0;
}

static size_t white_before(const char *s, size_t n)
{
    size_t len = 1;

    while (len < n && len < T3D_UTF8_MAX && ((uint8_t)s[n - len] & 0xc0) == 0x80)
        len++;
    return n && white(s + n - len, len) == len ? len : 0;
}

static struct t3di_text strip(struct t3di_text s, int left, int right)
{
    for (size_t len; left && s.n && (len = white(s.s, s.n));)
        s.s += len, s.n -= len;
    for (size_t len; right && s.n && (len = white_before(s.s, s.n));)
        s.n -= len;
    return s;
}

/* --- normaliser ------------------------------------------------------------------------------ */

static void map_characters(const struct t3d_unigram_tokenizer *t, const char *s, size_t n,
                           struct t3di_buffer *b)
{
    struct t3di_text to;
    uint32_t c;

    for (size_t i = 0, len; i < n; i += len) {
        len = t3d_utf8_decode(s + i, n - i, &c);
        len = len ? len : 1;
        if (t3di_map_match(t, s + i, len, 0, &to))
            t3di_put(b, to.s, to.n);
        else
            t3di_put(b, s + i, len);
    }
}

/* Bytes that the map leaves alone at s. */
static size_t plain_run(const struct t3d_unigram_tokenizer *t, const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (uint8_t)s[i] < 0x80 && t->plain[(uint8_t)s[i]])
        i++;
    return i < n && (uint8_t)s[i] >= 0x80 && i ? i - 1 : i; /* the last may begin a cluster */
}

static void map(struct t3di_search *x, struct t3di_text in, struct t3di_buffer *b)
{
    const struct t3d_unigram_tokenizer *t = x->t;
    struct t3di_text to;

    for (size_t i = 0, len; i < in.n && !b->failed; i += len) {
        len = plain_run(t, in.s + i, in.n - i);
        if (len) {
            t3di_put(b, in.s + i, len);
            continue;
        }
        len = t3d_unicode_cluster(in.s + i, in.n - i);
        if (len < WHOLE_CLUSTER_BELOW && t3di_map_match(t, in.s + i, len, 0, &to)) {
            t3di_put(b, to.s, to.n);
            x->first = i ? x->first : T3D_MAX(to.n, 1);
        } else {
            map_characters(t, in.s + i, len, b);
        }
    }
}

static void replace(const struct t3di_step *step, struct t3di_text in, struct t3di_buffer *b)
{
    int spaces = step->kind == T3DI_STEP_SPACES;
    size_t n = spaces ? 0 : strlen(step->from), n_to = strlen(step->to);

    for (size_t i = 0; i < in.n && !b->failed;) {
        size_t len = 0;

        if (spaces)
            while (i + len < in.n && in.s[i + len] == ' ')
                len++;
        else if (n <= in.n - i && memcmp(in.s + i, step->from, n) == 0)
            len = n;
        if (len > (size_t)spaces) {
            t3di_put(b, step->to, n_to);
            i += len;
        } else {
            t3di_put(b, in.s + i++, 1);
        }
    }
}

static struct t3di_text normalise(struct t3di_search *x, struct t3di_text in)
{
    x->first = 1;
    for (size_t i = 0; i < x->t->n_steps && !x->failed; i++) {
        const struct t3di_step *step = &x->t->step[i];
        struct t3di_buffer b = {.arena = x->arena};

        if (step->kind == T3DI_STEP_STRIP) {
            in = strip(in, step->left, step->right);
            continue;
        }
        if (step->kind == T3DI_STEP_MAP)
            map(x, in, &b);
        else
            replace(step, in, &b);
        x->failed |= b.failed;
        in = (struct t3di_text){b.s, b.n};
    }
    return in;
}

/* --- words ------------------------------------------------------------------------------------ */

/* Metaspace: ' ' becomes the mark, one is put in front, and words begin at marks. */
static void mark_word(struct t3di_search *x, struct t3di_text word, int is_first)
{
    const struct t3d_unigram_tokenizer *t = x->t;
    struct t3di_step spaces = {.kind = T3DI_STEP_REPLACE, .from = " ", .to = t->mark};
    struct t3di_buffer b = {.arena = x->arena};
    size_t n = strlen(t->mark), begin = 0;

    if (!memchr(word.s, ' ', word.n) && word.n >= n && memcmp(word.s, t->mark, n) == 0)
        t3di_put(&b, word.s, word.n);
    else {
        int has_mark = word.s[0] == ' ' || (word.n >= n && memcmp(word.s, t->mark, n) == 0);

        if (!has_mark &&
            (t->prepend == T3DI_PREPEND_ALWAYS || (t->prepend == T3DI_PREPEND_FIRST && is_first)))
            t3di_put(&b, t->mark, n);
        replace(&spaces, word, &b);
    }
    if (b.failed) {
        x->failed = 1;
        return;
    }
    for (size_t i = 1; t->split_marks && i < b.n && !x->failed; i++) {
        if (b.n - i >= n && memcmp(b.s + i, t->mark, n) == 0) {
            t3di_search_text(x, b.s + begin, i - begin);
            begin = i;
        }
    }
    t3di_search_text(x, b.s + begin, b.n - begin);
}

static void add_word(struct t3di_search *x, struct t3di_text word, int is_first)
{
    if (!word.n || x->failed)
        return;
    if (x->t->has_mark)
        mark_word(x, word, is_first);
    else
        t3di_search_text(x, word.s, word.n);
}

static void add_words(struct t3di_search *x, struct t3di_text s, int is_first)
{
    size_t begin = 0;

    for (size_t i = 0, len; x->t->split_spaces && i < s.n; i += len) {
        size_t space =
            (uint8_t)s.s[i] < 0x80 && (uint8_t)s.s[i] > ' ' ? 0 : white(s.s + i, s.n - i);

        len = space ? space : 1;
        if (!space)
            continue;
        add_word(x, (struct t3di_text){s.s + begin, i - begin}, is_first && begin < x->first);
        begin = i + len;
    }
    add_word(x, (struct t3di_text){s.s + begin, s.n - begin}, is_first && begin < x->first);
}

/* --- added tokens ---------------------------------------------------------------------------- */

/* The first place at or behind `from` where a token begins, and the longest one there; NULL when
 * there is none. */
static const struct t3di_added *find_added(const struct t3d_unigram_tokenizer *t, int normalized,
                                           struct t3di_text s, size_t from, size_t *start)
{
    const struct t3di_trie *trie = &t->added_trie[normalized];
    const struct t3di_added *found = NULL;

    for (*start = from; *start < s.n && !found; *start += found == NULL) {
        uint32_t at = trie->root[(uint8_t)s.s[*start]];

        for (size_t i = *start + 1; at; i++) {
            if (trie->value[at] != T3DI_TRIE_NONE)
                found = &t->added[trie->value[at]];
            at = i < s.n ? t3di_trie_next(trie, at, (uint8_t)s.s[i]) : 0;
        }
    }
    return found;
}

/* Cut at the tokens of the raw (normalized = 0) or normalised text. */
static void cut(struct t3di_search *x, struct t3di_text s, int normalized, int is_first);

static void add_part(struct t3di_search *x, struct t3di_text s, int normalized, int is_first)
{
    if (!s.n || x->failed)
        return;
    if (normalized)
        add_words(x, s, is_first);
    else
        cut(x, normalise(x, s), 1, is_first);
}

static void cut(struct t3di_search *x, struct t3di_text s, int normalized, int is_first)
{
    const struct t3di_added *token;
    size_t done = 0, from = 0, start;

    while (!x->failed && (token = find_added(x->t, normalized, s, from, &start))) {
        struct t3di_text before = {s.s + done, start > done ? start - done : 0};
        size_t end = start + token->n;

        from = end;
        if (token->lstrip)
            before = strip(before, 0, 1);
        if (token->rstrip)
            end += s.n - end - strip((struct t3di_text){s.s + end, s.n - end}, 1, 0).n;
        add_part(x, before, normalized, is_first && done == 0);
        t3di_search_id(x, token->id);
        done = end;
    }
    if (done < s.n)
        add_part(x, (struct t3di_text){s.s + done, s.n - done}, normalized, is_first && done == 0);
}

/* Bytes that are not UTF-8 become U+FFFD each. */
static struct t3di_text valid(struct t3di_search *x, struct t3di_text s)
{
    struct t3di_buffer b = {.arena = x->arena};
    size_t n;

    if (t3d_utf8_valid(s.s, s.n) == s.n)
        return s;
    while (s.n && !b.failed) {
        n = t3d_utf8_valid(s.s, s.n);
        t3di_put(&b, s.s, n);
        if (n < s.n)
            t3di_put(&b, "\xef\xbf\xbd", 3);
        n += n < s.n;
        s.s += n, s.n -= n;
    }
    x->failed |= b.failed;
    return (struct t3di_text){b.s, b.n};
}

void t3di_json_tokenize(struct t3di_search *x, const char *text, size_t size)
{
    struct t3di_text s = valid(x, (struct t3di_text){text, size});

    if (!x->failed)
        cut(x, s, 0, 1);
}
