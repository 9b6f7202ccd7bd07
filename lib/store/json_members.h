/* SPDX-License-Identifier: Apache-2.0 */
/* store/json_members.h -- the members of one large JSON object, one at a time: a file of any
 * length, gzip or plain, in memory bounded by its longest member.
 *
 *     t3d_json_members_open(&j, "object-paths.json.gz", err);
 *     while ((r = t3d_json_members_next(j, &m, err)) == T3D_OK) ... m.key, m.value ...
 *     t3d_json_members_close(j);
 */
#ifndef T3D_STORE_JSON_MEMBERS_H
#define T3D_STORE_JSON_MEMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Borrowed until the next call. */
struct t3d_json_member {
    const char *key; /* decoded */
    const char
        *value; /* as it stands in the file, n bytes and a NUL; is for base/jsontok.h to judge */
    size_t n;
    uint64_t at; /* byte of the text on which the member begins, from 0 */
};

struct t3d_json_members;

/* T3D_USAGE when the file cannot be read. */
int t3d_json_members_open(struct t3d_json_members **j, const char *path,
                          struct t3d_err *err) T3D_MUST_CHECK;
/* T3D_OK, T3D_END when the object and the file end, or T3D_FAIL: "bad-json" with the byte offset
 * (also for a file that is cut off), "bad-gzip", "too-large" for a member above 64 MiB. */
int t3d_json_members_next(struct t3d_json_members *j, struct t3d_json_member *m,
                          struct t3d_err *err) T3D_MUST_CHECK;
void t3d_json_members_close(struct t3d_json_members *j); /* NULL is fine */

#endif
