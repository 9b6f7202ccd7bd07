/* SPDX-License-Identifier: Apache-2.0 */
/* The common PNG kinds without libpng: all IDAT bytes inflated in one call, rows unfiltered and
 * widened to RGBA in place. Whatever looks odd or damaged is handed to libpng, which gives the
 * verdict. */
#include <libdeflate.h>
#include <string.h>

#include "base/arena.h"
#include "base/isa.h"
#include "image/image_impl.h"

enum { SLACK = 64 }; /* vector code may touch this much behind a row */

struct png {
    uint32_t width, height;
    int bpp, type;
    uint8_t palette[256][4];
    const uint8_t *idat; /* zlib stream: in the file, or joined in the arena */
    size_t idat_size;
};

struct chunk {
    const uint8_t *type, *data;
    uint32_t length;
};

/* The chunk at *pos, and on to the next. 0 when cut short or its CRC is wrong. */
static int next_chunk(struct chunk *c, const uint8_t *data, size_t size, size_t *pos)
{
    const uint8_t *p = data + *pos;
    size_t left = size - *pos;

    if (left < 12)
        return 0;
    c->length = t3di_be32(p);
    if (c->length > left - 12)
        return 0;
    c->type = p + 4;
    c->data = p + 8;
    *pos += 12 + (size_t)c->length;
    return libdeflate_crc32(0, c->type, 4 + (size_t)c->length) == t3di_be32(c->data + c->length);
}

static int is(const struct chunk *c, const char *type)
{
    return memcmp(c->type, type, 4) == 0;
}

static int read_palette(struct png *p, const struct chunk *c)
{
    if (c->length == 0 || c->length > 768 || c->length % 3)
        return 0;
    for (uint32_t i = 0; i < c->length / 3; i++)
        memcpy(p->palette[i], c->data + 3 * (size_t)i, 3);
    return 1;
}

static int read_transparency(struct png *p, const struct chunk *c)
{
    if (p->type != 3 || c->length > 256)
        return 0;
    for (uint32_t i = 0; i < c->length; i++)
        p->palette[i][3] = c->data[i];
    return 1;
}

/* One pass over the chunks: palette, and where the IDAT chunks begin, how many and how long. */
static int read_chunks(struct png *p, const uint8_t *data, size_t size, int *n_idat)
{
    int n = 0, ended = 0, palette = 0;
    size_t pos = 33, total = 0;
    struct chunk c;

    for (;;) {
        if (!next_chunk(&c, data, size, &pos))
            return 0;
        if (is(&c, "IEND"))
            break;
        if (is(&c, "IDAT")) {
            if (ended)
                return 0; /* not in a row */
            if (!n++)
                p->idat = c.data;
            total += c.length;
            continue;
        }
        ended = n > 0;
        if (is(&c, "PLTE")) {
            if (palette++ || n || !read_palette(p, &c))
                return 0;
        } else if (is(&c, "tRNS")) {
            if (!palette || n || !read_transparency(p, &c))
                return 0;
        } else if (!(c.type[0] & 0x20)) {
            return 0; /* critical and unknown */
        }
    }
    p->idat_size = total;
    *n_idat = n;
    return n > 0 && (p->type != 3 || palette);
}

static int find_idat(struct png *p, struct t3d_arena *a, const uint8_t *data, size_t size)
{
    uint8_t *joined;
    int n;

    if (!read_chunks(p, data, size, &n))
        return 0;
    if (n == 1)
        return 1;
    joined = t3d_alloc_raw(a, p->idat_size, 1);
    if (!joined)
        return 0;
    for (size_t pos = (size_t)(p->idat - data) - 8, at = 0; at < p->idat_size;) {
        uint32_t length = t3di_be32(data + pos);

        memcpy(joined + at, data + pos + 8, length);
        at += length;
        pos += 12 + (size_t)length;
    }
    p->idat = joined;
    return 1;
}

static int inflate_all(const struct png *p, uint8_t *raw, size_t raw_size)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    enum libdeflate_result r;

    if (!d)
        return 0;
    r = libdeflate_zlib_decompress(d, p->idat, p->idat_size, raw, raw_size, NULL);
    libdeflate_free_decompressor(d);
    return r == LIBDEFLATE_SUCCESS;
}

/* One unfiltered row to RGBA. The compiler turns these loops into shuffles where it can. */
static void widen(uint8_t *restrict out, const uint8_t *restrict row, const struct png *p)
{
    uint32_t w = p->width;

    switch (p->type) {
    case 0:
        for (uint32_t x = 0; x < w; x++) {
            uint32_t v = row[x] * 0x010101u | 0xff000000u;
            const uint8_t px[4] = {(uint8_t)v, (uint8_t)v, (uint8_t)v, 255};
            memcpy(out + 4 * (size_t)x, px, 4);
        }
        break;
    case 2:
        for (uint32_t x = 0; x < w; x++) {
            const uint8_t *s = row + 3 * (size_t)x;
            const uint8_t px[4] = {s[0], s[1], s[2], 255};
            memcpy(out + 4 * (size_t)x, px, 4);
        }
        break;
    case 3:
        for (uint32_t x = 0; x < w; x++)
            memcpy(out + 4 * (size_t)x, p->palette[row[x]], 4);
        break;
    default: /* 4: grey and alpha */
        for (uint32_t x = 0; x < w; x++) {
            uint8_t v = row[2 * (size_t)x];
            const uint8_t px[4] = {v, v, v, row[2 * (size_t)x + 1]};
            memcpy(out + 4 * (size_t)x, px, 4);
        }
    }
}

/* The filtered rows lie at the end of the pixel buffer: row y of the result, written from the
 * front, ends at or before row y + 1 of them begins, because a result row is never shorter in
 * relation. */
static int unfilter_all(const struct png *p, uint8_t *pixels, const uint8_t *raw, uint8_t *scratch)
{
    t3di_unfilter_fn *unfilter =
        t3d_isa() >= T3D_ISA_AVX2 ? t3di_png_unfilter_avx2 : t3di_png_unfilter;
    size_t n = (size_t)p->width * (size_t)p->bpp, stride = (size_t)p->width * 4;
    const uint8_t *above = scratch;
    int direct = p->bpp == 4;

    for (uint32_t y = 0; y < p->height; y++, raw += n + 1) {
        uint8_t *out = direct ? pixels + stride * y : scratch + (n + SLACK) * (1 + y % 2);

        if (raw[0] > 4)
            return 0;
        unfilter(out, raw + 1, above, n, p->bpp, raw[0]);
        if (!direct)
            widen(pixels + stride * y, out, p);
        above = out;
    }
    return 1;
}

size_t t3di_png_room(const struct t3d_image_info *info)
{
    return (size_t)info->height * ((size_t)info->width * 4 + 1) + SLACK;
}

/* 8-bit pictures of the fast kinds, or 16-bit grey: what the header says, its CRC and no interlace.
 */
static int is_kind(const uint8_t *data, int depth)
{
    return data[24] == depth && !data[28] && (depth == 8 || data[25] == 0) &&
           libdeflate_crc32(0, data + 12, 17) == t3di_be32(data + 29);
}

int t3di_decode_png_grey16(uint16_t *pixels, const struct t3d_image_info *info, struct t3d_arena *a,
                           const uint8_t *data, size_t size)
{
    struct png p = {.width = info->width, .height = info->height, .bpp = 2};
    size_t n = 2 * (size_t)p.width, raw_size = (n + 1) * p.height;
    uint8_t *raw, *row, *above;

    if (!is_kind(data, 16))
        return 0;
    raw = t3d_alloc_raw(a, raw_size + SLACK, 1);
    row = t3d_alloc(a, n + SLACK, 2);
    if (!raw || !row || !find_idat(&p, a, data, size) || !inflate_all(&p, raw, raw_size))
        return 0;
    above = row + n + SLACK;
    for (uint32_t y = 0; y < p.height; y++, raw += n + 1, pixels += p.width) {
        uint8_t *done = row;

        if (raw[0] > 4)
            return 0;
        t3di_png_unfilter(row, raw + 1, above, n, p.bpp, raw[0]);
        for (uint32_t x = 0; x < p.width; x++)
            pixels[x] = (uint16_t)(row[2 * (size_t)x] << 8 | row[2 * (size_t)x + 1]);
        row = above;
        above = done;
    }
    return 1;
}

int t3di_decode_png_fast(uint8_t *pixels, const struct t3d_image_info *info, struct t3d_arena *a,
                         const uint8_t *data, size_t size)
{
    static const int bytes[7] = {1, 0, 3, 1, 2, 0, 4};
    struct png p = {info->width, info->height, bytes[data[25]], data[25], {{0}}, NULL, 0};
    size_t n = (size_t)p.width * (size_t)p.bpp, raw_size = (n + 1) * p.height;
    size_t room = (size_t)p.width * 4 * p.height;
    uint8_t *scratch, *raw = raw_size < room ? pixels + (room - raw_size) : pixels;

    if (!is_kind(data, 8))
        return 0;
    for (int i = 0; i < 256; i++)
        p.palette[i][3] = 255;
    scratch = t3d_alloc_raw(a, n + SLACK, 3);
    if (!scratch || !find_idat(&p, a, data, size) || !inflate_all(&p, raw, raw_size))
        return 0;
    memset(scratch, 0, n + SLACK); /* the row above the first */
    return unfilter_all(&p, pixels, raw, scratch);
}
