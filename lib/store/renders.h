/* SPDX-License-Identifier: Apache-2.0 */
/* store/renders.h -- which of the folders below renders/ is meant. */
#ifndef T3D_STORE_RENDERS_H
#define T3D_STORE_RENDERS_H

#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_renders_wish {
    const char *view_set, *light; /* NULL = any */
    uint64_t resolution;          /* 0 = any */
};

/* The only folder <workspace>/renders/<view-set>-<resolution>[-<light>] that fits: its name and its
 * path, in the arena. T3D_USAGE when none or several do, with what to do. */
int t3d_renders_choose(const char **name, const char **dir, const char *workspace,
                       const struct t3d_renders_wish *wish, struct t3d_arena *a,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
