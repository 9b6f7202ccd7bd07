/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, and what stands at the beginning of a file that is not what was asked for. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "store/http_impl.h"

int t3d_http_url(const char *url, char **clean, struct t3d_err *err)
{
    CURLU *u = curl_url();
    const char *why = NULL;
    char *text = NULL, *scheme = NULL;
    CURLUcode c = CURLUE_OUT_OF_MEMORY;

    for (const char *s = url; *s && !why; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            why = "it has a control character";
    if (u && !why)
        c = curl_url_set(u, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
    if (u && !why && c == CURLUE_OK) {
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
        c = curl_url_get(u, CURLUPART_URL, &text, 0);
    }
    if (scheme && strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        why = "it is neither http nor https";
    else if (!why && c == CURLUE_OK) {
        char *user = NULL;

        if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK && user)
            why = "it has a user name or a password: use --token-file";
        curl_free(user);
    } else if (!why && c != CURLUE_OUT_OF_MEMORY) {
        why = "it is not an absolute http or https address";
    }
    *clean = why || c != CURLUE_OK ? NULL : strdup(text);
    curl_free(text);
    curl_free(scheme);
    curl_url_cleanup(u);
    if (why)
        return t3d_err_set(err, T3D_SKIP, "bad-url", "'%.300s' cannot be fetched: %s", url, why);
    return *clean ? T3D_OK : t3d_err_nomem(err, url);
}

void t3d_http_url_name(const char *url, char *buf, size_t n)
{
    const char *s = strstr(url, "://"), *end;

    s = s ? s + 3 : url;
    s += strcspn(s, "/?#");
    end = s + strcspn(s, "?#");
    for (const char *p = s; p < end; p++)
        if (*p == '/')
            s = p + 1;
    snprintf(buf, n, "%.*s", (int)T3D_MIN(end - s, 4096), s);
}

int t3d_http_is_page(const void *data, size_t n)
{
    const char *s = data, *end = s + n;

    if (n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
        s += 3;
    while (s < end && (*s == ' ' || (*s >= '\t' && *s <= '\r')))
        s++;
    return (end - s >= 9 && strncasecmp(s, "<!doctype", 9) == 0) ||
           (end - s >= 5 && strncasecmp(s, "<html", 5) == 0);
}

int t3d_http_is_pointer(const void *data, size_t n)
{
    static const char head[] = "version https://git-lfs.github.com/spec/v1";

    return n >= sizeof head && memcmp(data, head, sizeof head - 1) == 0;
}
