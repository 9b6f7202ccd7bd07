/* SPDX-License-Identifier: Apache-2.0 */
/* net/lpips.h -- LPIPS, the learned distance of two pictures (Zhang, Isola, Efros, Shechtman, Wang,
 * "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018), version 0.1
 * of richzhang/PerceptualSimilarity.
 *
 *     r = t3d_lpips_open(&l, "models/lpips-vgg", &(struct t3d_lpips_options){.threads = 2}, err);
 *     r = t3d_lpips_run(l, distance, pair, n, width, height, err);
 *     t3d_lpips_free(l);
 *
 * A picture's values in [-1, 1] are shifted and scaled, go through a network trained for other ends
 * (AlexNet, VGG-16 or SqueezeNet 1.1 up to its last convolution), and at five (SqueezeNet: seven)
 * depths the features of each pixel are brought to length 1. The squared differences, weighted by
 * one learned number a channel, are averaged over the pixels of each depth and added up.
 *
 * A pair's bits depend on its own pictures, the weights and the instruction set alone. */
#ifndef T3D_NET_LPIPS_H
#define T3D_NET_LPIPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_lpips;

enum t3d_lpips_net { T3D_LPIPS_ALEX, T3D_LPIPS_VGG, T3D_LPIPS_SQUEEZE, T3D_LPIPS_NETS };
extern const char *const t3d_lpips_net_name[T3D_LPIPS_NETS]; /* "alex", "vgg", "squeeze" */

/* How features f are brought to length 1: the only place where implementations differ. */
enum t3d_lpips_rule {
    T3D_LPIPS_PACKAGE,      /* f / (|f| + 1e-10): the lpips package */
    T3D_LPIPS_TORCHMETRICS, /* f / sqrt(|f|^2 + 1e-8): torchmetrics, after torch-fidelity */
    T3D_LPIPS_RULES
};

struct t3d_lpips_options {
    int threads;   /* 0 = all */
    size_t memory; /* bytes for a run at most; larger pictures go through in bands; 0 = 1 GiB */
};

struct t3d_lpips_info {
    enum t3d_lpips_net net;
    const char *backbone_hash, *heads_hash; /* SHA-256 of the files in hex */
    int published; /* both are the files of the catalogue (store/weights.h) */
    uint32_t min_side;
};

/* dir holds the weights of one of the networks as torchvision saves them ("features.0.weight",
 * ..., those of the classifier are passed over) and the heads as the lpips package does
 * ("lin0.model.1.weight", ...): two files ending in pth, pt, bin or safetensors under any names, or
 * both in one. Which network it is follows from the shapes. T3D_SKIP "missing-file", "bad-weights",
 * "ambiguous-weights", or the reader's reason. */
int t3d_lpips_open(struct t3d_lpips **out, const char *dir, const struct t3d_lpips_options *o,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_lpips_free(struct t3d_lpips *l);
const struct t3d_lpips_info *t3d_lpips_info(const struct t3d_lpips *l);

/* Straight-alpha RGBA (height, width, 4) of 8 bits, sRGB; put over the background first. */
struct t3d_lpips_pair {
    const uint8_t *a, *b;
    uint8_t background;
};

/* distance (n, T3D_LPIPS_RULES). T3D_SKIP "too-small" below info's min_side. One call at a time. */
int t3d_lpips_run(struct t3d_lpips *l, double *distance, const struct t3d_lpips_pair *pair,
                  size_t n, uint32_t width, uint32_t height, struct t3d_err *err) T3D_MUST_CHECK;

/* The tensors that open looks for, for who writes such files: number i of the backbone's, or of the
 * heads'. 0 behind the last. */
struct t3d_lpips_tensor {
    char name[48];
    int n_axes;
    uint64_t shape[4];
};
int t3d_lpips_tensor(enum t3d_lpips_net net, int heads, int i, struct t3d_lpips_tensor *t);

#endif
