/* SPDX-License-Identifier: Apache-2.0 */
/* A CUDA device for tests on machines without one: a kernel compiled as plain C++ runs block after
 * block, each thread of a block as a fiber of its own, so that barriers and shuffles of a warp mean
 * what they mean on the device. Wrong use (a barrier that not all reach, a shuffle without the
 * whole warp, the host reading device memory) stops the program. It says nothing about speed. */
#ifndef T3D_TESTS_CUDA_EMULATE_H
#define T3D_TESTS_CUDA_EMULATE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <vector_types.h>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#define __global__
#define __device__
#define __host__
#define __shared__ static /* one block runs at a time */

struct emulated_thread {
    uint3 thread, block;
    dim3 grid;
};
extern struct emulated_thread *emulated; /* whose code runs now */

#define threadIdx (emulated->thread)
#define blockIdx  (emulated->block)
#define gridDim   (emulated->grid)

void emulate_barrier(void);
uint32_t emulate_shuffle_xor(uint32_t value, int mask);
uint32_t emulate_ballot(int yes);
void emulate_stop(const char *what);
void emulate_launch(dim3 grid, unsigned threads, void (*body)(const void *), const void *arg);

#define __syncthreads emulate_barrier

template <class T> static inline T *emulate_aligned(T *p, unsigned bytes)
{
    if ((uintptr_t)p % bytes)
        emulate_stop("a vector at an address that is none of its size");
    return p;
}
#define T3DI_ALIGNED emulate_aligned

static inline float __shfl_xor_sync(unsigned mask, float x, int lane)
{
    uint32_t bits;

    (void)mask;
    memcpy(&bits, &x, sizeof bits);
    bits = emulate_shuffle_xor(bits, lane);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline unsigned __ballot_sync(unsigned mask, int yes)
{
    (void)mask;
    return emulate_ballot(yes);
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline float __uint_as_float(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint32_t __float_as_uint(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

static inline unsigned long long atomicMin(unsigned long long *p, unsigned long long x)
{
    unsigned long long old = *p;

    *p = x < old ? x : old;
    return old;
}

template <class F> static inline void emulate_call(dim3 grid, unsigned threads, const F &f)
{
    emulate_launch(
        grid, threads, [](const void *p) { (*(const F *)p)(); }, &f);
}

#define T3DI_LAUNCH(kernel, grid, block, stream, ...)                                              \
    (emulate_call(dim3(grid), block, [&] { kernel(__VA_ARGS__); }), (void)(stream))

#endif
