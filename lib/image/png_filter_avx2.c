/* SPDX-License-Identifier: Apache-2.0 */
#include "image/png_filter_impl.h"

#ifdef __AVX2__

#include <immintrin.h>

static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline __m256i add_size(__m256i sum, __m256i residual)
{
    return _mm256_add_epi64(sum,
                            _mm256_sad_epu8(_mm256_abs_epi8(residual), _mm256_setzero_si256()));
}

static inline uint64_t total(__m256i sum)
{
    __m128i s = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

    return (uint64_t)_mm_cvtsi128_si64(s) + (uint64_t)_mm_extract_epi64(s, 1);
}

uint64_t t3di_filter_up_avx2(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                             size_t bpp)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i r = _mm256_sub_epi8(load(row + i), load(above + i));

        _mm256_storeu_si256((__m256i *)(out + i), r);
        sum = add_size(sum, r);
    }
    return total(sum) + t3di_filter_up(out + i, row + i, above + i, n - i, bpp);
}

/* In bytes: pa = |b - c|, pb = |a - c|; pc = |(a - c) + (b - c)| is their sum when both differences
 * have one sign and the difference of the two otherwise. A sum that saturates is larger than pa and
 * pb anyway, or equal to one of them when the other is 0, where it does not saturate. */
static inline __m256i predict(__m256i a, __m256i b, __m256i c)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i c_over_b = _mm256_subs_epu8(c, b), c_over_a = _mm256_subs_epu8(c, a);
    __m256i pa = _mm256_or_si256(_mm256_subs_epu8(b, c), c_over_b);
    __m256i pb = _mm256_or_si256(_mm256_subs_epu8(a, c), c_over_a);
    __m256i same =
        _mm256_cmpeq_epi8(_mm256_cmpeq_epi8(c_over_b, zero), _mm256_cmpeq_epi8(c_over_a, zero));
    __m256i apart = _mm256_or_si256(_mm256_subs_epu8(pa, pb), _mm256_subs_epu8(pb, pa));
    __m256i pc = _mm256_blendv_epi8(apart, _mm256_adds_epu8(pa, pb), same);
    __m256i least_bc = _mm256_min_epu8(pb, pc);
    __m256i near = _mm256_blendv_epi8(c, b, _mm256_cmpeq_epi8(least_bc, pb));

    return _mm256_blendv_epi8(near, a, _mm256_cmpeq_epi8(_mm256_min_epu8(pa, least_bc), pa));
}

uint64_t t3di_filter_paeth_avx2(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                                size_t bpp)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = bpp < n ? bpp : n;
    uint64_t first = t3di_filter_paeth_from(0, out, row, above, i, bpp);

    for (; i + 32 <= n; i += 32) {
        __m256i near = predict(load(row + i - bpp), load(above + i), load(above + i - bpp));
        __m256i r = _mm256_sub_epi8(load(row + i), near);

        _mm256_storeu_si256((__m256i *)(out + i), r);
        sum = add_size(sum, r);
    }
    return first + total(sum) + t3di_filter_paeth_from(i, out, row, above, n, bpp);
}

#else

uint64_t t3di_filter_up_avx2(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                             size_t bpp)
{
    return t3di_filter_up(out, row, above, n, bpp);
}

uint64_t t3di_filter_paeth_avx2(uint8_t *out, const uint8_t *row, const uint8_t *above, size_t n,
                                size_t bpp)
{
    return t3di_filter_paeth(out, row, above, n, bpp);
}

#endif
