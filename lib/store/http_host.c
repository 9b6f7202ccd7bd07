/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: how many requests may run, when the next one may start, and what they did. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/http_impl.h"

enum { START = 8, MANY = 8192 };

/* An object is worth its bytes and the work of one request, so that small ones count too. */
#define REQUEST_BYTES 4096.0

static size_t hash_name(const char *s)
{
    size_t h = 1469598103934665603u; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static void host_free(struct t3di_host *h)
{
    free(h->name);
    free(h);
}

/* A list may name millions of hosts: those that nothing is known of now are forgotten. */
static void forget(struct t3di_hosts *t, double now)
{
    for (size_t i = 0; i < t->buckets; i++)
        for (struct t3di_host **p = &t->bucket[i]; *p;) {
            struct t3di_host *h = *p;

            if (h->active || h->waiting || h->not_before > now || h->reset > now) {
                p = &h->next;
                continue;
            }
            *p = h->next;
            host_free(h);
            t->n--;
        }
}

struct t3di_host *t3di_host_find(struct t3di_hosts *t, const char *name, double now)
{
    struct t3di_host *h, **p;

    if (!t->bucket) {
        t->buckets = 1024;
        t->bucket = calloc(t->buckets, sizeof(struct t3di_host *));
        if (!t->bucket)
            return NULL;
    }
    p = &t->bucket[hash_name(name) % t->buckets];
    for (h = *p; h; h = h->next)
        if (strcmp(h->name, name) == 0)
            return h;
    if (t->n >= MANY)
        forget(t, now);
    h = calloc(1, sizeof *h);
    if (!h || !(h->name = strdup(name))) {
        free(h);
        return NULL;
    }
    h->limit = T3D_MIN(START, t->per_host);
    h->remaining = -1;
    h->next = *p;
    *p = h;
    t->n++;
    return h;
}

void t3di_hosts_free(struct t3di_hosts *t)
{
    for (size_t i = 0; t->bucket && i < t->buckets; i++)
        for (struct t3di_host *h = t->bucket[i], *next; h; h = next) {
            next = h->next;
            host_free(h);
        }
    free(t->bucket);
    memset(t, 0, sizeof *t);
}

double t3di_host_wait(const struct t3di_host *h, double now)
{
    if (h->not_before > now)
        return h->not_before - now;
    if (h->remaining == 0 && h->reset > now)
        return h->reset - now;
    return h->active < (unsigned)h->limit ? 0 : -1;
}

void t3di_host_start(struct t3di_host *h)
{
    h->active++;
    h->requests++;
    if (h->remaining > 0)
        h->remaining--;
}

static unsigned latency_bucket(double seconds)
{
    double b = log(seconds / 1e-4) / log(1.4); /* from 0.1 ms on, 40 % apart */

    return b > 0 ? (unsigned)fmin(b, T3DI_LATENCIES - 1) : 0;
}

double t3di_host_latency(const struct t3di_host *h, double quantile)
{
    uint64_t n = 0, sum = 0;
    int i = 0;

    for (int k = 0; k < T3DI_LATENCIES; k++)
        n += h->latency[k];
    while (i < T3DI_LATENCIES - 1 && (double)(sum += h->latency[i]) < quantile * (double)n)
        i++;
    return 1e-4 * pow(1.4, i + 0.5);
}

/* Hill climbing: once every transfer of the limit has ended (and 0.2 s have passed) the goodput is
 * compared with that of the limit before. Better: more of it; clearly worse: back. The rest is one
 * step of trying now and then. A host that complained is left alone for 5 s. */
static void follow(struct t3di_host *h, unsigned per_host, double now)
{
    double rate;

    if (now - h->since < 0.2 || h->ended < (unsigned)h->limit)
        return;
    rate = h->work / (now - h->since);
    if (now < h->calm) {
        h->best = rate;
    } else if (rate > 1.05 * h->best) {
        h->best = rate;
        h->limit += T3D_MAX(1, h->limit / 4);
        h->grew = 0;
    } else if (rate < 0.8 * h->best && h->limit > 1) {
        h->best = rate;
        h->limit -= T3D_MAX(1, h->limit / 5);
        h->grew = 0;
    } else if (++h->grew == 10) {
        h->limit++;
        h->grew = 0;
    }
    h->limit = T3D_CLAMP(h->limit, 1, per_host);
    h->since = now;
    h->work = 0;
    h->ended = 0;
}

void t3di_host_end(struct t3di_host *h, unsigned per_host, double now, double seconds,
                   uint64_t bytes, int good)
{
    h->active--;
    h->bytes += bytes;
    h->latency[latency_bucket(seconds)]++;
    if (!good) {
        /* Transfers that fail together are one complaint. */
        if (now >= h->calm - 4)
            h->limit = T3D_MAX(1, floor(h->limit / 2));
        h->calm = now + 5;
        return;
    }
    if (h->since == 0)
        h->since = now - seconds;
    h->work += (double)bytes + REQUEST_BYTES;
    h->ended++;
    follow(h, per_host, now);
}

/* --- what replies say
 * ----------------------------------------------------------------------------- */

static int is(const char *name, size_t n, const char *wanted)
{
    return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

/* The parameter k=N of a RateLimit field; -1 = none. */
static double parameter(const char *value, char k)
{
    for (const char *s = value; (s = strchr(s, k)); s++)
        if (s[1] == '=' && (s == value || strchr("; ,", s[-1])) && s[2] >= '0' && s[2] <= '9')
            return strtod(s + 2, NULL);
    return -1;
}

/* Seconds, or a date (RFC 9110, section 10.2.3); it is compared with the reply's own Date, so that
 * our clock need not be right. */
static double delay(const char *value, double date)
{
    struct timespec now;
    char *end;
    double s = strtod(value, &end);
    time_t at;

    if (end != value && !*end && *value >= '0' && *value <= '9')
        return s;
    at = curl_getdate(value, NULL);
    if (at < 0)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    return fmax(0, (double)at - (date > 0 ? date : (double)now.tv_sec));
}

void t3di_limits_header(struct t3di_limits *l, const char *name, size_t n, const char *value,
                        double date)
{
    if (is(name, n, "retry-after")) {
        l->retry_after = delay(value, date);
    } else if (is(name, n, "ratelimit")) {
        /* "resolvers";r=0;t=120 (draft-ietf-httpapi-ratelimit-headers); older drafts wrote
         * remaining=0, reset=120 */
        double r = parameter(value, 'r'), t = parameter(value, 't');
        const char *s;

        if (r < 0 && (s = strstr(value, "remaining=")))
            r = strtod(s + 10, NULL);
        if (t < 0 && (s = strstr(value, "reset=")))
            t = strtod(s + 6, NULL);
        if (r >= 0 && t >= 0 && r < 1e15) {
            l->remaining = (int64_t)r;
            l->reset = t;
        }
    } else if (is(name, n, "ratelimit-remaining") || is(name, n, "x-ratelimit-remaining")) {
        l->remaining = strtoll(value, NULL, 10);
    } else if (is(name, n, "ratelimit-reset") || is(name, n, "x-ratelimit-reset")) {
        double t = strtod(value, NULL);
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        if (t > 1e9) /* seconds since 1970, as GitHub's */
            t -= date > 0 ? date : (double)now.tv_sec;
        l->reset = fmax(0, t);
    }
}

void t3di_host_limits(struct t3di_host *h, const struct t3di_limits *l, int throttled, double now)
{
    double pause = -1;

    if (l->remaining >= 0 && l->reset >= 0) {
        /* Replies may overtake each other: within a window the least is true. */
        if (h->remaining < 0 || now >= h->reset || l->remaining < h->remaining)
            h->remaining = l->remaining;
        h->reset = now + l->reset;
    }
    if (!throttled)
        return;
    h->throttled++;
    if (l->retry_after >= 0)
        pause = l->retry_after;
    else if (l->reset >= 0 && l->remaining <= 0)
        pause = l->reset;
    if (pause >= 0)
        h->not_before = fmax(h->not_before, now + pause);
}
