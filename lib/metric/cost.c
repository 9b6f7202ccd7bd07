/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;

    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void put(struct t3d_report *r, const char *name, enum t3d_better better, double value,
                double target, const char *text, size_t n)
{
    char id[T3D_METRIC_ID_SIZE];

    if (!isfinite(value))
        return;
    snprintf(id, sizeof id, "cost:%s", name);
    t3d_report_value(r, id, better, value, n, target, text);
}

int t3d_cost_report(struct t3d_report *r, const struct t3d_cost *c, struct t3d_err *err)
{
    double *s = malloc((c->n ? c->n : 1) * sizeof *s), wall = c->wall_s, sum = 0;
    char fps[32];

    if (!s)
        return t3d_err_nomem(err, "the costs");
    for (size_t i = 0; i < c->n; i++)
        sum += s[i] = c->seconds[i];
    qsort(s, c->n, sizeof *s, by_size);
    if (!isfinite(wall))
        wall = sum;
    if (c->n) {
        put(r, "seconds-p50", T3D_LOWER, percentile(s, c->n, .5), NAN, NULL, c->n);
        put(r, "seconds-p95", T3D_LOWER, percentile(s, c->n, .95), 90, "< 90", c->n);
        put(r, "objects-per-minute", T3D_HIGHER, wall > 0 ? 60 * (double)c->n / wall : NAN, 10,
            "> 10", c->n);
        put(r, "price", T3D_LOWER, c->price_per_hour * wall / 3600 / (double)c->n, NAN, NULL, c->n);
    }
    put(r, "model-mb", T3D_LOWER, c->model_bytes / 1e6, 500, "< 500", 1);
    put(r, "peak-mb", T3D_LOWER, c->peak_bytes / 1e6, 4000, "< 4000", 1);
    snprintf(fps, sizeof fps, "splat-fps-%d", c->splat_side);
    put(r, fps, T3D_HIGHER, c->splat_fps, 30, "> 30", 1);
    free(s);
    return T3D_OK;
}
