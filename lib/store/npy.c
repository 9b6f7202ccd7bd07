/* SPDX-License-Identifier: Apache-2.0 */
/* numpy/doc/source/reference of numpy.lib.format: magic, version, header length, a Python dict
 * literal padded with spaces so that the data begins at a multiple of 64. */
#include "store/npy.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "store/npy_impl.h"

enum { PREFIX = 10, ALIGN = 64, HEADER_MAX = 65535 };

static const struct {
    const char *descr;
    uint64_t bytes;
} type_table[] = {
    [T3D_NPY_F32] = {"<f4", 4}, [T3D_NPY_F16] = {"<f2", 2}, [T3D_NPY_F64] = {"<f8", 8},
    [T3D_NPY_U8] = {"|u1", 1},  [T3D_NPY_U16] = {"<u2", 2}, [T3D_NPY_I32] = {"<i4", 4},
    [T3D_NPY_I64] = {"<i8", 8},
};

static const char *blank(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* The value behind 'key': in a dict literal, or NULL. */
static const char *find_value(const char *dict, const char *key)
{
    char quoted[32];
    const char *s;

    for (int q = 0; q < 2; q++) {
        snprintf(quoted, sizeof quoted, q ? "\"%s\"" : "'%s'", key);
        s = strstr(dict, quoted);
        if (!s)
            continue;
        s = blank(s + strlen(quoted));
        if (*s == ':')
            return blank(s + 1);
    }
    return NULL;
}

static int parse_shape(struct t3d_npy *n, const char *s)
{
    n->n_axes = 0;
    n->count = 1;
    if (!s || *s++ != '(')
        return -1;
    for (s = blank(s); *s != ')'; s = blank(s)) {
        char *end;
        if (n->n_axes == 4 || !isdigit((unsigned char)*s))
            return -1;
        errno = 0;
        n->shape[n->n_axes] = strtoull(s, &end, 10);
        if (errno || __builtin_mul_overflow(n->count, n->shape[n->n_axes], &n->count))
            return -1;
        n->n_axes++;
        s = blank(end);
        if (*s == ',')
            s++;
        else if (*s != ')')
            return -1;
    }
    return 0;
}

static int parse_type(struct t3d_npy *n, const char *s)
{
    if (!s || (*s != '\'' && *s != '"'))
        return -1;
    for (size_t i = 0; i < T3D_COUNT(type_table); i++) {
        size_t len = strlen(type_table[i].descr);
        /* '|' and '<' say the same of single bytes. */
        int same = strncmp(s + 2, type_table[i].descr + 1, len - 1) == 0 &&
                   (s[1] == type_table[i].descr[0] || (type_table[i].bytes == 1 && s[1] == '<'));
        if (same && s[1 + len] == s[0]) {
            n->type = (enum t3d_npy_type)i;
            return 0;
        }
    }
    return -1;
}

static const char *parse(struct t3d_npy *n)
{
    const uint8_t *d = n->blob.data;
    char header[HEADER_MAX + 1];
    uint64_t bytes, length, start = PREFIX;
    const char *order;

    if (n->blob.size < PREFIX || memcmp(d, "\x93NUMPY", 6) != 0)
        return "is not a .npy file";
    if (d[6] != 1 && d[6] != 2 && d[6] != 3)
        return "has an unknown .npy version";
    length = (uint64_t)d[8] | (uint64_t)d[9] << 8;
    if (d[6] > 1) { /* versions 2 and 3 have a 4-byte length */
        if (n->blob.size < PREFIX + 2)
            return "is cut off in its header";
        length |= (uint64_t)d[10] << 16 | (uint64_t)d[11] << 24;
        start += 2;
    }
    if (length > HEADER_MAX || length > n->blob.size - start)
        return "is cut off in its header";
    memcpy(header, d + start, length);
    header[length] = 0;
    if (parse_type(n, find_value(header, "descr")) < 0)
        return "has a type other than little-endian float16/32/64, uint8/16, int32/64";
    order = find_value(header, "fortran_order");
    if (!order || strncmp(order, "False", 5) != 0)
        return "is not in C order";
    if (parse_shape(n, find_value(header, "shape")) < 0)
        return "has a shape that is not a tuple of at most 4 sizes";
    if (__builtin_mul_overflow(n->count, type_table[n->type].bytes, &bytes) ||
        bytes > n->blob.size - start - length)
        return "has less data than its shape says";
    n->data = d + start + length;
    return NULL;
}

int t3d_npy_open(struct t3d_npy *n, const char *path, struct t3d_err *err)
{
    const char *wrong;
    int r;

    memset(n, 0, sizeof *n);
    r = t3d_blob_open(&n->blob, path, 0, err);
    if (r < 0)
        return r;
    wrong = parse(n);
    if (!wrong)
        return T3D_OK;
    t3d_npy_close(n);
    return t3d_err_set(err, T3D_SKIP, "bad-npy", "'%s' %s", path, wrong);
}

void t3d_npy_close(struct t3d_npy *n)
{
    t3d_blob_close(&n->blob);
    memset(n, 0, sizeof *n);
}

size_t t3di_npy_head(char *h, size_t size, enum t3d_npy_type type, const uint64_t *shape,
                     int n_axes)
{
    size_t n = PREFIX, total;

    n += (size_t)snprintf(h + n, size - n, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          type_table[type].descr);
    for (int i = 0; i < n_axes; i++)
        n += (size_t)snprintf(h + n, size - n, "%s%" PRIu64, i ? ", " : "", shape[i]);
    n += (size_t)snprintf(h + n, size - n, "%s), }", n_axes == 1 ? "," : "");
    total = (n + 1 + ALIGN - 1) / ALIGN * ALIGN;
    memset(h + n, ' ', total - n - 1);
    h[total - 1] = '\n';
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    h[8] = (char)((total - PREFIX) & 0xff);
    h[9] = (char)((total - PREFIX) >> 8);
    return total;
}

int t3d_npy_write(const char *path, enum t3d_npy_type type, const uint64_t *shape, int n_axes,
                  const void *data, struct t3d_err *err)
{
    struct t3d_out out;
    char header[256];
    uint64_t bytes = type_table[type].bytes;
    size_t n;
    int r;

    if (n_axes < 0 || n_axes > 4)
        return t3d_err_set(err, T3D_FAIL, "bad-shape", "'%s': %d axes, not 0 to 4", path, n_axes);
    for (int i = 0; i < n_axes; i++)
        if (__builtin_mul_overflow(bytes, shape[i], &bytes))
            return t3d_err_set(err, T3D_FAIL, "bad-shape", "'%s': the shape is too large", path);
    n = t3di_npy_head(header, sizeof header, type, shape, n_axes);
    r = t3d_out_open(&out, path, err);
    if (r < 0)
        return r;
    if (fwrite(header, 1, n, out.f) != n || (bytes && fwrite(data, 1, bytes, out.f) != bytes)) {
        r = t3d_err_sys(err, "cannot write", path);
        t3d_out_abort(&out);
        return r;
    }
    return t3d_out_commit(&out, 1, err);
}
