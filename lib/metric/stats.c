/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

enum { EXACT = 20, FLIPS = 10000 };

static double mean_of(const double *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum / (double)n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1), whole = floor(at);
    size_t i = (size_t)whole;

    return i + 1 < n ? sorted[i] + (at - whole) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

int t3d_stats_mean(const double *v, size_t n, uint64_t seed, const char *name, double *mean,
                   double ci95[2], struct t3d_err *err)
{
    struct t3d_rng rng = t3d_rng_for(seed, name, 0);
    double *again;

    *mean = n ? mean_of(v, n) : NAN;
    ci95[0] = ci95[1] = NAN;
    if (n < 2)
        return T3D_OK;
    again = malloc(T3D_BOOTSTRAP * sizeof *again);
    if (!again)
        return t3d_err_nomem(err, "the bootstrap");
    for (size_t k = 0; k < T3D_BOOTSTRAP; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += v[t3d_rng_below(&rng, (uint32_t)n)];
        again[k] = sum / (double)n;
    }
    qsort(again, T3D_BOOTSTRAP, sizeof *again, by_value);
    ci95[0] = quantile(again, T3D_BOOTSTRAP, .025);
    ci95[1] = quantile(again, T3D_BOOTSTRAP, .975);
    free(again);
    return T3D_OK;
}

/* Share of sign patterns whose sum is as far from zero as the one seen. */
static double exact_flips(const double *d, size_t n, double seen)
{
    uint32_t patterns = 1u << n, as_far = 0;

    for (uint32_t k = 0; k < patterns; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += k >> i & 1 ? -d[i] : d[i];
        as_far += fabs(sum) >= seen;
    }
    return (double)as_far / patterns;
}

static double random_flips(const double *d, size_t n, double seen, struct t3d_rng *rng)
{
    uint32_t as_far = 1; /* the pattern seen is one of them */

    for (int k = 0; k < FLIPS; k++) {
        double sum = 0;
        uint32_t bits = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 32 == 0 ? t3d_rng_u32(rng) : bits >> 1;
            sum += bits & 1 ? -d[i] : d[i];
        }
        as_far += fabs(sum) >= seen;
    }
    return (double)as_far / (FLIPS + 1);
}

int t3d_stats_paired(struct t3d_paired *out, const double *a, const double *b, size_t n,
                     uint64_t seed, const char *name, struct t3d_err *err)
{
    struct t3d_rng rng = t3d_rng_for(seed, name, 1);
    double *d = calloc(n ? n : 1, sizeof *d), squares = 0, sum = 0;
    int r;

    if (!d)
        return t3d_err_nomem(err, "a comparison");
    *out = (struct t3d_paired){.n = n, .p = NAN, .effect = NAN};
    for (size_t i = 0; i < n; i++) {
        d[i] = b[i] - a[i];
        out->wins += d[i] > 0;
        out->losses += d[i] < 0;
        sum += d[i];
    }
    r = t3d_stats_mean(d, n, seed, name, &out->mean, out->ci95, err);
    for (size_t i = 0; i < n; i++)
        squares += (d[i] - out->mean) * (d[i] - out->mean);
    if (n >= 2) {
        /* a little less, so that rounding does not hide patterns that are equal */
        double seen = fabs(sum) * (1 - 1e-12);
        out->p = n <= EXACT ? exact_flips(d, n, seen) : random_flips(d, n, seen, &rng);
        out->effect = squares > 0 ? out->mean / sqrt(squares / (double)(n - 1))
                                  : (out->mean == 0 ? 0 : copysign(INFINITY, out->mean));
    }
    free(d);
    return r;
}
