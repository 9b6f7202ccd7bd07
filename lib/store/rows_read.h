/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows_read.h -- one finished table of rows: NAME.npy with NAME.ndjson.
 *
 *     t3d_rows_reader_open(&t, "embeddings/clip-nano", "objects", err);
 *     t3d_rows_floats(&t, i, row);   cJSON *line = t3d_rows_line(&t, i, err);
 *     t3d_rows_reader_close(&t);
 */
#ifndef T3D_STORE_ROWS_READ_H
#define T3D_STORE_ROWS_READ_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "store/npy.h"

struct t3d_rows_reader {
    uint64_t n, width;
    uint64_t n_lines;   /* n, unless a line stands for several rows */
    struct t3d_npy npy; /* float32 or float16 (n, width) */
    struct t3d_blob index;
    uint64_t *line; /* (n_lines) offsets into the index */
};

/* T3D_SKIP "missing-file", "bad-npy", "bad-rows" when there are fewer lines than rows. */
int t3d_rows_reader_open(struct t3d_rows_reader *t, const char *dir, const char *name,
                         struct t3d_err *err) T3D_MUST_CHECK;
void t3d_rows_reader_close(struct t3d_rows_reader *t);
/* Row i as floats, out (width). */
void t3d_rows_floats(const struct t3d_rows_reader *t, uint64_t i, float *out);
/* Line i, to be freed by cJSON_Delete; NULL when it is not JSON or memory is out. */
cJSON *t3d_rows_line(const struct t3d_rows_reader *t, uint64_t i);

#endif
