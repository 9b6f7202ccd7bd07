/* SPDX-License-Identifier: Apache-2.0 */
/* http URL_PREFIX N CONNECTIONS: how fast a bare loop on libcurl's multi interface fetches
 * URL_PREFIX0.stl ... URL_PREFIX<N-1>.stl and throws the bytes away: the ceiling for `t3d fetch
 * urls` on the same server. One NDJSON line. */
#include <curl/curl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"

static size_t swallow(char *data, size_t one, size_t n, void *arg)
{
    (void)data;
    *(double *)arg += (double)(one * n);
    return one * n;
}

static void start(CURLM *m, CURL *e, const char *prefix, long i)
{
    char url[1024];

    snprintf(url, sizeof url, "%s%ld.stl", prefix, i);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_multi_add_handle(m, e);
}

int main(int argc, char **argv)
{
    long n = argc == 4 ? strtol(argv[2], NULL, 10) : 0, at, started = 0, done = 0;
    double bytes = 0, begin = t3d_clock_s(), seconds;
    struct rusage u;
    CURLM *m = curl_multi_init();
    int running, left;
    CURLMsg *msg;

    if (n < 1) {
        fprintf(stderr, "usage: http URL_PREFIX N CONNECTIONS\n");
        return 2;
    }
    for (at = strtol(argv[3], NULL, 10); at > 0 && started < n; at--) {
        CURL *e = curl_easy_init();

        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, swallow);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, &bytes);
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L * 1024);
        start(m, e, argv[1], started++);
    }
    while (done < n) {
        curl_multi_perform(m, &running);
        while ((msg = curl_multi_info_read(m, &left))) {
            CURL *e = msg->easy_handle;

            done++;
            curl_multi_remove_handle(m, e);
            if (started < n)
                start(m, e, argv[1], started++);
            else
                curl_easy_cleanup(e);
        }
        if (running)
            curl_multi_poll(m, NULL, 0, 1000, NULL);
    }
    seconds = t3d_clock_s() - begin;
    curl_multi_cleanup(m);
    getrusage(RUSAGE_SELF, &u);
    printf("{\"bench\":\"http\",\"objects\":%ld,\"bytes\":%.0f,\"seconds\":%.3f,\"rate\":%.0f,"
           "\"mb_per_s\":%.0f,\"cpu_s\":%.3f}\n",
           n, bytes, seconds, (double)n / seconds, bytes / 1e6 / seconds,
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec));
    return 0;
}
