/* SPDX-License-Identifier: Apache-2.0 */
#include "store/zip.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

/* Sizes of the records (APPNOTE.TXT, sections 4.3.7, 4.3.12 to 4.3.16). */
enum { LOCAL = 30, CENTRAL = 46, END = 22, END64 = 56, LOCATOR = 20, COMMENT = 65535 };
#define MOST_INDEX ((uint64_t)1 << 30)

struct t3d_zip {
    int fd; /* -1: in memory */
    const uint8_t *data;
    uint64_t size;
    char *name;
    struct t3d_zip_member *member;
    size_t n, capacity;
    struct t3d_arena arena;
};

static int bad(const struct t3d_zip *z, const char *what, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_SKIP, "bad-zip", "'%s' %s", z->name, what);
}

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int read_at(const struct t3d_zip *z, void *to, uint64_t n, uint64_t at, struct t3d_err *err)
{
    if (at > z->size || n > z->size - at)
        return bad(z, "is cut off, or says that something lies behind its end", err);
    if (z->fd < 0) {
        if (n)
            memcpy(to, z->data + at, n);
        return T3D_OK;
    }
    for (uint64_t got = 0; got < n;) {
        ssize_t k = pread(z->fd, (char *)to + got, n - got, (off_t)(at + got));

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k < 0 ? t3d_err_sys(err, "cannot read", z->name)
                         : bad(z, "has become shorter", err);
        got += (uint64_t)k;
    }
    return T3D_OK;
}

/* --- the index
 * --------------------------------------------------------------------------------------- */

struct index {
    uint64_t at, size, n;
};

/* zip64: the record that the locator before the end record points to. */
static int find_index64(const struct t3d_zip *z, uint64_t end, struct index *x, struct t3d_err *err)
{
    uint8_t locator[LOCATOR], record[END64];
    int r = end < LOCATOR ? T3D_END : read_at(z, locator, LOCATOR, end - LOCATOR, err);

    if (r == T3D_OK && u32(locator) != 0x07064b50)
        r = T3D_END;
    if (r == T3D_OK)
        r = read_at(z, record, END64, u64(locator + 8), err);
    if (r != T3D_OK)
        return r == T3D_END ? T3D_OK : r;
    if (u32(record) != 0x06064b50)
        return bad(z, "has no zip64 record where it should be", err);
    *x = (struct index){.at = u64(record + 48), .size = u64(record + 40), .n = u64(record + 32)};
    return T3D_OK;
}

static int find_index(const struct t3d_zip *z, struct index *x, struct t3d_err *err)
{
    uint64_t room = T3D_MIN(z->size, (uint64_t)END + COMMENT), at;
    uint8_t *tail = malloc(room + 1);
    int r = tail ? T3D_OK : t3d_err_nomem(err, z->name);

    if (r == T3D_OK)
        r = read_at(z, tail, room, z->size - room, err);
    for (at = room; r == T3D_OK && at >= END; at--) {
        const uint8_t *p = tail + at - END;

        if (u32(p) != 0x06054b50 || u16(p + 20) != room - at)
            continue;
        *x = (struct index){.at = u32(p + 16), .size = u32(p + 12), .n = u16(p + 10)};
        r = find_index64(z, z->size - room + at - END, x, err);
        break;
    }
    if (r == T3D_OK && at < END)
        r = bad(z, "is not a zip file, or is cut off", err);
    free(tail);
    return r;
}

/* Extra field 0x0001: the numbers that did not fit, in this order (4.5.3). */
static int read_extra(const struct t3d_zip *z, const uint8_t *p, size_t n, struct t3d_zip_member *m,
                      struct t3d_err *err)
{
    uint64_t *wide[] = {&m->size, &m->packed, &m->offset};

    while (n >= 4) {
        size_t k = u16(p + 2);
        const uint8_t *v = p + 4;

        if (k > n - 4)
            return bad(z, "has a damaged extra field", err);
        for (int i = 0; u16(p) == 1 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (v + 8 > p + 4 + k)
                return bad(z, "has a damaged zip64 field", err);
            *wide[i] = u64(v);
            v += 8;
        }
        p += 4 + k;
        n -= 4 + k;
    }
    return T3D_OK;
}

static int take_member(struct t3d_zip *z, const uint8_t *p, struct t3d_err *err)
{
    size_t name_n = u16(p + 28), extra_n = u16(p + 30);
    struct t3d_zip_member m = {.offset = u32(p + 42),
                               .packed = u32(p + 20),
                               .size = u32(p + 24),
                               .crc = u32(p + 16),
                               .method = u16(p + 10),
                               .flags = u16(p + 8)};
    const char *name = (const char *)p + CENTRAL;
    int r = read_extra(z, p + CENTRAL + name_n, extra_n, &m, err);

    if (r < 0)
        return r;
    m.name = memchr(name, 0, name_n) ? "" : t3d_strndup(&z->arena, name, name_n);
    if (z->n == z->capacity) {
        size_t capacity = z->capacity ? 2 * z->capacity : 256;
        struct t3d_zip_member *more = realloc(z->member, capacity * sizeof *more);

        if (!more)
            return t3d_err_nomem(err, z->name);
        z->member = more;
        z->capacity = capacity;
    }
    z->member[z->n++] = m;
    return m.name ? T3D_OK : t3d_err_nomem(err, z->name);
}

static int by_name(const void *a, const void *b)
{
    const struct t3d_zip_member *x = a, *y = b;
    int d = strcmp(x->name, y->name);

    return d ? d : (x->offset < y->offset) - (x->offset > y->offset);
}

static int read_index(struct t3d_zip *z, struct t3d_err *err)
{
    struct index x = {0};
    uint8_t *data;
    int r = find_index(z, &x, err);

    if (r < 0)
        return r;
    if (x.size > MOST_INDEX || x.at > z->size || x.size > z->size - x.at || x.n > x.size / CENTRAL)
        return bad(z, "has an index that does not fit into it", err);
    data = malloc(x.size + 1);
    if (!data)
        return t3d_err_nomem(err, z->name);
    r = read_at(z, data, x.size, x.at, err);
    for (uint64_t i = 0, at = 0; r == T3D_OK && i < x.n; i++) {
        const uint8_t *p = data + at;
        uint64_t k;

        if (x.size - at < CENTRAL || u32(p) != 0x02014b50) {
            r = bad(z, "has a damaged index", err);
            break;
        }
        k = CENTRAL + (uint64_t)u16(p + 28) + u16(p + 30) + u16(p + 32);
        if (k > x.size - at)
            r = bad(z, "has a damaged index", err);
        else
            r = take_member(z, p, err);
        at += k;
    }
    free(data);
    if (r == T3D_OK && z->n)
        qsort(z->member, z->n, sizeof *z->member, by_name);
    return r;
}

static int open_any(struct t3d_zip **out, struct t3d_zip from, const char *name,
                    struct t3d_err *err)
{
    struct t3d_zip *z = malloc(sizeof *z);
    int r;

    if (!z)
        return t3d_err_nomem(err, name);
    *z = from;
    z->name = strdup(name);
    r = z->name ? read_index(z, err) : t3d_err_nomem(err, name);
    if (r < 0) {
        t3d_zip_close(z);
        return r;
    }
    *out = z;
    return T3D_OK;
}

int t3d_zip_open(struct t3d_zip **z, int fd, const char *name, struct t3d_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return t3d_err_sys(err, "cannot look at", name);
    return open_any(z, (struct t3d_zip){.fd = fd, .size = (uint64_t)st.st_size}, name, err);
}

int t3d_zip_parse(struct t3d_zip **z, const void *data, size_t size, const char *name,
                  struct t3d_err *err)
{
    return open_any(z, (struct t3d_zip){.fd = -1, .data = data, .size = size}, name, err);
}

void t3d_zip_close(struct t3d_zip *z)
{
    if (!z)
        return;
    t3d_arena_free(&z->arena);
    free(z->member);
    free(z->name);
    free(z);
}

const struct t3d_zip_member *t3d_zip_members(const struct t3d_zip *z, size_t *n)
{
    *n = z->n;
    return z->member;
}

const struct t3d_zip_member *t3d_zip_find(const struct t3d_zip *z, const char *name)
{
    size_t lo = 0, hi = z->n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (strcmp(z->member[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < z->n && strcmp(z->member[lo].name, name) == 0 ? &z->member[lo] : NULL;
}

/* --- a member
 * --------------------------------------------------------------------------------------- */

static int unpack(const struct t3d_zip *z, const struct t3d_zip_member *m, const uint8_t *packed,
                  uint8_t *data, struct t3d_err *err)
{
    struct libdeflate_decompressor *d;
    int ok;

    if (m->method == 0) {
        ok = m->packed == m->size;
        if (ok && m->size)
            memcpy(data, packed, m->size);
    } else {
        d = libdeflate_alloc_decompressor();
        if (!d)
            return t3d_err_nomem(err, z->name);
        ok = libdeflate_deflate_decompress(d, packed, m->packed, data, m->size, NULL) ==
             LIBDEFLATE_SUCCESS;
        libdeflate_free_decompressor(d);
    }
    if (ok && libdeflate_crc32(0, data, m->size) == m->crc)
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "bad-zip", "'%s': member '%.200s' is damaged", z->name,
                       m->name);
}

int t3d_zip_read(const struct t3d_zip *z, const struct t3d_zip_member *m, uint64_t max,
                 uint8_t **data, struct t3d_err *err)
{
    uint8_t head[LOCAL], *packed = NULL;
    uint64_t at;
    int r;

    *data = NULL;
    if (m->size > max || m->packed > max)
        return t3d_err_value(err, T3D_SKIP, "too-large", (double)m->size,
                             "'%s': member '%.200s' has more than %llu bytes", z->name, m->name,
                             (unsigned long long)max);
    if (m->flags & 1)
        return t3d_err_set(err, T3D_SKIP, "encrypted-archive", "'%s': member '%.200s' is encrypted",
                           z->name, m->name);
    if (m->method != 0 && m->method != 8)
        return t3d_err_set(err, T3D_SKIP, "bad-zip",
                           "'%s': member '%.200s' is compressed by method %u; 0 and 8 are read",
                           z->name, m->name, m->method);
    r = read_at(z, head, LOCAL, m->offset, err);
    if (r == T3D_OK && u32(head) != 0x04034b50)
        r = bad(z, "has no member where its index says", err);
    if (r < 0)
        return r;
    at = m->offset + LOCAL + u16(head + 26) + u16(head + 28);
    if (at > z->size || m->packed > z->size - at)
        return bad(z, "is cut off", err);
    packed = malloc(m->packed + 1);
    *data = malloc(m->size + 1);
    r = packed && *data ? read_at(z, packed, m->packed, at, err) : t3d_err_nomem(err, z->name);
    if (r == T3D_OK)
        r = unpack(z, m, packed, *data, err);
    free(packed);
    if (r < 0) {
        free(*data);
        *data = NULL;
    }
    return r;
}
