/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a transfer: in memory, then in PARTS/<address>-<etag in hex>.part, where <address> is
 * half of its SHA-256. Bodies without a strong ETag have "-.part" when their SHA-256 is known, else
 * a name with our process in it, which nobody goes on with. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "store/http_impl.h"

enum { ADDRESS = 32, LONGEST_ETAG = 96, BLOCK = 1 << 20 };

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_part(const char *name)
{
    size_t n = strlen(name);

    return n > ADDRESS + 5 && name[ADDRESS] == '-' && strcmp(name + n - 5, ".part") == 0;
}

/* NEW.<pid>.<n>.tmp of a process that is gone. */
static void remove_stale(const char *folder, const char *name)
{
    long pid = strncmp(name, "new.", 4) == 0 ? strtol(name + 4, NULL, 10) : 0;
    char path[4096], proc[64];

    snprintf(proc, sizeof proc, "/proc/%ld", pid);
    if (pid <= 0 || access(proc, F_OK) == 0 ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return;
    unlink(path);
}

int t3di_parts_open(struct t3di_parts *p, const char *folder, struct t3d_err *err)
{
    size_t capacity = 0;
    struct dirent *e;
    DIR *d;

    memset(p, 0, sizeof *p);
    p->folder = folder;
    d = opendir(folder);
    if (!d)
        return T3D_OK;
    p->made = 1;
    while ((e = readdir(d))) {
        if (!is_part(e->d_name)) {
            remove_stale(folder, e->d_name);
            continue;
        }
        if (p->n == capacity) {
            size_t more = capacity ? 2 * capacity : 64;
            char **name = realloc(p->name, more * sizeof *name);

            if (!name)
                break;
            p->name = name;
            capacity = more;
        }
        if (!(p->name[p->n] = strdup(e->d_name)))
            break;
        p->n++;
    }
    closedir(d);
    if (e) {
        t3di_parts_close(p);
        return t3d_err_nomem(err, folder);
    }
    if (p->n)
        qsort(p->name, p->n, sizeof *p->name, by_name);
    return T3D_OK;
}

void t3di_parts_close(struct t3di_parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->name[i]);
    free(p->name);
    t3di_sink_close(p->sink);
    memset(p, 0, sizeof *p);
}

static void address(const char *url, char hex[ADDRESS + 1])
{
    char whole[T3D_SHA256_HEX];

    t3d_sha256_hex(url, strlen(url), whole);
    memcpy(hex, whole, ADDRESS);
    hex[ADDRESS] = 0;
}

void t3di_body_init(struct t3di_body *b)
{
    memset(b, 0, sizeof *b);
    b->fd = -1;
}

void t3di_body_reset(struct t3di_body *b)
{
    if (b->stream)
        t3di_stream_free(b->stream, 0, NULL);
    b->stream = NULL;
    if (b->fd >= 0) {
        close(b->fd);
        b->fd = -1;
    }
    if (b->path) {
        unlink(b->path);
        free(b->path);
        b->path = NULL;
    }
    if (b->hash) {
        t3d_sha256_free(b->hash);
        b->hash = NULL;
    }
    b->have = 0;
    b->keep = 0;
    b->etag[0] = 0;
}

void t3di_body_close(struct t3di_body *b)
{
    if (b->path && b->keep && b->have) { /* a later process goes on with it */
        if (b->stream)
            t3di_stream_free(b->stream, 1, NULL);
        b->stream = NULL;
        free(b->path);
        b->path = NULL;
    }
    t3di_body_reset(b);
    free(b->data);
    b->data = NULL;
}

/* --- partial files
 * -------------------------------------------------------------------------------- */

static int make_folder(struct t3di_parts *p, struct t3d_err *err)
{
    int r = p->made ? T3D_OK : t3d_make_dirs(p->folder, err);

    p->made = r == T3D_OK;
    return r;
}

/* The file that goes with the body's ETag, or one of our own. */
static char *part_path(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256)
{
    static unsigned serial;
    char key[ADDRESS + 1], etag[2 * LONGEST_ETAG + 1] = "", *path = NULL;
    size_t n = strlen(b->etag);
    int made;

    b->keep = n ? n <= LONGEST_ETAG : has_sha256;
    address(url, key);
    if (b->keep) {
        t3d_hex(b->etag, n, etag);
        made = asprintf(&path, "%s/%s-%s.part", p->folder, key, etag);
    } else {
        made = asprintf(&path, "%s/new.%ld.%u.tmp", p->folder, (long)getpid(), serial++);
    }
    return made < 0 ? NULL : path;
}

static int open_part(struct t3di_body *b, int flags, struct t3d_err *err)
{
    b->fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0666);
    if (b->fd < 0)
        return t3d_err_sys(err, "cannot create", b->path);
    if (flock(b->fd, LOCK_EX | LOCK_NB) == 0)
        return T3D_OK;
    close(b->fd);
    b->fd = -1;
    return T3D_RETRY;
}

/* From memory to a file: another process may be at the same address, then each has its own. */
static int spill(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256,
                 struct t3d_err *err)
{
    int r = make_folder(p, err);

    if (r < 0)
        return r;
    b->path = part_path(b, p, url, has_sha256);
    r = b->path ? open_part(b, 0, err) : t3d_err_nomem(err, url);
    if (r == T3D_RETRY) {
        free(b->path);
        b->keep = 0;
        if (asprintf(&b->path, "%s/new.%ld.%p.tmp", p->folder, (long)getpid(), (void *)b) < 0)
            b->path = NULL;
        r = b->path ? open_part(b, O_EXCL, err) : t3d_err_nomem(err, url);
    }
    if (r == T3D_OK && ftruncate(b->fd, 0) < 0)
        r = t3d_err_sys(err, "cannot empty", b->path);
    if (r == T3D_OK && b->have)
        r = t3d_write_all(b->fd, b->data, b->have, b->path, err);
    free(b->data);
    b->data = NULL;
    b->capacity = 0;
    return r;
}

static int hash_part(struct t3di_body *b, struct t3d_err *err)
{
    unsigned char *block = malloc(BLOCK);
    ssize_t k = 1;
    int r = block ? t3d_sha256_new(&b->hash, err) : t3d_err_nomem(err, b->path);

    while (r == T3D_OK && k) {
        k = pread(b->fd, block, BLOCK, (off_t)b->have);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            r = t3d_err_sys(err, "cannot read", b->path);
        else
            t3d_sha256_add(b->hash, block, (size_t)k);
        b->have += k > 0 ? (uint64_t)k : 0;
    }
    free(block);
    if (r == T3D_OK && lseek(b->fd, (off_t)b->have, SEEK_SET) < 0)
        r = t3d_err_sys(err, "cannot seek in", b->path);
    return r;
}

/* Take a part of this name: 1 = it can be gone on with. */
static int take(struct t3di_body *b, struct t3di_parts *p, const char *name, int has_sha256,
                struct t3d_err *err)
{
    size_t n = strlen(name) - ADDRESS - 1 - 5;
    char hex[2 * LONGEST_ETAG + 1];
    int r;

    if (n % 2 || n >= sizeof hex || (n == 0 && !has_sha256))
        return 0;
    snprintf(hex, sizeof hex, "%.*s", (int)n, name + ADDRESS + 1);
    if (t3d_unhex(hex, n / 2, b->etag) < 0)
        return 0;
    b->etag[n / 2] = 0;
    if (asprintf(&b->path, "%s/%s", p->folder, name) < 0) {
        b->path = NULL;
        return t3d_err_nomem(err, name);
    }
    b->keep = 1;
    r = access(b->path, F_OK) == 0 ? open_part(b, 0, err) : T3D_RETRY;
    if (r == T3D_RETRY) { /* gone, or another process has it */
        free(b->path);
        b->path = NULL;
    } else if (r == T3D_OK) {
        r = hash_part(b, err);
    }
    if (r < 0 || !b->have) {
        if (b->path)
            t3di_body_reset(b);
        b->etag[0] = 0;
        return r == T3D_RETRY || r == T3D_OK ? 0 : r;
    }
    return 1;
}

int t3di_body_recall(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256,
                     struct t3d_err *err)
{
    char key[ADDRESS + 1];
    size_t lo = 0, hi = p->n;
    int r = 0;

    if (!p->n)
        return T3D_OK;
    address(url, key);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (strncmp(p->name[mid], key, ADDRESS) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < p->n && strncmp(p->name[lo], key, ADDRESS) == 0 && r == 0; lo++)
        r = take(b, p, p->name[lo], has_sha256, err);
    return r < 0 ? r : T3D_OK;
}

/* --- bytes
 * ---------------------------------------------------------------------------------------- */

static int grow(struct t3di_body *b, size_t need)
{
    size_t capacity = T3D_MAX(b->capacity, 16384);
    unsigned char *data;

    if (need <= b->capacity)
        return 0;
    while (capacity < need)
        capacity *= 2;
    data = realloc(b->data, capacity);
    if (!data)
        return -1;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

void t3di_body_reserve(struct t3di_body *b, uint64_t bytes, uint64_t memory_bytes)
{
    unsigned char *data;

    if (b->path || bytes > memory_bytes || bytes <= b->capacity || bytes == 0)
        return;
    data = realloc(b->data, bytes);
    if (data) {
        b->data = data;
        b->capacity = bytes;
    }
}

static int begin_stream(struct t3di_body *b, struct t3di_parts *p, struct t3d_err *err)
{
    int r = p->sink ? T3D_OK : t3di_sink_open(&p->sink, err);

    return r == T3D_OK ? t3di_stream_new(&b->stream, p->sink, b->fd, b->path, b->hash, err) : r;
}

int t3di_body_add(struct t3di_body *b, struct t3di_parts *p, const char *url, int has_sha256,
                  const void *data, size_t n, uint64_t memory_bytes, struct t3d_err *err)
{
    int r = T3D_OK;

    if (!b->hash && (r = t3d_sha256_new(&b->hash, err)) < 0)
        return r;
    if (!b->path && b->have + n > memory_bytes)
        r = spill(b, p, url, has_sha256, err);
    if (r < 0)
        return r;
    if (b->path && !b->stream)
        r = begin_stream(b, p, err);
    if (r < 0)
        return r;
    if (b->path) {
        r = t3di_stream_add(b->stream, data, n, err);
    } else if (grow(b, b->have + n) < 0) {
        r = t3d_err_nomem(err, url);
    } else {
        memcpy(b->data + b->have, data, n);
        t3d_sha256_add(b->hash, data, n);
    }
    b->have += r == T3D_OK ? n : 0;
    return r;
}

int t3di_body_poll(struct t3di_body *b, struct t3d_err *err)
{
    return b->stream ? t3di_stream_poll(b->stream, err) : T3D_OK;
}

int t3di_body_end(struct t3di_body *b, char sha256[65], struct t3d_err *err)
{
    int r = b->hash ? T3D_OK : t3d_sha256_new(&b->hash, err);

    if (r == T3D_OK && b->stream)
        r = t3di_stream_free(b->stream, 1, err);
    b->stream = NULL;
    if (r < 0)
        return r;
    t3d_sha256_end(b->hash, sha256);
    b->hash = NULL;
    return T3D_OK;
}
