/* SPDX-License-Identifier: Apache-2.0 */
#include "image/huffman_impl.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 288 };

struct leaf {
    uint32_t freq;
    uint16_t symbol;
};

static int rarer(const void *a, const void *b)
{
    const struct leaf *x = a, *y = b;

    if (x->freq != y->freq)
        return x->freq < y->freq ? -1 : 1;
    return (int)x->symbol - (int)y->symbol;
}

/* How many codes of each length Huffman's tree has, from leaves sorted by frequency: two queues,
 * the leaves and the inner nodes in the order they arise (van Leeuwen 1976). */
static void count_lengths(int count[MOST], const struct leaf *leaf, int n)
{
    uint64_t sum[MOST];
    int parent[2 * MOST], depth[MOST], next_leaf = 0, next_node = 0;

    for (int k = 0; k < n - 1; k++) {
        sum[k] = 0;
        for (int child = 0; child < 2; child++) {
            if (next_leaf < n && (next_node >= k || leaf[next_leaf].freq <= sum[next_node])) {
                sum[k] += leaf[next_leaf].freq;
                parent[next_leaf++] = k;
            } else {
                sum[k] += sum[next_node];
                parent[MOST + next_node++] = k;
            }
        }
    }
    depth[n - 2] = 0;
    for (int k = n - 3; k >= 0; k--)
        depth[k] = depth[parent[MOST + k]] + 1;
    memset(count, 0, MOST * sizeof *count);
    for (int i = 0; i < n; i++)
        count[depth[parent[i]] + 1]++;
}

/* Shorten what is too long until the lengths again fill a tree: move one leaf of the longest level
 * up beside a shorter one that goes one level down. The sum is Kraft's, in units of 2^-limit. */
static void limit_lengths(int count[MOST], int limit)
{
    int64_t sum = 0;

    for (int i = limit + 1; i < MOST; i++) {
        count[limit] += count[i];
        count[i] = 0;
    }
    for (int i = 1; i <= limit; i++)
        sum += (int64_t)count[i] << (limit - i);
    for (; sum > (int64_t)1 << limit; sum--) {
        int i = limit - 1;

        while (!count[i])
            i--;
        count[limit]--;
        count[i]--;
        count[i + 1] += 2;
    }
}

static uint16_t reversed(unsigned v, int n)
{
    unsigned r = 0;

    for (int i = 0; i < n; i++)
        r |= (v >> i & 1) << (n - 1 - i);
    return (uint16_t)r;
}

static void assign(struct t3di_code *code, int n, const int count[MOST], int limit)
{
    unsigned next[16] = {0}, v = 0;

    for (int i = 1; i <= limit; i++) {
        next[i] = v;
        v = (v + (unsigned)count[i]) << 1;
    }
    for (int i = 0; i < n; i++)
        if (code[i].n)
            code[i].bits = reversed(next[code[i].n]++, code[i].n);
}

void t3di_huffman(struct t3di_code *code, const uint32_t *freq, int n, int limit)
{
    struct leaf leaf[MOST];
    int count[MOST], used = 0, at = 0;

    memset(code, 0, (size_t)n * sizeof *code);
    for (int i = 0; i < n; i++)
        if (freq[i])
            leaf[used++] = (struct leaf){freq[i], (uint16_t)i};
    for (int i = 0; used < 2; i++)
        if (!freq[i])
            leaf[used++] = (struct leaf){1, (uint16_t)i};
    qsort(leaf, (size_t)used, sizeof *leaf, rarer);
    count_lengths(count, leaf, used);
    limit_lengths(count, limit);
    for (int length = limit; length > 0; length--)
        for (int i = 0; i < count[length]; i++)
            code[leaf[at++].symbol].n = (uint8_t)length;
    assign(code, n, count, limit);
}
