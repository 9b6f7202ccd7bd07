/* SPDX-License-Identifier: Apache-2.0 */
/* metric/networks.h -- the frozen networks of an evaluation, and what they say of an object's
 * pictures.
 *
 *     r = t3d_networks_open(&n, &choice, &options, reason, err);
 *     r = t3d_networks_texts(n, &choice, caption, n_items, &pool, reason, err);
 *     ... draw ...
 *     for (int k = 0; k < T3D_NETWORKS; k++)
 *         r = t3d_networks_measure(n, &result, &choice, k, &pictures, item, "ring16+4-512", err);
 *
 * One object at a time, with all threads inside. */
#ifndef T3D_METRIC_NETWORKS_H
#define T3D_METRIC_NETWORKS_H

#include "metric/pair.h"

struct t3d_gaussians;
struct t3d_networks;

struct t3d_networks_options {
    const char *workspace; /* its models/ */
    const char *clip;      /* name or folder of a CLIP */
    const char *lpips;     /* folder with a network and heads (net/lpips.h); NULL = those of the
                              workspace: lpips-vgg, lpips-alex, lpips-squeeze */
    int threads;
};

/* The networks of an evaluation: LPIPS's three as enum t3d_lpips_net counts them, and a CLIP. */
enum { T3D_NETWORK_CLIP = 3, T3D_NETWORKS = 4 };
extern const char *const t3d_network_name[T3D_NETWORKS]; /* "lpips-alex", ..., "clip" */
/* Which one the metric needs, -1 = none. */
int t3d_network_of(const struct t3d_metric *m);

/* Why a metric of the table cannot be had; "" = it can. */
typedef char t3d_metric_reasons[T3D_METRICS_MAX][512];

/* Opens what the choice needs. A metric whose weights are not there leaves the choice and has a
 * reason, which names the command that gets them; of a network whose weights are there and wrong
 * the metrics leave it too, and t3d_networks_failed says so. */
int t3d_networks_open(struct t3d_networks **out, struct t3d_metric_choice *choice,
                      const struct t3d_networks_options *o, t3d_metric_reasons reason,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_networks_free(struct t3d_networks *n);

/* What is wrong with the weights, with their file's name; NULL = nothing. */
const struct t3d_err *t3d_networks_failed(const struct t3d_networks *n, int network);

/* Texts that compete with the captions in r-precision. */
struct t3d_text_pool {
    const char *name; /* NULL = the captions of the items alone */
    const char *const *text;
    size_t n;
};

/* The caption of each item, NULL = none; the strings stay the caller's and live as long. Metrics
 * that need captions leave the choice with a reason when there are none, or none of the right kind.
 */
int t3d_networks_texts(struct t3d_networks *n, struct t3d_metric_choice *choice,
                       const char *const *caption, size_t n_items, const struct t3d_text_pool *pool,
                       t3d_metric_reasons reason, struct t3d_err *err) T3D_MUST_CHECK;

/* Adds hashes and names of what the network's results depend on; nothing when it is not in use. */
void t3d_networks_describe(const struct t3d_networks *n, int network, cJSON *settings);

/* The name of the CLIP in use, as in full names; NULL = none. */
const char *t3d_networks_clip(const struct t3d_networks *n);

/* 1 when the choice has a metric that t3d_networks_measure fills. */
int t3d_networks_need(const struct t3d_metric_choice *choice);

/* Pictures of one object and its reference, (n, height, width, 4) RGBA, straight alpha. Those of
 * ring16+4, or of one picture file. */
struct t3d_pictures {
    uint8_t *pred, *ref; /* ref NULL = there is none */
    size_t n;
    uint32_t width, height;
};
void t3d_pictures_free(struct t3d_pictures *p);

/* Adds to out what of the choice needs this network; what = "ring16+4-512", "" for pictures as they
 * are. */
int t3d_networks_measure(struct t3d_networks *n, struct t3d_pair_result *out,
                         const struct t3d_metric_choice *choice, int network,
                         const struct t3d_pictures *p, size_t item, const char *what,
                         struct t3d_err *err) T3D_MUST_CHECK;

/* caption-accuracy of an object made of triangles, or of Gaussians (the other NULL). Any thread. */
int t3d_networks_caption(const struct t3d_networks *n, struct t3d_pair_result *out,
                         const struct t3d_metric_choice *choice, const struct t3d_scene *scene,
                         const struct t3d_gaussians *gaussians, size_t item,
                         struct t3d_err *err) T3D_MUST_CHECK;

#endif
