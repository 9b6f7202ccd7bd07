/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cpu/kernel.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct t3di_kernel *choose(void)
{
    const struct t3di_kernel *k = t3di_kernel_portable();
#ifdef __x86_64__
    const char *cap = getenv("T3D_ISA");

    __builtin_cpu_init();
    if (cap && strcmp(cap, "portable") == 0)
        return k;
    if (t3di_kernel_avx2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        k = t3di_kernel_avx2();
    if (cap && strcmp(cap, "avx2") == 0)
        return k;
    if (t3di_kernel_avx512() && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        k = t3di_kernel_avx512();
#endif
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
