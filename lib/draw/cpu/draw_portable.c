/* SPDX-License-Identifier: Apache-2.0 */
#include "draw/draw_impl.h"

#include "draw/cpu/body.h"

T3DI_ISA_TABLE("portable");

const struct t3di_isa *t3di_isa_portable(void)
{
    return &isa;
}
