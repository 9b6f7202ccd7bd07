/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/file.h"
#include "base/jsontok.h"
#include "base/utf8.h"
#include "net/tokenize_clip_impl.h"
#include "store/gzip.h"

enum {
    FILE_MAX = 64 << 20,
    MAX_DEPTH = 64,
    LIST_MERGES = 49152 - 256 - 2, /* of bpe_simple_vocab_16e6.txt, whose other lines are unused */
    VOCAB_MAX = 1 << 24,
    SPECIAL = 64 /* tokens that no merge makes, at most */
};

struct entry {
    const char *s;
    uint32_t n, id;
};

struct loader {
    struct t3d_clip_tokenizer *t;
    struct t3d_arena scratch;
    struct entry *entry; /* hash table by name; s NULL = empty */
    size_t entry_mask;
    uint32_t rank;
    struct t3d_sha256 *sha;
    struct t3d_err *err;
    const char *path;
};

static int bad(struct loader *l, const char *what)
{
    return t3d_err_set(l->err, T3D_SKIP, "bad-tokenizer", "'%s' %s", l->path, what);
}

static int no_memory(struct loader *l)
{
    return t3d_err_nomem(l->err, l->path);
}

static struct entry *find(const struct loader *l, const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    size_t i;

    for (size_t k = 0; k < n; k++)
        h = (h ^ (uint8_t)s[k]) * 0x100000001b3u;
    for (i = (size_t)h & l->entry_mask; l->entry[i].s; i = (i + 1) & l->entry_mask)
        if (l->entry[i].n == n && memcmp(l->entry[i].s, s, n) == 0)
            break;
    return &l->entry[i];
}

/* Empty tables for so many names and merges. */
static int make_tables(struct loader *l, size_t n_names, size_t n_merges)
{
    size_t names = 1024, merges = 1024;

    while (names < 2 * n_names)
        names *= 2;
    while (merges < 2 * n_merges)
        merges *= 2;
    l->entry = t3d_alloc(&l->scratch, names, sizeof *l->entry);
    l->t->merge = t3d_alloc_raw(&l->t->arena, merges, sizeof *l->t->merge);
    if (!l->entry || !l->t->merge)
        return no_memory(l);
    l->entry_mask = names - 1;
    l->t->merge_mask = merges - 1;
    for (size_t i = 0; i < merges; i++)
        l->t->merge[i].rank = T3DI_NO_MERGE;
    return T3D_OK;
}

static int add_name(struct loader *l, const char *s, size_t n, uint64_t id)
{
    struct entry *e = find(l, s, n);

    if (id >= VOCAB_MAX)
        return bad(l, "has an id above 16,777,215");
    if (e->s && e->id != id)
        return bad(l, "has a name twice in its vocabulary");
    *e = (struct entry){s, (uint32_t)n, (uint32_t)id};
    l->t->size = T3D_MAX(l->t->size, e->id + 1);
    return T3D_OK;
}

static int add_merge(struct loader *l, const char *a, size_t n_a, const char *b, size_t n_b)
{
    struct entry *left = find(l, a, n_a), *right = find(l, b, n_b), *both;
    struct t3di_merge *m;
    char *s = t3d_alloc_raw(&l->scratch, n_a + n_b, 1);

    if (!s)
        return no_memory(l);
    memcpy(s, a, n_a);
    memcpy(s + n_a, b, n_b);
    both = find(l, s, n_a + n_b);
    if (!left->s || !right->s || !both->s)
        return t3d_err_set(l->err, T3D_SKIP, "bad-tokenizer",
                           "'%s': merge %u, '%.*s %.*s', is of symbols that the vocabulary lacks",
                           l->path, l->rank, (int)T3D_MIN(n_a, 50), a, (int)T3D_MIN(n_b, 50), b);
    m = t3di_merge_find(l->t, left->id, right->id);
    *m = (struct t3di_merge){left->id, right->id, l->rank++, both->id};
    return T3D_OK;
}

/* "a b" */
static int add_merge_text(struct loader *l, const char *s, size_t n)
{
    const char *space = memchr(s, ' ', n);
    size_t left = space ? (size_t)(space - s) : 0;

    if (left == 0 || left + 1 == n || memchr(space + 1, ' ', n - left - 1))
        return bad(l, "has a merge that is not two symbols");
    return add_merge(l, s, left, space + 1, n - left - 1);
}

/* The lines of merges; calls f for each until an empty one or `max`. Returns their number. */
static int each_line(struct loader *l, const char *s, size_t n, size_t max,
                     int (*f)(struct loader *l, const char *s, size_t n))
{
    const char *end = s + n;
    int r = T3D_OK;

    for (size_t i = 0; s < end && r == T3D_OK && i < max; i++) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((stop ? stop : end) - s);

        if (len && s[len - 1] == '\r')
            len--;
        if (len == 0)
            break;
        r = f(l, s, len);
        s = stop ? stop + 1 : end;
    }
    return r;
}

/* Behind the first line, which names the version. */
static const char *second_line(const char *s, size_t n, size_t *rest)
{
    const char *stop = n ? memchr(s, '\n', n) : NULL;

    *rest = stop ? n - (size_t)(stop + 1 - s) : 0;
    return stop ? stop + 1 : s + n;
}

/* The printable character that stands for a byte (openai/CLIP, bytes_to_unicode). place: its place
 * in the vocabulary of the list. */
static uint32_t byte_character(unsigned byte, unsigned *place)
{
    unsigned shown = 0, hidden = 0;

    for (unsigned b = 0; b < byte; b++) {
        int is_shown = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        shown += (unsigned)is_shown;
        hidden += !is_shown;
    }
    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173)) {
        *place = shown;
        return byte;
    }
    *place = 188 + hidden;
    return 256 + hidden;
}

size_t t3di_byte_name(char *s, unsigned byte, int ends_word, unsigned *place)
{
    size_t n = t3d_utf8_encode(s, byte_character(byte, place));

    if (ends_word) {
        memcpy(s + n, "</w>", 4);
        n += 4;
    }
    return n;
}

static int find_bytes(struct loader *l)
{
    char s[16];
    unsigned place;

    for (int k = 0; k < 2; k++)
        for (unsigned b = 0; b < 256; b++) {
            const struct entry *e = find(l, s, t3di_byte_name(s, b, k, &place));

            if (!e->s)
                return t3d_err_set(l->err, T3D_SKIP, "bad-tokenizer",
                                   "'%s': its vocabulary lacks the symbol of byte %u%s: it is not "
                                   "CLIP's byte-level BPE",
                                   l->path, b, k ? " at the end of a word" : "");
            l->t->byte[k][b] = e->id;
        }
    return T3D_OK;
}

static int find_special(struct loader *l)
{
    static const char *const names[][2] = {{"<|startoftext|>", "<|endoftext|>"},
                                           {"<start_of_text>", "<end_of_text>"}};

    for (size_t i = 0; i < T3D_COUNT(names); i++) {
        const struct entry *start = find(l, names[i][0], strlen(names[i][0]));
        const struct entry *end = find(l, names[i][1], strlen(names[i][1]));

        if (start->s && end->s) {
            l->t->start = start->id;
            l->t->end = end->id;
            return T3D_OK;
        }
    }
    return bad(l, "has no <|startoftext|> and <|endoftext|>");
}

static int add_list_name(struct loader *l, const char *s, size_t n)
{
    const char *space = memchr(s, ' ', n);
    size_t left = space ? (size_t)(space - s) : n;
    char *name = t3d_alloc_raw(&l->scratch, n, 1);

    if (!name)
        return no_memory(l);
    memcpy(name, s, left);
    memcpy(name + left, s + left + !!space, n - left - !!space);
    return add_name(l, name, n - !!space, l->t->size);
}

/* open_clip's list: the vocabulary is the bytes, the bytes with "</w>", what the merges make in
 * their order, start and end. */
static int load_list(struct loader *l, const char *text, size_t size)
{
    size_t n;
    const char *s = second_line(text, size, &n);
    char name[16], *copy;
    unsigned place = 0;
    int r = make_tables(l, LIST_MERGES + 1024, LIST_MERGES);

    for (unsigned i = 0; i < 512 && r == T3D_OK; i++) {
        size_t len = t3di_byte_name(name, i & 255, i > 255, &place);

        copy = t3d_strndup(&l->scratch, name, len);
        r = copy ? add_name(l, copy, len, place + (i & 256)) : no_memory(l);
    }
    if (r == T3D_OK)
        r = each_line(l, s, n, LIST_MERGES, add_list_name);
    if (r == T3D_OK)
        r = each_line(l, s, n, LIST_MERGES, add_merge_text);
    if (r == T3D_OK)
        r = add_name(l, "<|startoftext|>", 15, l->t->size);
    return r < 0 ? r : add_name(l, "<|endoftext|>", 13, l->t->size);
}

/* {"name": id, ...} */
static int add_vocab(struct loader *l, const struct t3d_jsontok *j, uint32_t v)
{
    uint64_t id;
    int r = T3D_OK;

    if (j->tok[v].type != T3D_JTOK_OBJECT || j->tok[v].n == 0)
        return bad(l, "has no vocabulary");
    for (uint32_t i = 0, k = t3d_jtok_first(j, v); i < j->tok[v].n && r == T3D_OK; i++) {
        char *s = t3d_jtok_string(j, k, &l->scratch);

        if (!s)
            return no_memory(l);
        if (!t3d_jtok_whole(j, j->tok[k].next, &id))
            return bad(l, "has an id that is not a whole number");
        r = add_name(l, s, strlen(s), id);
        k = j->tok[j->tok[k].next].next;
    }
    return r;
}

/* ["a b", ...] or [["a", "b"], ...] */
static int add_merges(struct loader *l, const struct t3d_jsontok *j, uint32_t m)
{
    int r = T3D_OK;

    if (j->tok[m].type != T3D_JTOK_ARRAY)
        return bad(l, "has no merges");
    for (uint32_t i = 0, e = t3d_jtok_first(j, m); i < j->tok[m].n && r == T3D_OK; i++) {
        uint32_t first = t3d_jtok_first(j, e);
        char *a, *b = NULL;

        a = t3d_jtok_string(j, first ? first : e, &l->scratch);
        if (first && j->tok[e].n == 2)
            b = t3d_jtok_string(j, j->tok[first].next, &l->scratch);
        if (!a || (first && !b))
            return bad(l, "has a merge that is not two symbols");
        r = b ? add_merge(l, a, strlen(a), b, strlen(b)) : add_merge_text(l, a, strlen(a));
        e = j->tok[e].next;
    }
    return r;
}

/* Special tokens may be in added_tokens alone. */
static int add_added(struct loader *l, const struct t3d_jsontok *j)
{
    uint32_t added = t3d_jtok_member(j, T3D_JTOK_ROOT, "added_tokens");
    int r = T3D_OK;

    if (j->tok[added].type != T3D_JTOK_ARRAY)
        return T3D_OK;
    for (uint32_t i = 0, e = t3d_jtok_first(j, added); i < j->tok[added].n && r == T3D_OK; i++) {
        char *s = t3d_jtok_string(j, t3d_jtok_member(j, e, "content"), &l->scratch);
        uint64_t id;

        if (s && t3d_jtok_whole(j, t3d_jtok_member(j, e, "id"), &id))
            r = add_name(l, s, strlen(s), id);
        e = j->tok[e].next;
    }
    return r;
}

static int load_tokenizer_json(struct loader *l, const struct t3d_jsontok *j)
{
    uint32_t model = t3d_jtok_member(j, T3D_JTOK_ROOT, "model");
    uint32_t vocab = t3d_jtok_member(j, model, "vocab"),
             merges = t3d_jtok_member(j, model, "merges");
    uint32_t added = t3d_jtok_member(j, T3D_JTOK_ROOT, "added_tokens");
    int r;

    if (!t3d_jtok_is(j, t3d_jtok_member(j, model, "end_of_word_suffix"), "</w>"))
        return bad(l, "is not a CLIP tokenizer: model.end_of_word_suffix is not \"</w>\"");
    r = make_tables(l, (size_t)j->tok[vocab].n + j->tok[added].n, j->tok[merges].n);
    if (r == T3D_OK)
        r = add_vocab(l, j, vocab);
    if (r == T3D_OK)
        r = add_added(l, j);
    return r < 0 ? r : add_merges(l, j, merges);
}

static int open_file(struct loader *l, struct t3d_blob *b, const char *path)
{
    int r = t3d_blob_open(b, path, FILE_MAX, l->err);

    if (r == T3D_OK)
        t3d_sha256_add(l->sha, b->data, b->size);
    return r;
}

static int parse_json(struct loader *l, struct t3d_jsontok *j, const struct t3d_blob *b)
{
    struct t3d_err why;

    if (t3d_jsontok_parse(j, &l->scratch, (const char *)b->data, b->size, MAX_DEPTH, &why) == 0)
        return T3D_OK;
    return bad(l, why.msg);
}

static int load_json(struct loader *l, const char *path)
{
    struct t3d_jsontok j;
    struct t3d_blob b;
    int r = open_file(l, &b, path);

    if (r < 0)
        return r;
    r = parse_json(l, &j, &b);
    if (r == T3D_OK)
        r = load_tokenizer_json(l, &j);
    t3d_blob_close(&b);
    return r;
}

static int load_pair(struct loader *l, const char *vocab, const char *merges)
{
    struct t3d_blob v = {0}, m = {0};
    struct t3d_jsontok j;
    const char *s;
    size_t n;
    int r = open_file(l, &v, vocab);

    if (r == T3D_OK)
        r = open_file(l, &m, merges);
    if (r == T3D_OK)
        r = parse_json(l, &j, &v);
    if (r == T3D_OK)
        r = make_tables(l, j.tok[T3D_JTOK_ROOT].n, m.size / 4 + 1);
    if (r == T3D_OK)
        r = add_vocab(l, &j, T3D_JTOK_ROOT);
    if (r == T3D_OK) {
        s = second_line((const char *)m.data, m.size, &n);
        r = each_line(l, s, n, SIZE_MAX, add_merge_text);
    }
    /* of each byte two entries, of each merge one, and some of special tokens */
    if (r == T3D_OK && j.tok[T3D_JTOK_ROOT].n > 2 * 256 + l->rank + SPECIAL)
        r = bad(l, "has more entries than the merges of merges.txt make: the list is cut");
    t3d_blob_close(&v);
    t3d_blob_close(&m);
    return r;
}

static int load_text(struct loader *l, const char *path)
{
    struct t3d_blob b;
    uint8_t *text;
    size_t n;
    int r = open_file(l, &b, path);

    if (r < 0)
        return r;
    if (t3d_gzip_is(b.data, b.size)) {
        r = t3d_gzip_inflate(&text, &n, &l->scratch, b.data, b.size, FILE_MAX, path, l->err);
        if (r == T3D_OK)
            r = load_list(l, (const char *)text, n);
    } else {
        r = load_list(l, (const char *)b.data, b.size);
    }
    t3d_blob_close(&b);
    return r;
}

static int load(struct loader *l, const char *path)
{
    char *all, *vocab, *merges, *dir;
    struct stat st;
    int is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

    dir = is_dir ? t3d_strdup(&l->scratch, path)
                 : t3d_strndup(&l->scratch, path, (size_t)(t3d_path_base(path) - path));
    if (!dir)
        return no_memory(l);
    all = t3d_path_join(&l->scratch, dir, "tokenizer.json");
    vocab = t3d_path_join(&l->scratch, dir, "vocab.json");
    merges = t3d_path_join(&l->scratch, dir, "merges.txt");
    if (!all || !vocab || !merges)
        return no_memory(l);
    if (is_dir)
        return stat(all, &st) == 0 ? load_json(l, all) : load_pair(l, vocab, merges);
    if (strcmp(t3d_path_base(path), "vocab.json") == 0)
        return load_pair(l, path, merges);
    return strcmp(t3d_path_ending(path), "json") == 0 ? load_json(l, path) : load_text(l, path);
}

int t3d_clip_tokenizer_open(struct t3d_clip_tokenizer **out, const char *path, struct t3d_err *err)
{
    struct loader l = {.path = path, .err = err};
    int r;

    *out = NULL;
    l.t = calloc(1, sizeof *l.t);
    if (!l.t)
        return t3d_err_nomem(err, path);
    r = t3d_sha256_new(&l.sha, err);
    if (r == T3D_OK) {
        r = load(&l, path);
        t3d_sha256_end(l.sha, l.t->hash);
    }
    if (r == T3D_OK)
        r = find_bytes(&l);
    if (r == T3D_OK)
        r = find_special(&l);
    t3d_arena_free(&l.scratch);
    if (r < 0)
        t3d_clip_tokenizer_free(l.t);
    else
        *out = l.t;
    return r;
}
