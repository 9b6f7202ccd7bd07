/* SPDX-License-Identifier: Apache-2.0 */
/* Written rules that answer a judge's questions, so that everything around a judge can be tried
 * without one. They know colours and words, and no shapes. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/defs.h"
#include "base/file.h"
#include "base/json.h"
#include "image/image.h"
#include "metric/judge.h"

enum { COLORS = 11, MAX_PICTURE = 64 << 20, WORD = 32, MAX_WORDS = 256, FULL = 5 };

#define SHARE .12 /* of the object's pixels that a colour needs to be named */

/* --- a picture ------------------------------------------------------------------------------- */

static const char *const color_name[COLORS] = {"black", "grey",   "white",  "red",
                                               "brown", "orange", "yellow", "green",
                                               "blue",  "purple", "pink"};

/* By hue, saturation and value (Smith 1978); hues in degrees. */
static int color_of(const uint8_t *p)
{
    int most = T3D_MAX(p[0], T3D_MAX(p[1], p[2])), least = T3D_MIN(p[0], T3D_MIN(p[1], p[2]));
    double span = most - least, hue;

    if (most < 40)
        return 0;
    if (span < .18 * most)
        return most > 200 ? 2 : 1;
    hue = most == p[0]   ? 60 * (p[1] - p[2]) / span
          : most == p[1] ? 120 + 60 * (p[2] - p[0]) / span
                         : 240 + 60 * (p[0] - p[1]) / span;
    hue = hue < 0 ? hue + 360 : hue;
    if (hue < 14 || hue >= 345)
        return span < .5 * most && most > 180 ? 10 : 3;
    if (hue < 42)
        return most < 140 ? 4 : 5;
    return hue < 70 ? 6 : hue < 170 ? 7 : hue < 255 ? 8 : hue < 300 ? 9 : 10;
}

/* "a red and blue object", most frequent first; black (0, 0, 0) is background. */
static char *describe(const uint8_t *rgba, size_t n, struct t3d_arena *a)
{
    size_t count[COLORS] = {0}, object = 0;
    char *text = NULL;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgba + 4 * i;

        if (p[3] < 128 || T3D_MAX(p[0], T3D_MAX(p[1], p[2])) < 8)
            continue;
        object++;
        count[color_of(p)]++;
    }
    for (int round = 0; round < 3 && object * 1000 > n; round++) {
        int best = 0;

        for (int i = 1; i < COLORS; i++)
            best = count[i] > count[best] ? i : best;
        if ((double)count[best] < SHARE * (double)object)
            break;
        text = t3d_sprintf(a, "%s%s%s", text ? text : "a ", text ? " and " : "", color_name[best]);
        if (!text)
            return NULL;
        count[best] = 0;
    }
    return text ? t3d_sprintf(a, "%s object", text) : t3d_strdup(a, "nothing");
}

static int caption(char **text, const cJSON *q, struct t3d_arena *a, struct t3d_err *err)
{
    const char *path = t3d_json_str(q, "image", NULL);
    struct t3d_image_info info;
    struct t3d_blob blob;
    uint8_t *rgba;
    int r;

    if (!path)
        return t3d_err_set(err, T3D_SKIP, "bad-question", "no \"image\" to describe");
    r = t3d_blob_open(&blob, path, MAX_PICTURE, err);
    if (r < 0)
        return r;
    r = t3d_image_decode(&info, &rgba, a, blob.data, blob.size, err);
    t3d_blob_close(&blob);
    if (r == T3D_OK && !(*text = describe(rgba, (size_t)info.width * info.height, a)))
        r = t3d_err_nomem(err, "a caption");
    return r;
}

/* --- words ----------------------------------------------------------------------------------- */

struct words {
    char word[MAX_WORDS][WORD];
    int count[MAX_WORDS], n;
};

static int is_small(const char *w)
{
    static const char *const small[] = {"a",  "an",   "the", "and", "of", "on",  "in",    "is",
                                        "at", "with", "to",  "by",  "it", "its", "object"};

    for (size_t i = 0; i < T3D_COUNT(small); i++)
        if (strcmp(w, small[i]) == 0)
            return 1;
    return 0;
}

static int find(const struct words *w, const char *word)
{
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->word[i], word) == 0)
            return i;
    return -1;
}

/* The words of a text, each once, counted on top of what is there. */
static void count_words(struct words *w, const char *text)
{
    unsigned char seen[MAX_WORDS] = {0};

    while (*text) {
        char word[WORD];
        size_t n = 0;
        int i;

        for (; isalnum((unsigned char)*text); text++)
            if (n < WORD - 1)
                word[n++] = (char)tolower((unsigned char)*text);
        word[n] = 0;
        text += *text != 0 && !isalnum((unsigned char)*text);
        if (n == 0 || is_small(word))
            continue;
        i = find(w, word);
        if (i < 0 && w->n < MAX_WORDS)
            memcpy(w->word[i = w->n++], word, n + 1);
        if (i >= 0 && !seen[i]) {
            seen[i] = 1;
            w->count[i]++;
        }
    }
}

/* The words that at least half of the captions have, in the order in which they came. */
static int merge(char **text, const cJSON *q, struct t3d_arena *a, struct t3d_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(q, "captions"), *c;
    int n = cJSON_GetArraySize(list);
    struct words w = {0};

    cJSON_ArrayForEach (c, list) {
        if (cJSON_IsString(c))
            count_words(&w, c->valuestring);
    }
    *text = t3d_strdup(a, "");
    for (int i = 0; i < w.n && *text; i++)
        if (2 * w.count[i] >= n)
            *text = t3d_sprintf(a, "%s%s%s", *text, **text ? " " : "", w.word[i]);
    if (*text && !**text)
        *text = t3d_strdup(a, "nothing");
    return *text ? T3D_OK : t3d_err_nomem(err, "a caption");
}

/* 1 for none of the prompt's words, 5 for all. */
static int score(char **text, const cJSON *q, struct t3d_arena *a, struct t3d_err *err)
{
    struct words prompt = {0}, got = {0};
    int hits = 0;

    count_words(&prompt, t3d_json_str(q, "prompt", ""));
    count_words(&got, t3d_json_str(q, "caption", ""));
    for (int i = 0; i < prompt.n; i++)
        hits += find(&got, prompt.word[i]) >= 0;
    *text = t3d_sprintf(a, "%g", 1 + floor((FULL - 1.) * hits / T3D_MAX(prompt.n, 1) + .5));
    return *text ? T3D_OK : t3d_err_nomem(err, "a score");
}

int t3d_judge_stub(cJSON **answer, const cJSON *question, struct t3d_err *err)
{
    const char *task = t3d_json_str(question, "task", "");
    struct t3d_arena a = {0};
    struct t3d_err why = {0};
    char *text = NULL;
    int r = strcmp(task, "caption") == 0 ? caption(&text, question, &a, &why)
            : strcmp(task, "merge") == 0 ? merge(&text, question, &a, &why)
            : strcmp(task, "score") == 0 ? score(&text, question, &a, &why)
            : strcmp(task, "hello") == 0
                ? (text = t3d_strdup(&a, "stub")) ? T3D_OK : t3d_err_nomem(&why, "a name")
                : t3d_err_set(&why, T3D_SKIP, "bad-question", "there is no task '%.80s'", task);
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_num(o, "id", t3d_json_num(question, "id", 0));
    if (r == T3D_OK) {
        t3d_json_set_str(o, "text", text);
    } else {
        t3d_json_set_str(o, "error", why.msg);
        t3d_json_set_bool(o, "retry", 0);
    }
    t3d_arena_free(&a);
    *answer = o;
    return o ? T3D_OK : t3d_err_nomem(err, "an answer");
}
