/* SPDX-License-Identifier: Apache-2.0 */
/* store/url_list.h -- lists of addresses, row by row in constant memory.
 *
 *     t3d_url_list_open(&l, "list.tsv", err);
 *     while ((r = t3d_url_list_next(l, &row, err)) == T3D_OK) ... row.url ...
 *
 * The first line that is not blank decides: '{' NDJSON, one object a line; a cell that is "url" (or
 * uri, address) TSV with a header line; else one address a line, '#' begins a comment line. Names
 * of members and columns, any case: url uri address; sha256 hash; size bytes; caption captions text
 * (NDJSON: also a list); license licence; uid id; format filetype. Others are ignored. Lines
 * have at most 1 MiB. */
#ifndef T3D_STORE_URL_LIST_H
#define T3D_STORE_URL_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_URL_CAPTIONS = 64 };

/* Strings are borrowed until the next call. Absent = NULL, size -1. */
struct t3d_url_row {
    const char *url, *sha256, *license, *uid, *format;
    const char *caption[T3D_URL_CAPTIONS];
    size_t n_captions;
    int64_t size;  /* must be so */
    int64_t about; /* is about so: for plans; 0 or less = unknown */
    uint64_t line;
    struct t3d_err bad; /* code T3D_SKIP: the row cannot be used; url may be NULL */
};

struct t3d_url_list;

/* "-" = standard input. T3D_USAGE when it cannot be read. */
int t3d_url_list_open(struct t3d_url_list **l, const char *path,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_url_list_close(struct t3d_url_list *l);
/* T3D_OK, T3D_END, T3D_RETRY (a pipe is silent), T3D_USAGE for a table without a column url, or an
 * I/O grade. A row that is wrong is T3D_OK with row->bad. */
int t3d_url_list_next(struct t3d_url_list *l, struct t3d_url_row *row,
                      struct t3d_err *err) T3D_MUST_CHECK;
/* Wait until next will not be silent, at most so long. */
void t3d_url_list_wait(struct t3d_url_list *l, int timeout_ms);

#endif
