/* SPDX-License-Identifier: Apache-2.0 */
/* PKWARE APPNOTE.TXT 6.3: end of central directory (4.3.16), its zip64 forms (4.3.14, 4.3.15),
 * central directory headers (4.3.12), local headers (4.3.7), zip64 extra field (4.5.3). */
#include "store/pickle_impl.h"

enum {
    END = 22,
    END64 = 56,
    LOCATOR64 = 20,
    CENTRAL = 46,
    LOCAL = 30,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1
};

static uint64_t load(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

static int is(const uint8_t *p, const char *tag)
{
    return memcmp(p, tag, 4) == 0;
}

static int find_end(struct t3di_pickle_reader *r, size_t *at)
{
    if (r->size < END)
        return t3di_pickle_bad(r, "is too short for a zip file");
    for (size_t back = END; back <= r->size && back <= END + COMMENT_MAX; back++) {
        *at = r->size - back;
        if (is(r->data + *at, "PK\5\6"))
            return T3D_OK;
    }
    return t3di_pickle_bad(r, "has no end of its zip directory (is it cut off?)");
}

static int find_directory(struct t3di_pickle_reader *r, uint64_t *n, uint64_t *at, uint64_t *size)
{
    const uint8_t *d = r->data, *e;
    size_t end = 0;
    uint64_t end64;
    int rc = find_end(r, &end);

    if (rc < 0)
        return rc;
    e = d + end;
    *n = load(e + 10, 2);
    *size = load(e + 12, 4);
    *at = load(e + 16, 4);
    if (end >= LOCATOR64 && is(e - LOCATOR64, "PK\6\7")) {
        end64 = load(e - LOCATOR64 + 8, 8);
        if (end64 > r->size || r->size - end64 < END64 || !is(d + end64, "PK\6\6"))
            return t3di_pickle_bad(r, "has a damaged zip64 directory");
        *n = load(d + end64 + 32, 8);
        *size = load(d + end64 + 40, 8);
        *at = load(d + end64 + 48, 8);
    }
    if (*at > r->size || *size > r->size - *at || *n > *size / CENTRAL)
        return t3di_pickle_bad(r, "has a zip directory outside the file");
    return T3D_OK;
}

/* Sizes and offset that do not fit 32 bits are in the extra field, in this order. */
static void read_zip64(const uint8_t *extra, size_t n, uint64_t *raw, uint64_t *packed,
                       uint64_t *local)
{
    uint64_t *value[3] = {raw, packed, local};

    for (size_t i = 0; n - i >= 4;) {
        size_t length = load(extra + i + 2, 2), at = i + 4, end;

        if (length > n - at)
            return;
        end = at + length;
        for (int k = 0; load(extra + i, 2) == EXTRA_ZIP64 && k < 3; k++)
            if (*value[k] == UINT32_MAX && end - at >= 8) {
                *value[k] = load(extra + at, 8);
                at += 8;
            }
        i = end;
    }
}

static int read_member(struct t3di_pickle_reader *r, const uint8_t *c,
                       struct t3di_zip_member *member)
{
    uint64_t packed = load(c + 20, 4), raw = load(c + 24, 4), local = load(c + 42, 4), skip;
    size_t n_name = load(c + 28, 2), n_extra = load(c + 30, 2);
    const uint8_t *l;

    member->name = (const char *)c + CENTRAL;
    member->name_size = n_name;
    read_zip64(c + CENTRAL + n_name, n_extra, &raw, &packed, &local);
    if (load(c + 10, 2) != 0 || load(c + 8, 2) & 1 || raw != packed)
        return t3di_pickle_bad(r, "has the member '%.*s' compressed or encrypted", (int)n_name,
                               member->name);
    l = r->data + local;
    if (local > r->size || r->size - local < LOCAL || !is(l, "PK\3\4"))
        return t3di_pickle_bad(r, "has a damaged header of the member '%.*s'", (int)n_name,
                               member->name);
    skip = LOCAL + load(l + 26, 2) + load(l + 28, 2);
    if (skip > r->size - local || raw > r->size - local - skip)
        return t3di_pickle_bad(r, "is cut off in the member '%.*s'", (int)n_name, member->name);
    member->data = l + skip;
    member->size = raw;
    return T3D_OK;
}

int t3di_zip_members(struct t3di_pickle_reader *r, struct t3di_zip_member **member, size_t *n)
{
    uint64_t count = 0, at = 0, size = 0;
    int rc = find_directory(r, &count, &at, &size);

    if (rc < 0)
        return rc;
    *member = t3d_alloc(&r->scratch, count, sizeof **member);
    if (!*member)
        return t3di_pickle_too_large(r);
    for (*n = 0; *n < count; ++*n) {
        const uint8_t *c = r->data + at;
        size_t length;

        if (size < CENTRAL || !is(c, "PK\1\2"))
            return t3di_pickle_bad(r, "has a damaged zip directory");
        length = CENTRAL + load(c + 28, 2) + load(c + 30, 2) + load(c + 32, 2);
        if (length > size)
            return t3di_pickle_bad(r, "has a damaged zip directory");
        rc = read_member(r, c, &(*member)[*n]);
        if (rc < 0)
            return rc;
        at += length;
        size -= length;
    }
    return T3D_OK;
}
