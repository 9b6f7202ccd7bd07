/* SPDX-License-Identifier: Apache-2.0 */
/* Models of sentencepiece: src/sentencepiece_model.proto, by the wire format of protocol buffers.
 */
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/file.h"
#include "net/tokenize_unigram_impl.h"

enum { FILE_MAX = 256 << 20, UNIGRAM = 1 };

struct wire {
    const uint8_t *p, *end;
};

struct field {
    uint32_t number, type;
    uint64_t value;   /* of a varint, or the bits of a fixed one */
    struct wire body; /* of a length-delimited one */
};

int t3di_unigram_bad(struct t3di_unigram_loader *l, const char *fmt, ...)
{
    char what[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
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

int t3di_unigram_add(struct t3di_unigram_loader *l, const struct t3di_piece *p)
{
    struct t3d_unigram_tokenizer *t = l->t;

    if (l->n == l->capacity) {
        size_t more = T3D_MAX(l->capacity * 2, 1024);
        struct t3di_piece *grown = t3d_alloc_raw(&t->arena, more, sizeof *grown);

        if (!grown)
            return t3d_err_nomem(l->err, l->path);
        if (l->n)
            memcpy(grown, l->all, l->n * sizeof *grown);
        l->all = grown;
        l->capacity = more;
    }
    if (p->n == 0 || !isfinite(p->score) || p->type < T3DI_PIECE_NORMAL ||
        p->type > T3DI_PIECE_BYTE)
        return t3di_unigram_bad(
            l, "has a piece that is empty, of an unknown type, or without a score");
    l->all[l->n] = *p;
    l->all[l->n].id = l->n;
    t->size = ++l->n;
    return T3D_OK;
}

static int read_piece(struct t3di_unigram_loader *l, struct wire w)
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
            float score;

            memcpy(&score, &bits, sizeof bits);
            p.score = (double)score;
        } else if (f.number == 3 && f.type == 0) {
            p.type = f.value <= T3DI_PIECE_BYTE ? (enum t3di_piece_type)f.value : 0;
        }
    }
    return r < 0 ? t3di_unigram_bad(l, "has a damaged piece") : t3di_unigram_add(l, &p);
}

static int read_trainer(struct t3di_unigram_loader *l, struct wire w)
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
        return t3di_unigram_bad(l, "has a damaged trainer_spec");
    return model == UNIGRAM ? T3D_OK : t3di_unigram_bad(l, "is not a unigram model");
}

/* u32 size of the trie, the trie, the pool. */
int t3di_unigram_map(struct t3di_unigram_loader *l, const uint8_t *p, size_t n)
{
    struct t3d_unigram_tokenizer *t = l->t;
    size_t bytes;
    char *copy;

    if (n == 0)
        return T3D_OK;
    if (n < 4)
        return t3di_unigram_bad(l, "has a damaged precompiled_charsmap");
    bytes = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (bytes > n - 4 || bytes % 4 || bytes < 4)
        return t3di_unigram_bad(l, "has a damaged precompiled_charsmap");
    copy = t3d_strndup(&t->arena, (const char *)p + 4, n - 4); /* its NUL ends the last text */
    if (!copy)
        return t3d_err_nomem(l->err, l->path);
    t->map = (const uint8_t *)copy;
    t->n_units = bytes / 4;
    t->pool = copy + bytes;
    t->pool_size = n - 4 - bytes;
    return T3D_OK;
}

static int read_normaliser(struct t3di_unigram_loader *l, struct wire w)
{
    struct field f;
    int r, rc = T3D_OK;

    while (rc == T3D_OK && (r = next_field(&w, &f)) > 0) {
        if (f.number == 2 && f.type == 2)
            rc = t3di_unigram_map(l, f.body.p, f.value);
        else if (f.number == 3 && f.type == 0)
            l->t->dummy_prefix = f.value != 0;
        else if (f.number == 4 && f.type == 0)
            l->t->remove_spaces = f.value != 0;
        else if (f.number == 5 && f.type == 0)
            l->t->escape_spaces = f.value != 0;
    }
    return rc == T3D_OK && r < 0 ? t3di_unigram_bad(l, "has a damaged normalizer_spec") : rc;
}

static int load_model(struct t3di_unigram_loader *l, const struct t3d_blob *b)
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
    return rc == T3D_OK && r < 0 ? t3di_unigram_bad(l, "is not a sentencepiece model (or cut off)")
                                 : rc;
}

static int by_text(const void *a, const void *b)
{
    const struct t3di_piece *x = a, *y = b;
    int order = memcmp(x->s, y->s, T3D_MIN(x->n, y->n));

    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int is_byte(const struct t3d_unigram_tokenizer *t, const struct t3di_piece *p,
                   unsigned *byte)
{
    int typed = t->is_json ? p->n == 6 && strncmp(p->s, "<0x", 3) == 0 && p->s[5] == '>'
                           : p->type == T3DI_PIECE_BYTE;

    return typed && sscanf(p->s, "<0x%2X>", byte) == 1 && *byte < 256;
}

static int find_special(struct t3di_unigram_loader *l, uint32_t n)
{
    struct t3d_unigram_tokenizer *t = l->t;
    int has_unknown = 0, has_end = t->is_json; /* from its template */
    unsigned bytes = 0, byte;
    uint8_t has[256] = {0};

    for (uint32_t i = 0; i < n; i++) {
        const struct t3di_piece *p = &l->all[i];

        if (p->type == T3DI_PIECE_UNKNOWN && !has_unknown++) {
            t->unknown = i;
            t->unknown_text = p->s;
            t->unknown_n = p->n;
        }
        if (p->n == 4 && memcmp(p->s, "</s>", 4) == 0 && !has_end++)
            t->end = i;
        if (is_byte(t, p, &byte)) {
            t->byte[byte] = i;
            bytes += !has[byte]++;
        }
    }
    if (!has_unknown || !has_end)
        return t3di_unigram_bad(l, "lacks the unknown piece or </s>");
    if (t->byte_fallback && bytes != 256)
        return t3di_unigram_bad(l, "falls back on bytes but lacks some of their 256 pieces");
    return T3D_OK;
}

/* tokenizers matches every piece of the list, sentencepiece not the special ones. */
static int can_match(const struct t3d_unigram_tokenizer *t, const struct t3di_piece *p)
{
    return t->is_json || p->type == T3DI_PIECE_NORMAL || p->type == T3DI_PIECE_USER ||
           p->type == T3DI_PIECE_UNUSED;
}

static int sort_pieces(struct t3di_unigram_loader *l, uint32_t n)
{
    struct t3d_unigram_tokenizer *t = l->t;
    int has_normal = 0;

    t->piece = t3d_alloc_raw(&t->arena, n, sizeof *t->piece);
    if (!t->piece)
        return t3d_err_nomem(l->err, l->path);
    for (uint32_t i = 0; i < n; i++) {
        const struct t3di_piece *p = &l->all[i];

        t->has_user |= p->type == T3DI_PIECE_USER;
        if (p->type == T3DI_PIECE_NORMAL || t->is_json) {
            t->min_score = has_normal ? fmin(t->min_score, p->score) : p->score;
            t->max_score = has_normal ? fmax(t->max_score, p->score) : p->score;
            has_normal = 1;
        }
        if (can_match(t, p))
            t->piece[t->n_pieces++] = *p;
    }
    if (t->n_pieces)
        qsort(t->piece, t->n_pieces, sizeof *t->piece, by_text);
    for (size_t i = 1; i < t->n_pieces; i++)
        if (by_text(&t->piece[i - 1], &t->piece[i]) == 0)
            return t3di_unigram_bad(l, "has a piece twice");
    return has_normal ? T3D_OK : t3di_unigram_bad(l, "has no pieces");
}

static int index_pieces(struct t3di_unigram_loader *l)
{
    struct t3d_unigram_tokenizer *t = l->t;
    struct t3d_arena scratch = {0};
    struct t3di_trie_key *key = t3d_alloc_raw(&scratch, t->n_pieces, sizeof *key);
    int r;

    for (size_t i = 0; key && i < t->n_pieces; i++)
        key[i] = (struct t3di_trie_key){t->piece[i].s, t->piece[i].n};
    r = key ? t3di_trie_build(&t->trie, key, t->n_pieces, &t->arena, l->err)
            : t3d_err_nomem(l->err, l->path);
    t3d_arena_free(&scratch);
    return r;
}

/* Characters that no key of the map is or continues with ASCII. */
static void find_plain(struct t3d_unigram_tokenizer *t)
{
    struct t3di_text to;

    for (int c = 1; c < 128; c++) {
        t->plain[c] = 1;
        for (int next = 0; next < 128 && t->plain[c]; next++)
            t->plain[c] = t3di_map_match(t, (const char[]){(char)c, (char)next}, 2, 1, &to) == 0;
    }
    t->plain['\r'] = 0; /* with a line feed behind it one cluster */
}

static int load(struct t3di_unigram_loader *l, const char *path)
{
    struct t3d_blob b;
    uint32_t n;
    int r = t3d_blob_open(&b, path, FILE_MAX, l->err);

    if (r < 0)
        return r;
    t3d_sha256_hex(b.data, b.size, l->t->hash);
    r = strcmp(t3d_path_ending(path), "json") == 0
            ? t3di_unigram_json(l, (const char *)b.data, b.size)
            : load_model(l, &b);
    t3d_blob_close(&b);
    n = l->n;
    l->t->all = l->all;
    l->t->n_all = n;
    if (r == T3D_OK)
        r = find_special(l, n);
    if (r == T3D_OK)
        r = sort_pieces(l, n);
    if (r == T3D_OK)
        r = index_pieces(l);
    if (r == T3D_OK)
        find_plain(l->t);
    return r;
}

int t3d_unigram_tokenizer_open(struct t3d_unigram_tokenizer **out, const char *path,
                               struct t3d_err *err)
{
    struct t3di_unigram_loader l = {.err = err};
    struct stat st;
    int r;

    *out = NULL;
    l.t = calloc(1, sizeof *l.t);
    if (!l.t)
        return t3d_err_nomem(err, path);
    l.t->dummy_prefix = l.t->remove_spaces = l.t->escape_spaces = 1;
    l.path = path;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        l.path = t3d_path_join(&l.t->arena, path, "tokenizer.json");
        if (l.path && stat(l.path, &st) < 0)
            l.path = t3d_path_join(&l.t->arena, path, "spiece.model");
    }
    r = l.path ? load(&l, l.path) : t3d_err_nomem(err, path);
    if (r < 0)
        t3d_unigram_tokenizer_free(l.t);
    else
        *out = l.t;
    return r;
}
