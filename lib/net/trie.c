/* SPDX-License-Identifier: Apache-2.0 */
#include "net/trie.h"

#include "base/arena.h"

/* Keys [low, high) agree in the bytes that lead to a node. */
struct span {
    uint32_t low, high, depth;
};

static int key_byte(const struct t3di_trie_key *k, size_t depth)
{
    return depth < k->n ? (uint8_t)k->s[depth] : -1;
}

/* Bytes that begin no key before: a node each, and the root; node 0 is none. */
static size_t count_nodes(const struct t3di_trie_key *key, size_t n)
{
    size_t nodes = 2;

    for (size_t i = 0; i < n; i++) {
        size_t same = 0;

        while (i && same < key[i].n && key_byte(&key[i - 1], same) == key_byte(&key[i], same))
            same++;
        nodes += key[i].n - same;
    }
    return nodes;
}

/* The children of node `at` behind the nodes made so far. */
static void expand(struct t3di_trie *t, const struct t3di_trie_key *key, struct span *span,
                   uint32_t at)
{
    struct span s = span[at];

    if (s.low < s.high && key[s.low].n == s.depth)
        t->value[at] = s.low++;
    t->first[at] = t->n;
    while (s.low < s.high) {
        uint32_t end = s.low;
        int c = key_byte(&key[s.low], s.depth);

        while (end < s.high && key_byte(&key[end], s.depth) == c)
            end++;
        t->byte[t->n] = (uint8_t)c;
        span[t->n] = (struct span){s.low, end, s.depth + 1};
        t->n++;
        t->n_children[at]++;
        s.low = end;
    }
}

int t3di_trie_build(struct t3di_trie *t, const struct t3di_trie_key *key, size_t n,
                    struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_arena scratch = {0};
    size_t nodes = count_nodes(key, n);
    struct span *span = t3d_alloc_raw(&scratch, nodes, sizeof *span);

    memset(t, 0, sizeof *t);
    t->first = t3d_alloc(a, nodes, sizeof *t->first);
    t->value = t3d_alloc_raw(a, nodes, sizeof *t->value);
    t->n_children = t3d_alloc(a, nodes, sizeof *t->n_children);
    t->byte = t3d_alloc(a, nodes, 1);
    if (nodes >= UINT32_MAX || !span || !t->first || !t->value || !t->n_children || !t->byte) {
        t3d_arena_free(&scratch);
        return t3d_err_nomem(err, "a tokenizer");
    }
    memset(t->value, 0xff, nodes * sizeof *t->value);
    t->n = T3DI_TRIE_ROOT + 1;
    span[T3DI_TRIE_ROOT] = (struct span){0, (uint32_t)n, 0};
    for (uint32_t at = T3DI_TRIE_ROOT; at < t->n; at++)
        expand(t, key, span, at);
    for (uint32_t i = 0; i < t->n_children[T3DI_TRIE_ROOT]; i++)
        t->root[t->byte[t->first[T3DI_TRIE_ROOT] + i]] = t->first[T3DI_TRIE_ROOT] + i;
    t3d_arena_free(&scratch);
    return T3D_OK;
}
