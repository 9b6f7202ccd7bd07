/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/context.h -- one CUDA device as the ops see it: a stream, cuBLASLt, room for its
 * products, and a place where kernels leave complaints. */
#ifndef T3D_NUM_CUDA_CONTEXT_H
#define T3D_NUM_CUDA_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "num/op.h"

/* A kernel that meets a bad index writes its place and value here: host memory that the device
 * sees. The lowest place wins, so that the message is the same each time. */
struct t3di_cuda_check {
    unsigned long long first; /* place << 32 | value; all ones = nothing found */
    const char *op;
    int64_t below;
    int used;
};
enum { T3DI_CUDA_CHECKS = 1024 };

struct t3di_cuda {
    int device, multiprocessors;
    void *stream;
    void *lt; /* cublasLtHandle_t, or NULL where the library is missing */
    void *workspace;
    size_t workspace_bytes;
    struct t3di_cuda_check *check; /* T3DI_CUDA_CHECKS of them */
    float *scratch;                /* sums on their way to the host */
};
enum { T3DI_CUDA_SCRATCH = 4096 };

/* The selected device's, opened before. */
struct t3di_cuda *t3di_cuda_here(void);

/* Complaints of one op's node; NULL = all are taken. */
struct t3di_cuda_check *t3di_cuda_claim(const char *op, int64_t below);
void t3di_cuda_unclaim(void *check);

/* cuBLASLt as found on this machine: its version, or 0. */
size_t t3di_cuda_lt_version(void);
void *t3di_cuda_lt_new(void); /* a handle, or NULL */

#endif
