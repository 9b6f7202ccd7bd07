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
    T3D_METRIC_POINTS,  /* from samples of both sides */
    T3D_METRIC_SURFACE, /* from samples of one side to the triangles of the other */
    T3D_METRIC_EMD,
    T3D_METRIC_VOLUME,
    T3D_METRIC_PICTURE
};

/* `what` of kind EMD. */
enum { T3D_EMD_LINEAR, T3D_EMD_SQUARED };

/* Of kind PICTURE: enum t3d_psnr_rule, or this plus enum t3d_ssim_rule (metric/picture.h). */
enum { T3D_SSIM_ROW = 16 };

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
enum { T3D_METRICS_MAX = 64, T3D_METRIC_ID_SIZE = 96 };

/* Families that need a network or a checkpoint and are not measured here, with what is missing. */
struct t3d_metric_absent {
    const char *family, *id, *target_text, *reason;
};
extern const struct t3d_metric_absent t3d_metrics_absent[];
extern const int t3d_n_metrics_absent;

struct t3d_metric_choice {
    unsigned char on[T3D_METRICS_MAX];     /* of t3d_metrics */
    unsigned char absent[T3D_METRICS_MAX]; /* of t3d_metrics_absent: asked for */
};

/* Words of --metrics: "all", a family, or family:dialect. T3D_USAGE names an unknown one. */
int t3d_metrics_choose(struct t3d_metric_choice *c, const char *const *word, size_t n,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when a metric of this kind is chosen. */
int t3d_metrics_need(const struct t3d_metric_choice *c, enum t3d_metric_kind kind);

/* The target of a full name: that of the metric when frame and number of points are those for which
 * it was set, else NAN. */
double t3d_metric_target(const struct t3d_metric *m, const char *id);

struct t3d_distances;
/* The value of a metric of kind POINTS or SURFACE; NAN where the data cannot tell (no normals). */
double t3d_metric_of_points(const struct t3d_metric *m, const struct t3d_distances *d);
/* What a metric of kind POINTS says of two independent samplings of one surface, in expectation:
 * density = points per normalised unit of area, edge as in struct t3d_distances. By the distance of
 * a Poisson process in the plane, P(d > t) = exp(-pi density t^2), which holds while the surface is
 * flat at the scale of the spacing (doc/metrics.md). NAN where nothing is known. */
double t3d_metric_floor(const struct t3d_metric *m, double density, double edge);

#endif
