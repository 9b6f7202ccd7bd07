/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "num/op.h"

int64_t t3d_shape_count(const struct t3d_shape *s)
{
    int64_t n = 1;

    if (s->n < 0 || s->n > T3D_MAX_AXES)
        return -1;
    for (int i = 0; i < s->n; i++)
        if (s->dim[i] < 1 || __builtin_mul_overflow(n, s->dim[i], &n))
            return -1;
    return n > INT64_MAX / 64 ? -1 : n;
}

int64_t t3d_shape_part(const struct t3d_shape *s, int from, int to)
{
    int64_t n = 1;

    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

size_t t3d_shape_bytes(const struct t3d_shape *s)
{
    return (size_t)t3d_shape_count(s) * (s->type == T3D_INT ? sizeof(int32_t) : sizeof(t3d_real));
}

int t3d_shape_equal(const struct t3d_shape *a, const struct t3d_shape *b)
{
    int same = a->n == b->n && a->type == b->type;

    for (int i = 0; same && i < a->n; i++)
        same = a->dim[i] == b->dim[i];
    return same;
}

const char *t3d_shape_text(const struct t3d_shape *s, char *buf, size_t n)
{
    size_t used = (size_t)snprintf(buf, n, "(");

    for (int i = 0; i < s->n && used < n; i++)
        used +=
            (size_t)snprintf(buf + used, n - used, "%s%lld", i ? ", " : "", (long long)s->dim[i]);
    if (used < n)
        snprintf(buf + used, n - used, ")%s", s->type == T3D_INT ? " of integers" : "");
    return buf;
}

int t3d_shape_error(const struct t3d_call *c, struct t3d_err *err, const char *fmt, ...)
{
    char text[200], shapes[240], one[T3D_SHAPE_TEXT];
    size_t used = 0;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    shapes[0] = 0;
    for (int i = 0; i < c->n_in && used < sizeof shapes; i++)
        used +=
            (size_t)snprintf(shapes + used, sizeof shapes - used, "%s%s", i ? ", " : "",
                             c->in[i] ? t3d_shape_text(&c->in_shape[i], one, sizeof one) : "none");
    return t3d_err_set(err, T3D_USAGE, "wrong-shape", "%s: %s; inputs are %s", c->op->name, text,
                       shapes);
}
