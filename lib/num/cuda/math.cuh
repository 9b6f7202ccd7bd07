/* SPDX-License-Identifier: Apache-2.0 */
/* num/cuda/math.cuh -- functions of one and two variables with their derivatives, as templates over
 * the kinds of num/cpu/kernel.h. Formulas and sources stand in num/cpu/kernel_body.h. */
#ifndef T3D_NUM_CUDA_MATH_CUH
#define T3D_NUM_CUDA_MATH_CUH

#include "num/cuda/device.cuh"

extern "C" {
#include "num/cpu/kernel.h"
}

__device__ static inline float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* log(1 + exp x) = max(x, 0) + log(1 + exp -|x|) */
__device__ static inline float softplus(float x)
{
    return fmaxf(x, 0.f) + log1pf(expf(-fabsf(x)));
}

__device__ static inline float gelu_inner(float x)
{
    return x * 0.79788456080286536f * (1 + x * x * 0.044715f);
}

template <int KIND> __device__ static inline float value_of(float x, float p, float q)
{
    switch (KIND) {
    case T3DI_LINEAR:
        return fmaf(x, p, q);
    case T3DI_GELU_ERF:
        return x * 0.5f * (1 + erff(x * 0.70710678118654752f));
    case T3DI_GELU_TANH:
        return x * 0.5f * (1 + tanhf(gelu_inner(x)));
    case T3DI_QUICK_GELU:
        return x * sigmoid(x * 1.702f);
    case T3DI_SILU:
        return x * sigmoid(x);
    case T3DI_RELU:
        return x > 0 ? x : 0 * x; /* NaN stays */
    case T3DI_SIGMOID:
        return sigmoid(x);
    case T3DI_TANH:
        return tanhf(x);
    case T3DI_EXP:
        return expf(x);
    case T3DI_LOG:
        return logf(x);
    case T3DI_SOFTPLUS:
        return softplus(x);
    case T3DI_CLAMP:
        return x < p ? p : x > q ? q : x;
    default:
        return x;
    }
}

template <int KIND> __device__ static inline float slope_of(float x, float p, float q)
{
    float s;

    switch (KIND) {
    case T3DI_LINEAR:
        return p;
    case T3DI_GELU_ERF:
        return 0.5f * (1 + erff(x * 0.70710678118654752f)) +
               x * expf(-0.5f * x * x) * 0.39894228040143268f;
    case T3DI_GELU_TANH:
        s = tanhf(gelu_inner(x));
        return 0.5f * (1 + s) +
               x * 0.5f * (1 - s * s) * 0.79788456080286536f * (1 + x * x * (3 * 0.044715f));
    case T3DI_QUICK_GELU:
        s = sigmoid(x * 1.702f);
        return s * (1 + x * 1.702f * (1 - s));
    case T3DI_SILU:
        s = sigmoid(x);
        return s * (1 + x * (1 - s));
    case T3DI_RELU:
        return x > 0 ? 1.f : 0.f;
    case T3DI_SIGMOID:
        s = sigmoid(x);
        return s * (1 - s);
    case T3DI_TANH:
        s = tanhf(x);
        return 1 - s * s;
    case T3DI_EXP:
        return expf(x);
    case T3DI_LOG:
        return 1 / x;
    case T3DI_SOFTPLUS:
        return sigmoid(x);
    case T3DI_CLAMP:
        return x > p && x < q ? 1.f : 0.f;
    default:
        return 1;
    }
}

/* The kind of a binary op is a value here: its kernels are bound by memory. */
__device__ static inline float binary_value(int kind, float a, float b)
{
    return kind == T3DI_ADD ? a + b : kind == T3DI_SUB ? a - b : kind == T3DI_MUL ? a * b : a / b;
}

/* gy times the derivative by operand `which`. */
__device__ static inline float binary_slope(int kind, int which, float gy, float a, float b)
{
    if (kind == T3DI_ADD)
        return gy;
    if (kind == T3DI_SUB)
        return which ? -gy : gy;
    if (kind == T3DI_MUL)
        return gy * (which ? a : b);
    return which ? -gy * a / (b * b) : gy / b;
}

#endif
