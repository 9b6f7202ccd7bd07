/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

int t3d_blob_open_fd(struct t3d_blob *b, int fd, const char *name, uint64_t max_bytes,
                     struct t3d_err *err)
{
    struct stat st;
    void *map;

    memset(b, 0, sizeof *b);
    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    if (!S_ISREG(st.st_mode))
        return t3d_err_set(err, T3D_SKIP, "not-a-file", "'%s' is not a regular file", name);
    if (max_bytes && (uint64_t)st.st_size > max_bytes)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)st.st_size,
                             "'%s' has %lld bytes, more than the limit of %llu", name,
                             (long long)st.st_size, (unsigned long long)max_bytes);
    if (st.st_size == 0) {
        b->data = (const uint8_t *)"";
        return T3D_OK;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return t3d_err_sys(err, "cannot map", name);
    b->data = b->map = map;
    b->size = (size_t)st.st_size;
    return T3D_OK;
}

int t3d_blob_open(struct t3d_blob *b, const char *path, uint64_t max_bytes, struct t3d_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

    memset(b, 0, sizeof *b);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return t3d_err_set(err, T3D_SKIP, "missing-file", "'%s' does not exist", path);
    if (fd < 0)
        return t3d_err_set(err, T3D_SKIP, "unreadable-file", "cannot open '%s': %s", path,
                           strerror(errno));
    r = t3d_blob_open_fd(b, fd, path, max_bytes, err);
    close(fd);
    return r;
}

void t3d_blob_close(struct t3d_blob *b)
{
    if (b->map)
        munmap(b->map, b->size);
    memset(b, 0, sizeof *b);
}

int t3d_out_open(struct t3d_out *o, const char *path, struct t3d_err *err)
{
    static atomic_uint serial;
    size_t n = strlen(path) + 48;

    memset(o, 0, sizeof *o);
    o->path = strdup(path);
    o->tmp = malloc(n);
    if (!o->path || !o->tmp) {
        t3d_out_abort(o);
        return t3d_err_nomem(err, path);
    }
    snprintf(o->tmp, n, "%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    o->f = fopen(o->tmp, "wbe");
    if (!o->f) {
        int r = t3d_err_sys(err, "cannot create", o->tmp);
        free(o->tmp);
        o->tmp = NULL;
        t3d_out_abort(o);
        return r;
    }
    return T3D_OK;
}

int t3d_out_commit(struct t3d_out *o, int sync, struct t3d_err *err)
{
    int bad = fflush(o->f) != 0 || ferror(o->f) || (sync && fsync(fileno(o->f)) < 0);
    int r = T3D_OK;

    if (bad)
        r = t3d_err_sys(err, "cannot write", o->path);
    if (fclose(o->f) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", o->path);
    o->f = NULL;
    if (r == T3D_OK && rename(o->tmp, o->path) < 0)
        r = t3d_err_sys(err, "cannot rename to", o->path);
    if (r == T3D_OK) {
        free(o->tmp);
        o->tmp = NULL;
    }
    t3d_out_abort(o);
    return r;
}

void t3d_out_abort(struct t3d_out *o)
{
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        unlink(o->tmp);
    free(o->tmp);
    free(o->path);
    memset(o, 0, sizeof *o);
}

int t3d_write_file(const char *path, const void *data, size_t n, struct t3d_err *err)
{
    struct t3d_out o;
    int r = t3d_out_open(&o, path, err);

    if (r < 0)
        return r;
    if (n && fwrite(data, 1, n, o.f) != n) {
        r = t3d_err_sys(err, "cannot write", path);
        t3d_out_abort(&o);
        return r;
    }
    return t3d_out_commit(&o, 0, err);
}

int t3d_write_all(int fd, const void *data, size_t n, const char *name, struct t3d_err *err)
{
    const uint8_t *p = data;

    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return t3d_err_sys(err, "cannot write", name);
        p += k;
        n -= (size_t)k;
    }
    return T3D_OK;
}

static int make_dir(const char *path, struct t3d_err *err)
{
    struct stat st;

    if (mkdir(path, 0777) == 0)
        return T3D_OK;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return T3D_OK;
    return t3d_err_sys(err, "cannot create the folder", path);
}

int t3d_make_dirs(const char *path, struct t3d_err *err)
{
    char *p = strdup(path);
    int r = T3D_OK;

    if (!p)
        return t3d_err_nomem(err, path);
    for (char *s = p + (*p == '/'); *s && r == T3D_OK; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        r = make_dir(p, err);
        *s = '/';
    }
    if (r == T3D_OK && *p)
        r = make_dir(p, err);
    free(p);
    return r;
}

int t3d_make_parent(const char *path, struct t3d_err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir;
    int r;

    if (!slash || slash == path)
        return T3D_OK;
    dir = strndup(path, (size_t)(slash - path));
    if (!dir)
        return t3d_err_nomem(err, path);
    r = t3d_make_dirs(dir, err);
    free(dir);
    return r;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    remove(path);
    return 0;
}

void t3d_remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

char *t3d_path_join(struct t3d_arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (*name == '/' || !*dir || strcmp(dir, ".") == 0)
        return t3d_strdup(a, name);
    return t3d_sprintf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

const char *t3d_path_base(const char *path)
{
    const char *s = strrchr(path, '/');

    return s ? s + 1 : path;
}

const char *t3d_path_ending(const char *path)
{
    const char *s = strrchr(t3d_path_base(path), '.');

    return s ? s + 1 : "";
}
