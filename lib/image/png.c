/* SPDX-License-Identifier: Apache-2.0 */
#include "image/png.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "image/deflate.h"
#include "image/image_impl.h"
#include "image/png_filter_impl.h"

/* Largest amount of filtered bytes, so that the one IDAT chunk stays below 2^31 (PNG section 5.3).
 */
enum { MAX_RAW = 1 << 30 };

struct buffer {
    uint8_t *data;
    size_t capacity;
};

struct t3d_png_writer {
    struct t3di_deflate *deflate;
    struct buffer raw, out;
    struct buffer scratch; /* two rows, then a picture of swapped samples */
};

int t3d_png_writer_new(struct t3d_png_writer **out, struct t3d_err *err)
{
    struct t3d_png_writer *w = calloc(1, sizeof *w);

    if (w)
        w->deflate = t3di_deflate_new();
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
    t3di_deflate_free(w->deflate);
    free(w->raw.data);
    free(w->out.data);
    free(w->scratch.data);
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

/* 16-bit samples are big-endian in the file: a copy of the picture. */
static void swap_samples(uint8_t *out, const uint16_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = (uint8_t)(in[i] >> 8);
        out[2 * i + 1] = (uint8_t)in[i];
    }
}

/* Up (2) or Paeth (4) for each row, whichever leaves less; a row equal to the one above costs only
 * the comparison. The other filters gain less than 1 % on renders. scratch holds two rows. */
static void filter_rows(uint8_t *raw, const uint8_t *pixels, size_t n, uint32_t height, size_t bpp,
                        uint8_t *scratch)
{
    int avx2 = t3d_isa() >= T3D_ISA_AVX2;
    t3di_filter_fn *up = avx2 ? t3di_filter_up_avx2 : t3di_filter_up;
    t3di_filter_fn *paeth = avx2 ? t3di_filter_paeth_avx2 : t3di_filter_paeth;
    const uint8_t *above = memset(scratch, 0, n);

    for (uint32_t y = 0; y < height; y++, pixels += n, raw += n + 1) {
        raw[0] = 2;
        if (memcmp(pixels, above, n) == 0) {
            memset(raw + 1, 0, n);
        } else if (up(raw + 1, pixels, above, n, bpp) > paeth(scratch + n, pixels, above, n, bpp)) {
            raw[0] = 4;
            memcpy(raw + 1, scratch + n, n);
        }
        above = pixels;
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
    bound = t3di_deflate_bound(raw_size);
    if (reserve(&w->raw, raw_size) < 0 ||
        reserve(&w->scratch, 2 * n + (depth == 16 ? n * height : 0)) < 0 ||
        reserve(&w->out, 8 + 25 + extra + 12 + bound + 12) < 0)
        return t3d_err_nomem(err, "a PNG picture");
    if (depth == 16) {
        swap_samples(w->scratch.data + 2 * n, pixels, samples * height);
        pixels = w->scratch.data + 2 * n;
    }
    filter_rows(w->raw.data, pixels, n, height, n / width, w->scratch.data);
    p = put_header(w->out.data, width, height, channels, depth);
    for (size_t i = 0; i < n_text; i++)
        p = put_text(p, &text[i]);
    n = t3di_deflate_zlib(w->deflate, p + 8, w->raw.data, raw_size, n + 1, n / width);
    p = finish_chunk(p, "IDAT", n);
    p = finish_chunk(p, "IEND", 0);
    *png = w->out.data;
    *size = (size_t)(p - w->out.data);
    return T3D_OK;
}
