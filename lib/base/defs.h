/* SPDX-License-Identifier: Apache-2.0 */
/* base/defs.h -- attributes and small macros that every layer uses. */
#ifndef T3D_BASE_DEFS_H
#define T3D_BASE_DEFS_H

#define T3D_VERSION "0.1.0"

/* The caller must look at the result. */
#define T3D_MUST_CHECK __attribute__((warn_unused_result))
/* Argument f is a printf format, its values start at argument a. */
#define T3D_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define T3D_NORETURN     __attribute__((noreturn))
#define T3D_UNUSED       __attribute__((unused))

#define T3D_COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define T3D_MIN(a, b)      ((a) < (b) ? (a) : (b))
#define T3D_MAX(a, b)      ((a) > (b) ? (a) : (b))
#define T3D_CLAMP(x, l, h) ((x) < (l) ? (l) : (x) > (h) ? (h) : (x))

#endif
