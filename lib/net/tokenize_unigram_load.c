/* SPDX-License-Identifier: Apache-2.0 */
/* Models of sentencepiece (src/sentencepiece_model.proto, by the wire format of protocol buffers)
 * and tokenizer.json of tokenizers. */
#include <math.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/jsontok.h"
#include "net/tokenize_unigram_impl.h"

enum { FILE_MAX = 256 << 20, MAX_DEPTH = 64, UNIGRAM = 1 };

struct loader {
    struct t3d_unigram_tokenizer *t;
    size_t capacity;
    struct t3di_piece *all; /* (t->size) every piece, by id */
    struct t3d_err *err;
    const char *path;
};

struct wire {
    const uint8_t *p, *end;
};

struct field {
    uint32_t number, type;
    uint64_t value;   /* of a varint, or the bits of a fixed one */
    struct wire body; /* of a length-delimited one */
};

static int bad(struct loader *l, const char *what)
{
    return t3d_err_set(l->err, T3D_SKIP, "bad-tokenizer", "'%s' %s", l->path, what);
}

static int varint(struct wire *w, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        *v |= (uint64_t)(*w->p & 0x7f) << shift;
        if (!(*w->p++ & 0x80))
            return 0;
    }
    return -1;
}

static int fixed(struct wire *w, size_t n, uint64_t *v)
{
    if ((size_t)(w->end - w->p) < n)
        return -1;
    *v = 0;
    for (size_t i = n; i-- > 0;)
        *v = *v << 8 | w->p[i];
    w->p += n;
    return 0;
}

/* 1 and *f, 0 at the end, -1 when the message is damaged. */
static int next_field(struct wire *w, struct field *f)
{
    uint64_t tag;

    if (w->p == w->end)
        return 0;
    if (varint(w, &tag) < 0 || tag >> 32)
        return -1;
    f->number = (uint32_t)tag >> 3;
    f->type = tag & 7;
    if (f->type == 0)
        return varint(w, &f->value) < 0 ? -1 : 1;
    if (f->type == 1 || f->type == 5)
        return fixed(w, f->type == 1 ? 8 : 4, &f->value) < 0 ? -1 : 1;
    if (f->type != 2 || varint(w, &f->value) < 0 || f->value > (uint64_t)(w->end - w->p))
        return -1;
    f->body = (struct wire){w->p, w->p + f->value};
    w->p += f->value;
    return 1;
}

static int add_piece(struct loader *l, const struct t3di_piece *p)
{
    struct t3d_unigram_tokenizer *t = l->t;

    if (t->size == l->capacity) {
        size_t more = T3D_MAX(l->capacity * 2, 1024);
        struct t3di_piece *grown = t3d_alloc_raw(&t->arena, more, sizeof *grown);

        if (!grown)
            return t3d_err_nomem(l->err, l->path);
        if (t->size)
            memcpy(grown, l->all, t->size * sizeof *grown);
        l->all = grown;
        l->capacity = more;
    }
    if (p->n == 0 || !isfinite(p->score) || p->type < T3DI_PIECE_NORMAL ||
        p->type > T3DI_PIECE_BYTE)
        return bad(l, "has a piece that is empty, of an unknown type, or without a score");
    l->all[t->size] = *p;
    l->all[t->size].id = t->size;
    t->size++;
    return T3D_OK;
}

static int read_piece(struct loader *l, struct wire w)
{
    struct t3di_piece p = {.type = T3DI_PIECE_NORMAL};
    struct field f;
    int r;

    while ((r = next_field(&w, &f)) > 0) {
        if (f.number == 1 && f.type == 2) {
            p.n = (uint32_t)f.value;
            p.s = t3d_strndup(&l->t->arena, (const char *)f.body.p, p.n);
            if (!p.s)
                return t3d_err_nomem(l->err, l->path);
        } else if (f.number == 2 && f.type == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p.score, &bits, sizeof bits);
        } else if (f.number == 3 && f.type == 0) {
            p.type = f.value <= T3DI_PIECE_BYTE ? (enum t3di_piece_type)f.value : 0;
        }
    }
    return r < 0 ? bad(l, "has a damaged piece") : add_piece(l, &p);
}

static int read_trainer(struct loader *l, struct wire w)
{
    uint64_t model = UNIGRAM;
    struct field f;
    int r;

    while ((r = next_field(&w, &f)) > 0) {
        if (f.number == 3 && f.type == 0)
            model = f.value;
        else if (f.number == 24 && f.type == 0)
            l->t->space_is_suffix = f.value != 0;
        else if (f.number == 35 && f.type == 0)
            l->t->byte_fallback = f.value != 0;
    }
    if (r < 0)
        return bad(l, "has a damaged trainer_spec");
    return model == UNIGRAM ? T3D_OK : bad(l, "is not a unigram model");
}

/* u32 size of the trie, the trie, the pool. */
static int take_map(struct loader *l, const uint8_t *p, size_t n)
{
    struct t3d_unigram_tokenizer *t = l->t;
    size_t bytes;
    char *copy;

    if (n == 0)
        return T3D_OK;
    if (n < 4)
        return bad(l, "has a damaged precompiled_charsmap");
    bytes = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (bytes > n - 4 || bytes % 4 || bytes < 4)
        return bad(l, "has a damaged precompiled_charsmap");
    copy = t3d_strndup(&t->arena, (const char *)p + 4, n - 4); /* its NUL ends the last text */
    if (!copy)
        return t3d_err_nomem(l->err, l->path);
    t->trie = (const uint8_t *)copy;
    t->n_units = bytes / 4;
    t->pool = copy + bytes;
    t->pool_size = n - 4 - bytes;
    return T3D_OK;
}

static int read_normaliser(struct loader *l, struct wire w)
{
    struct field f;
    int r, rc = T3D_OK;

    while (rc == T3D_OK && (r = next_field(&w, &f)) > 0) {
        if (f.number == 2 && f.type == 2)
            rc = take_map(l, f.body.p, f.value);
        else if (f.number == 3 && f.type == 0)
            l->t->dummy_prefix = f.value != 0;
        else if (f.number == 4 && f.type == 0)
            l->t->remove_spaces = f.value != 0;
        else if (f.number == 5 && f.type == 0)
            l->t->escape_spaces = f.value != 0;
    }
    return rc == T3D_OK && r < 0 ? bad(l, "has a damaged normalizer_spec") : rc;
}

static int load_model(struct loader *l, const struct t3d_blob *b)
{
    struct wire w = {b->data, b->data + b->size};
    struct field f;
    int r, rc = T3D_OK;

    while (rc == T3D_OK && (r = next_field(&w, &f)) > 0) {
        if (f.type != 2)
            continue;
        if (f.number == 1)
            rc = read_piece(l, f.body);
        else if (f.number == 2)
            rc = read_trainer(l, f.body);
        else if (f.number == 3)
            rc = read_normaliser(l, f.body);
    }
    return rc == T3D_OK && r < 0 ? bad(l, "is not a sentencepiece model (or cut off)") : rc;
}

/* RFC 4648, section 4; the bytes replace the text. -1 when it is none. */
static int64_t base64(char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int64_t n = 0;
    int have = 0;

    for (const char *p = s; *p && *p != '='; p++) {
        const char *at = strchr(digits, *p);

        if (!at)
            return -1;
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            s[n++] = (char)(bits >> have & 0xff);
        }
    }
    return n;
}

/* The first precompiled_charsmap in the normaliser, or in its parts. */
static int find_map(struct loader *l, const struct t3d_jsontok *j, uint32_t v)
{
    uint32_t map = t3d_jtok_member(j, v, "precompiled_charsmap");
    uint32_t parts = t3d_jtok_member(j, v, "normalizers");
    int64_t n;
    char *s;

    for (uint32_t i = 0, e = t3d_jtok_first(j, parts); !map && i < j->tok[parts].n; i++) {
        map = t3d_jtok_member(j, e, "precompiled_charsmap");
        e = j->tok[e].next;
    }
    if (j->tok[map].type != T3D_JTOK_STRING)
        return T3D_OK;
    s = t3d_jtok_string(j, map, &l->t->arena);
    if (!s)
        return t3d_err_nomem(l->err, l->path);
    n = base64(s);
    return n < 0 ? bad(l, "has a precompiled_charsmap that is not base64")
                 : take_map(l, (const uint8_t *)s, (size_t)n);
}

/* Special tokens are no part of texts. */
static void mark_special(struct loader *l, const struct t3d_jsontok *j)
{
    uint32_t added = t3d_jtok_member(j, T3D_JTOK_ROOT, "added_tokens");
    uint64_t id;

    for (uint32_t i = 0, e = t3d_jtok_first(j, added); e && i < j->tok[added].n; i++) {
        if (j->tok[t3d_jtok_member(j, e, "special")].type == T3D_JTOK_TRUE &&
            t3d_jtok_whole(j, t3d_jtok_member(j, e, "id"), &id) && id < l->t->size &&
            l->all[id].type != T3DI_PIECE_UNKNOWN)
            l->all[id].type = T3DI_PIECE_CONTROL;
        e = j->tok[e].next;
    }
}

/* [["piece", score], ...] */
static int read_pieces(struct loader *l, const struct t3d_jsontok *j, uint32_t vocab,
                       uint64_t unknown)
{
    int r = T3D_OK;

    if (j->tok[vocab].type != T3D_JTOK_ARRAY)
        return bad(l, "has no model.vocab of pieces and scores: it is not a unigram tokenizer");
    for (uint32_t i = 0, e = t3d_jtok_first(j, vocab); i < j->tok[vocab].n && r == T3D_OK; i++) {
        uint32_t first = t3d_jtok_first(j, e);
        struct t3di_piece p = {.type = i == unknown ? T3DI_PIECE_UNKNOWN : T3DI_PIECE_NORMAL};

        p.s = t3d_jtok_string(j, first, &l->t->arena);
        if (!p.s || j->tok[e].n != 2)
            return bad(l, "has a piece that is not [text, score]");
        p.n = (uint32_t)strlen(p.s);
        p.score = (float)t3d_jtok_number(j, j->tok[first].next, NAN);
        if (l->t->byte_fallback && p.n == 6 && strncmp(p.s, "<0x", 3) == 0 && p.s[5] == '>')
            p.type = T3DI_PIECE_BYTE;
        r = add_piece(l, &p);
        e = j->tok[e].next;
    }
    return r;
}

static int load_json(struct loader *l, const struct t3d_blob *b)
{
    struct t3d_arena scratch = {0};
    struct t3d_jsontok j;
    struct t3d_err why;
    uint64_t unknown = UINT64_MAX;
    int r;

    if (t3d_jsontok_parse(&j, &scratch, (const char *)b->data, b->size, MAX_DEPTH, &why) < 0) {
        r = bad(l, why.msg);
    } else {
        uint32_t model = t3d_jtok_member(&j, T3D_JTOK_ROOT, "model");

        t3d_jtok_whole(&j, t3d_jtok_member(&j, model, "unk_id"), &unknown);
        l->t->byte_fallback =
            j.tok[t3d_jtok_member(&j, model, "byte_fallback")].type == T3D_JTOK_TRUE;
        r = read_pieces(l, &j, t3d_jtok_member(&j, model, "vocab"), unknown);
        if (r == T3D_OK)
            r = find_map(l, &j, t3d_jtok_member(&j, T3D_JTOK_ROOT, "normalizer"));
        if (r == T3D_OK)
            mark_special(l, &j);
    }
    t3d_arena_free(&scratch);
    return r;
}

static int by_text(const void *a, const void *b)
{
    const struct t3di_piece *x = a, *y = b;
    int order = memcmp(x->s, y->s, T3D_MIN(x->n, y->n));

    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int find_special(struct loader *l)
{
    struct t3d_unigram_tokenizer *t = l->t;
    int has_unknown = 0, has_end = 0;
    unsigned bytes = 0;

    for (uint32_t i = 0; i < t->size; i++) {
        const struct t3di_piece *p = &l->all[i];
        unsigned byte;

        if (p->type == T3DI_PIECE_UNKNOWN && !has_unknown++)
            t->unknown = i;
        if (p->n == 4 && memcmp(p->s, "</s>", 4) == 0 && !has_end++)
            t->end = i;
        if (p->type == T3DI_PIECE_BYTE && sscanf(p->s, "<0x%2X>", &byte) == 1 && byte < 256) {
            t->byte[byte] = i;
            bytes++;
        }
    }
    if (!has_unknown || !has_end)
        return bad(l, "lacks the unknown piece or </s>");
    if (t->byte_fallback && bytes != 256)
        return bad(l, "falls back on bytes but lacks some of their 256 pieces");
    return T3D_OK;
}

static int sort_pieces(struct loader *l)
{
    struct t3d_unigram_tokenizer *t = l->t;
    int has_normal = 0;

    t->piece = t3d_alloc_raw(&t->arena, t->size, sizeof *t->piece);
    if (!t->piece)
        return t3d_err_nomem(l->err, l->path);
    for (uint32_t i = 0; i < t->size; i++) {
        const struct t3di_piece *p = &l->all[i];

        t->has_user |= p->type == T3DI_PIECE_USER;
        if (p->type == T3DI_PIECE_NORMAL) {
            t->min_score = has_normal ? fminf(t->min_score, p->score) : p->score;
            t->max_score = has_normal ? fmaxf(t->max_score, p->score) : p->score;
            has_normal = 1;
        }
        if (p->type == T3DI_PIECE_NORMAL || p->type == T3DI_PIECE_USER ||
            p->type == T3DI_PIECE_UNUSED)
            t->piece[t->n_pieces++] = *p;
    }
    if (t->n_pieces)
        qsort(t->piece, t->n_pieces, sizeof *t->piece, by_text);
    for (size_t i = 1; i < t->n_pieces; i++)
        if (by_text(&t->piece[i - 1], &t->piece[i]) == 0)
            return bad(l, "has a piece twice");
    return has_normal ? T3D_OK : bad(l, "has no pieces");
}

static int load(struct loader *l, const char *path)
{
    struct t3d_blob b;
    int r = t3d_blob_open(&b, path, FILE_MAX, l->err);

    if (r < 0)
        return r;
    t3d_sha256_hex(b.data, b.size, l->t->hash);
    r = strcmp(t3d_path_ending(path), "json") == 0 ? load_json(l, &b) : load_model(l, &b);
    t3d_blob_close(&b);
    if (r == T3D_OK)
        r = find_special(l);
    return r < 0 ? r : sort_pieces(l);
}

int t3d_unigram_tokenizer_open(struct t3d_unigram_tokenizer **out, const char *path,
                               struct t3d_err *err)
{
    struct loader l = {.err = err};
    struct stat st;
    int r;

    *out = NULL;
    l.t = calloc(1, sizeof *l.t);
    if (!l.t)
        return t3d_err_nomem(err, path);
    l.t->dummy_prefix = l.t->remove_spaces = l.t->escape_spaces = 1;
    l.path = path;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        l.path = t3d_path_join(&l.t->arena, path, "spiece.model");
        if (l.path && stat(l.path, &st) < 0)
            l.path = t3d_path_join(&l.t->arena, path, "tokenizer.json");
    }
    r = l.path ? load(&l, l.path) : t3d_err_nomem(err, path);
    if (r < 0)
        t3d_unigram_tokenizer_free(l.t);
    else
        *out = l.t;
    return r;
}
