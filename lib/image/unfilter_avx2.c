/* SPDX-License-Identifier: Apache-2.0 */
/* PNG filters undone with vectors. Up is plain addition; Sub is a prefix sum; Average and Paeth go
 * pixel by pixel, all channels at once, with as few operations as possible between one pixel and
 * the next. */
#include "image/image_impl.h"

#ifdef __AVX2__

#include <immintrin.h>
#include <string.h>

static inline __m128i load4(const uint8_t *p)
{
    int v;

    memcpy(&v, p, 4);
    return _mm_cvtsi32_si128(v);
}

static inline void store_pixel(uint8_t *p, __m128i v, int bpp)
{
    int x = _mm_cvtsi128_si32(v);

    memcpy(p, &x, (size_t)bpp);
}

static void up(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        _mm256_storeu_si256((__m256i *)(out + i),
                            _mm256_add_epi8(_mm256_loadu_si256((const __m256i *)(in + i)),
                                            _mm256_loadu_si256((const __m256i *)(above + i))));
    for (; i < n; i++)
        out[i] = (uint8_t)(in[i] + above[i]);
}

/* Four pixels of 4 bytes a step: two shifted additions make the prefix sum. */
static void sub4(uint8_t *out, const uint8_t *in, size_t n)
{
    __m128i last = _mm_setzero_si128();
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(in + i));

        x = _mm_add_epi8(x, _mm_slli_si128(x, 4));
        x = _mm_add_epi8(x, _mm_slli_si128(x, 8));
        last = _mm_add_epi8(x, last);
        _mm_storeu_si128((__m128i *)(out + i), last);
        last = _mm_shuffle_epi32(last, 0xff);
    }
    for (; i < n; i += 4) {
        last = _mm_add_epi8(last, load4(in + i));
        store_pixel(out + i, last, 4);
    }
}

static inline void sub(uint8_t *out, const uint8_t *in, size_t n, int bpp)
{
    __m128i a = _mm_setzero_si128();

    for (size_t i = 0; i < n; i += (size_t)bpp) {
        a = _mm_add_epi8(a, load4(in + i));
        store_pixel(out + i, a, bpp);
    }
}

/* pavgb rounds up; the filter rounds down, so the odd bit of a ^ b is taken off. */
static inline void average(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n, int bpp)
{
    const __m128i one = _mm_set1_epi8(1);
    __m128i a = _mm_setzero_si128();

    for (size_t i = 0; i < n; i += (size_t)bpp) {
        __m128i b = load4(above + i), x = load4(in + i);
        __m128i odd = _mm_and_si128(_mm_xor_si128(a, b), one);

        a = _mm_add_epi8(x, _mm_sub_epi8(_mm_avg_epu8(a, b), odd));
        store_pixel(out + i, a, bpp);
    }
}

/* In 16-bit lanes: pa = |b - c|, pb = |a - c|, pc = |(a - c) + (b - c)|; ties prefer a, then b. */
static inline void paeth(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n, int bpp)
{
    const __m128i zero = _mm_setzero_si128(), mask = _mm_set1_epi16(0xff);
    __m128i a = zero, c = zero;

    for (size_t i = 0; i < n; i += (size_t)bpp) {
        __m128i b = _mm_unpacklo_epi8(load4(above + i), zero);
        __m128i x = _mm_unpacklo_epi8(load4(in + i), zero);
        __m128i bc = _mm_sub_epi16(b, c), pa = _mm_abs_epi16(bc);
        __m128i ac = _mm_sub_epi16(a, c), pb = _mm_abs_epi16(ac);
        __m128i pc = _mm_abs_epi16(_mm_add_epi16(ac, bc));
        __m128i least = _mm_min_epi16(pc, _mm_min_epi16(pa, pb));
        __m128i near = _mm_blendv_epi8(c, b, _mm_cmpeq_epi16(least, pb));

        near = _mm_blendv_epi8(near, a, _mm_cmpeq_epi16(least, pa));
        a = _mm_and_si128(_mm_add_epi16(x, near), mask);
        c = b;
        store_pixel(out + i, _mm_packus_epi16(a, a), bpp);
    }
}

void t3di_png_unfilter_avx2(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n,
                            int bpp, int filter)
{
    if (filter == 2)
        up(out, in, above, n);
    else if (filter == 0 || bpp < 3)
        t3di_png_unfilter(out, in, above, n, bpp, filter);
    else if (filter == 1 && bpp == 3)
        sub(out, in, n, 3);
    else if (filter == 1)
        sub4(out, in, n);
    else if (filter == 3 && bpp == 3)
        average(out, in, above, n, 3);
    else if (filter == 3)
        average(out, in, above, n, 4);
    else if (bpp == 3)
        paeth(out, in, above, n, 3);
    else
        paeth(out, in, above, n, 4);
}

#else

void t3di_png_unfilter_avx2(uint8_t *out, const uint8_t *in, const uint8_t *above, size_t n,
                            int bpp, int filter)
{
    t3di_png_unfilter(out, in, above, n, bpp, filter);
}

#endif
