/* SPDX-License-Identifier: Apache-2.0 */
#include "store/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/tool.h"
#include "base/utf8.h"
#include "base/walk.h"
#include "store/archive_impl.h"

enum {
    IN_MEMORY = 32 << 20, /* members up to here become memory files, larger ones files on disk */
    COPY = 256 << 10,
    MAX_PARTS = 64,
    MAX_PART = 255
};

struct t3d_unpacker {
    struct t3d_sandbox *sandbox;
    struct t3di_unpack_library library; /* filled in the zygotes only */
    struct t3d_archive_limits limits;
};

/* --- names
 * ---------------------------------------------------------------------------------------- */

int t3d_archive_is(const char *name)
{
    size_t n = strlen(name);

    if (t3d_ending_in(name, "zip 7z tar tgz tbz tbz2 txz tzst"))
        return 1;
    while (n && name[n - 1] != '.')
        n--;
    return n > 5 && t3d_ending_in(name, "gz bz2 xz zst") &&
           strncasecmp(name + n - 5, ".tar.", 5) == 0;
}

static int unsafe(struct t3d_err *err, const char *why)
{
    return t3d_err_set(err, T3D_SKIP, "unsafe-name", "its name %s", why);
}

int t3d_archive_name(char *out, size_t size, const char *name, struct t3d_err *err)
{
    size_t n = strlen(name), k = 0, parts = 0;

    if (t3d_utf8_valid(name, n) != n)
        return t3d_err_set(err, T3D_SKIP, "bad-encoding",
                           "its name is not UTF-8: pack it anew with a current program");
    if (name[0] == '/' || (((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z') && name[1] == ':'))
        return unsafe(err, "is absolute");
    for (const char *s = name; *s;) {
        size_t part = strcspn(s, "/");

        if (part == 2 && s[0] == '.' && s[1] == '.')
            return unsafe(err, "leads out of the archive");
        if (part > MAX_PART || ++parts > MAX_PARTS || k + part + 2 > size)
            return unsafe(err, "is too long");
        for (size_t i = 0; i < part; i++)
            if (s[i] == '\\' || (unsigned char)s[i] < 0x20 || s[i] == 0x7f)
                return unsafe(err, "has a backslash or a control character");
        if (part && !(part == 1 && s[0] == '.')) {
            if (k)
                out[k++] = '/';
            memcpy(out + k, s, part);
            k += part;
        }
        s += part + (s[part] == '/');
    }
    if (!k)
        return unsafe(err, "is empty");
    out[k] = 0;
    return T3D_OK;
}

/* --- temporary files
 * ------------------------------------------------------------------------------ */

static int nameless(const char *folder, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path;
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && errno == ENOENT && t3d_make_dirs(folder, err) == T3D_OK)
        fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        path = t3d_sprintf(&a, "%s/spool.%ld.XXXXXX.tmp", folder, (long)getpid());
        fd = path ? mkostemps(path, 4, O_CLOEXEC) : -1;
        if (fd >= 0)
            unlink(path);
        t3d_arena_free(&a);
    }
    if (fd < 0)
        t3d_err_sys(err, "cannot make a temporary file in", folder);
    return fd;
}

/* --- open and close of the unpacker
 * --------------------------------------------------------------- */

int t3d_unpacker_open(struct t3d_unpacker **out, int slots, const struct t3d_archive_limits *limits,
                      struct t3d_err *err)
{
    struct t3d_unpacker *u = calloc(1, sizeof *u);
    struct t3d_sandbox_options o = {.run = t3di_unpack_main, .prepare = t3di_unpack_prepare};
    struct t3d_archive_limits *l;
    int r;

    *out = NULL;
    if (!u)
        return t3d_err_nomem(err, "the unpacker");
    l = &u->limits;
    *l = limits ? *limits : (struct t3d_archive_limits){0};
    l->members = l->members ? l->members : 1000000;
    l->member_bytes = l->member_bytes ? l->member_bytes : 1ull << 30;
    l->bytes = l->bytes ? l->bytes : 256ull << 30;
    l->ratio = l->ratio > 0 ? l->ratio : 200;
    l->depth = l->depth ? l->depth : 2;
    l->memory_bytes = l->memory_bytes ? l->memory_bytes : 1ull << 30;
    l->seconds = l->seconds > 0 ? l->seconds : 3600;
    o.ctx = &u->library;
    o.memory_bytes = l->memory_bytes;
    o.file_bytes = l->bytes;
    o.wall_s = o.cpu_s = l->seconds;
    r = t3d_sandbox_open(&u->sandbox, slots, &o, err);
    if (r < 0)
        free(u);
    else
        *out = u;
    return r;
}

void t3d_unpacker_close(struct t3d_unpacker *u)
{
    if (!u)
        return;
    t3d_sandbox_close(u->sandbox);
    free(u);
}

/* --- what the child says
 * -------------------------------------------------------------------------- */

struct listing {
    struct t3d_archive *a;
    size_t capacity, refused_capacity;
    uint64_t limit;
    int complete;
};

static void *grow(struct t3d_arena *a, void *old, size_t n, size_t *capacity, size_t size)
{
    size_t more = *capacity ? 2 * *capacity : 64;
    void *p;

    if (n < *capacity)
        return old;
    p = t3d_alloc(a, more, size);
    if (p && n)
        memcpy(p, old, n * size);
    if (p)
        *capacity = more;
    return p;
}

static char *printable(struct t3d_arena *a, const char *s)
{
    size_t n = strlen(s);
    char *p = t3d_strndup(a, s, T3D_MIN(n, (size_t)300));

    for (char *c = p; c && *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
    return p;
}

static int add_refused(struct listing *l, const char *name, const struct t3d_err *why)
{
    struct t3d_archive *a = l->a;
    void *p = grow(&a->arena, a->refused, a->n_refused, &l->refused_capacity, sizeof *a->refused);
    char *copy = printable(&a->arena, name);

    if (!p || !copy)
        return -1;
    a->refused = p;
    a->refused[a->n_refused++] = (struct t3d_archive_refused){copy, *why};
    return 0;
}

static int add_member(struct listing *l, const struct t3di_note *note, const char *name,
                      struct t3d_err *err)
{
    struct t3d_archive *a = l->a;
    char plain[T3DI_ARCHIVE_NAME], *copy;
    void *p;

    /* What the child says is checked as if it came from the archive's author. */
    if (t3d_archive_name(plain, sizeof plain, name, NULL) < 0 || strcmp(plain, name) != 0)
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the unpacker gave an unsafe name");
    p = grow(&a->arena, a->member, a->n, &l->capacity, sizeof *a->member);
    copy = t3d_strdup(&a->arena, name);
    if (!p || !copy)
        return t3d_err_nomem(err, "the archive's members");
    a->member = p;
    a->member[a->n++] = (struct t3d_archive_member){copy, note->offset, note->size};
    return T3D_OK;
}

/* An error of the child as ours: a word and a line of text. */
static int told(const struct t3di_note *note, struct t3d_err *err)
{
    char reason[sizeof note->reason], msg[sizeof note->msg];
    size_t n;

    snprintf(reason, sizeof reason, "%.31s", note->reason);
    snprintf(msg, sizeof msg, "%.319s", note->msg);
    n = strspn(reason, "abcdefghijklmnopqrstuvwxyz0123456789-");
    for (char *c = msg; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c == 0x7f)
            *c = '?';
    if (!n || reason[n])
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the unpacker gave a malformed reason");
    return t3d_err_value(err, T3D_SKIP, reason, note->value, "%s", msg);
}

static int take_note(struct listing *l, const char *msg, size_t n, struct t3d_err *err)
{
    struct t3di_note note;
    const char *name = msg + sizeof note;
    struct t3d_err why;

    if (n <= sizeof note || memchr(name, 0, n - sizeof note) == NULL ||
        l->a->n + l->a->n_refused > l->limit)
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the unpacker talks nonsense");
    memcpy(&note, msg, sizeof note);
    switch (note.kind) {
    case T3DI_MEMBER:
        return add_member(l, &note, name, err);
    case T3DI_REFUSED:
        told(&note, &why);
        return add_refused(l, name, &why) < 0 ? t3d_err_nomem(err, "the archive's members")
                                              : T3D_OK;
    case T3DI_COUNTS:
        l->a->hidden = note.offset;
        l->a->other = note.size;
        l->complete = 1;
        return T3D_OK;
    default:
        return told(&note, err);
    }
}

/* Until the archive is read. */
static int converse(struct t3d_unpacker *u, int slot, struct listing *l, struct t3d_err *err)
{
    char msg[T3D_SANDBOX_MESSAGE];
    size_t n;
    int r, failed = T3D_OK;

    while ((r = t3d_sandbox_receive(u->sandbox, slot, msg, sizeof msg, &n, err)) == T3D_OK) {
        if (!failed && (failed = take_note(l, msg, n, err)) < 0 &&
            strcmp(err->reason, "parser-crashed") == 0) {
            t3d_sandbox_abandon(u->sandbox, slot);
            return failed;
        }
        if (t3d_stop_requested()) {
            t3d_sandbox_abandon(u->sandbox, slot);
            return T3D_END;
        }
    }
    if (failed < 0 || r < 0)
        return failed < 0 ? failed : r;
    return l->complete ? T3D_OK
                       : t3d_err_set(err, T3D_SKIP, "parser-crashed", "the unpacker gave no list");
}

/* --- the list
 * ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct t3d_archive_member *)a)->name,
                  ((const struct t3d_archive_member *)b)->name);
}

static int by_folded(const void *a, const void *b)
{
    const char *x = ((const struct t3d_archive_member *)a)->name,
               *y = ((const struct t3d_archive_member *)b)->name;
    int r = strcasecmp(x, y);

    return r ? r : strcmp(x, y);
}

/* Of names that are one on some system, which is meant cannot be known: none is taken. */
static int drop_collisions(struct listing *l, struct t3d_err *err)
{
    struct t3d_archive *a = l->a;
    struct t3d_archive_member *m = a->member;
    size_t kept = 0;

    if (a->n)
        qsort(m, a->n, sizeof *m, by_folded);
    for (size_t i = 0, end; i < a->n; i = end) {
        for (end = i + 1; end < a->n && strcasecmp(m[i].name, m[end].name) == 0; end++)
            ;
        for (size_t k = i; k < end && end - i > 1; k++) {
            int same = strcmp(m[k].name, m[k > i ? k - 1 : k + 1].name) == 0 ||
                       (k > i && k + 1 < end && strcmp(m[k].name, m[k + 1].name) == 0);
            struct t3d_err why;

            t3d_err_value(&why, T3D_SKIP, same ? "duplicate-name" : "case-collision",
                          (double)(end - i),
                          same ? "%zu members have this name: which one is meant?"
                               : "%zu members have this name but for the case of its letters",
                          end - i);
            if (add_refused(l, m[k].name, &why) < 0)
                return t3d_err_nomem(err, "the archive's members");
        }
        if (end - i == 1)
            m[kept++] = m[i];
    }
    a->n = kept;
    if (a->n)
        qsort(m, a->n, sizeof *m, by_name);
    return T3D_OK;
}

static int check_places(const struct t3d_archive *a, struct t3d_err *err)
{
    struct stat st;

    if (fstat(a->spool, &st) < 0)
        return t3d_err_sys(err, "cannot look at", "the unpacked archive");
    for (size_t i = 0; i < a->n; i++)
        if (a->member[i].offset > (uint64_t)st.st_size ||
            a->member[i].size > (uint64_t)st.st_size - a->member[i].offset)
            return t3d_err_set(err, T3D_SKIP, "parser-crashed",
                               "the unpacker gave a member that it has not written");
    return T3D_OK;
}

/* A full disk ends the run; the child alone is not believed. */
static int disk_is_full(int fd)
{
    struct statvfs v;

    return fstatvfs(fd, &v) == 0 && v.f_bavail * v.f_frsize < 16u << 20;
}

static int read_archive(struct t3d_archive *a, struct t3d_unpacker *u, int slot, int fd,
                        const char *name, struct t3d_err *err)
{
    struct listing l = {.a = a, .limit = u->limits.members};
    struct t3di_unpack q;
    int fds[2] = {fd, a->spool}, r;
    struct stat st;

    memset(&q, 0, sizeof q);
    q.limits = u->limits;
    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    if (!S_ISREG(st.st_mode))
        return t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", name);
    q.size = (uint64_t)st.st_size;
    r = t3d_sandbox_send(u->sandbox, slot, &q, sizeof q, fds, 2, err);
    if (r == T3D_OK)
        r = converse(u, slot, &l, err);
    if (r == T3D_SKIP && strcmp(err->reason, "disk-full") == 0 && disk_is_full(a->spool))
        return t3d_err_set(err, T3D_IO, "disk-full",
                           "no room in the workspace to unpack '%s': free some and run it again",
                           name);
    if (r == T3D_OK)
        r = drop_collisions(&l, err);
    if (r == T3D_OK)
        r = check_places(a, err);
    return r;
}

int t3d_archive_open(struct t3d_archive **out, struct t3d_unpacker *u, int slot, int fd,
                     const char *name, const char *folder, struct t3d_err *err)
{
    struct t3d_archive *a = calloc(1, sizeof *a);
    int r;

    *out = NULL;
    if (!a)
        return t3d_err_nomem(err, name);
    a->spool = -1;
    a->folder = t3d_strdup(&a->arena, folder);
    if (!a->folder)
        r = t3d_err_nomem(err, name);
    else
        r = (a->spool = nameless(folder, err)) < 0 ? err->code : T3D_OK;
    if (r == T3D_OK)
        r = read_archive(a, u, slot, fd, name, err);
    if (r != T3D_OK) {
        if (r == T3D_SKIP)
            t3d_err_prefix(err, "archive '%.200s'", name);
        t3d_archive_close(a);
        return r;
    }
    *out = a;
    return T3D_OK;
}

void t3d_archive_close(struct t3d_archive *a)
{
    if (!a)
        return;
    if (a->spool >= 0)
        close(a->spool);
    t3d_arena_free(&a->arena);
    free(a);
}

/* --- members
 * -------------------------------------------------------------------------------------- */

const struct t3d_archive_member *t3d_archive_find(const struct t3d_archive *a, const char *name)
{
    struct t3d_archive_member key = {.name = name};

    return a->n ? bsearch(&key, a->member, a->n, sizeof key, by_name) : NULL;
}

static int copy(int from, int to, const struct t3d_archive_member *m, struct t3d_err *err)
{
    char *block = malloc(COPY);
    int r = block ? T3D_OK : t3d_err_nomem(err, m->name);

    for (uint64_t done = 0; r == T3D_OK && done < m->size;) {
        size_t n = (size_t)T3D_MIN(m->size - done, (uint64_t)COPY);
        ssize_t k = pread(from, block, n, (off_t)(m->offset + done));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            r = t3d_err_sys(err, "cannot read the unpacked", m->name);
        else
            r = t3d_write_all(to, block, (size_t)k, m->name, err);
        done += k > 0 ? (uint64_t)k : 0;
    }
    free(block);
    return r;
}

int t3d_archive_member(const struct t3d_archive *a, const struct t3d_archive_member *m,
                       struct t3d_err *err)
{
    int fd = -1;

    if (m->size <= IN_MEMORY)
        fd = memfd_create("t3d-member", MFD_CLOEXEC);
    if (fd < 0)
        fd = nameless(a->folder, err);
    if (fd < 0)
        return -1;
    if (copy(a->spool, fd, m, err) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int t3d_archive_resolve(void *ctx, const char *name, struct t3d_err *err)
{
    const struct t3d_archive_place *p = ctx;
    const char *main = p->member->name, *base = t3d_path_base(main);
    char full[2 * T3DI_ARCHIVE_NAME], plain[T3DI_ARCHIVE_NAME];
    const struct t3d_archive_member *m = NULL;
    struct t3d_err why;

    if (t3d_archive_name(plain, sizeof plain, name, &why) < 0) {
        t3d_err_set(err, T3D_SKIP, "unsafe-name",
                    "'%.200s' is not a name inside the object's folder", name);
        return -1;
    }
    snprintf(full, sizeof full, "%.*s%s", (int)(base - main), main, plain);
    m = t3d_archive_find(p->archive, full);
    if (!m) {
        t3d_err_set(err, T3D_SKIP, "missing-file", "'%.200s' is not in the archive", full);
        return -1;
    }
    return t3d_archive_member(p->archive, m, err);
}
