/* SPDX-License-Identifier: Apache-2.0 */
#include "num/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/cpu/kernel.h"
#include "num/graph_impl.h"

struct t3d_adamw {
    struct t3d_adamw_config config;
    int64_t n, steps;
    t3d_real *first, *second;
};

static t3d_real *zeros(int64_t n)
{
    size_t bytes = t3di_round((size_t)n * sizeof(t3d_real) + 1);
    t3d_real *p = aligned_alloc(64, bytes);

    if (p)
        memset(p, 0, bytes);
    return p;
}

struct t3d_adamw *t3d_adamw_new(struct t3d_graph *g, const struct t3d_adamw_config *config)
{
    struct t3d_adamw *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->config = *config;
    t3d_graph_param_block(g, &a->n);
    a->first = zeros(a->n);
    a->second = zeros(a->n);
    if (a->first && a->second)
        return a;
    t3d_adamw_free(a);
    return NULL;
}

void t3d_adamw_free(struct t3d_adamw *a)
{
    if (!a)
        return;
    free(a->first);
    free(a->second);
    free(a);
}

t3d_real *t3d_adamw_first(struct t3d_adamw *a, int64_t *n)
{
    *n = a->n;
    return a->first;
}

t3d_real *t3d_adamw_second(struct t3d_adamw *a, int64_t *n)
{
    *n = a->n;
    return a->second;
}

int64_t *t3d_adamw_steps(struct t3d_adamw *a)
{
    return &a->steps;
}

/* Elements [at, at + n) of the block, all of one parameter with its padding. */
static void update(struct t3d_adamw *a, t3d_real *w, const t3d_real *grad, int64_t at, int64_t n,
                   const t3d_real step[6], int threads)
{
#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = at; i < at + n; i += T3DI_BLOCK)
        t3di_kernel()->adamw(w + i, a->first + i, a->second + i, grad + i,
                             T3D_MIN(T3DI_BLOCK, at + n - i), step);
}

void t3d_adamw_step(struct t3d_adamw *a, struct t3d_graph *g, double lr)
{
    const struct t3d_adamw_config *k = &a->config;
    int64_t n;
    t3d_real *w = t3d_graph_param_block(g, &n), *grad = t3d_graph_grad_block(g, &n);
    double t = (double)++a->steps;
    t3d_real step[6] = {(t3d_real)(1 - k->beta1),
                        (t3d_real)(1 - k->beta2),
                        (t3d_real)(lr / (1 - pow(k->beta1, t))),
                        (t3d_real)(1 / sqrt(1 - pow(k->beta2, t))),
                        (t3d_real)k->eps,
                        1};

    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_value *v = &g->value[g->node[i].value];

        if (g->node[i].op || v->kind != T3DI_PARAM || v->root != g->node[i].value)
            continue;
        step[5] = v->shape.n >= 2 ? (t3d_real)(1 - lr * k->weight_decay) : 1;
        update(a, w, grad, (int64_t)(v->offset / sizeof *w),
               (int64_t)(t3di_round(t3d_shape_bytes(&v->shape)) / sizeof *w), step, g->threads);
    }
}

enum { BLOCK = 4096 };

/* Sum of squares: of blocks of a fixed length, then over the blocks in double. */
static double squares(const t3d_real *x, int64_t n, int threads)
{
    enum { BATCH = 256 };
    double sum = 0, part[BATCH];

    for (int64_t at = 0; at < n; at += (int64_t)BATCH * BLOCK) {
        int blocks = (int)T3D_MIN(BATCH, (n - at + BLOCK - 1) / BLOCK);

#pragma omp parallel for num_threads(threads) if (blocks > 4)
        for (int b = 0; b < blocks; b++)
            part[b] = (double)t3di_kernel()->sum_squares(
                x + at + (int64_t)b * BLOCK, 0, T3D_MIN(BLOCK, n - at - (int64_t)b * BLOCK));
        for (int b = 0; b < blocks; b++)
            sum += part[b];
    }
    return sum;
}

double t3d_grad_clip(struct t3d_graph *g, double max_norm)
{
    int64_t n;
    t3d_real *grad = t3d_graph_grad_block(g, &n);
    double norm = sqrt(squares(grad, n, g->threads));

    if (!isfinite(norm) || !(max_norm > 0) || norm <= max_norm)
        return norm;
#pragma omp parallel for num_threads(g->threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK)
        t3di_kernel()->unary[T3DI_LINEAR](grad + i, grad + i, T3D_MIN(T3DI_BLOCK, n - i),
                                          (t3d_real)(max_norm / norm), 0);
    return norm;
}

void t3d_ema_update(t3d_real *ema, struct t3d_graph *g, double decay)
{
    int64_t n;
    const t3d_real *w = t3d_graph_param_block(g, &n);
    t3d_real keep = (t3d_real)decay, take = (t3d_real)(1 - decay);

#pragma omp parallel for num_threads(g->threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK) {
        int64_t m = T3D_MIN(T3DI_BLOCK, n - i);

        t3di_kernel()->unary[T3DI_LINEAR](ema + i, ema + i, m, keep, 0);
        t3di_kernel()->axpy(ema + i, take, w + i, m);
    }
}

double t3d_warmup_cosine(int64_t step, int64_t warmup, int64_t total, double peak, double floor)
{
    double done;

    if (step < warmup)
        return peak * (double)(step + 1) / (double)warmup;
    if (step >= total)
        return floor;
    done = (double)(step - warmup) / (double)(total - warmup);
    return floor + (peak - floor) * 0.5 * (1 + cos(3.14159265358979323846 * done));
}
