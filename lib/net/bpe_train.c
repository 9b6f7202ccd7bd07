/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bpe_train.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "net/tokenize_clip_impl.h"

enum { BYTES = 256, SPECIALS = 2, MAX_WORD = 4096, MAX_MERGES = 4 * T3D_BPE_MAX };

struct word {
    const char *text; /* NULL = an empty place of the table */
    size_t n;
    uint64_t count;
    uint32_t *symbol; /* (n_symbols) */
    size_t n_symbols;
};

struct t3d_bpe_trainer {
    struct t3d_arena memory, scratch;
    struct word *word; /* hash table by text */
    size_t n_words, n_places;
    uint32_t size, n_symbols;
    const char *name[T3D_BPE_MAX];
    uint32_t left[MAX_MERGES], right[MAX_MERGES], n_merges;
    uint32_t byte[2][BYTES];
    uint64_t *pairs; /* (size, size) counts */
};

/* The bytes' symbols at their places in the list. */
static int name_bytes(struct t3d_bpe_trainer *t)
{
    char s[16];
    unsigned place;

    for (int end = 0; end < 2; end++)
        for (unsigned b = 0; b < BYTES; b++) {
            size_t n = t3di_byte_name(s, b, end, &place);
            uint32_t id = place + (end ? BYTES : 0);

            t->byte[end][b] = id;
            t->name[id] = t3d_strndup(&t->memory, s, n);
            if (!t->name[id])
                return -1;
        }
    t->n_symbols = 2 * BYTES;
    return 0;
}

int t3d_bpe_trainer_new(struct t3d_bpe_trainer **out, uint32_t size, struct t3d_err *err)
{
    struct t3d_bpe_trainer *t;

    *out = NULL;
    if (size < T3D_BPE_MIN || size > T3D_BPE_MAX)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "a vocabulary of %u entries is not within %d "
                           "and %d",
                           size, T3D_BPE_MIN, T3D_BPE_MAX);
    t = calloc(1, sizeof *t);
    if (!t)
        return t3d_err_nomem(err, "a vocabulary");
    t->size = size;
    t->n_places = 1024;
    t->word = calloc(t->n_places, sizeof *t->word);
    t->pairs = t3d_alloc(&t->memory, (size_t)size * size, sizeof *t->pairs);
    if (!t->word || !t->pairs || name_bytes(t) < 0) {
        t3d_bpe_trainer_free(t);
        return t3d_err_nomem(err, "a vocabulary");
    }
    *out = t;
    return T3D_OK;
}

void t3d_bpe_trainer_free(struct t3d_bpe_trainer *t)
{
    if (!t)
        return;
    t3d_arena_free(&t->memory);
    t3d_arena_free(&t->scratch);
    free(t->word);
    free(t);
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static struct word *find(struct word *table, size_t n_places, const char *s, size_t n)
{
    size_t i = hash(s, n) & (n_places - 1);

    while (table[i].text && (table[i].n != n || memcmp(table[i].text, s, n) != 0))
        i = (i + 1) & (n_places - 1);
    return &table[i];
}

static int grow(struct t3d_bpe_trainer *t)
{
    struct word *table = calloc(2 * t->n_places, sizeof *table);

    if (!table)
        return -1;
    for (size_t i = 0; i < t->n_places; i++)
        if (t->word[i].text)
            *find(table, 2 * t->n_places, t->word[i].text, t->word[i].n) = t->word[i];
    free(t->word);
    t->word = table;
    t->n_places *= 2;
    return 0;
}

static int add_word(void *ctx, const char *text, size_t n, struct t3d_err *err)
{
    struct t3d_bpe_trainer *t = ctx;
    struct word *w;

    if (n > MAX_WORD) /* a word that long teaches nothing and costs a pass over it a merge */
        return T3D_OK;
    if (2 * (t->n_words + 1) > t->n_places && grow(t) < 0)
        return t3d_err_nomem(err, "the words of a vocabulary");
    w = find(t->word, t->n_places, text, n);
    if (!w->text) {
        w->text = t3d_strndup(&t->memory, text, n);
        w->symbol = t3d_alloc(&t->memory, n, sizeof *w->symbol);
        if (!w->text || !w->symbol)
            return t3d_err_nomem(err, "the words of a vocabulary");
        w->n = w->n_symbols = n;
        for (size_t i = 0; i < n; i++)
            w->symbol[i] = t->byte[i + 1 == n][(uint8_t)text[i]];
        t->n_words++;
    }
    w->count++;
    return T3D_OK;
}

int t3d_bpe_trainer_add(struct t3d_bpe_trainer *t, const char *text, size_t size,
                        struct t3d_err *err)
{
    int r = t3d_clip_words(text, size, add_word, t, &t->scratch, err);

    t3d_arena_reset(&t->scratch);
    return r;
}

/* Count the pairs; the most frequent one, or 0 when there is none. */
static uint64_t best_pair(struct t3d_bpe_trainer *t, uint32_t *left, uint32_t *right)
{
    uint64_t best = 0;

    memset(t->pairs, 0, (size_t)t->size * t->size * sizeof *t->pairs);
    for (size_t i = 0; i < t->n_places; i++)
        for (size_t k = 0; k + 1 < t->word[i].n_symbols; k++)
            t->pairs[(size_t)t->word[i].symbol[k] * t->size + t->word[i].symbol[k + 1]] +=
                t->word[i].count;
    for (uint32_t a = 0; a < t->n_symbols; a++)
        for (uint32_t b = 0; b < t->n_symbols; b++)
            if (t->pairs[(size_t)a * t->size + b] > best) {
                best = t->pairs[(size_t)a * t->size + b];
                *left = a;
                *right = b;
            }
    return best;
}

static void merge(struct t3d_bpe_trainer *t, uint32_t left, uint32_t right, uint32_t made)
{
    for (size_t i = 0; i < t->n_places; i++) {
        struct word *w = &t->word[i];
        size_t n = 0;

        for (size_t k = 0; k < w->n_symbols; k++)
            if (k + 1 < w->n_symbols && w->symbol[k] == left && w->symbol[k + 1] == right) {
                w->symbol[n++] = made;
                k++;
            } else {
                w->symbol[n++] = w->symbol[k];
            }
        w->n_symbols = n;
    }
}

/* The symbol of that name, which two different pairs can make. */
static uint32_t symbol_of(struct t3d_bpe_trainer *t, const char *name)
{
    uint32_t i = 0;

    while (i < t->n_symbols && strcmp(t->name[i], name) != 0)
        i++;
    if (i == t->n_symbols)
        t->name[t->n_symbols++] = name;
    return i;
}

static int learn(struct t3d_bpe_trainer *t, struct t3d_err *err)
{
    uint32_t left = 0, right = 0;

    while (t->n_symbols + SPECIALS < t->size && t->n_merges < MAX_MERGES &&
           best_pair(t, &left, &right)) {
        char *name = t3d_sprintf(&t->memory, "%s%s", t->name[left], t->name[right]);

        if (!name)
            return t3d_err_nomem(err, "a vocabulary");
        t->left[t->n_merges] = left;
        t->right[t->n_merges++] = right;
        merge(t, left, right, symbol_of(t, name));
    }
    return T3D_OK;
}

static int write_vocab(const struct t3d_bpe_trainer *t, const char *path, struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject();
    char *text = NULL;
    int r = o ? T3D_OK : -1;

    for (uint32_t i = 0; i < t->n_symbols && r == T3D_OK; i++)
        r = cJSON_AddNumberToObject(o, t->name[i], i) ? T3D_OK : -1;
    if (r == T3D_OK && cJSON_AddNumberToObject(o, "<|startoftext|>", t->n_symbols) &&
        cJSON_AddNumberToObject(o, "<|endoftext|>", t->n_symbols + 1))
        text = t3d_json_text(o, 0);
    cJSON_Delete(o);
    r = text ? t3d_write_file(path, text, strlen(text), err) : t3d_err_nomem(err, path);
    free(text);
    return r;
}

static int write_merges(const struct t3d_bpe_trainer *t, const char *path, struct t3d_err *err)
{
    struct t3d_out out;
    int r = t3d_out_open(&out, path, err);

    if (r < 0)
        return r;
    fputs("#version: 0.2\n", out.f);
    for (uint32_t i = 0; i < t->n_merges; i++)
        fprintf(out.f, "%s %s\n", t->name[t->left[i]], t->name[t->right[i]]);
    return t3d_out_commit(&out, 0, err);
}

int t3d_bpe_trainer_write(struct t3d_bpe_trainer *t, const char *dir, struct t3d_err *err)
{
    char *vocab = t3d_path_join(&t->memory, dir, "vocab.json");
    char *merges = t3d_path_join(&t->memory, dir, "merges.txt");
    int r = vocab && merges ? learn(t, err) : t3d_err_nomem(err, dir);

    if (r == T3D_OK)
        r = write_vocab(t, vocab, err);
    return r == T3D_OK ? write_merges(t, merges, err) : r;
}
