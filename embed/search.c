/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-search: the objects whose pictures are nearest to a text, by the rows that embed has made. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/utf8.h"
#include "image/image.h"
#include "image/sheet.h"
#include "net/embed.h"
#include "store/manifest.h"
#include "store/model_find.h"
#include "store/rows_read.h"
#include "store/shard.h"

struct conf {
    struct t3d_common common;
    const char *model, *sheet;
    uint64_t top, cell;
};

static const struct t3d_opt opts[] = {
    {'m', "model", T3D_OPT_STRING, offsetof(struct conf, model), "NAME-or-DIR", "clip-nano", NULL,
     "the network whose rows are searched, as given to embed"},
    {0, "top", T3D_OPT_U64, offsetof(struct conf, top), "K", "8", NULL,
     "objects a query, 1 to 256"},
    {0, "sheet", T3D_OPT_STRING, offsetof(struct conf, sheet), "FILE.png", NULL, NULL,
     "write a contact sheet: a row a query, the best object first"},
    {0, "cell", T3D_OPT_U64, offsetof(struct conf, cell), "PIXELS", "128", NULL,
     "size of a picture on the sheet, 16 to 1024"},
    {0}};

struct hit {
    uint64_t row;
    double score;
};

struct search {
    const struct conf *conf;
    struct t3d_encoder *encoder;
    struct t3d_rows_reader objects;
    struct t3d_manifest *manifest;
    struct t3d_shard_finder *finder;
    struct t3d_sheet *sheet;
    struct hit *best;
    float *row;
    size_t n; /* of best */
    struct t3d_arena arena;
};

/* The nearest rows by cosine, best first; of equals the earlier. Rows of NaN are passed over. */
static void find_best(struct search *x, const float *query)
{
    size_t top = x->conf->top;

    x->n = 0;
    for (uint64_t i = 0; i < x->objects.n; i++) {
        double score = 0;
        size_t at;
        t3d_rows_floats(&x->objects, i, x->row);
        for (uint64_t k = 0; k < x->objects.width; k++)
            score += (double)query[k] * x->row[k];
        if (isnan(score) || (x->n == top && score <= x->best[top - 1].score))
            continue;
        x->n += x->n < top;
        for (at = x->n - 1; at > 0 && x->best[at - 1].score < score; at--)
            x->best[at] = x->best[at - 1];
        x->best[at] = (struct hit){i, score};
    }
}

/* --- the sheet
 * --------------------------------------------------------------------------------------- */

/* The object's first picture; a card with a cross when it is no longer there. */
static int add_picture(struct search *x, const struct t3d_object *o, struct t3d_err *err)
{
    struct t3d_shard_place place;
    struct t3d_arena a = {0};
    struct t3d_image_info info = {0};
    struct t3d_sample s = {0};
    uint8_t *pixels = NULL;
    char key[33];
    int r;

    t3d_object_key(o, key);
    r = t3d_shard_find(x->finder, o->num, key, &place, err);
    if (r == T3D_OK) {
        r = t3d_shard_read(&place, &s, &a, err);
        close(place.fd);
    }
    for (size_t i = 0; i < s.n && r == T3D_OK && !pixels; i++)
        if (s.member[i].suffix[0] == 'v' && strstr(s.member[i].suffix, ".png"))
            r = t3d_image_decode(&info, &pixels, &a, s.member[i].data, s.member[i].size, err);
    if (r == T3D_OK || r == T3D_END || r == T3D_SKIP)
        r = t3d_sheet_cell(x->sheet, r == T3D_OK ? pixels : NULL, info.width, info.height, err);
    t3d_arena_free(&a);
    return r;
}

static int begin_row(struct search *x, const char *query, struct t3d_err *err)
{
    char range[64] = "";

    if (x->n)
        snprintf(range, sizeof range, "cosine %.3f to %.3f", x->best[0].score,
                 x->best[x->n - 1].score);
    return t3d_sheet_row(x->sheet, query, range, err);
}

/* --- a query
 * ----------------------------------------------------------------------------------------- */

static int tell(struct search *x, const char *query, size_t rank, struct t3d_err *err)
{
    const struct hit *h = &x->best[rank];
    cJSON *line = t3d_rows_line(&x->objects, h->row), *o = cJSON_CreateObject();
    const char *uid = line ? t3d_json_str(line, "uid", NULL) : NULL;
    struct t3d_object object;
    struct t3d_arena a = {0};
    int r = uid && o ? t3d_manifest_find(x->manifest, uid, &object, &a, err)
                     : t3d_err_set(err, T3D_FAIL, "bad-rows", "line %llu of objects.ndjson",
                                   (unsigned long long)h->row + 1);

    if (r >= 0) {
        t3d_json_set_str(o, "query", query);
        t3d_json_set_num(o, "rank", (double)rank + 1);
        t3d_json_set_str(o, "uid", uid);
        t3d_json_set_num(o, "score", round(h->score * 1e6) / 1e6);
        if (r == T3D_OK && object.n_captions)
            t3d_json_set_str(o, "caption", object.caption[0]);
        if (x->sheet && r == T3D_OK)
            r = add_picture(x, &object, err);
        /* The sheet is wanted even if nobody reads on. */
        r = r < 0 || t3d_stdout_closed() ? r : t3d_emit(o, err);
        r = r == T3D_END && x->sheet ? T3D_OK : r;
    }
    cJSON_Delete(line);
    cJSON_Delete(o);
    t3d_arena_free(&a);
    return r;
}

static int answer(struct search *x, struct t3d_embedder *b, const char *query, struct t3d_err *err)
{
    struct t3d_embed_input in = {0}, *list[] = {&in};
    int r = t3d_embed_text(x->encoder, &in, query, strlen(query), 0, &x->arena, err);

    if (r == T3D_OK)
        r = t3d_embed_run(b, list, 1, err);
    if (r < 0)
        return r;
    if (in.failed) {
        *err = in.err;
        return T3D_FAIL;
    }
    find_best(x, in.row);
    if (x->sheet)
        r = begin_row(x, query, err);
    for (size_t i = 0; i < x->n && r == T3D_OK; i++)
        r = tell(x, query, i, err);
    return r;
}

/* --- set-up
 * ----------------------------------------------------------------------------------------- */

/* Rows of other weights are of another space. */
static int check_about(struct search *x, const char *dir, const char **renders, struct t3d_err *err)
{
    const struct t3d_encoder_info *i = t3d_encoder_info(x->encoder);
    char *path = t3d_path_join(&x->arena, dir, "embed.json");
    cJSON *about = NULL;
    int r = path ? t3d_json_read(&about, path, 1 << 20, err) : t3d_err_nomem(err, "a path");

    if (r == T3D_SKIP)
        return t3d_err_set(err, T3D_USAGE, "no-rows",
                           "there are no rows in '%s': t3d embed makes them", dir);
    if (r < 0)
        return r;
    *renders = t3d_strdup(&x->arena, t3d_json_str(about, "renders", ""));
    if (strcmp(t3d_json_str(about, "weights_sha256", ""), i->weights_hash) != 0)
        r = t3d_err_set(
            err, T3D_USAGE, "other-weights",
            "the rows in '%s' were made with other weights than those of the model: t3d "
            "embed makes them anew",
            dir);
    else if (!*renders || !**renders)
        r = t3d_err_set(err, T3D_USAGE, "no-rows",
                        "the rows in '%s' are of texts alone: t3d embed --inputs texts,views", dir);
    cJSON_Delete(about);
    return r;
}

static int open_model(struct search *x, const char **name, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->model, &x->arena, err);

    *name = t3d_model_name(c->model, &x->arena);
    if (r == T3D_OK && !*name)
        r = t3d_err_set(err, T3D_USAGE, "usage", "--model %.140s has no name", c->model);
    if (r == T3D_OK)
        r = t3d_encoder_open(&x->encoder, dir,
                             &(struct t3d_encoder_options){.threads = (int)c->common.threads}, err);
    if (r == T3D_OK && !t3d_encoder_info(x->encoder)->max_tokens)
        r = t3d_err_set(err, T3D_USAGE, "usage", "model '%s' takes no texts", c->model);
    return r;
}

static int open_rows(struct search *x, const char *name, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    char *dir = t3d_sprintf(&x->arena, "%s/embeddings/%s", c->common.workspace, name);
    const char *renders = NULL;
    char *shards;
    int r = dir ? check_about(x, dir, &renders, err) : t3d_err_nomem(err, "a path");

    if (r == T3D_OK)
        r = t3d_rows_reader_open(&x->objects, dir, "objects", err);
    if (r == T3D_OK && (x->objects.n_lines != x->objects.n ||
                        x->objects.width != (uint64_t)t3d_encoder_info(x->encoder)->width))
        r = t3d_err_set(err, T3D_FAIL, "bad-rows",
                        "'%s/objects.npy' and its index do not fit the model: t3d embed --redo",
                        dir);
    if (r < 0)
        return r;
    shards = t3d_sprintf(&x->arena, "%s/renders/%s", c->common.workspace, renders);
    x->best = t3d_alloc(&x->arena, c->top, sizeof *x->best);
    x->row = t3d_alloc(&x->arena, x->objects.width, sizeof *x->row);
    if (!shards || !x->best || !x->row)
        return t3d_err_nomem(err, "the set-up");
    return t3d_shard_finder_open(&x->finder, shards, err);
}

static int open_sheet(struct search *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_sheet_style style = {
        .columns = (uint32_t)c->top, .cell = (uint32_t)c->cell, .background = 0xffffff};

    return c->sheet ? t3d_sheet_new(&x->sheet, &style, err) : T3D_OK;
}

static int check_queries(const struct t3d_list *queries, struct t3d_err *err)
{
    for (size_t i = 0; i < queries->n; i++) {
        size_t n = strlen(queries->item[i]);
        if (!n)
            return t3d_err_set(err, T3D_USAGE, "usage", "query %zu is empty", i + 1);
        if (t3d_utf8_valid(queries->item[i], n) < n)
            return t3d_err_set(err, T3D_USAGE, "usage", "query %zu is not UTF-8", i + 1);
    }
    return T3D_OK;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct search x = {.conf = c};
    struct t3d_embedder *b = NULL;
    const char *name = NULL;
    int r = T3D_OK;

    if (c->cell < 16 || c->cell > 1024)
        return t3d_err_set(err, T3D_USAGE, "usage", "--cell %llu is not within 16 and 1024",
                           (unsigned long long)c->cell);
    if (c->top < 1 || c->top > 256)
        return t3d_err_set(err, T3D_USAGE, "usage", "--top %llu is not within 1 and 256",
                           (unsigned long long)c->top);
    r = t3d_opt_refuse(&c->common, "rejects redo shard dry-run", err);
    if (r == T3D_OK)
        r = check_queries(&c->common.operands, err);
    if (r == T3D_OK)
        r = t3d_manifest_open(&x.manifest, c->common.workspace, T3D_MANIFEST_READONLY, err);
    if (r == T3D_OK)
        r = open_model(&x, &name, err);
    if (r == T3D_OK)
        r = open_rows(&x, name, err);
    if (r == T3D_OK)
        r = t3d_embedder_new(&b, x.encoder, 0, err);
    if (r == T3D_OK)
        r = open_sheet(&x, err);
    for (size_t i = 0; i < c->common.operands.n && r == T3D_OK; i++)
        r = answer(&x, b, c->common.operands.item[i], err);
    if (r == T3D_OK && x.sheet)
        r = t3d_sheet_write(x.sheet, c->sheet, err);
    t3d_sheet_free(x.sheet);
    t3d_embedder_free(b);
    t3d_shard_finder_close(x.finder);
    t3d_rows_reader_close(&x.objects);
    t3d_encoder_free(x.encoder);
    t3d_manifest_close(x.manifest);
    t3d_arena_free(&x.arena);
    return r;
}

static const struct t3d_command command = {.operands = "QUERY...",
                                           .summary = "find the objects that fit a text best",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "search",
    .summary = "find the objects that fit a text best",
    .about = "Each query becomes a row of the same network that embed has used, and the objects "
             "are ranked by the cosine between it and the mean of their views (objects.npy). One "
             "record per query and rank goes to standard output: query, rank, uid, score, caption. "
             "The sheet shows the first view of each.",
    .commands = commands};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
