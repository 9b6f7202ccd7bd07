/* SPDX-License-Identifier: Apache-2.0 */
/* Which Gaussians a tile blends, front to back: the splats of a view are sorted by depth once, then
 * dealt to the tiles in that order, so that each tile's list is sorted without keys of its own. */
#include <string.h>

#include "draw/splat_impl.h"

enum { DIGIT_BITS = 11, DIGITS = 3, VALUES = 1 << DIGIT_BITS };

static uint32_t depth_key(t3d_real z)
{
    float f = (float)z; /* positive: its bits are in the order of the numbers */
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static void count_digits(uint32_t count[DIGITS][VALUES], const struct t3di_view *v)
{
    memset(count, 0, sizeof(uint32_t[DIGITS][VALUES]));
    for (uint32_t i = 0; i < v->n; i++)
        for (int d = 0; d < DIGITS; d++)
            count[d][v->key[i] >> (d * DIGIT_BITS) & (VALUES - 1)]++;
}

/* One pass of a radix sort, least digit first, which keeps the order of equal digits. */
static void sort_pass(uint32_t count[VALUES], int digit, uint32_t n, const uint32_t *key,
                      const uint32_t *order, uint32_t *key_out, uint32_t *order_out)
{
    uint32_t at = 0;

    for (int i = 0; i < VALUES; i++) {
        uint32_t c = count[i];

        count[i] = at;
        at += c;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = count[key[i] >> (digit * DIGIT_BITS) & (VALUES - 1)]++;

        key_out[to] = key[i];
        order_out[to] = order[i];
    }
}

static void swap(uint32_t **a, uint32_t **b)
{
    uint32_t *t = *a;

    *a = *b;
    *b = t;
}

void t3di_splat_sort(struct t3di_view *v)
{
    uint32_t count[DIGITS][VALUES];

    for (uint32_t i = 0; i < v->n; i++) {
        v->key[i] = depth_key(v->splat[i].z);
        v->order[i] = i;
    }
    count_digits(count, v);
    for (int d = 0; d < DIGITS; d++) {
        sort_pass(count[d], d, v->n, v->key, v->order, v->spare[0], v->spare[1]);
        swap(&v->key, &v->spare[0]);
        swap(&v->order, &v->spare[1]);
    }
}

static int64_t area(const struct t3di_region *t)
{
    return t->x0 < t->x1 && t->y0 < t->y1 ? (int64_t)(t->x1 - t->x0) * (t->y1 - t->y0) : 0;
}

int64_t t3di_splat_count(const struct t3di_view *v, const struct t3di_region *r)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < v->n; i++) {
        struct t3di_region t = t3di_splat_tiles(&v->splat[i], r);

        n += area(&t);
    }
    return n;
}

/* The length of each tile's list into start[tile + 1], and the slots of each splat. */
static void count_tiles(struct t3di_view *v, const struct t3di_region *r)
{
    int width = r->x1 - r->x0;
    uint32_t slot = 0;

    memset(v->start, 0, (size_t)(width * (r->y1 - r->y0) + 1) * sizeof *v->start);
    for (uint32_t i = 0; i < v->n; i++) {
        struct t3di_region t = t3di_splat_tiles(&v->splat[i], r);

        v->slot[i] = slot;
        slot += (uint32_t)area(&t);
        for (int y = t.y0; y < t.y1; y++)
            for (int x = t.x0; x < t.x1; x++)
                v->start[(y - r->y0) * width + x - r->x0 + 1]++;
    }
}

/* start[tile] serves as the cursor of its list and ends up where the next list starts. */
static void deal(struct t3di_view *v, const struct t3di_region *r)
{
    int width = r->x1 - r->x0;

    for (uint32_t k = 0; k < v->n; k++) {
        uint32_t i = v->order[k], slot = v->slot[i];
        struct t3di_region t = t3di_splat_tiles(&v->splat[i], r);

        for (int y = t.y0; y < t.y1; y++)
            for (int x = t.x0; x < t.x1; x++)
                v->pair[v->start[(y - r->y0) * width + x - r->x0]++] =
                    (struct t3di_pair){i, slot++};
    }
}

void t3di_splat_list(struct t3di_view *v, const struct t3di_region *r)
{
    int tiles = (r->x1 - r->x0) * (r->y1 - r->y0);

    count_tiles(v, r);
    for (int i = 0; i < tiles; i++)
        v->start[i + 1] += v->start[i];
    deal(v, r);
    for (int i = tiles; i > 0; i--)
        v->start[i] = v->start[i - 1];
    v->start[0] = 0;
}
