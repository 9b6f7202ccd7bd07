/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/device.cuh -- what the kernels share: storage, vectors, sums of a warp and of a row's
 * team, launches. Also compiles as plain C++, where tests/cuda/emulate.h stands for the device. */
#ifndef T3D_NUM_CUDA_DEVICE_CUH
#define T3D_NUM_CUDA_DEVICE_CUH

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define T3DI_ALIGNED(p, bytes) (p) /* the emulation looks whether it is */
#define T3DI_LAUNCH(kernel, grid, block, stream, ...)                                              \
    kernel<<<(grid), (block), 0, (cudaStream_t)(stream)>>>(__VA_ARGS__)
#else
#include "tests/cuda/emulate.h"
#endif

#include "num/cuda/kernel.h"

enum { WARP = 32, THREADS = 256 };

/* --- storage -----------------------------------------------------------------------------------
 */

__device__ static inline float from_bf16(uint32_t half)
{
    return __uint_as_float(half << 16);
}

/* Two numbers rounded to nearest even; `low` goes to the lower half. */
__device__ static inline uint32_t to_bf16(float low, float high)
{
#ifdef __CUDA_ARCH__
    uint32_t r;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
#else
    uint32_t half[2];
    float v[2] = {low, high};

    for (int i = 0; i < 2; i++) {
        uint32_t b = __float_as_uint(v[i]);

        half[i] = v[i] != v[i] ? b >> 16 | 0x40 : (b + 0x7fff + (b >> 16 & 1)) >> 16;
    }
    return half[0] | half[1] << 16;
#endif
}

__device__ static inline float load(struct t3di_dev t, int64_t i)
{
    return t.bf16 ? from_bf16(((const uint16_t *)t.p)[i]) : ((const float *)t.p)[i];
}

__device__ static inline void store(struct t3di_dev t, int64_t i, float x)
{
    if (t.bf16)
        ((uint16_t *)t.p)[i] = (uint16_t)to_bf16(x, 0);
    else
        ((float *)t.p)[i] = x;
}

/* W numbers that one thread handles at once: 4 are one access of 16 (float) or 8 bytes (bf16). */
template <int W> struct vec {
    float v[W];
};

/* i is a multiple of W, the pointer aligned to W numbers. */
template <int W> __device__ static inline vec<W> load_vec(struct t3di_dev t, int64_t i)
{
    vec<W> r;

    if (W == 4 && t.bf16) {
        uint2 u = *(const uint2 *)T3DI_ALIGNED((const uint16_t *)t.p + i, 8);

        r.v[0] = from_bf16(u.x & 0xffff);
        r.v[W / 4] = __uint_as_float(u.x & 0xffff0000u);
        r.v[W / 2] = from_bf16(u.y & 0xffff);
        r.v[W - 1] = __uint_as_float(u.y & 0xffff0000u);
    } else if (W == 4) {
        float4 u = *(const float4 *)T3DI_ALIGNED((const float *)t.p + i, 16);

        r.v[0] = u.x;
        r.v[W / 4] = u.y;
        r.v[W / 2] = u.z;
        r.v[W - 1] = u.w;
    } else {
        for (int k = 0; k < W; k++)
            r.v[k] = load(t, i + k);
    }
    return r;
}

template <int W> __device__ static inline void store_vec(struct t3di_dev t, int64_t i, vec<W> x)
{
    if (W == 4 && t.bf16) {
        uint2 u;

        u.x = to_bf16(x.v[0], x.v[W / 4]);
        u.y = to_bf16(x.v[W / 2], x.v[W - 1]);
        *(uint2 *)T3DI_ALIGNED((uint16_t *)t.p + i, 8) = u;
    } else if (W == 4) {
        float4 u;

        u.x = x.v[0];
        u.y = x.v[W / 4];
        u.z = x.v[W / 2];
        u.w = x.v[W - 1];
        *(float4 *)T3DI_ALIGNED((float *)t.p + i, 16) = u;
    } else {
        for (int k = 0; k < W; k++)
            store(t, i + k, x.v[k]);
    }
}

template <int W>
__device__ static inline void add_vec(struct t3di_dev t, int64_t i, vec<W> x, int set)
{
    if (!set) {
        vec<W> old = load_vec<W>(t, i);

        for (int k = 0; k < W; k++)
            x.v[k] += old.v[k];
    }
    store_vec<W>(t, i, x);
}

/* --- sums of a team: one warp, or the whole block of THREADS, a row ----------------------------
 */

struct team {
    int size, lane; /* threads of a row; the index of this one */
    int64_t row;
};

/* Blocks of THREADS are one team or eight. */
__device__ static inline team team_here(int size)
{
    team t;

    t.size = size;
    t.lane = (int)threadIdx.x % size;
    t.row = (int64_t)blockIdx.x * (THREADS / size) + (int)threadIdx.x / size;
    return t;
}

__device__ static inline float warp_sum(float x)
{
    for (int s = WARP / 2; s; s >>= 1)
        x += __shfl_xor_sync(0xffffffffu, x, s);
    return x;
}

__device__ static inline float warp_max(float x)
{
    for (int s = WARP / 2; s; s >>= 1)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, s));
    return x;
}

/* All threads of the block call these, also those whose row does not exist. */
__device__ static inline float team_sum(team t, float x)
{
    __shared__ float part[THREADS / WARP];

    x = warp_sum(x);
    if (t.size == WARP)
        return x;
    __syncthreads(); /* part may still be read from the call before */
    if (threadIdx.x % WARP == 0)
        part[threadIdx.x / WARP] = x;
    __syncthreads();
    x = part[0];
    for (int i = 1; i < THREADS / WARP; i++)
        x += part[i];
    return x;
}

__device__ static inline float team_max(team t, float x)
{
    __shared__ float part[THREADS / WARP];

    x = warp_max(x);
    if (t.size == WARP)
        return x;
    __syncthreads();
    if (threadIdx.x % WARP == 0)
        part[threadIdx.x / WARP] = x;
    __syncthreads();
    x = part[0];
    for (int i = 1; i < THREADS / WARP; i++)
        x = fmaxf(x, part[i]);
    return x;
}

/* What lanes say, as bits. */
__device__ static inline unsigned warp_ballot(int yes)
{
    return __ballot_sync(0xffffffffu, yes);
}

/* The sum of one double a thread over the block, in thread 0. */
__device__ static inline double block_sum(double x)
{
    __shared__ double part[THREADS];

    __syncthreads();
    part[threadIdx.x] = x;
    for (int s = THREADS / 2; s; s >>= 1) {
        __syncthreads();
        if ((int)threadIdx.x < s)
            part[threadIdx.x] += part[threadIdx.x + s];
    }
    __syncthreads();
    return part[0];
}

/* Of all bad places the lowest is kept: an order of integers, so the same each time. */
__device__ static inline void complain(unsigned long long *check, int64_t place, int32_t value)
{
    if (check)
        atomicMin(check, (unsigned long long)place << 32 | (uint32_t)value);
}

/* --- launches ------------------------------------------------------------------------------------
 */

/* Enough blocks to fill any card several times; loops stride over the rest. */
static inline unsigned blocks_for(int64_t threads)
{
    int64_t n = (threads + THREADS - 1) / THREADS;

    return (unsigned)(n < 1 ? 1 : n > 8192 ? 8192 : n);
}

static inline int team_for(int64_t n)
{
    return n <= 1024 ? WARP : THREADS;
}

static inline unsigned team_blocks(int64_t rows, int size)
{
    return (unsigned)((rows + THREADS / size - 1) / (THREADS / size));
}

static inline int vec_ok(int64_t n)
{
    return n % 4 == 0;
}

/* Where the start of a tensor is not that of a value. */
static inline int aligned(struct t3di_dev t)
{
    return ((uintptr_t)t.p & (t.bf16 ? 7 : 15)) == 0;
}

#endif
