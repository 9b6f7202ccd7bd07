/* SPDX-License-Identifier: Apache-2.0 */
/* The writer against libpng: what we write, libpng reads back to the same samples and text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <png.h>

#include "base/rng.h"
#include "image/png.h"

struct source {
    const uint8_t *p;
    size_t left;
};

static void read_bytes(png_structp png, png_bytep out, size_t n)
{
    struct source *s = png_get_io_ptr(png);

    assert_true(n <= s->left);
    memcpy(out, s->p, n);
    s->p += n;
    s->left -= n;
}

static void complain(png_structp png, png_const_charp msg)
{
    (void)png;
    fail_msg("libpng: %s", msg);
}

/* libpng's samples, 16-bit ones native. Checks the text too. */
static void read_back(const uint8_t *file, size_t size, uint8_t *out, size_t stride,
                      const struct t3d_png_text *text, size_t n_text)
{
    struct source s = {file, size};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, complain, complain);
    png_infop info = png_create_info_struct(png);
    png_textp found;
    int n_found;

    png_set_read_fn(png, &s, read_bytes);
    png_read_info(png, info);
    if (png_get_bit_depth(png, info) == 16)
        png_set_swap(png);
    png_read_update_info(png, info);
    assert_int_equal(png_get_rowbytes(png, info), stride);
    for (uint32_t y = 0; y < png_get_image_height(png, info); y++)
        png_read_row(png, out + stride * y, NULL);
    png_get_text(png, info, &found, &n_found);
    assert_int_equal(n_found, n_text);
    for (size_t i = 0; i < n_text; i++) {
        assert_string_equal(found[i].key, text[i].key);
        assert_string_equal(found[i].text, text[i].value);
    }
    png_read_end(png, NULL);
    assert_int_equal(s.left, 0);
    png_destroy_read_struct(&png, &info, NULL);
}

enum { KINDS = 5 };

/* Pictures that reach every path: noise, flat, ramps, blank rows with specks, repeated stripes. */
static void paint(uint8_t *p, size_t stride, uint32_t height, int kind, struct t3d_rng *r)
{
    for (uint32_t y = 0; y < height; y++)
        for (size_t x = 0; x < stride; x++) {
            uint8_t v = 0;

            if (kind == 0)
                v = (uint8_t)t3d_rng_u32(r);
            else if (kind == 2)
                v = (uint8_t)(x / 3 + 2 * y);
            else if (kind == 3)
                v = t3d_rng_below(r, 97) == 0 ? (uint8_t)t3d_rng_u32(r) : 0;
            else if (kind == 4)
                v = (uint8_t)(y % 7 * 31 + x % 12);
            p[stride * y + x] = v;
        }
}

static void check_one(struct t3d_png_writer *w, uint32_t width, uint32_t height, int channels,
                      int depth, int kind)
{
    size_t stride = (size_t)width * (size_t)channels * (size_t)depth / 8, size;
    uint8_t *in = malloc(stride * height), *out = malloc(stride * height);
    struct t3d_rng r = t3d_rng_for(3, "png", (uint64_t)kind);
    const uint8_t *file;
    struct t3d_err err;

    paint(in, stride, height, kind, &r);
    if (t3d_png_encode(w, in, width, height, channels, depth, NULL, 0, &file, &size, &err) < 0)
        fail_msg("%s", err.msg);
    read_back(file, size, out, stride, NULL, 0);
    if (memcmp(in, out, stride * height) != 0)
        fail_msg("%u x %u, %d channels of %d bits, kind %d: pixels differ", width, height, channels,
                 depth, kind);
    free(in);
    free(out);
}

static void round_trips(void **state)
{
    static const uint32_t sides[] = {1, 2, 3, 5, 16, 17, 31, 33, 64, 129};
    static const int channels[] = {1, 3, 4};
    struct t3d_png_writer *w;

    (void)state;
    assert_int_equal(t3d_png_writer_new(&w, NULL), T3D_OK);
    for (size_t i = 0; i < T3D_COUNT(sides) * 4; i++)
        for (int k = 0; k < 3 * 2 * KINDS; k++)
            check_one(w, sides[i / 4], sides[(i / 4 + i % 4 * 3) % T3D_COUNT(sides)],
                      channels[k % 3], k / 3 % 2 ? 16 : 8, k / 6);
    for (int kind = 0; kind < KINDS; kind++)
        check_one(w, 700, 400, 4, 8, kind);
    t3d_png_writer_free(w);
}

static void text_chunks(void **state)
{
    static const struct t3d_png_text text[] = {
        {"Software", "t3d"}, {"Title", "caf\xc3\xa9 \xe6\xa4\x85"}, {"Comment", ""}};
    uint8_t in[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, out[12];
    struct t3d_png_writer *w;
    const uint8_t *file;
    size_t size;

    (void)state;
    assert_int_equal(t3d_png_writer_new(&w, NULL), T3D_OK);
    assert_int_equal(t3d_png_encode(w, in, 2, 2, 3, 8, text, 3, &file, &size, NULL), T3D_OK);
    read_back(file, size, out, 6, text, 3);
    assert_memory_equal(in, out, 12);
    t3d_png_writer_free(w);
}

static void bad_arguments(void **state)
{
    static const struct t3d_png_text no_key = {"", "x"};
    uint8_t px[8] = {0};
    struct t3d_png_writer *w;
    const uint8_t *f;
    size_t n;

    (void)state;
    assert_int_equal(t3d_png_writer_new(&w, NULL), T3D_OK);
    assert_int_equal(t3d_png_encode(w, px, 0, 1, 4, 8, NULL, 0, &f, &n, NULL), T3D_USAGE);
    assert_int_equal(t3d_png_encode(w, px, 1, 1, 2, 8, NULL, 0, &f, &n, NULL), T3D_USAGE);
    assert_int_equal(t3d_png_encode(w, px, 1, 1, 4, 4, NULL, 0, &f, &n, NULL), T3D_USAGE);
    assert_int_equal(t3d_png_encode(w, px, 1u << 30, 1u << 30, 4, 8, NULL, 0, &f, &n, NULL),
                     T3D_USAGE);
    assert_int_equal(t3d_png_encode(w, px, 1, 1, 4, 8, &no_key, 1, &f, &n, NULL), T3D_USAGE);
    t3d_png_writer_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(text_chunks),
        cmocka_unit_test(bad_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
