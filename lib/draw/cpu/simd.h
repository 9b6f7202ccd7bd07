/* SPDX-License-Identifier: Apache-2.0 */
/* draw/cpu/simd.h -- vectors of W floats or ints, and what GCC's vector operators lack.
 *
 * Arithmetic is written with operators; fused multiply-add, selection, conversion and gathers by
 * the functions below. Masks (vm) are opaque. Only operations with one exactly defined result are
 * used (no reciprocal estimates), so that a class of instruction sets gives the same bytes on every
 * processor. */
#ifndef T3D_DRAW_CPU_SIMD_H
#define T3D_DRAW_CPU_SIMD_H

#include <stdint.h>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define W 16
#else
#define W 8
#pragma GCC diagnostic ignored "-Wpsabi" /* no vector crosses a call; see the Makefile too */
#endif

#define VI static inline __attribute__((always_inline, unused))
/* Large locals that are filled at once: the build clears others (-ftrivial-auto-var-init). */
#define V_RAW __attribute__((uninitialized))

typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef float vf_u __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t vi_u __attribute__((vector_size(4 * W), aligned(4), may_alias));

VI vf v_load(const void *p)
{
    return *(const vf_u *)p;
}
VI vi v_loadi(const void *p)
{
    return *(const vi_u *)p;
}
VI void v_store(void *p, vf a)
{
    *(vf_u *)p = a;
}
VI void v_storei(void *p, vi a)
{
    *(vi_u *)p = a;
}
VI vf v_set(float a)
{
    return (vf){0} + a;
}
VI vi v_seti(int32_t a)
{
    return (vi){0} + a;
}
VI vi v_iota(void)
{
    vi r;
    for (int i = 0; i < W; i++)
        r[i] = i;
    return r;
}

#if defined(__AVX512F__)
typedef __mmask16 vm;
#define V_ALL 0xffffu

VI vf v_fma(vf a, vf b, vf c)
{
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
VI vf v_min(vf a, vf b)
{
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
}
VI vf v_max(vf a, vf b)
{
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
}
VI vi v_mini(vi a, vi b)
{
    return (vi)_mm512_min_epi32((__m512i)a, (__m512i)b);
}
VI vi v_maxi(vi a, vi b)
{
    return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
}
VI vf v_sqrt(vf a)
{
    return (vf)_mm512_sqrt_ps((__m512)a);
}
VI vf v_abs(vf a)
{
    return (vf)_mm512_abs_ps((__m512)a);
}
VI vf v_floor(vf a)
{
    return (vf)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
VI vi v_trunc(vf a)
{
    return (vi)_mm512_cvttps_epi32((__m512)a);
}
VI vi v_round(vf a)
{
    return (vi)_mm512_cvtps_epi32((__m512)a);
}
VI vf v_float(vi a)
{
    return (vf)_mm512_cvtepi32_ps((__m512i)a);
}
VI vm v_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
}
VI vm v_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
}
VI vm v_lti(vi a, vi b)
{
    return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
}
VI vm v_eqi(vi a, vi b)
{
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
VI vm v_and(vm a, vm b)
{
    return a & b;
}
VI unsigned v_bits(vm a)
{
    return a;
}
VI vm v_mask(unsigned bits)
{
    return (vm)bits;
}
VI vf v_sel(vm m, vf a, vf b)
{
    return (vf)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
}
VI vi v_seli(vm m, vi a, vi b)
{
    return (vi)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a);
}
/* table[i] for a table of 16 entries. */
VI vf v_look(const float *table, vi i)
{
    return (vf)_mm512_permutexvar_ps((__m512i)i, _mm512_loadu_ps(table));
}
VI vi v_looki(const int32_t *table, vi i)
{
    return (vi)_mm512_permutexvar_epi32((__m512i)i, _mm512_loadu_si512(table));
}
/* Words i and j, and the two after each. */
VI __m128 v_pair2(const uint32_t *base, int32_t i, int32_t j)
{
    __m128 a = _mm_loadl_pi(_mm_setzero_ps(), (const void *)(base + i));
    return _mm_loadh_pi(a, (const void *)(base + j));
}
/* Two neighbouring 32-bit words at base + i. Single loads: as fast as the gather instruction on
 * Zen 5, and Intel's gathers are slow since the mitigation of Downfall. */
VI void v_gather2(const uint32_t *base, vi i, vi *a, vi *b)
{
    V_RAW int32_t k[W];
    V_RAW __m256 l[2], h[2];
    v_storei(k, i);
    for (int j = 0; j < 2; j++) {
        const int32_t *n = k + 8 * j;
        l[j] = _mm256_set_m128(v_pair2(base, n[4], n[5]), v_pair2(base, n[0], n[1]));
        h[j] = _mm256_set_m128(v_pair2(base, n[6], n[7]), v_pair2(base, n[2], n[3]));
    }
    __m512 lo = _mm512_insertf32x8(_mm512_castps256_ps512(l[0]), l[1], 1);
    __m512 hi = _mm512_insertf32x8(_mm512_castps256_ps512(h[0]), h[1], 1);
    *a = (vi)_mm512_shuffle_ps(lo, hi, 0x88);
    *b = (vi)_mm512_shuffle_ps(lo, hi, 0xdd);
}
/* out[k][lane] = p[lane][k], k 0..7. */
VI void v_load8t(vf out[8], const float *const p[W])
{
    __m512 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p[i])),
                                  _mm256_loadu_ps(p[i + 8]), 1);
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(t[4 * i + j]), b = _mm512_castps_pd(t[4 * i + j + 2]);
            r[4 * i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[4 * i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    const __m512i lo = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i hi = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    for (int i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(r[i]), b = _mm512_castps_pd(r[i + 4]);
        out[i] = (vf)_mm512_permutex2var_pd(a, lo, b);
        out[i + 4] = (vf)_mm512_permutex2var_pd(a, hi, b);
    }
}

/* Four channels of W lanes to W groups of four: lane i becomes group V_SLOT4(i) of out. */
#define V_SLOT4(i) (((i)&3) * 4 + ((i) >> 2))
VI void v_mix4(__m512 r[4])
{
    __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
    __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
    __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
}
VI void v_store4t(float *out, const vf in[4])
{
    __m512 r[4] = {(__m512)in[0], (__m512)in[1], (__m512)in[2], (__m512)in[3]};
    v_mix4(r);
    for (int j = 0; j < 4; j++)
        v_store(out + 16 * j, (vf)r[j]);
}
/* The reverse for W groups in memory, but lanes stay shuffled until v_store_pixels puts them in
 * order. */
VI void v_load4t(vf out[4], const float *in)
{
    __m512 r[4];
    for (int j = 0; j < 4; j++)
        r[j] = _mm512_loadu_ps(in + 16 * j);
    v_mix4(r);
    for (int j = 0; j < 4; j++)
        out[j] = (vf)r[j];
}
VI void v_store_pixels(int32_t *out, vi a)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    v_storei(out, (vi)_mm512_permutexvar_epi32(order, (__m512i)a));
}

#else /* 8 lanes */

#define V_ALL 0xffu
typedef vi vm;

VI unsigned v_bits(vm a);

#if defined(__AVX2__)
VI vf v_fma(vf a, vf b, vf c)
{
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
VI vf v_min(vf a, vf b)
{
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
}
VI vf v_max(vf a, vf b)
{
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
}
VI vi v_mini(vi a, vi b)
{
    return (vi)_mm256_min_epi32((__m256i)a, (__m256i)b);
}
VI vi v_maxi(vi a, vi b)
{
    return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
VI vf v_sqrt(vf a)
{
    return (vf)_mm256_sqrt_ps((__m256)a);
}
VI vf v_floor(vf a)
{
    return (vf)_mm256_floor_ps((__m256)a);
}
VI vi v_trunc(vf a)
{
    return (vi)_mm256_cvttps_epi32((__m256)a);
}
VI vi v_round(vf a)
{
    return (vi)_mm256_cvtps_epi32((__m256)a);
}
VI vm v_lt(vf a, vf b)
{
    return (vi)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ);
}
VI vm v_le(vf a, vf b)
{
    return (vi)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LE_OQ);
}
VI unsigned v_bits(vm a)
{
    return (unsigned)_mm256_movemask_ps((__m256)a);
}
VI vf v_sel(vm m, vf a, vf b)
{
    return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
}
VI vi v_looki(const int32_t *table, vi i)
{
    __m256i lo = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const void *)table), (__m256i)i);
    __m256i hi =
        _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const void *)(table + 8)), (__m256i)i);
    return (vi)_mm256_blendv_epi8(lo, hi, _mm256_cmpgt_epi32((__m256i)i, _mm256_set1_epi32(7)));
}
VI void v_gather2(const uint32_t *base, vi i, vi *a, vi *b)
{
    __m128i i0 = _mm256_castsi256_si128((__m256i)i), i1 = _mm256_extracti128_si256((__m256i)i, 1);
    __m256 lo = _mm256_castsi256_ps(_mm256_i32gather_epi64((const void *)base, i0, 4));
    __m256 hi = _mm256_castsi256_ps(_mm256_i32gather_epi64((const void *)base, i1, 4));
    __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(lo, hi, 0x88));
    __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(lo, hi, 0xdd));
    *a = (vi)_mm256_permute4x64_pd(even, 0xd8);
    *b = (vi)_mm256_permute4x64_pd(odd, 0xd8);
}
VI void v_load8t(vf out[8], const float *const p[W])
{
    __m256 r[8], t[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(p[i]);
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            __m256d a = _mm256_castps_pd(t[4 * i + j]), b = _mm256_castps_pd(t[4 * i + j + 2]);
            r[4 * i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            r[4 * i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    for (int i = 0; i < 4; i++) {
        out[i] = (vf)_mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        out[i + 4] = (vf)_mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
}
#define V_SLOT4(i) (((i)&3) * 2 + ((i) >> 2))
VI void v_mix4(__m256 r[4])
{
    __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
    __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
    __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
    __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
    r[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
    r[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
    r[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
    r[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
}
VI void v_store4t(float *out, const vf in[4])
{
    __m256 r[4] = {(__m256)in[0], (__m256)in[1], (__m256)in[2], (__m256)in[3]};
    v_mix4(r);
    for (int j = 0; j < 4; j++)
        v_store(out + 8 * j, (vf)r[j]);
}
VI void v_load4t(vf out[4], const float *in)
{
    __m256 r[4];
    for (int j = 0; j < 4; j++)
        r[j] = _mm256_loadu_ps(in + 8 * j);
    v_mix4(r);
    for (int j = 0; j < 4; j++)
        out[j] = (vf)r[j];
}
VI void v_store_pixels(int32_t *out, vi a)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    v_storei(out, (vi)_mm256_permutevar8x32_epi32((__m256i)a, order));
}
#else /* portable */
#define V_SLOT4(i) (i)
VI void v_store4t(float *out, const vf in[4])
{
    for (int i = 0; i < W; i++)
        for (int k = 0; k < 4; k++)
            out[4 * i + k] = in[k][i];
}
VI void v_load4t(vf out[4], const float *in)
{
    for (int i = 0; i < W; i++)
        for (int k = 0; k < 4; k++)
            out[k][i] = in[4 * i + k];
}
VI void v_store_pixels(int32_t *out, vi a)
{
    v_storei(out, a);
}
VI vf v_sel(vm m, vf a, vf b)
{
    return (vf)(((vi)a & m) | ((vi)b & ~m));
}
VI vm v_lt(vf a, vf b)
{
    return a < b;
}
VI vm v_le(vf a, vf b)
{
    return a <= b;
}
VI vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}
VI vf v_min(vf a, vf b)
{
    return v_sel(a < b, a, b);
}
VI vf v_max(vf a, vf b)
{
    return v_sel(a > b, a, b);
}
VI vi v_mini(vi a, vi b)
{
    vm m = a < b;
    return (a & m) | (b & ~m);
}
VI vi v_maxi(vi a, vi b)
{
    vm m = a > b;
    return (a & m) | (b & ~m);
}
VI vf v_sqrt(vf a)
{
    for (int i = 0; i < W; i++)
        a[i] = __builtin_sqrtf(a[i]);
    return a;
}
VI vi v_trunc(vf a) /* out of range and NaN: INT32_MIN, as the hardware of the other classes does */
{
    vi in = (a > -2147483648.0f) & (a < 2147483648.0f);
    vi i = __builtin_convertvector((vf)((vi)a & in), vi);
    return (i & in) | (INT32_MIN & ~in);
}
VI vf v_floor(vf a)
{
    vf t = __builtin_convertvector(v_trunc(a), vf);
    t = t + __builtin_convertvector(t > a, vf); /* a true lane is -1 */
    vm small = (a < 8388608.0f) & (a > -8388608.0f);
    return v_sel(small, t, a);
}
VI vi v_round(
    vf a) /* to nearest even: by the carry of a large constant, |a| < 2^22; else truncated */
{
    vm small = (a < 4194304.0f) & (a > -4194304.0f);
    vf t = a + 12582912.0f;
    return ((((vi)t - 0x4b400000)) & small) | (v_trunc(a) & ~small);
}
VI unsigned v_bits(vm a)
{
    unsigned r = 0;
    for (int i = 0; i < W; i++)
        r |= (unsigned)(a[i] & 1) << i;
    return r;
}
VI vi v_looki(const int32_t *table, vi i)
{
    for (int k = 0; k < W; k++)
        i[k] = table[i[k]];
    return i;
}
VI void v_gather2(const uint32_t *base, vi i, vi *a, vi *b)
{
    for (int k = 0; k < W; k++) {
        (*a)[k] = (int32_t)base[i[k]];
        (*b)[k] = (int32_t)base[i[k] + 1];
    }
}
VI void v_load8t(vf out[8], const float *const p[W])
{
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < W; i++)
            out[k][i] = p[i][k];
}
#endif

VI vf v_abs(vf a)
{
    return (vf)((vi)a & 0x7fffffff);
}
VI vf v_float(vi a)
{
    return __builtin_convertvector(a, vf);
}
VI vm v_lti(vi a, vi b)
{
    return a < b;
}
VI vm v_eqi(vi a, vi b)
{
    return a == b;
}
VI vm v_and(vm a, vm b)
{
    return a & b;
}
VI vm v_mask(unsigned bits)
{
    vi lane = {1, 2, 4, 8, 16, 32, 64, 128};
    return ((v_seti((int32_t)bits) & lane) != 0);
}
VI vi v_seli(vm m, vi a, vi b)
{
    return (a & m) | (b & ~m);
}
VI vf v_look(const float *table, vi i)
{
    return (vf)v_looki((const int32_t *)table, i);
}
#endif

VI vf v_clamp(vf a, float lo, float hi) /* NaN gives lo */
{
    return v_min(v_max(a, v_set(lo)), v_set(hi));
}
VI float v_hmax(vf a)
{
    float m = a[0];
    for (int i = 1; i < W; i++)
        m = a[i] > m ? a[i] : m;
    return m;
}

/* Bit k: p[k] == x, for eight words. */
VI unsigned v_equal8(const uint32_t *p, uint32_t x)
{
#if defined(__AVX512F__)
    return _mm256_cmpeq_epi32_mask(_mm256_loadu_si256((const void *)p), _mm256_set1_epi32((int)x));
#elif defined(__AVX2__)
    __m256i a = _mm256_loadu_si256((const void *)p);
    __m256i e = _mm256_cmpeq_epi32(a, _mm256_set1_epi32((int)x));
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(e));
#else
    unsigned r = 0;
    for (int k = 0; k < 8; k++)
        r |= (unsigned)(p[k] == x) << k;
    return r;
#endif
}

/* log2 for positive normal a, absolute error below 0.009: exponent and a parabola through the
 * mantissa. */
VI vf v_log2(vf a)
{
    vi e = (((vi)a >> 23) & 255) - 127;
    vf m = (vf)(((vi)a & 0x7fffff) | 0x3f800000);
    return v_float(e) + v_fma(v_fma(v_set(-0.33582878f), m, v_set(2.0f)), m, v_set(-1.65871022f));
}

/* exp(a), relative error below 2e-6 for a in [-87, 87], clamped outside: 2^n times a polynomial. */
VI vf v_exp(vf a)
{
    vf x = v_clamp(a * 1.44269504f, -126.0f, 126.0f);
    vi n = v_round(x);
    vf f = x - v_float(n);
    vf p = v_set(1.3333558e-3f);
    p = v_fma(p, f, v_set(9.6181291e-3f));
    p = v_fma(p, f, v_set(5.5504109e-2f));
    p = v_fma(p, f, v_set(2.4022651e-1f));
    p = v_fma(p, f, v_set(6.9314718e-1f));
    p = v_fma(p, f, v_set(1.0f));
    return p * (vf)((n + 127) << 23);
}

#endif
