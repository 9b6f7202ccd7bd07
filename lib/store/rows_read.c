/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "store/tensor.h"

static int find_lines(struct t3d_rows_reader *t, struct t3d_err *err)
{
    const char *begin = (const char *)t->index.data, *end = begin + t->index.size, *stop;
    size_t capacity = 0;

    for (const char *p = begin; p < end && (stop = memchr(p, '\n', (size_t)(end - p)));
         p = stop + 1) {
        if (t->n_lines == capacity) {
            uint64_t *more;
            capacity = capacity ? 2 * capacity : 1024;
            more = realloc(t->line, capacity * sizeof *more);
            if (!more)
                return t3d_err_nomem(err, "the index of rows");
            t->line = more;
        }
        t->line[t->n_lines++] = (uint64_t)(p - begin);
    }
    return T3D_OK;
}

int t3d_rows_reader_open(struct t3d_rows_reader *t, const char *dir, const char *name,
                         struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *npy = t3d_sprintf(&a, "%s/%s.npy", dir, name);
    char *index = t3d_sprintf(&a, "%s/%s.ndjson", dir, name);
    int r = npy && index ? T3D_OK : t3d_err_nomem(err, "a path");

    memset(t, 0, sizeof *t);
    if (r == T3D_OK)
        r = t3d_npy_open(&t->npy, npy, err);
    if (r == T3D_OK &&
        (t->npy.n_axes != 2 || (t->npy.type != T3D_NPY_F32 && t->npy.type != T3D_NPY_F16)))
        r = t3d_err_set(err, T3D_SKIP, "bad-npy", "'%s' is not a table of float rows", npy);
    if (r == T3D_OK)
        r = t3d_blob_open(&t->index, index, 0, err);
    if (r == T3D_OK)
        r = find_lines(t, err);
    if (r == T3D_OK) {
        t->n = t->npy.shape[0];
        t->width = t->npy.shape[1];
    }
    t3d_arena_free(&a);
    if (r < 0)
        t3d_rows_reader_close(t);
    return r;
}

void t3d_rows_reader_close(struct t3d_rows_reader *t)
{
    t3d_npy_close(&t->npy);
    t3d_blob_close(&t->index);
    free(t->line);
    memset(t, 0, sizeof *t);
}

void t3d_rows_floats(const struct t3d_rows_reader *t, uint64_t i, float *out)
{
    const uint16_t *half = (const uint16_t *)t->npy.data + i * t->width;

    if (t->npy.type == T3D_NPY_F32)
        memcpy(out, (const float *)t->npy.data + i * t->width, t->width * sizeof *out);
    else
        for (uint64_t k = 0; k < t->width; k++)
            out[k] = t3d_half_to_float(half[k]);
}

cJSON *t3d_rows_line(const struct t3d_rows_reader *t, uint64_t i)
{
    const char *p = (const char *)t->index.data + t->line[i];
    size_t left = t->index.size - (size_t)t->line[i];

    return cJSON_ParseWithLength(p, (size_t)((const char *)memchr(p, '\n', left) - p));
}
