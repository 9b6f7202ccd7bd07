/* SPDX-License-Identifier: Apache-2.0 */
/* geom/other_impl.h -- the reader of formats that are not our own, by assimp. read_other.c runs
 * the library, read_other_mesh.c and read_other_material.c map what it gives onto our scene, and
 * believe none of its numbers. */
#ifndef T3D_GEOM_OTHER_IMPL_H
#define T3D_GEOM_OTHER_IMPL_H

#include <assimp/scene.h>

#include "base/arena.h"
#include "geom/read.h"

struct t3di_other {
    const struct aiScene *ai;
    struct t3d_scene *s;
    struct t3d_arena *a;
    const struct t3d_source *src;
    unsigned flags;
};

/* Vertices, triangles and draws, in a world with +Y up. */
int t3di_other_meshes(struct t3di_other *o, struct t3d_err *err) T3D_MUST_CHECK;
/* Materials and pictures; with T3D_READ_NAMES the pictures are only asked for. */
int t3di_other_materials(struct t3di_other *o, struct t3d_err *err) T3D_MUST_CHECK;

#endif
