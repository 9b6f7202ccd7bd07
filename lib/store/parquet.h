/* SPDX-License-Identifier: Apache-2.0 */
/* store/parquet.h -- tables in Apache Parquet files, row by row: flat columns, in memory that does
 * not depend on the number of rows (one page and one dictionary for each column that is asked for).
 *
 *     static const char *const names[] = {"fileIdentifier", "sha256", NULL};
 *     t3d_parquet_open(&p, "github.parquet", names, err);
 *     while ((r = t3d_parquet_next(p, value, err)) == T3D_OK) ... value[1].text ...
 *     t3d_parquet_close(p);
 *
 * Read are columns of strings, byte arrays, whole numbers, floats and booleans, required or
 * optional; pages of version 1 and 2; encodings PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY and RLE;
 * pages that are stored, or compressed by Snappy, gzip, Zstandard; checksums where the file has
 * them. Whatever else a file asks for is refused by its name. Nested columns beside those asked for
 * are passed over. Source: apache/parquet-format, parquet.thrift and Encodings.md. */
#ifndef T3D_STORE_PARQUET_H
#define T3D_STORE_PARQUET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_PARQUET_COLUMNS = 16 }; /* most that can be asked for */

enum t3d_parquet_type { T3D_PARQUET_NULL, T3D_PARQUET_TEXT, T3D_PARQUET_WHOLE, T3D_PARQUET_REAL };

/* One cell. Text is borrowed until the next call, and has no NUL behind it. */
struct t3d_parquet_value {
    enum t3d_parquet_type type;
    const char *text;
    size_t n;
    int64_t whole; /* also booleans, 0 or 1 */
    double real;
};

struct t3d_parquet;

/* columns: names, NULL-terminated; one that begins with '?' may be missing, and is all nulls then.
 * T3D_USAGE when the file cannot be read; T3D_FAIL "bad-parquet", "no-column",
 * "unsupported-parquet". */
int t3d_parquet_open(struct t3d_parquet **p, const char *path, const char *const *columns,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_parquet_close(struct t3d_parquet *p); /* NULL is fine */
uint64_t t3d_parquet_rows(const struct t3d_parquet *p);
/* The next row: a cell for each column asked for. T3D_OK, T3D_END, or the grades above, which end
 * the file. */
int t3d_parquet_next(struct t3d_parquet *p, struct t3d_parquet_value *cell,
                     struct t3d_err *err) T3D_MUST_CHECK;

#endif
