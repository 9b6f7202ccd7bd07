/* SPDX-License-Identifier: Apache-2.0 */
/* geom/gaussians.h -- objects made of Gaussians, and the files that viewers read them from.
 *
 * In memory +Y is up, as everywhere in t3d. Numbers are raw: scales are logarithms, opacities come
 * before the sigmoid, quaternions (w x y z) have any length; colours are in [0, 1] (outside it a
 * viewer clamps them), the same from all sides. */
#ifndef T3D_GEOM_GAUSSIANS_H
#define T3D_GEOM_GAUSSIANS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

struct t3d_gaussians {
    size_t n;
    const float *xyz;        /* (n, 3) */
    const float *log_scale;  /* (n, 3) natural logarithm */
    const float *quaternion; /* (n, 4) */
    const float *opacity;    /* (n) logit */
    const float *rgb;        /* (n, 3) */
};

/* Gaussians in one block of T3D_GAUSSIAN_FLOATS x n floats: the arrays above one after the other.
 */
enum { T3D_GAUSSIAN_FLOATS = 14 };
struct t3d_gaussians t3d_gaussians_in(const float *block, size_t n);

/* Only those of at least this opacity (after the sigmoid), in their order; arrays in the arena. */
int t3d_gaussians_prune(struct t3d_gaussians *out, const struct t3d_gaussians *g,
                        double min_opacity, struct t3d_arena *a,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* What made the object, a line each ("prompt: a red cube"): comments of a .ply, asset.extras of a
 * .glb. */
struct t3d_origin {
    const char *key, *value;
};

/* Files, in the arena; the bytes depend on the arguments alone. T3D_FAIL when memory is out.
 *
 * 3D Gaussian Splatting's .ply (graphdeco-inria/gaussian-splatting, GaussianModel.save_ply: float x
 * y z nx ny nz f_dc_0..2 opacity scale_0..2 rot_0..3, little-endian; colour as the degree 0 of
 * spherical harmonics, 0.5 + 0.28209479 f_dc). Viewers expect y down: positions and rotations are
 * turned by 180 degrees about x, and a comment says so. */
int t3d_gaussians_ply(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                      const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* antimatter15/splat's .splat (convert.py): 32 bytes each: position 3 float, scale 3 float, RGBA 8
 * bit, quaternion 4 x 8 bit as 128 + 128 q; by falling volume x opacity. y down as well. */
int t3d_gaussians_splat(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                        struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
/* glTF 2.0 binary with KHR_gaussian_splatting (release candidate: POINTS, attributes
 * KHR_gaussian_splatting:ROTATION as x y z w, :SCALE, :OPACITY, :SH_DEGREE_0_COEF_0, and COLOR_0
 * for readers without the extension). +Y up. */
int t3d_gaussians_glb(uint8_t **data, size_t *size, const struct t3d_gaussians *g,
                      const struct t3d_origin *origin, size_t n_origin, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;

#endif
