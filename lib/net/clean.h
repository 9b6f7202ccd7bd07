/* SPDX-License-Identifier: Apache-2.0 */
/* net/clean.h -- the cleaning of texts that open_clip does before its tokenizer (open_clip,
 * src/open_clip/tokenizer.py, _clean_lower): ftfy.fix_text, html.unescape twice, white space runs
 * to one space, lower case as Python has it.
 *
 * Of ftfy all steps but the repair of mojibake are done: entities where no '<' stands, C1 controls
 * as Windows-1252, Latin ligatures, full and half width, curly quotes, line breaks, terminal
 * escapes, control characters, NFC, all repeated until nothing changes (here at most 32 times, so
 * that a hostile text ends). Letters and numbers are those of t3d_unicode_version(). */
#ifndef T3D_NET_CLEAN_H
#define T3D_NET_CLEAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

struct t3d_arena;

/* in (n) characters, none a surrogate -> *out in the arena; returns their number, or -1 when memory
 * is out. */
int64_t t3di_clean_open_clip(uint32_t **out, const uint32_t *in, size_t n,
                             struct t3d_arena *a) T3D_MUST_CHECK;

#endif
