/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log_impl.h"

/* The one piece of global state: where messages go and what stands on the last line. */
static struct {
    pthread_mutex_t lock;
    enum t3d_log_level level;
    char program[64];
    char bar[256];
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = T3D_LOG_INFO, .program = "t3d"};

void t3d_log_init(const char *program, enum t3d_log_level level)
{
    pthread_mutex_lock(&state.lock);
    snprintf(state.program, sizeof state.program, "%s", program);
    state.level = level;
    pthread_mutex_unlock(&state.lock);
}

int t3di_log_informs(void)
{
    int yes;

    pthread_mutex_lock(&state.lock);
    yes = state.level >= T3D_LOG_INFO;
    pthread_mutex_unlock(&state.lock);
    return yes;
}

/* All bytes, or as many as stderr takes: there is nobody left to tell. */
static void write_out(const char *s, size_t n)
{
    while (n) {
        ssize_t k = write(STDERR_FILENO, s, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return;
        s += k;
        n -= (size_t)k;
    }
}

/* Names come from hostile files: no control character (C0, DEL, and C1 in UTF-8) reaches a
 * terminal. */
static void make_printable(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)
            p[0] = p[1] = '?';
    }
}

/* One write, so that lines of several processes do not mix. Called with the lock. */
static void put_line(const char *line)
{
    char buf[2048];
    int n = snprintf(buf, sizeof buf, "%s%s\n%s", state.bar[0] ? "\r\033[K" : "", line, state.bar);

    write_out(buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
}

void t3di_log_bar(const char *text)
{
    char buf[320];
    int n;

    pthread_mutex_lock(&state.lock);
    n = snprintf(buf, sizeof buf, "\r\033[K%s", text);
    if (*text || state.bar[0])
        write_out(buf, (size_t)n < sizeof buf ? (size_t)n : sizeof buf - 1);
    snprintf(state.bar, sizeof state.bar, "%s", text);
    pthread_mutex_unlock(&state.lock);
}

void t3di_log_line(const char *line)
{
    pthread_mutex_lock(&state.lock);
    put_line(line);
    pthread_mutex_unlock(&state.lock);
}

static void T3D_PRINTF(3, 0)
    message(enum t3d_log_level level, const char *kind, const char *fmt, va_list ap)
{
    char line[1024];
    size_t n;

    pthread_mutex_lock(&state.lock);
    if (level <= state.level) {
        n = (size_t)snprintf(line, sizeof line, "%s: %s", state.program, kind);
        vsnprintf(line + n, sizeof line - n, fmt, ap);
        make_printable(line);
        put_line(line);
    }
    pthread_mutex_unlock(&state.lock);
}

void t3d_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(T3D_LOG_ERROR, "", fmt, ap);
    va_end(ap);
}

void t3d_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(T3D_LOG_WARN, "warning: ", fmt, ap);
    va_end(ap);
}

void t3d_info(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(T3D_LOG_INFO, "", fmt, ap);
    va_end(ap);
}

void t3d_debug(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(T3D_LOG_DEBUG, "debug: ", fmt, ap);
    va_end(ap);
}
