/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/kernel.h"

#if defined(__AVX2__) && defined(__FMA__)
#include "num/cpu/kernel_body.h"

const struct t3di_kernel *t3di_kernel_avx2(void)
{
    static const struct t3di_kernel kernel = T3DI_KERNEL("avx2");

    return &kernel;
}
#else
#include <stddef.h>

const struct t3di_kernel *t3di_kernel_avx2(void)
{
    return NULL;
}
#endif
