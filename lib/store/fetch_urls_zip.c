/* SPDX-License-Identifier: Apache-2.0 */
/* Single members of a remote zip by ranges (APPNOTE.TXT 6.3.9): the end of central directory
 * (4.3.16, or zip64's, 4.3.14 and 4.3.15), the central directory (4.3.12), then the member alone.
 * Here only the directory's numbers are looked at. The member's bytes go, in a zip of one member
 * made around them, to the unpacker, which inflates them in its sandbox and checks their CRC. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "store/fetch_urls_impl.h"

enum {
    TAIL = 65557 + 20 + 56, /* a comment of 65,535 bytes, the end, zip64's locator and end */
    MAX_DIRECTORY = 256 << 20,
    SLACK = 1024 /* by which a local header may be longer than the directory says */
};

static uint64_t le(const unsigned char *p, int bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

static int bad(struct t3d_err *err, const char *why)
{
    return t3d_err_set(err, T3D_SKIP, "bad-archive", "it is no zip that can be read: %s", why);
}

/* --- ranges
 * --------------------------------------------------------------------------------------- */

/* Bytes [first, first + n) (first -1: the last n) of the zip, which must stay the one it was. */
static int fetch(struct t3di_beside *b, int64_t first, uint64_t n, struct t3d_http_result *out,
                 struct t3d_err *err)
{
    struct t3di_zip *z = &b->side->zip;
    struct t3d_http_request q = {
        .url = b->url, .size = -1, .first = first, .window = n, .fresh = 1};
    int r;

    q.max_bytes = n;
    memset(out, 0, sizeof *out);
    r = t3di_side_fetch(b->side, &q, out, err);
    b->status = out->status;
    b->attempts += out->attempts;
    if (r < 0) {
        b->transient |= out->class != T3D_HTTP_PERMANENT;
        t3d_http_result_free(out);
        return r;
    }
    if (z->total && (z->total != out->total || strcmp(z->etag, out->etag) != 0)) {
        t3d_http_result_free(out);
        b->transient = 1;
        z->url = NULL;
        return t3d_err_set(err, T3D_SKIP, "changed-while-read", "the zip has changed meanwhile");
    }
    z->total = out->total;
    snprintf(z->etag, sizeof z->etag, "%s", out->etag);
    if (out->data)
        return T3D_OK;
    t3d_http_result_free(out); /* above what is kept in memory: the conf allows for it */
    return t3d_err_set(err, T3D_SKIP, "too-large", "a part of the zip is too large");
}

/* --- the directory
 * -------------------------------------------------------------------------------- */

/* The end of central directory in the last bytes. */
static int find_end(const unsigned char *d, size_t n, uint64_t at, uint64_t *first, uint64_t *size,
                    struct t3d_err *err)
{
    size_t i = n < 22 ? 0 : n - 22 + 1;

    while (i-- > 0) {
        if (le(d + i, 4) != 0x06054b50 || i + 22 + le(d + i + 20, 2) != n)
            continue;
        *size = le(d + i + 12, 4);
        *first = le(d + i + 16, 4);
        if (i >= 20 && le(d + i - 20, 4) == 0x07064b50) {
            uint64_t end64 = le(d + i - 12, 8);

            if (end64 < at || end64 - at > n || n - (end64 - at) < 56 ||
                le(d + (end64 - at), 4) != 0x06064b50)
                return bad(err, "the end of its zip64 directory is not where it should be");
            *size = le(d + (end64 - at) + 40, 8);
            *first = le(d + (end64 - at) + 48, 8);
        }
        return T3D_OK;
    }
    return bad(err, "it has no end of central directory");
}

static int load_directory(struct t3di_beside *b, struct t3d_err *err)
{
    struct t3di_zip *z = &b->side->zip;
    struct t3d_http_result tail, dir;
    uint64_t first = 0, size = 0, at;
    int r;

    t3d_arena_reset(&b->side->arena);
    memset(z, 0, sizeof *z);
    r = fetch(b, -1, TAIL, &tail, err);
    if (r < 0)
        return r;
    at = z->total - T3D_MIN(z->total, tail.bytes);
    r = find_end(tail.data, (size_t)tail.bytes, at, &first, &size, err);
    if (r == T3D_OK && (size > MAX_DIRECTORY || first > z->total || size > z->total - first))
        r = bad(err, "its directory lies outside of it");
    if (r == T3D_OK) {
        z->directory = t3d_alloc_raw(&b->side->arena, (size_t)size + 1, 1);
        z->size = (size_t)size;
        r = z->directory ? T3D_OK : t3d_err_nomem(err, "a zip's directory");
    }
    if (r == T3D_OK && first >= at) {
        memcpy(z->directory, tail.data + (first - at), (size_t)size);
    } else if (r == T3D_OK) {
        r = fetch(b, (int64_t)first, size, &dir, err);
        if (r == T3D_OK) {
            memcpy(z->directory, dir.data, (size_t)size);
            t3d_http_result_free(&dir);
        }
    }
    t3d_http_result_free(&tail);
    if (r == T3D_OK) {
        z->url = t3d_strdup(&b->side->arena, b->url);
        r = z->url ? T3D_OK : t3d_err_nomem(err, "a zip's directory");
    }
    return r;
}

struct entry {
    unsigned flags, method;
    uint32_t crc, attributes; /* and by which system: they tell links from files */
    unsigned made_by;
    uint64_t packed, size, at;
    size_t name, extra;
};

/* Zip64 (4.5.3): values that do not fit follow in the extra field, in this order. */
static int widen(struct entry *e, const unsigned char *extra, size_t n)
{
    while (n >= 4) {
        size_t size = (size_t)le(extra + 2, 2), at = 4;
        uint64_t *value[3] = {&e->size, &e->packed, &e->at};

        if (size > n - 4)
            return -1;
        for (int i = 0; i < 3 && le(extra, 2) == 1; i++)
            if (*value[i] == UINT32_MAX) {
                if (at + 8 > size + 4)
                    return -1;
                *value[i] = le(extra + at, 8);
                at += 8;
            }
        extra += 4 + size;
        n -= 4 + size;
    }
    return 0;
}

/* The one member of that name. */
static int find_entry(const struct t3di_zip *z, const char *name, struct entry *found,
                      struct t3d_err *err)
{
    int n_found = 0;
    size_t at = 0;

    while (z->size - at >= 46 && le(z->directory + at, 4) == 0x02014b50) {
        const unsigned char *d = z->directory + at;
        size_t names = (size_t)le(d + 28, 2), extra = (size_t)le(d + 30, 2),
               comment = (size_t)le(d + 32, 2);
        char raw[2048], plain[2048];

        if (names + extra + comment > z->size - at - 46)
            return bad(err, "an entry of its directory goes beyond its end");
        at += 46 + names + extra + comment;
        if (names >= sizeof raw)
            continue;
        memcpy(raw, d + 46, names);
        raw[names] = 0;
        if (t3d_archive_name(plain, sizeof plain, raw, NULL) < 0 || strcmp(plain, name) != 0)
            continue;
        *found = (struct entry){.flags = (unsigned)le(d + 8, 2),
                                .method = (unsigned)le(d + 10, 2),
                                .made_by = (unsigned)le(d + 4, 2),
                                .attributes = (uint32_t)le(d + 38, 4),
                                .crc = (uint32_t)le(d + 16, 4),
                                .packed = le(d + 20, 4),
                                .size = le(d + 24, 4),
                                .at = le(d + 42, 4),
                                .name = names,
                                .extra = extra};
        if (widen(found, d + 46 + names, extra) < 0)
            return bad(err, "an entry of its directory has a broken zip64 field");
        n_found++;
    }
    if (n_found > 1)
        return t3d_err_value(err, T3D_SKIP, "duplicate-name", n_found,
                             "%d members are called '%.200s'", n_found, name);
    return n_found ? T3D_OK
                   : t3d_err_set(err, T3D_SKIP, "missing-file", "'%.200s' is not in the zip", name);
}

/* --- a zip of one member
 * -------------------------------------------------------------------------- */

static unsigned char *put(unsigned char *p, uint64_t v, int bytes)
{
    for (; bytes--; v >>= 8)
        *p++ = (unsigned char)v;
    return p;
}

/* Version, flags (without that of a data descriptor), method, time, CRC, sizes, length of name. */
static unsigned char *put_common(unsigned char *p, const struct entry *e, size_t name)
{
    p = put(p, 20, 2);
    p = put(p, e->flags & ~8u, 2);
    p = put(p, e->method, 2);
    p = put(p, 0x5a210000, 4);
    p = put(p, e->crc, 4);
    p = put(p, e->packed, 4);
    p = put(p, e->size, 4);
    return put(p, name, 2);
}

static int write_zip(int fd, const struct entry *e, const char *name, const unsigned char *data,
                     struct t3d_err *err)
{
    unsigned char head[30], tail[46 + 22], *p;
    size_t n = strlen(name);
    int r;

    p = put_common(put(head, 0x04034b50, 4), e, n);
    put(p, 0, 2);
    r = t3d_write_all(fd, head, sizeof head, name, err);
    if (r == T3D_OK)
        r = t3d_write_all(fd, name, n, name, err);
    if (r == T3D_OK)
        r = t3d_write_all(fd, data, (size_t)e->packed, name, err);
    p = put(put(tail, 0x02014b50, 4), e->made_by, 2);
    p = put_common(p, e, n);
    p = put(p, 0, 8); /* extra, comment, disk, internal attributes */
    p = put(p, e->attributes, 4);
    put(p, 0, 4);
    if (r == T3D_OK)
        r = t3d_write_all(fd, tail, 46, name, err);
    if (r == T3D_OK)
        r = t3d_write_all(fd, name, n, name, err);
    p = put(put(tail, 0x06054b50, 4), 0, 4);
    p = put(put(p, 1, 2), 1, 2);
    p = put(p, 46 + n, 4);
    p = put(p, 30 + n + e->packed, 4);
    put(p, 0, 2);
    return r == T3D_OK ? t3d_write_all(fd, tail, 22, name, err) : r;
}

/* The member's bytes as they are in the zip; *at = where they begin in out. */
static int fetch_member(struct t3di_beside *b, const struct entry *e, struct t3d_http_result *out,
                        size_t *at, struct t3d_err *err)
{
    const struct t3di_zip *z = &b->side->zip;
    uint64_t n = 30 + e->name + e->extra + SLACK;
    int r;

    if (e->at >= z->total || e->packed > z->total - e->at)
        return bad(err, "a member lies outside of it");
    if (e->packed > b->left || e->size > b->left)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)e->size,
                             "the member has %llu bytes, more than may be",
                             (unsigned long long)e->size);
    n = T3D_MIN(n + e->packed, z->total - e->at);
    for (int again = 0;; again++) {
        r = fetch(b, (int64_t)e->at, n, out, err);
        if (r < 0)
            return r;
        if (out->bytes < 30 || le(out->data, 4) != 0x04034b50)
            r = bad(err, "a member is not where the directory says");
        *at = r == T3D_OK ? (size_t)(30 + le(out->data + 26, 2) + le(out->data + 28, 2)) : 0;
        if (r == T3D_OK && *at + e->packed <= out->bytes)
            return T3D_OK;
        n = *at + e->packed;
        t3d_http_result_free(out);
        if (r < 0 || again || n > z->total - e->at)
            return r < 0 ? r : bad(err, "a member goes beyond its end");
    }
}

/* The sandboxed unpacker takes the member out of the zip made around it. */
static int unpack(struct t3di_beside *b, const struct entry *e, const char *name,
                  const unsigned char *data, struct t3d_err *err)
{
    int zip = memfd_create("t3d-zip", MFD_CLOEXEC), fd = -1, r;
    const struct t3d_archive_member *m = NULL;
    struct t3d_archive *a = NULL;

    if (zip < 0)
        return t3d_err_sys(err, "cannot hold", name), -1;
    r = write_zip(zip, e, name, data, err);
    if (r == T3D_OK)
        r = t3d_archive_open(&a, b->unpacker, b->thread, zip, name, b->folder, err);
    if (r == T3D_OK && (m = t3d_archive_find(a, name)))
        fd = t3d_archive_member(a, m, err);
    else if (r == T3D_OK && a->n_refused && err)
        *err = a->refused[0].err;
    else if (r >= T3D_OK)
        t3d_err_set(err, T3D_SKIP, "missing-file", "'%.200s' cannot be had of the zip", name);
    t3d_archive_close(a);
    close(zip);
    return fd;
}

int t3di_zip_open(struct t3di_beside *b, const char *below, struct t3d_err *err)
{
    struct t3di_zip *z = &b->side->zip;
    struct t3d_http_result data;
    struct entry e;
    char name[4096];
    size_t at = 0;
    int fd, r = T3D_OK;

    snprintf(name, sizeof name, "%.*s%s", b->zip_folder, b->zip, below);
    if (!z->url || strcmp(z->url, b->url) != 0)
        r = load_directory(b, err);
    if (r == T3D_OK)
        r = find_entry(z, name, &e, err);
    if (r == T3D_OK)
        r = fetch_member(b, &e, &data, &at, err);
    if (r < 0)
        return -1;
    b->left -= T3D_MIN(b->left, e.size);
    fd = unpack(b, &e, name, data.data + at, err);
    t3d_http_result_free(&data);
    return fd;
}
