/* SPDX-License-Identifier: Apache-2.0 */
/* geom/splat_impl.h -- what the readers of Gaussians share. */
#ifndef T3D_GEOM_SPLAT_IMPL_H
#define T3D_GEOM_SPLAT_IMPL_H

#include "base/arena.h"
#include "geom/gaussians.h"
#include "geom/scene.h"

#define T3DI_SH0 0.28209479177387814f /* Y_0^0 = 1 / (2 sqrt pi) */

/* One Gaussian as in struct t3d_gaussians. */
struct t3di_gaussian {
    float xyz[3], log_scale[3], quaternion[4], opacity, rgb[3];
};

/* Room for n: sets n_gaussians and gaussian. T3D_SKIP "too-large" above T3D_MAX_GAUSSIANS. */
int t3di_alloc_gaussians(struct t3d_scene *s, struct t3d_arena *a, uint64_t n,
                         struct t3d_err *err) T3D_MUST_CHECK;

/* Number i of the scene. Where a value is not finite an invisible one is put there and noted. */
void t3di_put_gaussian(struct t3d_scene *s, uint32_t i, const struct t3di_gaussian *g);

/* By 180 degrees about x: from files whose y is down. */
void t3di_turn_up(struct t3di_gaussian *g);

/* The logit of an opacity in [0, 1], kept off its ends by 1e-4 (what no picture shows). */
float t3di_logit(double opacity);

#endif
