/* SPDX-License-Identifier: Apache-2.0 */
/* base/json.h -- NDJSON records on cJSON.
 *
 *     struct t3d_ndjson in;
 *     t3d_ndjson_init(&in, stdin, "standard input");
 *     while ((r = t3d_ndjson_next(&in, &record, err)) == T3D_OK) { ...; cJSON_Delete(record); }
 *
 * One JSON object per line, UTF-8, at most 16 MiB a line; blank lines are passed over. Memory is
 * bounded by the longest line. A line that is not an object is T3D_SKIP "not-json" with its number:
 * the reader can go on with the next line. cJSON's nesting limit (1000) holds; numbers are doubles,
 * so integers are exact to 2^53. */
#ifndef T3D_BASE_JSON_H
#define T3D_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct t3d_ndjson {
    FILE *f;
    const char *name; /* for messages; borrowed */
    char *line;       /* owned: bytes [start, end) are read but not yet handed out */
    size_t capacity;
    uint64_t number;            /* of the line just read, from 1 */
    size_t start, end, scanned; /* scanned: no newline before it */
    int eof;
};

/* Reads the descriptor behind f, from f's position; nothing may have been read from a pipe before.
 * A stream without a descriptor is read with fread. */
void t3d_ndjson_init(struct t3d_ndjson *in, FILE *f, const char *name);
/* T3D_OK with *record to be freed by cJSON_Delete, T3D_END (also when a stop was requested),
 * T3D_SKIP (bad line; "line-too-long" above the limit), or an I/O grade. */
int t3d_ndjson_next(struct t3d_ndjson *in, cJSON **record, struct t3d_err *err) T3D_MUST_CHECK;
/* Wait until next will not block (1) or the descriptor `wake` becomes readable (0); for the wait
 * operation of base/par.h. wake -1 = do not wait: 0 when next would block. */
int t3d_ndjson_wait(struct t3d_ndjson *in, int wake);
void t3d_ndjson_fini(struct t3d_ndjson *in); /* frees the buffer, does not close f */

/* One line, compact, with '\n'; keys keep their order. Whether f could be written is left for
 * t3d_out_commit or the final close to find; records for stdout go through t3d_emit (base/tool.h),
 * which sees a closed pipe. T3D_FAIL only when memory is out. */
int t3d_ndjson_write(FILE *f, const cJSON *record, struct t3d_err *err) T3D_MUST_CHECK;

/* Borrowed views of members; the default when the member is absent or of another type. */
const char *t3d_json_str(const cJSON *o, const char *key, const char *otherwise);
double t3d_json_num(const cJSON *o, const char *key, double otherwise);
int t3d_json_bool(const cJSON *o, const char *key, int otherwise);

/* Set (replace or append) a member; the order of existing keys stays. Return 0, or -1 when memory
 * is out. t3d_json_set takes value over, also on failure. NaN and infinity become null. */
int t3d_json_set(cJSON *o, const char *key, cJSON *value);
int t3d_json_set_str(cJSON *o, const char *key, const char *s);
int t3d_json_set_num(cJSON *o, const char *key, double v);
int t3d_json_set_bool(cJSON *o, const char *key, int v);

/* From now on the text of an object is refused when memory was out while objects were made in this
 * thread: a member that could not be added would be missing in silence. For a program, at its
 * start. */
void t3d_json_watch_memory(void);

/* Numbers are printed with the fewest digits (at most 17) that read back equal, so files are
 * stable; all output of t3d goes through this and not cJSON_Print. Returns malloc'd text, NULL if
 * out of memory. canonical sorts keys bytewise (for hashing). Bytes that are not UTF-8 become
 * U+FFFD. */
char *t3d_json_text(const cJSON *o, int canonical);

/* The same number as text, in at most 32 bytes with the NUL; null for NaN and infinity. */
void t3d_json_number(double v, char text[32]);

/* Read a whole JSON file. T3D_SKIP "not-json" names the byte offset. */
int t3d_json_read(cJSON **out, const char *path, uint64_t max_bytes,
                  struct t3d_err *err) T3D_MUST_CHECK;

#endif
