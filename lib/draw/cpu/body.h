/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/body.h -- the drawing code, compiled once for each instruction set by draw_<isa>.c. */
#ifndef T3D_DRAW_CPU_BODY_H
#define T3D_DRAW_CPU_BODY_H

#include "draw/cpu/tile_body.h"

#define T3DI_ISA_TABLE(n)                                                                          \
    static const struct t3di_isa isa = {.name = (n), .transform = transform, .tile = tile}

#endif
