/* SPDX-License-Identifier: Apache-2.0 */
/* AdamW, norms and running means over blocks of parameters, whose sizes are multiples of 16. */
#include "num/cuda/device.cuh"

extern "C" {
#include "num/place_impl.h"
}

/* A block of threads a chunk. The formula and its order are those of num/cpu/kernel_body.h. */
static __global__ void adamw_kernel(struct t3di_update u)
{
    struct t3di_chunk c = u.chunk[blockIdx.x];
    struct t3di_dev tw = {u.w, 0}, tm = {u.first, 0}, tv = {u.second, 0}, th = {u.half, 1};
    struct t3di_dev tg = {(void *)u.grad, 0};
    float keep = c.decays ? u.keep : 1;

    for (int64_t i = c.at + threadIdx.x * 4; i < c.at + c.n; i += THREADS * 4) {
        vec<4> w = load_vec<4>(tw, i), m = load_vec<4>(tm, i), v = load_vec<4>(tv, i);
        vec<4> g = load_vec<4>(tg, i);

        for (int k = 0; k < 4; k++) {
            m.v[k] = fmaf(u.beta1, g.v[k] - m.v[k], m.v[k]);
            v.v[k] = fmaf(u.beta2, g.v[k] * g.v[k] - v.v[k], v.v[k]);
            w.v[k] = w.v[k] * keep - m.v[k] * u.rate / fmaf(sqrtf(v.v[k]), u.root, u.eps);
        }
        store_vec<4>(tw, i, w);
        store_vec<4>(tm, i, m);
        store_vec<4>(tv, i, v);
        if (u.half)
            store_vec<4>(th, i, w);
    }
}

void t3di_cuda_adamw(const struct t3di_update *u, void *stream)
{
    if (u->n_chunks)
        T3DI_LAUNCH(adamw_kernel, (unsigned)u->n_chunks, THREADS, stream, *u);
}

/* --- norms -------------------------------------------------------------------------------------
 */

static __global__ void squares_kernel(float *to, const float *x, int64_t n, int64_t part)
{
    struct team t = team_here(THREADS);
    struct t3di_dev tx = {(void *)x, 0};
    int64_t first = (int64_t)blockIdx.x * part, end = first + part < n ? first + part : n;
    float sum = 0;

    for (int64_t i = first + t.lane * 4; i < end; i += THREADS * 4) {
        vec<4> v = load_vec<4>(tx, i);

        for (int k = 0; k < 4; k++)
            sum = fmaf(v.v[k], v.v[k], sum);
    }
    sum = team_sum(t, sum);
    if (t.lane == 0)
        to[blockIdx.x] = sum;
}

static __global__ void total_kernel(double *to, const float *from, int64_t parts)
{
    double sum = 0;

    for (int64_t i = threadIdx.x; i < parts; i += THREADS)
        sum += (double)from[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *to = sum;
}

void t3di_cuda_squares(double *sum, const float *x, int64_t n, float *work, void *stream)
{
    int64_t part = (n + T3DI_CUDA_PARTS - 1) / T3DI_CUDA_PARTS, parts;

    part = part < 4096 ? 4096 : (part + 3) / 4 * 4;
    parts = (n + part - 1) / part;
    if (parts)
        T3DI_LAUNCH(squares_kernel, (unsigned)parts, THREADS, stream, work, x, n, part);
    T3DI_LAUNCH(total_kernel, 1, THREADS, stream, sum, work, parts);
}

/* --- means ---------------------------------------------------------------------------------------
 */

static __global__ void blend_kernel(float *y, float keep, const float *x, float take, int64_t n)
{
    struct t3di_dev ty = {y, 0}, tx = {(void *)x, 0};
    int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * 4;

    for (; i < n; i += (int64_t)gridDim.x * THREADS * 4) {
        vec<4> a = load_vec<4>(ty, i), b = {};

        if (x)
            b = load_vec<4>(tx, i);
        for (int k = 0; k < 4; k++)
            a.v[k] = fmaf(take, b.v[k], a.v[k] * keep);
        store_vec<4>(ty, i, a);
    }
}

void t3di_cuda_blend(float *y, float keep, const float *x, float take, int64_t n, void *stream)
{
    T3DI_LAUNCH(blend_kernel, blocks_for((n + 3) / 4), THREADS, stream, y, keep, x, take, n);
}
