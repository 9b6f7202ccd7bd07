/* SPDX-License-Identifier: Apache-2.0 */
/* model/stack_impl.h -- the transformer blocks that generator and reconstructor are made of, and
 * their heads. D is the width, p the pixels of a patch, T all tokens, N one Gaussian a pixel. */
#ifndef T3D_MODEL_STACK_IMPL_H
#define T3D_MODEL_STACK_IMPL_H

#include "model/generator.h"
#include "num/ops.h"

enum { T3DI_SHIFT1, T3DI_GAIN1, T3DI_GATE1, T3DI_SHIFT2, T3DI_GAIN2, T3DI_GATE2, T3DI_N_MOD };
enum { T3DI_TIME_WIDTH = 256 };
#define T3DI_NORM_EPS 1e-6

/* A row of a table of sizes. */
#define T3DI_SIZE(n, w, l, h, s, p, t, kind)                                                       \
    {                                                                                              \
        .size = n, .width = w, .layers = l, .heads = h, .side = s, .patch = p, .text_tokens = t,   \
        .head = kind                                                                               \
    }

struct t3di_stack {
    struct t3d_graph *g;
    const struct t3d_generator_config *c;
    int batch, text, views; /* tokens of the text (0 = none), and of the views behind them */
    int adaptive;           /* blocks are modulated by the time; else norms have gains */
    struct t3d_ref modulation[T3DI_N_MOD]; /* (B, 1, D) */
    struct t3d_ref seen;                   /* (B, T) integers; T3D_NONE: every token */
};

/* A parameter (out, in), or (out) where in is 0. */
struct t3d_ref t3di_weight(struct t3di_stack *s, int64_t out, int64_t in, const char *name);
struct t3d_ref t3di_dense(struct t3di_stack *s, struct t3d_ref x, int64_t out, int64_t in,
                          enum t3d_act act, const char *name);
/* time (B) to the modulation of all blocks. */
void t3di_modulate(struct t3di_stack *s, struct t3d_ref time);
/* Pictures (B, views, 3 p) and rays (1 or B, N, 6) to tokens (B, views, D). */
struct t3d_ref t3di_view_tokens(struct t3di_stack *s, struct t3d_ref pictures, struct t3d_ref ray);
/* All blocks: x (B, T, D). */
struct t3d_ref t3di_blocks(struct t3di_stack *s, struct t3d_ref x);
/* The view tokens of x, normed, to `numbers` for each pixel: (B, N, numbers). */
struct t3d_ref t3di_head(struct t3di_stack *s, struct t3d_ref x, int numbers);

/* What the rasteriser takes (draw/splat.h), (B, N, .) each; kept. */
struct t3di_gaussians {
    struct t3d_ref xyz, log_scale, quaternion, opacity, rgb;
};
/* raw (B, N, T3D_GAUSSIAN_RAW), on the rays (1 or B, N, 6) from the origins (1 or B, N, 3). */
struct t3di_gaussians t3di_gaussians(struct t3di_stack *s, struct t3d_ref raw, struct t3d_ref ray,
                                     struct t3d_ref origin);

/* The ray through the centre of a pixel of a view of `side` pixels: (o x d, d), d of length 1. */
void t3di_pixel_ray(const struct t3d_camera *camera, int side, int y, int x, t3d_real ray[6],
                    t3d_real origin[3]);
#endif
