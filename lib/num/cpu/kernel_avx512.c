/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/kernel.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "num/cpu/kernel_body.h"

const struct t3di_kernel *t3di_kernel_avx512(void)
{
    static const struct t3di_kernel kernel = T3DI_KERNEL("avx512");

    return &kernel;
}
#else
#include <stddef.h>

const struct t3di_kernel *t3di_kernel_avx512(void)
{
    return NULL;
}
#endif
