/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/kernel.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/isa.h"

static const struct t3di_kernel *choose(void)
{
    const struct t3di_kernel *k = t3di_kernel_portable();

    if (t3d_isa() >= T3D_ISA_AVX2 && t3di_kernel_avx2())
        k = t3di_kernel_avx2();
    if (t3d_isa() >= T3D_ISA_AVX512 && t3di_kernel_avx512())
        k = t3di_kernel_avx512();
    return k;
}

const struct t3di_kernel *t3di_kernel(void)
{
    static _Atomic(const struct t3di_kernel *) known;
    const struct t3di_kernel *k = atomic_load_explicit(&known, memory_order_relaxed);

    if (!k) {
        k = choose();
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k;
}
