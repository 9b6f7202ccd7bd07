/* SPDX-License-Identifier: Apache-2.0 */
#include "store/text_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/captions_impl.h"

static int append(struct t3d_text_list *l, const struct t3d_text *t, struct t3d_err *err)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity + l->capacity / 2 : 1024;
        struct t3d_text *more = realloc(l->text, capacity * sizeof *more);
        if (!more)
            return t3d_err_nomem(err, "the captions");
        l->text = more;
        l->capacity = capacity;
    }
    l->text[l->n++] = *t;
    return T3D_OK;
}

static int add_bad(struct t3d_text_list *l, const char *key, uint32_t index, const char *reason,
                   const char *message, struct t3d_err *err)
{
    struct t3d_text t = {.key = key, .index = index};

    t.reason = t3d_strdup(&l->arena, reason);
    t.message = t3d_strdup(&l->arena, message);
    return t.reason && t.message ? append(l, &t, err) : t3d_err_nomem(err, "the captions");
}

static int add_text(struct t3d_text_list *l, const char *key, uint32_t index, const char *text,
                    size_t size, struct t3d_err *err)
{
    struct t3d_text t = {.key = key, .index = index, .text = t3d_strndup(&l->arena, text, size)};

    if (!t.text)
        return t3d_err_nomem(err, "the captions");
    if (strlen(t.text) != size)
        return add_bad(l, key, index, "not-text", "the caption has a NUL byte", err);
    if (!t3di_is_utf8(t.text))
        return add_bad(l, key, index, "not-utf8",
                       "the caption is not UTF-8: convert the list with iconv", err);
    return append(l, &t, err);
}

/* --- lists
 * ---------------------------------------------------------------------------------------- */

static int take_bad(void *ctx, const char *reason, const char *text, struct t3d_err *err)
{
    return add_bad(ctx, NULL, 0, reason, text, err);
}

/* The row's key as one text, or NULL; *r for lack of memory. */
static const char *keep_key(struct t3d_text_list *l, const struct t3di_caption_row *row, int *r,
                            struct t3d_err *err)
{
    static const enum t3di_caption_field keys[] = {T3DI_UID, T3DI_PATH, T3DI_SHA256, T3DI_KEY};
    const char *key = NULL;

    for (size_t i = 0; i < T3D_COUNT(keys) && !key; i++)
        if (row->field[keys[i]] && *row->field[keys[i]] && t3di_is_utf8(row->field[keys[i]])) {
            key = t3d_strdup(&l->arena, row->field[keys[i]]);
            if (!key)
                *r = t3d_err_nomem(err, "the captions");
            return key;
        }
    return NULL;
}

static int take_row(void *ctx, const struct t3di_caption_row *row, struct t3d_err *err)
{
    struct t3d_text_list *l = ctx;
    const char *cell = row->field[T3DI_CAPTION];
    const cJSON *item, *list = row->captions;
    cJSON *parsed = NULL;
    uint32_t index = 0;
    int r = T3D_OK;
    const char *key = keep_key(l, row, &r, err);

    if (!list && cell && *cell == '[') { /* a cell of a CSV may be a JSON list */
        parsed = cJSON_Parse(cell);
        list = cJSON_IsArray(parsed) ? parsed : NULL;
    }
    if (r == T3D_OK && !list)
        r = cell ? add_text(l, key, 0, cell, strlen(cell), err)
                 : add_bad(l, key, 0, "no-caption", "the row has no caption", err);
    cJSON_ArrayForEach (item, list)
        if (r == T3D_OK)
            r = cJSON_IsString(item)
                    ? add_text(l, key, index++, item->valuestring, strlen(item->valuestring), err)
                    : add_bad(l, key, index++, "not-text", "the caption is not a text", err);
    cJSON_Delete(parsed);
    return r;
}

/* --- one a line
 * ----------------------------------------------------------------------------------- */

static int read_lines(struct t3d_text_list *l, const char *path, struct t3d_err *err)
{
    struct t3d_blob b;
    const char *p, *end, *stop;
    int r = t3d_blob_open(&b, path, 0, err);

    if (r < 0) {
        if (err)
            err->code = T3D_USAGE;
        return T3D_USAGE;
    }
    p = (const char *)b.data;
    end = p + b.size;
    if (b.size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    for (; p < end && r == T3D_OK; p = stop + 1) {
        stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop)
            stop = end;
        r = add_text(l, NULL, 0, p, (size_t)(stop - p) - (stop > p && stop[-1] == '\r'), err);
    }
    t3d_blob_close(&b);
    return r;
}

int t3d_text_list_open(struct t3d_text_list *l, const char *path, struct t3d_err *err)
{
    struct t3di_caption_reader reader = {.row = take_row, .bad = take_bad, .ctx = l};
    int r;

    memset(l, 0, sizeof *l);
    r = strcmp(t3d_path_ending(path), "txt") == 0 ? read_lines(l, path, err)
                                                  : t3di_captions_each(&reader, path, err);
    if (r < 0)
        t3d_text_list_close(l);
    return r;
}

void t3d_text_list_close(struct t3d_text_list *l)
{
    free(l->text);
    t3d_arena_free(&l->arena);
    memset(l, 0, sizeof *l);
}
