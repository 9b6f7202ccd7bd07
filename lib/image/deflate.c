/* SPDX-License-Identifier: Apache-2.0 */
#include "image/deflate.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "image/huffman_impl.h"

enum {
    HASH_BITS = 14,
    MAX_SEQUENCES = 4096, /* of a block: literals, then a match */
    MAX_BLOCK = 1 << 17,  /* input bytes of a block without matches */
    WINDOW = 32768,
    MIN_MATCH = 8,
    MAX_MATCH = 258,
    TAIL = 16, /* the last bytes are always literals, so that loads stay inside */
    N_LITLEN = 286,
    N_DISTANCE = 30,
    N_LENGTHS = 19,
    END = 256
};

struct sequence {
    uint32_t literals;
    uint16_t length, distance; /* length 0: only literals */
};

struct t3di_deflate {
    uint32_t table[1 << HASH_BITS]; /* last position with this hash */
    struct sequence seq[MAX_SEQUENCES];
    size_t n_seq;
    uint32_t litlen_freq[N_LITLEN + 2], distance_freq[N_DISTANCE];
    struct t3di_code litlen[N_LITLEN + 2], distance[N_DISTANCE];
    uint8_t length_slot[MAX_MATCH + 1];
    uint8_t distance_slot[512]; /* distances to 256, then by 128 */
};

struct bits {
    uint64_t buffer;
    unsigned n;
    uint8_t *out;
};

/* RFC 1951, 3.2.5. */
static const uint16_t length_base[29] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                         15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                         67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                         2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};

static uint32_t distance_base(int slot)
{
    return slot < 4 ? (uint32_t)slot + 1 : (2u + (slot & 1)) * (1u << (slot / 2 - 1)) + 1;
}

static unsigned distance_extra(int slot)
{
    return slot < 4 ? 0 : (unsigned)slot / 2 - 1;
}

struct t3di_deflate *t3di_deflate_new(void)
{
    struct t3di_deflate *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    for (int s = 0; s < 29; s++)
        for (unsigned i = 0; i < 1u << length_extra[s] && length_base[s] + i <= MAX_MATCH; i++)
            d->length_slot[length_base[s] + i] = (uint8_t)s;
    for (int s = 0; s < N_DISTANCE; s++)
        for (uint32_t i = 0; i < 1u << distance_extra(s); i++) {
            uint32_t x = distance_base(s) + i - 1;

            d->distance_slot[x < 256 ? x : 256 + (x >> 7)] = (uint8_t)s;
        }
    return d;
}

void t3di_deflate_free(struct t3di_deflate *d)
{
    free(d);
}

/* A block is stored when that is shorter, at 5 bytes for each 65535 and a byte of alignment; blocks
 * cover at least MAX_SEQUENCES bytes, but for the last. */
size_t t3di_deflate_bound(size_t n)
{
    return n + 6 * (n / 65535 + 1) + 6 * (n / MAX_SEQUENCES + 1) + 64;
}

static inline int slot_of_distance(const struct t3di_deflate *d, uint32_t distance)
{
    uint32_t x = distance - 1;

    return d->distance_slot[x < 256 ? x : 256 + (x >> 7)];
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* --- bits out ----------------------------------------------------------------- */

static inline void put(struct bits *b, uint64_t value, unsigned n)
{
    b->buffer |= value << b->n;
    b->n += n;
}

/* Leaves at most 7 bits, so that 57 more fit. Bytes go out lowest first. */
static inline void flush(struct bits *b)
{
    uint64_t v = b->buffer;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(b->out, &v, 8);
    b->out += b->n >> 3;
    b->buffer = b->n >= 64 ? 0 : b->buffer >> (b->n & ~7u);
    b->n &= 7;
}

static void put_sequences(struct t3di_deflate *d, struct bits *b, const uint8_t *in)
{
    for (size_t i = 0; i < d->n_seq; i++) {
        const struct sequence *s = &d->seq[i];
        const uint8_t *end = in + s->literals;
        int slot;

        for (; end - in >= 4; in += 4) { /* 4 x 14 bits + 7 */
            for (int k = 0; k < 4; k++)
                put(b, d->litlen[in[k]].bits, d->litlen[in[k]].n);
            flush(b);
        }
        for (; in < end; in++)
            put(b, d->litlen[*in].bits, d->litlen[*in].n);
        flush(b);
        if (!s->length)
            continue;
        slot = d->length_slot[s->length];
        put(b, d->litlen[257 + slot].bits, d->litlen[257 + slot].n);
        put(b, (uint64_t)(s->length - length_base[slot]), length_extra[slot]);
        slot = slot_of_distance(d, s->distance);
        put(b, d->distance[slot].bits, d->distance[slot].n);
        put(b, s->distance - distance_base(slot), distance_extra(slot));
        flush(b);
        in += s->length;
    }
    put(b, d->litlen[END].bits, d->litlen[END].n);
    flush(b);
}

static void put_stored(struct bits *b, const uint8_t *in, size_t n, int last)
{
    do {
        size_t m = n < 65535 ? n : 65535;

        put(b, (uint64_t)(last && m == n), 3);
        b->n = (b->n + 7) & ~7u;
        flush(b);
        put(b, m | (~m & 0xffff) << 16, 32);
        flush(b);
        memcpy(b->out, in, m);
        b->out += m;
        in += m;
        n -= m;
    } while (n);
}

/* --- one block ---------------------------------------------------------------- */

static void count(struct t3di_deflate *d, const uint8_t *in)
{
    uint32_t second[256] = {0}; /* equal neighbours do not wait for one another */

    memset(d->litlen_freq, 0, sizeof d->litlen_freq);
    memset(d->distance_freq, 0, sizeof d->distance_freq);
    for (size_t i = 0; i < d->n_seq; i++) {
        const struct sequence *s = &d->seq[i];
        const uint8_t *end = in + s->literals;

        for (; end - in >= 2; in += 2) {
            d->litlen_freq[in[0]]++;
            second[in[1]]++;
        }
        if (in < end)
            d->litlen_freq[*in++]++;
        if (s->length) {
            d->litlen_freq[257 + d->length_slot[s->length]]++;
            d->distance_freq[slot_of_distance(d, s->distance)]++;
        }
        in += s->length;
    }
    for (int i = 0; i < 256; i++)
        d->litlen_freq[i] += second[i];
    d->litlen_freq[END] = 1;
}

/* The code lengths of a dynamic block, run-length coded (RFC 1951, 3.2.7). */
struct header {
    uint8_t symbol[N_LITLEN + N_DISTANCE], extra[N_LITLEN + N_DISTANCE];
    int n, n_litlen, n_distance, n_lengths;
    uint32_t freq[N_LENGTHS];
    struct t3di_code code[N_LENGTHS];
};

static const uint8_t length_order[N_LENGTHS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                11, 4,  12, 3, 13, 2, 14, 1, 15};
static const uint8_t run_bits[N_LENGTHS] = {[16] = 2, [17] = 3, [18] = 7};

static void add_run(struct header *h, int symbol, int extra)
{
    h->symbol[h->n] = (uint8_t)symbol;
    h->extra[h->n++] = (uint8_t)extra;
    h->freq[symbol]++;
}

static void make_header(struct header *h, const struct t3di_deflate *d)
{
    uint8_t all[N_LITLEN + N_DISTANCE];
    int n, run;

    memset(h, 0, sizeof *h);
    for (n = N_LITLEN; n > 257 && !d->litlen[n - 1].n; n--)
        ;
    h->n_litlen = n;
    for (n = N_DISTANCE; n > 1 && !d->distance[n - 1].n; n--)
        ;
    h->n_distance = n;
    for (int i = 0; i < h->n_litlen; i++)
        all[i] = d->litlen[i].n;
    for (int i = 0; i < h->n_distance; i++)
        all[h->n_litlen + i] = d->distance[i].n;
    n = h->n_litlen + h->n_distance;
    for (int i = 0; i < n; i += run) {
        for (run = 1; i + run < n && all[i + run] == all[i]; run++)
            ;
        if (!all[i] && run >= 3) {
            run = T3D_MIN(run, 138);
            add_run(h, run <= 10 ? 17 : 18, run - (run <= 10 ? 3 : 11));
        } else if (i && all[i] == all[i - 1] && run >= 3) {
            run = T3D_MIN(run, 6);
            add_run(h, 16, run - 3);
        } else {
            run = 1;
            add_run(h, all[i], 0);
        }
    }
    t3di_huffman(h->code, h->freq, N_LENGTHS, 7);
    for (n = N_LENGTHS; n > 4 && !h->code[length_order[n - 1]].n; n--)
        ;
    h->n_lengths = n;
}

static void put_header(struct bits *b, const struct header *h)
{
    put(b, (uint64_t)(h->n_litlen - 257), 5);
    put(b, (uint64_t)(h->n_distance - 1), 5);
    put(b, (uint64_t)(h->n_lengths - 4), 4);
    flush(b);
    for (int i = 0; i < h->n_lengths; i++) {
        put(b, h->code[length_order[i]].n, 3);
        flush(b);
    }
    for (int i = 0; i < h->n; i++) {
        put(b, h->code[h->symbol[i]].bits, h->code[h->symbol[i]].n);
        put(b, h->extra[i], run_bits[h->symbol[i]]);
        flush(b);
    }
}

/* Bits of the block as it would be written. */
static uint64_t price(const struct t3di_deflate *d, const struct header *h)
{
    uint64_t sum = 3 + 14 + 3 * (uint64_t)h->n_lengths;

    for (int i = 0; i < h->n; i++)
        sum += h->code[h->symbol[i]].n + (uint64_t)run_bits[h->symbol[i]];
    for (int i = 0; i < N_LITLEN; i++)
        sum += (uint64_t)d->litlen_freq[i] *
               (d->litlen[i].n + (i > END ? (uint64_t)length_extra[i - 257] : 0));
    for (int i = 0; i < N_DISTANCE; i++)
        sum += (uint64_t)d->distance_freq[i] * (d->distance[i].n + distance_extra(i));
    return sum;
}

static void put_block(struct t3di_deflate *d, struct bits *b, const uint8_t *in, size_t n, int last)
{
    struct header h;

    count(d, in);
    t3di_huffman(d->litlen, d->litlen_freq, N_LITLEN, 14);
    t3di_huffman(d->distance, d->distance_freq, N_DISTANCE, 14);
    make_header(&h, d);
    if (price(d, &h) >= 8 * (uint64_t)n + 40 * (n / 65535 + 1)) {
        put_stored(b, in, n, last);
    } else {
        put(b, (uint64_t)last | 2 << 1, 3);
        put_header(b, &h);
        put_sequences(d, b, in);
    }
    d->n_seq = 0;
}

/* --- matches ------------------------------------------------------------------- */

static inline size_t common(const uint8_t *a, const uint8_t *b, const uint8_t *a_end)
{
    const uint8_t *start = a;

    for (; a_end - a >= 8; a += 8, b += 8) {
        uint64_t x = load64(a) ^ load64(b);

        if (x)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            return (size_t)(a - start) + (size_t)__builtin_clzll(x) / 8;
#else
            return (size_t)(a - start) + (size_t)__builtin_ctzll(x) / 8;
#endif
    }
    for (; a < a_end && *a == *b; a++, b++)
        ;
    return (size_t)(a - start);
}

struct match {
    size_t length, distance;
};

/* The pixel before or the row above, from 8 bytes on; or the last place where the same 16 bytes
 * stood, since what is shorter seldom beats the literals of a well filtered row at the price of a
 * far distance. Length 0 when there is none. */
static inline struct match find(struct t3di_deflate *d, const uint8_t *in, const uint8_t *p,
                                const uint8_t *end, size_t stride, size_t bpp)
{
    size_t at = (size_t)(p - in), candidate;
    uint64_t v = load64(p);
    struct match m = {0, 0};
    uint32_t *slot;

    if (at >= bpp && v == load64(p - bpp)) {
        m.length = common(p, p - bpp, end);
        m.distance = bpp;
    }
    if (at >= stride && stride <= WINDOW && v == load64(p - stride)) {
        size_t length = common(p, p - stride, end);

        if (length > m.length + 1) {
            m.length = length;
            m.distance = stride;
        }
    }
    if (m.length)
        return m;
    slot = &d->table[v * 0x9e3779b97f4a7c15u >> (64 - HASH_BITS)];
    candidate = *slot;
    *slot = (uint32_t)at;
    if (candidate < at && at - candidate <= WINDOW && load64(in + candidate) == v &&
        load64(in + candidate + 8) == load64(p + 8)) {
        m.length = common(p, in + candidate, end);
        m.distance = at - candidate;
    }
    return m;
}

/* Long matches in pieces of 258; none shorter than 3 is left over. */
static void add_match(struct t3di_deflate *d, size_t literals, struct match m)
{
    while (m.length) {
        size_t length = T3D_MIN(m.length, (size_t)MAX_MATCH);

        if (m.length - length && m.length - length < 3)
            length -= 3;
        d->seq[d->n_seq++] =
            (struct sequence){(uint32_t)literals, (uint16_t)length, (uint16_t)m.distance};
        literals = 0;
        m.length -= length;
    }
}

size_t t3di_deflate_zlib(struct t3di_deflate *d, uint8_t *out, const uint8_t *in, size_t n,
                         size_t stride, size_t bpp)
{
    const uint8_t *end = in + n, *p = in, *block = in, *literals = in;
    const uint8_t *stop = n > TAIL ? end - TAIL : in;
    struct bits b = {0, 0, out};
    uint32_t adler = libdeflate_adler32(1, in, n);

    put(&b, 0x0178, 16); /* 32 KiB window, fastest; RFC 1950, 2.2 */
    flush(&b);
    memset(d->table, 0, sizeof d->table);
    d->n_seq = 0;
    while (p < stop) {
        /* What is left of the block's sequences bounds the match. */
        size_t most = (MAX_SEQUENCES - 2 - d->n_seq) * (size_t)(MAX_MATCH - 3);
        const uint8_t *limit = (size_t)(stop - p) > most ? p + most : stop;
        struct match m = find(d, in, p, limit, stride, bpp);

        if (m.length < MIN_MATCH) {
            p += bpp;
        } else {
            add_match(d, (size_t)(p - literals), m);
            p += m.length;
            literals = p;
        }
        if (d->n_seq >= MAX_SEQUENCES - 64 || (size_t)(p - literals) >= MAX_BLOCK) {
            if (p > stop)
                p = stop;
            if (p > literals)
                d->seq[d->n_seq++] = (struct sequence){(uint32_t)(p - literals), 0, 0};
            put_block(d, &b, block, (size_t)(p - block), 0);
            block = literals = p;
        }
    }
    if (end > literals)
        d->seq[d->n_seq++] = (struct sequence){(uint32_t)(end - literals), 0, 0};
    put_block(d, &b, block, (size_t)(end - block), 1);
    b.n = (b.n + 7) & ~7u;
    put(&b, __builtin_bswap32(adler), 32);
    flush(&b);
    return (size_t)(b.out - out);
}
