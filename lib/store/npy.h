/* SPDX-License-Identifier: Apache-2.0 */
/* store/npy.h -- NumPy's .npy version 1.0: float32, float16, uint8, int32, int64, C order, up to 4
 * axes. */
#ifndef T3D_STORE_NPY_H
#define T3D_STORE_NPY_H

#include <stdint.h>

#include "base/file.h"

enum t3d_npy_type {
    T3D_NPY_F32,
    T3D_NPY_F16,
    T3D_NPY_F64,
    T3D_NPY_U8,
    T3D_NPY_U16,
    T3D_NPY_I32,
    T3D_NPY_I64
};

struct t3d_npy {
    enum t3d_npy_type type;
    int n_axes;
    uint64_t shape[4];
    const void *data; /* into the map */
    uint64_t count;   /* product of shape */
    struct t3d_blob blob;
};

/* T3D_SKIP "bad-npy" for a wrong magic, header, type, Fortran order, size overflow or short data.
 */
int t3d_npy_open(struct t3d_npy *n, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_npy_close(struct t3d_npy *n);
int t3d_npy_write(const char *path, enum t3d_npy_type type, const uint64_t *shape, int n_axes,
                  const void *data, struct t3d_err *err) T3D_MUST_CHECK;

#endif
