/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static enum t3di_isa detect(void)
{
    const char *cap = getenv("T3D_ISA");
    enum t3di_isa best = T3DI_PORTABLE;

#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        best = T3DI_AVX2;
    if (best == T3DI_AVX2 && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        best = T3DI_AVX512;
#endif
    if (cap && strcmp(cap, "portable") == 0)
        best = T3DI_PORTABLE;
    if (cap && strcmp(cap, "avx2") == 0 && best > T3DI_AVX2)
        best = T3DI_AVX2;
    return best;
}

enum t3di_isa t3di_image_isa(void)
{
    static atomic_int known = -1;
    int isa = atomic_load_explicit(&known, memory_order_relaxed);

    if (isa < 0) {
        isa = (int)detect();
        atomic_store_explicit(&known, isa, memory_order_relaxed);
    }
    return (enum t3di_isa)isa;
}
