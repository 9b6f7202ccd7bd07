/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda_impl.h -- the door to lib/num/cuda, whose place lib/num/nocuda takes where the build has
 * no CUDA compiler. */
#ifndef T3D_NUM_CUDA_IMPL_H
#define T3D_NUM_CUDA_IMPL_H

#include "num/place_impl.h"

const struct t3di_place *t3di_cuda_place(void); /* NULL = not built in */
const struct t3d_op_backend *t3di_cuda_functions(const struct t3d_op *op);

int t3di_cuda_count(void); /* of devices; 0 also where the driver is missing */
/* "NVIDIA H200, 139.8 GiB, compute 9.0" */
void t3di_cuda_describe(int device, char *text, size_t n);
/* T3D_USAGE with the reason "no-device" unless the device is there. */
int t3di_cuda_check(int device, struct t3d_err *err);
/* "CUDA 13.0 (sm_80 sm_90 compute_90), cuBLASLt 13.0.2", or why there is none. */
void t3di_cuda_text(char *text, size_t n);

#endif
