/* SPDX-License-Identifier: Apache-2.0 */
#include "image/resize_impl.h"

#ifdef __AVX2__

#include <immintrin.h>
#include <string.h>

enum { HALF = 1 << (T3DI_RESIZE_BITS - 1) };

static inline __m128i load8(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)p);
}

/* Two coefficients: the first in the lower four lanes, the second in the upper four. */
static inline __m256i load_pair(const int32_t *k)
{
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);

    return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)k)),
                                       spread);
}

/* Two pixels, one channel a lane (of three, the fourth lane is zero). */
static inline __m256i load_pixels(const uint8_t *p, int channels)
{
    const __m128i rgb = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    __m128i v = load8(p);

    return _mm256_cvtepu8_epi32(channels == 3 ? _mm_shuffle_epi8(v, rgb) : v);
}

static inline uint32_t finish(__m256i sum)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

    s = _mm_srai_epi32(_mm_add_epi32(s, _mm_set1_epi32(HALF)), T3DI_RESIZE_BITS);
    s = _mm_packs_epi32(s, s);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(s, s));
}

/* The four rows share their coefficients, and their four sums hide the latency of the products. */
static inline void colour_rows(uint8_t *const out[4], const uint8_t *const in[4], uint32_t n,
                               int channels, const struct t3di_taps *taps)
{
    size_t c = (size_t)channels;

    for (uint32_t i = 0; i < n; i++) {
        const int32_t *k = taps->k + taps->width * i;
        size_t at = taps->first[i] * c;
        __m256i sum[4];

        for (int r = 0; r < 4; r++)
            sum[r] = _mm256_setzero_si256();
        for (uint32_t t = 0; t < taps->count[i]; t += 2, at += 2 * c) {
            __m256i pair = load_pair(k + t);

            for (int r = 0; r < 4; r++)
                sum[r] = _mm256_add_epi32(
                    sum[r], _mm256_mullo_epi32(pair, load_pixels(in[r] + at, channels)));
        }
        for (int r = 0; r < 4; r++) {
            uint32_t px = finish(sum[r]);
            memcpy(out[r] + i * c, &px, c);
        }
    }
}

/* One channel: eight inputs a step; those behind the taps are masked out by coefficients of 0. */
static void grey_row(uint8_t *out, const uint8_t *in, uint32_t n, const struct t3di_taps *taps)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

    for (uint32_t i = 0; i < n; i++) {
        const int32_t *k = taps->k + taps->width * i;
        const uint8_t *p = in + taps->first[i];
        int count = (int)taps->count[i];
        __m256i sum = _mm256_setzero_si256();
        __m128i s;

        for (int t = 0; t < count; t += 8) {
            __m256i valid = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - t), lane);
            __m256i x = _mm256_cvtepu8_epi32(load8(p + t));

            sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(x, _mm256_maskload_epi32(k + t, valid)));
        }
        s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
        s = _mm_srai_epi32(_mm_add_epi32(s, _mm_set1_epi32(HALF)), T3DI_RESIZE_BITS);
        s = _mm_packs_epi32(s, s);
        out[i] = (uint8_t)_mm_cvtsi128_si32(_mm_packus_epi16(s, s));
    }
}

void t3di_horizontal_avx2(uint8_t *const out[4], const uint8_t *const in[4], uint32_t n,
                          int channels, const struct t3di_taps *taps)
{
    if (channels == 4)
        colour_rows(out, in, n, 4, taps);
    else if (channels == 3)
        colour_rows(out, in, n, 3, taps);
    else
        for (int r = 0; r < 4; r++)
            grey_row(out[r], in[r], n, taps);
}

void t3di_vertical_avx2(uint8_t *out, const uint8_t *in, size_t stride, size_t n, const int32_t *k,
                        uint32_t count)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i s[4];

        for (int j = 0; j < 4; j++)
            s[j] = _mm256_set1_epi32(HALF);
        for (uint32_t t = 0; t < count; t++) {
            const uint8_t *p = in + stride * t + i;
            __m256i w = _mm256_set1_epi32(k[t]);

            for (int j = 0; j < 4; j++)
                s[j] = _mm256_add_epi32(
                    s[j], _mm256_mullo_epi32(w, _mm256_cvtepu8_epi32(load8(p + 8 * j))));
        }
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_srai_epi32(s[j], T3DI_RESIZE_BITS);
        s[0] = _mm256_packus_epi16(_mm256_packs_epi32(s[0], s[1]), _mm256_packs_epi32(s[2], s[3]));
        s[0] = _mm256_permutevar8x32_epi32(s[0], _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        _mm256_storeu_si256((__m256i *)(out + i), s[0]);
    }
    if (i < n)
        t3di_vertical(out + i, in + i, stride, n - i, k, count);
}

#else

void t3di_horizontal_avx2(uint8_t *const out[4], const uint8_t *const in[4], uint32_t n,
                          int channels, const struct t3di_taps *taps)
{
    t3di_horizontal(out, in, n, channels, taps);
}

void t3di_vertical_avx2(uint8_t *out, const uint8_t *in, size_t stride, size_t n, const int32_t *k,
                        uint32_t count)
{
    t3di_vertical(out, in, stride, n, k, count);
}

#endif
