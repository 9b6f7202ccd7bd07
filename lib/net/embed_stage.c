/* SPDX-License-Identifier: Apache-2.0 */
#include "net/embed_stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "net/embed.h"
#include "net/embed_rows.h"
#include "store/rows.h"
#include "store/shard.h"
#include "store/stage.h"

enum { FORMAT_VERSION = 1 };

enum table { TEXTS, TOKENS, VIEWS, OBJECTS };

struct run {
    struct t3d_encoder *encoder;
    const struct t3d_encoder_info *info;
    const struct t3d_embed_stage *o;
    struct t3d_shard_finder *finder;
    struct t3d_embedder *embedder;
    struct t3d_rows *rows;
    int table[T3D_ROWS_TABLES]; /* enum table of each one of the set */
    size_t n_tables;
    struct t3d_arena arena;
};

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
    struct run *x = ctx;
    struct result *res = t3d_alloc(&item->arena, 1, sizeof *res);
    char key[33];
    int r = T3D_OK;

    (void)m;
    if (!res)
        return t3d_err_nomem(err, "a result");
    item->result = res;
    res->place.fd = -1;
    if (!x->o->views)
        return T3D_OK;
    t3d_object_key(&item->object, key);
    r = t3d_shard_find(x->finder, item->object.num, key, &res->place, &res->fault);
    if (r == T3D_END)
        t3d_err_set(&res->fault, T3D_SKIP, "missing-render",
                    "its sample is not in %s: t3d render makes it again", x->o->renders_dir);
    return r == T3D_END || r == T3D_SKIP ? T3D_OK : r;
}

static int is_color(const struct t3d_member *m)
{
    const char *dot = strchr(m->suffix, '.');

    return m->suffix[0] == 'v' && dot && strcmp(dot, ".png") == 0;
}

/* The colour pictures of the sample, in the order of their names. */
static int read_views(const struct run *x, struct result *res, struct t3d_arena *a,
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

static int read_texts(const struct run *x, struct result *res, struct t3d_stage_item *item)
{
    const struct t3d_object *o = &item->object;
    int r = T3D_OK;

    res->text = t3d_alloc(&item->arena, o->n_captions, sizeof *res->text);
    if (!res->text)
        return t3d_err_nomem(&item->err, "captions");
    for (; res->n_texts < o->n_captions && r == T3D_OK; res->n_texts++)
        r = t3d_embed_text(x->encoder, &res->text[res->n_texts], o->caption[res->n_texts],
                           strlen(o->caption[res->n_texts]), x->o->tokens, &item->arena,
                           &item->err);
    return r;
}

static void work(void *ctx, int thread, struct t3d_stage_item *item)
{
    struct run *x = ctx;
    struct result *res = item->result;
    int r = T3D_OK;

    (void)thread;
    if (!x->o->views && !item->object.n_captions) {
        item->code = T3D_STATE_REJECT;
        t3d_err_set(&item->err, T3D_SKIP, "no-caption", "%s has no caption", item->object.uid);
        return;
    }
    if (x->o->texts)
        r = read_texts(x, res, item);
    if (x->o->views && res->place.fd >= 0 && r == T3D_OK)
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

static int put_texts(struct run *x, struct t3d_stage_item *item, struct t3d_rows_block *block,
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
                           x->o->tokens ? &block[TOKENS] : NULL, &item->arena, err);
}

/* A row a view, and their mean. */
static int put_views(struct run *x, struct t3d_stage_item *item, struct t3d_rows_block *block,
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

static int put_item(struct run *x, struct t3d_stage_item *item, struct t3d_rows_object *o,
                    struct t3d_err *err)
{
    struct t3d_rows_block block[T3D_ROWS_TABLES] = {0};
    int r = T3D_OK;

    if (x->o->texts)
        r = put_texts(x, item, block, err);
    if (x->o->views && r == T3D_OK)
        r = put_views(x, item, block, err);
    o->num = item->object.num;
    memcpy(o->key, item->code == T3D_STATE_OK ? item->key : T3D_EMBED_NO_KEY, T3D_ROWS_KEY);
    for (size_t t = 0; t < x->n_tables; t++)
        o->block[t] = block[x->table[t]];
    return r;
}

static int gather(void *ctx, struct t3d_stage_item *const *item, size_t n, struct t3d_err *err)
{
    struct run *x = ctx;
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
    const struct run *x = ctx;

    return !x->rows || t3d_rows_has(x->rows, o->num, NULL);
}

/* --- the stage
 * -------------------------------------------------------------------------------------- */

static int open_all(struct run *x, const struct t3d_common *common, struct t3d_err *err)
{
    static const char *const names[] = {"texts", "tokens", "views", "objects"};
    const struct t3d_embed_stage *s = x->o;
    int use[] = {s->texts, s->texts && s->tokens, s->views, s->views}, r = T3D_OK;
    struct t3d_rows_table table[T3D_ROWS_TABLES];
    struct t3d_rows_options o = {.dir = s->dir,
                                 .set = "embed",
                                 .table = table,
                                 .about = s->about,
                                 .index = common->shard_index,
                                 .count = common->shard_count};

    for (int t = 0; t < T3D_ROWS_TABLES; t++) {
        if (!use[t])
            continue;
        table[x->n_tables] = (struct t3d_rows_table){
            .name = names[t],
            .width = (uint32_t)(t == TOKENS ? x->info->token_width : x->info->width),
            .half = t == TOKENS || s->half,
            .runs = t == TOKENS};
        x->table[x->n_tables++] = t;
    }
    o.n_tables = x->n_tables;
    if (s->views)
        r = t3d_shard_finder_open(&x->finder, s->renders_dir, err);
    if (r == T3D_OK)
        r = t3d_embedder_new(&x->embedder, x->encoder, s->batch, err);
    if (r == T3D_OK && !common->dry_run)
        r = t3d_rows_open(&x->rows, &o, err);
    if (r == T3D_OK && x->rows && t3d_rows_replaces(x->rows))
        t3d_info("%s is %s: it is made anew", s->dir, t3d_rows_replaces(x->rows));
    return r;
}

/* What decides the rows. */
static cJSON *make_params(const struct t3d_embed_stage *s)
{
    cJSON *o = cJSON_Duplicate(s->about, 1);

    t3d_json_set_bool(o, "texts", s->texts);
    t3d_json_set_bool(o, "views", s->views);
    t3d_json_set_bool(o, "tokens", s->tokens);
    t3d_json_set_str(o, "dir", s->output ? s->output : "");
    return o;
}

/* Objects in flight a thread: as many as keep about 64 MB of pictures waiting. */
static size_t choose_window(const struct run *x, int64_t threads)
{
    double side = x->o->views ? x->info->image_size : 0, object = 20 * 3 * side * side * 4;
    double n = 64e6 / (object + 64e3) / (double)T3D_MAX(threads, 1);

    return (size_t)T3D_CLAMP(n, 2, 128);
}

static int run_stage(struct run *x, struct t3d_manifest *m, const struct t3d_common *common,
                     struct t3d_stage_summary *summary, struct t3d_err *err)
{
    static const char *const if_run[] = {"fetch", "filter", "filter-views", NULL};
    const struct t3d_embed_stage *s = x->o;
    const char *const needs[] = {t3d_sprintf(&x->arena, "render/%s", s->renders), NULL};
    struct t3d_stage stage = {.name = t3d_sprintf(&x->arena, "embed/%s", s->model),
                              .needs = s->views ? needs : NULL,
                              .inputs = s->views ? needs : NULL,
                              .needs_if_run = if_run,
                              .format_version = FORMAT_VERSION,
                              .words_matter = s->texts,
                              .window = choose_window(x, common->threads),
                              .load = load,
                              .work = work,
                              .gather = gather,
                              .batch = T3D_EMBED_BATCH,
                              .done = done,
                              .have = have};
    cJSON *params = make_params(s);
    int r = params && stage.name && needs[0] ? T3D_OK : t3d_err_nomem(err, "the set-up");

    stage.params = params;
    if (r == T3D_OK)
        r = t3d_stage_run(&stage, x, m, common, summary, err);
    cJSON_Delete(params);
    return r;
}

int t3d_embed_stage_run(struct t3d_encoder *e, const struct t3d_embed_stage *o,
                        struct t3d_manifest *m, const struct t3d_common *common,
                        struct t3d_stage_summary *summary, struct t3d_err *err)
{
    struct run x = {.encoder = e, .info = t3d_encoder_info(e), .o = o};
    int r = open_all(&x, common, err);

    if (r == T3D_OK)
        r = run_stage(&x, m, common, summary, err);
    if (x.rows) {
        struct t3d_err later;
        int finish = t3d_rows_finish(x.rows, r == T3D_OK ? err : &later);
        r = r == T3D_OK ? finish : r;
    }
    t3d_rows_close(x.rows);
    t3d_embedder_free(x.embedder);
    t3d_shard_finder_close(x.finder);
    t3d_arena_free(&x.arena);
    return r;
}
