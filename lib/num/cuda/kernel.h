/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/kernel.h -- the kernels as plain C calls: each puts work on a stream and returns. Pure
 * C, no CUDA header: the ops (C files) know only this, the kernels (.cu files) implement it.
 *
 * Every kernel computes in float, gives the same bits each time (no atomics on floats; sums in a
 * fixed order), and takes operands of either storage. */
#ifndef T3D_NUM_CUDA_KERNEL_H
#define T3D_NUM_CUDA_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers on the device: float, or bf16. A NULL pointer stands for an absent operand. */
struct t3di_dev {
    void *p;
    int bf16;
};

/* --- element by element ---------------------------------------------------------------------- */

/* Indexed by enum t3di_unary and t3di_binary of num/cpu/kernel.h. */
void t3di_cuda_unary(int kind, struct t3di_dev y, struct t3di_dev x, int64_t n, float p, float q,
                     void *stream);
void t3di_cuda_zero(struct t3di_dev y, int64_t n, void *stream);
/* y = x, of either storage. */
void t3di_cuda_copy(struct t3di_dev y, struct t3di_dev x, int64_t n, void *stream);
/* g (+)= gy f'(x); set: overwrite. */
void t3di_cuda_unary_grad(int kind, struct t3di_dev g, struct t3di_dev gy, struct t3di_dev x,
                          int64_t n, float p, float q, int set, void *stream);

/* *bad = 1 when a number is NaN or infinite (the caller has cleared it). */
void t3di_cuda_find_bad(struct t3di_dev x, int64_t n, int *bad, void *stream);

/* Up to 6 merged axes, outermost first; a step of 0 repeats. The last axis always exists. */
enum { T3DI_WALK = 6 };
struct t3di_walk {
    int n;
    int64_t dim[T3DI_WALK], a[T3DI_WALK], b[T3DI_WALK];
};
/* y = a op b; y is contiguous. */
void t3di_cuda_binary(int kind, struct t3di_dev y, struct t3di_dev a, struct t3di_dev b,
                      const struct t3di_walk *w, void *stream);
/* The gradient of operand `which` (0 = a), summed over the axes where its step is 0. work:
 * t3di_cuda_binary_work bytes. */
void t3di_cuda_binary_grad(int kind, int which, struct t3di_dev g, struct t3di_dev gy,
                           struct t3di_dev a, struct t3di_dev b, const struct t3di_walk *w, int set,
                           float *work, void *stream);
int64_t t3di_cuda_binary_work(const struct t3di_walk *w, int which);

/* x (m, n) is a product; x += bias (n) is stored to pre when pre.p; y = act(x) + residual. kind:
 * T3DI_N_UNARY = none. y may be x, pre may be x, residual may be y. */
void t3di_cuda_epilogue(int kind, struct t3di_dev y, struct t3di_dev pre, struct t3di_dev x,
                        struct t3di_dev bias, struct t3di_dev residual, int64_t m, int64_t n,
                        void *stream);

/* --- movement: y (+)= x over axes with steps on both sides (a = y's, b = x's) ------------------
 */

void t3di_cuda_move(struct t3di_dev y, struct t3di_dev x, const struct t3di_walk *w, int add,
                    void *stream);

/* --- sums --------------------------------------------------------------------------------------
 */

/* y (outer, inner) (+)= scale sum over n of x (outer, n, inner). */
void t3di_cuda_sum(struct t3di_dev y, struct t3di_dev x, int64_t outer, int64_t n, int64_t inner,
                   float scale, int add, float *work, void *stream);
int64_t t3di_cuda_sum_work(int64_t outer, int64_t n, int64_t inner); /* bytes */

/* --- products -----------------------------------------------------------------------------------
 */

/* C (m, n) (+)= alpha A (m, k) B (k, n) for a batch of matrices; element (i, j) of A is at
 * i a_row + j a_col; columns of C are next to each other. */
struct t3di_cuda_matrices {
    int64_t m, n, k, batch;
    int64_t a_row, a_col, b_row, b_col, c_row;
    int64_t a_next, b_next, c_next; /* elements between matrices */
    float alpha;
    int add;
};
/* Our own loops, for what cuBLASLt does not take or where it is missing. */
void t3di_cuda_gemm(const struct t3di_cuda_matrices *g, struct t3di_dev c, struct t3di_dev a,
                    struct t3di_dev b, void *stream);

/* g (outer, n, inner) += scale y (outer, inner). */
void t3di_cuda_repeat_add(struct t3di_dev g, struct t3di_dev y, int64_t outer, int64_t n,
                          int64_t inner, float scale, void *stream);

/* --- rows ---------------------------------------------------------------------------------------
 */

/* Layer norm, RMS norm (rms = 1). stat (rows, 2), float: mean and 1 / deviation; may be absent. */
void t3di_cuda_norm(struct t3di_dev y, float *stat, struct t3di_dev x, struct t3di_dev gamma,
                    struct t3di_dev beta, int64_t rows, int64_t n, int rms, float eps,
                    void *stream);
/* g (+)= dx; ggamma, gbeta += their sums over rows (all may be absent). */
void t3di_cuda_norm_grad(struct t3di_dev g, struct t3di_dev ggamma, struct t3di_dev gbeta,
                         struct t3di_dev gy, struct t3di_dev x, const float *stat,
                         struct t3di_dev gamma, int64_t rows, int64_t n, int rms, int set,
                         float *work, void *stream);
int64_t t3di_cuda_norm_work(int64_t rows, int64_t n); /* bytes, of the gradient */

void t3di_cuda_softmax(struct t3di_dev y, struct t3di_dev x, int64_t rows, int64_t n, void *stream);
void t3di_cuda_softmax_grad(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev y, int64_t rows,
                            int64_t n, int set, void *stream);

/* logits (rows, classes); the target of row i is target[i], or i; below 0 = it does not count.
 * loss: one float; log_sum (rows) may be absent. A target that is too large goes to *check. */
struct t3di_cuda_rows {
    struct t3di_dev x;
    const int32_t *target;
    int64_t rows, classes;
};
void t3di_cuda_entropy(float *loss, float *log_sum, const struct t3di_cuda_rows *r,
                       unsigned long long *check, float *work, void *stream);
void t3di_cuda_entropy_grad(struct t3di_dev g, const float *gy, const float *log_sum,
                            const struct t3di_cuda_rows *r, float *work, void *stream);
int64_t t3di_cuda_entropy_work(int64_t rows); /* bytes */

/* --- losses: the mean of weight f(y - target), kind of enum t3di_loss ----------------------------
 */

struct t3di_cuda_loss {
    int kind;
    float bend;
    struct t3di_dev y, target, weight; /* a weight for `share` numbers; may be absent */
    int64_t n, share;
};
void t3di_cuda_loss(float *loss, const struct t3di_cuda_loss *l, float *work, void *stream);
void t3di_cuda_loss_grad(struct t3di_dev gy, struct t3di_dev gtarget, const float *grad,
                         const struct t3di_cuda_loss *l, void *stream);
int64_t t3di_cuda_loss_work(int64_t n); /* bytes */

/* --- rows picked by indices: `few` rows a sample of its `many`, each of `width` numbers
 * ----------- */

struct t3di_cuda_pick {
    int64_t batch, many, few, width;
    const int32_t *id; /* (batch, few) */
};
/* few (+)= many[id]; a bad index goes to *check (may be NULL) and is taken as 0. */
void t3di_cuda_pick(struct t3di_dev few, struct t3di_dev many, const struct t3di_cuda_pick *p,
                    int add, unsigned long long *check, void *stream);
/* many[id] += few, in the order of the indices. */
void t3di_cuda_spread(struct t3di_dev many, struct t3di_dev few, const struct t3di_cuda_pick *p,
                      unsigned long long *check, void *stream);

/* --- attention: rows of scores (samples, heads, queries, keys)
 * ------------------------------------- */

struct t3di_cuda_scores {
    int64_t samples, heads, queries, keys;
    int causal;
    const int32_t *mask;  /* (samples, keys), or NULL */
    struct t3di_dev bias; /* (heads, queries, keys), or for each sample; may be absent */
    int bias_samples;
};
/* s (float), scaled already, to probabilities p (may be s); log_sum (samples, heads, queries) may
 * be absent: written if `write`, else used. */
void t3di_cuda_attend(struct t3di_dev p, const float *s, float *log_sum, int write,
                      const struct t3di_cuda_scores *a, void *stream);
/* ds = p (dp - p . dp); ds may be dp. */
void t3di_cuda_attend_grad(struct t3di_dev ds, struct t3di_dev p, const float *dp,
                           const struct t3di_cuda_scores *a, void *stream);
/* g, of bias's shape, += ds, over the samples in order where they share it. */
void t3di_cuda_attend_bias_grad(struct t3di_dev g, struct t3di_dev ds,
                                const struct t3di_cuda_scores *a, void *stream);

/* --- optimisers (struct t3di_update of num/place_impl.h)
 * -------------------------------------------- */

struct t3di_update;
void t3di_cuda_adamw(const struct t3di_update *u, void *stream);
/* The sum of squares, in double, to *sum on the device; work: T3DI_CUDA_PARTS floats. */
enum { T3DI_CUDA_PARTS = 2048 };
void t3di_cuda_squares(double *sum, const float *x, int64_t n, float *work, void *stream);
/* y = keep y + take x; x may be absent. */
void t3di_cuda_blend(float *y, float keep, const float *x, float take, int64_t n, void *stream);

/* --- features: cos, then sin, of t scale max_period^(-i / half)
 * ------------------------------------ */

void t3di_cuda_sinusoid(struct t3di_dev y, struct t3di_dev t, int64_t n, int half, double scale,
                        double max_period, void *stream);
void t3di_cuda_sinusoid_grad(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev y, int64_t n,
                             int half, double scale, double max_period, void *stream);

#ifdef __cplusplus
}
#endif

#endif
