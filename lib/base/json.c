/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_impl.h"

size_t t3di_utf8_char(const unsigned char *s, size_t n)
{
    unsigned char c = s[0];
    unsigned char low = 0x80, high = 0xBF;
    size_t len = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

    if (len <= 1)
        return len;
    if (len > n)
        return 0;
    if (c == 0xE0)
        low = 0xA0;
    else if (c == 0xED)
        high = 0x9F;
    else if (c == 0xF0)
        low = 0x90;
    else if (c == 0xF4)
        high = 0x8F;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

size_t t3di_utf8_valid(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        size_t len;

        /* Nearly all text is ASCII: eight bytes at a time. */
        while (n - i >= sizeof word) {
            memcpy(&word, s + i, sizeof word);
            if (word & 0x8080808080808080u)
                break;
            i += sizeof word;
        }
        if (i == n)
            break;
        len = t3di_utf8_char((const unsigned char *)s + i, n - i);
        if (!len)
            return i;
        i += len;
    }
    return n;
}

/* Offset of an escape \u0000, or n. An even number of backslashes before the u is text, not an
 * escape. */
static size_t nul_escape(const char *s, size_t n)
{
    const char *p = s, *hit;

    while ((hit = memmem(p, n - (size_t)(p - s), "\\u0000", 6))) {
        size_t slashes = 1;

        while (hit - slashes >= s && hit[-(ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2)
            return (size_t)(hit - s);
        p = hit + 6;
    }
    return n;
}

cJSON *t3di_json_parse(const char *text, size_t n, size_t *at, const char **why)
{
    const char *end = NULL;
    cJSON *value;

    if ((*at = t3di_utf8_valid(text, n)) < n) {
        *why = "is not UTF-8";
        return NULL;
    }
    if ((*at = nul_escape(text, n)) < n) {
        *why = "has a string with \\u0000";
        return NULL;
    }
    value = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    *at = end && end >= text ? (size_t)(end - text) : 0;
    if (!value) {
        *why = "is not JSON";
        return NULL;
    }
    for (; *at < n; ++*at) {
        if (strchr(" \t\r\n", text[*at]) && text[*at])
            continue;
        *why = "goes on after the end of its value";
        cJSON_Delete(value);
        return NULL;
    }
    return value;
}

int t3d_json_read(cJSON **out, const char *path, uint64_t max_bytes, struct t3d_err *err)
{
    struct t3d_blob b;
    const char *why;
    size_t at;
    int r = t3d_blob_open(&b, path, max_bytes, err);

    if (r < 0)
        return r;
    *out = t3di_json_parse((const char *)b.data, b.size, &at, &why);
    if (!*out)
        r = t3d_err_set(err, T3D_SKIP, "not-json", "'%s' %s (byte %zu)", path, why, at);
    t3d_blob_close(&b);
    return r;
}

const char *t3d_json_str(const cJSON *o, const char *key, const char *otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsString(m) ? m->valuestring : otherwise;
}

double t3d_json_num(const cJSON *o, const char *key, double otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(m) ? m->valuedouble : otherwise;
}

int t3d_json_bool(const cJSON *o, const char *key, int otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsBool(m) ? cJSON_IsTrue(m) : otherwise;
}

static _Thread_local int lost;

static void *watched(size_t n)
{
    void *p = malloc(n);

    if (!p)
        lost = 1;
    return p;
}

void t3d_json_watch_memory(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = watched, .free_fn = free});
}

int t3di_json_lost(void)
{
    int was = lost;

    lost = 0;
    return was;
}

int t3d_json_set(cJSON *o, const char *key, cJSON *value)
{
    if (!value)
        return -1;
    if (cJSON_GetObjectItemCaseSensitive(o, key)
            ? cJSON_ReplaceItemInObjectCaseSensitive(o, key, value)
            : cJSON_AddItemToObject(o, key, value))
        return 0;
    cJSON_Delete(value);
    return -1;
}

int t3d_json_set_str(cJSON *o, const char *key, const char *s)
{
    return t3d_json_set(o, key, s ? cJSON_CreateString(s) : cJSON_CreateNull());
}

int t3d_json_set_num(cJSON *o, const char *key, double v)
{
    return t3d_json_set(o, key, isfinite(v) ? cJSON_CreateNumber(v) : cJSON_CreateNull());
}

int t3d_json_set_bool(cJSON *o, const char *key, int v)
{
    return t3d_json_set(o, key, cJSON_CreateBool(v));
}
