/* SPDX-License-Identifier: Apache-2.0 */
/* geom/text_impl.h -- words, numbers and names in text formats, whatever the locale. */
#ifndef T3D_GEOM_TEXT_IMPL_H
#define T3D_GEOM_TEXT_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;

/* Unread text. */
struct t3di_text {
    const char *p, *end;
};

/* Space within a line; '\r' is one, so that CRLF needs no care. */
static inline int t3di_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static inline int t3di_is_space(char c)
{
    return c == '\n' || t3di_is_blank(c);
}

static inline void t3di_skip_blanks(struct t3di_text *t)
{
    while (t->p < t->end && t3di_is_blank(*t->p))
        t->p++;
}

static inline void t3di_skip_spaces(struct t3di_text *t)
{
    while (t->p < t->end && t3di_is_space(*t->p))
        t->p++;
}

/* A number at t->p: decimal, or nan and inf in the spellings of C and of Microsoft ("1.#QNAN").
 * Exact: the float nearest to the decimal value, ties to even; too large a value is infinite. 1 and
 * behind it, or 0 and nothing moved. Spaces before it are not skipped, what follows is not looked
 * at. */
int t3di_read_float(struct t3di_text *t, float *out);

/* An integer, as above; one beyond +-2^62 is cut there. "3.0" reads 3 and leaves ".0". */
int t3di_read_int(struct t3di_text *t, int64_t *out);

/* The next word of the line (t->p == t->end or '\n' behind it): 1, or 0 at the end of the line. */
int t3di_read_word(struct t3di_text *t, struct t3di_text *word);

/* 1 when word is s, whatever the case. */
int t3di_word_is(const struct t3di_text *word, const char *s);

/* The rest of the line without spaces around, and without quotes around; may be empty. */
struct t3di_text t3di_trim(const struct t3di_text *line);

/* Names and their numbers 0, 1, 2 ... in the order of their first t3di_names_add. */
struct t3di_names {
    struct t3d_arena *a;
    char **name;
    uint32_t n, capacity;
    uint32_t *slot; /* (2 capacity,): number + 1, or 0 */
};

/* The number of name, adding it when it is new; -1 when memory is out. */
int64_t t3di_names_add(struct t3di_names *s, const char *name, size_t n);
/* The same, without adding: -1 when there is none. */
int64_t t3di_names_find(const struct t3di_names *s, const char *name, size_t n);

#endif
