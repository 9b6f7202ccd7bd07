/* SPDX-License-Identifier: Apache-2.0 */
/* The compressor against libdeflate's decompressor, the code lengths against an exact Huffman cost,
 * and the vector filters against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "base/isa.h"
#include "base/rng.h"
#include "image/deflate.h"
#include "image/huffman_impl.h"
#include "image/image_impl.h"
#include "image/png_filter_impl.h"

static void round_trip(struct t3di_deflate *d, const uint8_t *in, size_t n, size_t stride,
                       size_t bpp)
{
    struct libdeflate_decompressor *x = libdeflate_alloc_decompressor();
    size_t bound = t3di_deflate_bound(n), size;
    uint8_t *out = malloc(bound), *back = malloc(n + 1);

    size = t3di_deflate_zlib(d, out, in, n, stride, bpp);
    assert_true(size <= bound);
    if (libdeflate_zlib_decompress(x, out, size, back, n, NULL) != LIBDEFLATE_SUCCESS)
        fail_msg("%zu bytes in rows of %zu: the stream is damaged", n, stride);
    assert_memory_equal(in, back, n);
    libdeflate_free_decompressor(x);
    free(out);
    free(back);
}

/* Kind 0: noise; 1: one value; 2: few values; 3: runs; 4: repeats of earlier pieces; 5: skewed, so
 * that codes would become longer than 14 bits. */
static void fill(uint8_t *p, size_t n, int kind, struct t3d_rng *r)
{
    for (size_t i = 0; i < n;) {
        size_t run = 1;

        p[i] = (uint8_t)t3d_rng_u32(r);
        if (kind == 1)
            p[i] = 7;
        else if (kind == 2)
            p[i] &= 3;
        else if (kind == 5)
            p[i] = (uint8_t)__builtin_clz(t3d_rng_u32(r) | 1);
        if (kind == 3)
            run = 1 + t3d_rng_below(r, 700);
        if (kind == 4 && i > 40 && t3d_rng_below(r, 8) == 0) {
            size_t from = t3d_rng_below(r, (uint32_t)i - 39);

            for (run = 1 + t3d_rng_below(r, 300); run && i < n; run--)
                p[i++] = p[from++];
            continue;
        }
        for (; run && i < n; run--, i++)
            p[i] = p[i - (kind == 3 && i > 0)];
    }
}

static void streams_decode(void **state)
{
    struct t3di_deflate *d = t3di_deflate_new();
    struct t3d_rng r = t3d_rng_for(1, "deflate", 0);
    uint8_t *p = malloc(1 << 21);

    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        for (size_t n = 1; n < 600; n += n < 70 ? 1 : 53) {
            fill(p, n, kind, &r);
            round_trip(d, p, n, 1 + n / 3, 1 + n % 8);
        }
        fill(p, 1 << 21, kind, &r);
        for (size_t n = 65530; n <= 1 << 21; n = n * 5 + n / 3)
            round_trip(d, p, n, kind % 2 ? 40001 : 1025, 4);
        round_trip(d, p, 1 << 21, 2049, 4);
    }
    free(p);
    t3di_deflate_free(d);
}

/* Blank pictures shrink to what their long matches cost: about 2 bits for 258 bytes. */
static void blank_is_tiny(void **state)
{
    struct t3di_deflate *d = t3di_deflate_new();
    size_t n = 512 * 2049;
    uint8_t *p = calloc(n, 1), *out = malloc(t3di_deflate_bound(n));

    (void)state;
    assert_true(t3di_deflate_zlib(d, out, p, n, 2049, 4) < n / 258 * 3 / 8 + 200);
    free(p);
    free(out);
    t3di_deflate_free(d);
}

/* Huffman's cost is the sum of all inner nodes: merge the two least, by search. */
static uint64_t best_cost(const uint32_t *freq, int n)
{
    uint64_t node[288], sum = 0;
    int m = 0;

    for (int i = 0; i < n; i++)
        if (freq[i])
            node[m++] = freq[i];
    for (; m > 1; m--) {
        for (int last = m - 1; last >= m - 2; last--) { /* the two least to the end */
            int least = 0;

            for (int i = 1; i <= last; i++)
                least = node[i] < node[least] ? i : least;
            uint64_t t = node[least];
            node[least] = node[last];
            node[last] = t;
        }
        node[m - 2] += node[m - 1];
        sum += node[m - 2];
    }
    return sum;
}

static void codes_are_best_and_complete(void **state)
{
    struct t3d_rng r = t3d_rng_for(2, "huffman", 0);

    (void)state;
    for (int round = 0; round < 300; round++) {
        int n = 2 + (int)t3d_rng_below(&r, 287), limit = round % 2 ? 15 : 9, longest = 0;
        uint32_t freq[288];
        struct t3di_code code[288];
        uint64_t cost = 0, kraft = 0;

        for (int i = 0; i < n; i++)
            freq[i] =
                t3d_rng_below(&r, 4) ? 1 + (t3d_rng_u32(&r) >> (12 + t3d_rng_below(&r, 20))) : 0;
        freq[0] = freq[1] = 1;
        t3di_huffman(code, freq, n, limit);
        for (int i = 0; i < n; i++) {
            assert_int_equal(!freq[i], !code[i].n);
            longest = code[i].n > longest ? code[i].n : longest;
            cost += (uint64_t)freq[i] * code[i].n;
            kraft += code[i].n ? 1ull << (15 - code[i].n) : 0;
        }
        assert_true(longest <= limit);
        assert_int_equal(kraft, 1 << 15);
        assert_true(cost >= best_cost(freq, n));
        if (longest < limit)
            assert_int_equal(cost, best_cost(freq, n));
    }
}

/* ISO/IEC 15948, 9.4, on bytes that make all ties. */
static void filters_follow_the_definition(void **state)
{
    struct t3d_rng r = t3d_rng_for(3, "filter", 0);
    uint8_t row[300], above[300], a[300], b[300];

    (void)state;
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + t3d_rng_below(&r, 300), bpp = 1 + t3d_rng_below(&r, 8);
        uint8_t mask = round % 2 ? 255 : 3;
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++) {
            row[i] = (uint8_t)t3d_rng_u32(&r) & mask;
            above[i] = (uint8_t)t3d_rng_u32(&r) & mask;
        }
        for (size_t i = 0; i < n; i++) {
            int left = i < bpp ? 0 : row[i - bpp], corner = i < bpp ? 0 : above[i - bpp];
            int p = left + above[i] - corner;
            int pa = abs(p - left), pb = abs(p - above[i]), pc = abs(p - corner);
            int near = pa <= pb && pa <= pc ? left : pb <= pc ? above[i] : corner;

            sum += (uint64_t)abs((int8_t)(row[i] - near));
            b[i] = (uint8_t)(row[i] - near);
        }
        assert_int_equal(t3di_filter_paeth(a, row, above, n, bpp), sum);
        assert_memory_equal(a, b, n);
        if (t3d_isa() < T3D_ISA_AVX2)
            continue;
        assert_int_equal(t3di_filter_paeth_avx2(a, row, above, n, bpp), sum);
        assert_memory_equal(a, b, n);
        sum = t3di_filter_up(a, row, above, n, bpp);
        assert_int_equal(t3di_filter_up_avx2(b, row, above, n, bpp), sum);
        assert_memory_equal(a, b, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_decode),
        cmocka_unit_test(blank_is_tiny),
        cmocka_unit_test(codes_are_best_and_complete),
        cmocka_unit_test(filters_follow_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
