/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/shard_sheet.h"

#include <glob.h>
#include <string.h>

#include "base/arena.h"
#include "image/image.h"
#include "image/sheet.h"
#include "store/shard.h"

enum { CELL = 128 };

struct making {
    struct t3d_sheet *sheet;
    size_t views;
    uint64_t rows, n;
};

static int is_color(const struct t3d_member *m)
{
    const char *dot = strchr(m->suffix, '.');

    return m->suffix[0] == 'v' && dot && strcmp(dot, ".png") == 0;
}

static int add_label(struct t3d_sheet *sheet, const struct t3d_sample *s, struct t3d_arena *a,
                     struct t3d_err *err)
{
    const char *caption = NULL;

    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->member[i].suffix, "txt") == 0 && s->member[i].size)
            caption = t3d_strndup(a, s->member[i].data,
                                  strcspn(s->member[i].data, "\n")); /* ends in a newline */
    return t3d_sheet_row(sheet, s->key, caption, err);
}

static int add_row(struct making *k, const struct t3d_sample *s, struct t3d_arena *a,
                   struct t3d_err *err)
{
    size_t step = (k->views + T3D_SHARD_SHEET_COLUMNS - 1) / T3D_SHARD_SHEET_COLUMNS, view = 0;
    int status = add_label(k->sheet, s, a, err);

    for (size_t i = 0; i < s->n && status == T3D_OK; i++) {
        struct t3d_image_info info;
        uint8_t *pixels;
        if (!is_color(&s->member[i]) || view++ % step)
            continue;
        status = t3d_image_decode(&info, &pixels, a, s->member[i].data, s->member[i].size, err);
        if (status == T3D_OK)
            status = t3d_sheet_cell(k->sheet, pixels, info.width, info.height, err);
    }
    return status;
}

/* Rows of one shard, up to the limit. */
static int add_shard(struct making *k, const char *path, struct t3d_err *err)
{
    struct t3d_shard_reader *reader = NULL;
    struct t3d_arena a = {0};
    struct t3d_sample sample;
    int status = t3d_shard_reader_open(&reader, path, err);

    while (status == T3D_OK && k->n < k->rows && t3d_sheet_rows_left(k->sheet)) {
        status = t3d_shard_reader_next(reader, &sample, &a, err);
        if (status == T3D_OK)
            status = add_row(k, &sample, &a, err);
        k->n += status == T3D_OK;
        t3d_arena_reset(&a);
    }
    t3d_shard_reader_close(reader);
    t3d_arena_free(&a);
    return status == T3D_END ? T3D_OK : status;
}

int t3d_shard_sheet(const char *path, const char *dir, const char *title, size_t views,
                    uint64_t rows, uint64_t *n, struct t3d_err *err)
{
    struct t3d_sheet_style style = {.columns =
                                        (uint32_t)T3D_MIN(views, (size_t)T3D_SHARD_SHEET_COLUMNS),
                                    .cell = CELL,
                                    .checker = 1,
                                    .title = title};
    struct making k = {.views = views, .rows = rows};
    struct t3d_arena a = {0};
    char *pattern = t3d_sprintf(&a, "%s/*.tar", dir);
    glob_t found = {0};
    int status = pattern ? t3d_sheet_new(&k.sheet, &style, err) : t3d_err_nomem(err, "a path");

    if (status == T3D_OK)
        glob(pattern, 0, NULL, &found); /* sorted; without a match there are no rows */
    for (size_t i = 0; i < found.gl_pathc && status == T3D_OK && k.n < rows; i++)
        status = add_shard(&k, found.gl_pathv[i], err);
    if (status == T3D_OK && k.n)
        status = t3d_sheet_write(k.sheet, path, err);
    *n = k.n;
    globfree(&found);
    t3d_sheet_free(k.sheet);
    t3d_arena_free(&a);
    return status;
}
