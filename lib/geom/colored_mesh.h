/* SPDX-License-Identifier: Apache-2.0 */
/* geom/colored_mesh.h -- a mesh with a colour at each vertex, and the files it is written to. */
#ifndef T3D_GEOM_COLORED_MESH_H
#define T3D_GEOM_COLORED_MESH_H

#include <stddef.h>

#include "geom/gaussians.h"
#include "geom/isosurface.h"

struct t3d_colored_mesh {
    struct t3d_mesh mesh;
    float (*normal)[3];
    float (*color)[4]; /* linear RGBA, alpha 1 */
};

/* Files, in the arena; the bytes depend on the arguments alone. The mesh has at least one triangle.
 *
 * glTF 2.0 binary: one mesh with NORMAL and COLOR_0, a rough material that is not metallic; the
 * origin is in asset.extras. */
int t3d_colored_mesh_glb(uint8_t **data, size_t *size, const struct t3d_colored_mesh *m,
                         const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* Wavefront OBJ: "v x y z r g b" with sRGB colours in [0, 1] as MeshLab and Blender read them, vn,
 * f a//a b//b c//c; the origin is in comments. */
int t3d_colored_mesh_obj(uint8_t **data, size_t *size, const struct t3d_colored_mesh *m,
                         const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                         struct t3d_err *err) T3D_MUST_CHECK;

#endif
