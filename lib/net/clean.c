/* SPDX-License-Identifier: Apache-2.0 */
/* rspeer/python-ftfy: ftfy/__init__.py (fix_text, fix_and_explain), ftfy/fixes.py; CPython:
 * Lib/html/__init__.py (unescape), Objects/unicodeobject.c (handle_capital_sigma). */
#include "net/clean.h"

#include <string.h>

#include "base/arena.h"
#include "net/clean_entity.h"
#include "net/clean_table.h"

enum { AT, LENGTH, KIND, CHARACTERS }; /* columns of entity_table */
#include "net/unicode.h"

/* U+0345 is a mark whose upper case is a letter: Python's regex, without regard to case, matches it
 * by no part of CLIP's pattern. */
enum { IOTA_BELOW = 0x345 };
enum { PASSES = 32, ESCAPE = 0x1b, SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2, REPLACEMENT = 0xfffd };
enum { HTML5 = 1, FTFY = 2, FTFY_NAME_MAX = 24, HTML_NAME_MAX = 32, LAST = 0xffffff };

struct chars {
    uint32_t *c;
    size_t n;
};

/* Room that every step fits into: a character becomes at most three. */
static struct chars room(size_t n, struct t3d_arena *a)
{
    return (struct chars){t3d_alloc_raw(a, n + 1, 3 * sizeof(uint32_t)), 0};
}

/* The row whose range holds c, or -1. */
static int64_t find_range(const uint32_t (*table)[2], size_t n, uint32_t c)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c < table[middle][0])
            high = middle;
        else if (c > (table[middle][1] & LAST))
            low = middle + 1;
        else
            return (int64_t)middle;
    }
    return -1;
}

/* What str.isspace() says. */
static int is_space(uint32_t c)
{
    return c < 0x80 ? c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f)
                    : t3d_unicode_class(c) == T3D_UNICODE_SPACE;
}

static int digit(uint32_t c, int base)
{
    int v = c >= '0' && c <= '9'   ? (int)c - '0'
            : c >= 'a' && c <= 'f' ? (int)c - 'a' + 10
            : c >= 'A' && c <= 'F' ? (int)c - 'A' + 10
                                   : 99;

    return v < base ? v : -1;
}

static int is_alnum(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- entities --------------------------------------------------------------------------------- */

/* The entity of exactly this name (with its ';' if it has one) and kind, or -1. */
static int64_t find_entity(const uint32_t *name, size_t n, int kind)
{
    size_t low = 0, high = T3D_COUNT(entity_table);

    while (low < high) {
        size_t middle = (low + high) / 2, k = 0;
        const char *s = entity_name + entity_table[middle][AT];
        size_t length = entity_table[middle][LENGTH];

        while (k < n && k < length && name[k] == (uint8_t)s[k])
            k++;
        if (k == n && k == length)
            return entity_table[middle][KIND] & (uint32_t)kind ? (int64_t)middle : -1;
        if (k < n && (k == length || name[k] > (uint8_t)s[k]))
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static void put_entity(struct chars *to, int64_t row)
{
    for (int i = 0; i < 3 && entity_table[row][CHARACTERS + i]; i++)
        to->c[to->n++] = entity_table[row][CHARACTERS + i];
}

/* A number behind "&#": how many characters it has, without ';'; *value = what it stands for,
 * UINT32_MAX = nothing. 0 = there is none. */
static size_t read_number(const uint32_t *s, size_t n, uint32_t *value)
{
    size_t start = n > 2 && (s[2] == 'x' || s[2] == 'X') ? 3 : 2, i = start;
    int base = start == 3 ? 16 : 10;
    uint64_t v = 0;

    for (; i < n && digit(s[i], base) >= 0; i++)
        v = T3D_MIN(v * (uint64_t)base + (uint64_t)digit(s[i], base), 1u << 30);
    if (i == start)
        return 0;
    *value = (uint32_t)v;
    for (size_t k = 0; k < T3D_COUNT(number_table); k++)
        if (v == number_table[k][0])
            *value = number_table[k][1];
    if ((v >= 0xd800 && v <= 0xdfff) || v > 0x10ffff)
        *value = REPLACEMENT;
    else if (v >= 256 && ((v & 0xfffe) == 0xfffe || (v >= 0xfdd0 && v <= 0xfdef)))
        *value = UINT32_MAX;
    return i;
}

static void put_number(struct chars *to, uint32_t value)
{
    if (value != UINT32_MAX)
        to->c[to->n++] = value;
}

/* fixes.unescape_html at '&': "&#?[0-9A-Za-z]{1,24};" of a known name or a whole number. Returns
 * the characters used, 0 = leave it. */
static size_t unescape_strictly(struct chars *to, const uint32_t *s, size_t n)
{
    size_t hash = n > 1 && s[1] == '#', start = 1 + hash, i = start;
    uint32_t value;
    int64_t row;

    while (i < n && i - start <= FTFY_NAME_MAX && is_alnum(s[i]))
        i++;
    if (i == start || i - start > FTFY_NAME_MAX || i == n || s[i] != ';')
        return 0;
    if (hash) {
        size_t used = read_number(s, n, &value);

        if (used != i || value == ';')
            return 0;
        put_number(to, value);
        return i + 1;
    }
    row = find_entity(s + 1, i, FTFY);
    if (row < 0)
        return 0;
    put_entity(to, row);
    return i + 1;
}

static int ends_name(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' ||
           c == ';';
}

/* html.unescape at '&': a number, the name, or the longest beginning of it that is one. */
static size_t unescape_freely(struct chars *to, const uint32_t *s, size_t n)
{
    size_t i = 1;
    uint32_t value;
    int64_t row;

    if (n > 1 && s[1] == '#') {
        i = read_number(s, n, &value);
        if (i)
            put_number(to, value);
        return i ? i + (i < n && s[i] == ';') : 0;
    }
    while (i < n && i - 1 < HTML_NAME_MAX && !ends_name(s[i]))
        i++;
    if (i == 1)
        return 0;
    i += i < n && s[i] == ';';
    for (size_t most = i; i > 2 || i == most; i--) {
        row = find_entity(s + 1, i - 1, HTML5);
        if (row >= 0) {
            put_entity(to, row);
            return i;
        }
    }
    return 0;
}

static struct chars unescape(struct chars s, int strictly, struct t3d_arena *a)
{
    struct chars to;

    if (!s.c || !s.n)
        return s;
    to = room(s.n, a);
    for (size_t i = 0, used; to.c && i < s.n; i += used ? used : 1) {
        used = s.c[i] != '&' ? 0
               : strictly    ? unescape_strictly(&to, s.c + i, s.n - i)
                             : unescape_freely(&to, s.c + i, s.n - i);
        if (!used)
            to.c[to.n++] = s.c[i];
    }
    return to;
}

/* --- ftfy ------------------------------------------------------------------------------------- */

static void put_mapped(struct chars *to, uint32_t c)
{
    size_t low = 0, high = T3D_COUNT(map_table);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c == map_table[middle][0]) {
            for (int i = 1; i < 4 && map_table[middle][i]; i++)
                to->c[to->n++] = map_table[middle][i];
            return;
        }
        if (c < map_table[middle][0])
            high = middle;
        else
            low = middle + 1;
    }
    to->c[to->n++] = c;
}

static struct chars map(struct chars s, struct t3d_arena *a)
{
    struct chars to = room(s.n, a);

    for (size_t i = 0; to.c && i < s.n; i++) {
        if (s.c[i] == '\r' && i + 1 < s.n && s.c[i + 1] == '\n')
            continue;
        if (s.c[i] < 0x80 && s.c[i] != '\r')
            to.c[to.n++] = s.c[i];
        else
            put_mapped(&to, s.c[i]);
    }
    return to;
}

/* Length of ESC [ digits and semicolons, letter; or 0. */
static size_t terminal_escape(const uint32_t *s, size_t n)
{
    size_t i = 2;

    if (n < 3 || s[0] != ESCAPE || s[1] != '[')
        return 0;
    while (i < n && (digit(s[i], 10) >= 0 || s[i] == ';'))
        i++;
    return i < n && is_alnum(s[i]) && digit(s[i], 10) < 0 ? i + 1 : 0;
}

/* In place: what terminals and nobody sees. */
static void drop(struct chars *s)
{
    size_t n = 0;

    for (size_t i = 0, len; i < s->n; i += len) {
        len = terminal_escape(s->c + i, s->n - i);
        if (!len)
            s->c[n++] = s->c[i];
        len = len ? len : 1;
    }
    s->n = n;
    n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (find_range(control_table, T3D_COUNT(control_table), s->c[i]) < 0)
            s->c[n++] = s->c[i];
    s->n = n;
}

static int same(struct chars a, struct chars b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.c, b.c, a.n * sizeof *a.c) == 0);
}

/* fix_and_explain of one line. c NULL = memory is out. */
static struct chars fix_line(struct chars line, int entities, struct t3d_arena *a)
{
    struct chars s = line, before;
    int pass = 0;

    do {
        const uint32_t *nfc;
        int64_t n;

        before = s;
        if (entities)
            s = unescape(s, 1, a);
        s = s.c ? map(s, a) : s;
        if (!s.c)
            return s;
        drop(&s);
        n = t3d_unicode_nfc(&nfc, s.c, s.n, a);
        s = n < 0 ? (struct chars){0} : room((size_t)n, a);
        if (!s.c)
            return s;
        s.n = (size_t)n;
        if (n)
            memcpy(s.c, nfc, s.n * sizeof *s.c);
    } while (!same(s, before) && ++pass < PASSES);
    return s;
}

static int has(struct chars s, uint32_t c)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.c[i] == c)
            return 1;
    return 0;
}

/* Line by line; from the first line with a '<' on, entities are left alone. */
static struct chars fix_text(struct chars s, struct t3d_arena *a)
{
    struct chars out = room(8 * s.n, a);
    int entities = 1;

    for (size_t at = 0, end; out.c && at < s.n; at = end) {
        struct chars line;

        for (end = at; end < s.n && s.c[end] != '\n';)
            end++;
        end += end < s.n;
        line = (struct chars){s.c + at, end - at};
        entities = entities && !has(line, '<');
        line = fix_line(line, entities, a);
        if (!line.c || out.n + line.n > 24 * s.n)
            return (struct chars){0};
        memcpy(out.c + out.n, line.c, line.n * sizeof *line.c);
        out.n += line.n;
    }
    return out;
}

/* --- white space and lower case --------------------------------------------------------------- */

/* " ".join(text.split()) */
static void join_words(struct chars *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (!is_space(s->c[i]))
            s->c[n++] = s->c[i];
        else if (n && s->c[n - 1] != ' ')
            s->c[n++] = ' ';
    }
    s->n = n && s->c[n - 1] == ' ' ? n - 1 : n;
}

/* 1 cased, 2 case-ignorable, 0 neither. */
static int sigma_kind(uint32_t c)
{
    int64_t row = find_range(sigma_table, T3D_COUNT(sigma_table), c);

    return row < 0 ? 0 : (int)(sigma_table[row][1] >> 24);
}

/* A sigma behind a cased character and before none. */
static int is_final(struct chars s, size_t i)
{
    size_t before = i, after = i + 1;

    while (before > 0 && sigma_kind(s.c[before - 1]) == 2)
        before--;
    if (before == 0 || sigma_kind(s.c[before - 1]) != 1)
        return 0;
    while (after < s.n && sigma_kind(s.c[after]) == 2)
        after++;
    return after == s.n || sigma_kind(s.c[after]) != 1;
}

static struct chars lower(struct chars s, struct t3d_arena *a)
{
    struct chars to = room(s.n, a);

    for (size_t i = 0; to.c && i < s.n; i++) {
        if (s.c[i] == SIGMA && is_final(s, i))
            to.c[to.n++] = FINAL_SIGMA;
        else
            to.n += t3d_unicode_lower(s.c[i], to.c + to.n);
    }
    return to;
}

int64_t t3di_clean_open_clip(uint32_t **out, const uint32_t *in, size_t n, struct t3d_arena *a)
{
    struct chars s = room(n, a);

    if (!s.c)
        return -1;
    if (n)
        memcpy(s.c, in, n * sizeof *in);
    s.n = n;
    s = fix_text(s, a);
    for (int i = 0; i < 2 && s.c; i++)
        s = unescape(s, 0, a);
    if (s.c) {
        join_words(&s);
        s = lower(s, a);
    }
    for (size_t i = 0; s.c && i < s.n; i++)
        if (s.c[i] == IOTA_BELOW)
            s.c[i] = ' ';
    *out = s.c;
    return s.c ? (int64_t)s.n : -1;
}
