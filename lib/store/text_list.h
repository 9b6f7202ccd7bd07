/* SPDX-License-Identifier: Apache-2.0 */
/* store/text_list.h -- the captions of a list, one by one and in its order: what embed makes rows
 * of.
 *
 * A file that ends in .txt has one a line (an empty line is an empty caption; CRLF is taken off).
 * Everything else is a list as store/captions.h reads it: CSV, JSON as Cap3D's, a JSON list of
 * strings, NDJSON; but rows need no key, so a CSV may have a column `caption` alone. What cannot be
 * used, such as a line that is not UTF-8, is an entry too, with the reason: rows that are made of a
 * list are never lost or shifted. */
#ifndef T3D_STORE_TEXT_LIST_H
#define T3D_STORE_TEXT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct t3d_text {
    const char *key;  /* uid, path or sha256 as the list has it; NULL = none */
    uint32_t index;   /* among the captions of its row of the list */
    const char *text; /* NULL when it cannot be used: */
    const char *reason, *message;
};

struct t3d_text_list {
    struct t3d_text *text;
    size_t n, capacity;
    struct t3d_arena arena;
};

/* T3D_USAGE when the file cannot be read, is compressed, has no column of captions, or is cut off
 * inside a quoted field or a JSON value. */
int t3d_text_list_open(struct t3d_text_list *l, const char *path,
                       struct t3d_err *err) T3D_MUST_CHECK;
void t3d_text_list_close(struct t3d_text_list *l);

#endif
