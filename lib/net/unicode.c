/* SPDX-License-Identifier: Apache-2.0 */
#include "net/unicode.h"

#include "base/arena.h"
#include "net/unicode_table.h"

/* Hangul syllables are composed by arithmetic: The Unicode Standard, section 3.12. */
enum {
    S_BASE = 0xac00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11a7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = L_COUNT * V_COUNT * T_COUNT
};

enum { DECOMPOSED_MAX = 8, LAST = 0xffffff };

const char *t3d_unicode_version(void)
{
    return T3DI_UNICODE_VERSION;
}

/* The value of the range that c is in, or 0. */
static uint32_t find_range(const uint32_t (*table)[2], size_t n, uint32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c < table[middle][0])
            high = middle;
        else if (c > (table[middle][1] & LAST))
            low = middle + 1;
        else
            return table[middle][1] >> 24;
    }
    return 0;
}

enum t3d_unicode_class t3d_unicode_class(uint32_t c)
{
    return (enum t3d_unicode_class)find_range(class_table, T3D_COUNT(class_table), c);
}

size_t t3d_unicode_lower(uint32_t c, uint32_t out[2])
{
    size_t low = 0, high = T3D_COUNT(lower_table);

    out[0] = c;
    if (c == 0x130) { /* I with a dot above: i and the dot */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        const int32_t *t = lower_table[middle];

        if ((int32_t)c < t[0])
            high = middle;
        else if ((int32_t)c > t[1])
            low = middle + 1;
        else {
            if (((int32_t)c - t[0]) % t[2] == 0)
                out[0] = (uint32_t)((int32_t)c + t[3]);
            break;
        }
    }
    return 1;
}

static uint32_t order_of(uint32_t c)
{
    return c < 0x300 ? 0 : find_range(order_table, T3D_COUNT(order_table), c);
}

/* The row of c in decomposed, or NULL. */
static const uint32_t *find_decomposed(uint32_t c)
{
    size_t low = 0, high = T3D_COUNT(decomposed);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c == decomposed[middle][0])
            return decomposed[middle];
        if (c < decomposed[middle][0])
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static size_t decompose(uint32_t c, uint32_t out[DECOMPOSED_MAX])
{
    const uint32_t *row;
    size_t n = 0;

    if (c - S_BASE < S_COUNT) {
        uint32_t s = c - S_BASE;
        out[n++] = L_BASE + s / (V_COUNT * T_COUNT);
        out[n++] = V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT;
        if (s % T_COUNT)
            out[n++] = T_BASE + s % T_COUNT;
        return n;
    }
    row = c < 0xc0 ? NULL : find_decomposed(c);
    if (!row) {
        out[0] = c;
        return 1;
    }
    n = decompose(row[1], out); /* only the first part decomposes further */
    if (row[2])
        out[n++] = row[2];
    return n;
}

/* The character that a and b become, or 0. */
static uint32_t compose(uint32_t a, uint32_t b)
{
    size_t low = 0, high = T3D_COUNT(composed);

    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + b - V_BASE) * T_COUNT;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b > T_BASE && b < T_BASE + T_COUNT)
        return a + b - T_BASE;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const uint32_t *t = decomposed[composed[middle]];

        if (t[1] == a && t[2] == b)
            return t[0];
        if (a < t[1] || (a == t[1] && b < t[2]))
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Marks of each run in the order of their classes, equal ones as they stood. key: room for n. */
static void put_in_order(uint32_t *c, size_t n, uint64_t *key, uint32_t *copy)
{
    for (size_t i = 0, end; i < n; i = end + 1) {
        int sorted = 1;
        uint32_t last = 0, order;

        for (end = i; end < n && (order = order_of(c[end])); end++) {
            sorted &= order >= last;
            last = order;
            key[end - i] = (uint64_t)order << 32 | (end - i);
        }
        if (sorted)
            continue;
        memcpy(copy, c + i, (end - i) * sizeof *c);
        qsort(key, end - i, sizeof *key, by_number);
        for (size_t k = 0; k < end - i; k++)
            c[i + k] = copy[key[k] & UINT32_MAX];
    }
}

/* UAX #15, D117: a mark joins the last starter unless one of its class or a higher one stands
 * between. */
static size_t compose_all(uint32_t *c, size_t n)
{
    size_t starter = n, out = 0;
    uint32_t last = 0; /* class of the character before; a starter between blocks too */

    for (size_t i = 0; i < n; i++) {
        uint32_t order = order_of(c[i]), made = 0;

        if (starter < out && (out == starter + 1 || last < order))
            made = compose(c[starter], c[i]);
        if (made) {
            c[starter] = made;
            continue;
        }
        c[out] = c[i];
        if (order == 0)
            starter = out;
        last = order;
        out++;
    }
    return out;
}

int64_t t3d_unicode_nfc(const uint32_t **out, const uint32_t *in, size_t n, struct t3d_arena *a)
{
    uint32_t *c, *copy, part[DECOMPOSED_MAX];
    uint64_t *key;
    size_t total = 0, i = 0;

    *out = in;
    while (i < n && in[i] < 0x300) /* nothing below changes or joins */
        i++;
    if (i == n)
        return (int64_t)n;
    for (i = 0; i < n; i++)
        total += decompose(in[i], part);
    c = t3d_alloc_raw(a, total, sizeof *c);
    copy = t3d_alloc_raw(a, total, sizeof *copy);
    key = t3d_alloc_raw(a, total, sizeof *key);
    if (!c || !copy || !key)
        return -1;
    for (i = total = 0; i < n; i++)
        total += decompose(in[i], c + total);
    put_in_order(c, total, key, copy);
    *out = c;
    return (int64_t)compose_all(c, total);
}
