/* SPDX-License-Identifier: Apache-2.0 */
/* SSIM window by window, for means over a part of the picture. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/defs.h"
#include "base/err.h"
#include "metric/picture_impl.h"

enum { MOMENTS = 5 }; /* x, y, x^2, y^2, xy */

/* Moments of a column of the window at every x: the weighted sums over its rows. */
static void sum_rows(double (*out)[MOMENTS], const struct t3di_ssim *s, size_t plane, uint32_t y)
{
    for (uint32_t i = 0; i < s->width; i++) {
        double m[MOMENTS] = {0};

        for (uint32_t k = 0; k < s->taps; k++) {
            size_t at = plane + (y + k) * s->stride + i;
            double p = (double)s->x[at] + .5, q = (double)s->y[at] + .5, w = s->weight[k];
            m[0] += w * p;
            m[1] += w * q;
            m[2] += w * p * p;
            m[3] += w * q * q;
            m[4] += w * p * q;
        }
        for (int j = 0; j < MOMENTS; j++)
            out[i][j] = m[j];
    }
}

/* Wang et al. 2004, equation 13, with K .01 and .03. */
static double index_of(double (*column)[MOMENTS], const struct t3di_ssim *s)
{
    double m[MOMENTS] = {0}, c1 = .01 * .01, c2 = .03 * .03;

    for (uint32_t k = 0; k < s->taps; k++)
        for (int j = 0; j < MOMENTS; j++)
            m[j] += (double)s->weight[k] * column[k][j];
    return (2 * m[0] * m[1] + c1) * (2 * (m[4] - m[0] * m[1]) + c2) /
           ((m[0] * m[0] + m[1] * m[1] + c1) * (m[2] - m[0] * m[0] + m[3] - m[1] * m[1] + c2));
}

int t3di_ssim_mask(double *out, const struct t3di_ssim *s, int threads, struct t3d_err *err)
{
    uint32_t rows = s->height - s->taps + 1, columns = s->width - s->taps + 1, half = s->taps / 2;
    double(*column)[MOMENTS] = malloc((size_t)threads * s->width * sizeof *column);
    double *sum = calloc(rows, sizeof *sum), total = 0;
    uint64_t n = 0;

    if (!column || !sum) {
        free(column);
        free(sum);
        return t3d_err_nomem(err, "ssim");
    }
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : n)
    for (uint32_t y = 0; y < rows; y++) {
        double(*mine)[MOMENTS] = column + (size_t)omp_get_thread_num() * s->width;

        for (uint32_t c = 0; c < 3; c++) {
            sum_rows(mine, s, (size_t)c * s->stride * s->height, y);
            for (uint32_t x = 0; x < columns; x++) {
                size_t at = 4 * ((size_t)(y + half) * s->width + x + half) + 3;
                if (!s->a[at] && !s->b[at])
                    continue;
                sum[y] += index_of(mine + x, s);
                n++;
            }
        }
    }
    for (uint32_t y = 0; y < rows; y++)
        total += sum[y];
    *out = n ? total / (double)n : NAN;
    free(column);
    free(sum);
    return T3D_OK;
}
