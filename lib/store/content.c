/* SPDX-License-Identifier: Apache-2.0 */
#include "store/content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/manifest.h"

enum { BLOCK = 1 << 20, MAX_PARTS_BYTES = 64 << 20 };

void t3d_content_ending(const char *name, char ending[16])
{
    const char *s = t3d_path_ending(name);
    size_t n = strlen(s);

    ending[0] = 0;
    if (n == 0 || n > 15)
        return;
    for (size_t i = 0; i <= n; i++) {
        char c = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
        if (c && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) {
            ending[0] = 0;
            return;
        }
        ending[i] = c;
    }
}

char *t3d_content_path(struct t3d_arena *a, const char *workspace, const char *sha256,
                       const char *ending)
{
    return t3d_sprintf(a, "%s/objects/%.2s/%s%s%s", workspace, sha256, sha256, *ending ? "." : "",
                       ending);
}

/* A new file in objects/ that becomes <sha256>.<ending> by rename: the hash is known at the end
 * only. */
struct incoming {
    struct t3d_arena arena;
    const char *workspace;
    char *tmp;
    int fd;
};

static int incoming_open(struct incoming *in, const char *workspace, struct t3d_err *err)
{
    static atomic_uint serial;
    int r;

    memset(in, 0, sizeof *in);
    in->fd = -1;
    in->workspace = workspace;
    in->tmp = t3d_sprintf(&in->arena, "%s/objects/new.%ld.%u.tmp", workspace, (long)getpid(),
                          atomic_fetch_add(&serial, 1));
    if (!in->tmp)
        return t3d_err_nomem(err, "the content store");
    in->fd = open(in->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (in->fd < 0 && errno == ENOENT) { /* the first file */
        r = t3d_make_parent(in->tmp, err);
        if (r < 0)
            return r;
        in->fd = open(in->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    return in->fd < 0 ? t3d_err_sys(err, "cannot create", in->tmp) : T3D_OK;
}

static void incoming_close(struct incoming *in)
{
    if (in->fd >= 0) {
        close(in->fd);
        unlink(in->tmp);
    }
    t3d_arena_free(&in->arena);
}

static int same_size(const char *path, uint64_t size)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

/* The folder of the first two digits is made when it is needed: it is there nearly always. */
static int move_into_place(const char *from, const char *to)
{
    if (rename(from, to) == 0)
        return 0;
    if (errno != ENOENT || t3d_make_parent(to, NULL) < 0)
        return -1;
    return rename(from, to);
}

static int incoming_keep(struct incoming *in, const char *sha256, const char *ending, uint64_t size,
                         struct t3d_err *err)
{
    char *path = t3d_content_path(&in->arena, in->workspace, sha256, ending);

    if (!path)
        return t3d_err_nomem(err, "the content store");
    if (same_size(path, size))
        return T3D_OK;
    if (fchmod(in->fd, 0444) < 0 || move_into_place(in->tmp, path) < 0)
        return t3d_err_sys(err, "cannot put into the content store:", path);
    close(in->fd);
    in->fd = -1;
    return T3D_OK;
}

/* Hash what comes from fd; and write it to out unless that is -1. */
static int hash_fd(int fd, int out, const char *name, const char *out_name, char sha256[65],
                   uint64_t *size, struct t3d_err *err)
{
    unsigned char *block = malloc(BLOCK);
    struct t3d_sha256 *h = NULL;
    int r = block ? t3d_sha256_new(&h, err) : t3d_err_nomem(err, name);

    *size = 0;
    while (r == T3D_OK) {
        ssize_t k = pread(fd, block, BLOCK, (off_t)*size);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            r = t3d_err_sys(err, "cannot read", name);
        if (k <= 0)
            break;
        t3d_sha256_add(h, block, (size_t)k);
        *size += (uint64_t)k;
        if (out >= 0)
            r = t3d_write_all(out, block, (size_t)k, out_name, err);
    }
    if (r == T3D_OK)
        t3d_sha256_end(h, sha256);
    else if (h)
        t3d_sha256_free(h);
    free(block);
    return r;
}

static int check_ending(const char *ending, const char *name, struct t3d_err *err)
{
    char full[24], clean[16];

    snprintf(full, sizeof full, "x.%s", ending);
    t3d_content_ending(full, clean);
    if (strcmp(clean, ending) == 0)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "bad-ending",
                       "'%s': the ending '%.40s' is not 1 to 15 of a-z 0-9", name, ending);
}

int t3d_content_add_fd(const char *workspace, int fd, const char *name, const char *ending,
                       char sha256[65], uint64_t *size, struct t3d_err *err)
{
    struct incoming in;
    struct stat st;
    int r = check_ending(ending, name, err);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    if (!S_ISREG(st.st_mode))
        return t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", name);
    r = incoming_open(&in, workspace, err);
    if (r == T3D_OK) {
        /* A reflink shares the blocks and is then hashed: what is named is what is stored, also
         * when someone writes to the source meanwhile. Elsewhere: one pass, hashing what is
         * written. */
        if (ioctl(in.fd, FICLONE, fd) == 0)
            r = hash_fd(in.fd, -1, name, in.tmp, sha256, size, err);
        else
            r = hash_fd(fd, in.fd, name, in.tmp, sha256, size, err);
    }
    if (r == T3D_OK)
        r = incoming_keep(&in, sha256, ending, *size, err);
    incoming_close(&in);
    return r;
}

int t3d_content_put(const char *workspace, const void *data, size_t n, const char *ending,
                    const char *sha256, struct t3d_err *err)
{
    struct incoming in;
    char *path;
    int r = check_ending(ending, "data", err), there;

    if (r < 0)
        return r;
    memset(&in, 0, sizeof in);
    path = t3d_content_path(&in.arena, workspace, sha256, ending);
    there = path && same_size(path, n);
    t3d_arena_free(&in.arena);
    if (there)
        return T3D_OK;
    r = incoming_open(&in, workspace, err);
    if (r == T3D_OK)
        r = t3d_write_all(in.fd, data, n, in.tmp, err);
    if (r == T3D_OK)
        r = incoming_keep(&in, sha256, ending, n, err);
    incoming_close(&in);
    return r;
}

int t3d_content_add(const char *workspace, const void *data, size_t n, const char *ending,
                    char sha256[65], struct t3d_err *err)
{
    t3d_sha256_hex(data, n, sha256);
    return t3d_content_put(workspace, data, n, ending, sha256, err);
}

int t3d_content_take(const char *workspace, const char *path, uint64_t size, const char *ending,
                     const char *sha256, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *to = t3d_content_path(&a, workspace, sha256, ending);
    int r = to ? check_ending(ending, path, err) : t3d_err_nomem(err, "the content store");

    if (r == T3D_OK && same_size(to, size)) {
        unlink(path);
    } else if (r == T3D_OK) {
        if (chmod(path, 0444) < 0 || move_into_place(path, to) < 0)
            r = t3d_err_sys(err, "cannot put into the content store:", to);
    }
    t3d_arena_free(&a);
    return r;
}

/* --- parts
 * ----------------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int part_line(const struct t3d_part *p, char **line, struct t3d_arena *a,
                     struct t3d_err *err)
{
    for (const char *s = p->name; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return t3d_err_set(err, T3D_SKIP, "bad-part-name",
                               "the name of external file '%s' has a control character", p->name);
    if (!*p->name)
        return t3d_err_set(err, T3D_SKIP, "bad-part-name", "an external file has an empty name");
    *line = t3d_sprintf(a, "%s %llu %s\n", p->sha256, (unsigned long long)p->size, p->name);
    return *line ? T3D_OK : t3d_err_nomem(err, ".parts");
}

int t3d_content_add_parts(const char *workspace, const char *main_sha256,
                          const struct t3d_part *parts, size_t n, char content[65],
                          struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char **line, *text, *end;
    size_t bytes = 66;
    int r = T3D_OK;

    snprintf(content, 65, "%s", main_sha256);
    if (n == 0)
        return T3D_OK;
    line = t3d_alloc(&a, n, sizeof *line);
    if (!line)
        r = t3d_err_nomem(err, ".parts");
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = part_line(&parts[i], &line[i], &a, err);
        bytes += r == T3D_OK ? strlen(line[i]) : 0;
    }
    if (r == T3D_OK && !(text = t3d_alloc(&a, bytes, 1)))
        r = t3d_err_nomem(err, ".parts");
    if (r == T3D_OK) {
        qsort(line, n, sizeof *line, compare_lines);
        end = text + snprintf(text, bytes, "%s\n", main_sha256);
        for (size_t i = 0; i < n; i++)
            end = stpcpy(end, line[i]);
        r = t3d_content_add(workspace, text, (size_t)(end - text), "parts", content, err);
    }
    t3d_arena_free(&a);
    return r;
}

static int parse_part(char *line, struct t3d_part *p, struct t3d_arena *a)
{
    unsigned char md[32];
    char *size = strchr(line, ' '), *name = size ? strchr(size + 1, ' ') : NULL;

    if (!name)
        return -1;
    *size++ = 0;
    *name++ = 0;
    if (t3d_unhex(line, sizeof md, md) < 0 || !*name)
        return -1;
    snprintf(p->sha256, sizeof p->sha256, "%s", line);
    errno = 0;
    p->size = strtoull(size, &size, 10);
    if (errno || *size)
        return -1;
    p->name = t3d_strdup(a, name);
    t3d_content_ending(name, p->ending);
    return p->name ? 0 : -1;
}

static int parse_parts(const char *path, char *text, struct t3d_part **parts, size_t *n,
                       struct t3d_arena *a, struct t3d_err *err)
{
    size_t lines = 0;
    char *line = strchr(text, '\n'), *end;

    for (char *s = text; (s = strchr(s, '\n')); s++)
        lines++;
    *parts = t3d_alloc(a, lines, sizeof **parts);
    if (!*parts)
        return t3d_err_nomem(err, path);
    for (line = line ? line + 1 : text; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        if (parse_part(line, &(*parts)[*n], a) < 0)
            return t3d_err_set(err, T3D_SKIP, "modified",
                               "'%s': line %zu is not \"sha256 size name\": fetch the object again",
                               path, *n + 2);
        ++*n;
    }
    return T3D_OK;
}

int t3d_content_parts(const char *workspace, const char *content, struct t3d_part **parts,
                      size_t *n, struct t3d_arena *a, struct t3d_err *err)
{
    char *path = t3d_content_path(a, workspace, content, "parts"), *text;
    struct t3d_err missing = {0};
    struct t3d_blob b;
    int r;

    *n = 0;
    *parts = NULL;
    if (!path)
        return t3d_err_nomem(err, ".parts");
    r = t3d_blob_open(&b, path, MAX_PARTS_BYTES, &missing);
    if (r == T3D_SKIP && strcmp(missing.reason, "missing-file") == 0)
        return T3D_OK;
    if (r < 0) {
        if (err)
            *err = missing;
        return r;
    }
    text = t3d_strndup(a, (const char *)b.data, b.size);
    t3d_blob_close(&b);
    return text ? parse_parts(path, text, parts, n, a, err) : t3d_err_nomem(err, path);
}

int t3d_content_resolve(void *ctx, const char *name, struct t3d_err *err)
{
    const struct t3d_content_ctx *c = ctx;
    struct t3d_arena a = {0};
    const struct t3d_part *p = NULL;
    char *path;
    int fd = -1;

    for (size_t i = 0; i < c->n && !p; i++)
        if (strcmp(c->part[i].name, name) == 0)
            p = &c->part[i];
    if (!p) {
        t3d_err_set(err, T3D_SKIP, "missing-file",
                    "external file '%.200s' of %.12s was not fetched", name, c->main_sha256);
        return -1;
    }
    path = t3d_content_path(&a, c->workspace, p->sha256, p->ending);
    if (path)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        t3d_err_set(
            err, T3D_SKIP, "missing-file",
            "external file '%.200s' of %.12s is no longer in the content store (%s): fetch it "
            "again",
            name, c->main_sha256, path ? strerror(errno) : "out of memory");
    t3d_arena_free(&a);
    return fd;
}

int t3d_content_verify(const char *workspace, const char *sha256, const char *ending,
                       struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_content_path(&a, workspace, sha256, ending), found[65];
    uint64_t size;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1, r;

    if (!path)
        r = t3d_err_nomem(err, "the content store");
    else if (fd < 0 && errno == ENOENT)
        r = t3d_err_set(err, T3D_SKIP, "missing", "'%s' is gone: fetch it again", path);
    else if (fd < 0)
        r = t3d_err_sys(err, "cannot open", path);
    else
        r = hash_fd(fd, -1, path, path, found, &size, err);
    if (fd >= 0)
        close(fd);
    if (r == T3D_OK && strcmp(found, sha256) != 0)
        r = t3d_err_set(err, T3D_SKIP, "modified",
                        "'%s' holds %.12s..., not what its name says: delete it and fetch it again",
                        path, found);
    t3d_arena_free(&a);
    return r;
}

int t3d_content_locate(struct t3d_content_ctx *c, char **path, const char *workspace,
                       const struct t3d_object *o, struct t3d_arena *a, struct t3d_err *err)
{
    struct t3d_part *part = NULL;
    int r;

    *c = (struct t3d_content_ctx){.workspace = workspace, .main_sha256 = o->file_sha256};
    *path = t3d_content_path(a, workspace, o->file_sha256, o->ending);
    if (!*path)
        return t3d_err_nomem(err, o->uid);
    r = t3d_content_parts(workspace, o->content, &part, &c->n, a, err);
    c->part = part;
    return r;
}
