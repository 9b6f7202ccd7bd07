/* SPDX-License-Identifier: Apache-2.0 */
#include "image/png.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_impl.h"

/* Level 1: on filtered renders higher levels cost time and gain little. */
enum { LEVEL = 1 };

/* Largest amount of filtered bytes, so that the one IDAT chunk stays below 2^31 (PNG section 5.3).
 */
enum { MAX_RAW = 1 << 30 };

struct buffer {
    uint8_t *data;
    size_t capacity;
};

struct t3d_png_writer {
    struct libdeflate_compressor *deflate;
    struct buffer raw, out;
};

int t3d_png_writer_new(struct t3d_png_writer **out, struct t3d_err *err)
{
    struct t3d_png_writer *w = calloc(1, sizeof *w);

    if (w)
        w->deflate = libdeflate_alloc_compressor(LEVEL);
    if (!w || !w->deflate) {
        free(w);
        return t3d_err_nomem(err, "a PNG writer");
    }
    *out = w;
    return T3D_OK;
}

void t3d_png_writer_free(struct t3d_png_writer *w)
{
    if (!w)
        return;
    libdeflate_free_compressor(w->deflate);
    free(w->raw.data);
    free(w->out.data);
    free(w);
}

static int reserve(struct buffer *b, size_t n)
{
    if (n <= b->capacity)
        return 0;
    free(b->data);
    b->data = malloc(n);
    b->capacity = b->data ? n : 0;
    return b->data ? 0 : -1;
}

static int is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return 0;
    return 1;
}

/* A chunk of n bytes whose data already lie at p + 8; returns its end. */
static uint8_t *finish_chunk(uint8_t *p, const char type[4], size_t n)
{
    t3di_put_be32(p, (uint32_t)n);
    memcpy(p + 4, type, 4);
    t3di_put_be32(p + 8 + n, libdeflate_crc32(0, p + 4, n + 4));
    return p + 12 + n;
}

static uint8_t *put_header(uint8_t *p, uint32_t width, uint32_t height, int channels, int depth)
{
    static const uint8_t type[5] = {0, 0, 0, 2, 6};

    memcpy(p, t3di_png_signature, 8);
    p += 8;
    t3di_put_be32(p + 8, width);
    t3di_put_be32(p + 12, height);
    p[16] = (uint8_t)depth;
    p[17] = type[channels];
    memset(p + 18, 0, 3);
    return finish_chunk(p, "IHDR", 13);
}

/* tEXt: key NUL value; iTXt: key NUL, not compressed, no language, no translated key, value. */
static uint8_t *put_text(uint8_t *p, const struct t3d_png_text *t)
{
    size_t key = strlen(t->key), value = strlen(t->value);
    int ascii = is_ascii(t->value);
    size_t gap = ascii ? 1 : 5;

    memcpy(p + 8, t->key, key);
    memset(p + 8 + key, 0, gap);
    memcpy(p + 8 + key + gap, t->value, value);
    return finish_chunk(p, ascii ? "tEXt" : "iTXt", key + gap + value);
}

static int check(uint32_t width, uint32_t height, int channels, int depth,
                 const struct t3d_png_text *text, size_t n_text, size_t *extra, struct t3d_err *err)
{
    if (channels != 1 && channels != 3 && channels != 4)
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "PNG with %d channels, not 1, 3 or 4",
                           channels);
    if (depth != 8 && depth != 16)
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "PNG of depth %d, not 8 or 16", depth);
    if (!width || !height || width > INT32_MAX || height > INT32_MAX ||
        ((uint64_t)width * 8 + 1) * height > MAX_RAW)
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "PNG of %u x %u pixels", width, height);
    for (size_t i = 0; i < n_text; i++) {
        size_t key = strlen(text[i].key), value = strlen(text[i].value);

        if (key < 1 || key > 79 || !is_ascii(text[i].key) || value > MAX_RAW)
            return t3d_err_set(err, T3D_USAGE, "bad-argument",
                               "PNG text key '%.80s' is not 1 to 79 ASCII characters, or its value "
                               "is too long",
                               text[i].key);
        *extra += 12 + key + 5 + value;
    }
    return T3D_OK;
}

/* One row as PNG wants its samples: 16-bit ones big-endian. */
static void swap_row(uint8_t *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = (uint8_t)(in[i] >> 8);
        out[2 * i + 1] = (uint8_t)in[i];
    }
}

/* Filter Up for every row: on renders as small as a choice by row, and the cheapest. */
static void filter_rows(uint8_t *restrict raw, const uint8_t *restrict pixels, size_t n,
                        uint32_t height)
{
    raw[0] = 2;
    memcpy(raw + 1, pixels, n);
    for (uint32_t y = 1; y < height; y++) {
        const uint8_t *above = pixels + n * (y - 1), *row = above + n;
        uint8_t *out = raw + (n + 1) * y;

        *out++ = 2;
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(row[i] - above[i]);
    }
}

/* From the last row up, so that the swapped row above is still there when it is wanted. */
static void filter_rows_16(uint8_t *raw, const uint16_t *pixels, size_t samples, uint32_t height)
{
    size_t n = samples * 2;

    for (uint32_t y = 0; y < height; y++) {
        uint8_t *out = raw + (n + 1) * y;

        *out++ = 2;
        swap_row(out, pixels + samples * y, samples);
    }
    for (uint32_t y = height - 1; y > 0; y--) {
        uint8_t *row = raw + (n + 1) * y + 1;
        const uint8_t *above = row - (n + 1);

        for (size_t i = 0; i < n; i++)
            row[i] = (uint8_t)(row[i] - above[i]);
    }
}

int t3d_png_encode(struct t3d_png_writer *w, const void *pixels, uint32_t width, uint32_t height,
                   int channels, int depth, const struct t3d_png_text *text, size_t n_text,
                   const uint8_t **png, size_t *size, struct t3d_err *err)
{
    size_t extra = 0, samples, n, raw_size, bound;
    uint8_t *p;
    int r = check(width, height, channels, depth, text, n_text, &extra, err);

    if (r < 0)
        return r;
    samples = (size_t)width * (size_t)channels;
    n = samples * (size_t)depth / 8;
    raw_size = (n + 1) * height;
    bound = libdeflate_zlib_compress_bound(w->deflate, raw_size);
    if (reserve(&w->raw, raw_size) < 0 || reserve(&w->out, 8 + 25 + extra + 12 + bound + 12) < 0)
        return t3d_err_nomem(err, "a PNG picture");
    if (depth == 16)
        filter_rows_16(w->raw.data, pixels, samples, height);
    else
        filter_rows(w->raw.data, pixels, n, height);
    p = put_header(w->out.data, width, height, channels, depth);
    for (size_t i = 0; i < n_text; i++)
        p = put_text(p, &text[i]);
    n = libdeflate_zlib_compress(w->deflate, w->raw.data, raw_size, p + 8, bound);
    p = finish_chunk(p, "IDAT", n);
    p = finish_chunk(p, "IEND", 0);
    *png = w->out.data;
    *size = (size_t)(p - w->out.data);
    return T3D_OK;
}
