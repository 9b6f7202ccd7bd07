/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of an option to its value: strict, the whole word, in range. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/opt_impl.h"

static int bad(struct t3d_err *err, const struct t3d_opt *o, const char *text, const char *want)
{
    return t3d_err_set(err, T3D_USAGE, "bad-value", "--%s: '%s' is not %s", o->name, text, want);
}

static int store_int(const struct t3d_opt *o, const char *text, int64_t *out, struct t3d_err *err)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (!strchr("-+0123456789", *text) || end == text || *end)
        return bad(err, o, text, "a whole number");
    if (errno)
        return bad(err, o, text, "in the range of 64-bit integers");
    *out = v;
    return T3D_OK;
}

/* Digits only, up to *end. */
static int read_u64(const char *text, uint64_t *out, const char **end)
{
    uint64_t v = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return -1;
    *out = v;
    *end = p;
    return 0;
}

static int store_u64(const struct t3d_opt *o, const char *text, uint64_t *out, struct t3d_err *err)
{
    const char *end;

    if (read_u64(text, out, &end) < 0)
        return bad(err, o, text, "below 2^64");
    if (end == text || *end)
        return bad(err, o, text, "a whole number of at least 0");
    return T3D_OK;
}

static int store_size(const struct t3d_opt *o, const char *text, uint64_t *out, struct t3d_err *err)
{
    static const char units[] = "kMGT";
    const char *end, *unit;
    uint64_t v;

    if (read_u64(text, &v, &end) < 0)
        return bad(err, o, text, "below 2^64");
    if (end == text)
        return bad(err, o, text, "a size such as 500, 64k, 2M or 1Gi");
    unit = *end ? strchr(units, *end == 'K' ? 'k' : *end) : NULL;
    if (unit) {
        uint64_t base = end[1] == 'i' ? 1024 : 1000;

        end += 1 + (end[1] == 'i');
        for (const char *u = units; u <= unit; u++)
            if (__builtin_mul_overflow(v, base, &v))
                return bad(err, o, text, "below 2^64");
    }
    if (*end == 'B')
        end++;
    if (*end)
        return bad(err, o, text, "a size such as 500, 64k, 2M or 1Gi");
    *out = v;
    return T3D_OK;
}

static int store_double(const struct t3d_opt *o, const char *text, double *out, struct t3d_err *err)
{
    char *end;
    double v = strtod(text, &end);

    /* strtod would take hexadecimal, leading blanks, "inf" and "nan". */
    if (end == text || *end || strspn(text, "0123456789+-.eE") != strlen(text) || !isfinite(v))
        return bad(err, o, text, "a number");
    *out = v;
    return T3D_OK;
}

static int check_choice(const struct t3d_opt *o, const char *text, size_t n, struct t3d_err *err)
{
    char word[64], near[64];
    const char *p = o->choices, *hint;

    if (!p)
        return T3D_OK;
    for (p += strspn(p, " "); *p; p += strspn(p, " ")) {
        size_t m = strcspn(p, " ");

        if (m == n && memcmp(p, text, n) == 0)
            return T3D_OK;
        p += m;
    }
    snprintf(word, sizeof word, "%.*s", (int)T3D_MIN(n, 63), text);
    hint = t3d_did_you_mean(word, o->choices, near, sizeof near);
    return t3d_err_set(err, T3D_USAGE, "bad-value", "--%s: '%s' is not one of: %s%s%s%s", o->name,
                       word, o->choices, hint ? " (did you mean '" : "", hint ? hint : "",
                       hint ? "'?)" : "");
}

/* Room for `more` further items; the old ones are kept. */
static int extend(struct t3d_list *l, size_t more, struct t3d_arena *a)
{
    const char **item = t3d_alloc(a, l->n + more, sizeof *item);

    if (!item)
        return -1;
    if (l->n)
        memcpy(item, l->item, l->n * sizeof *item);
    l->item = item;
    return 0;
}

static int store_words(const struct t3d_opt *o, const char *text, struct t3d_list *l,
                       struct t3d_arena *a, struct t3d_err *err)
{
    size_t commas = 0;

    for (const char *p = text; *p; p++)
        commas += *p == ',';
    if (extend(l, commas + 1, a) < 0)
        return t3d_err_nomem(err, "the options");
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ",");
        char *word;

        if (n == 0)
            return bad(err, o, text, "a list of words with single commas between them");
        if (check_choice(o, p, n, err) < 0)
            return T3D_USAGE;
        word = t3d_strndup(a, p, n);
        if (!word)
            return t3d_err_nomem(err, "the options");
        l->item[l->n++] = word;
        p += n;
        if (!*p)
            return T3D_OK;
    }
}

static int store_bool(const struct t3d_opt *o, const char *text, int *out, struct t3d_err *err)
{
    if (strcmp(text, "yes") == 0 || strcmp(text, "1") == 0)
        *out = 1;
    else if (strcmp(text, "no") == 0 || strcmp(text, "0") == 0)
        *out = 0;
    else
        return bad(err, o, text, "yes or no");
    return T3D_OK;
}

int t3di_opt_store(const struct t3d_opt *o, const char *text, void *conf, struct t3d_arena *a,
                   struct t3d_err *err)
{
    void *at = (char *)conf + o->offset;

    switch (o->type) {
    case T3D_OPT_BOOL:
        return store_bool(o, text, at, err);
    case T3D_OPT_INT:
        return store_int(o, text, at, err);
    case T3D_OPT_U64:
        return store_u64(o, text, at, err);
    case T3D_OPT_SIZE:
        return store_size(o, text, at, err);
    case T3D_OPT_DOUBLE:
        return store_double(o, text, at, err);
    case T3D_OPT_WORDS:
        return store_words(o, text, at, a, err);
    case T3D_OPT_STRING:
        if (check_choice(o, text, strlen(text), err) < 0)
            return T3D_USAGE;
        *(const char **)at = text;
        return T3D_OK;
    case T3D_OPT_FILES:
        break;
    }
    if (extend(at, 1, a) < 0)
        return t3d_err_nomem(err, "the options");
    ((struct t3d_list *)at)->item[((struct t3d_list *)at)->n++] = text;
    return T3D_OK;
}
