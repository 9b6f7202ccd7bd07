/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/log_impl.h"

enum mode { NONE, BAR, LINES, JSON };

/* Seconds between two reports. */
static const double interval[] = {[NONE] = 1e9, [BAR] = 0.1, [LINES] = 30, [JSON] = 1};

struct t3d_progress {
    pthread_mutex_t lock;
    enum mode mode;
    char stage[32], unit[32];
    uint64_t total, done, rejected, failed; /* done counts all three kinds */
    double begin, next;                     /* seconds, monotonic */
    int reported;
};

/* A bar of a background job would be written over the shell's line. */
static int foreground_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && tcgetpgrp(STDERR_FILENO) == getpgrp() &&
           !(term && strcmp(term, "dumb") == 0);
}

static enum mode choose(const char *mode)
{
    if (strcmp(mode, "json") == 0)
        return JSON;
    if (strcmp(mode, "none") == 0 || !t3di_log_informs())
        return NONE;
    if (strcmp(mode, "bar") == 0)
        return BAR;
    return foreground_terminal() ? BAR : LINES;
}

struct t3d_progress *t3d_progress_new(const char *mode, const char *stage, const char *unit,
                                      uint64_t total)
{
    struct t3d_progress *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    p->mode = choose(mode);
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    snprintf(p->unit, sizeof p->unit, "%s", unit);
    p->total = total;
    p->begin = t3d_clock_s();
    p->next = p->begin + interval[p->mode];
    return p;
}

void t3d_progress_total(struct t3d_progress *p, uint64_t total)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->total = total;
    pthread_mutex_unlock(&p->lock);
}

/* "1h02m", "3m07s", "12s" */
static void format_seconds(double s, char *buf, size_t n)
{
    unsigned long t = s < 3.6e8 ? (unsigned long)(s + 0.5) : 360000000ul;

    if (t >= 3600)
        snprintf(buf, n, "%luh%02lum", t / 3600, t / 60 % 60);
    else if (t >= 60)
        snprintf(buf, n, "%lum%02lus", t / 60, t % 60);
    else
        snprintf(buf, n, "%lus", t);
}

static void report_json(struct t3d_progress *p, double rate, double eta)
{
    cJSON *o = cJSON_CreateObject();
    char *text = NULL;

    if (o && !t3d_json_set_str(o, "message_type", "progress") &&
        !t3d_json_set_str(o, "stage", p->stage) && !t3d_json_set_num(o, "done", (double)p->done) &&
        !t3d_json_set_num(o, "total", p->total ? (double)p->total : NAN) &&
        !t3d_json_set_num(o, "failed", (double)p->failed) &&
        !t3d_json_set_num(o, "rejected", (double)p->rejected) &&
        !t3d_json_set_num(o, "rate", rate) && !t3d_json_set_num(o, "eta_s", eta))
        text = t3d_json_text(o, 0);
    if (text)
        t3di_log_line(text);
    free(text);
    cJSON_Delete(o);
}

static void format_line(const struct t3d_progress *p, double rate, double eta, char *s, size_t n)
{
    char left[32];
    size_t k;

    if (p->total)
        k = (size_t)snprintf(s, n, "%" PRIu64 "/%" PRIu64 " %s (%.0f %%), %.3g/s", p->done,
                             p->total, p->unit, 100.0 * (double)p->done / (double)p->total, rate);
    else
        k = (size_t)snprintf(s, n, "%" PRIu64 " %s, %.3g/s", p->done, p->unit, rate);
    if (eta >= 0 && k < n) {
        format_seconds(eta, left, sizeof left);
        k += (size_t)snprintf(s + k, n - k, ", %s left", left);
    }
    if (p->rejected && k < n)
        k += (size_t)snprintf(s + k, n - k, ", %" PRIu64 " rejected", p->rejected);
    if (p->failed && k < n)
        snprintf(s + k, n - k, ", %" PRIu64 " failed", p->failed);
}

static void report(struct t3d_progress *p, double t)
{
    double seconds = t - p->begin;
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    double eta = NAN;
    char text[160], bar[240];

    if (p->total && p->done && p->total >= p->done && rate > 0)
        eta = (double)(p->total - p->done) / rate;
    p->reported = 1;
    if (p->mode == JSON) {
        report_json(p, rate, eta);
        return;
    }
    format_line(p, rate, eta, text, sizeof text);
    if (p->mode == BAR) {
        snprintf(bar, sizeof bar, "t3d %s: %s", p->stage, text);
        t3di_log_bar(bar);
    } else {
        t3d_info("%s", text);
    }
}

void t3d_progress_add(struct t3d_progress *p, int grade)
{
    double t;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->done++;
    p->rejected += grade == 1;
    p->failed += grade == 2;
    t = t3d_clock_s();
    if (t >= p->next) {
        p->next = t + interval[p->mode];
        report(p, t);
    }
    pthread_mutex_unlock(&p->lock);
}

void t3d_progress_free(struct t3d_progress *p)
{
    if (!p)
        return;
    if (p->mode == BAR)
        t3di_log_bar("");
    else if (p->mode == JSON || (p->mode == LINES && p->reported))
        report(p, t3d_clock_s());
    pthread_mutex_destroy(&p->lock);
    free(p);
}
