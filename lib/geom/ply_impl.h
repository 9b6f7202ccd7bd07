/* SPDX-License-Identifier: Apache-2.0 */
/* geom/ply_impl.h -- header and values of PLY (Turk, "The PLY Polygon File Format", 1994). */
#ifndef T3D_GEOM_PLY_IMPL_H
#define T3D_GEOM_PLY_IMPL_H

#include "base/arena.h"
#include "geom/read.h"
#include "geom/text_impl.h"

enum t3di_ply_type {
    T3DI_PLY_NONE,
    T3DI_I8,
    T3DI_U8,
    T3DI_I16,
    T3DI_U16,
    T3DI_I32,
    T3DI_U32,
    T3DI_F32,
    T3DI_F64
};

enum t3di_ply_role {
    T3DI_PLY_OTHER,
    T3DI_PLY_X,
    T3DI_PLY_Y,
    T3DI_PLY_Z,
    T3DI_PLY_NX,
    T3DI_PLY_NY,
    T3DI_PLY_NZ,
    T3DI_PLY_R,
    T3DI_PLY_G,
    T3DI_PLY_B,
    T3DI_PLY_A,
    T3DI_PLY_U,
    T3DI_PLY_V,
    T3DI_PLY_DC0, /* of 3D Gaussian Splatting, in this order up to ROT3 */
    T3DI_PLY_DC1,
    T3DI_PLY_DC2,
    T3DI_PLY_OPACITY,
    T3DI_PLY_SCALE0,
    T3DI_PLY_SCALE1,
    T3DI_PLY_SCALE2,
    T3DI_PLY_ROT0,
    T3DI_PLY_ROT1,
    T3DI_PLY_ROT2,
    T3DI_PLY_ROT3,
    T3DI_PLY_INDICES,  /* list */
    T3DI_PLY_TEXCOORD, /* list: u v of each corner */
    T3DI_PLY_ROLES
};

struct t3di_ply_property {
    uint8_t type, list_type; /* enum t3di_ply_type; list_type of the count, or NONE */
    uint8_t role;
};

enum t3di_ply_kind { T3DI_PLY_UNKNOWN, T3DI_PLY_VERTEX, T3DI_PLY_FACE, T3DI_PLY_STRIPS };

enum { T3DI_PLY_MAX_ELEMENTS = 64, T3DI_PLY_MAX_PROPERTIES = 1024 };

struct t3di_ply_element {
    uint8_t kind;
    uint64_t count;
    uint32_t first, n; /* properties */
};

struct t3di_ply {
    enum { T3DI_PLY_ASCII, T3DI_PLY_LITTLE, T3DI_PLY_BIG } format;
    uint32_t n_elements, n_properties;
    struct t3di_ply_element element[T3DI_PLY_MAX_ELEMENTS];
    struct t3di_ply_property property[T3DI_PLY_MAX_PROPERTIES];
    struct t3di_text texture; /* behind "comment TextureFile", else empty */
    struct t3di_text body;
};

/* Read the header of the whole file at *p; comments go to the notes. */
int t3di_ply_header(struct t3di_ply *p, const struct t3d_source *src, struct t3d_scene_notes *notes,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* The next value of the body: 1, or 0 where it ends or has a word that is no number. */
int t3di_ply_float(struct t3di_ply *p, int type, float *out);
int t3di_ply_int(struct t3di_ply *p, int type, int64_t *out);

/* Pass over a property of one row. */
int t3di_ply_skip(struct t3di_ply *p, const struct t3di_ply_property *q);

/* Behind the last property of a row: the rest of an ASCII line counts for nothing. (VCGLib writes
 * more values of a face than its header says.) */
void t3di_ply_end_row(struct t3di_ply *p);

/* Fewest bytes that n rows of the element take; UINT64_MAX when that is beyond all sizes. */
uint64_t t3di_ply_least_bytes(const struct t3di_ply *p, const struct t3di_ply_element *e);

#endif
