/* SPDX-License-Identifier: Apache-2.0 */
#include "model/sample_sheet.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/sheet.h"

enum { VIEWS = T3D_GENERATOR_VIEWS, CELL = 96, MOST = 64 };

/* Pixels become squares: a sheet does not enlarge. */
static void enlarge(const uint8_t *from, int side, int by, uint8_t *to)
{
    int n = side * by;

    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            memcpy(to + 4 * (y * n + x), from + 4 * (y / by * side + x / by), 4);
}

static int add_cells(struct t3d_sheet *sheet, const uint8_t *views, int side, uint8_t *scratch,
                     struct t3d_err *err)
{
    int by = side < CELL ? CELL / side : 1, r = T3D_OK;

    for (int v = 0; v < VIEWS && r == T3D_OK; v++) {
        enlarge(views + 4 * (size_t)v * (size_t)side * (size_t)side, side, by, scratch);
        r = t3d_sheet_cell(sheet, scratch, (uint32_t)(side * by), (uint32_t)(side * by), err);
    }
    return r;
}

static int add_rows(struct t3d_sheet *sheet, struct t3d_sampler *s,
                    const struct t3d_sample_row *row, int n, uint8_t *made, uint8_t *scratch,
                    struct t3d_err *err)
{
    struct t3d_sample sample[MOST];
    int side = t3d_sampler_config(s)->side, r;

    for (int i = 0; i < n; i++)
        sample[i] = row[i].sample;
    r = t3d_sampler_run(s, sample, n, NULL, err);
    for (int i = 0; i < n && r == T3D_OK; i++) {
        t3d_sampler_views(s, i, made);
        r = t3d_sheet_row(sheet, sample[i].prompt, NULL, err);
        if (r == T3D_OK)
            r = add_cells(sheet, made, side, scratch, err);
        if (r == T3D_OK)
            r = add_cells(sheet, row[i].wanted, side, scratch, err);
    }
    return r;
}

int t3d_sample_sheet(const char *path, struct t3d_sampler *s, const struct t3d_sample_row *row,
                     int n, struct t3d_err *err)
{
    size_t side = (size_t)t3d_sampler_config(s)->side, most = T3D_MAX(side, (size_t)CELL);
    struct t3d_sheet_style style = {.columns = 2 * VIEWS,
                                    .cell = (uint32_t)T3D_MIN(most, (size_t)1024),
                                    .background = 0xffffff,
                                    .title = "made of the caption | rendered"};
    uint8_t *made = malloc(4 * VIEWS * side * side), *scratch = malloc(4 * most * most);
    struct t3d_sheet *sheet = NULL;
    int r = made && scratch ? t3d_sheet_new(&sheet, &style, err) : t3d_err_nomem(err, path);

    if (r == T3D_OK)
        r = add_rows(sheet, s, row, T3D_MIN(n, (int)MOST), made, scratch, err);
    if (r == T3D_OK)
        r = t3d_make_parent(path, err);
    if (r == T3D_OK)
        r = t3d_sheet_write(sheet, path, err);
    t3d_sheet_free(sheet);
    free(made);
    free(scratch);
    return r;
}
