/* SPDX-License-Identifier: Apache-2.0 */
/* What --loss-... and --perceptual-weights ask for. */
#include <string.h>

#include "base/arena.h"
#include "net/lpips.h"
#include "store/model_find.h"
#include "train/train.h"

#define MAX_SHARE 1e6

struct share {
    const char *option;
    double x;
    int of_gaussians; /* else of pictures */
};

enum { SHARES = 4 };

static void shares_of(const struct train_conf *c, struct share out[SHARES])
{
    const struct t3d_loss_config *l = &c->loss;

    out[0] = (struct share){"loss-ssim", l->ssim, 0};
    out[1] = (struct share){"loss-perceptual", l->perceptual, 0};
    out[2] = (struct share){"loss-depth", l->depth, 1};
    out[3] = (struct share){"loss-opacity", l->opacity, 1};
}

static int check_share(const struct train_conf *c, const struct share *s, struct t3d_err *err)
{
    if (!(s->x >= 0 && s->x <= MAX_SHARE))
        return t3d_err_set(err, T3D_USAGE, "usage", "--%s is from 0 to %.0f", s->option, MAX_SHARE);
    if (s->x > 0 && train_is_clip(c))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--%s is for --model turbo3d, reconstructor and nerf_mae", s->option);
    if (s->x > 0 && c->head && strcmp(c->head, "image") == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--%s is about what is drawn of Gaussians, and --head image draws none: "
                           "give it to the reconstructor",
                           s->option);
    if (s->x > 0 && !s->of_gaussians && c->on.backend != T3D_CPU)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--%s convolves pictures, which is built for the CPU alone: leave out "
                           "--device or --%s",
                           s->option, s->option);
    return T3D_OK;
}

int train_check_loss(const struct train_conf *c, struct t3d_err *err)
{
    struct share s[SHARES];
    int r = T3D_OK;

    shares_of(c, s);
    for (int i = 0; i < SHARES && r == T3D_OK; i++)
        r = check_share(c, &s[i], err);
    return r;
}

int train_open_perceptual(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err)
{
    const struct t3d_lpips_options o = {.threads = (int)c->common.threads};
    const struct t3d_lpips_info *info;
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->perceptual_weights, a, err);

    if (r == T3D_OK)
        r = t3d_lpips_open(&c->perceptual, dir, &o, err);
    if (r < 0)
        return t3d_err_prefix(err, "--perceptual-weights");
    info = t3d_lpips_info(c->perceptual);
    c->perceptual_hash = t3d_sprintf(a, "%s %s", info->backbone_hash, info->heads_hash);
    return c->perceptual_hash ? T3D_OK : t3d_err_nomem(err, "a hash");
}

/* Of the first stage. */
static int side_of(const struct train_conf *c)
{
    int side = train_is_of_views(c) ? train_reconstructor_of(c).side : train_generator_of(c).side;

    return c->coarse_steps ? side / 2 : side;
}

int train_need_perceptual(struct train_conf *c, struct t3d_err *err)
{
    const struct t3d_lpips_info *info = c->perceptual ? t3d_lpips_info(c->perceptual) : NULL;

    if (c->loss.perceptual > 0 && !info)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--loss-perceptual %g needs a network's weights: `t3d fetch weights "
                           "lpips-vgg` (or lpips-alex, lpips-squeeze), then --perceptual-weights "
                           "lpips-vgg%s",
                           c->loss.perceptual,
                           c->perceptual_hash ? "; the run was begun with some, so they must be "
                                                "the same"
                                              : "");
    if (!(c->loss.perceptual > 0) && info)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--perceptual-weights is for --loss-perceptual X: say how much it "
                           "counts, .5 for example");
    if (info && (uint32_t)side_of(c) < info->min_side)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "pictures of %d pixels are too small for LPIPS with %s, which needs %u: "
                           "take another network for --perceptual-weights",
                           side_of(c), t3d_lpips_net_name[info->net], info->min_side);
    c->loss.net = c->perceptual;
    return T3D_OK;
}
