/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects of a folder are there already. DIR/.made/UID is a line that says what object UID
 * was made of; it is written when its files are whole. */
#ifndef GENERATE_GENERATE_MADE_H
#define GENERATE_GENERATE_MADE_H

#include "base/err.h"
#include "base/hash.h"
#include "geom/gaussians.h"

struct t3d_arena;

/* What decides an object's bytes, as one hash. looks: format, cameras, resolution. */
int t3d_made_key(char key[T3D_SHA256_HEX], const char *looks, const struct t3d_origin *o, size_t n,
                 struct t3d_err *err) T3D_MUST_CHECK;
/* Is path there, made of this? */
int t3d_made_is(const char *dir, const char *uid, const char *path, const char *key,
                struct t3d_arena *a);
int t3d_made_set(const char *dir, const char *uid, const char *key, struct t3d_arena *a,
                 struct t3d_err *err) T3D_MUST_CHECK;

#endif
