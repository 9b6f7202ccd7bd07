/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-embed: captions and pictures to rows of a frozen network: of the workspace's objects as a
 * stage, or of lists and files that are named. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "net/embed.h"
#include "net/embed_list.h"
#include "net/embed_rows.h"
#include "store/model_find.h"
#include "store/renders.h"
#include "store/rows.h"
#include "store/shard.h"
#include "store/stage.h"

enum { FORMAT_VERSION = 1, MAX_WARNINGS = 10 };

struct conf {
    struct t3d_common common;
    const char *model, *captions, *output, *view_set, *light, *precision, *background, *recipe,
        *device;
    uint64_t resolution, batch;
    struct t3d_list images, inputs;
    int tokens, explain;
};

static const struct t3d_opt opts[] = {
    {'m', "model", T3D_OPT_STRING, offsetof(struct conf, model), "NAME-or-DIR", "clip-nano", NULL,
     "the network: a name such as clip-vit-b32, or a folder saved by transformers or open_clip"},
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "a list of captions in place of the workspace's: .txt, .csv, .json or NDJSON"},
    {0, "images", T3D_OPT_FILES, offsetof(struct conf, images), "FILE...", NULL, NULL,
     "pictures in place of the workspace's: PNG, JPEG or WebP"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "DIR-or-.npy", NULL, NULL,
     "where the rows go; else embeddings/<model> in the workspace"},
    {0, "tokens", T3D_OPT_BOOL, offsetof(struct conf, tokens), NULL, "no", NULL,
     "also the features of every token: tokens.npy, for train"},
    {0, "inputs", T3D_OPT_WORDS, offsetof(struct conf, inputs), "LIST", NULL, "texts views",
     "what of each object; else all that the model takes"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct conf, view_set), "NAME", NULL, NULL,
     "which renders, where there are several"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", NULL, NULL,
     "likewise by the size of their pictures"},
    {0, "light", T3D_OPT_STRING, offsetof(struct conf, light), "NAME", NULL, NULL,
     "likewise by their light"},
    {0, "background", T3D_OPT_STRING, offsetof(struct conf, background), "RRGGBB", "ffffff", NULL,
     "the colour that transparent pictures are put over"},
    {0, "recipe", T3D_OPT_STRING, offsetof(struct conf, recipe), "NAME", NULL, NULL,
     "preprocessing of pictures; else that of the library that saved the model"},
    {0, "precision", T3D_OPT_STRING, offsetof(struct conf, precision), "TYPE", "f32", "f32 f16",
     "how rows are stored; computed they are in float32"},
    {0, "batch", T3D_OPT_U64, offsetof(struct conf, batch), "N", "0", NULL,
     "pictures or texts a run of the network; 0 chooses, rows do not depend on it"},
    {0, "device", T3D_OPT_STRING, offsetof(struct conf, device), "NAME", "cpu", NULL,
     "where the network runs: cpu, cuda:0"},
    {0, "explain", T3D_OPT_BOOL, offsetof(struct conf, explain), NULL, "no", NULL,
     "print what the model's folder says, and the tokens of TEXT"},
    {0}};

struct embed {
    const struct conf *conf;
    const char *model, *model_dir, *dir; /* name; folder of the weights; of the rows */
    uint8_t background[3];
    struct t3d_encoder *encoder;
    const struct t3d_encoder_info *info;
    int texts, views; /* wanted */
    const char *renders, *renders_dir;
    cJSON *about;
    struct t3d_shard_finder *finder;
    struct t3d_embedder *embedder;
    struct t3d_rows *rows;
    int table[T3D_ROWS_TABLES]; /* enum table of each one of the set */
    size_t n_tables;
    struct t3d_arena arena; /* of the run */
};

enum table { TEXTS, TOKENS, VIEWS, OBJECTS };

/* What load leaves for work, and work for gather; lies in the item's arena. */
struct result {
    struct t3d_shard_place place;
    struct t3d_embed_input *text, *view;
    const char **name; /* of the views */
    size_t n_texts, n_views;
    struct t3d_err fault; /* why there are no views */
};

/* --- one object
 * ------------------------------------------------------------------------------------- */

static int load(void *ctx, struct t3d_manifest *m, struct t3d_stage_item *item, struct t3d_err *err)
{
    struct embed *x = ctx;
    struct result *res = t3d_alloc(&item->arena, 1, sizeof *res);
    char key[33];
    int r = T3D_OK;

    (void)m;
    if (!res)
        return t3d_err_nomem(err, "a result");
    item->result = res;
    res->place.fd = -1;
    if (!x->views)
        return T3D_OK;
    t3d_object_key(&item->object, key);
    r = t3d_shard_find(x->finder, item->object.num, key, &res->place, &res->fault);
    if (r == T3D_END)
        t3d_err_set(&res->fault, T3D_SKIP, "missing-render",
                    "its sample is not in %s: t3d render makes it again", x->renders_dir);
    return r == T3D_END || r == T3D_SKIP ? T3D_OK : r;
}

static int is_color(const struct t3d_member *m)
{
    const char *dot = strchr(m->suffix, '.');

    return m->suffix[0] == 'v' && dot && strcmp(dot, ".png") == 0;
}

/* The colour pictures of the sample, in the order of their names. */
static int read_views(const struct embed *x, struct result *res, struct t3d_arena *a,
                      struct t3d_err *err)
{
    struct t3d_arena scratch = {0};
    struct t3d_sample s;
    int r = t3d_shard_read(&res->place, &s, &scratch, err);

    if (r == T3D_OK) {
        res->view = t3d_alloc(a, s.n, sizeof *res->view);
        res->name = t3d_alloc(a, s.n, sizeof *res->name);
        if (!res->view || !res->name)
            r = t3d_err_nomem(err, "views");
    }
    for (size_t i = 0; r == T3D_OK && i < s.n; i++) {
        struct t3d_embed_input *in = &res->view[res->n_views];
        if (!is_color(&s.member[i]))
            continue;
        res->name[res->n_views++] =
            t3d_strndup(a, s.member[i].suffix, strcspn(s.member[i].suffix, "."));
        r = t3d_embed_picture(x->encoder, in, s.member[i].data, s.member[i].size, a, err);
    }
    t3d_arena_free(&scratch);
    if (r == T3D_OK && !res->n_views)
        r = t3d_err_set(err, T3D_SKIP, "missing-view", "its sample has no pictures");
    return r;
}

static int read_texts(const struct embed *x, struct result *res, struct t3d_stage_item *item)
{
    const struct t3d_object *o = &item->object;
    int r = T3D_OK;

    res->text = t3d_alloc(&item->arena, o->n_captions, sizeof *res->text);
    if (!res->text)
        return t3d_err_nomem(&item->err, "captions");
    for (; res->n_texts < o->n_captions && r == T3D_OK; res->n_texts++)
        r = t3d_embed_text(x->encoder, &res->text[res->n_texts], o->caption[res->n_texts],
                           strlen(o->caption[res->n_texts]), x->conf->tokens, &item->arena,
                           &item->err);
    return r;
}

static void work(void *ctx, int thread, struct t3d_stage_item *item)
{
    struct embed *x = ctx;
    struct result *res = item->result;
    int r = T3D_OK;

    (void)thread;
    if (!x->views && !item->object.n_captions) {
        item->code = T3D_STATE_REJECT;
        t3d_err_set(&item->err, T3D_SKIP, "no-caption", "%s has no caption", item->object.uid);
        return;
    }
    if (x->texts)
        r = read_texts(x, res, item);
    if (x->views && res->place.fd >= 0 && r == T3D_OK)
        r = read_views(x, res, &item->arena, &res->fault);
    item->code = r == T3D_OK || r == T3D_SKIP ? T3D_STATE_OK : T3D_STATE_FAIL;
    for (size_t i = 0; i < res->n_texts; i++)
        item->weight += t3d_embed_weight(x->encoder, &res->text[i]);
    for (size_t i = 0; i < res->n_views; i++)
        item->weight += t3d_embed_weight(x->encoder, &res->view[i]);
}

static void done(void *ctx, struct t3d_stage_item *item)
{
    struct result *res = item->result;

    (void)ctx;
    if (res && res->place.fd >= 0)
        close(res->place.fd);
    item->result = NULL;
}

/* --- a batch
 * ----------------------------------------------------------------------------------------- */

/* The first thing wrong with the object fails it; its rows say what each was. */
static void blame(struct t3d_stage_item *item, const struct t3d_err *why, const char *what)
{
    if (item->code == T3D_STATE_FAIL)
        return;
    item->code = T3D_STATE_FAIL;
    item->err = *why;
    t3d_err_prefix(&item->err, "%s: %s", item->object.uid, what);
}

static cJSON *member(const char *uid, const char *name, const char *value)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "uid", uid);
    if (name)
        t3d_json_set_str(o, name, value);
    return o;
}

static int put_texts(struct embed *x, struct t3d_stage_item *item, struct t3d_rows_block *block,
                     struct t3d_err *err)
{
    struct result *res = item->result;
    const struct t3d_object *o = &item->object;
    const struct t3d_embed_input **in = t3d_alloc(&item->arena, res->n_texts, sizeof *in);
    const char **members = t3d_alloc(&item->arena, res->n_texts, sizeof *members);

    for (size_t i = 0; in && members && i < res->n_texts; i++) {
        cJSON *j = member(o->uid, "caption", o->caption[i]);
        t3d_json_set_num(j, "index", (double)i);
        in[i] = &res->text[i];
        members[i] = t3d_embed_members(j, in[i], &item->arena);
        if (!members[i])
            members = NULL;
        if (in[i]->failed)
            blame(item, &in[i]->err, "a caption");
    }
    if (!in || !members)
        return t3d_err_nomem(err, "rows");
    return t3d_embed_texts(x->encoder, in, members, res->n_texts, &block[TEXTS],
                           x->conf->tokens ? &block[TOKENS] : NULL, &item->arena, err);
}

/* A row a view, and their mean. */
static int put_views(struct embed *x, struct t3d_stage_item *item, struct t3d_rows_block *block,
                     struct t3d_err *err)
{
    struct result *res = item->result;
    const struct t3d_embed_input **in = t3d_alloc(&item->arena, res->n_views, sizeof *in), *one;
    const char **members = t3d_alloc(&item->arena, res->n_views, sizeof *members), *whole;
    struct t3d_embed_input mean = {0};
    cJSON *j;
    int r;

    for (size_t i = 0; in && members && i < res->n_views; i++) {
        in[i] = &res->view[i];
        members[i] =
            t3d_embed_members(member(item->object.uid, "view", res->name[i]), in[i], &item->arena);
        if (!members[i])
            members = NULL;
        if (in[i]->failed)
            blame(item, &in[i]->err, res->name[i]);
    }
    if (!in || !members)
        return t3d_err_nomem(err, "rows");
    if (*res->fault.reason)
        blame(item, &res->fault, "views");
    mean.failed = item->code == T3D_STATE_FAIL;
    mean.err = item->err;
    mean.row = t3d_alloc(&item->arena, (size_t)x->info->width, sizeof *mean.row);
    if (!mean.row)
        return t3d_err_nomem(err, "rows");
    t3d_embed_mean(in, mean.failed ? 0 : res->n_views, x->info->width, mean.row);
    j = member(item->object.uid, NULL, NULL);
    t3d_json_set_num(j, "views", (double)res->n_views);
    one = &mean;
    whole = t3d_embed_members(j, one, &item->arena);
    if (!whole)
        return t3d_err_nomem(err, "rows");
    r = t3d_embed_block(x->encoder, in, members, res->n_views, &block[VIEWS], &item->arena, err);
    return r == T3D_OK
               ? t3d_embed_block(x->encoder, &one, &whole, 1, &block[OBJECTS], &item->arena, err)
               : r;
}

static int put_item(struct embed *x, struct t3d_stage_item *item, struct t3d_rows_object *o,
                    struct t3d_err *err)
{
    struct t3d_rows_block block[T3D_ROWS_TABLES] = {0};
    int r = T3D_OK;

    if (x->texts)
        r = put_texts(x, item, block, err);
    if (x->views && r == T3D_OK)
        r = put_views(x, item, block, err);
    o->num = item->object.num;
    memcpy(o->key, item->code == T3D_STATE_OK ? item->key : T3D_EMBED_NO_KEY, T3D_ROWS_KEY);
    for (size_t t = 0; t < x->n_tables; t++)
        o->block[t] = block[x->table[t]];
    return r;
}

static int gather(void *ctx, struct t3d_stage_item *const *item, size_t n, struct t3d_err *err)
{
    struct embed *x = ctx;
    struct t3d_embed_input **in;
    struct t3d_rows_object *o;
    struct t3d_arena a = {0};
    size_t count = 0, k = 0;
    int r = T3D_OK;

    for (size_t i = 0; i < n; i++) {
        const struct result *res = item[i]->result;
        count += res->n_texts + res->n_views;
    }
    in = t3d_alloc(&a, count, sizeof *in);
    o = t3d_alloc(&a, n, sizeof *o);
    if (!in || !o)
        r = t3d_err_nomem(err, "a batch");
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        struct result *res = item[i]->result;
        for (size_t j = 0; j < res->n_views; j++)
            in[k++] = &res->view[j];
        for (size_t j = 0; j < res->n_texts; j++)
            in[k++] = &res->text[j];
    }
    if (r == T3D_OK)
        r = t3d_embed_run(x->embedder, in, k, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = put_item(x, item[i], &o[i], err);
    if (r == T3D_OK)
        r = t3d_rows_put(x->rows, o, n, err);
    t3d_arena_free(&a);
    return r;
}

static int have(void *ctx, const struct t3d_object *o)
{
    const struct embed *x = ctx;

    return !x->rows || t3d_rows_has(x->rows, o->num, NULL);
}

/* --- the stage
 * -------------------------------------------------------------------------------------- */

static int wanted(const struct conf *c, const char *word)
{
    for (size_t i = 0; i < c->inputs.n; i++)
        if (strcmp(c->inputs.item[i], word) == 0)
            return 1;
    return c->inputs.n == 0;
}

static int choose_inputs(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_renders_wish wish = {c->view_set, c->light, c->resolution};

    x->texts = wanted(c, "texts") && x->info->max_tokens;
    x->views = wanted(c, "views") && x->info->image_size;
    if (!x->texts && !x->views)
        return t3d_err_set(err, T3D_USAGE, "usage", "model '%s' takes none of --inputs", x->model);
    if (c->tokens && !x->texts)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--tokens: there are no texts, or model '%s' takes none", x->model);
    if (!x->views)
        return T3D_OK;
    return t3d_renders_choose(&x->renders, &x->renders_dir, c->common.workspace, &wish, &x->arena,
                              err);
}

static int open_stage(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    const char *names[] = {"texts", "tokens", "views", "objects"};
    int use[] = {x->texts, x->texts && c->tokens, x->views, x->views}, r = T3D_OK;
    struct t3d_rows_table table[T3D_ROWS_TABLES];
    struct t3d_rows_options o = {.dir = x->dir,
                                 .set = "embed",
                                 .table = table,
                                 .about = x->about,
                                 .index = c->common.shard_index,
                                 .count = c->common.shard_count};

    for (int t = 0; t < T3D_ROWS_TABLES; t++) {
        if (!use[t])
            continue;
        table[x->n_tables] = (struct t3d_rows_table){
            .name = names[t],
            .width = (uint32_t)(t == TOKENS ? x->info->token_width : x->info->width),
            .half = t == TOKENS || strcmp(c->precision, "f16") == 0,
            .runs = t == TOKENS};
        x->table[x->n_tables++] = t;
    }
    o.n_tables = x->n_tables;
    if (x->views)
        r = t3d_shard_finder_open(&x->finder, x->renders_dir, err);
    if (r == T3D_OK)
        r = t3d_embedder_new(&x->embedder, x->encoder, c->batch, err);
    if (r == T3D_OK && !c->common.dry_run)
        r = t3d_rows_open(&x->rows, &o, err);
    if (r == T3D_OK && x->rows && t3d_rows_replaces(x->rows))
        t3d_info("%s is %s: it is made anew", x->dir, t3d_rows_replaces(x->rows));
    return r;
}

/* What decides the rows. */
static cJSON *params(const struct embed *x)
{
    cJSON *o = cJSON_Duplicate(x->about, 1);

    t3d_json_set_bool(o, "texts", x->texts);
    t3d_json_set_bool(o, "views", x->views);
    t3d_json_set_bool(o, "tokens", x->conf->tokens);
    t3d_json_set_str(o, "dir", x->conf->output ? x->conf->output : "");
    return o;
}

/* Objects in flight a thread: as many as keep about 64 MB of pictures waiting. */
static size_t choose_window(const struct embed *x)
{
    double side = x->views ? x->info->image_size : 0, object = 20 * 3 * side * side * 4;
    double n = 64e6 / (object + 64e3) / (double)x->conf->common.threads;

    return (size_t)T3D_CLAMP(n, 2, 128);
}

static int run_stage(struct embed *x, struct t3d_manifest *m, struct t3d_err *err)
{
    static const char *const if_run[] = {"fetch", "filter", "filter-views", NULL};
    const char *const needs[] = {t3d_sprintf(&x->arena, "render/%s", x->renders), NULL};
    struct t3d_stage stage = {.name = t3d_sprintf(&x->arena, "embed/%s", x->model),
                              .needs = x->views ? needs : NULL,
                              .inputs = x->views ? needs : NULL,
                              .needs_if_run = if_run,
                              .format_version = FORMAT_VERSION,
                              .words_matter = x->texts,
                              .window = choose_window(x),
                              .load = load,
                              .work = work,
                              .gather = gather,
                              .batch = T3D_EMBED_BATCH,
                              .done = done,
                              .have = have};
    struct t3d_stage_summary summary = {0};
    cJSON *p = params(x);
    int r = p && stage.name && needs[0] ? open_stage(x, err) : t3d_err_nomem(err, "the set-up");

    stage.params = p;
    if (r == T3D_OK)
        r = t3d_stage_run(&stage, x, m, &x->conf->common, &summary, err);
    cJSON_Delete(p);
    if (x->rows) {
        struct t3d_err later;
        int finish = t3d_rows_finish(x->rows, r == T3D_OK ? err : &later);
        r = r == T3D_OK ? finish : r;
    }
    return r == T3D_OK ? t3d_stage_exit(&summary) : r;
}

static int embed_workspace(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_manifest *m;
    int r = t3d_manifest_open(&m, c->common.workspace, 0, err);

    if (r < 0)
        return r;
    x->dir = c->output ? c->output
                       : t3d_sprintf(&x->arena, "%s/embeddings/%s", c->common.workspace, x->model);
    r = x->dir ? choose_inputs(x, err) : t3d_err_nomem(err, "a path");
    if (r == T3D_OK) {
        x->about = t3d_embed_about(x->encoder, x->model, x->background, x->renders,
                                   strcmp(c->precision, "f16") == 0);
        r = x->about ? run_stage(x, m, err) : t3d_err_nomem(err, "the set-up");
    }
    t3d_manifest_close(m);
    return r;
}

/* --- lists
 * ------------------------------------------------------------------------------------------ */

static int warned;

static void note(const char *name, const struct t3d_err *why)
{
    if (warned++ < MAX_WARNINGS)
        t3d_warn("%s: %s", name, why->msg);
    else if (warned == MAX_WARNINGS + 1)
        t3d_warn("--rejects shows the other entries that failed");
}

static int embed_list(struct embed *x, const struct t3d_embed_list *what, struct t3d_err *err)
{
    struct t3d_embed_list_summary s;
    int r = t3d_embed_list_run(x->encoder, what, &s, note, err);

    if (r < 0)
        return r;
    if (s.replaces)
        t3d_info("the rows in %s are %s: they are made anew", what->output, s.replaces);
    if (s.truncated)
        t3d_warn("%llu captions are longer than %d tokens and were cut",
                 (unsigned long long)s.truncated, x->info->max_tokens);
    t3d_info("%llu rows: %llu made, %llu were there, %llu failed%s", (unsigned long long)s.rows,
             (unsigned long long)s.done, (unsigned long long)s.skipped,
             (unsigned long long)s.failed,
             s.stop ? "; stopped by a signal: run the same command again to go on" : "");
    return s.stop ? s.stop : s.failed ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}

static int embed_lists(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    int half = strcmp(c->precision, "f16") == 0, code = T3D_EXIT_OK, r = T3D_OK;
    struct t3d_embed_list l = {.output = c->output,
                               .half = half,
                               .redo = c->common.redo,
                               .threads = (int)c->common.threads,
                               .batch = c->batch,
                               .progress = c->common.progress,
                               .rejects = c->common.rejects};

    x->about = t3d_embed_about(x->encoder, x->model, x->background, NULL, half);
    l.about = x->about;
    if (!x->about)
        return t3d_err_nomem(err, "the set-up");
    if (c->captions) {
        struct t3d_embed_list texts = l;
        texts.captions = c->captions;
        texts.tokens = c->tokens;
        code = r = embed_list(x, &texts, err);
    }
    if (c->images.n && (r == T3D_OK || r == T3D_EXIT_PARTIAL)) {
        l.images = c->images.item;
        l.n_images = c->images.n;
        r = embed_list(x, &l, err);
        code = T3D_MAX(code, r);
    }
    return r < 0 ? r : code;
}

/* --- set-up
 * ----------------------------------------------------------------------------------------- */

static int check_lists(const struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;

    if (!c->output)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--captions and --images need --output DIR or FILE.npy");
    if (c->captions && c->images.n && strcmp(t3d_path_ending(c->output), "npy") == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--captions and --images together go to a folder, not to one .npy");
    if (c->captions && !x->info->max_tokens)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "model '%s' takes no texts: it has no text tower, or no tokenizer",
                           x->model);
    if (c->images.n && !x->info->image_size)
        return t3d_err_set(err, T3D_USAGE, "usage", "model '%s' takes no pictures", x->model);
    if (c->tokens && !c->captions)
        return t3d_err_set(err, T3D_USAGE, "usage", "--tokens is for captions");
    if (c->common.shard_count > 1 || c->common.use_stdin || c->common.dry_run)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--shard, --dry-run and - are for the objects of a workspace");
    return T3D_OK;
}

static int open_model(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_encoder_options o = {.threads = (int)c->common.threads,
                                    .device = c->device,
                                    .recipe = c->recipe,
                                    .batch = (int)T3D_MIN(c->batch, 1u << 16)};
    char *dir;
    int r;

    if (strlen(c->background) != 6 || t3d_unhex(c->background, 3, x->background) < 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--background %.40s is not a colour such as ffffff", c->background);
    memcpy(o.background, x->background, 3);
    x->model = t3d_model_name(c->model, &x->arena);
    if (!x->model)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--model %.140s: the folder's name is not one for a folder of rows",
                           c->model);
    r = t3d_model_find(&dir, c->common.workspace, c->model, &x->arena, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&x->encoder, dir, &o, err);
    if (r < 0)
        return r;
    x->model_dir = dir;
    x->info = t3d_encoder_info(x->encoder);
    return T3D_OK;
}

static int explain(const struct embed *x)
{
    const struct t3d_list *words = &x->conf->common.operands;

    t3d_encoder_explain(x->encoder, words->n ? words->item[0] : NULL, stdout);
    return T3D_OK;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct embed x = {.conf = c};
    int lists = c->captions || c->images.n, r = T3D_OK;

    if (c->common.operands.n && !c->explain)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "'%.140s': a text goes with --explain; a list of them with --captions FILE",
                        c->common.operands.item[0]);
    if (r == T3D_OK)
        r = open_model(&x, err);
    if (r == T3D_OK && lists)
        r = check_lists(&x, err);
    if (r == T3D_OK)
        r = c->explain ? explain(&x) : lists ? embed_lists(&x, err) : embed_workspace(&x, err);
    cJSON_Delete(x.about);
    t3d_rows_close(x.rows);
    t3d_embedder_free(x.embedder);
    t3d_shard_finder_close(x.finder);
    t3d_encoder_free(x.encoder);
    t3d_arena_free(&x.arena);
    return r;
}

static const struct t3d_command command = {
    .operands = "[-] [TEXT]",
    .summary = "turn captions and pictures into rows of a frozen network",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "embed",
    .summary = "turn captions and pictures into rows of a frozen network",
    .about =
        "Every captioned and rendered object of the workspace gets rows of length 1 in "
        "embeddings/<model>: one a caption (texts.npy), one a view (views.npy), and the mean over "
        "the views, at length 1 again (objects.npy). Beside each .npy an .ndjson says line by line "
        "whose row it is. With --captions or --images rows are made of lists and files instead, "
        "without a workspace: one per entry, in order; an entry that cannot be used has a row of "
        "NaN and the reason.\n\n"
        "Only what has changed is made anew. Rows do not depend on threads or batches.",
    .commands = commands};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
