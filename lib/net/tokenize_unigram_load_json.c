/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json of huggingface/tokenizers with a Unigram model. What its parts are is stated by
 * their "type"; one that is not known here is refused by its name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontok.h"
#include "net/tokenize_unigram_impl.h"

enum { MAX_DEPTH = 64, MAX_STEPS = 16, REPLACEMENT_MAX = 64 };

struct json {
    struct t3di_unigram_loader *l;
    struct t3d_jsontok j;
};

static int is_true(const struct json *x, uint32_t object, const char *key)
{
    return x->j.tok[t3d_jtok_member(&x->j, object, key)].type == T3D_JTOK_TRUE;
}

static char *text_of(struct json *x, uint32_t t)
{
    return t3d_jtok_string(&x->j, t, &x->l->t->arena);
}

/* RFC 4648, section 4; the bytes replace the text. -1 when it is none. */
static int64_t base64(char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t value[256];
    uint32_t bits = 0;
    int64_t n = 0;
    int have = 0;

    memset(value, 0xff, sizeof value);
    for (uint8_t i = 0; digits[i]; i++)
        value[(uint8_t)digits[i]] = i;
    for (const char *p = s; *p && *p != '='; p++) {
        if (value[(uint8_t)*p] == 0xff)
            return -1;
        bits = bits << 6 | value[(uint8_t)*p];
        have += 6;
        if (have >= 8) {
            have -= 8;
            s[n++] = (char)(bits >> have & 0xff);
        }
    }
    return n;
}

/* A part of a pipeline that is not known. */
static int unknown_part(struct json *x, const char *where, uint32_t part)
{
    char *type = text_of(x, t3d_jtok_member(&x->j, part, "type"));

    return t3di_unigram_bad(x->l, "has a %s of type '%.40s', which is not supported", where,
                            type ? type : "");
}

/* Do `read` for each part of a Sequence (its member `list`), or for the part itself. */
static int each_part(struct json *x, uint32_t part, const char *list,
                     int (*read)(struct json *x, uint32_t part))
{
    uint32_t parts = t3d_jtok_member(&x->j, part, list);
    int r = T3D_OK;

    if (x->j.tok[part].type == T3D_JTOK_NULL)
        return T3D_OK;
    if (!t3d_jtok_is(&x->j, t3d_jtok_member(&x->j, part, "type"), "Sequence"))
        return read(x, part);
    for (uint32_t i = 0, e = t3d_jtok_first(&x->j, parts); i < x->j.tok[parts].n && r == T3D_OK;
         i++) {
        r = read(x, e);
        e = x->j.tok[e].next;
    }
    return r;
}

/* --- normaliser ------------------------------------------------------------------------------ */

static int read_map(struct json *x, uint32_t part)
{
    char *s = text_of(x, t3d_jtok_member(&x->j, part, "precompiled_charsmap"));
    int64_t n = s ? base64(s) : 0;

    if (n < 0 || x->l->t->n_units)
        return t3di_unigram_bad(x->l, "has a precompiled_charsmap %s",
                                n < 0 ? "that is not base64" : "twice");
    return t3di_unigram_map(x->l, (const uint8_t *)s, (size_t)n);
}

static int read_replace(struct json *x, uint32_t part, struct t3di_step *step)
{
    uint32_t pattern = t3d_jtok_member(&x->j, part, "pattern");
    uint32_t string = t3d_jtok_member(&x->j, pattern, "String");
    uint32_t regex = t3d_jtok_member(&x->j, pattern, "Regex");

    step->to = text_of(x, t3d_jtok_member(&x->j, part, "content"));
    step->from = text_of(x, string);
    step->kind = T3DI_STEP_REPLACE;
    if (!step->from && t3d_jtok_is(&x->j, regex, " {2,}")) {
        step->from = "";
        step->kind = T3DI_STEP_SPACES;
    }
    if (!step->from || !step->to || (step->kind == T3DI_STEP_REPLACE && !step->from[0]) ||
        strlen(step->to) > REPLACEMENT_MAX)
        return t3di_unigram_bad(x->l, "has a Replace whose pattern or content is not supported");
    return T3D_OK;
}

static int read_step(struct json *x, uint32_t part)
{
    struct t3d_unigram_tokenizer *t = x->l->t;
    uint32_t type = t3d_jtok_member(&x->j, part, "type");
    struct t3di_step *step = &t->step[t->n_steps];

    if (t->n_steps == MAX_STEPS)
        return t3di_unigram_bad(x->l, "has a normalizer of more than %d parts", MAX_STEPS);
    t->n_steps++;
    if (t3d_jtok_is(&x->j, type, "Precompiled")) {
        step->kind = T3DI_STEP_MAP;
        return read_map(x, part);
    }
    if (t3d_jtok_is(&x->j, type, "Replace"))
        return read_replace(x, part, step);
    if (!t3d_jtok_is(&x->j, type, "Strip"))
        return unknown_part(x, "normalizer", part);
    step->kind = T3DI_STEP_STRIP;
    step->left = is_true(x, part, "strip_left");
    step->right = is_true(x, part, "strip_right");
    return T3D_OK;
}

static int read_normaliser(struct json *x)
{
    struct t3d_unigram_tokenizer *t = x->l->t;

    t->step = t3d_alloc(&t->arena, MAX_STEPS, sizeof *t->step);
    if (!t->step)
        return t3d_err_nomem(x->l->err, x->l->path);
    return each_part(x, t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "normalizer"), "normalizers",
                     read_step);
}

/* --- words ------------------------------------------------------------------------------------ */

/* tokenizers before 0.15 wrote add_prefix_space in the place of prepend_scheme. */
static int read_mark(struct json *x, uint32_t part)
{
    struct t3d_unigram_tokenizer *t = x->l->t;
    uint32_t scheme = t3d_jtok_member(&x->j, part, "prepend_scheme");
    uint32_t split = t3d_jtok_member(&x->j, part, "split");
    uint32_t prefix = t3d_jtok_member(&x->j, part, "add_prefix_space");

    t->mark = text_of(x, t3d_jtok_member(&x->j, part, "replacement"));
    t->has_mark = 1;
    t->split_marks = x->j.tok[split].type != T3D_JTOK_FALSE;
    t->prepend = T3DI_PREPEND_ALWAYS;
    if (t3d_jtok_is(&x->j, scheme, "first"))
        t->prepend = T3DI_PREPEND_FIRST;
    else if (t3d_jtok_is(&x->j, scheme, "never") ||
             (!scheme && x->j.tok[prefix].type == T3D_JTOK_FALSE))
        t->prepend = T3DI_PREPEND_NEVER;
    if (!t->mark || !t->mark[0] || strlen(t->mark) > 4)
        return t3di_unigram_bad(x->l, "has a Metaspace whose replacement is not a character");
    return T3D_OK;
}

static int read_splitter(struct json *x, uint32_t part)
{
    uint32_t type = t3d_jtok_member(&x->j, part, "type");

    if (t3d_jtok_is(&x->j, type, "Metaspace") && !x->l->t->has_mark)
        return read_mark(x, part);
    if (!t3d_jtok_is(&x->j, type, "WhitespaceSplit") || x->l->t->has_mark)
        return unknown_part(x, "pre_tokenizer", part);
    x->l->t->split_spaces = 1;
    return T3D_OK;
}

/* "A </s>": what </s> is. */
static int read_template(struct json *x)
{
    const struct t3d_jtok *tok = x->j.tok;
    uint32_t post = t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "post_processor");
    uint32_t single = t3d_jtok_member(&x->j, post, "single");
    uint32_t first = t3d_jtok_first(&x->j, single), second = tok[first].next;
    uint32_t special = t3d_jtok_member(&x->j, second, "SpecialToken");
    char *name = tok[single].n == 2 ? text_of(x, t3d_jtok_member(&x->j, special, "id")) : NULL;
    uint32_t tokens = t3d_jtok_member(&x->j, post, "special_tokens"), ids;
    uint64_t id;

    if (!name || !t3d_jtok_member(&x->j, first, "Sequence"))
        return t3di_unigram_bad(x->l,
                                "has a post_processor other than \"text </s>\", as T5 has it");
    ids = t3d_jtok_member(&x->j, t3d_jtok_member(&x->j, tokens, name), "ids");
    if (tok[ids].n != 1 || tok[ids].type != T3D_JTOK_ARRAY ||
        !t3d_jtok_whole(&x->j, t3d_jtok_first(&x->j, ids), &id) || id >= x->l->t->size)
        return t3di_unigram_bad(x->l, "has no id of '%.40s' in its post_processor", name);
    x->l->t->end = (uint32_t)id;
    return T3D_OK;
}

/* --- model and added tokens ------------------------------------------------------------------- */

/* [["piece", score], ...] */
static int read_pieces(struct json *x, uint32_t vocab, uint64_t unknown)
{
    const struct t3d_jtok *tok = x->j.tok;
    int r = T3D_OK;

    for (uint32_t i = 0, e = t3d_jtok_first(&x->j, vocab); i < tok[vocab].n && r == T3D_OK; i++) {
        uint32_t first = t3d_jtok_first(&x->j, e);
        struct t3di_piece p = {.type = i == unknown ? T3DI_PIECE_UNKNOWN : T3DI_PIECE_NORMAL};

        p.s = tok[e].type == T3D_JTOK_ARRAY ? text_of(x, first) : NULL;
        if (!p.s || tok[e].n != 2)
            return t3di_unigram_bad(x->l, "has a piece that is not [text, score]");
        p.n = (uint32_t)strlen(p.s);
        p.score = t3d_jtok_number(&x->j, tok[first].next, NAN);
        r = t3di_unigram_add(x->l, &p);
        e = tok[e].next;
    }
    return r;
}

static int read_model(struct json *x)
{
    uint32_t model = t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "model");
    uint32_t type = t3d_jtok_member(&x->j, model, "type");
    uint32_t vocab = t3d_jtok_member(&x->j, model, "vocab");
    uint64_t unknown = UINT64_MAX;

    if (x->j.tok[vocab].type != T3D_JTOK_ARRAY || (type && !t3d_jtok_is(&x->j, type, "Unigram")))
        return t3di_unigram_bad(
            x->l, "has no model.vocab of pieces and scores: it is not a unigram tokenizer");
    t3d_jtok_whole(&x->j, t3d_jtok_member(&x->j, model, "unk_id"), &unknown);
    x->l->t->byte_fallback = is_true(x, model, "byte_fallback");
    return read_pieces(x, vocab, unknown);
}

static int by_text(const void *a, const void *b)
{
    const struct t3di_added *x = a, *y = b;
    int order = memcmp(x->s, y->s, T3D_MIN(x->n, y->n));

    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int index_added(struct t3di_unigram_loader *l, int normalized)
{
    struct t3d_unigram_tokenizer *t = l->t;
    struct t3di_trie *trie = &t->added_trie[normalized];
    struct t3d_arena scratch = {0};
    struct t3di_trie_key *key = t3d_alloc(&scratch, t->n_added + 1, sizeof *key);
    uint32_t *index = t3d_alloc(&scratch, t->n_added + 1, sizeof *index), n = 0;
    int r;

    for (uint32_t i = 0; key && index && i < t->n_added; i++) {
        if (t->added[i].normalized != normalized)
            continue;
        key[n] = (struct t3di_trie_key){t->added[i].s, t->added[i].n};
        if (n && key[n - 1].n == key[n].n && memcmp(key[n - 1].s, key[n].s, key[n].n) == 0)
            n--;
        index[n++] = i;
    }
    r = key && index ? t3di_trie_build(trie, key, n, &t->arena, l->err)
                     : t3d_err_nomem(l->err, l->path);
    for (uint32_t i = 0; r == T3D_OK && i < trie->n; i++)
        if (trie->value[i] != T3DI_TRIE_NONE)
            trie->value[i] = index[trie->value[i]];
    t3d_arena_free(&scratch);
    return r;
}

static int read_added(struct json *x)
{
    struct t3d_unigram_tokenizer *t = x->l->t;
    uint32_t list = t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "added_tokens");

    t->added = t3d_alloc(&t->arena, x->j.tok[list].n + 1, sizeof *t->added);
    if (!t->added)
        return t3d_err_nomem(x->l->err, x->l->path);
    for (uint32_t i = 0, e = t3d_jtok_first(&x->j, list); e && i < x->j.tok[list].n; i++) {
        struct t3di_added *a = &t->added[t->n_added];
        uint64_t id;

        a->s = text_of(x, t3d_jtok_member(&x->j, e, "content"));
        if (!a->s || !t3d_jtok_whole(&x->j, t3d_jtok_member(&x->j, e, "id"), &id) ||
            id >= INT32_MAX)
            return t3di_unigram_bad(x->l, "has an added token without text or id");
        if (is_true(x, e, "single_word"))
            return t3di_unigram_bad(
                x->l, "has the added token '%.40s' with single_word, which is not supported", a->s);
        *a = (struct t3di_added){.s = a->s,
                                 .n = (uint32_t)strlen(a->s),
                                 .id = (uint32_t)id,
                                 .lstrip = is_true(x, e, "lstrip"),
                                 .rstrip = is_true(x, e, "rstrip"),
                                 .normalized = is_true(x, e, "normalized")};
        t->size = T3D_MAX(t->size, a->id + 1);
        t->n_added += a->n > 0;
        e = x->j.tok[e].next;
    }
    qsort(t->added, t->n_added, sizeof *t->added, by_text);
    return T3D_OK;
}

static int read_all(struct json *x)
{
    int r = read_model(x);

    if (r == T3D_OK)
        r = read_normaliser(x);
    if (r == T3D_OK)
        r = each_part(x, t3d_jtok_member(&x->j, T3D_JTOK_ROOT, "pre_tokenizer"), "pretokenizers",
                      read_splitter);
    if (r == T3D_OK)
        r = read_template(x);
    if (r == T3D_OK)
        r = read_added(x);
    for (int normalized = 0; normalized < 2 && r == T3D_OK; normalized++)
        r = index_added(x->l, normalized);
    return r;
}

int t3di_unigram_json(struct t3di_unigram_loader *l, const char *text, size_t size)
{
    struct t3d_arena scratch = {0};
    struct json x = {.l = l};
    struct t3d_err why;
    int r;

    l->t->is_json = 1;
    if (t3d_jsontok_parse(&x.j, &scratch, text, size, MAX_DEPTH, &why) < 0)
        r = t3di_unigram_bad(l, "is not JSON: %.300s", why.msg);
    else
        r = read_all(&x);
    t3d_arena_free(&scratch);
    return r;
}
