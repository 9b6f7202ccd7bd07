/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: compact JSON with the shortest numbers that read back equal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_impl.h"

struct text {
    char *s;
    size_t n, capacity;
    int canonical;
};

static int grow(struct text *t, size_t more)
{
    size_t want = t->n + more;
    char *s;

    if (want <= t->capacity)
        return 0;
    want = want < 256 ? 512 : 2 * want;
    s = realloc(t->s, want);
    if (!s)
        return -1;
    t->s = s;
    t->capacity = want;
    return 0;
}

static int put(struct text *t, const char *s, size_t n)
{
    if (grow(t, n) < 0)
        return -1;
    memcpy(t->s + t->n, s, n);
    t->n += n;
    return 0;
}

void t3d_json_number(double v, char text[32])
{
    if (!isfinite(v)) {
        memcpy(text, "null", 5);
        return;
    }
    if (fabs(v) < 1e15 && v == (double)(int64_t)v && !(v == 0 && signbit(v))) {
        snprintf(text, 32, "%lld", (long long)v); /* what %.15g gives, and twice as fast */
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, v);
        if (digits == 17 || strtod(text, NULL) == v)
            return;
    }
}

/* The escape of a byte below 0x20, of '"' or of '\\' into e; its length. */
static size_t escape(unsigned char c, char e[8])
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *p = c ? strchr(from, c) : NULL;

    if (!p)
        return (size_t)snprintf(e, 8, "\\u%04x", c);
    e[0] = '\\';
    e[1] = to[p - from];
    return 2;
}

/* A character that stands for itself, and one byte. */
static int is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static int put_string(struct text *t, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    size_t n = strlen(string), i = 0;

    /* Worst case: six bytes for one. */
    if (n > SIZE_MAX / 8 || grow(t, 6 * n + 2) < 0)
        return -1;
    t->s[t->n++] = '"';
    while (i < n) {
        size_t len, run = i;
        char e[8];

        while (run < n && is_plain(s[run]))
            run++;
        memcpy(t->s + t->n, s + i, run - i);
        t->n += run - i;
        i = run;
        if (i == n)
            break;
        len = t3di_utf8_char(s + i, n - i);
        if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\') {
            size_t k = escape(s[i], e);
            memcpy(t->s + t->n, e, k);
            t->n += k;
            i++;
        } else if (!len) {
            memcpy(t->s + t->n, "\xEF\xBF\xBD", 3);
            t->n += 3;
            i++;
        } else {
            memcpy(t->s + t->n, s + i, len);
            t->n += len;
            i += len;
        }
    }
    t->s[t->n++] = '"';
    return 0;
}

static int put_value(struct text *t, const cJSON *v);

static int put_member(struct text *t, const cJSON *v, int first, int named)
{
    if (!first && put(t, ",", 1) < 0)
        return -1;
    if (named && (put_string(t, v->string ? v->string : "") < 0 || put(t, ":", 1) < 0))
        return -1;
    return put_value(t, v);
}

static int by_key(const void *a, const void *b)
{
    const cJSON *x = *(const cJSON *const *)a, *y = *(const cJSON *const *)b;

    return strcmp(x->string ? x->string : "", y->string ? y->string : "");
}

static int put_sorted(struct text *t, const cJSON *o)
{
    size_t n = 0;
    const cJSON **m, *v;
    int r = 0;

    cJSON_ArrayForEach (v, o)
        n++;
    m = malloc((n + 1) * sizeof *m);
    if (!m)
        return -1;
    n = 0;
    cJSON_ArrayForEach (v, o)
        m[n++] = v;
    qsort(m, n, sizeof *m, by_key);
    for (size_t i = 0; i < n && r == 0; i++)
        r = put_member(t, m[i], i == 0, 1);
    free(m);
    return r;
}

static int put_list(struct text *t, const cJSON *o)
{
    int named = cJSON_IsObject(o);
    const cJSON *v;

    if (put(t, named ? "{" : "[", 1) < 0)
        return -1;
    if (named && t->canonical) {
        if (put_sorted(t, o) < 0)
            return -1;
    } else {
        cJSON_ArrayForEach (v, o)
            if (put_member(t, v, v == o->child, named) < 0)
                return -1;
    }
    return put(t, named ? "}" : "]", 1);
}

static int put_value(struct text *t, const cJSON *v)
{
    char number[32];

    switch (v->type & 0xFF) {
    case cJSON_Object:
    case cJSON_Array:
        return put_list(t, v);
    case cJSON_String:
        return put_string(t, v->valuestring ? v->valuestring : "");
    case cJSON_Number:
        t3d_json_number(v->valuedouble, number);
        return put(t, number, strlen(number));
    case cJSON_True:
        return put(t, "true", 4);
    case cJSON_False:
        return put(t, "false", 5);
    case cJSON_Raw:
        return put(t, v->valuestring ? v->valuestring : "null",
                   v->valuestring ? strlen(v->valuestring) : 4);
    default:
        return put(t, "null", 4);
    }
}

char *t3d_json_text(const cJSON *o, int canonical)
{
    struct text t = {.canonical = canonical};

    if (t3di_json_lost() || put_value(&t, o) < 0 || put(&t, "", 1) < 0) {
        free(t.s);
        return NULL;
    }
    return t.s;
}

int t3d_ndjson_write(FILE *f, const cJSON *record, struct t3d_err *err)
{
    struct text t = {0};

    if (t3di_json_lost() || put_value(&t, record) < 0 || put(&t, "\n", 1) < 0) {
        free(t.s);
        return t3d_err_nomem(err, "a record");
    }
    /* One call, so that lines of several processes that append to one file do not mix. */
    fwrite(t.s, 1, t.n, f);
    free(t.s);
    return T3D_OK;
}
