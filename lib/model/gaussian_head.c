/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "model/stack_impl.h"
#include "num/ops.h"

/* A Gaussian lies between these distances along its pixel's ray; objects fill a sphere of radius 1
 * around the origin. */
#define NEAR_END (T3D_DEFAULT_DISTANCE - 1.1)
#define FAR_END  (T3D_DEFAULT_DISTANCE + 1.1)
#define MAX_SIZE 0.3 /* GS-LRM's bound of the scale */
/* The opacity starts at sigmoid(-1): lower, and the first pictures are nearly empty. */
#define OPACITY_BIAS (-1.0)

struct t3di_gaussians t3di_gaussians(struct t3di_stack *s, struct t3d_ref raw, struct t3d_ref ray,
                                     struct t3d_ref origin)
{
    static const t3d_real identity[4] = {1, 0, 0, 0};
    /* half a pixel of a view at the distance of the origin: neighbours touch */
    double pixel = 2 * T3D_DEFAULT_DISTANCE * tan(T3D_DEFAULT_FOV_DEG * M_PI / 360) / s->c->side;
    struct t3d_graph *g = s->g;
    struct t3d_ref direction = t3d_slice(g, ray, 2, 3, 3), far;
    struct t3di_gaussians m;

    t3d_graph_scope(g, "gaussians");
    m.rgb = t3d_linear(g, t3d_slice(g, raw, 2, 0, 3), 1, 0.5);
    m.log_scale = t3d_clamp(g, t3d_linear(g, t3d_slice(g, raw, 2, 3, 3), 1, log(pixel / 2)), -12,
                            log(MAX_SIZE));
    m.quaternion = t3d_add(g, t3d_slice(g, raw, 2, 6, 4),
                           t3d_graph_constant(g, "identity", T3D_SHAPE(1, 1, 4), identity));
    m.opacity = t3d_linear(g, t3d_slice(g, raw, 2, 10, 1), 1, OPACITY_BIAS);
    far = t3d_linear(g, t3d_sigmoid(g, t3d_slice(g, raw, 2, 11, 1)), FAR_END - NEAR_END, NEAR_END);
    m.xyz = t3d_add(g, t3d_mul(g, far, direction), origin);
    t3d_graph_keep(g, m.rgb);
    t3d_graph_keep(g, m.log_scale);
    t3d_graph_keep(g, m.quaternion);
    t3d_graph_keep(g, m.opacity);
    t3d_graph_keep(g, m.xyz);
    return m;
}

void t3di_pixel_ray(const struct t3d_camera *c, int side, int y, int x, t3d_real ray[6],
                    t3d_real origin[3])
{
    double k[3][3], u, v, length, d[3];

    t3d_camera_intrinsics(c, (uint32_t)side, k);
    u = (x + 0.5 - k[0][2]) / k[0][0];
    v = (y + 0.5 - k[1][2]) / k[1][1];
    length = sqrt(u * u + v * v + 1);
    for (int i = 0; i < 3; i++) /* OpenGL axes: y up, looking along -z */
        d[i] = (c->c2w[i][0] * u - c->c2w[i][1] * v - c->c2w[i][2]) / length;
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3, l = (i + 2) % 3;

        ray[i] = (t3d_real)(c->c2w[j][3] * d[l] - c->c2w[l][3] * d[j]);
        ray[3 + i] = (t3d_real)d[i];
        origin[i] = (t3d_real)c->c2w[i][3];
    }
}
