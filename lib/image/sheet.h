/* SPDX-License-Identifier: Apache-2.0 */
/* image/sheet.h -- contact sheets: rows of thumbnails with a label, written as one PNG.
 *
 *     struct t3d_sheet_style style = {.columns = 20, .cell = 160, .checker = 1};
 *     t3d_sheet_new(&s, &style, err);
 *     t3d_sheet_row(s, uid, caption, err);                    for each object
 *     t3d_sheet_cell(s, pixels, 512, 512, err);               for each of its views
 *     t3d_sheet_write(s, "sheet.png", err);
 *
 * Pictures are 8-bit sRGB RGBA, straight alpha, of any size: they are fitted into the square cell,
 * never stretched and never enlarged. The sheet is opaque RGB. */
#ifndef T3D_IMAGE_SHEET_H
#define T3D_IMAGE_SHEET_H

#include <stdint.h>

#include "base/err.h"

struct t3d_sheet;

struct t3d_sheet_style {
    uint32_t columns;    /* cells a row, 1-256 */
    uint32_t cell;       /* side of a cell in pixels, 16-1024; 0 = 160 */
    uint32_t background; /* of a cell, 0xRRGGBB, where checker is 0; 0xffffff is white */
    int checker;         /* a light chequerboard under the pictures shows their transparency */
    const char *title;   /* a line at the top, or NULL; borrowed until the first row */
};

/* T3D_USAGE when the style is out of range or a row would be wider than T3D_IMAGE_MAX_SIDE. */
int t3d_sheet_new(struct t3d_sheet **out, const struct t3d_sheet_style *style,
                  struct t3d_err *err) T3D_MUST_CHECK;
void t3d_sheet_free(struct t3d_sheet *s);

/* How many more rows fit: a sheet holds at most 64 Mpixel. */
uint32_t t3d_sheet_rows_left(const struct t3d_sheet *s);

/* Begin a row. label is set dark, caption grey behind it; either may be NULL or "", and what is too
 * long for the line ends in "...". UTF-8; letters outside ASCII become boxes. T3D_USAGE when the
 * sheet is full. */
int t3d_sheet_row(struct t3d_sheet *s, const char *label, const char *caption,
                  struct t3d_err *err) T3D_MUST_CHECK;

/* The next cell of the row. pixels NULL leaves it empty (a crossed card: this view is missing). */
int t3d_sheet_cell(struct t3d_sheet *s, const uint8_t *pixels, uint32_t width, uint32_t height,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* Write the sheet to path, whole or not at all. A sheet without rows is T3D_USAGE. */
int t3d_sheet_write(struct t3d_sheet *s, const char *path, struct t3d_err *err) T3D_MUST_CHECK;

#endif
