/* SPDX-License-Identifier: Apache-2.0 */
/* draw/splat.h -- Gaussian splatting, forward and backward, as an operation of the graph (Kerbl et
 * al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering", 2023; the projection is
 * Zwicker et al., "EWA Splatting", 2002, equations 22-34).
 *
 *     struct t3d_ref s = t3d_splat(g, xyz, log_scale, quaternion, opacity, rgb, cameras,
 *                                  &(struct t3d_splat){.width = 64, .height = 64});
 *     struct t3d_ref rgb = t3d_graph_output(s, 0), alpha = t3d_graph_output(s, 1);
 *
 * Gaussian n of sample b has covariance R diag(exp(2 log_scale)) R^T. In view v it becomes a 2D
 * Gaussian with covariance S = J W C W^T J^T + 0.3 I (pixels squared). Front to back, at each pixel
 * centre, alpha = min(0.99, sigmoid(opacity) exp(-d^T S^-1 d / 2)), nothing below min_alpha; a
 * pixel ends before its transmittance would fall under 1e-4. The pictures are over black: rgb = sum
 * of weight x colour with weight = alpha x transmittance, alpha = 1 - final transmittance.
 *
 * A Gaussian that is nearer than `near`, behind the camera, or has anything that is not finite (or
 * a quaternion of length 0) is not drawn and gets no gradient. Results are the same bits for any
 * number of threads, any batch, and any room for pairs. */
#ifndef T3D_DRAW_SPLAT_H
#define T3D_DRAW_SPLAT_H

#include "num/graph.h"

struct t3d_camera;

enum t3d_splat_depth {
    T3D_SPLAT_MEAN,  /* sum of weight x depth, not divided by alpha; has a gradient */
    T3D_SPLAT_MEDIAN /* depth at which transmittance falls to 1/2, 0 = never; has none */
};

struct t3d_splat {
    int width, height; /* of the pictures, 1..16384 */
    enum t3d_splat_depth depth;
    double near;      /* 0 = 0.2 */
    double min_alpha; /* 0 = 1/255 */
    int64_t pairs;    /* room for (tile, Gaussian) pairs, at least N; 0 = chosen. A view that needs
                         more is drawn in parts. */
};

/* A camera of a view, pixels: u = fx x / z + cx with pixel centres at + 0.5; world to camera as
 * rows (3, 4), x right, y down, z forward. */
enum {
    T3D_SPLAT_FX,
    T3D_SPLAT_FY,
    T3D_SPLAT_CX,
    T3D_SPLAT_CY,
    T3D_SPLAT_W2C,
    T3D_SPLAT_CAMERA = T3D_SPLAT_W2C + 12
};
void t3d_splat_camera(t3d_real row[T3D_SPLAT_CAMERA], const struct t3d_camera *c, int width,
                      int height);

/* xyz (B, N, 3), log_scale (B, N, 3), quaternion (B, N, 4) as w x y z of any length, opacity (B, N,
 * 1) before the sigmoid, rgb (B, N, 3), cameras (B, V, T3D_SPLAT_CAMERA; no gradient) -> outputs
 * rgb (B, V, height, width, 3), alpha and depth (B, V, height, width, 1). */
struct t3d_ref t3d_splat(struct t3d_graph *g, struct t3d_ref xyz, struct t3d_ref log_scale,
                         struct t3d_ref quaternion, struct t3d_ref opacity, struct t3d_ref rgb,
                         struct t3d_ref cameras, const struct t3d_splat *attr);

extern const struct t3d_op t3d_op_splat;

#endif
