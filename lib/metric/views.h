/* SPDX-License-Identifier: Apache-2.0 */
/* metric/views.h -- the picture metrics of two picture files, or of the views of two objects. */
#ifndef T3D_METRIC_VIEWS_H
#define T3D_METRIC_VIEWS_H

#include "metric/networks.h"
#include "metric/pair.h"

#define T3D_VIEW_SET "ring16+4" /* of meshes and splats */

/* keep, when not NULL, gets the pictures, for networks; t3d_pictures_free. */

/* Two pictures. T3D_SKIP "not-an-image", "bad-image", "size-differs", "too-small". */
int t3d_pair_pictures(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                      const char *pred, const char *ref, struct t3d_pictures *keep,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* Two objects, read with T3D_READ_PIXELS: drawn from ring16+4 at o->resolution, meshes under the
 * studio light, splats as they are, both with the reference's normalisation (geom/scene.h); values
 * are means over the views. A prediction made of Gaussians has view-consistency:warp-l1 too. Adds
 * to out. Clouds have none. */
int t3d_pair_views(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                   const struct t3d_geometry *pred, const struct t3d_geometry *ref,
                   struct t3d_pictures *keep, struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_gaussians;
/* view-consistency:warp-l1 of an object made of Gaussians, drawn from the ring of T3D_VIEW_SET at
 * o->resolution; when it is chosen. Adds to out. */
int t3d_pair_warp(struct t3d_pair_result *out, const struct t3d_pair_options *o,
                  const struct t3d_gaussians *g, struct t3d_err *err) T3D_MUST_CHECK;

#endif
