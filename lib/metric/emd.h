/* SPDX-License-Identifier: Apache-2.0 */
/* metric/emd.h -- exact Earth Mover's Distance of two clouds of n points each, with a certificate.
 *
 * With equal weights the distance is the cheapest matching of the points of one cloud with those of
 * the other. It is found by Bertsekas' auction with eps-scaling ("The auction algorithm: a
 * distributed relaxation method for the assignment problem", Annals of Operations Research 14,
 * 1988); the prices of the auction give, by duality, a bound that no matching can be below. Memory
 * is O(n). One thread; the result is the same in every run. */
#ifndef T3D_METRIC_EMD_H
#define T3D_METRIC_EMD_H

#include <stdint.h>

#include "base/err.h"

#define T3D_EMD_GAP 1e-6

struct t3d_emd {
    double value; /* mean cost of a matched pair: the matching found */
    double bound; /* no matching is below it; value - bound <= T3D_EMD_GAP * value when exact */
    int exact;    /* 0: the search was cut off (degenerate clouds); the bound still holds */
    uint64_t bids, searches;
};

/* Cost: the Euclidean distance, or with squared its square, in the units of the points. T3D_SKIP
 * "no-points", "non-finite". index, when not NULL, gets the partner in b of each point of a. */
int t3d_emd(struct t3d_emd *e, const float (*a)[3], const float (*b)[3], uint32_t n, int squared,
            uint32_t *index, struct t3d_err *err) T3D_MUST_CHECK;

#endif
