/* SPDX-License-Identifier: Apache-2.0 */
/* What stands for lib/draw/cuda where the build has no CUDA compiler: no graph comes this far,
 * since there is no device to put it on. */
#include "draw/splat_impl.h"

size_t t3di_splat_cuda_work(const struct t3d_call *c, int backward)
{
    (void)c, (void)backward;
    return 0;
}

int t3di_splat_cuda_forward(const struct t3d_call *c, struct t3d_err *err)
{
    (void)c;
    return t3d_err_set(err, T3D_USAGE, "no-device", "this build has no CUDA");
}

int t3di_splat_cuda_backward(const struct t3d_call *c, struct t3d_err *err)
{
    return t3di_splat_cuda_forward(c, err);
}
