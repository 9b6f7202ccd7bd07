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
    const struct t3di_place *place;
    int device, n_chunks;
    void *stream;
    struct t3di_mirror first, second;
    struct t3di_mirror chunks; /* on a device: struct t3di_chunk */
};

enum { CHUNK = 1 << 15 }; /* elements a block of threads updates */

/* A parameter of the graph's own, with its padding. */
static const struct t3di_value *param_at(const struct t3d_graph *g, int node)
{
    const struct t3di_value *v = &g->value[g->node[node].value];

    return g->node[node].op || v->kind != T3DI_PARAM || v->root != g->node[node].value ? NULL : v;
}

static int64_t padded(const struct t3di_value *v)
{
    return (int64_t)(t3di_round(t3d_shape_bytes(&v->shape)) / sizeof(t3d_real));
}

/* What a device updates in one launch; with to = NULL only counted. */
static int list_chunks(const struct t3d_graph *g, struct t3di_chunk *to)
{
    int n = 0;

    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_value *v = param_at(g, i);

        for (int64_t at = 0; v && at < padded(v); at += CHUNK, n++)
            if (to)
                to[n] = (struct t3di_chunk){(int64_t)(v->offset / sizeof(t3d_real)) + at,
                                            T3D_MIN(CHUNK, padded(v) - at), v->shape.n >= 2};
    }
    return n;
}

static int make_chunks(struct t3d_adamw *a, const struct t3d_graph *g)
{
    a->n_chunks = list_chunks(g, NULL);
    if (t3di_mirror_new(&a->chunks, a->place, (size_t)a->n_chunks * sizeof(struct t3di_chunk), 0))
        return -1;
    list_chunks(g, (struct t3di_chunk *)a->chunks.host);
    a->chunks.host_newer = 1;
    return 0;
}

struct t3d_adamw *t3d_adamw_new(struct t3d_graph *g, const struct t3d_adamw_config *config)
{
    struct t3d_adamw *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->config = *config;
    a->place = g->place;
    a->device = g->device;
    a->stream = g->stream;
    a->n = (int64_t)(g->param_bytes / sizeof(t3d_real));
    if (!a->place) {
        free(a);
        return NULL;
    }
    a->place->select(a->device);
    if (t3di_mirror_new(&a->first, a->place, g->param_bytes, 0) == 0 &&
        t3di_mirror_new(&a->second, a->place, g->param_bytes, 0) == 0 &&
        (a->place->is_host || make_chunks(a, g) == 0))
        return a;
    t3d_adamw_free(a);
    return NULL;
}

void t3d_adamw_free(struct t3d_adamw *a)
{
    if (!a)
        return;
    t3di_mirror_free(&a->first, a->place);
    t3di_mirror_free(&a->second, a->place);
    t3di_mirror_free(&a->chunks, a->place);
    free(a);
}

static t3d_real *moment(struct t3d_adamw *a, struct t3di_mirror *m, int64_t *n)
{
    *n = a->n;
    a->place->select(a->device);
    return (t3d_real *)t3di_mirror_host(m, a->place, a->stream);
}

t3d_real *t3d_adamw_first(struct t3d_adamw *a, int64_t *n)
{
    return moment(a, &a->first, n);
}

t3d_real *t3d_adamw_second(struct t3d_adamw *a, int64_t *n)
{
    return moment(a, &a->second, n);
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
        t3di_kernel()->adamw(w + i, (t3d_real *)a->first.host + i, (t3d_real *)a->second.host + i,
                             grad + i, T3D_MIN(T3DI_BLOCK, at + n - i), step);
}

static float *on_device(struct t3di_mirror *m, const struct t3di_place *p, void *stream)
{
    return (float *)t3di_mirror_device(m, p, stream);
}

static void device_step(struct t3d_adamw *a, struct t3d_graph *g, double lr, const t3d_real step[6])
{
    const struct t3di_place *p = a->place;
    struct t3di_update u = {.w = on_device(g->params, p, g->stream),
                            .first = on_device(&a->first, p, g->stream),
                            .second = on_device(&a->second, p, g->stream),
                            .grad = on_device(g->grads, p, g->stream),
                            .half = (uint16_t *)g->params->half,
                            .n_chunks = a->n_chunks,
                            .beta1 = (float)step[0],
                            .beta2 = (float)step[1],
                            .rate = (float)step[2],
                            .root = (float)step[3],
                            .eps = (float)step[4],
                            .keep = (float)(1 - lr * a->config.weight_decay)};

    u.chunk = (const struct t3di_chunk *)t3di_mirror_device(&a->chunks, p, g->stream);
    p->adamw(&u, g->stream);
    g->params->device_newer = a->first.device_newer = a->second.device_newer = 1;
}

void t3d_adamw_step(struct t3d_adamw *a, struct t3d_graph *g, double lr)
{
    const struct t3d_adamw_config *k = &a->config;
    double t = (double)++a->steps;
    t3d_real step[6] = {(t3d_real)(1 - k->beta1),
                        (t3d_real)(1 - k->beta2),
                        (t3d_real)(lr / (1 - pow(k->beta1, t))),
                        (t3d_real)(1 / sqrt(1 - pow(k->beta2, t))),
                        (t3d_real)k->eps,
                        1};
    t3d_real *w = (t3d_real *)g->params->host, *grad = (t3d_real *)g->grads->host;

    a->place->select(a->device);
    if (!a->place->is_host) {
        device_step(a, g, lr, step);
        return;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const struct t3di_value *v = param_at(g, i);

        if (!v)
            continue;
        step[5] = v->shape.n >= 2 ? (t3d_real)(1 - lr * k->weight_decay) : 1;
        update(a, w, grad, (int64_t)(v->offset / sizeof *w), padded(v), step, g->threads);
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

/* x = scale x */
static void scale(t3d_real *x, int64_t n, double by, int threads)
{
#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK)
        t3di_kernel()->unary[T3DI_LINEAR](x + i, x + i, T3D_MIN(T3DI_BLOCK, n - i), (t3d_real)by,
                                          0);
}

double t3d_grad_clip(struct t3d_graph *g, double max_norm)
{
    const struct t3di_place *p = g->place;
    int64_t n = (int64_t)(g->param_bytes / sizeof(t3d_real));
    t3d_real *grad;
    double norm;

    p->select(g->device);
    grad = (t3d_real *)t3di_mirror_device(g->grads, p, g->stream);
    norm =
        sqrt(p->is_host ? squares(grad, n, g->threads) : p->squares((float *)grad, n, g->stream));
    if (!isfinite(norm) || !(max_norm > 0) || norm <= max_norm)
        return norm;
    if (p->is_host)
        scale(grad, n, max_norm / norm, g->threads);
    else
        p->blend((float *)grad, (float)(max_norm / norm), NULL, 0, n, g->stream);
    g->grads->device_newer = 1;
    return norm;
}

/* --- running means --------------------------------------------------------------------------- */

/* y = keep y + take x */
static void blend(t3d_real *y, t3d_real keep, const t3d_real *x, t3d_real take, int64_t n,
                  int threads)
{
#pragma omp parallel for num_threads(threads) if (n > T3DI_BLOCK)
    for (int64_t i = 0; i < n; i += T3DI_BLOCK) {
        int64_t m = T3D_MIN(T3DI_BLOCK, n - i);

        t3di_kernel()->unary[T3DI_LINEAR](y + i, y + i, m, keep, 0);
        t3di_kernel()->axpy(y + i, take, x + i, m);
    }
}

void t3d_ema_update(t3d_real *ema, struct t3d_graph *g, double decay)
{
    int64_t n;
    const t3d_real *w = t3d_graph_param_block(g, &n);

    blend(ema, (t3d_real)decay, w, (t3d_real)(1 - decay), n, g->threads);
}

struct t3d_ema {
    const struct t3di_place *place;
    int device;
    void *stream;
    struct t3di_mirror mean;
};

struct t3d_ema *t3d_ema_new(struct t3d_graph *g)
{
    struct t3d_ema *e = calloc(1, sizeof *e);
    int64_t n;
    const t3d_real *w;

    if (!e || !g->place) {
        free(e);
        return NULL;
    }
    *e = (struct t3d_ema){.place = g->place, .device = g->device, .stream = g->stream};
    w = t3d_graph_param_block(g, &n);
    if (!w || t3di_mirror_new(&e->mean, e->place, g->param_bytes, 0) < 0) {
        t3d_ema_free(e);
        return NULL;
    }
    memcpy(e->mean.host, w, g->param_bytes);
    e->mean.host_newer = 1;
    return e;
}

void t3d_ema_free(struct t3d_ema *e)
{
    if (e)
        t3di_mirror_free(&e->mean, e->place);
    free(e);
}

void t3d_ema_step(struct t3d_ema *e, struct t3d_graph *g, double decay)
{
    int64_t n = (int64_t)(g->param_bytes / sizeof(t3d_real));

    e->place->select(e->device);
    if (e->place->is_host)
        t3d_ema_update((t3d_real *)e->mean.host, g, decay);
    else
        e->place->blend(on_device(&e->mean, e->place, g->stream), (float)decay,
                        on_device(g->params, e->place, g->stream), (float)(1 - decay), n,
                        g->stream);
    e->mean.device_newer = 1;
}

t3d_real *t3d_ema_data(struct t3d_ema *e, int64_t *n)
{
    *n = (int64_t)(e->mean.bytes / sizeof(t3d_real));
    e->place->select(e->device);
    return (t3d_real *)t3di_mirror_host(&e->mean, e->place, e->stream);
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
