/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_impl.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include "draw/cpu/splat_body.h"

const struct t3di_splat_isa *t3di_splat_isa_avx512(void)
{
    static const struct t3di_splat_isa table = T3DI_SPLAT_ISA;

    return &table;
}
#else
const struct t3di_splat_isa *t3di_splat_isa_avx512(void)
{
    return NULL;
}
#endif
