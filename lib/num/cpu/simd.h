/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/simd.h -- one vector of t3d_real of the width this file is compiled for, by the
 * compilers' vector extension, and the transcendental functions on it.
 *
 * In float they are good to 2 ulp (erf: 1.5e-7 absolute); in double they are libm's. */
#ifndef T3D_NUM_CPU_SIMD_H
#define T3D_NUM_CPU_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "num/op.h"

#if defined(__AVX512F__)
#define T3DI_VEC_BYTES 64
#elif defined(__AVX2__)
#define T3DI_VEC_BYTES 32
#else
#define T3DI_VEC_BYTES 16
#endif
enum { LANES = T3DI_VEC_BYTES / (int)sizeof(t3d_real) };

typedef t3d_real vec __attribute__((vector_size(T3DI_VEC_BYTES)));
#ifdef T3D_REAL_DOUBLE
typedef int64_t ivec __attribute__((vector_size(T3DI_VEC_BYTES)));
#else
typedef int32_t ivec __attribute__((vector_size(T3DI_VEC_BYTES)));
#endif

static inline vec v_load(const t3d_real *p)
{
    vec v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v_store(t3d_real *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n < LANES elements, the others 0. */
static inline vec v_load_part(const t3d_real *p, int64_t n)
{
    t3d_real t[LANES] = {0};

    memcpy(t, p, (size_t)n * sizeof *p);
    return v_load(t);
}

static inline void v_store_part(t3d_real *p, vec v, int64_t n)
{
    t3d_real t[LANES];

    v_store(t, v);
    memcpy(p, t, (size_t)n * sizeof *p);
}

static inline vec v_set(t3d_real x)
{
    return x - (vec){0}; /* unlike 0 + x this keeps -0, so that it costs nothing */
}

static inline vec v_select(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

/* NaN in x stays. */
static inline vec v_max(vec x, vec low)
{
    return v_select(x < low, low, x);
}

static inline vec v_min(vec x, vec high)
{
    return v_select(x > high, high, x);
}

/* a b + c, rounded once where the processor can. */
static inline vec v_fma(vec a, vec b, vec c)
{
#if defined(T3D_REAL_DOUBLE)
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    return a * b + c;
#endif
#else
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
#endif
}

static inline vec v_sqrt(vec x)
{
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    t3d_real t[LANES];

    v_store(t, x);
    for (int i = 0; i < LANES; i++)
        t[i] = (t3d_real)sqrt(t[i]);
    return v_load(t);
#endif
}

/* In a fixed order. */
static inline t3d_real v_sum(vec v)
{
    t3d_real t[LANES];

    v_store(t, v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            t[i] += t[i + half];
    return t[0];
}

#ifdef T3D_REAL_DOUBLE

#define T3DI_LANEWISE(name, call)                                                                  \
    static inline vec name(vec x)                                                                  \
    {                                                                                              \
        t3d_real t[LANES];                                                                         \
                                                                                                   \
        v_store(t, x);                                                                             \
        for (int i = 0; i < LANES; i++)                                                            \
            t[i] = call(t[i]);                                                                     \
        return v_load(t);                                                                          \
    }
T3DI_LANEWISE(v_exp, exp)
T3DI_LANEWISE(v_log, log)
T3DI_LANEWISE(v_tanh, tanh)
T3DI_LANEWISE(v_erf, erf)
#undef T3DI_LANEWISE

#else

/* exp x = 2^n exp r, |r| <= ln 2 / 2, by Taylor's series up to r^7 (rest 5e-9); ln 2 in two parts
 * (Cody and Waite, "Software Manual for the Elementary Functions", 1980, chapter 6). */
static inline vec v_exp(vec x)
{
    const float magic = 12582912; /* 1.5 * 2^23: rounds to an integer */
    vec y = v_min(v_max(x, v_set(-87.3f)), v_set(88.7f));
    vec t = v_fma(y, v_set(1.44269504f), v_set(magic)), n = t - magic;
    vec r = v_fma(n, v_set(-0.693359375f), y), p;

    r = v_fma(n, v_set(2.12194440e-4f), r);
    p = v_fma(r, v_set(1.f / 5040), v_set(1.f / 720));
    p = v_fma(p, r, v_set(1.f / 120));
    p = v_fma(p, r, v_set(1.f / 24));
    p = v_fma(p, r, v_set(1.f / 6));
    p = v_fma(p, r, v_set(.5f));
    p = v_fma(p, r, v_set(1));
    p = v_fma(p, r, v_set(1));
    /* 2^n in two factors, since n may be 128 */
    {
        ivec k = (ivec)t - (ivec)v_set(magic), half = k >> 1;

        p = p * (vec)((half + 127) << 23) * (vec)((k - half + 127) << 23);
    }
    p = v_select(x < -87.3f, v_set(0), p);
    return v_select(x > 88.7f, v_set(INFINITY), p);
}

/* log x = e ln 2 + 2 atanh s, s = (m - 1) / (m + 1), m in [sqrt 1/2, sqrt 2): series up to s^9.
 * Zero gives -inf, a negative number NaN; denormal numbers count as zero. */
static inline vec v_log(vec x)
{
    ivec bits = (ivec)x, e = ((bits - 0x3f3504f3) >> 23);
    vec m = (vec)(bits - (e << 23)), s = (m - 1) / (m + 1), z = s * s, p;
    vec n = __builtin_convertvector(e, vec);

    p = v_fma(z, v_set(2.f / 9), v_set(2.f / 7));
    p = v_fma(p, z, v_set(2.f / 5));
    p = v_fma(p, z, v_set(2.f / 3));
    p = v_fma(p * z, s, 2 * s);
    p = v_fma(n, v_set(-2.12194440e-4f), p);
    p = v_fma(n, v_set(0.693359375f), p);
    p = v_select(x < 1.17549435e-38f, v_set(-INFINITY), p);
    p = v_select(x < 0, v_set(NAN), p);
    p = v_select(x == INFINITY, x, p);
    return v_select(x != x, x, p);
}

/* (e - 1) / (e + 1), e = exp 2x; near 0, where that cancels, the odd series up to x^9. */
static inline vec v_tanh(vec x)
{
    vec y = v_min(v_max(x, v_set(-10)), v_set(10)), e = v_exp(2 * y), z = x * x, p;

    p = v_fma(z, v_set(62.f / 2835), v_set(-17.f / 315));
    p = v_fma(p, z, v_set(2.f / 15));
    p = v_fma(p, z, v_set(-1.f / 3));
    p = v_fma(p * z, x, x);
    return v_select(z < 0.04f, p, (e - 1) / (e + 1));
}

/* Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26: error below 1.5e-7. */
static inline vec v_erf(vec x)
{
    vec a = v_max(x, -x), t = 1 / v_fma(a, v_set(0.3275911f), v_set(1)), p;

    p = v_fma(t, v_set(1.061405429f), v_set(-1.453152027f));
    p = v_fma(p, t, v_set(1.421413741f));
    p = v_fma(p, t, v_set(-0.284496736f));
    p = v_fma(p, t, v_set(0.254829592f));
    p = 1 - p * t * v_exp(-a * a);
    return v_select(x < 0, -p, p);
}

#endif
#endif
