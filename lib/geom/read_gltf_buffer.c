/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers, buffer views and URIs (glTF 2.0 sections 2.8, 3.6.1). */
#include <string.h>

#include "geom/gltf_impl.h"

/* --- data: URIs (RFC 2397) and percent-encoding (RFC 3986) ------------------------------- */

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* RFC 4648, also its URL alphabet; padding may be absent. Returns the size, or -1. */
static ptrdiff_t base64(const char *s, size_t n, uint8_t *out)
{
    size_t size = 0;
    uint32_t word = 0;
    unsigned bits = 0;

    while (n && s[n - 1] == '=')
        n--;
    if (n % 4 == 1)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int d = base64_digit((unsigned char)s[i]);

        if (d < 0)
            return -1;
        word = word << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[size++] = (uint8_t)(word >> bits);
        }
    }
    return (ptrdiff_t)size;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; a '%' without two digits stays as it is. Returns the new length. */
static size_t percent_decode(char *s, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        int high = s[i] == '%' && n - i > 2 ? hex_digit(s[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s[i + 2]) : -1;

        if (low >= 0)
            i += 2;
        s[out++] = (char)(low >= 0 ? high << 4 | low : s[i]);
    }
    s[out] = 0;
    return out;
}

static int bad_uri(struct t3di_gltf *g, const char *what, const char *uri)
{
    return t3d_err_set(g->err, T3D_SKIP, "bad-uri", "%s: '%.60s'", what, uri);
}

static int data_uri(struct t3di_gltf *g, char *uri, const uint8_t **data, size_t *size)
{
    char *comma = strchr(uri, ',');
    size_t n;
    ptrdiff_t got;
    uint8_t *out;

    if (!comma)
        return bad_uri(g, "a data: URI has no comma", uri);
    n = strlen(comma + 1);
    if (comma - uri < 7 || memcmp(comma - 7, ";base64", 7) != 0) {
        *size = percent_decode(comma + 1, n);
        *data = (const uint8_t *)comma + 1;
        return T3D_OK;
    }
    if (memchr(comma + 1, '%', n))
        n = percent_decode(comma + 1, n);
    out = t3d_alloc_raw(g->a, n / 4 * 3 + 3, 1);
    if (!out)
        return t3di_no_room(g->a, g->err, "a data: URI");
    got = base64(comma + 1, n, out);
    if (got < 0)
        return bad_uri(g, "a data: URI is no base64", uri);
    *data = out;
    *size = (size_t)got;
    return T3D_OK;
}

static int open_external(struct t3di_gltf *g, char *uri, struct t3d_blob *blob)
{
    size_t n = percent_decode(uri, strlen(uri));

    if (!n || strlen(uri) != n)
        return bad_uri(g, "the name of an external file is empty or has a NUL", uri);
    if (!g->src->open)
        return t3d_err_set(g->err, T3D_SKIP, "missing-file",
                           "the object needs the file '%s', which cannot be opened here", uri);
    return g->src->open(g->src->ctx, uri, blob, g->err);
}

int t3di_gltf_uri(struct t3di_gltf *g, uint32_t tok, const uint8_t **data, size_t *size)
{
    char *uri = t3d_jtok_string(&g->j, tok, g->a);
    struct t3d_blob blob = {0};
    int r;

    if (!uri)
        return g->j.tok[tok].type == T3D_JTOK_STRING
                   ? t3di_no_room(g->a, g->err, "a URI")
                   : t3d_err_set(g->err, T3D_SKIP, "bad-uri", "a uri is no string");
    if (strncmp(uri, "data:", 5) == 0)
        return data_uri(g, uri, data, size);
    r = open_external(g, uri, &blob);
    if (r < 0)
        return r;
    *data = blob.data;
    *size = blob.size;
    return T3D_OK;
}

int t3di_gltf_names(struct t3di_gltf *g)
{
    static const enum gltf_array arrays[] = {GLTF_BUFFERS, GLTF_IMAGES};

    for (size_t k = 0; k < T3D_COUNT(arrays); k++)
        for (uint32_t i = 0; i < g->list[arrays[k]].n; i++) {
            uint32_t tok = t3d_jtok_member(&g->j, g->list[arrays[k]].tok[i], "uri");
            const struct t3d_jtok *t = &g->j.tok[tok];
            struct t3d_blob blob = {0};
            char *uri;
            int r;

            if (t->type != T3D_JTOK_STRING ||
                (t->end - t->start >= 5 && memcmp(g->j.text + t->start, "data:", 5) == 0))
                continue;
            uri = t3d_jtok_string(&g->j, tok, g->a);
            if (!uri)
                return t3di_no_room(g->a, g->err, "a URI");
            r = open_external(g, uri, &blob);
            if (r < 0 && r != T3D_SKIP)
                return r;
        }
    return T3D_OK;
}

/* --- buffers ------------------------------------------------------------------------------ */

/* A whole-number member; `otherwise` when absent; -1 when it is no such number. */
static int64_t whole(const struct t3di_gltf *g, uint32_t tok, const char *key, int64_t otherwise)
{
    uint32_t t = t3d_jtok_member(&g->j, tok, key);
    uint64_t v;

    if (!t)
        return otherwise;
    return t3d_jtok_whole(&g->j, t, &v) ? (int64_t)v : -1;
}

static int open_buffer(struct t3di_gltf *g, uint32_t index, struct gltf_buffer *b)
{
    uint32_t tok = g->list[GLTF_BUFFERS].tok[index];
    uint32_t uri = t3d_jtok_member(&g->j, tok, "uri");
    int64_t need = whole(g, tok, "byteLength", -1);
    int r;

    b->open = 1;
    if (uri) {
        r = t3di_gltf_uri(g, uri, &b->data, &b->size);
        if (r < 0)
            return r;
    } else if (index == 0 && g->bin) {
        b->data = g->bin;
        b->size = g->bin_size;
    } else {
        b->why = "missing-buffer"; /* also the fallback buffer of a compression extension */
        return T3D_OK;
    }
    if (need < 0) {
        b->why = "bad-buffer";
        return T3D_OK;
    }
    if ((uint64_t)need > b->size)
        return t3d_err_value(g->err, T3D_SKIP, "truncated", (double)b->size,
                             "buffer %u has %zu bytes of the %lld that it should have", index,
                             b->size, (long long)need);
    b->size = (size_t)need;
    if (!b->data)
        b->data = (const uint8_t *)""; /* an empty file has no address */
    return T3D_OK;
}

int t3di_gltf_buffer(struct t3di_gltf *g, uint32_t index, const struct gltf_buffer **out)
{
    struct gltf_buffer *b = &g->buffer[index];
    int r;

    if (!b->open && (r = open_buffer(g, index, b)) < 0)
        return r;
    *out = b;
    return b->why ? t3di_gltf_bad(g, b->why) : T3D_OK;
}

int t3di_gltf_view(struct t3di_gltf *g, uint32_t index, const uint8_t **data, size_t *size,
                   size_t *stride)
{
    uint32_t tok = g->list[GLTF_VIEWS].tok[index];
    uint32_t buffer = t3di_gltf_ref(g, tok, "buffer", GLTF_BUFFERS);
    int64_t offset = whole(g, tok, "byteOffset", 0), length = whole(g, tok, "byteLength", -1);
    int64_t step = whole(g, tok, "byteStride", 0);
    const struct gltf_buffer *b;
    int r;

    if (buffer >= GLTF_INVALID || offset < 0 || length < 0 || step < 0)
        return t3di_gltf_bad(g, "bad-buffer-view");
    r = t3di_gltf_buffer(g, buffer, &b);
    if (r != T3D_OK)
        return r;
    if ((uint64_t)offset > b->size || (uint64_t)length > b->size - (uint64_t)offset)
        return t3di_gltf_bad(g, "buffer-view-out-of-range");
    *data = b->data + offset;
    *size = (size_t)length;
    *stride = (size_t)step;
    return T3D_OK;
}
