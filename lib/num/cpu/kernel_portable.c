/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/kernel.h"
#include "num/cpu/kernel_body.h"

const struct t3di_kernel *t3di_kernel_portable(void)
{
    static const struct t3di_kernel kernel = T3DI_KERNEL("portable");

    return &kernel;
}
