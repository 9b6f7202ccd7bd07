/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.h -- memory with three lifetimes: the run, the record, the handle.
 *
 *     struct t3d_arena a = {.limit = 1u << 30};
 *     float (*p)[3] = t3d_alloc(&a, n, sizeof *p);     zeroed, 64-byte aligned
 *     ...
 *     t3d_arena_reset(&a);                              keeps the memory for the next record
 *     t3d_arena_free(&a);
 *
 * One arena belongs to one thread at a time. The limit bounds what a hostile file can make us
 * allocate; 0 means no limit. */
#ifndef T3D_BASE_ARENA_H
#define T3D_BASE_ARENA_H

#include <stddef.h>

#include "base/defs.h"

struct t3d_arena_block;

struct t3d_arena {
    struct t3d_arena_block *head; /* newest block */
    size_t used;                  /* bytes handed out since the last reset */
    size_t limit;                 /* most bytes to hand out; 0 = no limit */
};

/* n * size bytes, zeroed, aligned to 64. NULL when the product overflows, the limit is passed or
 * memory is out; n * size == 0 gives a valid pointer. */
void *t3d_alloc(struct t3d_arena *a, size_t n, size_t size) T3D_MUST_CHECK;

/* As t3d_alloc but not zeroed: for arrays that are filled at once. */
void *t3d_alloc_raw(struct t3d_arena *a, size_t n, size_t size) T3D_MUST_CHECK;

/* Copies of a string, or of n bytes with a final NUL. NULL as above. */
char *t3d_strdup(struct t3d_arena *a, const char *s) T3D_MUST_CHECK;
char *t3d_strndup(struct t3d_arena *a, const char *s, size_t n) T3D_MUST_CHECK;

/* printf into the arena. NULL as above. */
char *t3d_sprintf(struct t3d_arena *a, const char *fmt, ...) T3D_PRINTF(2, 3) T3D_MUST_CHECK;

/* Forget everything handed out; keeps the largest block for reuse. */
void t3d_arena_reset(struct t3d_arena *a);

/* Give all memory back. A zeroed arena is valid. */
void t3d_arena_free(struct t3d_arena *a);

#endif
