/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/match.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/walk.h"
#include "metric/geometry.h"

const char t3d_picture_endings[] = "png jpg jpeg webp";

struct side {
    const char *option, *path;
    int is_folder;
    struct t3d_walk walk;
    char **name; /* of each file: below the folder, without ending */
    size_t n;    /* files that are items */
    int pictures;
};

static int open_side(struct side *s, struct t3d_arena *a, struct t3d_err *err)
{
    char *endings = t3d_sprintf(a, "%s %s", t3d_geometry_endings, t3d_picture_endings);
    struct stat st;

    if (!endings)
        return t3d_err_nomem(err, s->path);
    if (stat(s->path, &st) < 0)
        return t3d_err_set(err, T3D_USAGE, "usage", "%s '%s': %s", s->option, s->path,
                           strerror(errno));
    s->is_folder = S_ISDIR(st.st_mode);
    return t3d_walk(&s->walk, a, &s->path, 1, endings, err);
}

/* Keep the 3D files where there are any. */
static void choose_kind(struct side *s)
{
    size_t n = 0;

    s->pictures = 1;
    for (size_t i = 0; i < s->walk.n; i++)
        if (!t3d_ending_in(s->walk.file[i].path, t3d_picture_endings))
            s->pictures = 0;
    for (size_t i = 0; i < s->walk.n; i++)
        if (s->pictures || !t3d_ending_in(s->walk.file[i].path, t3d_picture_endings))
            s->walk.file[n++] = s->walk.file[i];
    s->n = n;
}

struct named {
    const char *name, *path;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->path, y->path);
}

static char *stem(struct t3d_arena *a, const char *below)
{
    const char *ending = t3d_path_ending(below);
    size_t n = strlen(below), drop = *ending ? strlen(ending) + 1 : 0;

    return t3d_strndup(a, below, n > drop ? n - drop : n);
}

static struct named *name_files(const struct side *s, struct t3d_arena *a, struct t3d_err *err)
{
    struct named *v = t3d_alloc(a, s->n + 1, sizeof *v);

    for (size_t i = 0; v && i < s->n; i++) {
        v[i] = (struct named){stem(a, s->walk.file[i].below), s->walk.file[i].path};
        if (!v[i].name)
            v = NULL;
    }
    if (!v) {
        t3d_err_nomem(err, s->path);
        return NULL;
    }
    qsort(v, s->n, sizeof *v, by_name);
    return v;
}

/* How many files from i on have the name of file i. */
static size_t same_name(const struct named *v, size_t i, size_t n)
{
    size_t k = i + 1;

    while (k < n && strcmp(v[k].name, v[i].name) == 0)
        k++;
    return k - i;
}

static int merge(struct t3d_matches *m, const struct named *p, size_t n_p, const struct named *r,
                 size_t n_r, struct t3d_arena *a, struct t3d_err *err)
{
    size_t i = 0, j = 0;

    m->match = t3d_alloc(a, n_p + n_r + 1, sizeof *m->match);
    if (!m->match)
        return t3d_err_nomem(err, "the pairs");
    while (i < n_p || j < n_r) {
        int order = i >= n_p ? 1 : j >= n_r ? -1 : strcmp(p[i].name, r[j].name);
        struct t3d_match *x = &m->match[m->n++];
        size_t k = order <= 0 ? same_name(p, i, n_p) : 0, l = order >= 0 ? same_name(r, j, n_r) : 0;

        x->uid = order <= 0 ? p[i].name : r[j].name;
        x->pred = k ? p[i].path : NULL;
        x->ref = l ? r[j].path : NULL;
        x->ambiguous = k > 1 || l > 1;
        i += k;
        j += l;
    }
    return T3D_OK;
}

static int check_sides(const struct side *p, const struct side *r, struct t3d_err *err)
{
    if (p->is_folder != r->is_folder)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--pred '%s' and --ref '%s': name two files or two folders", p->path,
                           r->path);
    if (r->n == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--ref '%s' has nothing to compare with: no file ends in %s, or %s",
                           r->path, t3d_geometry_endings, t3d_picture_endings);
    if (p->n && p->pictures != r->pictures)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--pred '%s' has %s and --ref '%s' has %s: both must be of one kind",
                           p->path, p->pictures ? "pictures" : "3D files", r->path,
                           r->pictures ? "pictures" : "3D files");
    return T3D_OK;
}

int t3d_match(struct t3d_matches *m, const char *pred, const char *ref, struct t3d_arena *a,
              struct t3d_err *err)
{
    struct side p = {.option = "--pred", .path = pred}, r = {.option = "--ref", .path = ref};
    struct named *in_p = NULL, *in_r = NULL;
    int status = open_side(&p, a, err);

    *m = (struct t3d_matches){0};
    if (status == T3D_OK)
        status = open_side(&r, a, err);
    if (status < 0)
        return status;
    choose_kind(&p);
    choose_kind(&r);
    status = check_sides(&p, &r, err);
    if (status < 0)
        return status;
    m->pictures = r.pictures;
    in_p = name_files(&p, a, err);
    in_r = name_files(&r, a, err);
    if (!in_p || !in_r)
        return T3D_FAIL;
    if (!r.is_folder)
        in_p[0].name = in_r[0].name;
    return merge(m, in_p, p.n, in_r, r.n, a, err);
}
