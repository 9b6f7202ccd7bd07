/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters from a hostile name must not reach a terminal or split a log line. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static int T3D_PRINTF(5, 0) set(struct t3d_err *err, int code, const char *reason, double value,
                                const char *fmt, va_list ap)
{
    int sys = errno;

    if (!err)
        return code;
    err->code = code;
    err->sys = code == T3D_IO || code == T3D_RETRY ? sys : 0;
    err->value = value;
    snprintf(err->reason, sizeof err->reason, "%s", reason ? reason : "");
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    make_printable(err->msg);
    return code;
}

int t3d_err_set(struct t3d_err *err, int code, const char *reason, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set(err, code, reason, NAN, fmt, ap);
    va_end(ap);
    return code;
}

int t3d_err_value(struct t3d_err *err, int code, const char *reason, double value, const char *fmt,
                  ...)
{
    va_list ap;

    va_start(ap, fmt);
    set(err, code, reason, value, fmt, ap);
    va_end(ap);
    return code;
}

int t3d_err_nomem(struct t3d_err *err, const char *what)
{
    return t3d_err_set(err, T3D_FAIL, "out-of-memory", "out of memory while working on %s", what);
}

int t3d_err_sys(struct t3d_err *err, const char *what, const char *path)
{
    int sys = errno;
    int full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
    int io = full || sys == EIO || sys == EROFS;

    t3d_err_set(err, io ? T3D_IO : T3D_FAIL,
                full ? "disk-full"
                : io ? "io-error"
                     : "system",
                "%s '%s': %s", what, path, strerror(sys));
    if (err)
        err->sys = sys;
    return io ? T3D_IO : T3D_FAIL;
}

int t3d_err_prefix(struct t3d_err *err, const char *fmt, ...)
{
    char old[sizeof err->msg];
    va_list ap;
    size_t n;

    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %.*s", (int)(sizeof old - 1), old);
    make_printable(err->msg);
    return err->code;
}
