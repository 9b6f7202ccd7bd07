/* SPDX-License-Identifier: Apache-2.0 */
/* geom/mesh_impl.h -- what the readers of plain meshes (obj, ply, stl, off) share. */
#ifndef T3D_GEOM_MESH_IMPL_H
#define T3D_GEOM_MESH_IMPL_H

#include "base/arena.h"
#include "geom/read.h"

/* The material of formats that have none: white, rough, not metallic. */
struct t3d_material t3di_plain_material(void);

/* Give s one draw of all its vertices and triangles, and material m. */
int t3di_one_draw(struct t3d_scene *s, struct t3d_arena *a, const struct t3d_material *m,
                  uint32_t flags, struct t3d_err *err) T3D_MUST_CHECK;

/* T3D_SKIP "too-large" when there are more than a scene may have. */
int t3di_check_counts(uint64_t vertices, uint64_t triangles, struct t3d_err *err) T3D_MUST_CHECK;

/* Count a skipped face in the notes; the first one's reason stays. */
void t3di_note_bad(struct t3d_scene_notes *n, const char *reason);

/* Drop the triangles (of a scene without draws) that use a vertex with a non-finite position, note
 * them, and put such vertices at the origin. */
void t3di_drop_non_finite(struct t3d_scene *s);

int t3di_finite3(const float p[3]);

/* Scale to length 1 in place; 0 when that is impossible. */
int t3di_normalise(float v[3]);

/* Colours as files have them (sRGB; full is the value of the brightest: 1, 255, 65535, or 0 = 255
 * when any is above 1, else 1) to linear, in place; alpha stays linear. What is not finite
 * becomes 1. */
void t3di_colors_to_linear(float (*color)[4], size_t n, float full);

/* Open an external file as its name says, with '/' for '\\', and else by its last part beside the
 * main file: exporters write paths of the machine where they ran. T3D_OK, T3D_END when there is
 * none, or an error that is not the file's. */
int t3di_open_beside(const struct t3d_source *src, struct t3d_arena *a, const char *name, size_t n,
                     struct t3d_blob *b, struct t3d_err *err) T3D_MUST_CHECK;

#endif
