/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/import.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "base/walk.h"
#include "geom/import_impl.h"
#include "geom/read.h"

enum {
    HEADER = 4096,    /* of the result file; the packed scene follows, page-aligned */
    MAX_NAME = 3072,  /* of an external file, and of the main file's ending */
    MAX_FILES = 4096, /* external files of one object */
    /* Files and results up to here are copied, larger ones are mapped: a copy within the cache is
     * cheaper than page tables, faults and, with many threads, the interrupts of an unmapping. */
    COPIED = 256 << 10,
    /* An arena above this goes back to the system after the object, and the child with it. */
    KEPT = 16 << 20
};

enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

/* Caller to child, with the file and the memfd for the result. */
struct request {
    uint64_t size;
    uint32_t flags;
    char name[64]; /* last part of the path: the ending decides between formats without a magic
                      number */
};

/* Child to caller: a name, NUL-terminated. The answer, with the file. */
struct answer {
    int32_t code;
    uint64_t size;
    char reason[64], msg[512];
};

/* At the start of the result file. */
struct result {
    uint64_t packed_size;
    struct t3d_err err; /* code T3D_OK: a scene follows */
};

/* Each child has a copy of its own; the arena is used in children only. */
struct parser {
    struct t3d_import_limits limits;
    struct t3d_arena arena;
    int threads;
};

/* A thread has two slots of the sandbox: its number, and `threads` more for formats that another
 * library reads, which is loaded there alone. */
struct t3d_importer {
    struct t3d_sandbox *sandbox;
    struct parser parser;
};

/* --- in the child --------------------------------------------------------------------------------
 */

/* A mapping that ends with the request. */
struct mapping {
    struct mapping *next;
    void *at;
    size_t size;
};

struct child {
    struct t3d_sandbox_child *c;
    struct t3d_arena *arena;
    struct mapping *mappings;
};

static int read_all(int fd, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)done);
        if (n == 0)
            memset((char *)to + done, 0, size - done); /* shorter than it was */
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -1;
        done += n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* The bytes of a file until the request ends; fd is closed. */
static int load(struct child *ch, struct t3d_blob *b, int fd, uint64_t size)
{
    struct mapping *m = t3d_alloc_raw(ch->arena, 1, sizeof *m);
    void *to = m;
    int r = m ? 0 : -1;

    if (r == 0 && size > COPIED) {
        /* The parser may need a part only: no MAP_POPULATE. */
        to = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        r = to == MAP_FAILED ? -1 : 0;
        if (r == 0) {
            *m = (struct mapping){ch->mappings, to, (size_t)size};
            ch->mappings = m;
        }
    } else if (r == 0) {
        to = t3d_alloc_raw(ch->arena, (size_t)size, 1);
        r = to ? read_all(fd, to, (size_t)size) : -1;
    }
    t3d_sandbox_child_close(ch->c, fd);
    *b = (struct t3d_blob){.data = to, .size = (size_t)size};
    return r;
}

/* t3d_source.open: ask the caller for an external file. */
static int ask(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    struct child *ch = ctx;
    struct answer a = {.code = T3D_OK};
    size_t n = strlen(name) + 1;
    int fds[T3D_SANDBOX_FDS];

    if (n > MAX_NAME)
        return t3d_err_set(err, T3D_SKIP, "unsafe-name", "the name of a file has %zu bytes", n - 1);
    if (t3d_sandbox_child_send(ch->c, name, n) < 0 ||
        t3d_sandbox_child_receive(ch->c, &a, sizeof a, fds) != (long)sizeof a)
        _exit(1);
    if (a.code != T3D_OK)
        return t3d_err_set(err, a.code, a.reason, "%s", a.msg);
    return load(ch, out, fds[0], a.size) < 0 ? t3d_err_nomem(err, name) : T3D_OK;
}

static void fill(struct result *res, size_t packed, const struct t3d_scene *s, int code,
                 const struct t3d_err *err)
{
    memset(res, 0, HEADER);
    res->packed_size = packed;
    if (code == T3D_OK)
        t3d_scene_pack(s, (char *)res + HEADER);
    else
        res->err = *err;
}

static int write_result(struct child *ch, int fd, size_t size, const struct t3d_scene *s, int code,
                        const struct t3d_err *err)
{
    struct result *res = t3d_alloc_raw(ch->arena, size, 1);

    if (!res)
        return -1;
    fill(res, size - HEADER, s, code, err);
    return pwrite(fd, res, size, 0) == (ssize_t)size ? 0 : -1;
}

static int map_result(int fd, size_t size, const struct t3d_scene *s, int code,
                      const struct t3d_err *err)
{
    struct result *res;

    if (ftruncate(fd, (off_t)size) < 0)
        return -1;
    res = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (res == MAP_FAILED)
        return -1;
    fill(res, size - HEADER, s, code, err);
    return munmap(res, size);
}

static int give_result(struct child *ch, int fd, const struct t3d_scene *s, int code,
                       const struct t3d_err *err)
{
    size_t packed = code == T3D_OK ? t3d_scene_packed_size(s) : 0, size = HEADER + packed;
    int r;

    if (packed > SIZE_MAX - HEADER)
        return T3D_SANDBOX_NO_MEMORY;
    r = size > COPIED ? map_result(fd, size, s, code, err)
                      : write_result(ch, fd, size, s, code, err);
    /* The caller insists on the seals. Set from the processor that has the pages in its lists they
     * cost 2 us; from another, the kernel empties the lists of all. */
    if (r == 0)
        fcntl(fd, F_ADD_SEALS, SEALS);
    return r == 0 ? 0 : T3D_SANDBOX_NO_MEMORY;
}

static int serve(struct child *ch, const struct t3d_import_limits *limits)
{
    struct request q;
    struct t3d_source src = {.name = q.name, .open = ask, .ctx = ch};
    struct t3d_scene scene;
    struct t3d_blob in;
    struct t3d_err err = {.code = T3D_OK};
    int fds[T3D_SANDBOX_FDS], r;

    if (t3d_sandbox_child_receive(ch->c, &q, sizeof q, fds) != (long)sizeof q)
        return 1;
    if (load(ch, &in, fds[0], q.size) < 0)
        return T3D_SANDBOX_NO_MEMORY;
    src.data = in.data;
    src.size = in.size;
    r = t3d_read_scene(&scene, ch->arena, &src, q.flags, &err);
    if (r < 0 && strcmp(err.reason, "out-of-memory") == 0)
        return T3D_SANDBOX_NO_MEMORY;
    if (r == T3D_OK && t3d_scene_packed_size(&scene) > limits->output_bytes)
        r = t3d_err_value(&err, T3D_SKIP, "too-large", (double)t3d_scene_packed_size(&scene),
                          "the scene takes %zu bytes, more than the limit of %llu",
                          t3d_scene_packed_size(&scene), (unsigned long long)limits->output_bytes);
    return give_result(ch, fds[1], &scene, r, &err);
}

static int child_main(struct t3d_sandbox_child *c, void *ctx)
{
    struct parser *p = ctx;
    struct child ch = {.c = c, .arena = &p->arena};
    int r = serve(&ch, &p->limits);

    for (struct mapping *m = ch.mappings; m; m = m->next)
        munmap(m->at, m->size);
    if (p->arena.used > KEPT) {
        t3d_arena_free(&p->arena);
        t3d_sandbox_child_retire(c);
    }
    t3d_arena_reset(&p->arena);
    return r;
}

static void prepare(void *ctx, int slot)
{
    const struct parser *p = ctx;

    if (slot >= p->threads)
        t3d_read_other_load(); /* what is missing is said when such a file comes */
}

/* --- open and close ------------------------------------------------------------------------------
 */

static struct t3d_import_limits with_defaults(const struct t3d_import_limits *limits)
{
    struct t3d_import_limits l = limits ? *limits : (struct t3d_import_limits){0};

    l.memory_bytes = l.memory_bytes ? l.memory_bytes : 4ull << 30;
    l.output_bytes = l.output_bytes ? l.output_bytes : 2ull << 30;
    l.input_bytes = l.input_bytes ? l.input_bytes : 1ull << 30;
    l.wall_s = l.wall_s > 0 ? l.wall_s : 60;
    l.cpu_s = l.cpu_s > 0 ? l.cpu_s : 60;
    return l;
}

int t3di_importer_open(struct t3d_importer **im, int threads,
                       const struct t3d_import_limits *limits, t3d_sandbox_main *run,
                       struct t3d_err *err)
{
    struct t3d_importer *i = calloc(1, sizeof *i);
    struct t3d_sandbox_options o = {.run = run, .prepare = prepare};
    int r;

    *im = NULL;
    if (!i)
        return t3d_err_nomem(err, "the importer");
    i->parser.limits = with_defaults(limits);
    i->parser.arena.limit = i->parser.limits.memory_bytes;
    i->parser.threads = T3D_MAX(threads, 1);
    o.ctx = &i->parser;
    o.memory_bytes = i->parser.limits.memory_bytes;
    o.file_bytes = i->parser.limits.output_bytes + HEADER;
    o.cpu_s = i->parser.limits.cpu_s;
    o.wall_s = i->parser.limits.wall_s;
    r = t3d_sandbox_open(&i->sandbox, 2 * i->parser.threads, &o, err);
    if (r < 0)
        free(i);
    else
        *im = i;
    return r;
}

int t3d_importer_open(struct t3d_importer **im, int threads, const struct t3d_import_limits *limits,
                      struct t3d_err *err)
{
    return t3di_importer_open(im, threads, limits, child_main, err);
}

void t3d_importer_close(struct t3d_importer *im)
{
    if (!im)
        return;
    t3d_sandbox_close(im->sandbox);
    free(im);
}

int t3d_importer_has_seccomp(const struct t3d_importer *im)
{
    return t3d_sandbox_has_seccomp(im->sandbox);
}

/* --- import
 * ---------------------------------------------------------------------------------------- */

/* One import under way. */
struct call {
    struct t3d_importer *im;
    int slot;
    t3d_import_resolve *resolve;
    void *ctx;
    uint64_t bytes; /* of all files so far */
    unsigned n_files;
};

/* Size of a regular file within the limit on all files of the object. */
static int measure(struct call *c, int fd, const char *name, uint64_t *size, struct t3d_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    if (!S_ISREG(st.st_mode))
        return t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", name);
    *size = (uint64_t)st.st_size;
    c->bytes += *size;
    if (c->bytes > c->im->parser.limits.input_bytes)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)c->bytes,
                             "with '%s' the object has %llu bytes, more than the limit of %llu",
                             name, (unsigned long long)c->bytes,
                             (unsigned long long)c->im->parser.limits.input_bytes);
    return T3D_OK;
}

static int open_main(struct call *c, const char *path, int *fd, uint64_t *size, struct t3d_err *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s' does not exist", path);
    if (*fd < 0)
        return t3d_err_set(err, T3D_SKIP, "unreadable-file", "cannot open '%s': %s", path,
                           strerror(errno));
    return measure(c, *fd, path, size, err);
}

/* Answer the child's question for a file. */
static int resolve_one(struct call *c, const char *name, struct t3d_err *err)
{
    struct answer a;
    struct t3d_err why = {.reason = "missing-file"};
    int fd = -1, r;

    memset(&a, 0, sizeof a);
    if (c->resolve)
        fd = c->resolve(c->ctx, name, &why);
    else
        t3d_err_set(&why, T3D_SKIP, "missing-file", "'%s' is outside the file", name);
    a.code = fd < 0 ? T3D_SKIP : measure(c, fd, name, &a.size, &why);
    if (a.code != T3D_OK) {
        a.code = T3D_SKIP;
        snprintf(a.reason, sizeof a.reason, "%s", why.reason);
        snprintf(a.msg, sizeof a.msg, "%s", why.msg);
    }
    r = t3d_sandbox_send(c->im->sandbox, c->slot, &a, sizeof a, &fd, a.code == T3D_OK, err);
    if (fd >= 0)
        close(fd);
    return r;
}

/* Until the request is served (T3D_OK) or the child is gone. */
static int converse(struct call *c, struct t3d_err *err)
{
    char name[T3D_SANDBOX_MESSAGE + 1];
    size_t n;
    int r;

    while ((r = t3d_sandbox_receive(c->im->sandbox, c->slot, name, sizeof name - 1, &n, err)) ==
           T3D_OK) {
        name[n] = 0;
        if (++c->n_files > MAX_FILES)
            r = t3d_err_set(err, T3D_SKIP, "too-many-files", "the object names more than %d files",
                            MAX_FILES);
        else
            r = resolve_one(c, name, err);
        if (r < 0) {
            t3d_sandbox_abandon(c->im->sandbox, c->slot);
            return r;
        }
    }
    return r == T3D_END ? T3D_OK : r;
}

/* Reasons are words of [a-z0-9-], and messages are printable: the child may be in hostile hands. */
static int child_error(const struct t3d_err *from, struct t3d_err *err)
{
    struct t3d_err e = *from;
    size_t n;

    e.reason[sizeof e.reason - 1] = 0;
    e.msg[sizeof e.msg - 1] = 0;
    n = strspn(e.reason, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || e.reason[n])
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser gave a malformed reason");
    return t3d_err_value(err, T3D_SKIP, e.reason, e.value, "%s", e.msg);
}

/* With these seals in force nobody can change the file behind our checks: the kernel gives
 * F_SEAL_WRITE only when no writable mapping is left, and allows no other afterwards. */
static int is_sealed(int fd)
{
    return fcntl(fd, F_GET_SEALS) == SEALS || fcntl(fd, F_ADD_SEALS, SEALS) == 0;
}

static int load_result(struct t3d_imported *out, int fd)
{
    if (out->map_size > COPIED) {
        void *map = mmap(NULL, out->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        out->map = map == MAP_FAILED ? NULL : map;
    } else {
        out->map = aligned_alloc(64, (out->map_size + 63) & ~(size_t)63);
        if (out->map && read_all(fd, out->map, out->map_size) < 0) {
            free(out->map);
            out->map = NULL;
        }
    }
    return out->map ? 0 : -1;
}

static int take_result(struct call *c, int fd, struct t3d_imported *out, struct t3d_err *err)
{
    struct result res;
    struct stat st;
    int r;

    if (!is_sealed(fd))
        return t3d_err_set(err, T3D_SKIP, "parser-crashed",
                           "the parser kept a hold on its result, which is therefore refused");
    if (fstat(fd, &st) < 0 || st.st_size < HEADER ||
        (uint64_t)st.st_size > HEADER + c->im->parser.limits.output_bytes)
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser gave no result");
    out->map_size = (size_t)st.st_size;
    if (load_result(out, fd) < 0)
        return t3d_err_nomem(err, "the parser's result");
    memcpy(&res, out->map, sizeof res);
    if (res.err.code != T3D_OK)
        r = child_error(&res.err, err);
    else if (res.packed_size != out->map_size - HEADER)
        r = t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser's result has a false size");
    else
        r = t3d_scene_unpack(&out->scene, (char *)out->map + HEADER, out->map_size - HEADER, err);
    if (r < 0)
        t3d_imported_close(out);
    return r;
}

int t3d_import(struct t3d_importer *im, int thread, const char *path, t3d_import_resolve *resolve,
               void *ctx, unsigned flags, struct t3d_imported *out, struct t3d_err *err)
{
    int other = t3d_ending_in(path, T3D_OTHER_FORMATS);
    struct call c = {.im = im,
                     .slot = thread + (other ? im->parser.threads : 0),
                     .resolve = resolve,
                     .ctx = ctx};
    struct request q;
    int fd[2] = {-1, -1}, r;
    const char *base = t3d_path_base(path);
    size_t n = strlen(base);

    memset(out, 0, sizeof *out);
    memset(&q, 0, sizeof q);
    q.flags = flags;
    /* The end of a long name counts: it holds the ending. */
    snprintf(q.name, sizeof q.name, "%s", n < sizeof q.name ? base : base + n - sizeof q.name + 1);
    r = open_main(&c, path, &fd[0], &q.size, err);
    if (r == T3D_OK && (fd[1] = memfd_create("t3d-scene", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0)
        r = t3d_err_sys(err, "cannot make a memory file for", path);
    if (r == T3D_OK)
        r = t3d_sandbox_send(im->sandbox, c.slot, &q, sizeof q, fd, 2, err);
    if (r == T3D_OK)
        r = converse(&c, err);
    if (r == T3D_OK && (r = take_result(&c, fd[1], out, err)) < 0)
        t3d_sandbox_retire(im->sandbox, c.slot);
    for (int i = 0; i < 2; i++)
        if (fd[i] >= 0)
            close(fd[i]);
    return r;
}

void t3d_imported_close(struct t3d_imported *i)
{
    if (i->map_size > COPIED && i->map)
        munmap(i->map, i->map_size);
    else
        free(i->map);
    memset(i, 0, sizeof *i);
}

/* --- files beside the main file
 * -------------------------------------------------------------------- */

/* A name that could lead out of the folder on any system. */
static int is_unsafe(const char *name)
{
    const char *s = name;
    int drive = ((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z') && name[1] == ':';

    if (!*name || *name == '/' || *name == '\\' || drive)
        return 1;
    for (; *s; s++) {
        int starts = s == name || s[-1] == '/' || s[-1] == '\\';
        int ends = s[0] == '.' && s[1] == '.' && (!s[2] || s[2] == '/' || s[2] == '\\');
        if ((unsigned char)*s < 0x20 || *s == 0x7f || (starts && ends))
            return 1;
    }
    return 0;
}

/* openat2 keeps the walk below the folder in the kernel, links included. Kernels before 5.6 do not
 * have it: there, compare the real paths. */
static int open_beneath(const char *folder, const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int dir = open(*folder ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (dir < 0)
        return -1;
    fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        char *top = realpath(*folder ? folder : ".", NULL), *real = NULL, *joined = NULL;
        int e = EXDEV;
        if (top && asprintf(&joined, "%s/%s", top, name) >= 0 && (real = realpath(joined, NULL))) {
            size_t n = strlen(top);
            if (strncmp(top, real, n) == 0 && (real[n] == '/' || n == 1))
                e = (fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)) < 0 ? errno
                                                                                          : 0;
        } else {
            e = errno;
        }
        free(top);
        free(real);
        free(joined);
        errno = e;
    }
    {
        int e = errno;
        close(dir);
        errno = e;
    }
    return fd;
}

int t3d_import_resolve_folder(void *ctx, const char *name, struct t3d_err *err)
{
    const char *folder = ctx;
    struct stat st;
    int fd;

    if (is_unsafe(name))
        return t3d_err_set(err, T3D_SKIP, "unsafe-name",
                           "'%s' is not a name inside the object's folder", name);
    fd = open_beneath(folder, name);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return t3d_err_set(err, T3D_SKIP, "unsafe-name", "'%s' leaves the object's folder", name);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
        return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s' does not exist", name);
    if (fd < 0)
        return t3d_err_set(err, T3D_SKIP, "unreadable-file", "cannot open '%s': %s", name,
                           strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", name);
    }
    return fd;
}
