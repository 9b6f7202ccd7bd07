/* SPDX-License-Identifier: Apache-2.0 */
/* metric/stats.h -- what can be said about a mean: bootstrap intervals and paired tests. All random
 * numbers come from Philox keyed by (seed, name), so a report is the same in every run. */
#ifndef T3D_METRIC_STATS_H
#define T3D_METRIC_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_BOOTSTRAP = 10000 };

/* Mean and the 95 % percentile interval of it over T3D_BOOTSTRAP resamples of the n values (Efron
 * and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3). With n < 2 the interval is
 * NAN. The values are of objects: views of one object are averaged before. */
int t3d_stats_mean(const double *v, size_t n, uint64_t seed, const char *name, double *mean,
                   double ci95[2], struct t3d_err *err) T3D_MUST_CHECK;

struct t3d_paired {
    size_t n, wins, losses; /* of b over a: b > a, b < a */
    double mean, ci95[2];   /* of b - a */
    double p;               /* two-sided, sign-flip permutation: exact for n <= 20 */
    double effect;          /* Cohen's d_z: mean / standard deviation of the differences */
};

/* b - a over pairs of values of the same objects. */
int t3d_stats_paired(struct t3d_paired *out, const double *a, const double *b, size_t n,
                     uint64_t seed, const char *name, struct t3d_err *err) T3D_MUST_CHECK;

#endif
