/* SPDX-License-Identifier: Apache-2.0 */
#include "base/walk.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"

/* A folder still to be read. */
struct folder {
    const char *path;
    size_t root; /* length of the named folder's part of path, with its '/' */
};

struct inode {
    dev_t dev;
    ino_t ino;
    int used;
};

struct walk {
    struct t3d_walk *out;
    struct t3d_arena *a;
    const char *endings;
    struct folder *folder, *link; /* stack of real folders; list of links to folders */
    size_t n_folders, folder_capacity, n_links, link_capacity, capacity;
    struct inode *seen; /* open addressing, at most half full */
    size_t n_seen, seen_capacity;
};

int t3d_ending_in(const char *path, const char *endings)
{
    const char *e = t3d_path_ending(path);
    size_t n = strlen(e);

    for (const char *s = endings; n && *s; s += strcspn(s, " "), s += strspn(s, " ")) {
        size_t k = 0;
        while (k < n && tolower((unsigned char)e[k]) == s[k])
            k++;
        if (k == n && (s[n] == ' ' || s[n] == 0))
            return 1;
    }
    return 0;
}

/* Room for one more item in a malloc'd array. */
static void *grow(void *array, size_t n, size_t *capacity, size_t size)
{
    size_t more = *capacity ? *capacity + *capacity / 2 : 64;

    if (n < *capacity)
        return array;
    array = realloc(array, more * size);
    if (array)
        *capacity = more;
    return array;
}

static int push(struct folder **list, size_t *n, size_t *capacity, const char *path, size_t root)
{
    void *p = grow(*list, *n, capacity, sizeof **list);

    if (!p || !path)
        return -1;
    *list = p;
    (*list)[(*n)++] = (struct folder){path, root};
    return 0;
}

static struct inode *find_inode(struct inode *table, size_t capacity, dev_t dev, ino_t ino)
{
    size_t i = ((uint64_t)ino * 0x9e3779b97f4a7c15u ^ (uint64_t)dev) & (capacity - 1);

    while (table[i].used && (table[i].dev != dev || table[i].ino != ino))
        i = (i + 1) & (capacity - 1);
    return &table[i];
}

/* 1 = first time, 0 = entered before, -1 = no memory. */
static int enter(struct walk *w, const struct stat *st)
{
    struct inode *slot;

    if (2 * (w->n_seen + 1) > w->seen_capacity) {
        size_t capacity = w->seen_capacity ? 2 * w->seen_capacity : 256;
        struct inode *table = calloc(capacity, sizeof *table);
        if (!table)
            return -1;
        for (size_t i = 0; i < w->seen_capacity; i++)
            if (w->seen[i].used)
                *find_inode(table, capacity, w->seen[i].dev, w->seen[i].ino) = w->seen[i];
        free(w->seen);
        w->seen = table;
        w->seen_capacity = capacity;
    }
    slot = find_inode(w->seen, w->seen_capacity, st->st_dev, st->st_ino);
    if (slot->used)
        return 0;
    *slot = (struct inode){st->st_dev, st->st_ino, 1};
    w->n_seen++;
    return 1;
}

static int add_file(struct walk *w, const char *path, size_t root, int named, int error)
{
    void *p = grow(w->out->file, w->out->n, &w->capacity, sizeof *w->out->file);

    if (!p || !path)
        return -1;
    w->out->file = p;
    w->out->file[w->out->n++] = (struct t3d_walk_file){path, path + root, named, error};
    return 0;
}

/* d_type behind a link, or where the file system does not tell. */
static unsigned char kind_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return DT_WHT; /* leads nowhere */
    return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_CHR;
}

static int add_entry(struct walk *w, const struct folder *f, const struct dirent *e)
{
    unsigned char kind = e->d_type;
    char *path;

    if (kind == DT_REG && !t3d_ending_in(e->d_name, w->endings)) {
        w->out->other++; /* the common case costs no memory */
        return 0;
    }
    path = t3d_path_join(w->a, f->path, e->d_name);
    if (!path)
        return -1;
    if (kind == DT_LNK || kind == DT_UNKNOWN)
        kind = kind_of(path);
    if (kind == DT_DIR && e->d_type != DT_DIR)
        return push(&w->link, &w->n_links, &w->link_capacity, path, f->root);
    if (kind == DT_DIR)
        return push(&w->folder, &w->n_folders, &w->folder_capacity, path, f->root);
    if (kind == DT_WHT)
        w->out->repeated++;
    else if (kind != DT_REG || !t3d_ending_in(path, w->endings))
        w->out->other++;
    else
        return add_file(w, path, f->root, 0, 0);
    return 0;
}

static int read_folder(struct walk *w, const struct folder *f)
{
    DIR *d = opendir(f->path);
    struct dirent *e;
    int r = 0;

    if (!d && errno == ENOMEM)
        return -1; /* that is nothing about the folder */
    if (!d)
        return add_file(w, f->path, T3D_MIN(f->root, strlen(f->path)), 0, errno);
    for (errno = 0; r == 0 && (e = readdir(d)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_name[0] == '.')
            w->out->hidden++;
        else
            r = add_entry(w, f, e);
    }
    if (r == 0 && errno)
        r = add_file(w, f->path, T3D_MIN(f->root, strlen(f->path)), 0, errno);
    closedir(d);
    return r;
}

/* All real folders of the stack, down to the leaves. */
static int read_folders(struct walk *w)
{
    int r = 0;

    while (r == 0 && w->n_folders) {
        struct folder f = w->folder[--w->n_folders];
        struct stat st;
        int first;

        if (stat(f.path, &st) < 0) {
            r = add_file(w, f.path, T3D_MIN(f.root, strlen(f.path)), 0, errno);
            continue;
        }
        first = enter(w, &st);
        w->out->repeated += first == 0;
        r = first < 0 ? -1 : first ? read_folder(w, &f) : 0;
    }
    return r;
}

static int by_folder(const void *a, const void *b)
{
    return strcmp(((const struct folder *)a)->path, ((const struct folder *)b)->path);
}

/* Links to folders, level by level, each level in the order of the names. */
static int read_links(struct walk *w)
{
    int r = 0;

    while (r == 0 && w->n_links) {
        size_t n = w->n_links;
        struct folder *level = w->link;

        w->link = NULL;
        w->n_links = w->link_capacity = 0;
        qsort(level, n, sizeof *level, by_folder);
        for (size_t i = 0; i < n && r == 0; i++) {
            r = push(&w->folder, &w->n_folders, &w->folder_capacity, level[i].path, level[i].root);
            if (r == 0)
                r = read_folders(w);
        }
        free(level);
    }
    return r;
}

/* Without slashes at the end and "./" in front, so that one file has one spelling. */
static char *tidy(struct t3d_arena *a, const char *path)
{
    size_t n;

    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        while (*path == '/')
            path++;
    }
    n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n ? t3d_strndup(a, path, n) : t3d_strdup(a, ".");
}

static int add_named(struct walk *w, const char *name)
{
    char *path = tidy(w->a, name);
    struct stat st;

    if (!path)
        return -1;
    if (stat(path, &st) < 0)
        return add_file(w, path, (size_t)(t3d_path_base(path) - path), 1, errno);
    if (!S_ISDIR(st.st_mode))
        return add_file(w, path, (size_t)(t3d_path_base(path) - path), 1, 0);
    return push(&w->folder, &w->n_folders, &w->folder_capacity, path,
                strcmp(path, ".") == 0   ? 0
                : strcmp(path, "/") == 0 ? 1
                                         : strlen(path) + 1);
}

static int by_path(const void *a, const void *b)
{
    const struct t3d_walk_file *x = a, *y = b;
    int order = strcmp(x->path, y->path);

    /* Reached by several of the named folders: the outermost counts. */
    return order ? order : (x->below - x->path > y->below - y->path ? 1 : -1);
}

static int finish(struct walk *w, struct t3d_err *err)
{
    struct t3d_walk *out = w->out;
    struct t3d_walk_file *file = t3d_alloc(w->a, out->n, sizeof *file);
    size_t n = 0;

    if (!file)
        return t3d_err_nomem(err, "the list of files");
    if (out->n)
        qsort(out->file, out->n, sizeof *out->file, by_path);
    for (size_t i = 0; i < out->n; i++)
        if (!n || strcmp(file[n - 1].path, out->file[i].path) != 0)
            file[n++] = out->file[i];
    free(out->file);
    out->file = file;
    out->n = n;
    return T3D_OK;
}

int t3d_walk(struct t3d_walk *out, struct t3d_arena *a, const char *const *path, size_t n_paths,
             const char *endings, struct t3d_err *err)
{
    struct walk w = {.out = out, .a = a, .endings = endings};
    int r = 0;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n_paths && r == 0; i++) {
        r = add_named(&w, path[i]);
        if (r == 0)
            r = read_folders(&w);
    }
    if (r == 0)
        r = read_links(&w);
    r = r < 0 ? t3d_err_nomem(err, "the list of files") : finish(&w, err);
    if (r < 0) {
        free(out->file);
        memset(out, 0, sizeof *out);
    }
    free(w.folder);
    free(w.link);
    free(w.seen);
    return r;
}
