/* SPDX-License-Identifier: Apache-2.0 */
/* --dry-run: what a full run would ask and take, from a few objects that are measured in part. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "bench/bench_t3bench.h"

enum { OBJECTS = 3, VIEWPOINTS = 6 };

struct times {
    double object, pictures, answers; /* seconds of one item */
};

/* Items that are not known, and of these those whose quality is. */
static size_t count_left(const struct t3bench *b, size_t *assessed)
{
    size_t n = 0;

    *assessed = 0;
    for (size_t i = 0; i < b->n; i++) {
        n += b->item[i].known == NULL;
        *assessed += !b->item[i].known && !b->conf->common.redo &&
                     t3d_memo_find(b->memo, b->item[i].key) != NULL;
    }
    return n;
}

/* Item number k of `of` spread over those that are left. */
static struct t3bench_item *pick(struct t3bench *b, size_t left, size_t k, size_t of)
{
    size_t want = k * left / of;

    for (size_t i = 0; i < b->n; i++)
        if (!b->item[i].known && want-- == 0)
            return &b->item[i];
    return NULL;
}

static int time_pictures(struct t3bench *b, const struct t3bench_item *item, struct times *t,
                         double share, struct t3d_err *err)
{
    int n = T3D_MIN((int)VIEWPOINTS, b->options.sphere.n), r;
    struct t3d_gaussians g;
    double ignored, start;
    float *text;

    r = t3bench_object(b, item, &g, err);
    if (r == T3D_SKIP) /* this one takes no time */
        return T3D_OK;
    if (r == T3D_OK)
        r = t3bench_text(b, item->prompt->text, &text, err);
    if (r == T3D_OK && t->pictures <= 0) /* a warm-up */
        r = t3d_t3bench_quality(&ignored, &b->options, &g, text, 1, err);
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_t3bench_quality(&ignored, &b->options, &g, text, n, err);
    t->pictures += share * (t3d_clock_s() - start) * b->options.sphere.n / n;
    start = t3d_clock_s();
    if (r == T3D_OK && b->judge && strcmp(t3d_judge_name(b->judge), "stub") == 0) {
        cJSON *row = cJSON_CreateObject();

        cJSON_AddObjectToObject(row, "metrics");
        r = t3bench_align(b, item, &g, row, err);
        cJSON_Delete(row);
        t->answers += share * (t3d_clock_s() - start);
    }
    t3d_arena_reset(&b->scratch);
    return r == T3D_SKIP ? T3D_OK : r;
}

static int take_times(struct t3bench *b, size_t left, struct times *t, struct t3d_err *err)
{
    size_t n = T3D_MIN(left, T3D_MIN((size_t)OBJECTS, (size_t)b->conf->batch));
    struct t3d_sample sample[OBJECTS];
    double start;
    int r = T3D_OK;

    for (size_t k = 0; k < n; k++) {
        struct t3bench_item *item = pick(b, left, k, n);

        item->slot = (int)k;
        sample[k] = (struct t3d_sample){item->prompt->text, b->conf->common.seed};
    }
    for (int turn = 0; turn < 2 && n && r == T3D_OK; turn++) { /* the first is the warm-up */
        start = t3d_clock_s();
        r = t3d_sampler_run(b->sampler, sample, (int)n, NULL, err);
        t->object = (t3d_clock_s() - start) / (double)n;
    }
    for (size_t k = 0; k < n && r == T3D_OK; k++)
        r = time_pictures(b, pick(b, left, k, n), t, 1 / (double)n, err);
    return r;
}

static void set_calls(cJSON *o, double left)
{
    cJSON *calls = cJSON_AddObjectToObject(o, "calls");

    t3d_json_set_num(calls, "caption", left * T3D_T3BENCH_CAPTIONS);
    t3d_json_set_num(calls, "merge", left);
    t3d_json_set_num(calls, "score", left);
}

int t3bench_guess(struct t3bench *b, struct t3d_err *err)
{
    size_t assessed, left = count_left(b, &assessed);
    double calls = b->judge ? (double)left * (T3D_T3BENCH_CAPTIONS + 2) : 0,
           pictures = (double)((left - assessed) * (size_t)b->options.sphere.n * T3D_T3BENCH_FOVS),
           seconds;
    struct times t = {0};
    cJSON *o;
    int r = take_times(b, left, &t, err);

    if (r != T3D_OK)
        return r;
    if (t.answers <= 0 && b->judge)
        t.answers = b->conf->answer_seconds * (T3D_T3BENCH_CAPTIONS + 2);
    seconds = (double)left * (t.object + t.answers) + (double)(left - assessed) * t.pictures;
    t3d_info("%zu of %zu prompts are left: %.0f pictures, %.0f questions to captioner and judge, "
             "about %.0f s",
             left, b->n, pictures, calls, seconds);
    o = cJSON_CreateObject();
    t3d_json_set_str(o, "bench", "t3bench");
    t3d_json_set_num(o, "prompts", (double)b->n);
    t3d_json_set_num(o, "left", (double)left);
    t3d_json_set_num(o, "pictures", pictures);
    set_calls(o, b->judge ? (double)left : 0);
    t3d_json_set_num(o, "seconds", seconds);
    t3d_json_set_num(o, "seconds_objects", (double)left * t.object);
    t3d_json_set_num(o, "seconds_pictures", (double)(left - assessed) * t.pictures);
    t3d_json_set_num(o, "seconds_answers", (double)left * t.answers);
    r = t3d_emit(o, err);
    cJSON_Delete(o);
    return r;
}
