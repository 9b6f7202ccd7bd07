/* SPDX-License-Identifier: Apache-2.0 */
/* TAP from a plain program, and numbers that are the same on every machine. */
#ifndef T3D_TESTS_GPU_TAP_H
#define T3D_TESTS_GPU_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

static int n_tests, n_failed;

static inline void report(int ok, const char *fmt, ...) T3D_PRINTF(2, 3);
static inline void report(int ok, const char *fmt, ...)
{
    va_list ap;

    printf("%s %d - ", ok ? "ok" : "not ok", ++n_tests);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    n_failed += !ok;
}

static inline void stop(const char *what, const char *why)
{
    printf("Bail out! %s: %s\n", what, why);
    exit(1);
}

static uint64_t state;

/* splitmix64 (Steele, Lea and Flood 2014); in [0, 1). */
static inline double uniform(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Largest difference relative to the largest number wanted; 1e9 for what is not finite. */
static inline double distance(const float *x, const float *want, int64_t n, double least)
{
    double scale = least, most = 0;

    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)want[i]);

        most = d <= 1e9 * scale ? fmax(most, d / scale) : 1e9;
    }
    return most;
}

#endif
