/* SPDX-License-Identifier: Apache-2.0 */
/* geom/obj_impl.h -- the two halves of the OBJ reader: geometry and materials. */
#ifndef T3D_GEOM_OBJ_IMPL_H
#define T3D_GEOM_OBJ_IMPL_H

#include "base/arena.h"
#include "geom/read.h"
#include "geom/text_impl.h"

/* Source and destination of a read. */
struct t3di_obj_read {
    struct t3d_scene *scene;
    struct t3d_arena *arena;
    const struct t3d_source *src;
    unsigned flags;
};

/* Lines of the whole text; '\r' alone ends them when there is no '\n'. A line that ends in a
 * backslash is joined with the next one, in the arena. T3D_END behind the last. */
struct t3di_lines {
    struct t3di_text rest;
    struct t3d_arena *arena;
    int separator;
};
void t3di_lines_begin(struct t3di_lines *l, struct t3d_arena *a, const void *data, size_t size);
int t3di_lines_next(struct t3di_lines *l, struct t3di_text *line,
                    struct t3d_err *err) T3D_MUST_CHECK;

struct t3di_mtl;

/* All materials of the libraries read so far. */
struct t3di_mtl_set {
    struct t3di_names names;
    struct t3di_mtl **mtl; /* (names.capacity,) */
    uint32_t capacity;
};

/* Read the libraries that the text behind "mtllib" names. A missing one is no error: its materials
 * are the plain one. */
int t3di_mtl_library(struct t3di_mtl_set *set, const struct t3di_obj_read *o,
                     const struct t3di_text *names, struct t3d_err *err) T3D_MUST_CHECK;

/* Ask for the pictures of all materials (T3D_READ_NAMES). */
int t3di_mtl_ask(const struct t3di_mtl_set *set, const struct t3di_obj_read *o,
                 struct t3d_err *err) T3D_MUST_CHECK;

/* Fill the scene's materials and images for the n material names given; one that is not in the set
 * gets the plain material. */
int t3di_mtl_scene(const struct t3di_mtl_set *set, const struct t3di_obj_read *o, char *const *name,
                   uint32_t n, struct t3d_err *err) T3D_MUST_CHECK;

#endif
