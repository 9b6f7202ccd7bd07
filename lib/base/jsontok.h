/* SPDX-License-Identifier: Apache-2.0 */
/* base/jsontok.h -- JSON (RFC 8259) as one flat array of tokens, for files that are large or
 * hostile.
 *
 *     struct t3d_jsontok j;
 *     r = t3d_jsontok_parse(&j, arena, text, size, 256, err);
 *     uint32_t nodes = t3d_jtok_member(&j, T3D_JTOK_ROOT, "nodes");
 *     for (uint32_t i = 0, t = t3d_jtok_first(&j, nodes); i < j.tok[nodes].n; i++, t =
 * j.tok[t].next)
 *         ...
 *
 * One pass, one allocation of 16 bytes a token, no recursion; numbers and strings are decoded when
 * asked for. A token is named by its index; index 0 is a null that stands for "absent", so lookups
 * chain without checks. The text must outlive the tokens. */
#ifndef T3D_BASE_JSONTOK_H
#define T3D_BASE_JSONTOK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

enum t3d_jtok_type {
    T3D_JTOK_NULL,
    T3D_JTOK_FALSE,
    T3D_JTOK_TRUE,
    T3D_JTOK_NUMBER,
    T3D_JTOK_STRING,
    T3D_JTOK_ARRAY,
    T3D_JTOK_OBJECT
};

enum { T3D_JTOK_ABSENT = 0, T3D_JTOK_ROOT = 1 };

struct t3d_jtok {
    uint32_t start, end; /* bytes [start, end) of the text; of a string without its quotes */
    uint32_t next;       /* token behind this one and all that it holds */
    uint32_t n : 28;   /* elements of an array, members of an object; of a string 1 = has escapes */
    uint32_t type : 4; /* enum t3d_jtok_type */
};

struct t3d_jsontok {
    const char *text;
    struct t3d_jtok *tok; /* in the arena; an object's tokens are key, value, key, value, ... */
    uint32_t n;
};

/* A byte order mark before and white space or NULs behind the value are passed over. T3D_SKIP
 * "bad-json" names the byte offset; "too-large" for text of 2 GiB or more; nesting above max_depth
 * is "bad-json". */
int t3d_jsontok_parse(struct t3d_jsontok *j, struct t3d_arena *a, const char *text, size_t size,
                      unsigned max_depth, struct t3d_err *err) T3D_MUST_CHECK;

/* The value of a member (the first of that name); absent when t is no object or has no such member.
 */
uint32_t t3d_jtok_member(const struct t3d_jsontok *j, uint32_t t, const char *key);

/* First element of an array, or first key of an object; absent when there is none. */
uint32_t t3d_jtok_first(const struct t3d_jsontok *j, uint32_t t);

/* 1 when t is a string equal to s. */
int t3d_jtok_is(const struct t3d_jsontok *j, uint32_t t, const char *s);

/* The number, or `otherwise` when t is no number. Correctly rounded. */
double t3d_jtok_number(const struct t3d_jsontok *j, uint32_t t, double otherwise);

/* 1 and *out when t is a whole number from 0 to 2^53, else 0 and *out untouched. */
int t3d_jtok_whole(const struct t3d_jsontok *j, uint32_t t, uint64_t *out);

/* Decoded string (UTF-8; NUL and lone surrogates become U+FFFD) in the arena, NULL when t is no
 * string or memory is out. */
char *t3d_jtok_string(const struct t3d_jsontok *j, uint32_t t, struct t3d_arena *a);

#endif
