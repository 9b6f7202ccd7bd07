/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw_impl.h"

#ifdef __AVX2__
#include "draw/cpu/body.h"

T3DI_ISA_TABLE("avx2");

const struct t3di_isa *t3di_isa_avx2(void)
{
    return &isa;
}
#else
const struct t3di_isa *t3di_isa_avx2(void)
{
    return NULL;
}
#endif
