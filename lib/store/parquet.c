/* SPDX-License-Identifier: Apache-2.0 */
#include "store/parquet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/defs.h"
#include "store/parquet_impl.h"

enum { FOOTER_MAX = 256 << 20 };

struct group {
    int64_t rows;
    struct t3di_pq_chunk chunk[T3D_PARQUET_COLUMNS];
};

struct t3d_parquet {
    char *path;
    int fd;
    int64_t size, rows, row; /* row: of the group, to come */
    const char *const *names;
    size_t n;
    int there[T3D_PARQUET_COLUMNS];
    struct t3di_pq_column column[T3D_PARQUET_COLUMNS];
    struct group *group;
    size_t n_groups, group_capacity, at; /* at: the next group */
};

static int fault(const struct t3d_parquet *p, const char *reason, const char *what,
                 struct t3d_err *err)
{
    return t3d_err_set(err, T3D_FAIL, reason, "'%s': %s", p->path, what);
}

/* The column of this name among those asked for, or -1. */
static int wanted(const struct t3d_parquet *p, const char *name, size_t n)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->names[i] + (*p->names[i] == '?');

        if (strlen(s) == n && memcmp(s, name, n) == 0)
            return (int)i;
    }
    return -1;
}

/* --- the footer
 * ------------------------------------------------------------------------------------- */

struct element { /* struct SchemaElement */
    int64_t type, length, repetition, children;
    const char *name;
    size_t name_n;
};

static void read_element(struct t3di_thrift *t, struct element *e)
{
    struct t3di_thrift_field f = {0};

    *e = (struct element){.type = -1, .name = ""};
    while (t3di_thrift_field(t, &f))
        if (f.id == 1)
            e->type = t3di_thrift_int(t, f.type);
        else if (f.id == 2)
            e->length = t3di_thrift_int(t, f.type);
        else if (f.id == 3)
            e->repetition = t3di_thrift_int(t, f.type);
        else if (f.id == 4)
            e->name = t3di_thrift_text(t, f.type, &e->name_n);
        else if (f.id == 5)
            e->children = t3di_thrift_int(t, f.type);
        else
            t3di_thrift_skip(t, f.type);
}

static int take_element(struct t3d_parquet *p, const struct element *e, struct t3d_err *err)
{
    int i = wanted(p, e->name, e->name_n);
    struct t3di_pq_column *c = &p->column[i < 0 ? 0 : i];

    if (i < 0)
        return T3D_OK;
    if (e->children > 0 || e->repetition == PQ_REPEATED || e->type < 0 || e->type > PQ_FIXED ||
        e->type == PQ_INT96)
        return t3d_err_set(err, T3D_FAIL, "unsupported-parquet",
                           "'%s': column %s is nested, or of a type that is not read", p->path,
                           c->name);
    if (e->type == PQ_FIXED && (e->length < 1 || e->length > T3DI_PAGE_MAX))
        return fault(p, "bad-parquet", "a column of fixed size has none", err);
    p->there[i] = 1;
    c->type = (int)e->type;
    c->length = e->length;
    c->optional = e->repetition == PQ_OPTIONAL;
    return T3D_OK;
}

/* The schema is a tree in depth-first order; the root's children are the columns. */
static int read_schema(struct t3d_parquet *p, struct t3di_thrift *t, int type, struct t3d_err *err)
{
    int element, r = T3D_OK;
    size_t n = t3di_thrift_list(t, type, &element);
    int64_t inside = 0; /* elements below a nested column to pass over */
    struct element e;

    for (size_t i = 0; i < n && !t->bad && r == T3D_OK; i++) {
        read_element(t, &e);
        if (i == 0)
            continue;
        if (inside > 0)
            inside--;
        else
            r = take_element(p, &e, err);
        if (e.children > 0)
            inside += T3D_MIN(e.children, (int64_t)n);
    }
    return r;
}

struct meta { /* struct ColumnMetaData */
    int64_t codec, values, bytes, data, dictionary;
    int column; /* among those asked for; -1 = none */
};

static void read_path(const struct t3d_parquet *p, struct t3di_thrift *t, int type, struct meta *m)
{
    int element;
    size_t n = t3di_thrift_list(t, type, &element), k;

    m->column = -1;
    for (size_t i = 0; i < n && !t->bad; i++) {
        const char *s = t3di_thrift_text(t, element, &k);

        m->column = n == 1 && !t->bad ? wanted(p, s, k) : -1;
    }
}

static void read_meta(const struct t3d_parquet *p, struct t3di_thrift *t, struct meta *m)
{
    struct t3di_thrift_field f = {0};

    while (t3di_thrift_field(t, &f))
        if (f.id == 3)
            read_path(p, t, f.type, m);
        else if (f.id == 4)
            m->codec = t3di_thrift_int(t, f.type);
        else if (f.id == 5)
            m->values = t3di_thrift_int(t, f.type);
        else if (f.id == 7)
            m->bytes = t3di_thrift_int(t, f.type);
        else if (f.id == 9)
            m->data = t3di_thrift_int(t, f.type);
        else if (f.id == 11)
            m->dictionary = t3di_thrift_int(t, f.type);
        else
            t3di_thrift_skip(t, f.type);
}

/* struct ColumnChunk; file_offset is not used, as the format's own readers do not. */
static int read_chunk(struct t3d_parquet *p, struct t3di_thrift *t, struct group *g,
                      struct t3d_err *err)
{
    struct t3di_thrift_field f = {0};
    struct meta m = {.column = -1};
    int elsewhere = 0;
    int64_t at;
    size_t n;

    while (t3di_thrift_field(t, &f))
        if (f.id == 3 && f.type == 12) {
            read_meta(p, t, &m);
        } else if (f.id == 1) {
            t3di_thrift_text(t, f.type, &n);
            elsewhere = n > 0;
        } else {
            t3di_thrift_skip(t, f.type);
        }
    if (t->bad || m.column < 0)
        return T3D_OK;
    if (elsewhere)
        return fault(p, "unsupported-parquet", "its data lies in other files", err);
    at = m.dictionary > 0 && m.dictionary < m.data ? m.dictionary : m.data;
    if (m.values == 0) /* no page: the offsets are not set */
        at = m.bytes = 0;
    if (at < 0 || m.bytes < 0 || at > p->size || m.bytes > p->size - at || m.values < 0)
        return fault(p, "bad-parquet", "a column lies outside of the file", err);
    g->chunk[m.column] = (struct t3di_pq_chunk){
        .at = at, .bytes = m.bytes, .values = m.values, .codec = (int)m.codec};
    return T3D_OK;
}

static int read_group(struct t3d_parquet *p, struct t3di_thrift *t, struct group *g,
                      struct t3d_err *err)
{
    struct t3di_thrift_field f = {0};
    int element, r = T3D_OK;

    memset(g, 0, sizeof *g);
    while (r == T3D_OK && t3di_thrift_field(t, &f))
        if (f.id == 1) {
            size_t n = t3di_thrift_list(t, f.type, &element);

            for (size_t i = 0; i < n && !t->bad && r == T3D_OK; i++)
                r = read_chunk(p, t, g, err);
        } else if (f.id == 3) {
            g->rows = t3di_thrift_int(t, f.type);
        } else {
            t3di_thrift_skip(t, f.type);
        }
    if (r < 0 || t->bad)
        return r;
    for (size_t i = 0; i < p->n; i++)
        if (p->there[i] && g->chunk[i].values != g->rows)
            return fault(p, "bad-parquet", "a column has not as many values as its row group", err);
    return g->rows < 0 ? fault(p, "bad-parquet", "a row group has a negative length", err) : T3D_OK;
}

static int read_groups(struct t3d_parquet *p, struct t3di_thrift *t, int type, struct t3d_err *err)
{
    int element, r = T3D_OK;
    size_t n = t3di_thrift_list(t, type, &element);

    for (size_t i = 0; i < n && !t->bad && r == T3D_OK; i++) {
        if (p->n_groups == p->group_capacity) { /* as they come: the number may be a lie */
            size_t capacity = p->group_capacity ? 2 * p->group_capacity : 16;
            struct group *more = realloc(p->group, capacity * sizeof *more);

            if (!more)
                return t3d_err_nomem(err, p->path);
            p->group = more;
            p->group_capacity = capacity;
        }
        r = read_group(p, t, &p->group[p->n_groups], err);
        p->n_groups += r == T3D_OK && !t->bad;
    }
    return r;
}

static int read_footer(struct t3d_parquet *p, const uint8_t *data, size_t n, struct t3d_err *err)
{
    struct t3di_thrift t = {.p = data, .end = data + n};
    struct t3di_thrift_field f = {0};
    int64_t rows = 0;
    int r = T3D_OK;

    while (r == T3D_OK && t3di_thrift_field(&t, &f))
        if (f.id == 2)
            r = read_schema(p, &t, f.type, err);
        else if (f.id == 3)
            p->rows = t3di_thrift_int(&t, f.type);
        else if (f.id == 4)
            r = read_groups(p, &t, f.type, err);
        else
            t3di_thrift_skip(&t, f.type);
    if (r < 0)
        return r;
    for (size_t i = 0; i < p->n_groups; i++)
        if (__builtin_add_overflow(rows, p->group[i].rows, &rows))
            t.bad = 1;
    if (t.bad || p->rows != rows)
        return fault(p, "bad-parquet", "its footer is damaged", err);
    for (size_t i = 0; i < p->n; i++)
        if (!p->there[i] && *p->names[i] != '?')
            return t3d_err_set(err, T3D_FAIL, "no-column", "'%s' has no column %s", p->path,
                               p->names[i]);
    return T3D_OK;
}

/* The last 8 bytes: length of the footer, little-endian, and the magic number. */
static int load_footer(struct t3d_parquet *p, struct t3d_err *err)
{
    uint8_t tail[8], head[4], *data;
    int64_t n;
    int r;

    if (p->size < 12 || pread(p->fd, head, 4, 0) != 4 ||
        pread(p->fd, tail, 8, (off_t)p->size - 8) != 8 || memcmp(head, "PAR1", 4) != 0 ||
        memcmp(tail + 4, "PAR1", 4) != 0)
        return fault(p, "bad-parquet", "is not a Parquet file, or is cut off", err);
    n = (int64_t)tail[0] | (int64_t)tail[1] << 8 | (int64_t)tail[2] << 16 | (int64_t)tail[3] << 24;
    if (n > p->size - 12 || n > FOOTER_MAX)
        return fault(p, "bad-parquet", "its footer is longer than the file", err);
    data = malloc((size_t)n + 1);
    if (!data)
        return t3d_err_nomem(err, p->path);
    if (pread(p->fd, data, (size_t)n, (off_t)(p->size - 8 - n)) != (ssize_t)n)
        r = fault(p, "bad-parquet", "its footer cannot be read", err);
    else
        r = read_footer(p, data, (size_t)n, err);
    free(data);
    return r;
}

/* --- the table
 * ---------------------------------------------------------------------------------------- */

int t3d_parquet_open(struct t3d_parquet **out, const char *path, const char *const *columns,
                     struct t3d_err *err)
{
    struct t3d_parquet *p = calloc(1, sizeof *p);
    struct stat st;
    int r;

    if (!p || !(p->path = strdup(path))) {
        free(p);
        return t3d_err_nomem(err, path);
    }
    p->names = columns;
    p->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (p->fd < 0 || fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        r = t3d_err_set(err, T3D_USAGE, "usage", "cannot read '%s': %s", path,
                        p->fd < 0 ? strerror(errno) : "it is not a file");
        t3d_parquet_close(p);
        return r;
    }
    p->size = st.st_size;
    while (p->n < T3D_PARQUET_COLUMNS && columns[p->n]) {
        const char *name = columns[p->n];

        p->column[p->n++] =
            (struct t3di_pq_column){.file = p->path, .name = name + (*name == '?'), .fd = p->fd};
    }
    r = load_footer(p, err);
    if (r < 0) {
        t3d_parquet_close(p);
        return r;
    }
    *out = p;
    return T3D_OK;
}

void t3d_parquet_close(struct t3d_parquet *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        t3di_pq_column_fini(&p->column[i]);
    if (p->fd >= 0)
        close(p->fd);
    free(p->group);
    free(p->path);
    free(p);
}

uint64_t t3d_parquet_rows(const struct t3d_parquet *p)
{
    return (uint64_t)p->rows;
}

int t3d_parquet_next(struct t3d_parquet *p, struct t3d_parquet_value *cell, struct t3d_err *err)
{
    while (p->row == 0) {
        const struct group *g;

        if (p->at == p->n_groups)
            return T3D_END;
        g = &p->group[p->at];
        p->row = g->rows;
        p->at++;
        for (size_t i = 0; i < p->n; i++)
            t3di_pq_column_begin(&p->column[i], &g->chunk[i]);
    }
    for (size_t i = 0; i < p->n; i++) {
        int r = T3D_OK;

        cell[i].type = T3D_PARQUET_NULL;
        if (p->there[i])
            r = t3di_pq_column_next(&p->column[i], &cell[i], err);
        if (r < 0) {
            p->at = p->n_groups; /* nothing behind it can be relied on */
            p->row = 0;
            return r;
        }
    }
    p->row--;
    return T3D_OK;
}
