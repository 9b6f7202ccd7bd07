/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reconstructor_step.h"

#include "draw/splat.h"
#include "num/ops.h"

enum { SEEN = T3D_RECONSTRUCTOR_COMPARED, LEVELS = 3 };

#define ALPHA_SHARE 1.0
#define HAAR_SHARE  0.02

/* Orthonormal coefficients of a smooth error double from level to level, so coarse ones weigh more
 * as they are. */
static struct t3d_ref haar_loss(struct t3d_graph *g, struct t3d_ref a, struct t3d_ref b,
                                const struct t3d_generator_config *c, int pictures)
{
    struct t3d_ref loss = T3D_NONE, part;

    a = t3d_graph_view(g, a, T3D_SHAPE(pictures, c->side, c->side, 3));
    b = t3d_graph_view(g, b, T3D_SHAPE(pictures, c->side, c->side, 3));
    for (int i = 0; i < LEVELS; i++) {
        int last = i == LEVELS - 1, from = last ? 0 : 3, n = last ? 12 : 9;

        a = t3d_haar(g, a);
        b = t3d_haar(g, b);
        part = t3d_l1(g, t3d_slice(g, a, 3, from, n), t3d_slice(g, b, 3, from, n), T3D_NONE);
        loss = i ? t3d_add(g, loss, part) : part;
        a = t3d_slice(g, a, 3, 0, 3);
        b = t3d_slice(g, b, 3, 0, 3);
    }
    return loss;
}

struct t3d_reconstructor_step t3d_reconstructor_step_build(struct t3d_graph *g,
                                                           const struct t3d_generator_config *c,
                                                           int batch, int hides,
                                                           const struct t3d_loss_config *losses)
{
    const struct t3d_splat splat = {.width = c->side, .height = c->side};
    struct t3d_reconstructor_step s = {.m = t3d_reconstructor_build(g, c, batch, hides),
                                       .counts = T3D_NONE,
                                       .losses = t3d_losses_begin()};
    int64_t side = c->side;
    struct t3d_ref drawn, alpha;

    s.cameras = t3d_graph_input(g, "cameras", T3D_SHAPE(batch, SEEN, T3D_SPLAT_CAMERA));
    s.rgb = t3d_graph_input(g, "rgb", T3D_SHAPE(batch, SEEN, side, side, 3));
    s.alpha = t3d_graph_input(g, "alpha", T3D_SHAPE(batch, SEEN, side, side, 1));
    if (hides)
        s.counts = t3d_graph_input(g, "counts", T3D_SHAPE(batch, SEEN, side, side));
    t3d_graph_scope(g, "splat");
    drawn = t3d_splat(g, s.m.xyz, s.m.log_scale, s.m.quaternion, s.m.opacity, s.m.rgb, s.cameras,
                      &splat);
    alpha = t3d_graph_output(drawn, 1);
    t3d_graph_scope(g, "loss");
    s.drawn = t3d_sub(g, t3d_linear(g, drawn, 1, 1), alpha);
    t3d_losses_add(g, &s.losses, T3D_LOSS_RGB, t3d_mse(g, s.drawn, s.rgb, s.counts), 1);
    t3d_losses_add(g, &s.losses, T3D_LOSS_ALPHA, t3d_mse(g, alpha, s.alpha, T3D_NONE), ALPHA_SHARE);
    if (!hides)
        t3d_losses_add(g, &s.losses, T3D_LOSS_HAAR, haar_loss(g, s.drawn, s.rgb, c, batch * SEEN),
                       HAAR_SHARE);
    t3d_losses_of_drawn(g, &s.losses, losses,
                        &(struct t3d_drawn){s.drawn, s.rgb, alpha, t3d_graph_output(drawn, 2),
                                            s.m.opacity, T3D_NONE});
    s.loss = s.losses.sum;
    s.picture = t3d_mse(g, s.drawn, s.rgb, T3D_NONE);
    t3d_graph_keep(g, s.loss);
    t3d_graph_keep(g, s.picture);
    t3d_graph_keep(g, s.drawn);
    return s;
}
