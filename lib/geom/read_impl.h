/* SPDX-License-Identifier: Apache-2.0 */
/* geom/read_impl.h -- what the readers share. */
#ifndef T3D_GEOM_READ_IMPL_H
#define T3D_GEOM_READ_IMPL_H

#include "base/arena.h"
#include "geom/read.h"

/* An allocation failed: T3D_SKIP "too-large" where the arena has a limit (the file asks for too
 * much), else out of memory. */
int t3di_no_room(const struct t3d_arena *a, struct t3d_err *err, const char *what);

/* Copy s into out (size bytes), cut, with everything but printable ASCII replaced by '?'. */
void t3di_copy_printable(char *out, size_t size, const char *s);

/* 1 when the bytes (or, for 3ds and 3mf, ending and bytes) are those of a format of t3d_read_other.
 */
int t3di_is_other(const struct t3d_source *src);

/* 1 when all n floats (of any alignment) are finite. In scene.c. */
int t3di_all_finite(const void *floats, size_t n);

#endif
