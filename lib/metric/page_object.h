/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page_object.h -- objects in the form in which a page's viewer reads them, and a still
 * picture of each for browsers that cannot draw them.
 *
 * The object is normalised (geom/scene.h). Numbers are little-endian, arrays follow each other:
 *   splats: position u16 (n, 3) over the box; log-scale u16 (n, 3) over `scale`; rotation i16 (n,
 * 3) x y z of the unit quaternion with w >= 0; colour and opacity u8 (n, 4) mesh:   position u16
 * (n, 3) over the box; texture coordinate u16 (n, 2) over `uv`; colour u8 (n, 4) sRGB; normal i8
 * (n, 3); zeros to a multiple of 4; index u32 */
#ifndef T3D_METRIC_PAGE_OBJECT_H
#define T3D_METRIC_PAGE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct t3d_gaussians;
struct t3d_importer;
struct t3d_scene;

struct t3d_page_png {
    const uint8_t *data;
    size_t size;
};

/* A part of a mesh with one material; `texture` -1 = none. */
struct t3d_page_draw {
    uint32_t first, count; /* indices */
    int texture;
    float factor[4], cutoff; /* linear; alpha below cutoff is not drawn */
    int flat, blended;       /* without normals; drawn after the others */
};

struct t3d_page_object {
    const char *name;  /* by which items and other sets know it */
    const char *set;   /* of the folder that it is from */
    const char *about; /* what the file says of itself, or "" */
    int splats;
    size_t n; /* Gaussians or vertices */
    float lo[3], extent[3], scale[2], uv[4];
    const uint8_t *data;
    size_t size;
    const struct t3d_page_draw *draw;
    size_t n_draws;
    const struct t3d_page_png *texture;
    size_t n_textures;
    struct t3d_page_png poster;
    struct t3d_arena arena; /* owns all of the above but the names */
};

/* From memory. The scene must have its pixels (T3D_READ_PIXELS). */
int t3d_page_object_splats(struct t3d_page_object *o, const struct t3d_gaussians *g, int threads,
                           struct t3d_err *err) T3D_MUST_CHECK;
int t3d_page_object_mesh(struct t3d_page_object *o, const struct t3d_scene *s,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* Any 3D file that evaluate reads; a cloud of points becomes small grey splats. */
int t3d_page_object_load(struct t3d_page_object *o, struct t3d_importer *importer, const char *path,
                         int threads, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_page_object_free(struct t3d_page_object *o);

/* Bytes that it takes on a page. */
size_t t3d_page_object_bytes(const struct t3d_page_object *o);

#endif
