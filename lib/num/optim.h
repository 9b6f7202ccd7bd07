/* SPDX-License-Identifier: Apache-2.0 */
/* num/optim.h -- what turns gradients into better parameters.
 *
 *     struct t3d_adamw *opt = t3d_adamw_new(g, &(struct t3d_adamw_config){T3D_ADAMW_DEFAULT});
 *     ...
 *     double norm = t3d_grad_clip(g, 1);
 *     t3d_adamw_step(opt, g, t3d_warmup_cosine(step, warmup, total, 3e-4, 0));
 *     t3d_ema_update(ema, g, 0.999);
 *     t3d_graph_zero_grad(g);
 *
 * Parameters are the float master copy themselves. Every function gives the same bits for any
 * number of threads. The state is plain arrays in the order of t3d_graph_param_block, for
 * checkpoints. */
#ifndef T3D_NUM_OPTIM_H
#define T3D_NUM_OPTIM_H

#include <stdint.h>

#include "num/graph.h"

struct t3d_adamw_config {
    double beta1, beta2, eps;
    double weight_decay; /* decoupled; of parameters with two axes or more (not biases, gains) */
};
#define T3D_ADAMW_DEFAULT .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01

struct t3d_adamw;

/* For a built graph; moments are zero. NULL = out of memory. */
struct t3d_adamw *t3d_adamw_new(struct t3d_graph *g, const struct t3d_adamw_config *config);
void t3d_adamw_free(struct t3d_adamw *a);
/* One step (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2):
 * m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
 * w -= lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay w). */
void t3d_adamw_step(struct t3d_adamw *a, struct t3d_graph *g, double lr);
/* State for checkpoints: the moments (n numbers each) and the number of steps done. On a device the
 * moments are copies: ask again after each step. */
t3d_real *t3d_adamw_first(struct t3d_adamw *a, int64_t *n);
t3d_real *t3d_adamw_second(struct t3d_adamw *a, int64_t *n);
int64_t *t3d_adamw_steps(struct t3d_adamw *a);

/* Norm of all gradients; where it is above max_norm > 0 they are scaled down to it. NaN or infinity
 * comes back as it is and nothing is scaled: the caller skips the step. */
double t3d_grad_clip(struct t3d_graph *g, double max_norm);

/* ema = decay ema + (1 - decay) parameters; ema has the size of t3d_graph_param_block. On a device
 * this copies all parameters to the host: use struct t3d_ema there. */
void t3d_ema_update(t3d_real *ema, struct t3d_graph *g, double decay);

/* A running mean of the parameters that lives where they do; it begins as they are. */
struct t3d_ema;
struct t3d_ema *t3d_ema_new(struct t3d_graph *g); /* NULL = out of memory */
void t3d_ema_free(struct t3d_ema *e);
void t3d_ema_step(struct t3d_ema *e, struct t3d_graph *g, double decay);
/* For checkpoints and for validation; as with t3d_graph_param_block. */
t3d_real *t3d_ema_data(struct t3d_ema *e, int64_t *n);

/* Linear from 0 to peak in `warmup` steps (step 0 gives peak / warmup), then half a cosine down to
 * floor at step `total` and after it. */
double t3d_warmup_cosine(int64_t step, int64_t warmup, int64_t total, double peak, double floor);

#endif
