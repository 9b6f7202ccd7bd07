/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tar_impl.h"

/* Header fields: offset and width (pax(1), "ustar Interchange Format"). */
enum {
    NAME = 0,
    MODE = 100,
    UID = 108,
    GID = 116,
    SIZE = 124,
    MTIME = 136,
    CHECKSUM = 148,
    TYPE = 156,
    MAGIC = 257,
    DEV_MAJOR = 329,
    DEV_MINOR = 337
};

uint64_t t3di_tar_span(uint64_t size)
{
    return T3DI_TAR_BLOCK + (size + T3DI_TAR_BLOCK - 1) / T3DI_TAR_BLOCK * T3DI_TAR_BLOCK;
}

/* Sum of the header's bytes with the checksum field taken as spaces. */
static unsigned checksum(const uint8_t *block)
{
    unsigned sum = 0;

    for (int i = 0; i < T3DI_TAR_BLOCK; i++)
        sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
    return sum;
}

static void octal(uint8_t *field, int digits, uint64_t v)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 3)
        field[i] = (uint8_t)('0' + (v & 7));
    field[digits] = 0;
}

int t3di_tar_header(uint8_t block[T3DI_TAR_BLOCK], const char *name, uint64_t size,
                    struct t3d_err *err)
{
    size_t n = strlen(name);

    if (n == 0 || n > 100)
        return t3d_err_set(err, T3D_SKIP, "bad-member",
                           "member name '%s' has %zu bytes, not 1 to 100", name, n);
    if (size >> 33)
        return t3d_err_set(err, T3D_SKIP, "bad-member", "member '%s' has %llu bytes, 8 GiB or more",
                           name, (unsigned long long)size);
    memset(block, 0, T3DI_TAR_BLOCK);
    memcpy(block + NAME, name, n);
    octal(block + MODE, 7, 0444);
    octal(block + UID, 7, 0);
    octal(block + GID, 7, 0);
    octal(block + SIZE, 11, size);
    octal(block + MTIME, 11, 0);
    block[TYPE] = '0';
    memcpy(block + MAGIC, "ustar\00000", 8);
    octal(block + DEV_MAJOR, 7, 0);
    octal(block + DEV_MINOR, 7, 0);
    octal(block + CHECKSUM, 6, checksum(block));
    block[CHECKSUM + 7] = ' ';
    return T3D_OK;
}

static int read_octal(const uint8_t *field, int width, uint64_t *v)
{
    int i = 0;

    *v = 0;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        *v = *v << 3 | (uint64_t)(field[i] - '0');
    return i > 0 && (i == width || field[i] == 0 || field[i] == ' ') ? 0 : -1;
}

static int all_zero(const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i])
            return 0;
    return 1;
}

int t3di_tar_next(const uint8_t *data, uint64_t n, uint64_t *pos, struct t3di_tar_member *m,
                  struct t3d_err *err)
{
    const uint8_t *h = data + *pos;
    uint64_t sum;

    if (n - *pos == T3DI_TAR_END && all_zero(h, T3DI_TAR_END))
        return T3D_END;
    if (n - *pos < T3DI_TAR_BLOCK)
        return t3d_err_set(err, T3D_SKIP, "bad-shard",
                           "the tar ends at byte %llu without an end marker",
                           (unsigned long long)n);
    if (memcmp(h + MAGIC, "ustar", 5) != 0 || read_octal(h + CHECKSUM, 8, &sum) < 0 ||
        sum != checksum(h))
        return t3d_err_set(err, T3D_SKIP, "bad-shard", "no valid tar header at byte %llu",
                           (unsigned long long)*pos);
    memcpy(m->name, h + NAME, 100);
    m->name[100] = 0;
    m->offset = *pos + T3DI_TAR_BLOCK;
    if (h[TYPE] != '0' || h[345] || read_octal(h + SIZE, 12, &m->size) < 0 || m->size > n ||
        t3di_tar_span(m->size) > n - *pos)
        return t3d_err_set(err, T3D_SKIP, "bad-shard",
                           "member '%s' at byte %llu is not a whole regular file", m->name,
                           (unsigned long long)*pos);
    *pos += t3di_tar_span(m->size);
    return T3D_OK;
}

int t3di_key_valid(const char *s, char end)
{
    for (int i = 0; i < T3DI_KEY; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return 0;
    return s[T3DI_KEY] == end;
}
