/* SPDX-License-Identifier: Apache-2.0 */
/* num/cpu/simd.h -- one vector of t3d_real of the width this file is compiled for, by the
 * compilers' vector extension, and the transcendental functions on it.
 *
 * In float they are good to 2 ulp (erfc: 1.5e-7 absolute); in double they are libm's. */
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

#if defined(__AVX2__) && !defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
static inline __m256i v_mask(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/* The first n <= LANES elements, the others 0. */
static inline vec v_load_part(const t3d_real *p, int64_t n)
{
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm256_maskload_ps(p, v_mask(n));
#else
    t3d_real t[LANES] = {0};

    memcpy(t, p, (size_t)n * sizeof *p);
    return v_load(t);
#endif
}

static inline void v_store_part(t3d_real *p, vec v, int64_t n)
{
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__) && !defined(T3D_REAL_DOUBLE)
    _mm256_maskstore_ps(p, v_mask(n), (__m256)v);
#else
    t3d_real t[LANES];

    v_store(t, v);
    memcpy(p, t, (size_t)n * sizeof *p);
#endif
}

static inline vec v_set(t3d_real x)
{
    return x - (vec){0}; /* unlike 0 + x this keeps -0, so that it costs nothing */
}

static inline vec v_select(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

/* NaN in x stays: the processor's instructions give the second operand then. */
static inline vec v_max(vec x, vec low)
{
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm512_max_ps((__m512)low, (__m512)x);
#elif defined(__AVX2__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm256_max_ps((__m256)low, (__m256)x);
#else
    return v_select(x < low, low, x);
#endif
}

static inline vec v_min(vec x, vec high)
{
#if defined(__AVX512F__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm512_min_ps((__m512)high, (__m512)x);
#elif defined(__AVX2__) && !defined(T3D_REAL_DOUBLE)
    return (vec)_mm256_min_ps((__m256)high, (__m256)x);
#else
    return v_select(x > high, high, x);
#endif
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
T3DI_LANEWISE(v_erfc, erfc)
#undef T3DI_LANEWISE

static inline vec v_log1p_of(vec e)
{
    return v_log(1 + e);
}

static inline vec v_erfc_of(vec a, vec e)
{
    (void)e;
    return v_erfc(a);
}

#else

/* Splits x into n ln 2 + r, |r| <= ln 2 / 2, with ln 2 in two parts (Cody and Waite, "Software
 * Manual for the Elementary Functions", 1980, chapter 6); r is returned. */
static inline vec v_split(vec x, vec *n)
{
#if defined(__AVX512F__)
    *n = (vec)_mm512_roundscale_ps((__m512)(x * 1.44269504f), 8); /* to nearest, no exceptions */
#else
    const float magic = 12582912; /* 1.5 * 2^23: rounds to an integer */

    *n = v_fma(x, v_set(1.44269504f), v_set(magic)) - magic;
#endif
    return v_fma(*n, v_set(2.12194440e-4f), v_fma(*n, v_set(-0.693359375f), x));
}

/* exp r - 1 - r over r^2, Taylor's series: the rest is 5e-9. */
static inline vec v_exp_tail(vec r)
{
    vec p = v_fma(r, v_set(1.f / 5040), v_set(1.f / 720));

    p = v_fma(p, r, v_set(1.f / 120));
    p = v_fma(p, r, v_set(1.f / 24));
    p = v_fma(p, r, v_set(1.f / 6));
    return v_fma(p, r, v_set(.5f));
}

/* exp x = 2^n exp r. */
static inline vec v_exp(vec x)
{
    vec n, r, p;

#if defined(__AVX512F__)
    r = v_split(v_min(v_max(x, v_set(-104)), v_set(89)), &n);
    p = v_fma(v_fma(v_exp_tail(r), r, v_set(1)), r, v_set(1));
    return (vec)_mm512_scalef_ps((__m512)p, (__m512)n); /* 0 below -104, infinity above 88.7 */
#else
    r = v_split(v_min(v_max(x, v_set(-87.3f)), v_set(88.7f)), &n);
    p = v_fma(v_fma(v_exp_tail(r), r, v_set(1)), r, v_set(1));
    /* 2^n in two factors, since n may be 128 */
    {
        ivec k = __builtin_convertvector(n, ivec), half = k >> 1;

        p = p * (vec)((half + 127) << 23) * (vec)((k - half + 127) << 23);
    }
    p = v_select(x < -87.3f, v_set(0), p);
    return v_select(x > 88.7f, v_set(INFINITY), p);
#endif
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

/* e / (e + 2), e = exp 2x - 1 = 2^n (exp r - 1) + (2^n - 1), which keeps its digits near 0. */
static inline vec v_tanh(vec x)
{
    vec y = v_min(v_max(x, v_set(-10)), v_set(10)), n, r = v_split(2 * y, &n), two, e;

#if defined(__AVX512F__)
    two = (vec)_mm512_scalef_ps((__m512)v_set(1), (__m512)n);
#else
    two = (vec)((__builtin_convertvector(n, ivec) + 127) << 23);
#endif
    e = v_fma(two, v_fma(v_exp_tail(r) * r, r, r), two - 1);
    return e / (e + 2);
}

/* log(1 + e) for e in [0, 1]: 2 atanh s, s = e / (2 + e) <= 1/3, the series up to s^15. */
static inline vec v_log1p_of(vec e)
{
    vec s = e / (2 + e), z = s * s, p = v_fma(z, v_set(2.f / 15), v_set(2.f / 13));

    p = v_fma(p, z, v_set(2.f / 11));
    p = v_fma(p, z, v_set(2.f / 9));
    p = v_fma(p, z, v_set(2.f / 7));
    p = v_fma(p, z, v_set(2.f / 5));
    p = v_fma(p, z, v_set(2.f / 3));
    return v_fma(p * z, s, 2 * s);
}

/* erfc a for a >= 0, given e = exp(-a^2) (Abramowitz and Stegun, "Handbook of Mathematical
 * Functions", 7.1.26: error below 1.5e-7). */
static inline vec v_erfc_of(vec a, vec e)
{
    vec t = 1 / v_fma(a, v_set(0.3275911f), v_set(1)), p;

    p = v_fma(t, v_set(1.061405429f), v_set(-1.453152027f));
    p = v_fma(p, t, v_set(1.421413741f));
    p = v_fma(p, t, v_set(-0.284496736f));
    p = v_fma(p, t, v_set(0.254829592f));
    return p * t * e;
}

#endif
#endif
