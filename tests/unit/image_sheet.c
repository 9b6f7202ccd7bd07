/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "image/image.h"
#include "image/sheet.h"
#include "image/sheet_impl.h"

enum { CELL = 40, COLUMNS = 3, MARGIN = 24, GAP = 8, LINE = 12 + 4, ROW = LINE + CELL + MARGIN };

static struct t3d_arena arena;

static uint8_t *fill(uint32_t w, uint32_t h, uint32_t rgba)
{
    uint8_t *p = t3d_alloc(&arena, (size_t)w * h, 4);

    for (size_t i = 0; i < (size_t)w * h * 4; i++)
        p[i] = (uint8_t)(rgba >> (24 - i % 4 * 8));
    return p;
}

static uint8_t *write_and_read(struct t3d_sheet *s, struct t3d_image_info *info)
{
    char path[] = "/tmp/t3d-sheet-XXXXXX";
    int fd = mkstemp(path);
    struct t3d_blob b;
    uint8_t *pixels;

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(t3d_sheet_write(s, path, NULL), T3D_OK);
    assert_int_equal(t3d_blob_open(&b, path, 0, NULL), T3D_OK);
    assert_int_equal(t3d_image_decode(info, &pixels, &arena, b.data, b.size, NULL), T3D_OK);
    t3d_blob_close(&b);
    unlink(path);
    return pixels;
}

static void assert_colour(const uint8_t *px, const struct t3d_image_info *i, uint32_t x, uint32_t y,
                          uint32_t rgb)
{
    const uint8_t *p = px + ((size_t)i->width * y + x) * 4;

    if (p[0] != rgb >> 16 || p[1] != (rgb >> 8 & 255) || p[2] != (rgb & 255))
        fail_msg("pixel (%u, %u) is %02x%02x%02x, want %06x", x, y, p[0], p[1], p[2], rgb);
}

static void places_and_blends(void **state)
{
    struct t3d_sheet_style style = {.columns = COLUMNS, .cell = CELL, .background = 0x0000ff};
    struct t3d_image_info info;
    struct t3d_sheet *s;
    uint32_t x = MARGIN + CELL / 2, y = MARGIN + LINE + CELL / 2;
    uint8_t *px;

    (void)state;
    assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_row(s, "a", NULL, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_cell(s, fill(100, 50, 0xff0000ff), 100, 50, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_cell(s, fill(10, 10, 0xffffff80), 10, 10, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_row(s, "", "b", NULL), T3D_OK);
    assert_int_equal(t3d_sheet_cell(s, fill(1, 1, 0x00ff00ff), 1, 1, NULL), T3D_OK);
    px = write_and_read(s, &info);
    assert_int_equal(info.width, 2 * MARGIN + COLUMNS * CELL + (COLUMNS - 1) * GAP);
    assert_int_equal(info.height, MARGIN + 2 * ROW);
    assert_int_equal(info.channels, 3);
    assert_colour(px, &info, x, y, 0xff0000);
    assert_colour(px, &info, x, y - 9, 0xff0000); /* fitted: 38 x 19 */
    assert_colour(px, &info, x, y - 11, 0x0000ff);
    assert_colour(px, &info, x + CELL + GAP, y, 0x8080ff);
    assert_colour(px, &info, x + CELL + GAP + 6, y, 0x0000ff); /* not enlarged */
    assert_colour(px, &info, x + 2 * (CELL + GAP), y, 0xf4f5f7);
    assert_colour(px, &info, x - 1, y + ROW - 1, 0x00ff00);
    t3d_sheet_free(s);
    t3d_arena_reset(&arena);
}

/* Every set bit of the letters is ink, every other pixel of the line is page. */
static void letters(void **state)
{
    struct t3d_sheet_style style = {.columns = 1, .cell = 100, .background = 0xffffff};
    const char text[] = "Ag~\xc3\xa9";
    const uint32_t codes[4] = {'A', 'g', '~', 0xe9};
    struct t3d_image_info info;
    struct t3d_sheet *s;
    uint8_t *px;

    (void)state;
    assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_row(s, text, NULL, NULL), T3D_OK);
    px = write_and_read(s, &info);
    for (uint32_t i = 0; i < 4 * 6; i++)
        for (uint32_t y = 0; y < T3DI_GLYPH_ROWS; y++) {
            int set = i % 6 < 5 && t3di_glyph(codes[i / 6])[y] >> (4 - i % 6) & 1;

            assert_colour(px, &info, MARGIN + i, MARGIN + y, set ? 0x1f2933 : 0xf4f5f7);
        }
    t3d_sheet_free(s);
    t3d_arena_reset(&arena);
}

/* Long and malformed text stays inside the margins, in both sizes. */
static void text_is_cut(void **state)
{
    static const char *const texts[] = {"\xff\xfe\xe6\xa4",
                                        "0123456789012345678901234567890123456789",
                                        "\xf0\x9f\x8c\x8d 0123456789012345678901234567890123456"};

    (void)state;
    for (uint32_t cell = 90; cell <= 180; cell += 90)
        for (size_t t = 0; t < T3D_COUNT(texts); t++) {
            struct t3d_sheet_style style = {.columns = 1, .cell = cell, .title = texts[t]};
            struct t3d_image_info info;
            struct t3d_sheet *s;
            uint8_t *px;

            assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_OK);
            assert_int_equal(t3d_sheet_row(s, texts[t], texts[t], NULL), T3D_OK);
            assert_int_equal(t3d_sheet_cell(s, NULL, 0, 0, NULL), T3D_OK);
            px = write_and_read(s, &info);
            for (uint32_t y = 0; y < info.height; y++)
                for (uint32_t x = 0; x < MARGIN; x++) {
                    assert_colour(px, &info, x, y, 0xf4f5f7);
                    assert_colour(px, &info, info.width - 1 - x, y, 0xf4f5f7);
                }
            t3d_sheet_free(s);
            t3d_arena_reset(&arena);
        }
}

static void refusals(void **state)
{
    struct t3d_sheet_style style = {.columns = 0}, full = {.columns = 1, .cell = 1024};
    struct t3d_sheet *s;
    struct t3d_err err;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_USAGE);
    style.columns = 256;
    assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_USAGE);
    style.columns = 1;
    assert_int_equal(t3d_sheet_new(&s, &style, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_write(s, "/tmp/none.png", NULL), T3D_USAGE);
    assert_int_equal(t3d_sheet_cell(s, NULL, 0, 0, NULL), T3D_USAGE); /* no row yet */
    assert_int_equal(t3d_sheet_row(s, "a", NULL, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_cell(s, NULL, 0, 0, NULL), T3D_OK);
    assert_int_equal(t3d_sheet_cell(s, NULL, 0, 0, NULL), T3D_USAGE);
    t3d_sheet_free(s);
    assert_int_equal(t3d_sheet_new(&s, &full, NULL), T3D_OK);
    for (n = t3d_sheet_rows_left(s); n > 0; n--) {
        assert_int_equal(t3d_sheet_rows_left(s), n);
        assert_int_equal(t3d_sheet_row(s, NULL, NULL, NULL), T3D_OK);
    }
    assert_int_equal(t3d_sheet_row(s, NULL, NULL, &err), T3D_USAGE);
    assert_string_equal(err.reason, "sheet-full");
    t3d_sheet_free(s);
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
        cmocka_unit_test(places_and_blends),
        cmocka_unit_test(letters),
        cmocka_unit_test(text_is_cut),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, free_arena);
}
