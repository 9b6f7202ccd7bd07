/* SPDX-License-Identifier: Apache-2.0 */
/* model/sample_sheet.h -- what a generator makes of captions, beside what they were written of. */
#ifndef T3D_MODEL_SAMPLE_SHEET_H
#define T3D_MODEL_SAMPLE_SHEET_H

#include "model/sampler.h"

struct t3d_sample_row {
    struct t3d_sample sample;
    const uint8_t *wanted; /* (4, S, S, 4): the rendered input views */
};

/* A PNG with a row each: caption, the four views that the sampler makes, the four wanted. n is at
 * most the sampler's batch. */
int t3d_sample_sheet(const char *path, struct t3d_sampler *s, const struct t3d_sample_row *row,
                     int n, struct t3d_err *err) T3D_MUST_CHECK;

#endif
