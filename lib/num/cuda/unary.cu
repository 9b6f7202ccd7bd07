/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one variable, and the epilogue of a product where cuBLASLt has none. */
#include "num/cuda/math.cuh"

/* Each thread takes 4 numbers at two places, so that two loads are under way; the tail of n % 4
 * numbers goes to the first threads. */
template <int KIND>
static __global__ void unary_kernel(struct t3di_dev y, struct t3di_dev x, int64_t n, float p,
                                    float q)
{
    int64_t at = ((int64_t)blockIdx.x * 2 * THREADS + threadIdx.x) * 4;
    int64_t step = (int64_t)gridDim.x * 2 * THREADS * 4, tail = n / 4 * 4;

    for (; at < tail; at += step) {
        int64_t next = at + THREADS * 4;
        vec<4> a = load_vec<4>(x, at), b = {};

        if (next < tail)
            b = load_vec<4>(x, next);
        for (int k = 0; k < 4; k++)
            a.v[k] = value_of<KIND>(a.v[k], p, q);
        store_vec<4>(y, at, a);
        if (next >= tail)
            continue;
        for (int k = 0; k < 4; k++)
            b.v[k] = value_of<KIND>(b.v[k], p, q);
        store_vec<4>(y, next, b);
    }
    if (blockIdx.x == 0 && threadIdx.x < n - tail)
        store(y, tail + threadIdx.x, value_of<KIND>(load(x, tail + threadIdx.x), p, q));
}

template <int KIND>
static __global__ void unary_grad_kernel(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev x,
                                         int64_t n, float p, float q, int set)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * 4, tail = n / 4 * 4;
    int64_t step = (int64_t)gridDim.x * THREADS * 4;

    for (; at < tail; at += step) {
        vec<4> d = load_vec<4>(gy, at), v = {};

        if (KIND != T3DI_LINEAR) /* whose slope is p; x may be absent */
            v = load_vec<4>(x, at);
        for (int k = 0; k < 4; k++)
            d.v[k] *= slope_of<KIND>(v.v[k], p, q);
        add_vec<4>(g, at, d, set);
    }
    if (blockIdx.x == 0 && threadIdx.x < n - tail) {
        int64_t i = tail + threadIdx.x;
        float d = load(gy, i) * slope_of<KIND>(KIND == T3DI_LINEAR ? 0 : load(x, i), p, q);

        store(g, i, set ? d : load(g, i) + d);
    }
}

template <int KIND>
static void unary_launch(struct t3di_dev y, struct t3di_dev x, int64_t n, float p, float q,
                         void *stream)
{
    T3DI_LAUNCH(unary_kernel<KIND>, blocks_for((n + 7) / 8), THREADS, stream, y, x, n, p, q);
}

template <int KIND>
static void grad_launch(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev x, int64_t n,
                        float p, float q, int set, void *stream)
{
    T3DI_LAUNCH(unary_grad_kernel<KIND>, blocks_for((n + 3) / 4), THREADS, stream, g, gy, x, n, p,
                q, set);
}

typedef void unary_fn(struct t3di_dev y, struct t3di_dev x, int64_t n, float p, float q,
                      void *stream);
typedef void grad_fn(struct t3di_dev g, struct t3di_dev gy, struct t3di_dev x, int64_t n, float p,
                     float q, int set, void *stream);

#define EACH_KIND(fn)                                                                              \
    {                                                                                              \
        fn<T3DI_LINEAR>, fn<T3DI_GELU_ERF>, fn<T3DI_GELU_TANH>, fn<T3DI_QUICK_GELU>,               \
            fn<T3DI_SILU>, fn<T3DI_RELU>, fn<T3DI_SIGMOID>, fn<T3DI_TANH>, fn<T3DI_EXP>,           \
            fn<T3DI_LOG>, fn<T3DI_SOFTPLUS>, fn<T3DI_CLAMP>                                        \
    }

void t3di_cuda_unary(int kind, struct t3di_dev y, struct t3di_dev x, int64_t n, float p, float q,
                     void *stream)
{
    static unary_fn *const launch[T3DI_N_UNARY] = EACH_KIND(unary_launch);

    launch[kind](y, x, n, p, q, stream);
}

/* 0 x + 0 would keep a NaN. */
static __global__ void zero_kernel(struct t3di_dev y, int64_t n)
{
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS)
        store(y, i, 0);
}

void t3di_cuda_zero(struct t3di_dev y, int64_t n, void *stream)
{
    T3DI_LAUNCH(zero_kernel, blocks_for(n), THREADS, stream, y, n);
}

void t3di_cuda_copy(struct t3di_dev y, struct t3di_dev x, int64_t n, void *stream)
{
    unary_launch<T3DI_LINEAR>(y, x, n, 1, 0, stream);
}

void t3di_cuda_unary_grad(int kind, struct t3di_dev g, struct t3di_dev gy, struct t3di_dev x,
                          int64_t n, float p, float q, int set, void *stream)
{
    static grad_fn *const launch[T3DI_N_UNARY] = EACH_KIND(grad_launch);

    launch[kind](g, gy, x, n, p, q, set, stream);
}

/* Whoever finds one writes the same 1. */
static __global__ void find_bad_kernel(struct t3di_dev x, int64_t n, int *bad)
{
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        float v = load(x, i);

        if (!(v * 0 == 0))
            *bad = 1;
    }
}

void t3di_cuda_find_bad(struct t3di_dev x, int64_t n, int *bad, void *stream)
{
    T3DI_LAUNCH(find_bad_kernel, blocks_for(n), THREADS, stream, x, n, bad);
}

/* --- the epilogue ------------------------------------------------------------------------------
 */

struct epilogue {
    struct t3di_dev y, pre, x, bias, residual;
    int64_t n; /* columns */
};

/* One pass over the product: each thread W numbers of one row. */
template <int KIND, int W> static __global__ void epilogue_kernel(epilogue e, int64_t total)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;
    int64_t step = (int64_t)gridDim.x * THREADS * W;

    for (; at < total; at += step) {
        vec<W> x = load_vec<W>(e.x, at), other;

        if (e.bias.p) {
            other = load_vec<W>(e.bias, at < INT32_MAX ? (uint32_t)at % (uint32_t)e.n : at % e.n);
            for (int k = 0; k < W; k++)
                x.v[k] += other.v[k];
        }
        if (e.pre.p)
            store_vec<W>(e.pre, at, x);
        for (int k = 0; k < W; k++)
            x.v[k] = value_of<KIND>(x.v[k], 0, 0);
        if (e.residual.p) {
            other = load_vec<W>(e.residual, at);
            for (int k = 0; k < W; k++)
                x.v[k] += other.v[k];
        }
        store_vec<W>(e.y, at, x);
    }
}

template <int KIND> static void epilogue_launch(epilogue e, int64_t total, void *stream)
{
    if (vec_ok(e.n))
        T3DI_LAUNCH((epilogue_kernel<KIND, 4>), blocks_for(total / 4), THREADS, stream, e, total);
    else
        T3DI_LAUNCH((epilogue_kernel<KIND, 1>), blocks_for(total), THREADS, stream, e, total);
}

void t3di_cuda_epilogue(int kind, struct t3di_dev y, struct t3di_dev pre, struct t3di_dev x,
                        struct t3di_dev bias, struct t3di_dev residual, int64_t m, int64_t n,
                        void *stream)
{
    epilogue e = {y, pre, x, bias, residual, n};

    switch (kind) {
    case T3DI_GELU_ERF:
        epilogue_launch<T3DI_GELU_ERF>(e, m * n, stream);
        break;
    case T3DI_GELU_TANH:
        epilogue_launch<T3DI_GELU_TANH>(e, m * n, stream);
        break;
    case T3DI_QUICK_GELU:
        epilogue_launch<T3DI_QUICK_GELU>(e, m * n, stream);
        break;
    case T3DI_SILU:
        epilogue_launch<T3DI_SILU>(e, m * n, stream);
        break;
    case T3DI_RELU:
        epilogue_launch<T3DI_RELU>(e, m * n, stream);
        break;
    default:
        epilogue_launch<T3DI_N_UNARY>(e, m * n, stream);
    }
}
