/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, MIN_BLOCK = 64 * 1024 };

struct t3d_arena_block {
    struct t3d_arena_block *next; /* older block */
    size_t size, used;            /* of data */
    _Alignas(ALIGN) unsigned char data[];
};

static struct t3d_arena_block *add_block(struct t3d_arena *a, size_t need)
{
    size_t size = a->head ? 2 * a->head->size : MIN_BLOCK;
    struct t3d_arena_block *b;

    if (size < need)
        size = (need + MIN_BLOCK - 1) & ~(size_t)(MIN_BLOCK - 1);
    b = aligned_alloc(ALIGN, sizeof *b + size);
    if (!b)
        return NULL;
    b->next = a->head;
    b->size = size;
    b->used = 0;
    a->head = b;
    return b;
}

void *t3d_alloc_raw(struct t3d_arena *a, size_t n, size_t size)
{
    struct t3d_arena_block *b = a->head;
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 4)
        return NULL;
    if (a->limit && (bytes > a->limit || a->used > a->limit - bytes))
        return NULL;
    bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!b || b->size - b->used < bytes) {
        b = add_block(a, bytes);
        if (!b)
            return NULL;
    }
    p = b->data + b->used;
    b->used += bytes;
    a->used += bytes;
    return p;
}

void *t3d_alloc(struct t3d_arena *a, size_t n, size_t size)
{
    void *p = t3d_alloc_raw(a, n, size);

    if (p)
        memset(p, 0, n * size);
    return p;
}

char *t3d_strndup(struct t3d_arena *a, const char *s, size_t n)
{
    char *p = t3d_alloc_raw(a, n + 1, 1);

    if (!p)
        return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *t3d_strdup(struct t3d_arena *a, const char *s)
{
    return t3d_strndup(a, s, strlen(s));
}

char *t3d_sprintf(struct t3d_arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    p = t3d_alloc_raw(a, (size_t)n + 1, 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void t3d_arena_reset(struct t3d_arena *a)
{
    struct t3d_arena_block *keep = NULL, *b = a->head, *next;

    for (; b; b = next) {
        next = b->next;
        if (!keep || b->size > keep->size) {
            free(keep);
            keep = b;
        } else {
            free(b);
        }
    }
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->head = keep;
    a->used = 0;
}

void t3d_arena_free(struct t3d_arena *a)
{
    struct t3d_arena_block *b = a->head, *next;

    for (; b; b = next) {
        next = b->next;
        free(b);
    }
    a->head = NULL;
    a->used = 0;
}
