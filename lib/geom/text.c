/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/text_impl.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

/* --- exact decimal to float ----------------------------------------------------------------------
 */

/* Powers that the values of floats need: 19 digits reach from 10^-66 (below half of the smallest
 * float) to 10^39 (above the largest). Up to 10^22 they are exact. */
static const double power10[] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
    1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27,
    1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
    1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55,
    1e56, 1e57, 1e58, 1e59, 1e60, 1e61, 1e62, 1e63, 1e64, 1e65, 1e66};

enum { MAX_DIGITS = 19, MIN_POWER = -66, MAX_POWER = 39 };

/* Digits of the slow path: a midpoint between floats has at most 113 (25 bits times 5^150). */
enum { SLOW_DIGITS = 120, WORDS = 40 };

/* Non-negative integer, least significant word first. */
struct big {
    uint32_t w[WORDS];
    int n;
};

static void big_multiply_add(struct big *b, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;

    for (int i = 0; i < b->n; i++) {
        carry += (uint64_t)b->w[i] * factor;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && b->n < WORDS)
        b->w[b->n++] = (uint32_t)carry;
}

static void big_scale(struct big *b, uint32_t base, int power)
{
    for (; power > 0; power--)
        big_multiply_add(b, base, 0);
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}

/* Digits of a mantissa, a point among them: value = digits * 10^power. */
struct decimal {
    struct big digits;
    int power;
};

/* Sign of x - midpoint between the floats with bits b and b + 1. */
static int compare_midpoint(const struct decimal *x, uint32_t b)
{
    uint32_t exponent = b >> 23, fraction = b & 0x7fffff;
    struct big left = x->digits, right = {{0}, 0};
    int two = exponent ? (int)exponent - 151 : -150;

    big_multiply_add(&right, 1, 2 * (exponent ? fraction | 0x800000 : fraction) + 1);
    big_scale(&left, 10, x->power);
    big_scale(&right, 10, -x->power);
    big_scale(&left, 2, -two);
    big_scale(&right, 2, two);
    return big_compare(&left, &right);
}

/* The mantissa text [s, end) times 10^exponent, whose value is close to near. */
static float slow_float(const char *s, const char *end, int64_t exponent, double near)
{
    struct decimal x = {.power = 0};
    float f = near > 3.4e38 ? 3.4028234664e38f : (float)near;
    int64_t power = exponent;
    int n = 0, behind = 0, rest = 0, c;
    uint32_t b;

    for (; s < end; s++) {
        if (*s == '.') {
            behind = 1;
            continue;
        }
        power -= behind;
        if (n == SLOW_DIGITS) {
            rest |= *s != '0';
            power++;
            continue;
        }
        big_multiply_add(&x.digits, 10, (uint32_t)(*s - '0'));
        n += n || *s != '0';
    }
    /* One more digit stands for all that were cut: a midpoint would have ended by now. */
    big_multiply_add(&x.digits, 10, rest ? 1 : 0);
    x.power = (int)power - 1;
    memcpy(&b, &f, 4);
    c = compare_midpoint(&x, b);
    if (c > 0 || (c == 0 && (b & 1)))
        b++;
    else if (b && ((c = compare_midpoint(&x, b - 1)) < 0 || (c == 0 && (b & 1))))
        b--;
    memcpy(&f, &b, 4);
    return f;
}

/* First digits (at most 19) of a mantissa of any length; *exponent grows by the digits passed over.
 */
static uint64_t leading_digits(const char *s, const char *end, int64_t *exponent)
{
    uint64_t w = 0;
    int n = 0, behind = 0;

    for (; s < end; s++) {
        if (*s == '.') {
            behind = 1;
            continue;
        }
        if (n < MAX_DIGITS) {
            w = 10 * w + (uint64_t)(*s - '0');
            n += w > 0;
            *exponent -= behind;
        } else {
            *exponent += !behind;
        }
    }
    return w;
}

/* w * 10^power with |error| < 3 ulp of a double (Clinger 1990: one rounding each for w, the power
 * and the product). Rounding that to float is right unless it lies that close to a midpoint between
 * floats, whose last 29 bits are 1000...0; subnormal floats round elsewhere and go the slow way
 * too. */
static float to_float(uint64_t w, int64_t power, const char *s, const char *end, int64_t exponent)
{
    double d;
    uint64_t bits;

    if (w == 0 || power < MIN_POWER)
        return 0;
    if (power > MAX_POWER)
        return INFINITY;
    d = power < 0 ? (double)w / power10[-power] : (double)w * power10[power];
    memcpy(&bits, &d, 8);
    bits = (bits & 0x1fffffff) - (0x10000000 - 8);
    if (d > 3.5e38)
        return INFINITY;
    if (bits <= 16 || d < 1.2e-38)
        return slow_float(s, end, exponent, d);
    return (float)d;
}

static int match(const char *p, const char *end, const char *s)
{
    const char *start = p;

    for (; *s; s++, p++)
        if (p == end || (*p | 32) != *s)
            return 0;
    return (int)(p - start);
}

/* "nan", "nan(ind)", "inf", "infinity" */
static const char *read_special(const char *p, const char *end, float *out)
{
    int n;

    if ((n = match(p, end, "nan"))) {
        *out = NAN;
        p += n;
        while (p < end && (*p == '(' || *p == ')' || ((*p | 32) >= 'a' && (*p | 32) <= 'z')))
            p++;
        return p;
    }
    n = match(p, end, "infinity");
    n = n ? n : match(p, end, "inf");
    *out = INFINITY;
    return n ? p + n : NULL;
}

static const char *read_exponent(const char *p, const char *end, int64_t *exponent)
{
    const char *q = p + 1;
    int64_t e = 0;
    int minus;

    if (p == end || (*p | 32) != 'e')
        return p;
    minus = q < end && *q == '-';
    q += minus || (q < end && *q == '+');
    if (q == end || (unsigned)(*q - '0') > 9)
        return p;
    for (; q < end && (unsigned)(*q - '0') <= 9; q++)
        e = T3D_MIN(10 * e + (*q - '0'), 1000000000);
    *exponent = minus ? -e : e;
    return q;
}

int t3di_read_float(struct t3di_text *t, float *out)
{
    const char *p = t->p, *end = t->end, *s, *point = NULL, *stop;
    int minus = p < end && *p == '-';
    uint64_t w = 0;
    int64_t exponent = 0, power;
    float f;

    p += minus || (p < end && *p == '+');
    for (s = p; p < end && (unsigned)(*p - '0') <= 9; p++)
        w = 10 * w + (uint64_t)(*p - '0');
    if (p < end && *p == '.')
        for (point = p++; p < end && (unsigned)(*p - '0') <= 9; p++)
            w = 10 * w + (uint64_t)(*p - '0');
    stop = p;
    if (p - s == (point ? 1 : 0)) {
        p = point ? NULL : read_special(p, end, &f);
        if (!p)
            return 0;
    } else if (p < end && *p == '#') {
        f = NAN;
        while (p < end && !t3di_is_space(*p))
            p++;
    } else {
        p = read_exponent(p, end, &exponent);
        power = exponent;
        if (stop - s - (point ? 1 : 0) > MAX_DIGITS)
            w = leading_digits(s, stop, &power);
        else if (point)
            power -= stop - point - 1;
        f = to_float(w, power, s, stop, exponent);
    }
    *out = minus ? -f : f;
    t->p = p;
    return 1;
}

int t3di_read_int(struct t3di_text *t, int64_t *out)
{
    const char *p = t->p, *s;
    int minus = p < t->end && *p == '-';
    int64_t v = 0;

    p += minus || (p < t->end && *p == '+');
    for (s = p; p < t->end && (unsigned)(*p - '0') <= 9; p++)
        if (v < INT64_C(1) << 58)
            v = 10 * v + (*p - '0');
    if (p == s)
        return 0;
    *out = minus ? -v : v;
    t->p = p;
    return 1;
}

/* --- words
 * ----------------------------------------------------------------------------------------- */

int t3di_read_word(struct t3di_text *t, struct t3di_text *word)
{
    t3di_skip_blanks(t);
    word->p = t->p;
    while (t->p < t->end && !t3di_is_space(*t->p))
        t->p++;
    word->end = t->p;
    return word->p < word->end;
}

int t3di_word_is(const struct t3di_text *word, const char *s)
{
    size_t n = strlen(s);

    if ((size_t)(word->end - word->p) != n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = word->p[i], d = s[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        d = (char)(d >= 'A' && d <= 'Z' ? d + 32 : d);
        if (c != d)
            return 0;
    }
    return 1;
}

struct t3di_text t3di_trim(const struct t3di_text *line)
{
    struct t3di_text r = *line;

    t3di_skip_blanks(&r);
    while (r.end > r.p && t3di_is_space(r.end[-1]))
        r.end--;
    if (r.end - r.p >= 2 && *r.p == '"' && r.end[-1] == '"') {
        r.p++;
        r.end--;
    }
    return r;
}

/* --- names
 * ----------------------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo), 32 bits. */
static uint32_t hash_name(const char *s, size_t n)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

/* The slot of the name, or the empty one where it belongs. */
static uint32_t *find_slot(const struct t3di_names *s, const char *name, size_t n)
{
    uint32_t mask = 2 * s->capacity - 1;

    for (uint32_t i = hash_name(name, n) & mask;; i = (i + 1) & mask) {
        uint32_t k = s->slot[i];
        if (!k || (strncmp(s->name[k - 1], name, n) == 0 && !s->name[k - 1][n]))
            return &s->slot[i];
    }
}

static int grow(struct t3di_names *s)
{
    struct t3di_names g = {.a = s->a, .n = s->n, .capacity = s->capacity ? 2 * s->capacity : 16};

    g.name = t3d_alloc_raw(s->a, g.capacity, sizeof *g.name);
    g.slot = t3d_alloc(s->a, 2 * (size_t)g.capacity, sizeof *g.slot);
    if (!g.name || !g.slot)
        return -1;
    for (uint32_t i = 0; i < s->n; i++) {
        g.name[i] = s->name[i];
        *find_slot(&g, g.name[i], strlen(g.name[i])) = i + 1;
    }
    *s = g;
    return 0;
}

int64_t t3di_names_add(struct t3di_names *s, const char *name, size_t n)
{
    uint32_t *slot;

    n = strnlen(name, n);
    if (s->n == s->capacity && grow(s) < 0)
        return -1;
    slot = find_slot(s, name, n);
    if (*slot)
        return *slot - 1;
    s->name[s->n] = t3d_strndup(s->a, name, n);
    if (!s->name[s->n])
        return -1;
    *slot = ++s->n;
    return s->n - 1;
}

int64_t t3di_names_find(const struct t3di_names *s, const char *name, size_t n)
{
    n = strnlen(name, n);
    return s->n ? (int64_t)*find_slot(s, name, n) - 1 : -1;
}
