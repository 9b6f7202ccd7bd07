/* SPDX-License-Identifier: Apache-2.0 */
#include "model/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

enum { MAX_SETTINGS = 1 << 20 };

static int remove_matches(const char *dir, const char *pattern, int whole_trees,
                          struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_sprintf(&a, "%s/%s", dir, pattern);
    glob_t found = {0};
    int r = path && glob(path, 0, NULL, &found) != GLOB_NOSPACE ? T3D_OK : t3d_err_nomem(err, dir);

    for (size_t i = 0; i < found.gl_pathc; i++)
        if (whole_trees)
            t3d_remove_tree(found.gl_pathv[i]);
        else
            unlink(found.gl_pathv[i]);
    globfree(&found);
    t3d_arena_free(&a);
    return r;
}

static int clean(const char *dir, int anew, struct t3d_err *err)
{
    static const char *const left[] = {
        "*.tmp",      "checkpoints/*.tmp",   "samples/*.tmp",
        "best/*.tmp", "reconstructor/*.tmp", "best/reconstructor/*.tmp"};
    int r = anew ? remove_matches(dir, "*", 1, err) : T3D_OK;

    for (size_t i = 0; i < T3D_COUNT(left) && r == T3D_OK; i++)
        r = remove_matches(dir, left[i], 0, err);
    return r;
}

int t3d_run_dir_open(int *fd, const char *dir, int anew, struct t3d_err *err)
{
    int r = t3d_make_dirs(dir, err);

    *fd = -1;
    if (r < 0)
        return r;
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return t3d_err_sys(err, "cannot open", dir);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        r = clean(dir, anew, err);
    else if (errno == EWOULDBLOCK)
        r = t3d_err_set(err, T3D_RETRY, "run-in-use",
                        "'%s' is being trained by another process: wait for it, or give another "
                        "--run",
                        dir);
    else
        r = t3d_err_sys(err, "cannot lock", dir);
    if (r < 0) {
        close(*fd);
        *fd = -1;
    }
    return r;
}

int t3d_run_dir_read(cJSON **settings, const char *dir, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, "run.json");
    int r = T3D_OK;

    *settings = NULL;
    if (!path)
        r = t3d_err_nomem(err, dir);
    else if (access(path, F_OK) == 0)
        r = t3d_json_read(settings, path, MAX_SETTINGS, err);
    t3d_arena_free(&a);
    return r;
}

int t3d_run_dir_write(const cJSON *settings, const char *dir, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_path_join(&a, dir, "run.json"), *text = t3d_json_text(settings, 0);
    int r = path && text ? t3d_write_file(path, text, strlen(text), err) : t3d_err_nomem(err, dir);

    free(text);
    t3d_arena_free(&a);
    return r;
}
