/* SPDX-License-Identifier: Apache-2.0 */
/* Finished files + parts -> finished files, by number; and the change over from the ones to the
 * others. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/npy_impl.h"
#include "store/rows_impl.h"

enum { BLOCK = 1 << 20 };

static const char commit_parts[] = "{\"commit\":\"parts\"}\n",
                  commit_new[] = "{\"commit\":\"new\"}\n";

struct merge {
    struct t3d_rows *s;
    struct t3di_rows_list old;
    const struct t3di_rows_entry **entry; /* what stays, by number */
    size_t n;
    int fd[T3D_ROWS_TABLES][T3DI_ROWS_FILES]; /* of the finished files */
};

/* --- change over
 * ----------------------------------------------------------------------------------- */

static int change(const char *from, const char *to, struct t3d_err *err)
{
    if (rename(from, to) == 0 || errno == ENOENT) /* not there: done before the kill */
        return T3D_OK;
    return t3d_err_sys(err, "cannot rename to", to);
}

static void sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
}

/* Each step may be done twice. SET.json goes first and comes back last: files of two sets side by
 * side must not pass for one, even if nobody completes what a kill has cut. */
static int change_over(struct t3d_rows *s, int parts, struct t3d_err *err)
{
    int begun = access(s->about.next, F_OK) == 0, r = T3D_OK;

    if (begun && unlink(s->about.final) < 0 && errno != ENOENT)
        return t3d_err_sys(err, "cannot replace", s->about.final);
    for (size_t t = 0; begun && t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES && r == T3D_OK; k++) {
            const struct t3di_rows_path *p = &s->table[t].path[k];
            r = change(parts ? p->part : p->next, p->final, err);
        }
    if (r == T3D_OK)
        r = change(s->about.next, s->about.final, err);
    if (r < 0)
        return r;
    sync_folder(s->dir);
    unlink(s->journal);
    for (size_t t = 0; t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            unlink(s->table[t].path[k].part);
    return T3D_OK;
}

static int ends_with(const struct t3d_blob *b, const char *word)
{
    size_t n = strlen(word);

    return b->size > n && memcmp(b->data + b->size - n, word, n) == 0;
}

int t3di_rows_recover(struct t3d_rows *s, struct t3d_err *err)
{
    struct t3d_err why = {0};
    struct t3d_blob b;
    char want[96];
    int r = t3d_blob_open(&b, s->journal, 0, &why), parts, own;

    if (r == T3D_SKIP)
        return T3D_OK;
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    /* A change over to a set made in another way, with other tables, is not ours to complete. */
    snprintf(want, sizeof want, "{\"set\":\"%s\"}\n", s->set);
    own = b.size > strlen(want) && memcmp(b.data, want, strlen(want)) == 0;
    parts = ends_with(&b, commit_parts);
    own &= parts || ends_with(&b, commit_new);
    t3d_blob_close(&b);
    return own ? change_over(s, parts, err) : T3D_OK;
}

/* --- what stays
 * ------------------------------------------------------------------------------------ */

static int has_lines(const struct t3di_rows_entry *e)
{
    for (int t = 0; t < T3D_ROWS_TABLES; t++)
        if (e->span[t].bytes)
            return 1;
    return 0;
}

static int by_num(const void *a, const void *b)
{
    return t3di_rows_by_num(*(const struct t3di_rows_entry *const *)a,
                            *(const struct t3di_rows_entry *const *)b);
}

static int is_old(const struct merge *m, const struct t3di_rows_entry *e)
{
    return m->old.n && e >= m->old.entry && e < m->old.entry + m->old.n;
}

static int choose(struct merge *m, struct t3d_err *err)
{
    const struct t3d_rows *s = m->s;

    m->entry = malloc((m->old.n + s->part.n + 1) * sizeof(struct t3di_rows_entry *));
    if (!m->entry)
        return t3d_err_nomem(err, "rows");
    for (size_t i = 0; i < m->old.n; i++)
        if (!t3di_rows_part(s, m->old.entry[i].num) && m->old.entry[i].num < s->limit)
            m->entry[m->n++] = &m->old.entry[i];
    for (size_t i = 0; i < s->part.n; i++) {
        const struct t3di_rows_entry *e = &s->part.entry[i];
        if (t3di_rows_part(s, e->num) == e && has_lines(e) && e->num < s->limit)
            m->entry[m->n++] = e;
    }
    qsort(m->entry, m->n, sizeof(struct t3di_rows_entry *), by_num);
    return T3D_OK;
}

/* 1 when the parts are, byte for byte, what the files shall be. */
static int in_order(const struct merge *m)
{
    for (size_t t = 0; t < m->s->n_tables; t++) {
        uint64_t row = 0, byte = 0;
        for (size_t i = 0; i < m->n; i++) {
            const struct t3di_rows_span *p = &m->entry[i]->span[t];
            if (is_old(m, m->entry[i]) || (p->bytes && (p->row != row || p->byte != byte)))
                return 0;
            row += p->n;
            byte += p->bytes;
        }
        if (row != m->s->table[t].rows || byte != m->s->table[t].bytes)
            return 0;
    }
    return 1;
}

/* --- writing
 * --------------------------------------------------------------------------------------- */

static uint64_t count_rows(const struct merge *m, size_t t)
{
    uint64_t rows = 0;

    for (size_t i = 0; i < m->n; i++)
        rows += m->entry[i]->span[t].n;
    return rows;
}

static size_t make_head(const struct t3di_rows_file *f, uint64_t rows, char head[256])
{
    uint64_t shape[] = {rows, f->width};

    return t3di_npy_head(head, 256, f->half ? T3D_NPY_F16 : T3D_NPY_F32, shape, 2);
}

/* The parts become the files: the head is put before the rows, which waited behind room for it. */
static int finish_parts(struct merge *m, struct t3d_err *err)
{
    char head[256];

    for (size_t t = 0; t < m->s->n_tables; t++) {
        const struct t3di_rows_file *f = &m->s->table[t];
        size_t n = make_head(f, f->rows, head);
        if (n != T3DI_NPY_HEAD)
            return t3d_err_set(err, T3D_FAIL, "bad-set", "a .npy head of %zu bytes", n);
        if (pwrite(f->fd[T3DI_ROWS_DATA], head, n, 0) != (ssize_t)n)
            return t3d_err_sys(err, "cannot write", f->path[T3DI_ROWS_DATA].part);
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            if (fsync(f->fd[k]) < 0)
                return t3d_err_sys(err, "cannot write", f->path[k].part);
    }
    return T3D_OK;
}

static int copy_bytes(int from, uint64_t at, uint64_t size, FILE *to, char *block,
                      struct t3d_err *err)
{
    while (size) {
        ssize_t n = pread(from, block, T3D_MIN(size, (uint64_t)BLOCK), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0 || fwrite(block, 1, (size_t)n, to) != (size_t)n)
            return t3d_err_sys(err, "cannot copy", "rows");
        at += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return T3D_OK;
}

/* Runs of objects that lie behind each other are copied at once. */
static int write_data(const struct merge *m, size_t t, FILE *to, char *block, struct t3d_err *err)
{
    const struct t3di_rows_file *f = &m->s->table[t];
    char head[256];
    size_t n = make_head(f, count_rows(m, t), head), i = 0;
    int r = fwrite(head, 1, n, to) == n ? T3D_OK : t3d_err_sys(err, "cannot write", "rows");

    while (i < m->n && r == T3D_OK) {
        int old = is_old(m, m->entry[i]);
        uint64_t row = m->entry[i]->span[t].row, end = row + m->entry[i]->span[t].n;
        for (i++; i < m->n && is_old(m, m->entry[i]) == old &&
                  (!m->entry[i]->span[t].n || m->entry[i]->span[t].row == end || end == row);
             i++) {
            if (end == row)
                row = end = m->entry[i]->span[t].row;
            end += m->entry[i]->span[t].n;
        }
        r = copy_bytes(old ? m->fd[t][T3DI_ROWS_DATA] : f->fd[T3DI_ROWS_DATA],
                       T3DI_NPY_HEAD + row * f->row_bytes, (end - row) * f->row_bytes, to, block,
                       err);
    }
    return r;
}

/* An object's lines with their rows numbered anew. */
static int write_lines(const char *text, size_t size, int runs, uint64_t *next, FILE *to)
{
    const char *end = text + size, *stop;
    uint64_t row, n;

    for (; text < end; text = stop + 1) {
        const char *rest;
        stop = memchr(text, '\n', (size_t)(end - text));
        rest = stop ? t3di_rows_head(text, stop, runs, &row, &n) : NULL;
        if (!rest)
            return -1;
        fprintf(to, "{\"row\":%" PRIu64, *next);
        fwrite(rest, 1, (size_t)(stop + 1 - rest), to);
        *next += n;
    }
    return 0;
}

static int write_index(const struct merge *m, size_t t, FILE *to, struct t3d_err *err)
{
    const struct t3di_rows_file *f = &m->s->table[t];
    char *text = NULL;
    size_t capacity = 0;
    uint64_t next = 0;
    int r = T3D_OK;

    for (size_t i = 0; i < m->n && r == T3D_OK; i++) {
        const struct t3di_rows_span *p = &m->entry[i]->span[t];
        int fd = is_old(m, m->entry[i]) ? m->fd[t][T3DI_ROWS_INDEX] : f->fd[T3DI_ROWS_INDEX];
        if (p->bytes > capacity) {
            free(text);
            capacity = p->bytes;
            text = malloc(capacity);
        }
        if (p->bytes && !text)
            r = t3d_err_nomem(err, "rows");
        else if (p->bytes && (pread(fd, text, p->bytes, (off_t)p->byte) != (ssize_t)p->bytes ||
                              write_lines(text, p->bytes, f->runs, &next, to) < 0))
            r = t3d_err_set(err, T3D_FAIL, "bad-set",
                            "'%s' has changed while it was being finished",
                            f->path[T3DI_ROWS_INDEX].final);
    }
    free(text);
    return r;
}

static int write_file(const struct merge *m, size_t t, int k, char *block, struct t3d_err *err)
{
    const char *path = m->s->table[t].path[k].next;
    FILE *to = fopen(path, "we");
    int r;

    if (!to)
        return t3d_err_sys(err, "cannot create", path);
    r = k == T3DI_ROWS_DATA ? write_data(m, t, to, block, err) : write_index(m, t, to, err);
    if (r == T3D_OK && (fflush(to) != 0 || ferror(to) || fsync(fileno(to)) < 0))
        r = t3d_err_sys(err, "cannot write", path);
    fclose(to);
    return r;
}

static int finish_new(struct merge *m, struct t3d_err *err)
{
    char *block = malloc(BLOCK);
    int r = block ? T3D_OK : t3d_err_nomem(err, "rows");

    for (size_t t = 0; t < m->s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES && r == T3D_OK; k++) {
            const char *path = m->s->table[t].path[k].final;
            m->fd[t][k] = m->old.n ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (m->old.n && m->fd[t][k] < 0)
                r = t3d_err_sys(err, "cannot open", path);
        }
    for (size_t t = 0; t < m->s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES && r == T3D_OK; k++)
            r = write_file(m, t, k, block, err);
    for (size_t t = 0; t < m->s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            if (m->fd[t][k] >= 0)
                close(m->fd[t][k]);
    free(block);
    return r;
}

static int write_about(const struct t3d_rows *s, struct t3d_err *err)
{
    FILE *f = fopen(s->about.next, "we");
    int bad;

    if (!f)
        return t3d_err_sys(err, "cannot create", s->about.next);
    bad = fputs(s->text, f) < 0 || fflush(f) != 0 || fsync(fileno(f)) < 0;
    if (bad)
        t3d_err_sys(err, "cannot write", s->about.next);
    fclose(f);
    return bad ? T3D_IO : T3D_OK;
}

static int commit(struct t3d_rows *s, int parts, struct t3d_err *err)
{
    const char *line = parts ? commit_parts : commit_new;
    int r = T3D_OK;

    if (lseek(s->journal_fd, (off_t)s->journal_end, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot write", s->journal);
    if (r == T3D_OK)
        r = t3d_write_all(s->journal_fd, line, strlen(line), s->journal, err);
    if (r == T3D_OK && fsync(s->journal_fd) < 0)
        r = t3d_err_sys(err, "cannot write", s->journal);
    return r == T3D_OK ? change_over(s, parts, err) : r;
}

int t3di_rows_merge(struct t3d_rows *s, struct t3d_err *err)
{
    struct merge m = {.s = s};
    const char *why;
    int parts = 0, r;

    memset(m.fd, -1, sizeof m.fd);
    r = t3di_rows_load(s, &m.old, &why, err);
    if (r == T3D_OK)
        r = choose(&m, err);
    if (r == T3D_OK) {
        parts = in_order(&m);
        r = parts ? finish_parts(&m, err) : finish_new(&m, err);
    }
    if (r == T3D_OK)
        r = write_about(s, err);
    if (r == T3D_OK)
        r = commit(s, parts, err);
    if (r == T3D_OK)
        unlink(s->lock);
    t3di_rows_close_files(s);
    t3di_rows_unlock(s);
    free(m.entry);
    free(m.old.entry);
    return r;
}
