/* SPDX-License-Identifier: Apache-2.0 */
#include "model/losses.h"

#include <stdio.h>

#include "base/json.h"
#include "net/lpips_distance.h"
#include "num/ops.h"

enum { WINDOW = 11 }; /* of SSIM */

#define FAINT 0.01 /* alpha below which a drawn depth counts less and less */

const char *const t3d_loss_name[T3D_LOSS_TERMS] = {"rgb",        "alpha", "haar",   "ssim",
                                                   "perceptual", "depth", "opacity"};

struct t3d_losses t3d_losses_begin(void)
{
    struct t3d_losses l = {.sum = T3D_NONE, .depth = T3D_NONE, .counts = T3D_NONE};

    for (int i = 0; i < T3D_LOSS_TERMS; i++)
        l.term[i] = T3D_NONE;
    return l;
}

void t3d_losses_add(struct t3d_graph *g, struct t3d_losses *l, enum t3d_loss_term term,
                    struct t3d_ref value, double share)
{
    struct t3d_ref part = share == 1 ? value : t3d_linear(g, value, share, 0);

    l->term[term] = value;
    t3d_graph_keep(g, value);
    l->sum = l->sum.node < 0 ? part : t3d_add(g, l->sum, part);
}

/* What is said of each picture (B C) as one number. */
static struct t3d_ref over_pictures(struct t3d_graph *g, struct t3d_ref x,
                                    const struct t3d_drawn *d)
{
    struct t3d_shape s = t3d_graph_shape(g, d->rgb);

    if (d->weight.node >= 0)
        x = t3d_mul(g, t3d_graph_view(g, x, T3D_SHAPE(s.dim[0], s.dim[1])),
                    t3d_graph_view(g, d->weight, T3D_SHAPE(s.dim[0], 1)));
    return t3d_mean(g, x, -1);
}

/* (B, C, S, S, 3) as (B C, S, S, 3) */
static struct t3d_ref pictures(struct t3d_graph *g, struct t3d_ref x)
{
    struct t3d_shape s = t3d_graph_shape(g, x);

    return t3d_graph_view(g, x, T3D_SHAPE(s.dim[0] * s.dim[1], s.dim[2], s.dim[3], s.dim[4]));
}

/* --- SSIM ------------------------------------------------------------------------------------ */

/* exp(-i^2 / (2 1.5^2)) to the sum 1, for each of three channels. */
#define GAUSSIAN                                                                                   \
    (t3d_real)0.0010283800844791101, (t3d_real)0.0075987581352391850,                              \
        (t3d_real)0.036000772128430829, (t3d_real)0.10936068950970002,                             \
        (t3d_real)0.21300553771125369, (t3d_real)0.26601172486179436,                              \
        (t3d_real)0.21300553771125369, (t3d_real)0.10936068950970002,                              \
        (t3d_real)0.036000772128430829, (t3d_real)0.0075987581352391850,                           \
        (t3d_real)0.0010283800844791101
static const t3d_real gaussian[3 * WINDOW] = {GAUSSIAN, GAUSSIAN, GAUSSIAN};

#define C1 (.01 * .01) /* of pictures in [0, 1] */
#define C2 (.03 * .03)

struct window {
    struct t3d_graph *g;
    struct t3d_ref down, across;
};

static struct t3d_ref blur(const struct window *w, struct t3d_ref x)
{
    x = t3d_conv2d(w->g, x, w->down, T3D_NONE, &(struct t3d_conv){.groups = 3});
    return t3d_conv2d(w->g, x, w->across, T3D_NONE, &(struct t3d_conv){.groups = 3});
}

/* Means of x y about the windows, less m, the product of the means. */
static struct t3d_ref covariance(const struct window *w, struct t3d_ref x, struct t3d_ref y,
                                 struct t3d_ref m)
{
    return t3d_sub(w->g, blur(w, t3d_mul(w->g, x, y)), m);
}

static struct t3d_ref ssim_loss(struct t3d_graph *g, const struct t3d_drawn *d)
{
    const struct window w = {
        g, t3d_graph_constant(g, "ssim.down", T3D_SHAPE(3, 1, WINDOW, 1), gaussian),
        t3d_graph_constant(g, "ssim.across", T3D_SHAPE(3, 1, 1, WINDOW), gaussian)};
    struct t3d_ref x = pictures(g, d->rgb), y = pictures(g, d->wanted);
    struct t3d_ref mx = blur(&w, x), my = blur(&w, y);
    struct t3d_ref xx = t3d_mul(g, mx, mx), yy = t3d_mul(g, my, my), xy = t3d_mul(g, mx, my);
    struct t3d_ref vx = covariance(&w, x, x, xx), vy = covariance(&w, y, y, yy),
                   cov = covariance(&w, x, y, xy), map;
    struct t3d_shape s;

    map = t3d_div(g, t3d_mul(g, t3d_linear(g, xy, 2, C1), t3d_linear(g, cov, 2, C2)),
                  t3d_mul(g, t3d_linear(g, t3d_add(g, xx, yy), 1, C1),
                          t3d_linear(g, t3d_add(g, vx, vy), 1, C2)));
    s = t3d_graph_shape(g, map);
    map = t3d_mean(g, t3d_graph_view(g, map, T3D_SHAPE(s.dim[0], s.dim[1] * s.dim[2] * 3)), 1);
    return over_pictures(g, t3d_linear(g, map, -1, 1), d);
}

/* --- Gaussians ------------------------------------------------------------------------------- */

static struct t3d_ref depth_loss(struct t3d_graph *g, struct t3d_losses *l,
                                 const struct t3d_drawn *d)
{
    struct t3d_shape s = t3d_graph_shape(g, d->depth);
    struct t3d_ref some = t3d_linear(g, d->alpha, 1, FAINT), drawn, wanted;

    l->depth = t3d_graph_input(g, "depth", s);
    l->counts =
        t3d_graph_input(g, "depth counts", T3D_SHAPE(s.dim[0], s.dim[1], s.dim[2], s.dim[3]));
    drawn = t3d_div(g, d->depth, some);
    wanted = t3d_div(g, t3d_mul(g, d->alpha, l->depth), some);
    return t3d_l1(g, drawn, wanted, l->counts);
}

void t3d_losses_of_drawn(struct t3d_graph *g, struct t3d_losses *l, const struct t3d_loss_config *c,
                         const struct t3d_drawn *d)
{
    if (!c)
        return;
    if (c->ssim > 0)
        t3d_losses_add(g, l, T3D_LOSS_SSIM, ssim_loss(g, d), c->ssim);
    if (c->perceptual > 0)
        t3d_losses_add(
            g, l, T3D_LOSS_PERCEPTUAL,
            over_pictures(
                g, t3d_lpips_distance(g, c->net, pictures(g, d->rgb), pictures(g, d->wanted)), d),
            c->perceptual);
    if (c->depth > 0)
        t3d_losses_add(g, l, T3D_LOSS_DEPTH, depth_loss(g, l, d), c->depth);
    if (c->opacity > 0)
        t3d_losses_add(g, l, T3D_LOSS_OPACITY, t3d_mean(g, t3d_sigmoid(g, d->opacity), -1),
                       c->opacity);
}

void t3d_losses_describe(const struct t3d_losses *l, struct t3d_graph *g, cJSON *line)
{
    for (int i = 0; i < T3D_LOSS_TERMS; i++) {
        char key[24];

        if (l->term[i].node < 0)
            continue;
        snprintf(key, sizeof key, "loss_%s", t3d_loss_name[i]);
        t3d_json_set_num(line, key, (double)*(const t3d_real *)t3d_graph_data(g, l->term[i]));
    }
}
