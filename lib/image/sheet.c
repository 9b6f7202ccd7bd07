/* SPDX-License-Identifier: Apache-2.0 */
#include "image/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "image/image_impl.h"
#include "image/png.h"
#include "image/resize.h"
#include "image/sheet_impl.h"

enum { MARGIN = 24, GAP = 8, RADIUS = 7, SQUARE = 8 };

/* Colours, 0xRRGGBB. */
enum {
    PAGE = 0xf4f5f7,
    BORDER = 0xd5d9df,
    INK = 0x1f2933,
    PALE_INK = 0x6b7785,
    CHECK_A = 0xffffff,
    CHECK_B = 0xeceef1
};

struct t3d_sheet {
    struct t3d_sheet_style style;
    uint32_t width, height;  /* so far */
    uint32_t cell_y, column; /* of the row begun last; column = cells already set */
    uint32_t scale;          /* of the letters: 1 or 2 */
    uint8_t *rgb;            /* (height, width, 3) */
    size_t capacity;
    struct t3d_arena scratch;
};

static uint8_t mix(int a, int b, int alpha) /* a over b */
{
    return (uint8_t)((a * alpha + b * (255 - alpha) + 127) / 255);
}

/* Colour over the pixel with an opacity of 0-255. */
static void blend(uint8_t *px, uint32_t colour, int alpha)
{
    px[0] = mix((int)(colour >> 16), px[0], alpha);
    px[1] = mix((int)(colour >> 8 & 255), px[1], alpha);
    px[2] = mix((int)(colour & 255), px[2], alpha);
}

static uint8_t *at(const struct t3d_sheet *s, uint32_t x, uint32_t y)
{
    return s->rgb + ((size_t)s->width * y + x) * 3;
}

static uint32_t line_height(const struct t3d_sheet *s)
{
    return (T3DI_GLYPH_ROWS + 3) * s->scale;
}

static uint32_t row_height(const struct t3d_sheet *s)
{
    return line_height(s) + 4 + s->style.cell + MARGIN;
}

/* More page at the bottom. */
static int grow(struct t3d_sheet *s, uint32_t lines, struct t3d_err *err)
{
    size_t stride = (size_t)s->width * 3, used = stride * s->height, need = used + stride * lines;

    if (need > s->capacity) {
        size_t capacity = T3D_MAX(need, s->capacity + s->capacity / 2);
        uint8_t *p = realloc(s->rgb, capacity);

        if (!p)
            return t3d_err_nomem(err, "a contact sheet");
        s->rgb = p;
        s->capacity = capacity;
    }
    for (size_t i = used; i < need; i += 3) {
        s->rgb[i] = PAGE >> 16;
        s->rgb[i + 1] = PAGE >> 8 & 255;
        s->rgb[i + 2] = PAGE & 255;
    }
    s->height += lines;
    return T3D_OK;
}

/* One code point of UTF-8; a byte that does not fit becomes U+FFFD. */
static uint32_t next_code(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : -1;
    uint32_t code = more <= 0 ? p[0] : p[0] & (0x3fu >> more);

    *text += 1;
    if (more < 0)
        return 0xfffd;
    for (int i = 1; i <= more; i++, (*text)++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0xfffd;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code;
}

static size_t count_codes(const char *text)
{
    size_t n = 0;

    for (; *text; n++)
        next_code(&text);
    return n;
}

static int bit(const uint8_t *glyph, int x, int y)
{
    if (x < 0 || y < 0 || x >= T3DI_GLYPH_COLUMNS || y >= T3DI_GLYPH_ROWS)
        return 0;
    return glyph[y] >> (T3DI_GLYPH_COLUMNS - 1 - x) & 1;
}

/* Opacity of the quarter (dx, dy = -1 or 1) of pixel (x, y) at double size: a corner between two
 * set neighbours is half filled, an outer corner thinned, which smooths the steps of slanted
 * strokes. */
static int quarter(const uint8_t *glyph, int x, int y, int dx, int dy)
{
    int side = bit(glyph, x + dx, y), above = bit(glyph, x, y + dy);
    int corner = bit(glyph, x + dx, y + dy);

    if (!bit(glyph, x, y))
        return side && above && !corner ? 128 : 0;
    return !side && !above && !corner && (bit(glyph, x - dx, y) || bit(glyph, x, y - dy)) ? 144
                                                                                          : 255;
}

static void draw_glyph(const struct t3d_sheet *s, uint32_t x0, uint32_t y0, uint32_t code,
                       uint32_t colour)
{
    const uint8_t *glyph = t3di_glyph(code);
    int scale = (int)s->scale;

    for (int y = 0; y < T3DI_GLYPH_ROWS * scale; y++)
        for (int x = 0; x < T3DI_GLYPH_COLUMNS * scale; x++) {
            int a = scale == 1 ? bit(glyph, x, y) * 255
                               : quarter(glyph, x / 2, y / 2, x % 2 * 2 - 1, y % 2 * 2 - 1);

            if (a)
                blend(at(s, x0 + (uint32_t)x, y0 + (uint32_t)y), colour, a);
        }
}

/* Text from x on, cut with "..." before the right margin; returns where it ends. */
static uint32_t draw_text(const struct t3d_sheet *s, uint32_t x, uint32_t y, const char *text,
                          uint32_t colour)
{
    uint32_t advance = (T3DI_GLYPH_COLUMNS + 1) * s->scale, right = s->width - MARGIN;
    size_t room = x < right ? (right - x) / advance : 0, n = count_codes(text);
    size_t letters = n <= room ? n : room > 3 ? room - 3 : 0;

    for (size_t i = 0; i < letters; i++, x += advance)
        draw_glyph(s, x, y, next_code(&text), colour);
    for (size_t i = 0; n > room && i < 3 && room >= 3; i++, x += advance)
        draw_glyph(s, x, y, '.', colour);
    return x;
}

/* How much of pixel (x, y) lies in a square of the given side with rounded corners, 0-255, by the
 * distance from the corner's centre. */
static int rounded(double x, double y, double side, double radius)
{
    double h = side / 2, dx = fabs(x + .5 - h) - (h - radius), dy = fabs(y + .5 - h) - (h - radius);
    double d = dx > 0 && dy > 0 ? hypot(dx, dy) : T3D_MAX(dx, dy);

    return (int)(255 * T3D_CLAMP(radius + .5 - d, 0., 1.) + .5);
}

static uint32_t ground(const struct t3d_sheet *s, uint32_t x, uint32_t y)
{
    if (!s->style.checker)
        return s->style.background & 0xffffff;
    return (x / SQUARE + y / SQUARE) % 2 ? CHECK_B : CHECK_A;
}

/* The card of a cell: border, ground, and the thumbnail (premultiplied, tw x th) in its middle. */
static void draw_card(const struct t3d_sheet *s, uint32_t x0, uint32_t y0, const uint8_t *thumb,
                      uint32_t tw, uint32_t th)
{
    uint32_t side = s->style.cell, left = (side - tw) / 2, top = (side - th) / 2;

    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++) {
            uint32_t g = ground(s, x, y);
            uint8_t px[3] = {(uint8_t)(g >> 16), (uint8_t)(g >> 8), (uint8_t)g};
            uint8_t *out = at(s, x0 + x, y0 + y);
            int inner = rounded(x - 1., y - 1., side - 2., RADIUS - 1);

            if (thumb && x >= left && x - left < tw && y >= top && y - top < th) {
                const uint8_t *t = thumb + ((size_t)(y - top) * tw + x - left) * 4;

                for (int c = 0; c < 3; c++)
                    px[c] = (uint8_t)(T3D_MIN(t[c], t[3]) + mix(0, px[c], t[3]));
            }
            blend(out, BORDER, rounded(x, y, side, RADIUS));
            blend(out, (uint32_t)px[0] << 16 | (uint32_t)px[1] << 8 | px[2], inner);
        }
}

/* A thin cross says that the picture is missing. */
static void draw_cross(const struct t3d_sheet *s, uint32_t x0, uint32_t y0)
{
    uint32_t a = s->style.cell / 3, b = s->style.cell - a;

    for (uint32_t i = a; i < b; i++) {
        blend(at(s, x0 + i, y0 + i), PALE_INK, 120);
        blend(at(s, x0 + i, y0 + s->style.cell - 1 - i), PALE_INK, 120);
    }
}

/* Fit into the cell inside its border; premultiplied, so that transparent texels do not bleed in.
 */
static int make_thumb(struct t3d_sheet *s, uint8_t **thumb, uint32_t *tw, uint32_t *th,
                      const uint8_t *pixels, uint32_t w, uint32_t h, struct t3d_err *err)
{
    uint32_t room = s->style.cell - 2, longest = T3D_MAX(w, h);
    double f = longest > room ? (double)room / longest : 1;
    uint8_t *in, *out;
    size_t n;

    if (!w || !h || longest > T3D_IMAGE_MAX_SIDE || __builtin_mul_overflow((size_t)w, h, &n))
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "picture of %u x %u pixels on a sheet",
                           w, h);
    *tw = T3D_MAX(1, (uint32_t)(w * f + .5));
    *th = T3D_MAX(1, (uint32_t)(h * f + .5));
    in = t3d_alloc_raw(&s->scratch, n, 4);
    out = t3d_alloc_raw(&s->scratch, (size_t)*tw * *th, 4);
    if (!in || !out)
        return t3d_err_nomem(err, "a thumbnail");
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < 3; c++)
            in[4 * i + (size_t)c] = mix(pixels[4 * i + (size_t)c], 0, pixels[4 * i + 3]);
        in[4 * i + 3] = pixels[4 * i + 3];
    }
    *thumb = out;
    return t3d_resize(out, *tw, *th, in, w, h, 4, T3D_FILTER_BICUBIC, &s->scratch, err);
}

int t3d_sheet_new(struct t3d_sheet **out, const struct t3d_sheet_style *style, struct t3d_err *err)
{
    uint32_t cell = style->cell ? style->cell : 160, columns = style->columns;
    struct t3d_sheet *s;
    int r = T3D_OK;

    if (columns < 1 || columns > 256 || cell < 16 || cell > 1024 ||
        columns * (cell + GAP) + 2 * MARGIN > T3D_IMAGE_MAX_SIDE)
        return t3d_err_set(err, T3D_USAGE, "bad-argument",
                           "a sheet of %u columns of %u pixels: choose fewer or smaller ones",
                           columns, cell);
    s = calloc(1, sizeof *s);
    if (!s)
        return t3d_err_nomem(err, "a contact sheet");
    s->style = *style;
    s->style.cell = cell;
    s->scale = cell >= 128 ? 2 : 1;
    s->width = columns * (cell + GAP) - GAP + 2 * MARGIN;
    s->column = columns;
    r = grow(s, style->title ? 2 * MARGIN + line_height(s) : MARGIN, err);
    if (r == T3D_OK && style->title)
        draw_text(s, MARGIN, MARGIN, style->title, INK);
    if (r < 0) {
        t3d_sheet_free(s);
        return r;
    }
    s->style.title = NULL;
    *out = s;
    return T3D_OK;
}

void t3d_sheet_free(struct t3d_sheet *s)
{
    if (!s)
        return;
    t3d_arena_free(&s->scratch);
    free(s->rgb);
    free(s);
}

uint32_t t3d_sheet_rows_left(const struct t3d_sheet *s)
{
    uint32_t most = (uint32_t)T3DI_MAX_PIXELS / s->width;

    return most > s->height ? (most - s->height) / row_height(s) : 0;
}

int t3d_sheet_row(struct t3d_sheet *s, const char *label, const char *caption, struct t3d_err *err)
{
    uint32_t y = s->height, x = MARGIN;
    int r;

    if (!t3d_sheet_rows_left(s))
        return t3d_err_set(
            err, T3D_USAGE, "sheet-full",
            "the sheet is full at %u x %u pixels: choose fewer rows or smaller cells", s->width,
            s->height);
    r = grow(s, row_height(s), err);
    if (r < 0)
        return r;
    if (label && *label)
        x = draw_text(s, x, y, label, INK) + 2 * (T3DI_GLYPH_COLUMNS + 1) * s->scale;
    if (caption && *caption)
        draw_text(s, x, y, caption, PALE_INK);
    s->cell_y = y + line_height(s) + 4;
    s->column = 0;
    return T3D_OK;
}

int t3d_sheet_cell(struct t3d_sheet *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                   struct t3d_err *err)
{
    uint32_t x = MARGIN + s->column * (s->style.cell + GAP), tw = 0, th = 0;
    uint8_t *thumb = NULL;
    int r;

    if (s->column >= s->style.columns)
        return t3d_err_set(err, T3D_USAGE, "bad-argument",
                           "more than %u cells in a row of the sheet", s->style.columns);
    if (pixels) {
        r = make_thumb(s, &thumb, &tw, &th, pixels, width, height, err);
        if (r < 0)
            return r;
    }
    draw_card(s, x, s->cell_y, thumb, tw, th);
    if (!pixels)
        draw_cross(s, x, s->cell_y);
    t3d_arena_reset(&s->scratch);
    s->column++;
    return T3D_OK;
}

int t3d_sheet_write(struct t3d_sheet *s, const char *path, struct t3d_err *err)
{
    static const struct t3d_png_text text = {"Software", "t3d " T3D_VERSION};
    struct t3d_png_writer *w;
    const uint8_t *png;
    size_t size;
    int r;

    if (!s->cell_y)
        return t3d_err_set(err, T3D_USAGE, "bad-argument", "the contact sheet '%s' has no rows",
                           path);
    r = t3d_png_writer_new(&w, err);
    if (r < 0)
        return r;
    r = t3d_png_encode(w, s->rgb, s->width, s->height, 3, 8, &text, 1, &png, &size, err);
    if (r == T3D_OK)
        r = t3d_write_file(path, png, size, err);
    t3d_png_writer_free(w);
    return r;
}
