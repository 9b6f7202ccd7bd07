/* SPDX-License-Identifier: Apache-2.0 */
/* store/rows.h -- rows of numbers and what each of them is, kept in step with objects: the files
 * that embed writes.
 *
 *     struct t3d_rows_table tables[] = {{.name = "texts", .width = 512}};
 *     t3d_rows_open(&s, &(struct t3d_rows_options){.dir = dir, .set = "embed", .table = tables,
 *                   .n_tables = 1, .about = provenance}, err);
 *     t3d_rows_put(s, objects, n, err);         a batch, durable against kills when it returns
 *     t3d_rows_finish(s, err);
 *     t3d_rows_close(s);
 *
 * A table is NAME.npy (rows, width) and NAME.ndjson with a line a row, in its order:
 *     {"row":0, <the caller's members>, "key":"<32 hex digits>","num":0}
 * or, in a table of runs, a line for n rows: {"row":0,"n":7, ...}. Rows are in the order of the
 * objects' numbers. SET.json says how they were made.
 *
 * While objects are put, NAME.npy.part and NAME.ndjson.part hold them in order of arrival and
 * SET.journal has a line for each, written after its data; a torn tail of any is cut off by the
 * next run. t3d_rows_finish joins them with what was there, so the files depend on the set of
 * objects alone, never on order, batches or kills; what is already in order (the usual case of a
 * first run) is only renamed. The change over is all or nothing: once the journal says so, a killed
 * finish is completed by the next run. Several processes may write one set: they take flock on
 * SET.lock around each step. Files that were made in another way (SET.json differs) count as not
 * there and are replaced by finish. One handle belongs to one thread. */
#ifndef T3D_STORE_ROWS_H
#define T3D_STORE_ROWS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_ROWS_TABLES = 4, T3D_ROWS_KEY = 32 };

struct t3d_rows;

struct t3d_rows_table {
    const char *name;
    uint32_t width;
    int half; /* stored as float16, rounded to nearest even */
    int runs; /* a line of the index stands for several rows */
};

struct t3d_rows_options {
    const char *dir; /* is made when missing */
    const char *set; /* "embed" */
    const struct t3d_rows_table *table;
    size_t n_tables;
    const cJSON *about;    /* an object: what SET.json says */
    uint32_t index, count; /* --shard: NAME.p<index>of<count>.npy and so on; 0 or 1 = none */
};

/* Strings are copied. What dead runs left is repaired. */
int t3d_rows_open(struct t3d_rows **s, const struct t3d_rows_options *o,
                  struct t3d_err *err) T3D_MUST_CHECK;
void t3d_rows_close(struct t3d_rows *s);

/* Why files that are there were not made in the way that is asked for, or NULL; borrowed. */
const char *t3d_rows_replaces(const struct t3d_rows *s);

struct t3d_rows_line {
    const char *members; /* "\"uid\":\"a\",\"view\":\"v00\"": JSON without line breaks; may be "" */
    size_t n;            /* rows; 1 unless the table has runs */
};

struct t3d_rows_block {
    const float *row; /* the rows of all lines, one behind the other */
    const struct t3d_rows_line *line;
    size_t n_lines;
};

struct t3d_rows_object {
    int64_t num;
    char key[T3D_ROWS_KEY + 1]; /* hex digits: of what the rows were made from */
    struct t3d_rows_block block[T3D_ROWS_TABLES];
};

/* Add objects, replacing what those numbers had; one without any line is removed. */
int t3d_rows_put(struct t3d_rows *s, const struct t3d_rows_object *o, size_t n,
                 struct t3d_err *err) T3D_MUST_CHECK;
/* 1 when object num is there with this key; NULL = any but zeros, the key of what has failed. */
int t3d_rows_has(const struct t3d_rows *s, int64_t num, const char *key);
/* Finish leaves out objects numbered `end` or above: the list has become shorter. */
void t3d_rows_limit(struct t3d_rows *s, int64_t end);
/* Join parts and files; nothing to join is T3D_OK. What `has` says afterwards does not count. */
int t3d_rows_finish(struct t3d_rows *s, struct t3d_err *err) T3D_MUST_CHECK;

#endif
