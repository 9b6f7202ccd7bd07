/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "bench/bench_t3bench.h"
#include "draw/splat_views.h"

enum { FORMAT = 1, MAX_BATCH = 64, MAX_WARNINGS = 10 };

/* --- keys ------------------------------------------------------------------------------------ */

static int key_item(struct t3bench *b, struct t3bench_item *item, const char *settings,
                    struct t3d_err *err)
{
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    t3d_sha256_add_str(h, settings);
    t3d_sha256_add_str(h, item->prompt->text);
    t3d_sha256_end(h, item->key);
    r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add_str(h, item->key);
    t3d_sha256_add_str(h, item->prompt->uid);
    t3d_sha256_add_str(h, b->judge ? t3d_judge_name(b->judge) : "");
    t3d_sha256_add_str(h, b->captioner ? t3d_judge_name(b->captioner) : "");
    t3d_sha256_end(h, item->full);
    return T3D_OK;
}

/* What the quality of a prompt's object is a function of. */
static char *settings_of(struct t3bench *b)
{
    const struct t3bench_conf *c = b->conf;
    const struct t3d_encoder_info *s = t3d_encoder_info(b->options.scorer);

    return t3d_sprintf(&b->arena, "t3bench %d %s %s %llu %.17g %.17g %llu %s %s %s %d %d", FORMAT,
                       c->as, t3d_sampler_hash(b->sampler), (unsigned long long)c->steps,
                       c->guidance, c->min_opacity, (unsigned long long)c->common.seed,
                       s->weights_hash, s->tokenizer_hash, s->recipe, b->options.resolution,
                       b->options.sphere.n);
}

static int is_mine(const struct t3d_common *c, const char *uid)
{
    return c->shard_count <= 1 || t3d_hash64(uid) % c->shard_count == c->shard_index;
}

int t3bench_know(struct t3bench *b, struct t3d_err *err)
{
    char *settings = settings_of(b);
    int r = T3D_OK;

    b->item = t3d_alloc(&b->arena, b->prompts.n + 1, sizeof *b->item);
    if (!b->item || !settings)
        return t3d_err_nomem(err, "the prompts");
    for (size_t i = 0; i < b->prompts.n && r == T3D_OK; i++) {
        struct t3bench_item *item = &b->item[b->n];

        item->prompt = &b->prompts.item[i];
        item->slot = -1;
        if (!is_mine(&b->conf->common, item->prompt->uid))
            continue;
        b->n++;
        r = key_item(b, item, settings, err);
        if (r == T3D_OK && !b->conf->common.redo)
            item->known = t3d_memo_find(b->memo, item->full);
        /* pictures that are wanted have to be made */
        if (b->conf->pictures)
            item->known = NULL;
    }
    return r;
}

/* --- objects --------------------------------------------------------------------------------- */

int t3bench_make(struct t3bench *b, size_t i, struct t3d_err *err)
{
    struct t3d_sample sample[MAX_BATCH] = {{0}};
    int cut[MAX_BATCH] = {0}, n = 0, r;

    for (size_t k = 0; k < b->n; k++)
        b->item[k].slot = -1;
    for (; i < b->n && n < (int)b->conf->batch; i++) {
        if (b->item[i].known)
            continue;
        b->item[i].slot = n;
        sample[n++] = (struct t3d_sample){b->item[i].prompt->text, b->conf->common.seed};
    }
    r = t3d_sampler_run(b->sampler, sample, n, cut, err);
    for (int k = 0; k < n; k++)
        b->cut += (size_t)cut[k];
    return r;
}

int t3bench_object(struct t3bench *b, const struct t3bench_item *item, struct t3d_gaussians *g,
                   struct t3d_err *err)
{
    struct t3d_gaussians raw, kept, soft;
    int r;

    t3d_sampler_gaussians(b->sampler, item->slot, &raw);
    r = t3d_gaussians_prune(&kept, &raw, b->conf->min_opacity, &b->scratch, err);
    if (r == T3D_OK)
        r = t3d_splat_soften(&soft, &kept, t3d_sampler_config(b->sampler)->side, &b->scratch, err);
    return r == T3D_OK ? t3d_t3bench_fit(g, &soft, &b->scratch, err) : r;
}

int t3bench_text(struct t3bench *b, const char *prompt, float **row, struct t3d_err *err)
{
    struct t3d_encoder *e = b->options.scorer;
    struct t3d_tokens tokens;
    int r = t3d_encoder_tokenize(e, &tokens, prompt, strlen(prompt), &b->scratch, err);

    *row = t3d_alloc(&b->scratch, (size_t)t3d_encoder_info(e)->width, sizeof **row);
    if (!*row)
        return t3d_err_nomem(err, prompt);
    return r == T3D_OK ? t3d_encoder_texts(e, &tokens, 1, *row, NULL, err) : r;
}

/* The quality goes into the row, from an earlier run where it is known. */
static int assess(struct t3bench *b, const struct t3bench_item *item, const struct t3d_gaussians *g,
                  cJSON *row, struct t3d_err *err)
{
    const cJSON *known = b->conf->common.redo ? NULL : t3d_memo_find(b->memo, item->key);
    double quality = t3d_json_num(known, "quality", NAN);
    cJSON *value;
    float *text;
    int r = T3D_OK;

    if (!isfinite(quality)) {
        r = t3bench_text(b, item->prompt->text, &text, err);
        if (r == T3D_OK)
            r = t3d_t3bench_quality(&quality, &b->options, g, text, 0, err);
        if (r != T3D_OK)
            return r;
        value = cJSON_CreateObject();
        t3d_json_set_num(value, "quality", quality);
        r = t3d_memo_put(b->memo, item->key, value, err);
    }
    t3d_json_set_num(cJSON_GetObjectItemCaseSensitive(row, "metrics"), b->quality_id, quality);
    return r;
}

/* --- alignment ------------------------------------------------------------------------------- */

static void free_answers(struct t3d_answer *a, int n)
{
    for (int i = 0; i < n; i++)
        free(a[i].text);
}

static int check_answers(const struct t3d_answer *a, int n, struct t3d_err *err)
{
    for (int i = 0; i < n; i++)
        if (!a[i].text) {
            if (err)
                *err = a[i].err;
            return a[i].err.code;
        }
    return T3D_OK;
}

static void count_attempts(cJSON *row, const struct t3d_answer *a, int n)
{
    double sum = t3d_json_num(row, "attempts", 0), answers = t3d_json_num(row, "answers", 0);

    for (int i = 0; i < n; i++) {
        sum += a[i].attempts;
        answers += a[i].text != NULL;
    }
    t3d_json_set_num(row, "answers", answers);
    t3d_json_set_num(row, "attempts", sum);
}

static int is_caption(const char *text, struct t3d_err *err)
{
    if (text[strspn(text, " \t\r\n")])
        return T3D_OK;
    return t3d_err_set(err, T3D_SKIP, "judge-empty", "the answer is an empty text");
}

static int is_score(const char *text, struct t3d_err *err)
{
    int score;

    return t3d_t3bench_score(&score, text, err);
}

/* Ask one thing; the text is the caller's. */
static int ask(struct t3d_judge *j, cJSON *question, t3d_answer_check *check, cJSON *row,
               char **text, struct t3d_err *err)
{
    struct t3d_answer a = {0};
    int r = t3d_judge_ask(j, &question, 1, check, NULL, &a, err);

    if (r == T3D_OK) {
        count_attempts(row, &a, 1);
        r = check_answers(&a, 1, err);
    }
    cJSON_Delete(question);
    *text = a.text;
    return r;
}

/* Captions of the 12 pictures, in the row. */
static int describe(struct t3bench *b, char sha256[T3D_T3BENCH_CAPTIONS][65], const char *dir,
                    cJSON *row, struct t3d_err *err)
{
    struct t3d_answer a[T3D_T3BENCH_CAPTIONS] = {{0}};
    cJSON *question[T3D_T3BENCH_CAPTIONS] = {NULL}, *list = cJSON_AddArrayToObject(row, "captions");
    char *root = realpath(dir, NULL);
    int r = root ? T3D_OK : t3d_err_sys(err, "cannot find", dir);

    for (int i = 0; i < T3D_T3BENCH_CAPTIONS && r == T3D_OK; i++) {
        char *path = t3d_sprintf(&b->scratch, "%s/%02d.png", root, i);

        question[i] = path ? t3d_t3bench_ask_caption(path, sha256[i]) : NULL;
        r = question[i] ? T3D_OK : t3d_err_nomem(err, "a question");
    }
    if (r == T3D_OK)
        r = t3d_judge_ask(b->captioner ? b->captioner : b->judge, question, T3D_T3BENCH_CAPTIONS,
                          is_caption, "image", a, err);
    if (r == T3D_OK) {
        count_attempts(row, a, T3D_T3BENCH_CAPTIONS);
        r = check_answers(a, T3D_T3BENCH_CAPTIONS, err);
    }
    for (int i = 0; i < T3D_T3BENCH_CAPTIONS; i++) {
        cJSON_Delete(question[i]);
        if (r == T3D_OK)
            cJSON_AddItemToArray(list, cJSON_CreateString(a[i].text));
    }
    free_answers(a, T3D_T3BENCH_CAPTIONS);
    free(root);
    return r;
}

static int judge(struct t3bench *b, const struct t3bench_item *item, cJSON *row,
                 struct t3d_err *err)
{
    const char *caption[T3D_T3BENCH_CAPTIONS];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(row, "captions");
    char *merged = NULL, *text = NULL;
    int score, r;

    for (int i = 0; i < T3D_T3BENCH_CAPTIONS; i++)
        caption[i] = cJSON_GetArrayItem(list, i)->valuestring;
    r = ask(b->judge, t3d_t3bench_ask_merge(caption, T3D_T3BENCH_CAPTIONS), is_caption, row,
            &merged, err);
    if (r == T3D_OK) {
        t3d_json_set_str(row, "caption", merged);
        r = ask(b->judge, t3d_t3bench_ask_score(item->prompt->text, merged), is_score, row, &text,
                err);
    }
    if (r == T3D_OK)
        r = t3d_t3bench_score(&score, text, err);
    if (r == T3D_OK) {
        t3d_json_set_num(row, "score", score);
        t3d_json_set_num(cJSON_GetObjectItemCaseSensitive(row, "metrics"), b->alignment_id,
                         (score - 1) * 25);
    }
    free(merged);
    free(text);
    return r;
}

/* "single/001" below --pictures, else a folder that goes again. */
static char *picture_folder(struct t3bench *b, const struct t3bench_item *item)
{
    return b->conf->pictures
               ? t3d_sprintf(&b->scratch, "%s/%s", b->conf->pictures, item->prompt->uid)
               : t3d_sprintf(&b->scratch, "%s.pictures.tmp", b->cache);
}

int t3bench_align(struct t3bench *b, const struct t3bench_item *item, const struct t3d_gaussians *g,
                  cJSON *row, struct t3d_err *err)
{
    char sha256[T3D_T3BENCH_CAPTIONS][65], *dir = picture_folder(b, item);
    int r = dir ? t3d_t3bench_pictures(sha256, &b->options, g, dir, err)
                : t3d_err_nomem(err, "the pictures");

    if (r == T3D_OK && b->judge)
        r = describe(b, sha256, dir, row, err);
    if (r == T3D_OK && b->judge)
        r = judge(b, item, row, err);
    if (dir && !b->conf->pictures)
        t3d_remove_tree(dir);
    return r;
}

/* --- rows ------------------------------------------------------------------------------------ */

static cJSON *new_row(const struct t3bench_item *item)
{
    cJSON *row = cJSON_CreateObject();

    t3d_json_set_str(row, "uid", item->prompt->uid);
    t3d_json_set_str(row, "group", item->prompt->group);
    t3d_json_set_str(row, "status", "ok");
    t3d_json_set_str(row, "key", item->full);
    t3d_json_set_str(row, "prompt", item->prompt->text);
    cJSON_AddObjectToObject(row, "metrics");
    return row;
}

static void fail(cJSON *row, const struct t3d_err *why)
{
    t3d_json_set_str(row, "status", "fail");
    t3d_json_set_str(row, "reason", why->reason);
    t3d_json_set_str(row, "message", why->msg);
}

/* T3D_END: stopped, there is no row. */
static int measure(struct t3bench *b, const struct t3bench_item *item, cJSON **out,
                   struct t3d_err *err)
{
    struct t3d_err why = {0};
    struct t3d_gaussians g;
    cJSON *row = new_row(item);
    int r = row ? t3bench_object(b, item, &g, &why) : t3d_err_nomem(&why, "a row");

    if (r == T3D_OK) {
        t3d_json_set_num(row, "gaussians", (double)g.n);
        r = assess(b, item, &g, row, &why);
    }
    if (r == T3D_OK && (b->judge || b->conf->pictures))
        r = t3bench_align(b, item, &g, row, &why);
    if (r == T3D_SKIP)
        fail(row, &why);
    if (r == T3D_OK)
        r = t3d_memo_put(b->memo, item->full, cJSON_Duplicate(row, 1), &why);
    t3d_arena_reset(&b->scratch);
    if (r == T3D_OK || r == T3D_SKIP) {
        *out = row;
        return T3D_OK;
    }
    cJSON_Delete(row);
    if (r < 0 && err)
        *err = why;
    return r;
}

static int write_now_and_then(struct t3bench *b, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r;

    if (start - b->written_s < fmax(5, 20 * b->write_cost_s))
        return T3D_OK;
    r = t3d_report_write(b->report, b->output, 0, err);
    b->written_s = t3d_clock_s();
    b->write_cost_s = b->written_s - start;
    return r;
}

static int add_row(struct t3bench *b, cJSON *row, struct t3d_err *err)
{
    int bad = strcmp(t3d_json_str(row, "status", ""), "ok") != 0, r;

    if (bad && b->warned++ < MAX_WARNINGS)
        t3d_warn("%s: %s", t3d_json_str(row, "uid", ""), t3d_json_str(row, "message", ""));
    t3d_progress_add(b->progress, bad ? 2 : 0);
    r = t3d_report_add(b->report, row, err);
    return r == T3D_OK ? write_now_and_then(b, err) : r;
}

int t3bench_items(struct t3bench *b, struct t3d_err *err)
{
    int r = T3D_OK;

    b->written_s = t3d_clock_s();
    for (size_t i = 0; i < b->n && r == T3D_OK; i++) {
        struct t3bench_item *item = &b->item[i];
        cJSON *row = NULL;

        if (t3d_stop_requested())
            return T3D_END;
        if (item->known) {
            row = cJSON_Duplicate(item->known, 1);
            b->reused++;
            r = row ? T3D_OK : t3d_err_nomem(err, "a row");
        } else {
            if (item->slot < 0)
                r = t3bench_make(b, i, err);
            if (r == T3D_OK)
                r = measure(b, item, &row, err);
        }
        if (r == T3D_OK)
            r = add_row(b, row, err);
    }
    return r;
}
