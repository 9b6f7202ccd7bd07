/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/isa.h"
#include "base/rng.h"
#include "image/image_impl.h"
#include "image/resize.h"
#include "image/resize_impl.h"

static struct t3d_arena arena;

/* Pictures resized by Pillow: tests/ref/make_resize.py. */
static void equals_pillow(void **state)
{
    FILE *f = fopen("tests/ref/resize/cases.bin", "rb");
    uint32_t c[5];
    int n = 0;

    (void)state;
    assert_non_null(f);
    for (; fread(c, sizeof c, 1, f) == 1; n++) {
        size_t in_size = (size_t)c[0] * c[1] * c[4], out_size = (size_t)c[2] * c[3] * c[4];
        uint8_t *in = malloc(in_size), *want = malloc(out_size), *out = malloc(out_size);

        assert_int_equal(fread(in, 1, in_size, f), in_size);
        for (enum t3d_filter k = T3D_FILTER_BOX; k <= T3D_FILTER_LANCZOS; k++) {
            assert_int_equal(fread(want, 1, out_size, f), out_size);
            assert_int_equal(
                t3d_resize(out, c[2], c[3], in, c[0], c[1], (int)c[4], k, &arena, NULL), T3D_OK);
            if (memcmp(out, want, out_size) != 0)
                fail_msg("%u x %u to %u x %u, %u channels, filter %d differs", c[0], c[1], c[2],
                         c[3], c[4], (int)k);
        }
        free(in);
        free(want);
        free(out);
        t3d_arena_reset(&arena);
    }
    assert_int_equal(n, 9 * 3);
    fclose(f);
}

static uint8_t *noise(size_t n, uint64_t seed)
{
    struct t3d_rng r = t3d_rng_for(seed, "resize", 0);
    uint8_t *p = malloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)t3d_rng_u32(&r);
    return p;
}

/* Halving by boxes is the mean of two, halves up, along rows and then along columns. */
static void box_halves(void **state)
{
    enum { W = 46, H = 38 };
    uint8_t *in = noise(W * H * 3, 1), out[H / 2][W / 2][3];

    (void)state;
    assert_int_equal(
        t3d_resize(&out[0][0][0], W / 2, H / 2, in, W, H, 3, T3D_FILTER_BOX, &arena, NULL), T3D_OK);
    for (int y = 0; y < H / 2; y++)
        for (int x = 0; x < W / 2; x++)
            for (int c = 0; c < 3; c++) {
                const uint8_t *p = in + (2 * y * W + 2 * x) * 3 + c, *q = p + W * 3;
                int a = (p[0] + p[3] + 1) / 2, b = (q[0] + q[3] + 1) / 2;

                assert_int_equal(out[y][x][c], (a + b + 1) / 2);
            }
    free(in);
    t3d_arena_reset(&arena);
}

static void constant_stays(void **state)
{
    static uint8_t in[50 * 30 * 4], out[77 * 13 * 4];

    (void)state;
    memset(in, 201, sizeof in);
    for (enum t3d_filter f = T3D_FILTER_BOX; f <= T3D_FILTER_LANCZOS; f++) {
        assert_int_equal(t3d_resize(out, 77, 13, in, 50, 30, 4, f, &arena, NULL), T3D_OK);
        for (size_t i = 0; i < sizeof out; i++)
            assert_int_equal(out[i], 201);
    }
    assert_int_equal(t3d_resize(out, 1, 1, in, 50, 30, 4, 0, &arena, NULL), T3D_OK);
    assert_int_equal(t3d_resize(out, 0, 1, in, 50, 30, 4, 0, &arena, NULL), T3D_USAGE);
    assert_int_equal(t3d_resize(out, 1, 1, in, 50, 30, 2, 0, &arena, NULL), T3D_USAGE);
    t3d_arena_reset(&arena);
}

static void same_size_is_a_copy(void **state)
{
    uint8_t *in = noise(12 * 9 * 3, 2), out[12 * 9 * 3];

    (void)state;
    assert_int_equal(t3d_resize(out, 12, 9, in, 12, 9, 3, T3D_FILTER_LANCZOS, &arena, NULL),
                     T3D_OK);
    assert_memory_equal(in, out, sizeof out);
    free(in);
}

/* The vector passes against the plain ones, with coefficients of either sign. */
static void vectors_equal_plain(void **state)
{
    enum { W = 90, N = 41, H = 23, TAPS = 12 };
    struct t3d_rng r = t3d_rng_for(3, "taps", 0);
    uint32_t first[N], count[N];
    int32_t k[N * TAPS];
    struct t3di_taps taps = {first, count, k, TAPS};
    uint8_t *in = noise(W * H * 4 + T3DI_RESIZE_SLACK, 4);

    (void)state;
    if (t3d_isa() < T3D_ISA_AVX2)
        skip();
    memset(k, 0, sizeof k);
    for (int i = 0; i < N; i++) {
        first[i] = (uint32_t)(i * 2);
        count[i] = 1 + t3d_rng_below(&r, W - first[i] < TAPS ? W - first[i] : TAPS);
        for (uint32_t t = 0; t < count[i]; t++)
            k[i * TAPS + (int)t] = (int32_t)t3d_rng_below(&r, 1 << 19) - (1 << 17);
    }
    for (int c = 1; c <= 4; c += c == 1 ? 2 : 1) {
        uint8_t a[4][N * 4], b[4][N * 4], *to_a[4], *to_b[4];
        const uint8_t *from[4];

        for (int row = 0; row < 4; row++) {
            to_a[row] = a[row];
            to_b[row] = b[row];
            from[row] = in + W * c * row;
        }
        t3di_horizontal(to_a, from, N, c, &taps);
        t3di_horizontal_avx2(to_b, from, N, c, &taps);
        for (int row = 0; row < 4; row++)
            assert_memory_equal(a[row], b[row], N * (size_t)c);
    }
    for (size_t n = 1; n < W; n += 7) {
        uint8_t a[W], b[W];

        t3di_vertical(a, in, W, n, k + 7 * TAPS, count[7]);
        t3di_vertical_avx2(b, in, W, n, k + 7 * TAPS, count[7]);
        assert_memory_equal(a, b, n);
    }
    free(in);
}

static int free_arena(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),       cmocka_unit_test(box_halves),
        cmocka_unit_test(constant_stays),      cmocka_unit_test(same_size_is_a_copy),
        cmocka_unit_test(vectors_equal_plain),
    };

    return cmocka_run_group_tests(tests, NULL, free_arena);
}
