/* SPDX-License-Identifier: Apache-2.0 */
/* model/reconstruct.h -- objects from four views with a trained reconstructor.
 *
 *     r = t3d_reconstruct_open(&s, "runs/reconstructor-nano", batch, &device, threads, err);
 *     r = t3d_reconstruct_run(s, views, err);
 *     t3d_reconstruct_gaussians(s, 0, &g);
 *     t3d_reconstruct_close(s); */
#ifndef T3D_MODEL_RECONSTRUCT_H
#define T3D_MODEL_RECONSTRUCT_H

#include "geom/gaussians.h"
#include "model/generator.h"
#include "num/device.h"

struct t3d_reconstruct;

/* dir: config.json and model.safetensors. T3D_SKIP "missing-file", "bad-config", "bad-weights". */
int t3d_reconstruct_open(struct t3d_reconstruct **out, const char *dir, int batch,
                         const struct t3d_device *device, int threads,
                         struct t3d_err *err) T3D_MUST_CHECK;
void t3d_reconstruct_close(struct t3d_reconstruct *s);
const struct t3d_generator_config *t3d_reconstruct_config(const struct t3d_reconstruct *s);
const char *t3d_reconstruct_hash(const struct t3d_reconstruct *s); /* of the weights, hex */

/* The two files of a reconstructor's folder to DIR/reconstructor. */
int t3d_reconstruct_copy(const char *from, const char *dir, struct t3d_err *err) T3D_MUST_CHECK;

/* views (batch, 4, side, side, 3) in [-1, 1], rows from the top: views 0, 4, 8, 12 of ring16+4. */
int t3d_reconstruct_run(struct t3d_reconstruct *s, const float *views,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* Object i of the last run; borrowed until the next one. */
void t3d_reconstruct_gaussians(const struct t3d_reconstruct *s, int i, struct t3d_gaussians *g);

#endif
