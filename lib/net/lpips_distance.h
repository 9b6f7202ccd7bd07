/* SPDX-License-Identifier: Apache-2.0 */
/* net/lpips_distance.h -- LPIPS (net/lpips.h) as a value of a graph that learns one of the
 * pictures.
 *
 * The gradient goes through the network, which stays as it is; the features of the other picture
 * get none. On the CPU only. */
#ifndef T3D_NET_LPIPS_DISTANCE_H
#define T3D_NET_LPIPS_DISTANCE_H

#include "net/lpips.h"
#include "num/graph.h"

/* Pictures x, y (N, H, W, 3) in [0, 1] without alpha -> (N) by T3D_LPIPS_TORCHMETRICS, whose root
 * has a derivative everywhere. x gets a gradient. l must outlive the graph; a side below its
 * min_side fails the graph. */
struct t3d_ref t3d_lpips_distance(struct t3d_graph *g, const struct t3d_lpips *l, struct t3d_ref x,
                                  struct t3d_ref y);

#endif
