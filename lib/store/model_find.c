/* SPDX-License-Identifier: Apache-2.0 */
#include "store/model_find.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "store/manifest.h"
#include "store/weights.h"

static int is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folder of the program that runs, "" when the system does not tell. */
static void program_folder(char folder[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

    while (n > 0 && folder[n - 1] != '/')
        n--;
    folder[n > 0 ? n : 0] = 0;
}

const char *t3d_model_name(const char *name_or_dir, struct t3d_arena *a)
{
    size_t n = strlen(name_or_dir);
    char *path;

    while (n > 1 && name_or_dir[n - 1] == '/')
        n--;
    path = t3d_strndup(a, name_or_dir, n);
    if (!path)
        return NULL;
    /* uids and names of models are alike: safe as a file's name */
    return t3d_uid_valid(t3d_path_base(path)) ? t3d_path_base(path) : NULL;
}

int t3d_model_place(char **dir, const char *workspace, const char *name, struct t3d_arena *a,
                    struct t3d_err *err)
{
    if (!t3d_uid_valid(name))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "'%.140s' is not a model's name: 1 to 128 of A-Z a-z 0-9 . _ -", name);
    *dir = t3d_sprintf(a, "%s/models/%s", workspace, name);
    return *dir ? T3D_OK : t3d_err_nomem(err, "a path");
}

static int missing(const char *workspace, const char *name, struct t3d_err *err)
{
    const char *here = is_folder(name) ? "; for the folder here write ./" : "";
    int root = strcmp(workspace, ".") == 0;
    char near[64];

    if (!t3d_weights_find(name, near))
        return t3d_err_set(err, T3D_USAGE, "missing-model",
                           "model '%s' is not there, and no weights are called so%s%s%s%s%s "
                           "('t3d fetch weights --list')",
                           name, near[0] ? " (did you mean '" : "", near, near[0] ? "'?)" : "",
                           here, *here ? name : "");
    return t3d_err_set(err, T3D_USAGE, "missing-model",
                       "model '%s' is not there: 't3d %s%s%sfetch weights %s' gets it%s%s", name,
                       root ? "" : "-C ", root ? "" : workspace, root ? "" : " ", name, here,
                       *here ? name : "");
}

int t3d_model_find(char **dir, const char *workspace, const char *name_or_dir, struct t3d_arena *a,
                   struct t3d_err *err)
{
    static const char *const beside[] = {"../../models/", "../share/t3d/models/"};
    char folder[PATH_MAX];
    int r;

    if (strchr(name_or_dir, '/')) {
        *dir = t3d_strdup(a, name_or_dir);
        if (!*dir)
            return t3d_err_nomem(err, "a path");
        return is_folder(*dir) ? T3D_OK
                               : t3d_err_set(err, T3D_USAGE, "missing-model",
                                             "'%s' is not a folder with a model", name_or_dir);
    }
    r = t3d_model_place(dir, workspace, name_or_dir, a, err);
    if (r < 0 || is_folder(*dir))
        return r;
    program_folder(folder);
    for (size_t i = 0; *folder && i < T3D_COUNT(beside); i++) {
        *dir = t3d_sprintf(a, "%s%s%s", folder, beside[i], name_or_dir);
        if (!*dir)
            return t3d_err_nomem(err, "a path");
        if (is_folder(*dir))
            return T3D_OK;
    }
    return missing(workspace, name_or_dir, err);
}
