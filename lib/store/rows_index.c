/* SPDX-License-Identifier: Apache-2.0 */
/* The finished files of a set: which rows and which lines are whose? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/npy.h"
#include "store/rows_impl.h"

int t3di_rows_by_num(const void *a, const void *b)
{
    int64_t x = ((const struct t3di_rows_entry *)a)->num,
            y = ((const struct t3di_rows_entry *)b)->num;

    return (x > y) - (x < y);
}

/* Decimal digits at *p, which moves behind them; -1 when there are none or too many. */
static int read_number(const char **p, const char *end, uint64_t *out)
{
    const char *begin = *p;

    for (*out = 0; *p < end && **p >= '0' && **p <= '9' && *p - begin < 18; ++*p)
        *out = *out * 10 + (uint64_t)(**p - '0');
    return *p > begin ? 0 : -1;
}

static int read_word(const char **p, const char *end, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(end - *p) < n || memcmp(*p, word, n) != 0)
        return -1;
    *p += n;
    return 0;
}

const char *t3di_rows_head(const char *line, const char *end, int runs, uint64_t *row, uint64_t *n)
{
    const char *rest;

    *n = 1;
    if (read_word(&line, end, "{\"row\":") < 0 || read_number(&line, end, row) < 0)
        return NULL;
    rest = line;
    if (runs && (read_word(&line, end, ",\"n\":") < 0 || read_number(&line, end, n) < 0))
        return NULL;
    return line < end && *line == ',' ? rest : NULL;
}

/* ,"key":"<32 hex>","num":N} at the end of a line. */
static int read_tail(const char *line, const char *end, char key[T3D_ROWS_KEY + 1], int64_t *num)
{
    static const char before[] = ",\"key\":\"", between[] = "\",\"num\":";
    const char *p = end - 1;
    uint64_t n;

    if (p <= line || *p != '}')
        return -1;
    while (p > line && p[-1] >= '0' && p[-1] <= '9')
        p--;
    p -= sizeof between - 1 + T3D_ROWS_KEY + sizeof before - 1;
    if (p < line || read_word(&p, end, before) < 0)
        return -1;
    memcpy(key, p, T3D_ROWS_KEY);
    key[T3D_ROWS_KEY] = 0;
    p += T3D_ROWS_KEY;
    if (strspn(key, "0123456789abcdef") != T3D_ROWS_KEY || read_word(&p, end, between) < 0 ||
        read_number(&p, end, &n) < 0 || p != end - 1)
        return -1;
    *num = (int64_t)n;
    return 0;
}

/* The entry of a number; lists of all tables are ascending, so it is the next one, the last one, or
 * new at the end (sorted in later). */
static struct t3di_rows_entry *find_entry(struct t3di_rows_list *l, size_t sorted, size_t *hint,
                                          int64_t num, const char *key, struct t3d_err *err)
{
    struct t3di_rows_entry e = {.num = num};

    while (*hint < sorted && l->entry[*hint].num < num)
        ++*hint;
    if (*hint < sorted && l->entry[*hint].num == num)
        return &l->entry[*hint];
    if (l->n > sorted && l->entry[l->n - 1].num == num)
        return &l->entry[l->n - 1];
    memcpy(e.key, key, sizeof e.key);
    return t3di_rows_append(l, &e, err) == T3D_OK ? &l->entry[l->n - 1] : NULL;
}

/* Read table t's index into the list. T3D_SKIP when it is not as we write it. */
static int read_index(const struct t3di_rows_file *f, size_t t, const struct t3d_blob *b,
                      uint64_t rows, struct t3di_rows_list *l, struct t3d_err *err)
{
    const char *p = (const char *)b->data, *end = p + b->size, *stop;
    uint64_t next = 0, row, n;
    size_t sorted = l->n, hint = 0;
    int64_t num, last = -1;

    for (; p < end; p = stop + 1) {
        struct t3di_rows_entry *e;
        char key[T3D_ROWS_KEY + 1];
        stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop || !t3di_rows_head(p, stop, f->runs, &row, &n) || row != next || n > UINT32_MAX ||
            read_tail(p, stop, key, &num) < 0 || num < last)
            return T3D_SKIP;
        e = find_entry(l, sorted, &hint, num, key, err);
        if (!e)
            return T3D_FAIL;
        if (strcmp(e->key, key) != 0 || e->span[t].n + n > UINT32_MAX ||
            e->span[t].bytes + (uint64_t)(stop + 1 - p) > UINT32_MAX)
            return T3D_SKIP;
        if (!e->span[t].bytes) {
            e->span[t].row = row;
            e->span[t].byte = (uint64_t)(p - (const char *)b->data);
        }
        e->span[t].n += (uint32_t)n;
        e->span[t].bytes += (uint32_t)(stop + 1 - p);
        next += n;
        last = num;
    }
    if (l->n > sorted)
        qsort(l->entry, l->n, sizeof *l->entry, t3di_rows_by_num);
    return next == rows ? T3D_OK : T3D_SKIP;
}

static int read_table(const struct t3di_rows_file *f, size_t t, struct t3di_rows_list *l,
                      struct t3d_err *err)
{
    struct t3d_blob b = {0};
    struct t3d_npy n;
    uint64_t rows;
    int r = t3d_npy_open(&n, f->path[T3DI_ROWS_DATA].final, err), good;

    if (r < 0)
        return r;
    rows = n.shape[0];
    good =
        n.n_axes == 2 && n.shape[1] == f->width && n.type == (f->half ? T3D_NPY_F16 : T3D_NPY_F32);
    t3d_npy_close(&n);
    r = t3d_blob_open(&b, f->path[T3DI_ROWS_INDEX].final, 0, err);
    if (r == T3D_OK)
        r = good ? read_index(f, t, &b, rows, l, err) : T3D_SKIP;
    t3d_blob_close(&b);
    return r;
}

/* Is SET.json what we would write? T3D_SKIP when not; T3D_END when it is not there. */
static int check_about(const struct t3d_rows *s, struct t3d_err *err)
{
    struct t3d_err why = {0};
    struct t3d_blob b;
    size_t n = strlen(s->text);
    int r = t3d_blob_open(&b, s->about.final, 0, &why), same;

    if (r == T3D_SKIP)
        return strcmp(why.reason, "missing-file") == 0 ? T3D_END : T3D_SKIP;
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    same = b.size == n && memcmp(b.data, s->text, n) == 0;
    t3d_blob_close(&b);
    return same ? T3D_OK : T3D_SKIP;
}

int t3di_rows_load(struct t3d_rows *s, struct t3di_rows_list *out, const char **why,
                   struct t3d_err *err)
{
    int r = check_about(s, err);

    *why = NULL;
    out->n = 0;
    if (r == T3D_END)
        return T3D_OK;
    if (r == T3D_SKIP)
        *why = "made with another model or other settings";
    for (size_t t = 0; t < s->n_tables && r == T3D_OK; t++) {
        r = read_table(&s->table[t], t, out, err);
        if (r == T3D_SKIP)
            *why = "damaged or not complete";
    }
    if (r == T3D_SKIP) {
        out->n = 0;
        r = T3D_OK;
    }
    return r;
}
