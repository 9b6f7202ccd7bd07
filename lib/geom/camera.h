/* SPDX-License-Identifier: Apache-2.0 */
/* geom/camera.h -- cameras and view sets.
 *
 * The object is normalised (geom/scene.h). Azimuth 0 looks from +Z and grows towards +X; elevation
 * grows towards +Y: the eye is distance * (cos el sin az, sin el, cos el cos az) and looks at the
 * origin, up is +Y; at the poles the limit of that: up is -(sin az, 0, cos az) at +90 deg, the
 * opposite at -90. */
#ifndef T3D_GEOM_CAMERA_H
#define T3D_GEOM_CAMERA_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "geom/scene.h"

struct t3d_arena;

struct t3d_camera {
    double azimuth_deg, elevation_deg, distance;
    double fov_deg;   /* vertical, of a square picture */
    double near, far; /* distance -+ 1.01, near at least 0.01 */
    double c2w[4][4]; /* camera to world, OpenGL axes: x right, y up, looks along -z */
    double w2c[4][4]; /* world to camera, OpenCV axes: x right, y down, looks along +z */
};

struct t3d_view_set {
    char name[64]; /* "ring16+4", "hammersley:64", or for a file its base name without ending */
    size_t n;
    struct t3d_camera *camera; /* in the arena */
};

#define T3D_DEFAULT_FOV_DEG  49.1
#define T3D_DEFAULT_DISTANCE 2.7

/* c2w, w2c, near and far from the angles and the distance. */
void t3d_camera_place(struct t3d_camera *c);

/* K = [[f,0,cx],[0,f,cy],[0,0,1]] in pixels for a square picture: f = resolution / (2 tan(fov/2)),
 * cx = cy = resolution / 2 (pixel centres at +0.5). */
void t3d_camera_intrinsics(const struct t3d_camera *c, uint32_t resolution, double k[3][3]);

/* "ring16+4", "ring:N[:ELEVATION]", "hammersley:N" (N 1..1024), or the path of a JSON file
 * {"name"?, "fov"?, "distance"?, "views":[{"azimuth","elevation","distance"?,"fov"?} or
 * {"c2w":[16 numbers, rows, OpenGL],"fov"?}, ...]}. T3D_USAGE for anything else, naming the field.
 */
int t3d_view_set_load(struct t3d_view_set *v, const char *name_or_path, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* "v00", "v01", ...: the word for view i in shards (KEY.v00.png) and in cameras.json; three or four
 * digits throughout in sets of more than 100 or 1000 views. */
enum { T3D_VIEW_NAME_SIZE = 8 };
void t3d_view_name(const struct t3d_view_set *v, size_t i, char name[T3D_VIEW_NAME_SIZE]);

/* cameras.json of one object (doc/formats.md), and nerfstudio's transforms.json, whose world is
 * turned to +Z up. In file_pattern the first "%d", "%03d", "%03zu" or the like stands for the
 * view's number. Caller frees; NULL when memory is out. */
cJSON *t3d_cameras_json(const struct t3d_view_set *v, uint32_t resolution,
                        const struct t3d_normalisation *n);
cJSON *t3d_transforms_json(const struct t3d_view_set *v, uint32_t resolution,
                           const struct t3d_normalisation *n, const char *file_pattern);

#endif
