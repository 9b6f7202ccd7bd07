/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted means of a function of differences, sinusoidal features. */
#include "num/cuda/device.cuh"

extern "C" {
#include "num/cpu/op_impl.h"
}

/* f(d) and f'(d); Huber's bend as in num/cpu/op_loss.c. */
__device__ static inline float loss_value(int kind, float d, float bend)
{
    float size = fabsf(d);

    if (kind == T3DI_MSE)
        return d * d;
    if (kind == T3DI_L1)
        return size;
    return size < bend ? d * d / 2 : bend * (size - bend / 2);
}

__device__ static inline float loss_slope(int kind, float d, float bend)
{
    if (kind == T3DI_MSE)
        return 2 * d;
    if (kind == T3DI_L1)
        return (float)((d > 0) - (d < 0));
    return d < -bend ? -bend : d > bend ? bend : d;
}

__device__ static inline float weight_at(const struct t3di_cuda_loss *l, int64_t i)
{
    return l->weight.p ? load(l->weight, i / l->share) : 1;
}

/* A block sums `part` numbers. */
static __global__ void loss_kernel(float *to, struct t3di_cuda_loss l, int64_t part)
{
    struct team t = team_here(THREADS);
    int64_t first = (int64_t)blockIdx.x * part, end = first + part < l.n ? first + part : l.n;
    float sum = 0;

    for (int64_t i = first + t.lane; i < end; i += THREADS)
        sum += loss_value(l.kind, load(l.y, i) - load(l.target, i), l.bend) * weight_at(&l, i);
    sum = team_sum(t, sum);
    if (t.lane == 0)
        to[blockIdx.x] = sum;
}

static __global__ void loss_mean_kernel(float *loss, const float *from, int64_t parts, int64_t n)
{
    double sum = 0;

    for (int64_t i = threadIdx.x; i < parts; i += THREADS)
        sum += (double)from[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *loss = (float)(sum / (double)n);
}

static int64_t loss_part(int64_t n)
{
    int64_t part = (n + 2047) / 2048;

    return part < 4096 ? 4096 : part;
}

int64_t t3di_cuda_loss_work(int64_t n)
{
    return (n + loss_part(n) - 1) / loss_part(n) * (int64_t)sizeof(float);
}

void t3di_cuda_loss(float *loss, const struct t3di_cuda_loss *l, float *work, void *stream)
{
    int64_t part = loss_part(l->n), parts = (l->n + part - 1) / part;

    T3DI_LAUNCH(loss_kernel, (unsigned)parts, THREADS, stream, work, *l, part);
    T3DI_LAUNCH(loss_mean_kernel, 1, THREADS, stream, loss, work, parts, l->n);
}

static __global__ void loss_grad_kernel(struct t3di_dev gy, struct t3di_dev gtarget,
                                        const float *grad, struct t3di_cuda_loss l)
{
    float scale = *grad / (float)l.n;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < l.n;
         i += (int64_t)gridDim.x * THREADS) {
        float d = load(l.y, i) - load(l.target, i);

        d = scale * loss_slope(l.kind, d, l.bend) * weight_at(&l, i);
        if (gy.p)
            store(gy, i, load(gy, i) + d);
        if (gtarget.p)
            store(gtarget, i, load(gtarget, i) - d);
    }
}

void t3di_cuda_loss_grad(struct t3di_dev gy, struct t3di_dev gtarget, const float *grad,
                         const struct t3di_cuda_loss *l, void *stream)
{
    T3DI_LAUNCH(loss_grad_kernel, blocks_for(l->n), THREADS, stream, gy, gtarget, grad, *l);
}

/* --- sinusoid: few numbers, so double does no harm
 * ------------------------------------------------- */

__device__ static inline double frequency(int i, int half, double scale, double max_period)
{
    return scale * exp(-log(max_period) * i / half);
}

static __global__ void sinusoid_kernel(struct t3di_dev y, struct t3di_dev t, int64_t n, int half,
                                       double scale, double max_period)
{
    for (int64_t k = (int64_t)blockIdx.x * THREADS + threadIdx.x; k < n * half;
         k += (int64_t)gridDim.x * THREADS) {
        int i = (int)(k % half);
        double angle = (double)load(t, k / half) * frequency(i, half, scale, max_period);

        store(y, k / half * 2 * half + i, (float)cos(angle));
        store(y, k / half * 2 * half + half + i, (float)sin(angle));
    }
}

void t3di_cuda_sinusoid(struct t3di_dev y, struct t3di_dev t, int64_t n, int half, double scale,
                        double max_period, void *stream)
{
    T3DI_LAUNCH(sinusoid_kernel, blocks_for(n * half), THREADS, stream, y, t, n, half, scale,
                max_period);
}

static __global__ void sinusoid_grad_kernel(struct t3di_dev g, struct t3di_dev gy,
                                            struct t3di_dev y, int64_t n, int half, double scale,
                                            double max_period)
{
    struct team m = team_here(WARP);
    int64_t base = m.row * 2 * half;
    float sum = 0;

    for (int i = m.lane; m.row < n && i < half; i += WARP)
        sum += (float)frequency(i, half, scale, max_period) *
               (load(gy, base + half + i) * load(y, base + i) -
                load(gy, base + i) * load(y, base + half + i));
    sum = warp_sum(sum);
    if (m.row < n && m.lane == 0)
        store(g, m.row, load(g, m.row) + sum);
}

void t3di_cuda_sinusoid_grad(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev y, int64_t n,
                             int half, double scale, double max_period, void *stream)
{
    T3DI_LAUNCH(sinusoid_grad_kernel, team_blocks(n, WARP), THREADS, stream, g, gy, y, n, half,
                scale, max_period);
}
