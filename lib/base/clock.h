/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h -- the monotonic clock, for timings, deadlines and rates; never for outputs. */
#ifndef T3D_BASE_CLOCK_H
#define T3D_BASE_CLOCK_H

#include <time.h>

/* Seconds since an unknown moment. */
static inline double t3d_clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
