/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders against the libraries: each picture is written by libpng, libjpeg or libwebp itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

#include "base/arena.h"
#include "base/rng.h"
#include "image/image.h"
#include "image/image_impl.h"
#include "image/png.h"

static struct t3d_arena arena;

struct bytes {
    uint8_t *data;
    size_t size, capacity;
};

static void append(png_structp png, png_bytep data, size_t n)
{
    struct bytes *b = png_get_io_ptr(png);

    if (b->size + n > b->capacity) {
        b->capacity = 2 * (b->size + n);
        b->data = realloc(b->data, b->capacity);
    }
    memcpy(b->data + b->size, data, n);
    b->size += n;
}

static void flush(png_structp png)
{
    (void)png;
}

struct kind {
    int type, depth, trns, interlace, filters;
    uint32_t width, height;
    size_t idat; /* bytes an IDAT chunk at most; 0 = libpng's */
};

static void set_transparency(png_structp png, png_infop info, const struct kind *k)
{
    png_color palette[256];
    png_byte alpha[256];
    png_color_16 key = {1, 9, 9, 9, 1};

    for (int i = 0; i < 256; i++) {
        palette[i] = (png_color){(png_byte)i, (png_byte)(i * 7), (png_byte)(255 - i)};
        alpha[i] = (png_byte)(i * 3);
    }
    if (k->type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 1 << k->depth);
    if (k->trns)
        png_set_tRNS(png, info, alpha, (1 << k->depth) > 200 ? 200 : 1 << k->depth, &key);
}

/* Smooth with some noise, so that every filter and Paeth's every branch occurs. */
static struct bytes write_png(const struct kind *k)
{
    struct bytes b = {0};
    struct t3d_rng r = t3d_rng_for(1, "decode", (uint64_t)k->type);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t row[4096];

    png_set_write_fn(png, &b, append, flush);
    png_set_IHDR(png, info, k->width, k->height, k->depth, k->type,
                 k->interlace ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    set_transparency(png, info, k);
    png_set_filter(png, 0, k->filters);
    png_set_compression_level(png, 1);
    if (k->idat)
        png_set_compression_buffer_size(png, k->idat);
    png_write_info(png, info);
    for (int pass = png_set_interlace_handling(png); pass > 0; pass--)
        for (uint32_t y = 0; y < k->height; y++) {
            for (size_t i = 0; i < png_get_rowbytes(png, info); i++)
                row[i] = (uint8_t)(i * 3 + y * 5 + (t3d_rng_u32(&r) & 31));
            png_write_row(png, row);
        }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return b;
}

static void same_as_libpng(const struct kind *k, int expect_fast)
{
    struct bytes b = write_png(k);
    struct t3d_image_info info, probed;
    struct t3d_err err;
    size_t n = (size_t)k->width * k->height * 4;
    uint8_t *pixels, *want = malloc(n), *fast;

    if (t3d_image_probe(&probed, b.data, b.size, &err) < 0 ||
        t3d_image_decode(&info, &pixels, &arena, b.data, b.size, &err) < 0)
        fail_msg("type %d depth %d: %s", k->type, k->depth, err.msg);
    assert_int_equal(t3di_decode_libpng(want, &info, b.data, b.size, NULL), T3D_OK);
    assert_memory_equal(pixels, want, n);
    assert_int_equal(probed.width, k->width);
    assert_int_equal(probed.height, k->height);
    assert_int_equal(probed.has_alpha, k->trns || (k->type & PNG_COLOR_MASK_ALPHA));
    fast = t3d_alloc(&arena, t3di_png_room(&info), 1);
    assert_int_equal(t3di_decode_png_fast(fast, &info, &arena, b.data, b.size), expect_fast);
    if (expect_fast)
        assert_memory_equal(fast, want, n);
    free(want);
    free(b.data);
    t3d_arena_reset(&arena);
}

static void png_colour_types_and_filters(void **state)
{
    static const int types[5] = {0, 2, 3, 4, 6};
    static const int filters[6] = {PNG_FILTER_NONE, PNG_FILTER_SUB,   PNG_FILTER_UP,
                                   PNG_FILTER_AVG,  PNG_FILTER_PAETH, PNG_ALL_FILTERS};

    (void)state;
    for (int t = 0; t < 5; t++)
        for (int f = 0; f < 6; f++)
            for (uint32_t w = 1; w < 70; w += w < 20 ? 1 : 23) {
                struct kind k = {types[t],  8, types[t] == 3 && f % 2, 0, filters[f], w,
                                 1 + w % 9, 0};
                same_as_libpng(&k, 1);
            }
}

static void png_other_kinds(void **state)
{
    (void)state;
    for (int type = 0; type <= 6; type++)
        for (int depth = 1; depth <= 16; depth *= 2)
            for (int bits = 0; bits < 4; bits++) {
                struct kind k = {type, depth, bits & 1, bits >> 1, PNG_ALL_FILTERS, 37, 19, 0};
                int low = depth < 8;

                if (type == 1 || type == 5 || (low && type != 0 && type != 3) ||
                    (type == 3 && depth == 16) || (k.trns && type >= 4))
                    continue;
                same_as_libpng(&k, depth == 8 && !k.interlace && (!k.trns || type == 3));
            }
}

static void png_many_idat(void **state)
{
    struct kind k = {6, 8, 0, 0, PNG_ALL_FILTERS, 64, 64, 100};

    (void)state;
    same_as_libpng(&k, 1);
}

/* 16-bit samples are rounded: v * 255 / 65535 to the nearest. */
static void png_rounds_16_bits(void **state)
{
    struct bytes b = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    struct t3d_image_info got;
    uint8_t row[2 * 256], *pixels;

    (void)state;
    png_set_write_fn(png, &b, append, flush);
    png_set_IHDR(png, info, 256, 256, 16, PNG_COLOR_TYPE_GRAY, 0, 0, 0);
    png_set_gAMA(png, info, 1.0);
    png_write_info(png, info);
    for (int y = 0; y < 256; y++) {
        for (int x = 0; x < 256; x++) {
            row[2 * x] = (uint8_t)y;
            row[2 * x + 1] = (uint8_t)x;
        }
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(t3d_image_decode(&got, &pixels, &arena, b.data, b.size, NULL), T3D_OK);
    for (uint32_t v = 0; v < 65536; v++) {
        assert_int_equal(pixels[4 * v], (v * 255 + 32767) / 65535);
        assert_int_equal(pixels[4 * v + 3], 255);
    }
    free(b.data);
    t3d_arena_reset(&arena);
}

/* Depth pictures: all the values as they are, with any filter, whole files of their kind alone. */
static void png_16_bit_grey(void **state)
{
    static const struct kind other[] = {{0, 8, 0, 0, PNG_ALL_FILTERS, 20, 20, 0},
                                        {2, 16, 0, 0, PNG_ALL_FILTERS, 20, 20, 0},
                                        {4, 16, 0, 0, PNG_ALL_FILTERS, 20, 20, 0},
                                        {0, 16, 0, 1, PNG_ALL_FILTERS, 20, 20, 0}};
    static uint16_t pixels[37 * 29];
    struct t3d_png_writer *w;
    struct t3d_image_info info;
    struct t3d_err err;
    struct t3d_rng rng = t3d_rng_for(3, "grey", 0);
    uint16_t *got;
    const uint8_t *png;
    uint8_t *copy;
    size_t size;

    (void)state;
    for (int i = 0; i < 37 * 29; i++) /* smooth, noise, and what is nowhere */
        pixels[i] = (uint16_t)(i < 400   ? 60 * (uint32_t)i
                               : i < 800 ? t3d_rng_below(&rng, 65536)
                                         : 65535);
    assert_int_equal(t3d_png_writer_new(&w, &err), T3D_OK);
    assert_int_equal(t3d_png_encode(w, pixels, 37, 29, 1, 16, NULL, 0, &png, &size, &err), T3D_OK);
    assert_int_equal(t3d_image_decode_grey16(&info, &got, &arena, png, size, &err), T3D_OK);
    assert_int_equal(info.width, 37);
    assert_memory_equal(got, pixels, sizeof pixels);
    copy = malloc(size);
    for (size_t i = 0; i < size; i++) {
        memcpy(copy, png, size);
        copy[i] ^= 0x41;
        if (t3d_image_decode_grey16(&info, &got, &arena, copy, size, &err) == T3D_OK)
            assert_memory_equal(got, pixels, sizeof pixels);
        t3d_arena_reset(&arena);
    }
    for (size_t n = 0; n < size; n++) {
        uint8_t *cut = malloc(n ? n : 1);

        memcpy(cut, png, n);
        assert_int_equal(t3d_image_decode_grey16(&info, &got, &arena, cut, n, &err), T3D_SKIP);
        free(cut);
        t3d_arena_reset(&arena);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct bytes b = write_png(&other[i]);

        assert_int_equal(t3d_image_decode_grey16(&info, &got, &arena, b.data, b.size, &err),
                         T3D_SKIP);
        assert_string_equal(err.reason, "bad-image");
        free(b.data);
    }
    free(copy);
    t3d_png_writer_free(w);
    t3d_arena_reset(&arena);
}

/* Filters of libpng's choice. */
static void png_16_bit_grey_of_libpng(void **state)
{
    struct kind k = {0, 16, 0, 0, PNG_ALL_FILTERS, 61, 33, 100};
    struct bytes b = write_png(&k);
    struct t3d_image_info info;
    uint16_t *got;
    uint8_t *rounded;

    (void)state;
    assert_int_equal(t3d_image_decode_grey16(&info, &got, &arena, b.data, b.size, NULL), T3D_OK);
    assert_int_equal(t3d_image_decode(&info, &rounded, &arena, b.data, b.size, NULL), T3D_OK);
    for (size_t i = 0; i < 61 * 33; i++)
        assert_int_equal(rounded[4 * i], (got[i] * 255u + 32767) / 65535);
    free(b.data);
    t3d_arena_reset(&arena);
}

/* Every cut and every flipped byte gives a clear error or the true picture, never another one:
 * chunks carry CRCs, and only what lies behind the pixels may be passed over. */
static void png_damage(void **state)
{
    struct kind k = {6, 8, 0, 0, PNG_ALL_FILTERS, 20, 20, 0};
    struct bytes b = write_png(&k);
    struct t3d_image_info info;
    uint8_t *pixels, truth[20 * 20 * 4];
    struct t3d_err err;

    (void)state;
    assert_int_equal(t3d_image_decode(&info, &pixels, &arena, b.data, b.size, NULL), T3D_OK);
    memcpy(truth, pixels, sizeof truth);
    for (size_t n = 0; n < b.size; n++) {
        uint8_t *cut = malloc(n ? n : 1);

        memcpy(cut, b.data, n);
        assert_int_equal(t3d_image_decode(&info, &pixels, &arena, cut, n, &err), T3D_SKIP);
        assert_string_equal(err.reason, n < 8 ? "not-an-image" : "bad-image");
        free(cut);
        t3d_arena_reset(&arena);
    }
    for (size_t i = 0; i < b.size; i++) {
        b.data[i] ^= 0x41;
        if (t3d_image_decode(&info, &pixels, &arena, b.data, b.size, &err) == T3D_OK)
            assert_memory_equal(pixels, truth, sizeof truth);
        b.data[i] ^= 0x41;
        t3d_arena_reset(&arena);
    }
    free(b.data);
}

struct jpeg_kind {
    J_COLOR_SPACE in, stored;
    int n, progressive, adobe;
};

static void write_jpeg(unsigned char **out, unsigned long *size, const uint8_t *px, int w, int h,
                       const struct jpeg_kind *k)
{
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr e;

    j.err = jpeg_std_error(&e);
    jpeg_create_compress(&j);
    *out = NULL;
    jpeg_mem_dest(&j, out, size);
    j.image_width = (JDIMENSION)w;
    j.image_height = (JDIMENSION)h;
    j.input_components = k->n;
    j.in_color_space = k->in;
    jpeg_set_defaults(&j);
    jpeg_set_colorspace(&j, k->stored);
    jpeg_set_quality(&j, 98, TRUE);
    for (int c = 0; c < j.num_components; c++)
        j.comp_info[c].h_samp_factor = j.comp_info[c].v_samp_factor = 1;
    j.write_Adobe_marker = k->adobe;
    if (k->progressive)
        jpeg_simple_progression(&j);
    jpeg_start_compress(&j, TRUE);
    while (j.next_scanline < j.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(px + (size_t)j.next_scanline * (size_t)(w * k->n));
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
}

enum { JW = 40, JH = 24 };

/* RGB that every stored kind can hold closely; ink is what it is made of. */
static void paint_jpeg(uint8_t *px, const struct jpeg_kind *k, uint8_t want[JH][JW][3])
{
    for (int y = 0; y < JH; y++)
        for (int x = 0; x < JW; x++)
            for (int c = 0; c < k->n; c++) {
                int v = c == 3 ? 60 + y * 2 : c == 0 || k->n == 1 ? x * 6 : c == 1 ? y * 9 : 128;

                px[(y * JW + x) * k->n + c] = (uint8_t)v;
            }
    for (int y = 0; y < JH; y++)
        for (int x = 0; x < JW; x++)
            for (int c = 0; c < 3; c++) {
                const uint8_t *p = px + (y * JW + x) * k->n;
                double ink = p[c] / 255., black = p[3 % k->n] / 255.;

                want[y][x][c] = k->n == 1 ? p[0] : p[c];
                if (k->n == 4) /* Adobe stores 255 - ink */
                    want[y][x][c] =
                        (uint8_t)(255 * (k->adobe ? ink * black : (1 - ink) * (1 - black)) + .5);
            }
}

static void jpeg_colours(void **state)
{
    static const struct jpeg_kind kinds[] = {
        {JCS_RGB, JCS_YCbCr, 3, 0, 0}, {JCS_RGB, JCS_YCbCr, 3, 1, 0},
        {JCS_RGB, JCS_RGB, 3, 0, 1},   {JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 0, 0},
        {JCS_CMYK, JCS_CMYK, 4, 0, 0}, {JCS_CMYK, JCS_CMYK, 4, 0, 1},
        {JCS_CMYK, JCS_YCCK, 4, 0, 1}, {JCS_CMYK, JCS_YCCK, 4, 1, 1},
    };
    static uint8_t px[JH * JW * 4], want[JH][JW][3];

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(kinds); i++) {
        struct t3d_image_info info;
        unsigned char *file;
        unsigned long size;
        struct t3d_err err;
        uint8_t *got;

        paint_jpeg(px, &kinds[i], want);
        write_jpeg(&file, &size, px, JW, JH, &kinds[i]);
        if (t3d_image_decode(&info, &got, &arena, file, size, &err) < 0)
            fail_msg("kind %zu: %s", i, err.msg);
        assert_int_equal(info.width, JW);
        assert_int_equal(info.height, JH);
        assert_int_equal(info.channels, kinds[i].n);
        for (int p = 0; p < JW * JH; p++) {
            for (int c = 0; c < 3; c++)
                if (abs(got[4 * p + c] - (&want[0][0][0])[3 * p + c]) > 6)
                    fail_msg("kind %zu, pixel %d, channel %d: %d, want %d", i, p, c, got[4 * p + c],
                             (&want[0][0][0])[3 * p + c]);
            assert_int_equal(got[4 * p + 3], 255);
        }
        free(file);
        t3d_arena_reset(&arena);
    }
}

static void jpeg_cut_short(void **state)
{
    static const struct jpeg_kind kinds[2] = {{JCS_RGB, JCS_YCbCr, 3, 0, 0},
                                              {JCS_RGB, JCS_YCbCr, 3, 1, 0}};
    static uint8_t px[JH * JW * 3], want[JH][JW][3];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct t3d_image_info info;
        unsigned char *file;
        unsigned long size;
        struct t3d_err err;
        uint8_t *got;

        paint_jpeg(px, &kinds[i], want);
        write_jpeg(&file, &size, px, JW, JH, &kinds[i]);
        for (size_t n = 3; n < size; n++) {
            uint8_t *cut = malloc(n);

            memcpy(cut, file, n);
            if (t3d_image_decode(&info, &got, &arena, cut, n, &err) != T3D_SKIP)
                fail_msg("kind %d: %zu of %lu bytes were accepted", i, n, size);
            assert_string_equal(err.reason, "bad-image");
            free(cut);
            t3d_arena_reset(&arena);
        }
        free(file);
    }
}

static void webp_lossless(void **state)
{
    static uint8_t px[30 * 17 * 4];
    struct t3d_rng r = t3d_rng_for(5, "webp", 0);
    struct t3d_image_info info;
    uint8_t *file, *got;
    struct t3d_err err;
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof px; i++)
        px[i] = (uint8_t)(i % 4 == 3 ? 128 + (t3d_rng_u32(&r) & 127) : t3d_rng_u32(&r));
    size = WebPEncodeLosslessRGBA(px, 30, 17, 120, &file);
    assert_int_equal(t3d_image_decode(&info, &got, &arena, file, size, NULL), T3D_OK);
    assert_int_equal(info.format, T3D_IMAGE_WEBP);
    assert_int_equal(info.channels, 4);
    assert_memory_equal(got, px, sizeof px);
    for (size_t n = 12; n < size; n += 5) {
        assert_int_equal(t3d_image_decode(&info, &got, &arena, file, n, &err), T3D_SKIP);
        assert_string_equal(err.reason, "bad-image");
    }
    WebPFree(file);
    size = WebPEncodeRGBA(px, 30, 17, 120, 80, &file); /* VP8X: lossy with alpha */
    assert_int_equal(t3d_image_decode(&info, &got, &arena, file, size, NULL), T3D_OK);
    assert_int_equal(info.has_alpha, 1);
    WebPFree(file);
    size = WebPEncodeRGB(px, 30, 17, 90, 80, &file); /* plain VP8 */
    assert_int_equal(t3d_image_decode(&info, &got, &arena, file, size, NULL), T3D_OK);
    assert_int_equal(info.channels, 3);
    assert_int_equal(info.width, 30);
    WebPFree(file);
    t3d_arena_reset(&arena);
}

static void probe_limits(void **state)
{
    struct kind k = {2, 8, 0, 0, PNG_FILTER_NONE, 4, 4, 0};
    struct bytes b = write_png(&k);
    struct t3d_image_info info;
    struct t3d_err err;

    (void)state;
    t3di_put_be32(b.data + 16, T3D_IMAGE_MAX_SIDE + 1);
    assert_int_equal(t3d_image_probe(&info, b.data, b.size, &err), T3D_SKIP);
    assert_string_equal(err.reason, "image-too-large");
    t3di_put_be32(b.data + 16, T3D_IMAGE_MAX_SIDE);
    t3di_put_be32(b.data + 20, T3D_IMAGE_MAX_SIDE);
    assert_int_equal(t3d_image_probe(&info, b.data, b.size, &err), T3D_SKIP);
    assert_string_equal(err.reason, "image-too-large");
    t3di_put_be32(b.data + 20, 4096);
    assert_int_equal(t3d_image_probe(&info, b.data, b.size, &err), T3D_OK);
    t3di_put_be32(b.data + 20, 0);
    assert_int_equal(t3d_image_probe(&info, b.data, b.size, &err), T3D_SKIP);
    assert_string_equal(err.reason, "bad-image");
    assert_int_equal(t3d_image_probe(&info, (const uint8_t *)"GIF89a", 6, &err), T3D_SKIP);
    assert_string_equal(err.reason, "not-an-image");
    free(b.data);
}

static void jpeg_probe_skips_thumbnail(void **state)
{
    /* SOI, APP1 holding another SOI and SOF0 (9 x 9), fill bytes, DHT, SOF2 (300 x 200). */
    static const uint8_t file[] = {
        0xff, 0xd8, 0xff, 0xe1, 0,    15,   0xff, 0xd8, 0xff, 0xc0, 0,    11,   8,    0,    9,
        0,    9,    1,    0,    0xff, 0xff, 0xff, 0xc4, 0,    3,    0,    0xff, 0xc2, 0,    17,
        8,    0,    200,  1,    44,   3,    1,    0x11, 0,    2,    0x11, 1,    3,    0x11, 1};
    struct t3d_image_info info;

    (void)state;
    assert_int_equal(t3d_image_probe(&info, file, sizeof file, NULL), T3D_OK);
    assert_int_equal(info.format, T3D_IMAGE_JPEG);
    assert_int_equal(info.width, 300);
    assert_int_equal(info.height, 200);
    for (size_t n = 0; n < sizeof file - 1; n++) {
        uint8_t *cut = malloc(n ? n : 1);

        memcpy(cut, file, n);
        assert_int_equal(t3d_image_probe(&info, cut, n, NULL), T3D_SKIP);
        free(cut);
    }
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
        cmocka_unit_test(png_colour_types_and_filters),
        cmocka_unit_test(png_other_kinds),
        cmocka_unit_test(png_many_idat),
        cmocka_unit_test(png_rounds_16_bits),
        cmocka_unit_test(png_16_bit_grey),
        cmocka_unit_test(png_16_bit_grey_of_libpng),
        cmocka_unit_test(png_damage),
        cmocka_unit_test(jpeg_colours),
        cmocka_unit_test(jpeg_cut_short),
        cmocka_unit_test(webp_lossless),
        cmocka_unit_test(probe_limits),
        cmocka_unit_test(jpeg_probe_skips_thumbnail),
    };

    return cmocka_run_group_tests(tests, NULL, free_arena);
}
