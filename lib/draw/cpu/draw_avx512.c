/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw_impl.h"

#ifdef __AVX512F__
#include "draw/cpu/body.h"

T3DI_ISA_TABLE("avx512");

const struct t3di_isa *t3di_isa_avx512(void)
{
    return &isa;
}
#else
const struct t3di_isa *t3di_isa_avx512(void)
{
    return NULL;
}
#endif
