/* SPDX-License-Identifier: Apache-2.0 */
#include "net/embed_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/tool.h"
#include "net/embed.h"
#include "net/embed_rows.h"
#include "store/reject.h"
#include "store/rows.h"
#include "store/text_list.h"

struct item {
    size_t num;
    char key[T3D_ROWS_KEY + 1];
    struct t3d_blob blob;
    struct t3d_embed_input in;
    struct t3d_arena arena;
    struct item *next;
};

struct run {
    struct t3d_encoder *encoder;
    const struct t3d_embed_list *list;
    struct t3d_embed_list_summary *sum;
    void (*note)(const char *name, const struct t3d_err *why);
    struct t3d_text_list texts;
    size_t at, total;
    struct t3d_embedder *embedder;
    struct t3d_rows *rows;
    struct item *first, *last; /* prepared, waiting for a batch */
    size_t held, weight;
    FILE *rejects;
    struct t3d_progress *progress;
    struct t3d_arena arena;
};

static void item_free(struct item *it)
{
    t3d_blob_close(&it->blob);
    t3d_arena_free(&it->arena);
    free(it);
}

/* --- the pipe
 * --------------------------------------------------------------------------------------- */

static void key_of(const void *data, size_t n, char key[T3D_ROWS_KEY + 1])
{
    char hex[T3D_SHA256_HEX];

    t3d_sha256_hex(data, n, hex);
    memcpy(key, hex, T3D_ROWS_KEY);
    key[T3D_ROWS_KEY] = 0;
}

/* Text or bytes of entry it->num, and their hash. What is wrong stays with the entry. */
static int load(struct run *x, struct item *it, struct t3d_err *err)
{
    struct t3d_err why = {0};

    memcpy(it->key, T3D_EMBED_NO_KEY, sizeof it->key);
    if (x->list->captions) {
        const struct t3d_text *t = &x->texts.text[it->num];
        if (t->text)
            key_of(t->text, strlen(t->text), it->key);
        else
            t3d_err_set(&why, T3D_SKIP, t->reason, "%s", t->message);
        return t->text ? T3D_OK : t3d_embed_failed(x->encoder, &it->in, &why, &it->arena, err);
    }
    if (t3d_blob_open(&it->blob, x->list->images[it->num], 0, &why) < 0)
        return t3d_embed_failed(x->encoder, &it->in, &why, &it->arena, err);
    key_of(it->blob.data, it->blob.size, it->key);
    return T3D_OK;
}

static int next(void *ctx, void **out, struct t3d_err *err)
{
    struct run *x = ctx;

    while (x->at < x->total && !t3d_stop_requested()) {
        struct item *it = calloc(1, sizeof *it);
        int r;
        if (!it)
            return t3d_err_nomem(err, "an entry");
        it->num = x->at++;
        r = load(x, it, err);
        if (r == T3D_OK && !x->list->redo && !it->in.failed &&
            t3d_rows_has(x->rows, (int64_t)it->num, it->key)) {
            x->sum->skipped++;
            t3d_progress_add(x->progress, 0);
            item_free(it);
            continue;
        }
        if (r < 0)
            item_free(it);
        else
            *out = it;
        return r;
    }
    return T3D_END;
}

/* Out of memory counts as the entry's failure here, since a thread cannot stop the run. */
static void work(void *ctx, int thread, void *p)
{
    struct run *x = ctx;
    struct item *it = p;
    struct t3d_err why = {0};
    int r;

    (void)thread;
    if (it->in.failed)
        return;
    if (x->list->captions) {
        const char *text = x->texts.text[it->num].text;
        r = t3d_embed_text(x->encoder, &it->in, text, strlen(text), x->list->tokens, &it->arena,
                           &why);
    } else {
        r = t3d_embed_picture(x->encoder, &it->in, it->blob.data, it->blob.size, &it->arena, &why);
        t3d_blob_close(&it->blob);
    }
    if (r < 0) {
        it->in.failed = 1;
        it->in.err = why;
    }
}

static const char *name_of(const struct run *x, const struct item *it, char text[32])
{
    const char *key = x->list->captions ? x->texts.text[it->num].key : x->list->images[it->num];

    if (!key)
        snprintf(text, 32, "%zu", it->num + 1);
    return key ? key : text;
}

/* {"uid"?, "caption", "index"} or {"path"} */
static cJSON *describe(const struct run *x, const struct item *it)
{
    cJSON *o = cJSON_CreateObject();

    if (!x->list->captions) {
        t3d_json_set_str(o, "path", x->list->images[it->num]);
    } else {
        const struct t3d_text *t = &x->texts.text[it->num];
        if (t->key)
            t3d_json_set_str(o, "uid", t->key);
        if (t->text)
            t3d_json_set_str(o, "caption", t->text);
        t3d_json_set_num(o, "index", t->index);
    }
    return o;
}

static int settle(struct run *x, struct item *it, struct t3d_rows_object *o, struct t3d_err *err)
{
    const struct t3d_embed_input *in = &it->in;
    const char *members = t3d_embed_members(describe(x, it), in, &it->arena);
    char number[32];
    int r = T3D_OK;

    o->num = (int64_t)it->num;
    memcpy(o->key, in->failed ? T3D_EMBED_NO_KEY : it->key, sizeof o->key);
    if (!members)
        return t3d_err_nomem(err, "rows");
    if (!in->row) /* memory was out */
        r = t3d_embed_failed(x->encoder, &it->in, &it->in.err, &it->arena, err);
    if (r == T3D_OK)
        r = t3d_embed_texts(x->encoder, &in, &members, 1, &o->block[0],
                            x->list->tokens ? &o->block[1] : NULL, &it->arena, err);
    if (in->failed) {
        if (!x->sum->failed++)
            x->sum->first = in->err;
        if (x->note)
            x->note(name_of(x, it, number), &in->err);
        if (r == T3D_OK)
            r = t3d_reject_write(x->rejects, name_of(x, it, number), "embed", "fail", &in->err,
                                 NULL, err);
    } else {
        x->sum->done++;
    }
    x->sum->truncated += in->tokens.truncated != 0;
    t3d_progress_add(x->progress, in->failed ? 2 : 0);
    return r;
}

/* Run what is held and put it into the files. */
static int flush(struct run *x, struct t3d_err *err)
{
    struct t3d_embed_input **in = calloc(x->held + 1, sizeof(struct t3d_embed_input *));
    struct t3d_rows_object *o = calloc(x->held + 1, sizeof *o);
    size_t n = 0;
    int r = in && o ? T3D_OK : t3d_err_nomem(err, "a batch");

    for (struct item *it = x->first; it && r == T3D_OK; it = it->next)
        in[n++] = &it->in;
    if (r == T3D_OK)
        r = t3d_embed_run(x->embedder, in, n, err);
    n = 0;
    for (struct item *it = x->first; it && r == T3D_OK; it = it->next)
        r = settle(x, it, &o[n++], err);
    if (r == T3D_OK)
        r = t3d_rows_put(x->rows, o, n, err);
    while (x->first) {
        struct item *it = x->first;
        x->first = it->next;
        item_free(it);
    }
    x->last = NULL;
    x->held = x->weight = 0;
    free(in);
    free(o);
    return r;
}

static int emit(void *ctx, void *p, struct t3d_err *err)
{
    struct run *x = ctx;
    struct item *it = p;

    if (x->last)
        x->last->next = it;
    else
        x->first = it;
    x->last = it;
    x->held++;
    x->weight += t3d_embed_weight(x->encoder, &it->in);
    return x->weight >= T3D_EMBED_BATCH ? flush(x, err) : T3D_OK;
}

static void drop(void *ctx, void *p)
{
    (void)ctx;
    item_free(p);
}

/* --- set-up
 * ----------------------------------------------------------------------------------------- */

/* "DIR" and the set's name: DIR/texts.npy or DIR/images.npy, or as the .npy is called. */
static int open_rows(struct run *x, struct t3d_err *err)
{
    const struct t3d_embed_list *l = x->list;
    const struct t3d_encoder_info *i = t3d_encoder_info(x->encoder);
    struct t3d_rows_table table[2] = {{.width = (uint32_t)i->width, .half = l->half},
                                      {.width = (uint32_t)i->token_width, .half = 1, .runs = 1}};
    struct t3d_rows_options o = {.table = table,
                                 .n_tables = l->tokens ? 2 : 1,
                                 .about = l->about,
                                 .dir = l->output,
                                 .set = l->captions ? "texts" : "images"};
    int named = strcmp(t3d_path_ending(l->output), "npy") == 0;

    table[1].name = "tokens";
    if (named) {
        const char *base = t3d_path_base(l->output);
        char *dir = t3d_strndup(&x->arena, l->output, (size_t)(base - l->output));
        char *set = t3d_strndup(&x->arena, base, strlen(base) - 4);
        table[1].name = set ? t3d_sprintf(&x->arena, "%s.tokens", set) : NULL;
        if (!dir || !table[1].name)
            return t3d_err_nomem(err, "a path");
        o.dir = *dir ? dir : ".";
        o.set = set;
    }
    table[0].name = o.set;
    return t3d_rows_open(&x->rows, &o, err);
}

static int open_all(struct run *x, struct t3d_err *err)
{
    const struct t3d_embed_list *l = x->list;
    int r = l->captions ? t3d_text_list_open(&x->texts, l->captions, err) : T3D_OK;

    x->total = l->captions ? x->texts.n : l->n_images;
    if (r == T3D_OK)
        r = open_rows(x, err);
    if (r == T3D_OK)
        r = t3d_embedder_new(&x->embedder, x->encoder, l->batch, err);
    if (r == T3D_OK && l->rejects && !(x->rejects = fopen(l->rejects, "we")))
        r = t3d_err_sys(err, "cannot create", l->rejects);
    if (r < 0)
        return r;
    x->sum->rows = x->total;
    x->sum->replaces = t3d_rows_replaces(x->rows);
    t3d_rows_limit(x->rows, (int64_t)x->total);
    x->progress = t3d_progress_new(l->progress ? l->progress : "none", "embed",
                                   l->captions ? "captions" : "pictures", x->total);
    return T3D_OK;
}

int t3d_embed_list_run(struct t3d_encoder *e, const struct t3d_embed_list *l,
                       struct t3d_embed_list_summary *s,
                       void (*note)(const char *name, const struct t3d_err *why),
                       struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
    struct run x = {.encoder = e, .list = l, .sum = s, .note = note};
    size_t window = l->captions ? 512 : 32;
    int r;

    memset(s, 0, sizeof *s);
    r = open_all(&x, err);
    if (r == T3D_OK)
        r = t3d_pipe_run(&ops, &x, l->threads, T3D_MAX(window, 2 * (size_t)l->threads), err);
    if (r == T3D_OK)
        r = flush(&x, err);
    s->stop = t3d_stop_requested();
    if (r == T3D_OK && !s->stop)
        r = t3d_rows_finish(x.rows, err);
    while (x.first) {
        struct item *it = x.first;
        x.first = it->next;
        item_free(it);
    }
    t3d_progress_free(x.progress);
    if (x.rejects && fclose(x.rejects) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", l->rejects);
    t3d_rows_close(x.rows);
    t3d_embedder_free(x.embedder);
    t3d_text_list_close(&x.texts);
    t3d_arena_free(&x.arena);
    return r;
}
