/* SPDX-License-Identifier: Apache-2.0 */
/* base/json_impl.h -- checks that the readers and the writer of JSON share. */
#ifndef T3D_BASE_JSON_IMPL_H
#define T3D_BASE_JSON_IMPL_H

#include <stddef.h>

#include <cjson/cJSON.h>

#include "base/err.h"

/* Length of the valid UTF-8 character at s (n > 0 bytes left), 0 when there is none. RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF. */
size_t t3di_utf8_char(const unsigned char *s, size_t n);

/* Offset of the first byte of s that is not UTF-8; n when all is. */
size_t t3di_utf8_valid(const char *s, size_t n);

/* Parse text[0, n). On error returns NULL with *at the offset and *why the cause in words. Beyond
 * cJSON's checks it refuses invalid UTF-8, the escape \u0000 (which would cut strings short) and
 * bytes behind the value. */
cJSON *t3di_json_parse(const char *text, size_t n, size_t *at, const char **why);

/* Was memory out since the last call? */
int t3di_json_lost(void);

#endif
