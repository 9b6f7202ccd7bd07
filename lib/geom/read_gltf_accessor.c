/* SPDX-License-Identifier: Apache-2.0 */
/* Accessors (glTF 2.0 section 3.6.2): resolved and checked once, then copied out in ranges. */
#include <string.h>

#include "geom/gltf_impl.h"

enum { I8 = 5120, U8, I16, U16, U32 = 5125, F32 };

/* Bytes of a component type; 0 when there is no such type. */
static unsigned component_size(uint64_t type)
{
    switch (type) {
    case I8:
    case U8:
        return 1;
    case I16:
    case U16:
        return 2;
    case U32:
    case F32:
        return 4;
    default:
        return 0;
    }
}

/* MAT2 and MAT3 are not used by anything that is read here. */
static unsigned type_width(const struct t3d_jsontok *j, uint32_t t)
{
    static const struct {
        const char *name;
        unsigned width;
    } types[] = {{"SCALAR", 1}, {"VEC2", 2}, {"VEC3", 3}, {"VEC4", 4}, {"MAT4", 16}};

    for (size_t i = 0; i < T3D_COUNT(types); i++)
        if (t3d_jtok_is(j, t, types[i].name))
            return types[i].width;
    return 0;
}

static uint32_t load_whole(const uint8_t *p, unsigned size)
{
    uint32_t v = p[0];

    if (size > 1)
        v |= (uint32_t)p[1] << 8;
    if (size > 2)
        v |= (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return v;
}

/* Where count elements of `bytes` bytes lie in the bufferView named in tok, after tok's byteOffset.
 */
static int locate(struct t3di_gltf *g, uint32_t tok, uint32_t count, size_t bytes,
                  const uint8_t **data, size_t *stride)
{
    uint32_t view = t3di_gltf_ref(g, tok, "bufferView", GLTF_VIEWS);
    uint32_t t = t3d_jtok_member(&g->j, tok, "byteOffset");
    uint64_t offset = 0, last;
    size_t size;
    int r;

    if (view >= GLTF_INVALID || (t && !t3d_jtok_whole(&g->j, t, &offset)))
        return t3di_gltf_bad(g, "bad-accessor");
    r = t3di_gltf_view(g, view, data, &size, stride);
    if (r != T3D_OK)
        return r;
    *stride = *stride ? *stride : bytes;
    if (*stride < bytes || *stride > UINT32_MAX)
        return t3di_gltf_bad(g, "bad-stride");
    last = (uint64_t)(count - 1) * *stride + bytes; /* below 2^64: both factors are below 2^32 */
    if (offset > size || last > size - offset)
        return t3di_gltf_bad(g, "accessor-out-of-range");
    *data += offset;
    return T3D_OK;
}

/* Section 3.6.2.3: indices increase strictly and lie below count. */
static int check_sparse_indices(struct t3di_gltf *g, const struct gltf_accessor *a)
{
    uint64_t least = 0;

    for (uint32_t i = 0; i < a->n_sparse; i++) {
        uint32_t v = load_whole(a->sparse_index + (size_t)i * a->sparse_size, a->sparse_size);

        if (v < least || v >= a->count)
            return t3di_gltf_bad(g, "bad-sparse");
        least = (uint64_t)v + 1;
    }
    return T3D_OK;
}

static int open_sparse(struct t3di_gltf *g, struct gltf_accessor *a, uint32_t tok)
{
    uint32_t indices = t3d_jtok_member(&g->j, tok, "indices");
    uint32_t values = t3d_jtok_member(&g->j, tok, "values");
    uint64_t count = 0, type = 0;
    size_t stride, bytes = (size_t)a->width * a->size;
    int r;

    if (!t3d_jtok_whole(&g->j, t3d_jtok_member(&g->j, tok, "count"), &count) || count > a->count ||
        !t3d_jtok_whole(&g->j, t3d_jtok_member(&g->j, indices, "componentType"), &type) ||
        (type != U8 && type != U16 && type != U32))
        return t3di_gltf_bad(g, "bad-sparse");
    if (!count)
        return T3D_OK;
    a->sparse_size = (uint8_t)component_size(type);
    r = locate(g, indices, (uint32_t)count, a->sparse_size, &a->sparse_index, &stride);
    if (r == T3D_OK && stride != a->sparse_size)
        r = t3di_gltf_bad(g, "bad-sparse");
    if (r == T3D_OK)
        r = locate(g, values, (uint32_t)count, bytes, &a->sparse_value, &stride);
    if (r == T3D_OK && stride != bytes)
        r = t3di_gltf_bad(g, "bad-sparse");
    if (r != T3D_OK)
        return r;
    a->n_sparse = (uint32_t)count;
    return check_sparse_indices(g, a);
}

static int open_accessor(struct t3di_gltf *g, struct gltf_accessor *a, uint32_t tok)
{
    uint32_t sparse = t3d_jtok_member(&g->j, tok, "sparse");
    uint64_t count = 0, type = 0;
    int r;

    a->width = (uint8_t)type_width(&g->j, t3d_jtok_member(&g->j, tok, "type"));
    if (!a->width || !t3d_jtok_whole(&g->j, t3d_jtok_member(&g->j, tok, "componentType"), &type) ||
        !component_size(type) ||
        !t3d_jtok_whole(&g->j, t3d_jtok_member(&g->j, tok, "count"), &count) || !count ||
        count > UINT32_MAX - 1)
        return t3di_gltf_bad(g, "bad-accessor");
    a->component = (uint16_t)type;
    a->size = (uint8_t)component_size(type);
    a->count = (uint32_t)count;
    a->normalized =
        g->j.tok[t3d_jtok_member(&g->j, tok, "normalized")].type == T3D_JTOK_TRUE && type != F32;
    if (t3d_jtok_member(&g->j, tok, "bufferView")) {
        r = locate(g, tok, a->count, (size_t)a->width * a->size, &a->data, &a->stride);
        if (r != T3D_OK)
            return r;
    }
    return sparse ? open_sparse(g, a, sparse) : T3D_OK;
}

int t3di_gltf_accessor(struct t3di_gltf *g, uint32_t index, const struct gltf_accessor **out)
{
    struct gltf_accessor *a;
    int r;

    if (index >= GLTF_INVALID)
        return t3di_gltf_bad(g, "bad-accessor");
    a = &g->accessor[index];
    if (!a->open) {
        r = open_accessor(g, a, g->list[GLTF_ACCESSORS].tok[index]);
        if (r < 0)
            return r;
        a->open = 1;
        a->why = r == GLTF_BAD ? g->why : NULL;
    }
    *out = a;
    return a->why ? t3di_gltf_bad(g, a->why) : T3D_OK;
}

/* --- copying out ---------------------------------------------------------------------------- */

/* Value of a component as it stands: little-endian, as in the file. */
static float load(const uint8_t *p, unsigned component)
{
    float f;

    switch (component) {
    case I8:
        return (int8_t)p[0];
    case U8:
        return p[0];
    case I16:
        return (int16_t)load_whole(p, 2);
    case U16:
        return (float)load_whole(p, 2);
    case U32:
        return (float)load_whole(p, 4);
    default:
        memcpy(&f, p, 4);
        return f;
    }
}

/* Largest value of a component type: the divisor of normalised integers (section 3.6.2.2). */
static float largest(unsigned component)
{
    switch (component) {
    case I8:
        return 127;
    case U8:
        return 255;
    case I16:
        return 32767;
    case U16:
        return 65535;
    case U32:
        return 4294967295.0f;
    default:
        return 1;
    }
}

static void copy(const struct gltf_accessor *a, const uint8_t *p, size_t stride, size_t n,
                 int normalize, float *out)
{
    const unsigned w = a->width, size = a->size, component = a->component;
    const float top = normalize ? largest(component) : 1;
    const int is_signed = component == I8 || component == I16;

    if (component == F32 && stride == 4 * (size_t)w) {
        memcpy(out, p, 4 * n * w);
        return;
    }
    if (component == F32) {
        for (size_t e = 0; e < n; e++, p += stride, out += w)
            memcpy(out, p, 4 * (size_t)w);
        return;
    }
    for (size_t e = 0; e < n; e++, p += stride)
        for (unsigned i = 0; i < w; i++) {
            float v = load(p + (size_t)i * size, component) / top;

            *out++ = normalize && is_signed && v < -1 ? -1 : v;
        }
}

/* First sparse entry whose element is not below e. */
static uint32_t first_sparse(const struct gltf_accessor *a, uint32_t e)
{
    uint32_t low = 0, high = a->n_sparse;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (load_whole(a->sparse_index + (size_t)mid * a->sparse_size, a->sparse_size) < e)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void t3di_gltf_floats(const struct gltf_accessor *a, uint32_t first, uint32_t n, int normalize,
                      float *out)
{
    size_t bytes = (size_t)a->width * a->size;

    normalize = (normalize || a->normalized) && a->component != F32;
    if (a->data)
        copy(a, a->data + first * a->stride, a->stride, n, normalize, out);
    else
        memset(out, 0, sizeof *out * n * a->width);
    for (uint32_t i = first_sparse(a, first); i < a->n_sparse; i++) {
        uint32_t e = load_whole(a->sparse_index + (size_t)i * a->sparse_size, a->sparse_size);

        if (e - first >= n)
            break;
        copy(a, a->sparse_value + i * bytes, bytes, 1, normalize,
             out + (size_t)(e - first) * a->width);
    }
}

void t3di_gltf_wholes(const struct gltf_accessor *a, uint32_t first, uint32_t n, uint32_t *out)
{
    const unsigned w = a->width, size = a->size;
    const uint8_t *p = a->data ? a->data + first * a->stride : NULL;

    if (!p)
        memset(out, 0, sizeof *out * n * w);
    else if (size == 4 && a->stride == 4 * (size_t)w)
        memcpy(out, p, sizeof *out * n * w);
    else if (size == 2 && a->stride == 2 && w == 1)
        for (uint32_t e = 0; e < n; e++)
            out[e] = load_whole(p + 2 * (size_t)e, 2);
    else
        for (uint32_t e = 0; e < n; e++)
            for (unsigned i = 0; i < w; i++)
                out[(size_t)e * w + i] = load_whole(p + e * a->stride + (size_t)i * size, size);
    for (uint32_t i = first_sparse(a, first); i < a->n_sparse; i++) {
        uint32_t e = load_whole(a->sparse_index + (size_t)i * a->sparse_size, a->sparse_size);

        if (e - first >= n)
            break;
        for (unsigned k = 0; k < w; k++)
            out[(size_t)(e - first) * w + k] =
                load_whole(a->sparse_value + ((size_t)i * w + k) * size, size);
    }
}
