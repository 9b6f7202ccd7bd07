/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tensor.h"

#include <math.h>

static const struct {
    const char *name;
    size_t size;
} type_table[T3D_N_TENSOR_TYPES] = {
    [T3D_TENSOR_BOOL] = {"BOOL", 1}, [T3D_TENSOR_U8] = {"U8", 1},   [T3D_TENSOR_I8] = {"I8", 1},
    [T3D_TENSOR_I16] = {"I16", 2},   [T3D_TENSOR_F16] = {"F16", 2}, [T3D_TENSOR_BF16] = {"BF16", 2},
    [T3D_TENSOR_I32] = {"I32", 4},   [T3D_TENSOR_F32] = {"F32", 4}, [T3D_TENSOR_F64] = {"F64", 8},
    [T3D_TENSOR_I64] = {"I64", 8},
};

size_t t3d_tensor_type_size(enum t3d_tensor_type type)
{
    return type_table[type].size;
}

const char *t3d_tensor_type_name(enum t3d_tensor_type type)
{
    return type_table[type].name;
}

int t3d_tensor_type_find(enum t3d_tensor_type *type, const char *name)
{
    for (int i = 0; i < T3D_N_TENSOR_TYPES; i++)
        if (strcmp(type_table[i].name, name) == 0) {
            *type = (enum t3d_tensor_type)i;
            return 0;
        }
    return -1;
}

int t3d_tensor_layout(struct t3d_tensor *t, uint64_t *bytes)
{
    uint64_t stride = 1;

    t->count = 1;
    for (int i = 0; i < t->n_axes; i++)
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return -1;
    for (int i = t->n_axes - 1; i >= 0; i--) {
        t->stride[i] = stride;
        if (__builtin_mul_overflow(stride, T3D_MAX(t->shape[i], 1), &stride))
            return -1; /* an axis of 0 hides the overflow of the others */
    }
    return __builtin_mul_overflow(t->count, type_table[t->type].size, bytes) ? -1 : 0;
}

float t3d_half_to_float(uint16_t h)
{
    uint32_t exponent = h >> 10 & 31, mantissa = h & 1023, bits;
    float f;

    if (exponent == 0)
        f = ldexpf((float)mantissa, -24);
    else {
        bits = (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13;
        memcpy(&f, &bits, 4);
    }
    return h & 0x8000 ? -f : f;
}

uint16_t t3d_half_from_float(float f)
{
    uint32_t u, magnitude, sign, odd;

    memcpy(&u, &f, 4);
    sign = u >> 16 & 0x8000;
    magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00); /* NaN */
    if (magnitude >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00); /* above the largest half by half a step: infinity */
    if (magnitude < 0x38800000) {         /* below 2^-14: steps of 2^-24 */
        float a;
        memcpy(&a, &magnitude, 4);
        return (uint16_t)(sign | (uint32_t)nearbyintf(ldexpf(a, 24)));
    }
    odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

static float bfloat_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, 4);
    return f;
}

#define LOAD(type, expression)                                                                     \
    do {                                                                                           \
        type v;                                                                                    \
        memcpy(&v, p, sizeof v);                                                                   \
        return (float)(expression);                                                                \
    } while (0)

static float load(enum t3d_tensor_type type, const uint8_t *p)
{
    switch (type) {
    case T3D_TENSOR_BOOL:
        return *p != 0;
    case T3D_TENSOR_U8:
        return *p;
    case T3D_TENSOR_I8:
        LOAD(int8_t, v);
    case T3D_TENSOR_I16:
        LOAD(int16_t, v);
    case T3D_TENSOR_F16:
        LOAD(uint16_t, t3d_half_to_float(v));
    case T3D_TENSOR_BF16:
        LOAD(uint16_t, bfloat_float(v));
    case T3D_TENSOR_I32:
        LOAD(int32_t, v);
    case T3D_TENSOR_F32:
        LOAD(float, v);
    case T3D_TENSOR_F64:
        LOAD(double, v);
    case T3D_TENSOR_I64:
        LOAD(int64_t, v);
    default:
        return NAN;
    }
}

static int is_dense(const struct t3d_tensor *t)
{
    uint64_t stride = 1;

    for (int i = t->n_axes - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != stride)
            return 0;
        stride *= t->shape[i];
    }
    return 1;
}

void t3d_tensor_floats(const struct t3d_tensor *t, float *out)
{
    size_t size = type_table[t->type].size;
    uint64_t index[T3D_TENSOR_MAX_AXES] = {0}, at = 0;

    if (!t->count)
        return;
    if (t->type == T3D_TENSOR_F32 && is_dense(t)) {
        memcpy(out, t->data, t->count * sizeof *out);
        return;
    }
    for (uint64_t i = 0; i < t->count; i++) {
        out[i] = load(t->type, t->data + at * size);
        for (int k = t->n_axes - 1; k >= 0; k--) { /* the odometer of C order */
            at += t->stride[k];
            if (++index[k] < t->shape[k])
                break;
            at -= t->stride[k] * index[k];
            index[k] = 0;
        }
    }
}

static int by_name(const void *a, const void *b)
{
    const struct t3d_tensor *x = a, *y = b;

    return strcmp(x->name, y->name);
}

const struct t3d_tensor *t3d_tensor_find(const struct t3d_tensor *table, size_t n, const char *name)
{
    struct t3d_tensor key = {.name = name};

    return n ? bsearch(&key, table, n, sizeof *table, by_name) : NULL;
}

const char *t3d_tensor_sort(struct t3d_tensor *table, size_t n)
{
    if (n)
        qsort(table, n, sizeof *table, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(table[i - 1].name, table[i].name) == 0)
            return table[i].name;
    return NULL;
}
