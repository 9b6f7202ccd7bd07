/* SPDX-License-Identifier: Apache-2.0 */
#include "model/generator_step.h"

#include "draw/splat.h"
#include "num/ops.h"

enum { SEEN = T3D_GENERATOR_COMPARED };

#define ALPHA_SHARE 1.0 /* of the alpha's error in the loss, as LGM (Tang et al., 2024) has it */

/* In [-1, 1]: a quarter of the square is that in [0, 1]. */
static void compare_views(struct t3d_graph *g, struct t3d_generator_step *s)
{
    s->cameras = s->rgb = s->alpha = T3D_NONE;
    s->made = s->m.clean;
    s->clean = t3d_graph_input(g, "clean", t3d_graph_shape(g, s->m.clean));
    t3d_graph_scope(g, "loss");
    t3d_losses_add(g, &s->losses, T3D_LOSS_RGB,
                   t3d_linear(g, t3d_mse(g, s->m.clean, s->clean, s->weight), 0.25, 0), 1);
    s->picture = t3d_linear(g, t3d_mse(g, s->m.clean, s->clean, T3D_NONE), 0.25, 0);
}

static void compare_drawn(struct t3d_graph *g, struct t3d_generator_step *s,
                          const struct t3d_generator_config *c, int batch,
                          const struct t3d_loss_config *losses)
{
    const struct t3d_splat splat = {.width = c->side, .height = c->side};
    int64_t side = c->side;
    struct t3d_ref drawn, rgb, alpha;

    s->clean = T3D_NONE;
    s->cameras = t3d_graph_input(g, "cameras", T3D_SHAPE(batch, SEEN, T3D_SPLAT_CAMERA));
    s->rgb = t3d_graph_input(g, "rgb", T3D_SHAPE(batch, SEEN, side, side, 3));
    s->alpha = t3d_graph_input(g, "alpha", T3D_SHAPE(batch, SEEN, side, side, 1));
    t3d_graph_scope(g, "splat");
    drawn = t3d_splat(g, s->m.xyz, s->m.log_scale, s->m.quaternion, s->m.opacity, s->m.rgb,
                      s->cameras, &splat);
    alpha = t3d_graph_output(drawn, 1);
    t3d_graph_scope(g, "loss");
    s->made = rgb = t3d_sub(g, t3d_linear(g, drawn, 1, 1), alpha); /* over white */
    t3d_losses_add(g, &s->losses, T3D_LOSS_RGB, t3d_mse(g, rgb, s->rgb, s->weight), 1);
    t3d_losses_add(g, &s->losses, T3D_LOSS_ALPHA, t3d_mse(g, alpha, s->alpha, s->weight),
                   ALPHA_SHARE);
    t3d_losses_of_drawn(g, &s->losses, losses,
                        &(struct t3d_drawn){rgb, s->rgb, alpha, t3d_graph_output(drawn, 2),
                                            s->m.opacity, s->weight});
    s->picture = t3d_mse(g, rgb, s->rgb, T3D_NONE);
}

struct t3d_generator_step t3d_generator_step_build(struct t3d_graph *g,
                                                   const struct t3d_generator_config *c, int batch,
                                                   const struct t3d_loss_config *losses)
{
    struct t3d_generator_step s = {.m = t3d_generator_build(g, c, batch),
                                   .losses = t3d_losses_begin()};

    s.weight = t3d_graph_input(g, "weight", T3D_SHAPE(batch));
    if (c->head == T3D_HEAD_IMAGE)
        compare_views(g, &s);
    else
        compare_drawn(g, &s, c, batch, losses);
    s.loss = s.losses.sum;
    t3d_graph_keep(g, s.loss);
    t3d_graph_keep(g, s.made);
    t3d_graph_keep(g, s.picture);
    return s;
}
