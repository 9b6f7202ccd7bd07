/* SPDX-License-Identifier: Apache-2.0 */
#include "store/renders.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

/* Digits between two dashes, or a dash and the end: the length, 0 when there are none. */
static size_t number_at(const char *s)
{
    size_t n = strspn(s, "0123456789");

    return n && (s[n] == 0 || s[n] == '-') ? n : 0;
}

/* <view-set>-<resolution>[-<light>]; a view set may have dashes and digits of its own, a light has
 * no dash, so the resolution is the last or the last but one part. */
static int fits(const char *name, const struct t3d_renders_wish *w)
{
    const char *last = strrchr(name, '-'), *light = "studio", *size = last;
    const char *set = w->view_set ? t3d_path_base(w->view_set) : NULL;
    size_t n = set ? strlen(set) : 0;

    if (!last || last == name)
        return 0;
    if (!number_at(last + 1)) {
        light = last + 1;
        for (size = last - 1; size > name && *size != '-';)
            size--;
    }
    if (*size != '-' || !number_at(size + 1))
        return 0;
    if (n > 5 && strcmp(set + n - 5, ".json") == 0)
        n -= 5;
    if (set && ((size_t)(size - name) != n || strncmp(set, name, n) != 0))
        return 0;
    return (!w->light || strcmp(w->light, light) == 0) &&
           (!w->resolution || strtoull(size + 1, NULL, 10) == w->resolution);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int t3d_renders_choose(const char **name, const char **dir, const char *workspace,
                       const struct t3d_renders_wish *wish, struct t3d_arena *a,
                       struct t3d_err *err)
{
    char *top = t3d_sprintf(a, "%s/renders", workspace), *found[16], list[400] = "";
    struct dirent *e;
    size_t n = 0, used = 0;
    DIR *d = top ? opendir(top) : NULL;

    while (d && n < T3D_COUNT(found) && (e = readdir(d)))
        if (e->d_name[0] != '.' && fits(e->d_name, wish) &&
            !(found[n++] = t3d_strdup(a, e->d_name))) {
            closedir(d);
            return t3d_err_nomem(err, "a path");
        }
    if (d)
        closedir(d);
    if (!top)
        return t3d_err_nomem(err, "a path");
    if (n == 0)
        return t3d_err_set(err, T3D_USAGE, "no-renders",
                           "there are no such renders in '%s': t3d render makes them, or --inputs "
                           "texts leaves pictures out",
                           top);
    qsort(found, n, sizeof(char *), by_name);
    for (size_t i = 0; i < n && used < sizeof list - 1; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", found[i]);
    if (n > 1)
        return t3d_err_set(err, T3D_USAGE, "which-renders",
                           "there are several renders: say which by --view-set, --resolution or "
                           "--light: %s",
                           list);
    *name = found[0];
    *dir = t3d_sprintf(a, "%s/%s", top, found[0]);
    return *dir ? T3D_OK : t3d_err_nomem(err, "a path");
}
