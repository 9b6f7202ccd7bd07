/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-report: what evaluate, bench and train wrote down as a page to look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/walk.h"
#include "geom/import.h"
#include "image/image.h"
#include "metric/page.h"
#include "metric/page_object.h"

struct conf {
    struct t3d_common common;
    const char *output, *format;
    struct t3d_list pictures, objects;
    uint64_t max_data;
};

static const struct t3d_opt opts[] = {
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "FILE", NULL, NULL,
     "the page; else report.html, or standard output with --format md"},
    {0, "format", T3D_OPT_STRING, offsetof(struct conf, format), "NAME", "html", "html md",
     "html: one self-contained page; md: tables for a pull request"},
    {0, "pictures", T3D_OPT_FILES, offsetof(struct conf, pictures), "FILE", NULL, NULL,
     "contact sheets (.png) to show on the page"},
    {0, "objects", T3D_OPT_FILES, offsetof(struct conf, objects), "PATH", NULL, NULL,
     "3D files, and folders of them, to turn in the page's viewer; those with the name of an item "
     "open from its row, beside those of the same name in another folder"},
    {0, "max-data", T3D_OPT_SIZE, offsetof(struct conf, max_data), "BYTES", "24M", NULL,
     "room for objects on the page; the worst and best items come first, the rest is left out with "
     "a note"},
    {0}};

enum { MAX_PICTURE = 64 << 20, NOTE = 1024 };
static const char endings[] = "ply splat glb gltf obj stl off npy";

static struct t3d_importer *importer;

/* A file that may be shown. */
struct candidate {
    const char *path, *name, *set;
    size_t order; /* as given */
    int extreme;  /* its item is among the worst or best */
};

struct run {
    const struct conf *conf;
    struct t3d_page page;
    struct t3d_page_input *input;
    struct t3d_page_picture *picture;
    struct t3d_blob *blob;
    struct candidate *candidate;
    size_t n_candidates;
    struct t3d_page_object *object;
    char note[NOTE];
    uint64_t bad; /* objects that could not be read */
    struct t3d_arena arena;
};

static int read_inputs(struct run *x, struct t3d_err *err)
{
    size_t n = x->conf->common.operands.n;

    x->page.input = x->input = t3d_alloc(&x->arena, n + 1, sizeof *x->input);
    if (!x->input)
        return t3d_err_nomem(err, "the reports");
    for (; x->page.n_inputs < n; x->page.n_inputs++) {
        const char *path = x->conf->common.operands.item[x->page.n_inputs];
        int r = t3d_page_read(&x->input[x->page.n_inputs], path, err);

        if (r < 0)
            return r;
    }
    return T3D_OK;
}

static int read_pictures(struct run *x, struct t3d_err *err)
{
    size_t n = x->conf->pictures.n;

    x->page.picture = x->picture = t3d_alloc(&x->arena, n + 1, sizeof *x->picture);
    x->blob = t3d_alloc(&x->arena, n + 1, sizeof *x->blob);
    if (!x->picture || !x->blob)
        return t3d_err_nomem(err, "the pictures");
    x->page.n_pictures = n;
    for (size_t i = 0; i < n; i++) {
        const char *path = x->conf->pictures.item[i];
        struct t3d_image_info info;
        int r = t3d_blob_open(&x->blob[i], path, MAX_PICTURE, err);

        if (r == T3D_OK)
            r = t3d_image_probe(&info, x->blob[i].data, x->blob[i].size, err);
        if (r == T3D_OK && info.format != T3D_IMAGE_PNG)
            r = t3d_err_set(err, T3D_SKIP, "not-a-png", "it is not a PNG");
        if (r < 0)
            return t3d_err_prefix(err, "--pictures %s", path);
        x->picture[i] =
            (struct t3d_page_picture){t3d_path_base(path), x->blob[i].data, x->blob[i].size};
    }
    return T3D_OK;
}

/* --- objects --------------------------------------------------------------------------------- */

/* The path below the folder without its ending: what evaluate calls the item. */
static const char *name_of(struct run *x, const char *below)
{
    size_t n = strlen(below), ending = strlen(t3d_path_ending(below));
    char *name = t3d_alloc_raw(&x->arena, n + 1, 1);

    if (name)
        snprintf(name, n + 1, "%.*s", (int)(n - (ending ? ending + 1 : 0)), below);
    return name;
}

/* The folder's name; files that were named themselves have none. */
static const char *set_of(struct run *x, const char *path)
{
    size_t n = strlen(path);
    char *copy;

    while (n > 1 && path[n - 1] == '/')
        n--;
    copy = t3d_alloc_raw(&x->arena, n + 1, 1);
    if (!copy)
        return NULL;
    memcpy(copy, path, n);
    copy[n] = 0;
    return t3d_path_base(copy);
}

static int is_extreme(const char *const *uid, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(uid[i], name) == 0)
            return 1;
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int names;

    if (x->extreme != y->extreme)
        return y->extreme - x->extreme;
    names = strcmp(x->name, y->name);
    return names ? names : (x->order > y->order) - (x->order < y->order);
}

static int add_candidates(struct run *x, const struct t3d_walk *w, const char *path,
                          const char *const *uid, size_t n_uid, struct t3d_err *err)
{
    struct candidate *all = t3d_alloc(&x->arena, x->n_candidates + w->n + 1, sizeof *all);

    if (!all)
        return t3d_err_nomem(err, "the objects");
    if (x->n_candidates)
        memcpy(all, x->candidate, x->n_candidates * sizeof *all);
    x->candidate = all;
    for (size_t i = 0; i < w->n; i++) {
        const struct t3d_walk_file *file = &w->file[i];
        struct candidate *c = &all[x->n_candidates];

        if (file->error)
            return t3d_err_set(err, T3D_FAIL, "missing-file", "--objects %s: %s", file->path,
                               strerror(file->error));
        *c = (struct candidate){.path = file->path, .order = x->n_candidates};
        c->name = name_of(x, file->below);
        c->set = file->named ? "" : set_of(x, path);
        if (!c->name || !c->set)
            return t3d_err_nomem(err, "the objects");
        c->extreme = is_extreme(uid, n_uid, c->name);
        x->n_candidates++;
    }
    return T3D_OK;
}

static int find_objects(struct run *x, struct t3d_err *err)
{
    const struct t3d_list *list = &x->conf->objects;
    const char *const *uid;
    size_t n;
    int r = t3d_page_extremes(&uid, &n, x->input, x->page.n_inputs, &x->arena, err);

    for (size_t i = 0; i < list->n && r == T3D_OK; i++) {
        struct t3d_walk w;

        r = t3d_walk(&w, &x->arena, &list->item[i], 1, endings, err);
        if (r == T3D_OK && w.n == 0)
            r = t3d_err_set(err, T3D_FAIL, "no-objects", "--objects %s: there is no 3D file (%s)",
                            list->item[i], endings);
        if (r == T3D_OK)
            r = add_candidates(x, &w, list->item[i], uid, n, err);
    }
    if (r == T3D_OK && x->n_candidates)
        qsort(x->candidate, x->n_candidates, sizeof *x->candidate, by_rank);
    return r;
}

/* A candidate onto the page, if it can be read and there is room. */
static int load_object(struct run *x, const struct candidate *c, uint64_t *room, size_t *left_out,
                       struct t3d_err *err)
{
    struct t3d_page_object *o = &x->object[x->page.n_objects];
    size_t size;
    int r;

    *o = (struct t3d_page_object){.name = c->name, .set = c->set, .about = ""};
    r = t3d_page_object_load(o, importer, c->path, (int)x->conf->common.threads, err);
    size = t3d_page_object_bytes(o);
    if (r == T3D_OK && size <= *room) {
        *room -= size;
        x->page.n_objects++;
        return T3D_OK;
    }
    t3d_page_object_free(o);
    if (r == T3D_OK) {
        ++*left_out;
    } else if (r == T3D_SKIP) {
        x->bad++;
        t3d_warn("%s: %s", c->path, err->msg);
        r = T3D_OK;
    }
    return r;
}

static void write_note(struct run *x, size_t left_out)
{
    int n = 0;

    if (left_out)
        n = snprintf(x->note, NOTE,
                     "%zu of %zu objects are not in this page: it has room for %.0f MB of them "
                     "(--max-data). ",
                     left_out, x->n_candidates, (double)x->conf->max_data / 1e6);
    if (x->bad)
        snprintf(x->note + n, NOTE - (size_t)n, "%llu could not be read.",
                 (unsigned long long)x->bad);
    if (left_out || x->bad)
        x->page.note = x->note;
    if (left_out)
        t3d_info("%s", x->note);
}

static int read_objects(struct run *x, struct t3d_err *err)
{
    uint64_t room = x->conf->max_data;
    size_t left_out = 0;
    int r = find_objects(x, err);

    if (r < 0)
        return r;
    x->page.object = x->object = t3d_alloc(&x->arena, x->n_candidates + 1, sizeof *x->object);
    if (!x->object)
        return t3d_err_nomem(err, "the objects");
    /* once it is nearly full no more is read */
    for (size_t i = 0; i < x->n_candidates && r == T3D_OK; i++)
        if (room < x->conf->max_data / 100)
            left_out++;
        else
            r = load_object(x, &x->candidate[i], &room, &left_out, err);
    write_note(x, left_out);
    return r;
}

/* --- the page -------------------------------------------------------------------------------- */

static int put_page(struct run *x, FILE *f, struct t3d_err *err)
{
    if (strcmp(x->conf->format, "html") == 0)
        return t3d_page_html(f, &x->page, err);
    return t3d_page_markdown(f, x->input, x->page.n_inputs, err);
}

static int write_page(struct run *x, const char *path, struct t3d_err *err)
{
    struct t3d_out out = {0};
    int r = t3d_out_open(&out, path, err);

    if (r < 0)
        return r;
    r = put_page(x, out.f, err);
    if (r == T3D_OK)
        r = t3d_out_commit(&out, 0, err);
    else
        t3d_out_abort(&out);
    if (r == T3D_OK)
        t3d_info("%s", path);
    return r;
}

static int check(const struct conf *c, struct t3d_err *err)
{
    if (c->common.operands.n + c->pictures.n + c->objects.n == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "say what to show: t3d report results.json, --objects PATH, or "
                           "--pictures sheet.png");
    if (strcmp(c->format, "md") == 0 && c->common.operands.n == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--format md shows reports: name one, as in t3d report results.json");
    return T3D_OK;
}

static int run(void *conf, struct t3d_err *err)
{
    struct run x = {.conf = conf};
    int html = strcmp(x.conf->format, "html") == 0;
    const char *path = x.conf->output ? x.conf->output : html ? "report.html" : NULL;
    int r = check(x.conf, err);

    if (r == T3D_OK)
        r = read_inputs(&x, err);
    if (r == T3D_OK && html)
        r = read_pictures(&x, err);
    if (r == T3D_OK && html)
        r = read_objects(&x, err);
    if (r == T3D_OK)
        r = path ? write_page(&x, path, err) : put_page(&x, stdout, err);
    for (size_t i = 0; i < x.page.n_inputs; i++)
        t3d_page_input_close(&x.input[i]);
    for (size_t i = 0; x.blob && i < x.conf->pictures.n; i++)
        t3d_blob_close(&x.blob[i]);
    for (size_t i = 0; i < x.page.n_objects; i++)
        t3d_page_object_free(&x.object[i]);
    t3d_arena_free(&x.arena);
    t3d_importer_close(importer);
    return r == T3D_OK && x.bad ? T3D_EXIT_PARTIAL : r;
}

static int before(int threads, struct t3d_err *err)
{
    (void)threads;
    return t3d_importer_open(&importer, 1, NULL, err);
}

static const struct t3d_command command = {.operands = "[FILE...]",
                                           .summary = "show reports as a page",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "report",
    .summary = "show reports as a page",
    .about =
        "Reads what t3d wrote down -- the JSON of evaluate and of its --compare, the lines of "
        "bench "
        "and the log.ndjson of train, told apart by their content -- and writes one HTML page that "
        "needs nothing else: targets with their noise floors, several runs side by side with a "
        "paired test, a histogram and the worst and best items of each metric, curves of training, "
        "the stages' times, and tables that sort by a click or a key on a heading.\n\n"
        "--objects puts 3D files on the page, which a viewer (WebGL 2) turns and compares: drag, "
        "pinch, wheel or arrow keys. Its address takes a view: "
        "#object=0&beside=1&azimuth=30&elevation=20&full. Browsers without WebGL 2 show a still "
        "picture of each. The page opens from a file and loads nothing from anywhere.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
