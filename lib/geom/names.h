/* SPDX-License-Identifier: Apache-2.0 */
/* geom/names.h -- a look at the bytes of a 3D file that saves starting a parser. */
#ifndef T3D_GEOM_NAMES_H
#define T3D_GEOM_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* 0 when the bytes cannot name other files: a format that has no such names (by its ending, lower
 * case), a binary glTF without "uri" in its JSON chunk, an .obj without mtllib. 1 when they might.
 * Nothing is parsed and nothing outside [data, data + n) is read. */
int t3d_may_name_files(const uint8_t *data, size_t n, const char *ending);

#endif
