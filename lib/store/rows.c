/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/npy_impl.h"
#include "store/rows_impl.h"
#include "store/run_impl.h"
#include "store/tensor.h"

enum { SUM = 16 }; /* hex digits of SHA-256 that guard an object's bytes against a power cut */

/* --- lists
 * ----------------------------------------------------------------------------------------- */

int t3di_rows_append(struct t3di_rows_list *l, const struct t3di_rows_entry *e, struct t3d_err *err)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity + l->capacity / 2 : 256;
        struct t3di_rows_entry *more = realloc(l->entry, capacity * sizeof *more);
        if (!more)
            return t3d_err_nomem(err, "the index of rows");
        l->entry = more;
        l->capacity = capacity;
    }
    l->entry[l->n++] = *e;
    return T3D_OK;
}

static uint32_t *find_slot(uint32_t *slot, size_t n, const struct t3di_rows_list *part, int64_t num)
{
    size_t i = ((uint64_t)num * 0x9e3779b97f4a7c15u >> 20) & (n - 1);

    while (slot[i] && part->entry[slot[i] - 1].num != num)
        i = (i + 1) & (n - 1);
    return &slot[i];
}

/* Room for one more, and each in its place. */
static int grow_slots(struct t3d_rows *s, struct t3d_err *err)
{
    size_t n = s->n_slots ? 2 * s->n_slots : 1024;
    uint32_t *slot = calloc(n, sizeof *slot);

    if (!slot)
        return t3d_err_nomem(err, "the index of rows");
    for (size_t i = 0; i < s->part.n; i++)
        *find_slot(slot, n, &s->part, s->part.entry[i].num) = (uint32_t)i + 1;
    free(s->slot);
    s->slot = slot;
    s->n_slots = n;
    return T3D_OK;
}

static int note_entry(struct t3d_rows *s, const struct t3di_rows_entry *e, struct t3d_err *err)
{
    int r = t3di_rows_append(&s->part, e, err);

    if (r == T3D_OK && 2 * s->part.n > s->n_slots)
        r = grow_slots(s, err);
    if (r == T3D_OK)
        *find_slot(s->slot, s->n_slots, &s->part, e->num) = (uint32_t)s->part.n;
    return r;
}

const struct t3di_rows_entry *t3di_rows_part(const struct t3d_rows *s, int64_t num)
{
    uint32_t at = s->n_slots ? *find_slot(s->slot, s->n_slots, &s->part, num) : 0;

    return at ? &s->part.entry[at - 1] : NULL;
}

static int has_lines(const struct t3di_rows_entry *e)
{
    for (int t = 0; t < T3D_ROWS_TABLES; t++)
        if (e->span[t].bytes)
            return 1;
    return 0;
}

int t3d_rows_has(const struct t3d_rows *s, int64_t num, const char *key)
{
    const struct t3di_rows_entry *e = t3di_rows_part(s, num), want = {.num = num};

    if (!e && s->old.n)
        e = bsearch(&want, s->old.entry, s->old.n, sizeof want, t3di_rows_by_num);
    if (!e || !has_lines(e))
        return 0;
    return key ? strcmp(e->key, key) == 0 : strspn(e->key, "0") != T3D_ROWS_KEY;
}

/* --- journal
 * --------------------------------------------------------------------------------------- */

void t3di_rows_close_files(struct t3d_rows *s)
{
    for (size_t t = 0; t < s->n_tables; t++) {
        for (int k = 0; k < T3DI_ROWS_FILES; k++) {
            if (s->table[t].fd[k] >= 0)
                close(s->table[t].fd[k]);
            s->table[t].fd[k] = -1;
        }
        s->table[t].rows = s->table[t].bytes = 0;
    }
    if (s->journal_fd >= 0)
        close(s->journal_fd);
    s->journal_fd = -1;
    s->journal_end = 0;
    s->part.n = 0;
    if (s->n_slots)
        memset(s->slot, 0, s->n_slots * sizeof *s->slot);
}

/* SHA-256 over an object's bytes in all tables, its first digits. */
static int make_sum(const struct t3d_rows *s, const struct t3di_rows_entry *e, char sum[SUM + 1],
                    struct t3d_err *err)
{
    char hex[T3D_SHA256_HEX], block[1 << 16];
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    for (size_t t = 0; t < s->n_tables; t++) {
        const struct t3di_rows_file *f = &s->table[t];
        const struct t3di_rows_span *p = &e->span[t];
        uint64_t at[] = {T3DI_NPY_HEAD + p->row * f->row_bytes, p->byte};
        uint64_t left[] = {(uint64_t)p->n * f->row_bytes, p->bytes};
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            while (left[k]) {
                ssize_t n = pread(f->fd[k], block, T3D_MIN(left[k], sizeof block), (off_t)at[k]);
                if (n <= 0)
                    break; /* short: another sum */
                t3d_sha256_add(h, block, (size_t)n);
                at[k] += (uint64_t)n;
                left[k] -= (uint64_t)n;
            }
    }
    t3d_sha256_end(h, hex);
    memcpy(sum, hex, SUM);
    sum[SUM] = 0;
    return T3D_OK;
}

/* {"num":0,"key":"...","sum":"...","at":[row,n,byte,bytes, ...]} */
static int parse_note(const struct t3d_rows *s, const char *line, struct t3di_rows_entry *e,
                      char sum[SUM + 1])
{
    int at = 0, more;

    memset(e, 0, sizeof *e);
    if (sscanf(line,
               "{\"num\":%" SCNd64 ",\"key\":\"%32[0-9a-f]\",\"sum\":\"%16[0-9a-f]\",\"at\":[%n",
               &e->num, e->key, sum, &at) != 3 ||
        !at || e->num < 0)
        return -1;
    for (size_t t = 0; t < s->n_tables; t++, at += more) {
        struct t3di_rows_span *p = &e->span[t];
        more = 0;
        if (sscanf(line + at, "%" SCNu64 ",%" SCNu32 ",%" SCNu64 ",%" SCNu32 "%n", &p->row, &p->n,
                   &p->byte, &p->bytes, &more) != 4 ||
            !more || p->row > UINT64_MAX / 2 / s->table[t].row_bytes || p->byte > UINT64_MAX / 2)
            return -1;
        more += line[at + more] == ',';
    }
    return strcmp(line + at, "]}") == 0 ? 0 : -1;
}

static int apply_note(struct t3d_rows *s, const char *line, int check, struct t3d_err *err)
{
    struct t3di_rows_entry e;
    char sum[SUM + 1], real[SUM + 1];
    int r = T3D_OK;

    if (parse_note(s, line, &e, sum) < 0)
        return T3D_OK;
    if (check && (r = make_sum(s, &e, real, err)) < 0)
        return r;
    if (check && strcmp(sum, real) != 0)
        memset(e.key, '0', T3D_ROWS_KEY); /* to be done again */
    for (size_t t = 0; t < s->n_tables; t++) {
        s->table[t].rows = T3D_MAX(s->table[t].rows, e.span[t].row + e.span[t].n);
        s->table[t].bytes = T3D_MAX(s->table[t].bytes, e.span[t].byte + e.span[t].bytes);
    }
    if (check && strcmp(sum, real) != 0)
        memset(e.span, 0, sizeof e.span);
    return note_entry(s, &e, err);
}

/* What the journal has behind journal_end, in memory; *n = 0 when nothing. */
static int read_tail(struct t3d_rows *s, char **text, size_t *n, struct t3d_err *err)
{
    struct stat st;
    ssize_t k;

    *text = NULL;
    *n = 0;
    if (fstat(s->journal_fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", s->journal);
    if ((uint64_t)st.st_size <= s->journal_end)
        return T3D_OK;
    *n = (size_t)st.st_size - s->journal_end;
    *text = malloc(*n + 1);
    if (!*text)
        return t3d_err_nomem(err, s->journal);
    k = pread(s->journal_fd, *text, *n, (off_t)s->journal_end);
    if (k < 0)
        return t3d_err_sys(err, "cannot read", s->journal);
    *n = (size_t)k;
    (*text)[k] = 0;
    return T3D_OK;
}

/* T3D_OK, or T3D_END when the journal belongs to a set made in another way. */
static int read_journal(struct t3d_rows *s, struct t3d_err *err)
{
    int check = s->journal_end == 0; /* written before we opened it: by a run that may be dead */
    char *text, *line, *end, want[96];
    size_t n;
    int r = read_tail(s, &text, &n, err);

    snprintf(want, sizeof want, "{\"set\":\"%s\"}", s->set);
    for (line = text; r == T3D_OK && n && (end = memchr(line, '\n', (size_t)(text + n - line)));
         line = end + 1) {
        *end = 0;
        if (s->journal_end == 0 && line == text)
            r = strcmp(line, want) == 0 ? T3D_OK : T3D_END;
        else
            r = apply_note(s, line, check, err);
    }
    if (r == T3D_OK && n)
        s->journal_end += (uint64_t)(line - text);
    free(text);
    return r;
}

static int same_file(int fd, const char *name)
{
    struct stat a, b;

    return fd >= 0 && fstat(fd, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* The lock file is removed by whoever finishes the set, so the lock counts only if the file is
 * still the one that the path names. */
static int take_lock(struct t3d_rows *s, struct t3d_err *err)
{
    for (;;) {
        if (s->lock_fd < 0)
            s->lock_fd = open(s->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (s->lock_fd < 0)
            return t3d_err_sys(err, "cannot create the lock", s->lock);
        if (flock(s->lock_fd, LOCK_EX) < 0) {
            if (errno == EINTR)
                continue;
            return t3d_err_sys(err, "cannot lock", s->lock);
        }
        if (same_file(s->lock_fd, s->lock))
            return T3D_OK;
        close(s->lock_fd);
        s->lock_fd = -1;
    }
}

void t3di_rows_unlock(struct t3d_rows *s)
{
    if (s->lock_fd >= 0)
        flock(s->lock_fd, LOCK_UN);
}

/* A journal without a whole first line has nothing to tell, whatever parts there are. */
static int begin_journal(struct t3d_rows *s, struct t3d_err *err)
{
    char line[96];
    int n = snprintf(line, sizeof line, "{\"set\":\"%s\"}\n", s->set), r;

    if (s->journal_end)
        return T3D_OK;
    for (size_t t = 0; t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            if (ftruncate(s->table[t].fd[k], 0) < 0)
                return t3d_err_sys(err, "cannot cut", s->table[t].path[k].part);
    if (ftruncate(s->journal_fd, 0) < 0 || lseek(s->journal_fd, 0, SEEK_SET) < 0)
        return t3d_err_sys(err, "cannot write", s->journal);
    r = t3d_write_all(s->journal_fd, line, (size_t)n, s->journal, err);
    s->journal_end = r == T3D_OK ? (uint64_t)n : 0;
    return r;
}

static int open_files(struct t3d_rows *s, int create, struct t3d_err *err)
{
    s->journal_fd = open(s->journal, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0666);
    if (s->journal_fd < 0 && errno == ENOENT && !create)
        return T3D_END;
    if (s->journal_fd < 0)
        return t3d_err_sys(err, "cannot open", s->journal);
    for (size_t t = 0; t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++) {
            const char *path = s->table[t].path[k].part;
            s->table[t].fd[k] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
            if (s->table[t].fd[k] < 0)
                return t3d_err_sys(err, "cannot open", path);
        }
    return T3D_OK;
}

/* Torn tails: nobody else is writing while we hold the lock. */
static int cut_tails(struct t3d_rows *s, struct t3d_err *err)
{
    int bad = ftruncate(s->journal_fd, (off_t)s->journal_end) < 0;

    for (size_t t = 0; t < s->n_tables && !bad; t++) {
        struct t3di_rows_file *f = &s->table[t];
        bad =
            ftruncate(f->fd[T3DI_ROWS_DATA], (off_t)(T3DI_NPY_HEAD + f->rows * f->row_bytes)) < 0 ||
            ftruncate(f->fd[T3DI_ROWS_INDEX], (off_t)f->bytes) < 0;
    }
    return bad ? t3d_err_sys(err, "cannot cut the torn tail of a part of", s->journal) : T3D_OK;
}

static void remove_parts(struct t3d_rows *s)
{
    unlink(s->journal);
    for (size_t t = 0; t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            unlink(s->table[t].path[k].part), unlink(s->table[t].path[k].next);
    unlink(s->about.next);
}

/* Make slots, ends and descriptors those of the files; T3D_END when there is no journal. */
static int look(struct t3d_rows *s, int create, struct t3d_err *err)
{
    int r = T3D_OK;

    if (!same_file(s->journal_fd, s->journal)) {
        t3di_rows_close_files(s);
        r = t3di_rows_recover(s, err);
        if (r == T3D_OK)
            r = open_files(s, 0, err);
    }
    if (r == T3D_OK)
        r = read_journal(s, err);
    if (r == T3D_END && s->journal_fd >= 0) { /* of another set */
        t3di_rows_close_files(s);
        remove_parts(s);
    }
    if (r == T3D_END && create) {
        t3di_rows_close_files(s);
        r = open_files(s, 1, err);
    }
    if (r == T3D_OK && create)
        r = begin_journal(s, err);
    return r;
}

int t3di_rows_lock(struct t3d_rows *s, int create, struct t3d_err *err)
{
    int r = take_lock(s, err);

    if (r < 0)
        return r;
    r = look(s, create, err);
    if (r == T3D_OK)
        r = cut_tails(s, err);
    if (r != T3D_OK) {
        t3di_rows_close_files(s);
        if (r == T3D_END)
            unlink(s->lock); /* made by this look; free for others by the check in take_lock */
        close(s->lock_fd);
        s->lock_fd = -1;
    }
    return r;
}

/* --- put
 * ------------------------------------------------------------------------------------------- */

struct batch {
    FILE *f[T3D_ROWS_TABLES][T3DI_ROWS_FILES], *journal;
    char *text[T3D_ROWS_TABLES][T3DI_ROWS_FILES], *notes;
    size_t size[T3D_ROWS_TABLES][T3DI_ROWS_FILES], notes_size;
};

static int batch_open(struct batch *b, size_t n_tables, struct t3d_err *err)
{
    int bad = !(b->journal = open_memstream(&b->notes, &b->notes_size));

    for (size_t t = 0; t < n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            bad |= !(b->f[t][k] = open_memstream(&b->text[t][k], &b->size[t][k]));
    return bad ? t3d_err_nomem(err, "rows") : T3D_OK;
}

/* 0, or -1 when memory was out. The texts are then to be had. */
static int batch_flush(struct batch *b)
{
    int bad = 0;
    FILE **f[] = {&b->journal, &b->f[0][0]};

    for (int g = 0; g < 2; g++)
        for (int i = 0; i < (g ? T3D_ROWS_TABLES * T3DI_ROWS_FILES : 1); i++)
            if (f[g][i]) {
                bad |= ferror(f[g][i]) | (fclose(f[g][i]) != 0);
                f[g][i] = NULL;
            }
    return bad ? -1 : 0;
}

static void batch_close(struct batch *b)
{
    (void)!batch_flush(b);
    free(b->notes);
    for (size_t t = 0; t < T3D_ROWS_TABLES; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            free(b->text[t][k]);
}

static void print_rows(FILE *to, const struct t3di_rows_file *f, const float *row, size_t n)
{
    uint16_t half[512];

    if (!f->half) {
        fwrite(row, sizeof *row, n * f->width, to);
        return;
    }
    for (size_t i = 0, k; i < n * f->width; i += k) {
        k = T3D_MIN(n * f->width - i, T3D_COUNT(half));
        for (size_t j = 0; j < k; j++)
            half[j] = t3d_half_from_float(row[i + j]);
        fwrite(half, sizeof *half, k, to);
    }
}

/* The object's rows and lines into the buffers; *e says where they will be. */
static int print_object(struct t3d_rows *s, struct batch *b, const struct t3d_rows_object *o,
                        struct t3di_rows_entry *e, struct t3d_err *err)
{
    memset(e, 0, sizeof *e);
    e->num = o->num;
    memcpy(e->key, o->key, T3D_ROWS_KEY);
    for (size_t t = 0; t < s->n_tables; t++) {
        struct t3di_rows_file *f = &s->table[t];
        const struct t3d_rows_block *k = &o->block[t];
        uint64_t rows = 0, bytes = 0;
        for (size_t i = 0; i < k->n_lines; i++) {
            const struct t3d_rows_line *l = &k->line[i];
            const char *comma = l->members[0] ? "," : "";
            FILE *to = b->f[t][T3DI_ROWS_INDEX];
            int n = f->runs ? fprintf(to, "{\"row\":%" PRIu64 ",\"n\":%zu%s", f->rows + rows, l->n,
                                      comma)
                            : fprintf(to, "{\"row\":%" PRIu64 "%s", f->rows + rows, comma);
            bytes += (uint64_t)n + strlen(l->members);
            fputs(l->members, to);
            bytes +=
                (uint64_t)fprintf(to, ",\"key\":\"%s\",\"num\":%" PRId64 "}\n", e->key, e->num);
            rows += f->runs ? l->n : 1;
        }
        if (rows > UINT32_MAX || bytes > UINT32_MAX)
            return t3d_err_set(err, T3D_FAIL, "too-large", "object %" PRId64 " has too many rows",
                               o->num);
        print_rows(b->f[t][T3DI_ROWS_DATA], f, k->row, rows);
        e->span[t] = (struct t3di_rows_span){f->rows, f->bytes, (uint32_t)rows, (uint32_t)bytes};
        f->rows += rows;
        f->bytes += bytes;
    }
    return T3D_OK;
}

static void print_note(FILE *to, const struct t3d_rows *s, const struct t3di_rows_entry *e,
                       const char *sum)
{
    fprintf(to, "{\"num\":%" PRId64 ",\"key\":\"%s\",\"sum\":\"%s\",\"at\":[", e->num, e->key, sum);
    for (size_t t = 0; t < s->n_tables; t++) {
        const struct t3di_rows_span *p = &e->span[t];
        fprintf(to, "%s%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu32, t ? "," : "", p->row, p->n,
                p->byte, p->bytes);
    }
    fputs("]}\n", to);
}

/* Data behind what the parts had: rows0 and bytes0 a table. */
static int write_data(struct t3d_rows *s, struct batch *b, const uint64_t (*from)[T3DI_ROWS_FILES],
                      struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t t = 0; t < s->n_tables; t++)
        for (int k = 0; k < T3DI_ROWS_FILES && r == T3D_OK; k++) {
            const struct t3di_rows_file *f = &s->table[t];
            if (!b->size[t][k])
                continue;
            if (lseek(f->fd[k], (off_t)from[t][k], SEEK_SET) < 0)
                r = t3d_err_sys(err, "cannot write", f->path[k].part);
            if (r == T3D_OK)
                r = t3d_write_all(f->fd[k], b->text[t][k], b->size[t][k], f->path[k].part, err);
        }
    return r;
}

/* Journal lines behind the data, whose sums are of the bytes as they are in the files. */
static int write_notes(struct t3d_rows *s, struct batch *b, const struct t3di_rows_entry *e,
                       size_t n, struct t3d_err *err)
{
    char sum[SUM + 1];
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = make_sum(s, &e[i], sum, err);
        if (r == T3D_OK)
            print_note(b->journal, s, &e[i], sum);
    }
    if (r == T3D_OK && batch_flush(b) < 0)
        r = t3d_err_nomem(err, "rows");
    if (r == T3D_OK && lseek(s->journal_fd, (off_t)s->journal_end, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot write", s->journal);
    if (r == T3D_OK)
        r = t3d_write_all(s->journal_fd, b->notes, b->notes_size, s->journal, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = note_entry(s, &e[i], err);
    if (r == T3D_OK)
        s->journal_end += b->notes_size;
    return r;
}

static int put_locked(struct t3d_rows *s, struct batch *b, const struct t3d_rows_object *o,
                      struct t3di_rows_entry *e, size_t n, struct t3d_err *err)
{
    uint64_t from[T3D_ROWS_TABLES][T3DI_ROWS_FILES];
    int r = T3D_OK;

    for (size_t t = 0; t < s->n_tables; t++) {
        from[t][T3DI_ROWS_DATA] = T3DI_NPY_HEAD + s->table[t].rows * s->table[t].row_bytes;
        from[t][T3DI_ROWS_INDEX] = s->table[t].bytes;
    }
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = print_object(s, b, &o[i], &e[i], err);
    for (size_t t = 0; t < s->n_tables && r == T3D_OK; t++)
        for (int k = 0; k < T3DI_ROWS_FILES; k++)
            if (fflush(b->f[t][k]) != 0 || ferror(b->f[t][k]))
                r = t3d_err_nomem(err, "rows");
    if (r == T3D_OK)
        r = write_data(s, b, (const uint64_t(*)[T3DI_ROWS_FILES])from, err);
    return r == T3D_OK ? write_notes(s, b, e, n, err) : r;
}

int t3d_rows_put(struct t3d_rows *s, const struct t3d_rows_object *o, size_t n, struct t3d_err *err)
{
    struct t3di_rows_entry *e = n ? malloc(n * sizeof *e) : NULL;
    struct batch b = {0};
    int r;

    if (!n)
        return T3D_OK;
    r = e ? batch_open(&b, s->n_tables, err) : t3d_err_nomem(err, "rows");
    if (r == T3D_OK)
        r = t3di_rows_lock(s, 1, err);
    if (r == T3D_OK) {
        r = put_locked(s, &b, o, e, n, err);
        if (r < 0) /* the ends in memory are no longer those of the journal: read it again */
            t3di_rows_close_files(s);
        t3di_rows_unlock(s);
    }
    batch_close(&b);
    free(e);
    return r;
}

/* --- open and close
 * -------------------------------------------------------------------------------- */

static char *path(struct t3d_rows *s, const char *name, const char *suffix, const char *ending)
{
    return t3d_sprintf(&s->arena, "%s/%s%s.%s", s->dir, name, suffix, ending);
}

static int name_table(struct t3d_rows *s, size_t i, const struct t3d_rows_table *t,
                      const char *suffix)
{
    static const char *const ending[] = {"npy", "ndjson"};
    struct t3di_rows_file *f = &s->table[i];
    int bad = 0;

    f->width = t->width;
    f->half = t->half;
    f->runs = t->runs;
    f->row_bytes = t->width * (t->half ? 2 : 4);
    f->fd[0] = f->fd[1] = -1;
    for (int k = 0; k < T3DI_ROWS_FILES; k++) {
        struct t3di_rows_path *p = &f->path[k];
        p->final = path(s, t->name, suffix, ending[k]);
        p->part = p->final ? t3d_sprintf(&s->arena, "%s.part", p->final) : NULL;
        p->next = p->final ? t3d_sprintf(&s->arena, "%s.new", p->final) : NULL;
        bad |= !p->final || !p->part || !p->next;
    }
    return bad ? -1 : 0;
}

/* SET.json is one canonical line; the set's hash is over it and what the tables look like. */
static int name_set(struct t3d_rows *s, const struct t3d_rows_options *o, const char *suffix,
                    struct t3d_err *err)
{
    char *text = t3d_json_text(o->about, 1);
    struct t3d_sha256 *h;
    int r = text ? t3d_sha256_new(&h, err) : t3d_err_nomem(err, "rows");

    if (r == T3D_OK) {
        s->text = t3d_sprintf(&s->arena, "%s\n", text);
        t3d_sha256_add_str(h, text);
        for (size_t t = 0; t < o->n_tables; t++) {
            uint32_t shape[] = {o->table[t].width, (uint32_t) !!o->table[t].half,
                                (uint32_t) !!o->table[t].runs};
            t3d_sha256_add_str(h, o->table[t].name);
            t3d_sha256_add(h, shape, sizeof shape);
        }
        t3d_sha256_end(h, s->set);
    }
    free(text);
    s->about.final = path(s, o->set, suffix, "json");
    s->about.next = path(s, o->set, suffix, "json.new");
    s->journal = path(s, o->set, suffix, "journal");
    s->lock = path(s, o->set, suffix, "lock");
    if (r == T3D_OK && (!s->text || !s->about.final || !s->about.next || !s->journal || !s->lock))
        r = t3d_err_nomem(err, "rows");
    return r;
}

static int set_up(struct t3d_rows *s, const struct t3d_rows_options *o, struct t3d_err *err)
{
    char suffix[32] = "";
    int r = T3D_OK;

    s->lock_fd = s->journal_fd = -1;
    s->limit = INT64_MAX;
    if (o->n_tables > T3D_ROWS_TABLES)
        return t3d_err_set(err, T3D_FAIL, "bad-set", "%zu tables of rows", o->n_tables);
    if (o->count > 1)
        snprintf(suffix, sizeof suffix, ".p%" PRIu32 "of%" PRIu32, o->index, o->count);
    s->dir = t3d_strdup(&s->arena, o->dir);
    if (!s->dir)
        return t3d_err_nomem(err, "rows");
    for (size_t t = 0; t < o->n_tables; t++) {
        if (!o->table[t].width || o->table[t].width > 1 << 20)
            return t3d_err_set(err, T3D_FAIL, "bad-set", "rows of width %" PRIu32,
                               o->table[t].width);
        if (name_table(s, t, &o->table[t], suffix) < 0)
            return t3d_err_nomem(err, "rows");
        s->n_tables = t + 1;
    }
    r = name_set(s, o, suffix, err);
    return r == T3D_OK ? t3d_make_dirs(o->dir, err) : r;
}

int t3d_rows_open(struct t3d_rows **out, const struct t3d_rows_options *o, struct t3d_err *err)
{
    struct t3d_rows *s = calloc(1, sizeof *s);
    int r;

    *out = NULL;
    if (!s)
        return t3d_err_nomem(err, "rows");
    r = set_up(s, o, err);
    if (r == T3D_OK) {
        t3di_remove_stale(s->dir);
        r = t3di_rows_lock(s, 0, err);
        if (r == T3D_OK)
            t3di_rows_unlock(s);
        r = r == T3D_END ? T3D_OK : r;
    }
    if (r == T3D_OK)
        r = t3di_rows_load(s, &s->old, &s->replaces, err);
    if (r < 0) {
        t3d_rows_close(s);
        return r;
    }
    *out = s;
    return T3D_OK;
}

void t3d_rows_close(struct t3d_rows *s)
{
    if (!s)
        return;
    t3di_rows_close_files(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->old.entry);
    free(s->part.entry);
    free(s->slot);
    t3d_arena_free(&s->arena);
    free(s);
}

const char *t3d_rows_replaces(const struct t3d_rows *s)
{
    return s->replaces;
}

void t3d_rows_limit(struct t3d_rows *s, int64_t end)
{
    s->limit = end;
}

/* Does the finished set hold objects at or above the limit? */
static int too_many(const struct t3d_rows *s)
{
    return s->old.n && s->old.entry[s->old.n - 1].num >= s->limit;
}

int t3d_rows_finish(struct t3d_rows *s, struct t3d_err *err)
{
    int r = t3di_rows_lock(s, too_many(s), err);

    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    return t3di_rows_merge(s, err);
}
