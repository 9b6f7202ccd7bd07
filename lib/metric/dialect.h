/* SPDX-License-Identifier: Apache-2.0 */
/* metric/dialect.h -- the names of the metrics and what each says about a pair.
 *
 * A full name is family:dialect, the normalisation and the number of points where they matter:
 * "chamfer:cd-l1:ref-bbox1:n100000", "psnr:white". Two numbers are comparable when their full names
 * are equal. doc/metrics.md defines each. */
#ifndef T3D_METRIC_DIALECT_H
#define T3D_METRIC_DIALECT_H

#include <stdint.h>

#include "base/err.h"

enum t3d_metric_kind {
    T3D_METRIC_POINTS,    /* from samples of both sides */
    T3D_METRIC_SURFACE,   /* from samples of one side to the triangles of the other */
    T3D_METRIC_MANHATTAN, /* as POINTS, by the sum of the differences along the axes */
    T3D_METRIC_CENTRES,   /* as POINTS, with the centres of splats in place of their surface */
    T3D_METRIC_EMD,
    T3D_METRIC_VOLUME,
    T3D_METRIC_PICTURE,  /* from two pictures */
    T3D_METRIC_LPIPS,    /* the same, through a network */
    T3D_METRIC_CLIP,     /* from pictures of the prediction and its caption */
    T3D_METRIC_RANK,     /* the same, among the captions of a pool */
    T3D_METRIC_OPPOSITE, /* from pictures of the prediction from opposite sides */
    T3D_METRIC_WARP,     /* from pictures with depth of the prediction */
    T3D_METRIC_CAPTION,  /* from pictures of the prediction: is it what the caption says? */
    T3D_METRIC_COST,     /* of making it: metric/cost.h */
    T3D_METRIC_KINDS
};

/* `what` of kind EMD. */
enum { T3D_EMD_LINEAR, T3D_EMD_SQUARED };

/* Of kind PICTURE: enum t3d_psnr_rule, or this plus enum t3d_ssim_rule (metric/picture.h). */
enum { T3D_SSIM_ROW = 16 };

/* Of kind LPIPS: enum t3d_lpips_net, plus these. */
enum { T3D_LPIPS_OTHER_EPS = 4 /* torchmetrics' rule */, T3D_LPIPS_OVER_BLACK = 8 };

/* Of kind CLIP, OPPOSITE and CAPTION; of kind RANK the k of R@k. */
enum { T3D_CLIP_RAW, T3D_CLIP_X100, T3D_CLIP_HESSEL, T3D_CLIP_TORCHMETRICS, T3D_CLIP_BEST };
enum { T3D_OPPOSITE, T3D_OPPOSITE_EXCESS };
enum { T3D_CAPTION_WHOLE, T3D_CAPTION_COLORS, T3D_CAPTION_SHAPES };

enum t3d_better { T3D_LOWER, T3D_HIGHER };

struct t3d_metric {
    const char *family, *dialect;
    enum t3d_metric_kind kind;
    enum t3d_better better;
    int by_default;          /* part of its family's name alone and of "all" */
    double target;           /* NAN = none */
    const char *target_text; /* "< 0.002" */
    int what;                /* of the family's own, see dialect.c */
};

extern const struct t3d_metric t3d_metrics[];
extern const int t3d_n_metrics;
enum { T3D_METRICS_MAX = 80, T3D_METRIC_ID_SIZE = 96 };

struct t3d_metric_choice {
    unsigned char on[T3D_METRICS_MAX]; /* of t3d_metrics */
};

/* "family:dialect", with which all its full names begin. */
void t3d_metric_name(char out[T3D_METRIC_ID_SIZE], const struct t3d_metric *m);
/* Is this full name one of that name: "lpips:vgg:ring16+4-512" of "lpips:vgg"? */
int t3d_metric_named(const char *id, const char *name);

/* Words of --metrics: "all", a family, or family:dialect. T3D_USAGE names an unknown one. */
int t3d_metrics_choose(struct t3d_metric_choice *c, const char *const *word, size_t n,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when a metric of this kind is chosen. */
int t3d_metrics_need(const struct t3d_metric_choice *c, enum t3d_metric_kind kind);

/* Last part of full names of what was measured on the surface of splats (draw/splat_surface.h). */
#define T3D_METRIC_FROM_SPLATS ":from:tsdf128"

/* The target of a full name: that of the metric when frame and number of points are those for which
 * it was set, else NAN; of splats that of their surface. */
double t3d_metric_target(const struct t3d_metric *m, const char *id);

struct t3d_distances;
/* The value of a metric of kind POINTS, SURFACE or CENTRES; NAN where the data cannot tell (no
 * normals). */
double t3d_metric_of_points(const struct t3d_metric *m, const struct t3d_distances *d);
/* What a metric of kind POINTS says of two independent samplings of one surface, in expectation:
 * density = points per normalised unit of area, edge as in struct t3d_distances. By the distance of
 * a Poisson process in the plane, P(d > t) = exp(-pi density t^2), which holds while the surface is
 * flat at the scale of the spacing (doc/metrics.md). NAN where nothing is known. */
double t3d_metric_floor(const struct t3d_metric *m, double density, double edge);

#endif
