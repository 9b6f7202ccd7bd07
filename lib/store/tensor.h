/* SPDX-License-Identifier: Apache-2.0 */
/* store/tensor.h -- a named tensor inside a file of weights, as safetensors and pickles give it. */
#ifndef T3D_STORE_TENSOR_H
#define T3D_STORE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_TENSOR_MAX_AXES = 8 };

/* In the order of safetensors' own list: by size, so that its writer's order is ours. */
enum t3d_tensor_type {
    T3D_TENSOR_BOOL,
    T3D_TENSOR_U8,
    T3D_TENSOR_I8,
    T3D_TENSOR_I16,
    T3D_TENSOR_F16,
    T3D_TENSOR_BF16,
    T3D_TENSOR_I32,
    T3D_TENSOR_F32,
    T3D_TENSOR_F64,
    T3D_TENSOR_I64,
    T3D_N_TENSOR_TYPES
};

struct t3d_tensor {
    const char *name;
    enum t3d_tensor_type type;
    int n_axes; /* 0 = a scalar */
    uint64_t shape[T3D_TENSOR_MAX_AXES];
    uint64_t stride[T3D_TENSOR_MAX_AXES]; /* in elements */
    uint64_t count;                       /* product of shape */
    const uint8_t *data;                  /* little-endian, any alignment: copy, do not cast */
};

size_t t3d_tensor_type_size(enum t3d_tensor_type type);
/* "F32" and so on, as safetensors spells them; and back: 0, or -1 when there is no such type. */
const char *t3d_tensor_type_name(enum t3d_tensor_type type);
int t3d_tensor_type_find(enum t3d_tensor_type *type, const char *name) T3D_MUST_CHECK;

/* Fill count, and the strides of C order, from type, n_axes and shape. *bytes = size of the data.
 * -1 when it overflows. */
int t3d_tensor_layout(struct t3d_tensor *t, uint64_t *bytes) T3D_MUST_CHECK;

/* The elements in C order as float32, out (count). Exact for BOOL, F16, BF16, F32, U8, I8 and I16;
 * the others are rounded to nearest. */
void t3d_tensor_floats(const struct t3d_tensor *t, float *out);

/* IEEE 754 binary16 and float: exact one way, rounded to nearest even the other. */
float t3d_half_to_float(uint16_t h);
uint16_t t3d_half_from_float(float f);

/* The tensor of that name in a table sorted by name (bytewise), or NULL. */
const struct t3d_tensor *t3d_tensor_find(const struct t3d_tensor *table, size_t n,
                                         const char *name);
/* Sort a table by name; the first pair of equal names, or NULL. */
const char *t3d_tensor_sort(struct t3d_tensor *table, size_t n);

#endif
