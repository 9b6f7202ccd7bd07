/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/splat_impl.h"

#include "draw/cpu/splat_body.h"

const struct t3di_splat_isa *t3di_splat_isa_portable(void)
{
    static const struct t3di_splat_isa table = T3DI_SPLAT_ISA;

    return &table;
}
