/* SPDX-License-Identifier: Apache-2.0 */
/* geom/spread.h -- how far a surface spreads along its three principal axes. */
#ifndef T3D_GEOM_SPREAD_H
#define T3D_GEOM_SPREAD_H

#include "geom/scene.h"

/* Standard deviations of the surface's points along the principal axes, largest first, in units of
 * the scene: square roots of the eigenvalues of the covariance of points spread evenly over the
 * triangles. For one triangle of area A and corners a, b, c the second moment about m = (a + b + c)
 * / 3 is A / 12 * sum over corners of (p - m)(p - m)^T (exact). All 0 for a scene without area. A
 * sheet has spread[2] near 0, however it is turned. */
void t3d_scene_spread(const struct t3d_scene *s, double spread[3]);

#endif
