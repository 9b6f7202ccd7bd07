/* SPDX-License-Identifier: Apache-2.0 */
/* A build without a CUDA compiler: there is no device. */
#include <stdio.h>

#include "num/cuda_impl.h"

const struct t3di_place *t3di_cuda_place(void)
{
    return NULL;
}

const struct t3d_op_backend *t3di_cuda_functions(const struct t3d_op *op)
{
    (void)op;
    return NULL;
}

int t3di_cuda_count(void)
{
    return 0;
}

void t3di_cuda_describe(int device, char *text, size_t n)
{
    snprintf(text, n, "cuda:%d: none", device);
}

int t3di_cuda_check(int device, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "no-device",
                       "cuda:%d: this build has no CUDA (it was made without nvcc): use --device "
                       "cpu",
                       device);
}

void t3di_cuda_text(char *text, size_t n)
{
    snprintf(text, n, "no CUDA (built without nvcc)");
}
