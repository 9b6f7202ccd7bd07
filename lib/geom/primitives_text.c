/* SPDX-License-Identifier: Apache-2.0 */
/* Captions: one canonical sentence and paraphrases of it. */
#include <string.h>

#include "base/arena.h"
#include "geom/primitives_impl.h"

enum { MAX_CAPTIONS = 6 };

const struct t3di_color t3di_color[T3DI_COLORS] = {
    {"red", {210, 35, 35}, {.6445F, .0168F, .0168F}},
    {"green", {40, 150, 50}, {.0212F, .3050F, .0319F}},
    {"blue", {35, 70, 205}, {.0168F, .0612F, .6105F}},
    {"yellow", {235, 205, 30}, {.8308F, .6105F, .0130F}},
    {"purple", {125, 45, 165}, {.2051F, .0262F, .3763F}},
    {"orange", {240, 125, 20}, {.8714F, .2051F, .0070F}},
    {"white", {240, 240, 240}, {.8714F, .8714F, .8714F}},
    {"black", {25, 25, 25}, {.0097F, .0097F, .0097F}},
    {"pink", {245, 130, 175}, {.9131F, .2232F, .4287F}},
    {"brown", {110, 65, 30}, {.1559F, .0529F, .0130F}},
    {"cyan", {40, 190, 205}, {.0212F, .5149F, .6105F}},
    {"gray", {125, 125, 125}, {.2051F, .2051F, .2051F}},
};

static const char *const texture_word[] = {"", "checkered", "striped", "dotted"};
static const char *const texture_with[] = {"", "a %s checker pattern", "%s stripes", "%s dots"};
static const char *const finish_word[] = {"", "matte ", "shiny ", "metallic "};
static const char *const size_word[] = {"", "small ", "large "};

static const char *second_color(const struct t3di_item *m)
{
    return t3di_color[m->color == T3DI_WHITE ? T3DI_BLACK : T3DI_WHITE].name;
}

static char *noun(const struct t3di_item *m, const char *shape, struct t3d_arena *a)
{
    const char *finish = finish_word[m->finish], *color = t3di_color[m->color].name;

    if (m->texture)
        return t3d_sprintf(a, "%s%s and %s %s %s", finish, color, second_color(m),
                           texture_word[m->texture], shape);
    return t3d_sprintf(a, "%s%s %s", finish, color, shape);
}

char *t3di_noun(const struct t3di_item *item, struct t3d_arena *a)
{
    return noun(item, t3di_shape[item->shape].name, a);
}

/* "a large red cube"; other: the synonym of the shape, and the texture said in another way. */
static const char *phrase(const struct t3di_item *m, int other, struct t3d_arena *a)
{
    const struct t3di_shape_info *s = &t3di_shape[m->shape];
    const char *shape = other && s->synonym ? s->synonym : s->name;
    struct t3di_item plain = *m;
    char with[64] = "", *words;

    if (other && m->texture) {
        const char *format = texture_with[m->texture], *hole = strstr(format, "%s");
        snprintf(with, sizeof with, " with %.*s%s%s", (int)(hole - format), format, second_color(m),
                 hole + 2);
        plain.texture = T3DI_PLAIN;
    }
    words = noun(&plain, shape, a);
    if (!words)
        return NULL;
    words = t3d_sprintf(a, "%s%s%s", size_word[m->size], words, with);
    if (!words)
        return NULL;
    return t3d_sprintf(a, "%s %s", strchr("aeiou", words[0]) ? "an" : "a", words);
}

/* $1 $2 $3 stand for the parts' phrases, ~1 ~2 ~3 for their other forms, =1 for a phrase less its
 * article. */
static const char *const templates[][MAX_CAPTIONS] = {
    [T3DI_ALONE] = {"$1", "~1", "a 3D model of $1", "one =1", "$1 on its own"},
    [T3DI_ON] = {"$1 on $2", "$1 on top of $2", "$2 with $1 on top", "~1 sitting on ~2",
                 "$2 under $1", "~1 resting on ~2"},
    [T3DI_LEFT] = {"$1 to the left of $2", "$2 to the right of $1", "$1 left of $2",
                   "~1 to the left of ~2", "~1 next to ~2, which is on the right"},
    [T3DI_BEHIND] = {"$1 behind $2", "$2 in front of $1", "~1 behind ~2", "$2 with $1 behind it"},
    [T3DI_FRONT] = {"$1 in front of $2", "$2 behind $1", "~1 in front of ~2",
                    "$2 with $1 in front of it"},
    [T3DI_INSIDE] = {"$1 inside $2", "$2 around $1", "~1 inside ~2", "$1 in the middle of $2"},
    [T3DI_BESIDE] = {"$1 beside $2", "$1 next to $2", "~1 beside ~2", "$1 with $2 to its right"},
    [T3DI_ON_LEFT] = {"$1 on $2, to the left of $3", "$3 to the right of $1 on $2",
                      "~1 on top of ~2, left of ~3"},
    [T3DI_ROW] = {"$1, $2 and $3 in a row", "$1, $2 and $3 from left to right",
                  "~1, ~2 and ~3 side by side"},
    [T3DI_TOWER] = {"$1 on $2 on $3", "a tower of $1, $2 and $3 from top to bottom",
                    "~1 on ~2 on ~3", "$3 under $2 under $1"},
};

static const char *fill(const char *template, const struct t3di_layout *l, struct t3d_arena *a)
{
    char text[512];
    size_t n = 0;

    for (const char *s = template; *s; s++) {
        if (!strchr("$~=", *s)) {
            if (n + 1 < sizeof text)
                text[n++] = *s;
            continue;
        }
        const char *p = phrase(&l->item[s[1] - '1'], *s == '~', a);
        if (!p)
            return NULL;
        if (*s == '=')
            p = strchr(p, ' ') + 1;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", p);
        n = T3D_MIN(n, sizeof text - 1);
        s++;
    }
    return t3d_strndup(a, text, n);
}

int t3di_captions(const struct t3di_layout *l, const char ***caption, size_t *n,
                  struct t3d_arena *a)
{
    const char **list = t3d_alloc(a, MAX_CAPTIONS, sizeof *list);
    size_t count = 0;

    if (!list)
        return -1;
    for (int i = 0; i < MAX_CAPTIONS && templates[l->relation][i]; i++) {
        const char *text = fill(templates[l->relation][i], l, a);
        int known = 0;
        if (!text)
            return -1;
        for (size_t k = 0; k < count; k++)
            known |= strcmp(list[k], text) == 0;
        if (!known)
            list[count++] = text;
    }
    *caption = list;
    *n = count;
    return 0;
}
