/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate/evaluate_maker.h -- objects from captions as .ply, each with what it cost beside it. */
#ifndef T3D_EVALUATE_EVALUATE_MAKER_H
#define T3D_EVALUATE_EVALUATE_MAKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { EVALUATE_FPS_SIDE = 512 };

struct evaluate_maker_options {
    const char *workspace, *checkpoint, *device;
    const char *const *encoder; /* (n_encoders) as in struct t3d_text_encoders */
    size_t n_encoders;
    int threads, steps;
    double guidance;
    uint64_t seed;
    int redo; /* make it again even if it is there */
};

struct evaluate_cost {
    double seconds;    /* from the caption to the file */
    double peak_bytes; /* of this process by then */
    double fps;        /* pictures a second at EVALUATE_FPS_SIDE; NAN = it has no Gaussians */
};

struct evaluate_maker;

int evaluate_maker_open(struct evaluate_maker **out, const struct evaluate_maker_options *o,
                        struct t3d_err *err) T3D_MUST_CHECK;
void evaluate_maker_close(struct evaluate_maker *m);
const char *evaluate_maker_hash(const struct evaluate_maker *m); /* of the weights */
double evaluate_maker_bytes(const struct evaluate_maker *m);     /* of the model's files */

/* path ends in .ply; what made it and its cost go to .json beside it. T3D_END: it is there, made
 * from the same. */
int evaluate_maker_run(struct evaluate_maker *m, const char *caption, const char *path,
                       struct evaluate_cost *cost, struct t3d_err *err) T3D_MUST_CHECK;

#endif
