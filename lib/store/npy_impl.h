/* SPDX-License-Identifier: Apache-2.0 */
/* store/npy_impl.h -- the head of a .npy file, for writers that know the number of rows last. */
#ifndef T3D_STORE_NPY_IMPL_H
#define T3D_STORE_NPY_IMPL_H

#include <stddef.h>

#include "store/npy.h"

/* Bytes of the head of a file with two axes, whatever they are. */
enum { T3DI_NPY_HEAD = 128 };

/* Prefix and dict, padded so that data begin at a multiple of 64; returns the length. */
size_t t3di_npy_head(char *h, size_t size, enum t3d_npy_type type, const uint64_t *shape,
                     int n_axes);

#endif
