/* SPDX-License-Identifier: Apache-2.0 */
/* Colour under alpha 0, so that filters which ignore alpha find no dark fringe: pixels up to 4 away
 * from the object repeat its edge, along the row first and then along the column; all others have
 * the object's mean colour, which costs nothing in a PNG. */
#include "draw/draw_impl.h"

enum { REACH = 4 };

struct bleed {
    struct t3di_view *v;
    uint32_t *pixel; /* RGBA8 */
    size_t side, words;
    uint64_t *filled; /* as v->covered, after the rows */
    uint32_t mean;
};

static uint32_t mean_color(const struct bleed *b)
{
    uint64_t sum[3] = {0}, n = 0;
    for (size_t k = 0; k < b->side * b->words; k++) {
        uint64_t bits = b->v->covered[k];
        const uint32_t *p = b->pixel + k / b->words * b->side + k % b->words * T3DI_TILE;
        n += (uint64_t)__builtin_popcountll(bits);
        for (; bits; bits &= bits - 1) {
            uint32_t c = p[__builtin_ctzll(bits)];
            sum[0] += c & 255u, sum[1] += c >> 8 & 255u, sum[2] += c >> 16 & 255u;
        }
    }
    if (!n)
        return 0;
    return (uint32_t)((sum[0] + n / 2) / n) | (uint32_t)((sum[1] + n / 2) / n) << 8 |
           (uint32_t)((sum[2] + n / 2) / n) << 16;
}

static int bit(const uint64_t *row, size_t x)
{
    return row[x / 64] >> (x % 64) & 1;
}

/* Fill a row's gaps between covered pixels from both ends. */
static void bleed_row(struct bleed *b, size_t y)
{
    const uint64_t *in = b->v->covered + y * b->words;
    uint64_t *out = b->filled + y * b->words;
    uint32_t *p = b->pixel + y * b->side;
    memcpy(out, in, b->words * sizeof *in);
    for (size_t w = 0; w < b->words; w++) {
        uint64_t left = in[w] << 1 | (w ? in[w - 1] >> 63 : 0);
        uint64_t right = in[w] >> 1 | (w + 1 < b->words ? in[w + 1] << 63 : 0);
        for (uint64_t e = in[w] & ~(left & right); e; e &= e - 1) {
            size_t x = 64 * w + (size_t)__builtin_ctzll(e);
            for (size_t k = 1; k <= REACH && x + k < b->side && !bit(in, x + k); k++)
                if (!bit(out, x + k)) {
                    p[x + k] = p[x] & 0xffffffu;
                    out[(x + k) / 64] |= (uint64_t)1 << ((x + k) % 64);
                }
            for (size_t k = 1; k <= REACH && k <= x && !bit(in, x - k); k++)
                if (!bit(out, x - k)) {
                    p[x - k] = p[x] & 0xffffffu;
                    out[(x - k) / 64] |= (uint64_t)1 << ((x - k) % 64);
                }
        }
    }
}

/* The nearest row within reach that has a colour, above before below. */
static void bleed_column(struct bleed *b, size_t y)
{
    uint32_t *line = b->pixel + y * b->side;
    for (size_t w = 0; w < b->words; w++) {
        size_t left = b->side - 64 * w;
        uint64_t inside = left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
        uint64_t need = ~b->filled[y * b->words + w] & inside;
        for (size_t k = 1; k <= REACH && need; k++)
            for (int down = 0; down < 2; down++) {
                if (down ? y + k >= b->side : k > y)
                    continue;
                size_t from = down ? y + k : y - k;
                uint64_t take = need & b->filled[from * b->words + w];
                need &= ~take;
                for (; take; take &= take - 1) {
                    size_t x = 64 * w + (size_t)__builtin_ctzll(take);
                    line[x] = b->pixel[from * b->side + x] & 0xffffffu;
                }
            }
        if (need == ~(uint64_t)0) {
            for (size_t x = 0; x < 64; x++)
                line[64 * w + x] = b->mean;
            continue;
        }
        for (; need; need &= need - 1)
            line[64 * w + (size_t)__builtin_ctzll(need)] = b->mean;
    }
}

void t3di_bleed(struct t3di_view *v)
{
    struct bleed b = {.v = v,
                      .pixel = (uint32_t *)(void *)v->c->color,
                      .side = v->c->resolution,
                      .words = (size_t)v->n_tiles,
                      .filled = v->filled};
    b.mean = mean_color(&b);
    for (size_t y = 0; y < b.side; y++)
        bleed_row(&b, y);
    for (size_t y = 0; y < b.side; y++)
        bleed_column(&b, y);
}
