/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_impl.h"

#ifdef __AVX2__
#include "draw/cpu/splat_body.h"

const struct t3di_splat_isa *t3di_splat_isa_avx2(void)
{
    static const struct t3di_splat_isa table = T3DI_SPLAT_ISA;

    return &table;
}
#else
const struct t3di_splat_isa *t3di_splat_isa_avx2(void)
{
    return NULL;
}
#endif
