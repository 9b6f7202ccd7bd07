/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_t3bench.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "bench/bench.h"
#include "geom/import.h"
#include "store/model_find.h"
#include "store/reject.h"

static const struct t3d_opt opts[] = {
    {0, "prompts", T3D_OPT_FILES, offsetof(struct t3bench_conf, prompts), "PATH...", NULL, NULL,
     "files with a prompt a line, each a set, or a folder with T3Bench's prompt_*.txt"},
    {0, "as", T3D_OPT_STRING, offsetof(struct t3bench_conf, as), "NAME", "coded", "coded described",
     "the benchmark as its code runs or as its paper describes it"},
    {0, "checkpoint", T3D_OPT_STRING, offsetof(struct t3bench_conf, checkpoint), "NAME-or-DIR",
     "generator-nano", NULL, "a generator: a model's name, or the folder of a run"},
    {0, "text-encoder", T3D_OPT_WORDS, offsetof(struct t3bench_conf, text_encoder), "LIST", NULL,
     NULL, "where the networks are that it takes its text from; else by their names"},
    {0, "num-diffusion-steps", T3D_OPT_U64, offsetof(struct t3bench_conf, steps), "N", "4", NULL,
     "steps from noise to object"},
    {0, "guidance", T3D_OPT_DOUBLE, offsetof(struct t3bench_conf, guidance), "X", "2", NULL,
     "how strongly the text is followed"},
    {0, "min-opacity", T3D_OPT_DOUBLE, offsetof(struct t3bench_conf, min_opacity), "X", "0.02",
     NULL, "Gaussians less opaque are left out"},
    {0, "batch-size", T3D_OPT_U64, offsetof(struct t3bench_conf, batch), "N", "8", NULL,
     "objects made at once, at most"},
    {0, "scorer", T3D_OPT_STRING, offsetof(struct t3bench_conf, scorer), "NAME-or-DIR", "clip-nano",
     NULL, "a CLIP that says how well a picture fits the prompt"},
    {0, "judge", T3D_OPT_STRING, offsetof(struct t3bench_conf, judge), "COMMAND", NULL, NULL,
     "a program that merges captions and scores, asked over a pipe; stub = written rules; without "
     "one there is no alignment"},
    {0, "captioner", T3D_OPT_STRING, offsetof(struct t3bench_conf, captioner), "COMMAND", NULL,
     NULL, "a program that describes pictures; else the judge is asked"},
    {0, "timeout", T3D_OPT_DOUBLE, offsetof(struct t3bench_conf, timeout), "SECONDS", "60", NULL,
     "a judge that is silent for longer is started again"},
    {0, "attempts", T3D_OPT_U64, offsetof(struct t3bench_conf, attempts), "N", "4", NULL,
     "times that a question is asked before the item fails"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct t3bench_conf, resolution), "R", "512", NULL,
     "pixels of a side of the pictures; the benchmark's is 512"},
    {0, "viewpoints", T3D_OPT_U64, offsetof(struct t3bench_conf, viewpoints), "N", "162", NULL,
     "162, 42 or 12: vertices of the sphere; the benchmark's are 162"},
    {0, "count", T3D_OPT_U64, offsetof(struct t3bench_conf, count), "N", "0", NULL,
     "only the first N prompts of each file; 0 = all"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct t3bench_conf, output), "FILE", "t3bench.json",
     NULL, "the report"},
    {0, "cache", T3D_OPT_STRING, offsetof(struct t3bench_conf, cache), "FILE", NULL, NULL,
     "what is known, for the next run; else OUTPUT.cache"},
    {0, "pictures", T3D_OPT_STRING, offsetof(struct t3bench_conf, pictures), "DIR", NULL, NULL,
     "keep the 12 pictures of each object that the captioner sees"},
    {0, "answer-seconds", T3D_OPT_DOUBLE, offsetof(struct t3bench_conf, answer_seconds), "X", "1.5",
     NULL, "for --dry-run: time that a judge other than the stub takes for an answer"},
    {0}};

/* --- setting up ------------------------------------------------------------------------------ */

static int check(const struct t3bench_conf *c, struct t3d_err *err)
{
    if (c->steps < 1 || c->steps > 1000 || !(c->guidance > 0) || c->guidance > 100 ||
        c->batch < 1 || c->batch > 64)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--num-diffusion-steps is 1 to 1000, --guidance above 0 up to 100, "
                           "--batch-size 1 to 64");
    if (c->resolution < 16 || c->resolution > 1024 || !(c->min_opacity > 0 && c->min_opacity < 1))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--resolution is 16 to 1024, --min-opacity within 0 and 1");
    if (c->viewpoints != 12 && c->viewpoints != 42 && c->viewpoints != 162)
        return t3d_err_set(err, T3D_USAGE, "usage", "--viewpoints is 162, 42 or 12");
    if (!(c->timeout > 0 && c->timeout <= 86400) || c->attempts < 1 || c->attempts > 100 ||
        !(c->answer_seconds >= 0))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--timeout is above 0 up to 86400, --attempts 1 to 100, "
                           "--answer-seconds at least 0");
    if (c->captioner && !c->judge)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--captioner describes for a judge: give --judge too");
    if (c->common.use_stdin)
        return t3d_err_set(err, T3D_USAGE, "usage", "prompts are read from files: --prompts");
    return T3D_OK;
}

static int open_models(struct t3bench *b, struct t3d_err *err)
{
    const struct t3bench_conf *c = b->conf;
    int threads = (int)c->common.threads;
    struct t3d_sampler_options s = {
        .threads = threads,
        .batch = (int)T3D_MIN((size_t)c->batch, b->prompts.n),
        .steps = (int)c->steps,
        .guidance = c->guidance,
        .encoders = {c->common.workspace, c->text_encoder.item, c->text_encoder.n}};
    const struct t3d_encoder_options e = {.threads = threads};
    const struct t3d_encoder_info *info;
    char *dir;
    int r = t3d_model_find(&dir, c->common.workspace, c->checkpoint, &b->arena, err);

    if (r == T3D_OK)
        r = t3d_sampler_open(&b->sampler, dir, &s, err);
    if (r == T3D_OK)
        r = t3d_model_find(&dir, c->common.workspace, c->scorer, &b->arena, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&b->options.scorer, dir, &e, err);
    if (r != T3D_OK)
        return r;
    info = t3d_encoder_info(b->options.scorer);
    if (!info->image_size || !info->max_tokens)
        return t3d_err_set(err, T3D_USAGE, "usage", "--scorer %s takes no %s: a CLIP takes both",
                           c->scorer, info->image_size ? "texts" : "pictures");
    return T3D_OK;
}

/* "stub" is this program. */
static char *command_of(struct t3bench *b, const char *command)
{
    char path[PATH_MAX];
    ssize_t n;

    if (strcmp(command, "stub") != 0)
        return t3d_strdup(&b->arena, command);
    n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    if (strchr(path, '\''))
        return NULL;
    return t3d_sprintf(&b->arena, "exec '%s' stub-judge -j 1", path);
}

static int open_judge(struct t3bench *b, struct t3d_judge **j, const char *command,
                      struct t3d_err *err)
{
    struct t3d_judge_options o = {
        .timeout_s = b->conf->timeout, .attempts = (int)b->conf->attempts, .pause_s = .5};
    int r;

    if (!command)
        return T3D_OK;
    o.command = command_of(b, command);
    if (!o.command)
        return t3d_err_nomem(err, "the judge");
    r = t3d_judge_open(j, &o, b->memo, err);
    return r == T3D_SKIP ? t3d_err_set(err, T3D_FAIL, err->reason, "%s", strdupa(err->msg)) : r;
}

static void name_metrics(struct t3bench *b)
{
    const struct t3bench_conf *c = b->conf;

    snprintf(b->quality_id, sizeof b->quality_id, "t3bench-quality:%s:%.40s:v%dx%d-%d", c->as,
             b->scorer_name, b->options.sphere.n, T3D_T3BENCH_FOVS, b->options.resolution);
    t3d_report_metric(b->report, b->quality_id, T3D_HIGHER, NAN, NULL);
    if (b->judge) {
        snprintf(b->alignment_id, sizeof b->alignment_id, "t3bench-alignment:%s:%s%s%s:%d", c->as,
                 b->captioner ? t3d_judge_name(b->captioner) : "", b->captioner ? "+" : "",
                 t3d_judge_name(b->judge), b->options.resolution);
        t3d_report_metric(b->report, b->alignment_id, T3D_HIGHER, NAN, NULL);
    } else {
        t3d_report_absent(b->report, "t3bench-alignment", NULL,
                          "no judge was named: --judge COMMAND, or --judge stub to try it out");
    }
    t3d_report_absent(b->report, "t3bench", NULL,
                      "the published tables are of ImageReward, BLIP-2 and GPT-4: the mean of "
                      "quality and alignment is on their scale with these alone");
}

static void set_settings(struct t3bench *b)
{
    const struct t3bench_conf *c = b->conf;
    const struct t3d_encoder_info *info = t3d_encoder_info(b->options.scorer);
    cJSON *s = t3d_report_settings(b->report);

    t3d_json_set_str(s, "benchmark", "t3bench");
    t3d_json_set_str(s, "as", c->as);
    t3d_json_set_str(s, "generator", t3d_sampler_config(b->sampler)->size);
    t3d_json_set_num(s, "num_diffusion_steps", (double)c->steps);
    t3d_json_set_num(s, "guidance", c->guidance);
    t3d_json_set_num(s, "min_opacity", c->min_opacity);
    t3d_json_set_str(s, "scorer", b->scorer_name);
    t3d_json_set_str(s, "scorer_recipe", info->recipe);
    t3d_json_set_num(s, "resolution", b->options.resolution);
    t3d_json_set_num(s, "viewpoints", b->options.sphere.n);
    t3d_json_set_num(s, "fields_of_view", T3D_T3BENCH_FOVS);
    t3d_json_set_num(s, "seed", (double)c->common.seed);
    t3d_json_set_str(s, "judge", b->judge ? t3d_judge_name(b->judge) : "none");
    t3d_json_set_str(s, "captioner",
                     b->captioner ? t3d_judge_name(b->captioner)
                     : b->judge   ? t3d_judge_name(b->judge)
                                  : "none");
    t3d_report_input(b->report, "generator", t3d_sampler_hash(b->sampler));
    t3d_report_input(b->report, "scorer", info->weights_hash);
}

static int setup(struct t3bench *b, struct t3d_err *err)
{
    const struct t3bench_conf *c = b->conf;
    int r = t3d_report_new(&b->report, "bench", "t3d bench t3bench", c->common.seed, err);

    b->output = c->output;
    b->cache = c->cache ? c->cache : t3d_sprintf(&b->arena, "%s.cache", c->output);
    b->scorer_name = t3d_model_name(c->scorer, &b->arena);
    b->scorer_name = b->scorer_name ? b->scorer_name : "clip";
    if (r == T3D_OK && !b->cache)
        r = t3d_err_nomem(err, "the cache's name");
    b->options.reading = strcmp(c->as, "coded") == 0 ? T3D_T3BENCH_CODED : T3D_T3BENCH_DESCRIBED;
    b->options.resolution = (int)c->resolution;
    b->options.threads = (int)c->common.threads;
    if (r == T3D_OK && t3d_t3bench_sphere(&b->options.sphere, (int)c->viewpoints) < 0)
        r = t3d_err_set(err, T3D_USAGE, "usage", "--viewpoints is 162, 42 or 12");
    if (r == T3D_OK)
        r = t3bench_read_prompts(b, err);
    if (r == T3D_OK)
        r = open_models(b, err);
    if (r == T3D_OK) /* --dry-run leaves nothing behind */
        r = t3d_memo_open(&b->memo,
                          c->common.dry_run && access(b->cache, F_OK) != 0 ? NULL : b->cache, err);
    if (r == T3D_OK)
        r = open_judge(b, &b->judge, c->judge, err);
    if (r == T3D_OK)
        r = open_judge(b, &b->captioner, c->captioner, err);
    if (r == T3D_OK) {
        name_metrics(b);
        set_settings(b);
        r = t3bench_know(b, err);
    }
    return r;
}

/* --- the end --------------------------------------------------------------------------------- */

static int write_rejects(const struct t3bench *b, struct t3d_err *err)
{
    const char *path = b->conf->common.rejects;
    FILE *f = path ? fopen(path, "we") : NULL;
    const cJSON *row;
    int r = T3D_OK;

    if (!path)
        return T3D_OK;
    if (!f)
        return t3d_err_sys(err, "cannot write", path);
    cJSON_ArrayForEach (row, t3d_report_items(b->report)) {
        struct t3d_err why = {.value = NAN};

        if (r < 0 || strcmp(t3d_json_str(row, "status", ""), "ok") == 0)
            continue;
        snprintf(why.reason, sizeof why.reason, "%s", t3d_json_str(row, "reason", ""));
        snprintf(why.msg, sizeof why.msg, "%s", t3d_json_str(row, "message", ""));
        r = t3d_reject_write(f, t3d_json_str(row, "uid", ""), "t3bench", "fail", &why, NULL, err);
    }
    if (fclose(f) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", path);
    return r;
}

static void print_summary(const struct t3bench *b)
{
    const cJSON *o;

    cJSON_ArrayForEach (o, t3d_report_summary(b->report)) {
        const cJSON *ci = cJSON_GetObjectItemCaseSensitive(o, "ci95"), *low, *high;

        low = cJSON_GetArrayItem(ci, 0);
        high = cJSON_GetArrayItem(ci, 1);
        if (cJSON_IsNumber(low) && cJSON_IsNumber(high))
            t3d_info("%s = %.4g [%.4g, %.4g], n %g", o->string, t3d_json_num(o, "mean", NAN),
                     low->valuedouble, high->valuedouble, t3d_json_num(o, "n", 0));
        else if (t3d_json_num(o, "n", 0) > 0)
            t3d_info("%s = %.4g, n %g", o->string, t3d_json_num(o, "mean", NAN),
                     t3d_json_num(o, "n", 0));
    }
}

static int finish(struct t3bench *b, double seconds, struct t3d_err *err)
{
    int stopped = t3d_stop_requested(), r = t3d_report_write(b->report, b->output, !stopped, err);

    if (r == T3D_OK)
        r = write_rejects(b, err);
    if (r < 0 || stopped)
        return r < 0 ? r : stopped;
    if (b->cut)
        t3d_warn("%zu prompts were longer than the generator's %d tokens and were cut", b->cut,
                 t3d_sampler_config(b->sampler)->text_tokens);
    if (b->reused)
        t3d_info("%zu of %zu items are those of an earlier run", b->reused, b->n);
    print_summary(b);
    if (b->judge && strcmp(t3d_judge_name(b->judge), "stub") == 0)
        t3d_info("the judge was the stub: its scores say that the machinery runs, no more");
    t3d_info("%zu items, %llu failed, in %.0f s: %s", b->n,
             (unsigned long long)t3d_report_failed(b->report), seconds, b->output);
    return t3d_report_failed(b->report) ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}

static int run_all(struct t3bench *b, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r;

    b->progress = t3d_progress_new(b->conf->common.progress, "t3bench", "objects", b->n);
    r = t3bench_items(b, err);
    t3d_progress_free(b->progress);
    return r < 0 ? r : finish(b, t3d_clock_s() - start, err);
}

static int run(void *conf, struct t3d_err *err)
{
    struct t3bench *b = calloc(1, sizeof *b);
    int r = b ? check(conf, err) : t3d_err_nomem(err, "the benchmark");

    t3d_importer_close(bench_importer);
    if (!b)
        return r;
    b->conf = conf;
    if (r == T3D_OK)
        r = setup(b, err);
    if (r == T3D_OK)
        r = b->conf->common.dry_run ? t3bench_guess(b, err) : run_all(b, err);
    t3d_judge_close(b->judge);
    t3d_judge_close(b->captioner);
    t3d_memo_close(b->memo);
    t3d_sampler_close(b->sampler);
    t3d_encoder_free(b->options.scorer);
    t3d_report_free(b->report);
    t3d_arena_free(&b->arena);
    t3d_arena_free(&b->scratch);
    free(b->prompts.item);
    free(b);
    return r;
}

const struct t3d_command bench_t3bench = {
    .name = "t3bench",
    .summary = "T3Bench: quality and alignment of what a generator makes of prompts",
    .opts = opts,
    .conf_size = sizeof(struct t3bench_conf),
    .run = run};
