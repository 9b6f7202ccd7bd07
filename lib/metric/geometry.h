/* SPDX-License-Identifier: Apache-2.0 */
/* metric/geometry.h -- a mesh or a point cloud from a file, and the frame in which two are
 * compared.
 */
#ifndef T3D_METRIC_GEOMETRY_H
#define T3D_METRIC_GEOMETRY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "geom/gaussians.h"
#include "geom/import.h"
#include "metric/distance.h"

extern const char t3d_geometry_endings[]; /* "glb gltf obj ply stl off splat npy" */

/* A .ply without faces and an .npy of shape (n, 3) are clouds, whose points are used as given;
 * everything else is a mesh. Of splats the mesh is their surface (draw/splat_surface.h). */
struct t3d_geometry {
    int is_cloud;
    struct t3d_scene scene;         /* of a mesh; borrowed from what is opened below */
    struct t3d_points points;       /* of a cloud */
    double lo[3], hi[3];            /* box of the points, or of the vertices that triangles use */
    double radius;                  /* of the bounding sphere about the box's centre */
    struct t3d_gaussians gaussians; /* of splats, as in the file; else n = 0 */
    double centre[3], scale;        /* positions are those of the file, less centre, times scale */
    /* the module's */
    struct t3d_imported imported;
    struct t3d_arena surface; /* of splats */
    float (*own)[3];
};

/* thread: of the importer. flags: enum t3d_read_flag. T3D_SKIP with the reader's reason;
 * "non-finite" when a position is no finite number, "no-triangles", "no-points", "bad-npy",
 * "no-extent" when the box is a single point; "no-surface" of splats. */
int t3d_geometry_open(struct t3d_geometry *s, struct t3d_importer *importer, int thread,
                      const char *path, unsigned flags, struct t3d_err *err) T3D_MUST_CHECK;
/* The same with external files from elsewhere than the folder of the main one (geom/import.h). */
int t3d_geometry_open_by(struct t3d_geometry *s, struct t3d_importer *importer, int thread,
                         const char *path, t3d_import_resolve *resolve, void *ctx, unsigned flags,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* Move it to where pictures of it are taken: the box's centre to the origin, the sphere's radius 1
 * (geom/scene.h). T3D_SKIP "no-extent". */
int t3d_geometry_normalise(struct t3d_geometry *s, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_geometry_close(struct t3d_geometry *s);

/* Names of --normalize, for the option table. */
enum t3d_frame_kind {
    T3D_FRAME_NONE,        /* as stored */
    T3D_FRAME_REF_BBOX1,   /* longest edge of the reference's box is 1 */
    T3D_FRAME_REF_DIAG1,   /* diagonal of the reference's box is 1 */
    T3D_FRAME_REF_SPHERE1, /* radius of the reference's bounding sphere is 1 */
    T3D_FRAME_REF_CUBE2,   /* longest edge of the reference's box is 2: within [-1, 1]^3 */
    T3D_FRAME_SELF_BBOX1   /* each by its own box: centre to the origin, longest edge 1 */
};
extern const char t3d_frame_names[];
int t3d_frame_find(const char *name); /* -1 = unknown */

/* Distances in files' units times *scale are normalised ones; *edge is the longest edge of the
 * reference, normalised. T3D_FRAME_SELF_BBOX1 moves both shapes (copies of their positions). */
int t3d_frame_apply(enum t3d_frame_kind kind, struct t3d_geometry *pred, struct t3d_geometry *ref,
                    double *scale, double *edge, struct t3d_err *err) T3D_MUST_CHECK;

#endif
