/* SPDX-License-Identifier: Apache-2.0 */
/* Extended grapheme clusters: UAX #29, section 3.1.1, rules GB3 to GB13. */
#include "base/utf8.h"
#include "net/unicode.h"
#include "net/unicode_cluster_table.h"

enum kind {
    OTHER,
    CR,
    LF,
    CONTROL,
    EXTEND,
    JOINER, /* ZWJ */
    REGIONAL,
    PREPEND,
    SPACING,
    HANGUL_L,
    HANGUL_V,
    HANGUL_T,
    PICTURE,
    HANGUL_LV,
    HANGUL_LVT
};
enum conjunct { CONSONANT = 1, CONJUNCT_EXTEND, LINKER };
enum { S_BASE = 0xac00, S_COUNT = 11172, T_COUNT = 28, LAST = 0xffffff };

struct property {
    enum kind kind;
    enum conjunct conjunct;
};

static struct property property_of(uint32_t c)
{
    size_t low = 0, high = T3D_COUNT(cluster_table);

    if (c - S_BASE < S_COUNT)
        return (struct property){(c - S_BASE) % T_COUNT ? HANGUL_LVT : HANGUL_LV, 0};
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint32_t end = cluster_table[middle][1];

        if (c < cluster_table[middle][0])
            high = middle;
        else if (c > (end & LAST))
            low = middle + 1;
        else
            return (struct property){(enum kind)(end >> 24 & 15), (enum conjunct)(end >> 28)};
    }
    return (struct property){OTHER, 0};
}

/* What the cluster has had so far. */
struct state {
    enum kind last;
    int regional;   /* an odd number of them at the end */
    int picture;    /* ends with ExtPict Extend* (ZWJ when last is JOINER) */
    int consonant;  /* ends with a consonant, then extends and linkers only */
    int has_linker; /* one of them a linker */
};

static int hangul_goes_on(enum kind a, enum kind b)
{
    switch (a) {
    case HANGUL_L:
        return b == HANGUL_L || b == HANGUL_V || b == HANGUL_LV || b == HANGUL_LVT;
    case HANGUL_LV:
    case HANGUL_V:
        return b == HANGUL_V || b == HANGUL_T;
    case HANGUL_LVT:
    case HANGUL_T:
        return b == HANGUL_T;
    default:
        return 0;
    }
}

static int goes_on(const struct state *s, struct property p)
{
    if (s->last == CR)
        return p.kind == LF;
    if (s->last == LF || s->last == CONTROL || p.kind == CR || p.kind == LF || p.kind == CONTROL)
        return 0;
    return hangul_goes_on(s->last, p.kind) || p.kind == EXTEND || p.kind == JOINER ||
           p.kind == SPACING || s->last == PREPEND ||
           (p.conjunct == CONSONANT && s->consonant && s->has_linker) ||
           (p.kind == PICTURE && s->picture && s->last == JOINER) ||
           (p.kind == REGIONAL && s->last == REGIONAL && s->regional);
}

static void add(struct state *s, struct property p)
{
    s->regional = p.kind == REGIONAL && !s->regional;
    s->picture = p.kind == PICTURE ||
                 (s->picture && s->last != JOINER && (p.kind == EXTEND || p.kind == JOINER));
    s->has_linker = p.conjunct != CONSONANT && (s->has_linker || p.conjunct == LINKER);
    s->consonant = p.conjunct == CONSONANT ||
                   (s->consonant && (p.conjunct == CONJUNCT_EXTEND || p.conjunct == LINKER));
    s->last = p.kind;
}

size_t t3d_unicode_cluster(const char *s, size_t n)
{
    struct state state = {0};
    uint32_t c;
    size_t i = t3d_utf8_decode(s, n, &c);

    if (i == 0)
        return 1;
    add(&state, property_of(c));
    while (i < n) {
        size_t len = t3d_utf8_decode(s + i, n - i, &c);
        struct property p;

        if (len == 0)
            break;
        p = property_of(c);
        if (!goes_on(&state, p))
            break;
        add(&state, p);
        i += len;
    }
    return i;
}
