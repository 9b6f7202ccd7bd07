/* SPDX-License-Identifier: Apache-2.0 */
#include "base/isa.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
/* clang 14's __builtin_cpu_supports does not know the word. */
static int has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static enum t3d_isa of_processor(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c() ||
        !__builtin_cpu_supports("bmi2"))
        return T3D_ISA_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512cd"))
        return T3D_ISA_AVX2;
    return T3D_ISA_AVX512;
#else
    return T3D_ISA_PORTABLE;
#endif
}

static enum t3d_isa detect(void)
{
    const char *cap = getenv("T3D_ISA");
    enum t3d_isa best = of_processor();

    if (cap && strcmp(cap, "portable") == 0)
        return T3D_ISA_PORTABLE;
    if (cap && strcmp(cap, "avx2") == 0 && best > T3D_ISA_AVX2)
        return T3D_ISA_AVX2;
    return best;
}

enum t3d_isa t3d_isa(void)
{
    static atomic_int known = -1;
    int isa = atomic_load_explicit(&known, memory_order_relaxed);

    if (isa < 0) {
        isa = (int)detect();
        atomic_store_explicit(&known, isa, memory_order_relaxed);
    }
    return (enum t3d_isa)isa;
}
