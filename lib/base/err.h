/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.h -- graded results with a complete message.
 *
 *     if (index >= n)
 *         return t3d_err_set(err, T3D_SKIP, "index-out-of-range",
 *                            "triangle %zu refers to vertex %u of %zu", t, index, n);
 *
 * Library code never prints and never exits: it returns one of the grades below and fills *err,
 * whose message names the object, the field, the value and what to do.  *err is untouched on
 * success; err may be NULL where the caller does not care.  Tools print the message in one line. */
#ifndef T3D_BASE_ERR_H
#define T3D_BASE_ERR_H

#include <math.h>

#include "base/defs.h"

enum t3d_status {
    T3D_OK = 0,
    T3D_END = 1,    /* no more records; not an error */
    T3D_SKIP = -1,  /* this object is bad: record the reason, go on with the next */
    T3D_RETRY = -2, /* transient: the same call may succeed later (exit 75) */
    T3D_FAIL = -3,  /* the run cannot go on (exit 1) */
    T3D_USAGE = -4, /* the caller asked for something impossible (exit 2) */
    T3D_IO = -5     /* disk full or I/O error (exit 74) */
};

struct t3d_err {
    int code;        /* enum t3d_status */
    int sys;         /* errno at the time, or 0 */
    double value;    /* measured value behind a reject, NAN when there is none */
    char reason[64]; /* machine word such as "index-out-of-range": stable, lower case, dashes */
    char msg[512];   /* for people: one line without a newline at the end */
};

/* Fill *err (if not NULL) and return code, so that `return t3d_err_set(...)` reads well.
 * value is set to NAN; errno is kept in err->sys for T3D_IO and T3D_RETRY. */
int t3d_err_set(struct t3d_err *err, int code, const char *reason, const char *fmt, ...)
    T3D_PRINTF(4, 5);

/* The same with the measured value. */
int t3d_err_value(struct t3d_err *err, int code, const char *reason, double value, const char *fmt,
                  ...) T3D_PRINTF(5, 6);

/* Out of memory while working on `what`. Returns T3D_FAIL. */
int t3d_err_nomem(struct t3d_err *err, const char *what);

/* A system call failed: "what 'path': strerror". ENOSPC, EDQUOT, EFBIG, EIO and EROFS give T3D_IO,
 * the others T3D_FAIL; the reason is "disk-full", "io-error" or "system". */
int t3d_err_sys(struct t3d_err *err, const char *what, const char *path);

/* Put "prefix: " in front of the message, so that an upper layer can add the object's name. Returns
 * err->code. */
int t3d_err_prefix(struct t3d_err *err, const char *fmt, ...) T3D_PRINTF(2, 3);

#endif
