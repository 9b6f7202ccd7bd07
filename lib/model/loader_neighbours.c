/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "model/loader_impl.h"

enum { WORDS = 16, ROUNDS = 4 };

/* A group by the words of its first caption, as ranked in a round: smallest first. */
struct signature {
    uint32_t word[WORDS];
    uint32_t group;
};

struct t3di_neighbours {
    struct t3d_arena arena;
    uint64_t seed, block;
    uint32_t (*word)[WORDS]; /* hashes of the words of the groups in by_size; 0 = none */
    struct signature *signature;
    uint32_t *order[ROUNDS]; /* round r in place r % ROUNDS */
    uint64_t made[ROUNDS];   /* round + 1 */
};

/* FNV-1a (Fowler, Noll, Vo), 32 bits; never 0. */
static uint32_t hash(const char *s, size_t n)
{
    uint32_t h = 0x811c9dc5u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * 0x01000193u;
    return h ? h : 1;
}

static void collect_words(uint32_t word[WORDS], struct t3d_caption c)
{
    size_t n = 0;

    for (size_t i = 0, end; i < c.size && n < WORDS; i = end + 1) {
        for (end = i; end < c.size && c.text[end] != ' ';)
            end++;
        if (end > i)
            word[n++] = hash(c.text + i, end - i);
    }
}

int t3di_neighbours_new(struct t3di_neighbours **out, const struct t3di_index *x, uint64_t seed,
                        int block, struct t3d_err *err)
{
    struct t3di_neighbours *n = calloc(1, sizeof *n);
    size_t count;

    *out = n;
    if (!n)
        return t3d_err_nomem(err, "the order of the samples");
    n->seed = seed;
    n->block = (uint64_t)block;
    n->word = t3d_alloc(&n->arena, x->n_groups, sizeof *n->word);
    n->signature = t3d_alloc(&n->arena, x->n_groups, sizeof *n->signature);
    for (int i = 0; i < ROUNDS; i++) {
        n->order[i] = t3d_alloc(&n->arena, x->n_groups, sizeof *n->order[i]);
        if (!n->word || !n->signature || !n->order[i])
            return t3d_err_nomem(err, "the order of the samples");
    }
    for (size_t i = 0; i < x->n_groups; i++)
        collect_words(n->word[i],
                      t3di_caption(&x->sample[x->group_first[x->by_size[i]]], 0, &count));
    return T3D_OK;
}

void t3di_neighbours_free(struct t3di_neighbours *n)
{
    if (n)
        t3d_arena_free(&n->arena);
    free(n);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static int by_words(const void *a, const void *b)
{
    const struct signature *x = a, *y = b;

    for (int i = 0; i < WORDS; i++)
        if (x->word[i] != y->word[i])
            return x->word[i] < y->word[i] ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

/* Rank of a word in a round: a keyed bijection of its hash. */
static uint32_t rank(uint32_t word, const uint32_t key[2])
{
    word = (word ^ key[0]) * 0x9e3779b1u;
    word = (word ^ word >> 15 ^ key[1]) * 0x85ebca6bu;
    return word ^ word >> 13;
}

static void make(struct t3di_neighbours *x, uint64_t round, uint64_t n, uint32_t *order)
{
    struct t3d_rng r = t3d_rng_for(x->seed, "words", round);
    uint32_t key[2] = {t3d_rng_u32(&r), t3d_rng_u32(&r)};
    uint64_t blocks = (n + x->block - 1) / x->block, at = 0;

    for (uint64_t g = 0; g < n; g++) {
        struct signature *s = &x->signature[g];
        s->group = (uint32_t)g;
        for (int i = 0; i < WORDS; i++)
            s->word[i] = x->word[g][i] ? rank(x->word[g][i], key) : UINT32_MAX;
        qsort(s->word, WORDS, sizeof *s->word, by_value);
    }
    qsort(x->signature, n, sizeof *x->signature, by_words);
    for (uint64_t b = 0; b < blocks; b++) {
        uint64_t first = t3d_loader_order(x->seed, round, blocks, b) * x->block;
        for (uint64_t i = first; i < T3D_MIN(first + x->block, n); i++)
            order[at++] = x->signature[i].group;
    }
}

uint32_t t3di_neighbours_at(struct t3di_neighbours *x, uint64_t round, uint64_t n, uint64_t i)
{
    size_t place = round % ROUNDS;

    if (x->made[place] != round + 1) {
        make(x, round, n, x->order[place]);
        x->made[place] = round + 1;
    }
    return x->order[place][i];
}
