/* SPDX-License-Identifier: Apache-2.0 */
/* net/trie.h -- byte strings found by walking them.
 *
 *     uint32_t at = T3DI_TRIE_ROOT;
 *     for (i = 0; i < n && (at = t3di_trie_next(&t, at, s[i])); i++)
 *         if (t.value[at] != T3DI_TRIE_NONE) ... a key of i + 1 bytes
 */
#ifndef T3D_NET_TRIE_H
#define T3D_NET_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum { T3DI_TRIE_ROOT = 1 };
#define T3DI_TRIE_NONE UINT32_MAX

/* Nodes breadth first: the children of a node are neighbours, in the order of their bytes. */
struct t3di_trie {
    uint32_t *first, *value; /* (n) first child; number of the key that ends here, or NONE */
    uint16_t *n_children;
    uint8_t *byte; /* that leads here */
    uint32_t n;
    uint32_t root[256]; /* children of the root by their byte, 0 = none */
};

struct t3di_trie_key {
    const char *s;
    size_t n; /* > 0 */
};

/* Keys sorted bytewise, each once; memory from the arena. T3D_FAIL when it is out. A zeroed trie
 * is empty. */
int t3di_trie_build(struct t3di_trie *t, const struct t3di_trie_key *key, size_t n,
                    struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* The child of a node by a byte, 0 when there is none. */
static inline uint32_t t3di_trie_next(const struct t3di_trie *t, uint32_t at, uint8_t c)
{
    uint32_t low, high;

    if (at == T3DI_TRIE_ROOT)
        return t->root[c];
    low = t->first[at];
    high = low + t->n_children[at];
    while (high - low > 8) {
        uint32_t middle = low + (high - low) / 2;

        if (t->byte[middle] <= c)
            low = middle;
        else
            high = middle;
    }
    for (; low < high; low++)
        if (t->byte[low] == c)
            return low;
    return 0;
}

#endif
