/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "store/captions_impl.h"

enum { MAX_FIELDS = 64 };

struct csv {
    const char *p, *end;
    char delimiter;
    uint64_t line; /* of p, from 1 */
    char *text;    /* the fields of one row, each with its NUL */
    size_t n, capacity;
    size_t field[MAX_FIELDS]; /* offsets into text */
    size_t n_fields;          /* may pass MAX_FIELDS: the rest is counted only */
    uint64_t start;           /* line on which the row begins */
    const char *fault;        /* why the row cannot be used, or NULL */
};

static int put(struct csv *r, char c)
{
    if (r->n == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 4096;
        char *text = realloc(r->text, capacity);
        if (!text)
            return -1;
        r->text = text;
        r->capacity = capacity;
    }
    r->text[r->n++] = c;
    return 0;
}

/* RFC 4180, section 2, rules 5 to 7. 1 = the file ended inside quotes, -1 = no memory. */
static int read_quoted(struct csv *r)
{
    for (r->p++; r->p < r->end; r->p++) {
        if (*r->p == '"' && (++r->p == r->end || *r->p != '"'))
            return 0;
        r->line += *r->p == '\n';
        if (put(r, *r->p) < 0)
            return -1;
    }
    return 1;
}

/* One field, up to its delimiter or line end. */
static int read_field(struct csv *r)
{
    int quoted = r->p < r->end && *r->p == '"', bad;

    if (r->n_fields < MAX_FIELDS)
        r->field[r->n_fields] = r->n;
    r->n_fields++;
    if (quoted && (bad = read_quoted(r)) != 0)
        return bad;
    for (; r->p < r->end && *r->p != r->delimiter && *r->p != '\n'; r->p++) {
        if (*r->p == '\r' && (r->p + 1 == r->end || r->p[1] == '\n'))
            continue;
        if (quoted)
            r->fault = "text behind a closing quote";
        if (*r->p == 0)
            r->fault = "a NUL byte";
        if (put(r, *r->p) < 0)
            return -1;
    }
    return put(r, 0);
}

/* T3D_OK, T3D_END, or an error. Blank lines are passed over. */
static int read_row(struct csv *r, const char *name, struct t3d_err *err)
{
    while (r->p < r->end && (*r->p == '\n' || *r->p == '\r'))
        r->line += *r->p++ == '\n';
    if (r->p >= r->end)
        return T3D_END;
    r->n = r->n_fields = 0;
    r->fault = NULL;
    r->start = r->line;
    for (;;) {
        int bad = read_field(r);
        if (bad < 0)
            return t3d_err_nomem(err, name);
        if (bad > 0)
            return t3d_err_set(err, T3D_USAGE, "truncated",
                               "%s line %llu: a quoted field does not end: is the file cut off?",
                               name, (unsigned long long)r->start);
        if (r->p >= r->end || *r->p == '\n')
            break;
        r->p++;
    }
    if (r->p < r->end) {
        r->p++;
        r->line++;
    }
    return T3D_OK;
}

/* The columns by the first row, which is a header if it names a key or caption column; *header says
 * so. */
static int find_columns(const struct csv *r, enum t3di_caption_field *column, int *header,
                        int keyless, const char *name, struct t3d_err *err)
{
    int key = 0, use = 0, caption = 0;

    for (size_t i = 0; i < r->n_fields && i < MAX_FIELDS; i++) {
        const char *s = r->text + r->field[i];
        while (*s == ' ')
            s++;
        column[i] = t3di_caption_field(s, strcspn(s, " "));
        key += column[i] <= T3DI_SHA256;
        use += column[i] < T3DI_FIELDS;
        caption += column[i] == T3DI_CAPTION;
    }
    *header = (key && use > 1) || (keyless && caption);
    if (*header)
        return T3D_OK;
    if (keyless && r->n_fields == 1) {
        column[0] = T3DI_CAPTION;
        return T3D_OK;
    }
    if (use && r->n_fields != 2)
        return t3d_err_set(
            err, T3D_USAGE, "no-columns",
            "%s: the header names no key and value: it needs one of uid, path, sha256 "
            "and one of caption, license, dataset, group, split",
            name);
    if (r->n_fields != 2)
        return t3d_err_set(err, T3D_USAGE, "no-columns",
                           "%s has %zu columns and no header: give it a first line such as "
                           "path,caption,license, or two columns, key and caption",
                           name, r->n_fields);
    column[0] = T3DI_KEY;
    column[1] = T3DI_CAPTION;
    return T3D_OK;
}

static int add_row(struct t3d_captions *c, const struct csv *r,
                   const enum t3di_caption_field *column, size_t n, struct t3d_err *err)
{
    struct t3di_caption_row row = {.where = r->start};

    if (r->fault) {
        t3di_captions_bad(c, r->start, "bad-csv", "the row has %s", r->fault);
        return T3D_OK;
    }
    if (r->n_fields != n) {
        t3di_captions_bad(c, r->start, "bad-csv", "the row has %zu columns, the first has %zu",
                          r->n_fields, n);
        return T3D_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (column[i] < T3DI_FIELDS && (!row.field[column[i]] || !*row.field[column[i]]))
            row.field[column[i]] = r->text + r->field[i];
    return t3di_captions_add(c, &row, err);
}

int t3di_captions_read_csv(struct t3d_captions *c, const struct t3d_blob *b, const char *name,
                           struct t3d_err *err)
{
    struct csv r = {.p = (const char *)b->data, .end = (const char *)b->data + b->size, .line = 1};
    enum t3di_caption_field column[MAX_FIELDS];
    size_t n = 0, line, released = 0;
    int header = 0, x;

    t3di_captions_unit(c, "line");
    if (b->size >= 3 && memcmp(b->data, "\xef\xbb\xbf", 3) == 0)
        r.p += 3;
    line = (size_t)(r.end - r.p);
    if (memchr(r.p, '\n', line))
        line = (size_t)((const char *)memchr(r.p, '\n', line) - r.p);
    r.delimiter = memchr(r.p, '\t', line) && !memchr(r.p, ',', line) ? '\t' : ',';
    while ((x = read_row(&r, name, err)) == T3D_OK) {
        t3di_captions_release(b, r.p, &released);
        if (n == 0) {
            x = r.n_fields > MAX_FIELDS
                    ? t3d_err_set(err, T3D_USAGE, "no-columns", "%s has more than %d columns", name,
                                  MAX_FIELDS)
                    : find_columns(&r, column, &header, t3di_captions_keyless(c), name, err);
            n = r.n_fields;
            if (x == T3D_OK && header)
                continue;
        }
        if (x < 0 || (x = add_row(c, &r, column, n, err)) < 0)
            break;
    }
    free(r.text);
    return x == T3D_END ? T3D_OK : x;
}
