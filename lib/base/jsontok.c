/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsontok.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct parser {
    const char *s;
    uint32_t i, n; /* place in, and size of, the text */
    struct t3d_jtok *tok;
    uint32_t n_tok;
};

/* Every token but the first follows one of these characters, so their number bounds that of tokens.
 */
static size_t bound_tokens(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t at = 0; at < n;) {
        size_t end = at + T3D_MIN(n - at, (size_t)1 << 16);
        uint32_t part = 0; /* a narrow sum lets the compiler use vectors */

        for (; at < end; at++)
            part += (s[at] == ',') + (s[at] == ':') + (s[at] == '[') + (s[at] == '{');
        count += part;
    }
    return count;
}

static void skip_space(struct parser *p)
{
    while (p->i < p->n) {
        char c = p->s[p->i];

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return;
        p->i++;
    }
}

static uint32_t add(struct parser *p, enum t3d_jtok_type type, uint32_t start)
{
    struct t3d_jtok *t = &p->tok[p->n_tok];

    t->start = start;
    t->end = p->i;
    t->next = p->n_tok + 1;
    t->n = 0;
    t->type = type;
    return p->n_tok++;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The characters behind a backslash; 0 when they are an escape. */
static int skip_escape(struct parser *p)
{
    char c;

    if (++p->i >= p->n)
        return -1;
    c = p->s[p->i++];
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c) ? 0 : -1;
    if (p->n - p->i < 4)
        return -1;
    for (int k = 0; k < 4; k++)
        if (hex_digit(p->s[p->i++]) < 0)
            return -1;
    return 0;
}

/* Move over plain characters of a string, eight at a time: a byte of x is a quote, a backslash or
 * below 0x20 where the usual "has a zero byte" and "has a byte less than" words show a high bit. */
static void skip_plain(struct parser *p)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;

    while (p->n - p->i >= 8) {
        uint64_t x, q, b;

        memcpy(&x, p->s + p->i, 8);
        q = x ^ (ones * '"');
        b = x ^ (ones * '\\');
        if ((((q - ones) & ~q) | ((b - ones) & ~b) | ((x - ones * 0x20) & ~x)) & high)
            return;
        p->i += 8;
    }
}

static int string(struct parser *p)
{
    uint32_t start = ++p->i, t;
    int escaped = 0;

    for (;;) {
        unsigned char c;

        skip_plain(p);
        if (p->i >= p->n)
            return -1;
        c = (unsigned char)p->s[p->i];
        if (c == '"')
            break;
        if (c < 0x20)
            return -1;
        if (c != '\\') {
            p->i++;
            continue;
        }
        escaped = 1;
        if (skip_escape(p) < 0)
            return -1;
    }
    t = add(p, T3D_JTOK_STRING, start);
    p->tok[t].n = (unsigned)escaped;
    p->i++;
    return 0;
}

static int digits(struct parser *p)
{
    uint32_t start = p->i;

    while (p->i < p->n && p->s[p->i] >= '0' && p->s[p->i] <= '9')
        p->i++;
    return p->i > start ? 0 : -1;
}

static int at(const struct parser *p, char c)
{
    return p->i < p->n && p->s[p->i] == c;
}

static int number(struct parser *p)
{
    uint32_t start = p->i;

    p->i += at(p, '-');
    if (at(p, '0'))
        p->i++;
    else if (digits(p) < 0)
        return -1;
    if (at(p, '.')) {
        p->i++;
        if (digits(p) < 0)
            return -1;
    }
    if (at(p, 'e') || at(p, 'E')) {
        p->i++;
        p->i += at(p, '+') || at(p, '-');
        if (digits(p) < 0)
            return -1;
    }
    add(p, T3D_JTOK_NUMBER, start);
    return 0;
}

static int literal(struct parser *p, const char *word, enum t3d_jtok_type type)
{
    size_t n = strlen(word);
    uint32_t start = p->i;

    if (p->n - p->i < n || memcmp(p->s + p->i, word, n) != 0)
        return -1;
    p->i += (uint32_t)n;
    add(p, type, start);
    return 0;
}

static int scalar(struct parser *p)
{
    switch (p->i < p->n ? p->s[p->i] : 0) {
    case '"':
        return string(p);
    case 't':
        return literal(p, "true", T3D_JTOK_TRUE);
    case 'f':
        return literal(p, "false", T3D_JTOK_FALSE);
    case 'n':
        return literal(p, "null", T3D_JTOK_NULL);
    default:
        return number(p);
    }
}

static int key(struct parser *p)
{
    skip_space(p);
    if (!at(p, '"') || string(p) < 0)
        return -1;
    skip_space(p);
    if (!at(p, ':'))
        return -1;
    p->i++;
    return 0;
}

/* Behind a value: take commas and closing brackets. While a container is open its `next` holds its
 * parent. Returns 1 when another value must follow, 0 at the end, -1 on a wrong character. */
static int after_value(struct parser *p, uint32_t *parent, unsigned *depth)
{
    while (*parent) {
        struct t3d_jtok *t = &p->tok[*parent];
        int object = t->type == T3D_JTOK_OBJECT;

        skip_space(p);
        if (p->i >= p->n)
            return -1;
        if (p->s[p->i] == ',') {
            p->i++;
            t->n++;
            return object && key(p) < 0 ? -1 : 1;
        }
        if (p->s[p->i] != (object ? '}' : ']'))
            return -1;
        p->i++;
        *parent = t->next;
        t->next = p->n_tok;
        t->end = p->i;
        --*depth;
    }
    return 0;
}

static int values(struct parser *p, unsigned max_depth)
{
    unsigned depth = 0;
    uint32_t parent = 0, t;
    int more = 1;

    while (more > 0) {
        int object;

        skip_space(p);
        object = at(p, '{');
        if (!object && !at(p, '[')) {
            if (scalar(p) < 0)
                return -1;
            more = after_value(p, &parent, &depth);
            continue;
        }
        if (++depth > max_depth)
            return -1;
        t = add(p, object ? T3D_JTOK_OBJECT : T3D_JTOK_ARRAY, p->i);
        p->tok[t].next = parent;
        parent = t;
        p->i++;
        skip_space(p);
        if (at(p, object ? '}' : ']')) {
            more = after_value(p, &parent, &depth);
            continue;
        }
        p->tok[t].n = 1;
        if (object && key(p) < 0)
            return -1;
    }
    return more;
}

int t3d_jsontok_parse(struct t3d_jsontok *j, struct t3d_arena *a, const char *text, size_t size,
                      unsigned max_depth, struct t3d_err *err)
{
    struct parser p = {.s = text};
    size_t bound;

    if (size > INT32_MAX)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)size,
                             "JSON text of %zu bytes is larger than 2 GiB", size);
    p.n = (uint32_t)size;
    bound = bound_tokens(text, size) + 2;
    if (bound >= 1u << 28)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)bound,
                             "JSON text has about %zu values, more than 2^28", bound);
    p.tok = t3d_alloc_raw(a, bound, sizeof *p.tok);
    if (!p.tok)
        return a->limit ? t3d_err_set(err, T3D_SKIP, "too-large",
                                      "%zu JSON values need more memory than allowed", bound)
                        : t3d_err_nomem(err, "a JSON text");
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        p.i = 3;
    add(&p, T3D_JTOK_NULL, p.i);
    if (values(&p, max_depth) < 0)
        return t3d_err_value(err, T3D_SKIP, "bad-json", p.i,
                             p.i >= p.n ? "JSON text ends early, at byte %u"
                                        : "JSON text has an error at byte %u",
                             p.i);
    for (skip_space(&p); at(&p, 0); skip_space(&p))
        p.i++;
    if (p.i < p.n)
        return t3d_err_value(err, T3D_SKIP, "bad-json", p.i, "JSON text goes on at byte %u", p.i);
    j->text = text;
    j->tok = p.tok;
    j->n = p.n_tok;
    return T3D_OK;
}

static const struct t3d_jtok *of_type(const struct t3d_jsontok *j, uint32_t t,
                                      enum t3d_jtok_type type)
{
    return j->tok[t].type == type ? &j->tok[t] : NULL;
}

uint32_t t3d_jtok_first(const struct t3d_jsontok *j, uint32_t t)
{
    unsigned type = j->tok[t].type;

    return (type == T3D_JTOK_ARRAY || type == T3D_JTOK_OBJECT) && j->tok[t].n ? t + 1 : 0;
}

uint32_t t3d_jtok_member(const struct t3d_jsontok *j, uint32_t t, const char *key)
{
    const struct t3d_jtok *o = of_type(j, t, T3D_JTOK_OBJECT);
    size_t n = strlen(key);

    if (!o)
        return T3D_JTOK_ABSENT;
    for (uint32_t i = 0, k = t + 1; i < o->n; i++, k = j->tok[k + 1].next) {
        const struct t3d_jtok *s = &j->tok[k];

        if (s->end - s->start == n && memcmp(j->text + s->start, key, n) == 0)
            return k + 1;
        if (s->n && t3d_jtok_is(j, k, key))
            return k + 1;
    }
    return T3D_JTOK_ABSENT;
}

static unsigned hex4(const char *s)
{
    unsigned v = 0;

    for (int k = 0; k < 4; k++)
        v = v << 4 | (unsigned)hex_digit(s[k]);
    return v;
}

static size_t put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The escape at s (behind the backslash; already known to be valid); *used counts its characters.
 */
static unsigned escape(const char *s, const char *end, size_t *used)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *f = strchr(from, *s);
    unsigned c, low;

    *used = 1;
    if (*s != 'u')
        return (unsigned char)(f ? to[f - from] : *s);
    *used = 5;
    c = hex4(s + 1);
    if (c >= 0xd800 && c < 0xdc00 && end - s >= 11 && s[5] == '\\' && s[6] == 'u') {
        low = hex4(s + 7);
        if (low >= 0xdc00 && low < 0xe000) {
            *used = 11;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return !c || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c;
}

/* An escape takes at least as many bytes as what it stands for: out needs no more than the source.
 */
static size_t decode(const char *s, const char *end, char *out)
{
    size_t n = 0, used;

    while (s < end) {
        if (*s != '\\') {
            out[n++] = *s++;
            continue;
        }
        n += put_utf8(out + n, escape(s + 1, end, &used));
        s += 1 + used;
    }
    return n;
}

int t3d_jtok_is(const struct t3d_jsontok *j, uint32_t t, const char *s)
{
    const struct t3d_jtok *v = of_type(j, t, T3D_JTOK_STRING);
    size_t n = strlen(s), size;
    char buf[6 * 64];

    if (!v)
        return 0;
    size = v->end - v->start;
    if (!v->n)
        return size == n && memcmp(j->text + v->start, s, n) == 0;
    if (size > sizeof buf)
        return 0; /* longer than any word that is asked for, however it is escaped */
    return decode(j->text + v->start, j->text + v->end, buf) == n && memcmp(buf, s, n) == 0;
}

char *t3d_jtok_string(const struct t3d_jsontok *j, uint32_t t, struct t3d_arena *a)
{
    const struct t3d_jtok *v = of_type(j, t, T3D_JTOK_STRING);
    char *out;

    if (!v)
        return NULL;
    out = t3d_alloc_raw(a, (size_t)(v->end - v->start) + 1, 1);
    if (out)
        out[decode(j->text + v->start, j->text + v->end, out)] = 0;
    return out;
}

/* Decimal digits and exponent of a valid number; 0 when the fast way below cannot be exact.
 * Clinger, "How to read floating point numbers accurately", PLDI 1990: a mantissa below 2^53 and a
 * power of ten up to 10^22 are both doubles, so one operation rounds correctly. */
static int fast_number(const char *s, const char *end, double *out)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int negative = *s == '-', behind_point = 0, exponent = 0;
    uint64_t m = 0;

    if (end - s > 18 + negative)
        return 0;
    for (s += negative; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            behind_point = 1;
            continue;
        }
        m = 10 * m + (uint64_t)(*s - '0');
        exponent -= behind_point;
    }
    if (s < end) {
        int minus = s[1] == '-', e = 0;

        for (s += 1 + (minus || s[1] == '+'); s < end; s++)
            e = e > 999 ? e : 10 * e + (*s - '0');
        exponent += minus ? -e : e;
    }
    if (m >> 53 || exponent < -22 || exponent > 22)
        return 0;
    *out = exponent < 0 ? (double)m / ten[-exponent] : (double)m * ten[exponent];
    *out = negative ? -*out : *out;
    return 1;
}

double t3d_jtok_number(const struct t3d_jsontok *j, uint32_t t, double otherwise)
{
    const struct t3d_jtok *v = of_type(j, t, T3D_JTOK_NUMBER);
    char buf[128], *copy = buf;
    double out;
    size_t n;

    if (!v)
        return otherwise;
    if (fast_number(j->text + v->start, j->text + v->end, &out))
        return out;
    n = v->end - v->start;
    if (n >= sizeof buf && !(copy = malloc(n + 1)))
        return otherwise;
    memcpy(copy, j->text + v->start, n);
    copy[n] = 0;
    out = strtod(copy, NULL);
    if (copy != buf)
        free(copy);
    return out;
}

int t3d_jtok_whole(const struct t3d_jsontok *j, uint32_t t, uint64_t *out)
{
    double v = t3d_jtok_number(j, t, -1);

    if (!(v >= 0 && v <= 9007199254740992.0) || v != (double)(uint64_t)v)
        return 0;
    *out = (uint64_t)v;
    return 1;
}
