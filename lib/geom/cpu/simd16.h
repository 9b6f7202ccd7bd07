/* SPDX-License-Identifier: Apache-2.0 */
/* geom/cpu/simd16.h -- sixteen floats at a time, whatever the width of the registers. Only
 * operations with one exactly defined result, so that a class of instruction sets gives the same
 * bytes on every processor. Masks are the low 16 bits of an unsigned. */
#ifndef T3D_GEOM_CPU_SIMD16_H
#define T3D_GEOM_CPU_SIMD16_H

#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define V16 static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)

typedef __m512 v16;

V16 v16 v16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
V16 void v16_store(float *p, v16 a)
{
    _mm512_storeu_ps(p, a);
}
V16 v16 v16_set(float a)
{
    return _mm512_set1_ps(a);
}
V16 v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
V16 v16 v16_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
V16 v16 v16_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
V16 v16 v16_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
V16 v16 v16_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
V16 v16 v16_min(v16 a, v16 b)
{
    return _mm512_min_ps(a, b);
}
V16 v16 v16_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
V16 v16 v16_sqrt(v16 a)
{
    return _mm512_sqrt_ps(a);
}
V16 unsigned v16_lt(v16 a, v16 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
/* Sixteen numbers 0..255 from bits shift .. shift + 7 of words of 32 bits. */
V16 v16 v16_bytes(const void *p, int shift)
{
    return _mm512_cvtepi32_ps(_mm512_and_si512(
        _mm512_srl_epi32(_mm512_loadu_si512(p), _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(255)));
}
V16 v16 v16_blend(unsigned m, v16 yes, v16 no)
{
    return _mm512_mask_blend_ps((__mmask16)m, no, yes);
}
V16 float v16_least(v16 a)
{
    return _mm512_reduce_min_ps(a);
}
V16 float v16_greatest(v16 a)
{
    return _mm512_reduce_max_ps(a);
}

#elif defined(__AVX2__)

typedef struct {
    __m256 a, b;
} v16;

#define V16_EACH(op, x, y)                                                                         \
    (v16)                                                                                          \
    {                                                                                              \
        op((x).a, (y).a), op((x).b, (y).b)                                                         \
    }

V16 v16 v16_load(const float *p)
{
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
V16 void v16_store(float *p, v16 a)
{
    _mm256_storeu_ps(p, a.a);
    _mm256_storeu_ps(p + 8, a.b);
}
V16 v16 v16_set(float a)
{
    return (v16){_mm256_set1_ps(a), _mm256_set1_ps(a)};
}
V16 v16 v16_add(v16 a, v16 b)
{
    return V16_EACH(_mm256_add_ps, a, b);
}
V16 v16 v16_sub(v16 a, v16 b)
{
    return V16_EACH(_mm256_sub_ps, a, b);
}
V16 v16 v16_mul(v16 a, v16 b)
{
    return V16_EACH(_mm256_mul_ps, a, b);
}
V16 v16 v16_div(v16 a, v16 b)
{
    return V16_EACH(_mm256_div_ps, a, b);
}
V16 v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
V16 v16 v16_min(v16 a, v16 b)
{
    return V16_EACH(_mm256_min_ps, a, b);
}
V16 v16 v16_max(v16 a, v16 b)
{
    return V16_EACH(_mm256_max_ps, a, b);
}
V16 v16 v16_sqrt(v16 a)
{
    return (v16){_mm256_sqrt_ps(a.a), _mm256_sqrt_ps(a.b)};
}
V16 unsigned v16_lt(v16 a, v16 b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)) |
           (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ)) << 8;
}
V16 __m256 v16_bytes8(const void *p, int shift)
{
    __m256i v = _mm256_srl_epi32(_mm256_loadu_si256(p), _mm_cvtsi32_si128(shift));

    return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(255)));
}
V16 v16 v16_bytes(const void *p, int shift)
{
    return (v16){v16_bytes8(p, shift), v16_bytes8((const char *)p + 32, shift)};
}
V16 __m256 v16_half(unsigned m)
{
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);

    return _mm256_castsi256_ps(
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)m), bit), bit));
}
V16 v16 v16_blend(unsigned m, v16 yes, v16 no)
{
    return (v16){_mm256_blendv_ps(no.a, yes.a, v16_half(m)),
                 _mm256_blendv_ps(no.b, yes.b, v16_half(m >> 8))};
}
V16 float v16_least(v16 a)
{
    __m256 m = _mm256_min_ps(a.a, a.b);
    __m128 h = _mm_min_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));

    h = _mm_min_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_min_ss(h, _mm_shuffle_ps(h, h, 1)));
}
V16 float v16_greatest(v16 a)
{
    __m256 m = _mm256_max_ps(a.a, a.b);
    __m128 h = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));

    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_shuffle_ps(h, h, 1)));
}

#else

#include <math.h>

typedef struct {
    float f[16];
} v16;

#define V16_LANES(value)                                                                           \
    v16 r;                                                                                         \
    for (int i = 0; i < 16; i++)                                                                   \
        r.f[i] = (value);                                                                          \
    return r

V16 v16 v16_load(const float *p)
{
    V16_LANES(p[i]);
}
V16 void v16_store(float *p, v16 a)
{
    for (int i = 0; i < 16; i++)
        p[i] = a.f[i];
}
V16 v16 v16_set(float a)
{
    V16_LANES(a);
}
V16 v16 v16_add(v16 a, v16 b)
{
    V16_LANES(a.f[i] + b.f[i]);
}
V16 v16 v16_sub(v16 a, v16 b)
{
    V16_LANES(a.f[i] - b.f[i]);
}
V16 v16 v16_mul(v16 a, v16 b)
{
    V16_LANES(a.f[i] * b.f[i]);
}
V16 v16 v16_div(v16 a, v16 b)
{
    V16_LANES(a.f[i] / b.f[i]);
}
V16 v16 v16_fma(v16 a, v16 b, v16 c)
{
    V16_LANES(a.f[i] * b.f[i] + c.f[i]);
}
V16 v16 v16_min(v16 a, v16 b)
{
    V16_LANES(a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}
V16 v16 v16_max(v16 a, v16 b)
{
    V16_LANES(a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
}
V16 v16 v16_sqrt(v16 a)
{
    V16_LANES(sqrtf(a.f[i]));
}
V16 unsigned v16_lt(v16 a, v16 b)
{
    unsigned m = 0;

    for (int i = 0; i < 16; i++)
        m |= (unsigned)(a.f[i] < b.f[i]) << i;
    return m;
}
V16 v16 v16_bytes(const void *p, int shift)
{
    const unsigned char *b = (const unsigned char *)p + shift / 8;

    V16_LANES((float)b[4 * i]);
}
V16 v16 v16_blend(unsigned m, v16 yes, v16 no)
{
    V16_LANES(m >> i & 1 ? yes.f[i] : no.f[i]);
}
V16 float v16_least(v16 a)
{
    float m = a.f[0];

    for (int i = 1; i < 16; i++)
        m = a.f[i] < m ? a.f[i] : m;
    return m;
}
V16 float v16_greatest(v16 a)
{
    float m = a.f[0];

    for (int i = 1; i < 16; i++)
        m = a.f[i] > m ? a.f[i] : m;
    return m;
}

#endif
#endif
