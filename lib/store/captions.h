/* SPDX-License-Identifier: Apache-2.0 */
/* store/captions.h -- captions, licences and ids that a list gives to files.
 *
 *     t3d_captions_open(&c, "captions.csv", err);
 *     r = t3d_captions_find(c, &query, &match, &arena, err);     T3D_OK or T3D_END
 *
 * Read are
 *   CSV (RFC 4180: quotes, "" inside quotes, line breaks inside quotes, LF or CRLF; tabs instead of
 * commas when the first line has a tab and no comma), with a header line or, as Cap3D's files,
 * without one: then two columns, key and caption; JSON {key: caption}, {key: [captions]}, {key:
 * {record}} or [{record}, ...]; NDJSON, one record a line. Names of columns and members, any case:
 * uid id; path file filename; sha256 hash; caption captions text; license licence; dataset pack;
 * group; split. Others are ignored. A caption cell that is a JSON list of strings gives several
 * captions; several rows of one key add up, in the order of the file. Control characters in
 * captions become blanks, since shards hold one caption a line.
 *
 * A list of 1M captions of 100 characters takes about 180 MB; the file itself is mapped, not
 * loaded. */
#ifndef T3D_STORE_CAPTIONS_H
#define T3D_STORE_CAPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_captions;
struct t3d_object;

/* What of an object is compared with the keys of the list. NULL = unknown. */
struct t3d_caption_query {
    const char *below;    /* path below the root it was found under */
    const char *absolute; /* whole path: a path of the list matches if this ends with "/" and it */
    const char *sha256;   /* of the main file, lower case */
    const char
        *uid; /* the object's; a key without '/' also matches the file's name without ending */
};

struct t3d_caption_match {
    const char
        *uid; /* the row names the file by path or sha256 and gives it this uid; NULL = none */
    const char *license, *dataset, *group, *split; /* NULL = not given */
    const char **caption; /* in the arena; strings live as long as the list */
    size_t n_captions;
    const char
        *by; /* "path", "sha256", "uid", "path-suffix", "name": the first of these that matched */
};

struct t3d_caption_counts {
    uint64_t rows;    /* read and usable */
    uint64_t matched; /* rows that some object has taken */
    uint64_t bad; /* rows passed over: wrong number of columns, not UTF-8, no key, bad uid, ... */
    struct t3d_err first_bad; /* why, with the line, when bad > 0 */
};

/* T3D_USAGE when the file cannot be read, is compressed, has no usable columns, or ends inside a
 * quoted field or a JSON value: a list that is cut off must not pass as a whole one. */
int t3d_captions_open(struct t3d_captions **c, const char *path,
                      struct t3d_err *err) T3D_MUST_CHECK;
void t3d_captions_close(struct t3d_captions *c);

/* T3D_OK, or T3D_END when nothing matches. Not for several threads at once. */
int t3d_captions_find(struct t3d_captions *c, const struct t3d_caption_query *q,
                      struct t3d_caption_match *m, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* Put what the list says into the object: captions, license, source, group, split (as given). *uid
 * is that of the match or NULL; *changed = 1 when captions, licence, group or split differ from
 * what was there. c may be NULL: then nothing matches. Returns T3D_OK in either case, or an error.
 */
int t3d_captions_describe(struct t3d_captions *c, const struct t3d_caption_query *q,
                          struct t3d_object *o, const char **uid, int *changed, struct t3d_arena *a,
                          struct t3d_err *err) T3D_MUST_CHECK;

void t3d_captions_count(const struct t3d_captions *c, struct t3d_caption_counts *n);

#endif
