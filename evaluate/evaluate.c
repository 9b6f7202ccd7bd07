/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-evaluate: predictions beside references, and one report of it beside another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/par.h"
#include "base/progress.h"
#include "base/tool.h"
#include "geom/read.h"
#include "metric/file_hash.h"
#include "metric/match.h"
#include "metric/pair.h"
#include "metric/report.h"
#include "metric/views.h"

enum { FORMAT_VERSION = 1, MAX_WARNINGS = 10, MAX_POINTS = 10 * 1000 * 1000 };

struct conf {
    struct t3d_common common;
    const char *pred, *ref, *normalize, *output;
    struct t3d_list metrics, compare;
    int emd_floor;
    uint64_t points, emd_points, resolution;
};

static const struct t3d_opt opts[] = {
    {0, "pred", T3D_OPT_STRING, offsetof(struct conf, pred), "PATH", NULL, NULL,
     "predictions: a mesh, point cloud or picture, or a folder of them"},
    {0, "ref", T3D_OPT_STRING, offsetof(struct conf, ref), "PATH", NULL, NULL,
     "references, matched with the predictions by name"},
    {0, "metrics", T3D_OPT_WORDS, offsetof(struct conf, metrics), "LIST", "all", NULL,
     "families, as chamfer or ssim; single dialects, as chamfer:cd-sum; or all"},
    {0, "normalize", T3D_OPT_STRING, offsetof(struct conf, normalize), "NAME", "ref-bbox1",
     t3d_frame_names, "the frame in which shapes are compared"},
    {0, "points", T3D_OPT_U64, offsetof(struct conf, points), "N", "100000", NULL,
     "points taken from each mesh"},
    {0, "emd-points", T3D_OPT_U64, offsetof(struct conf, emd_points), "N", "2048", NULL,
     "of these, the first N are matched for emd; all, where there are fewer"},
    {0, "emd-floor", T3D_OPT_BOOL, offsetof(struct conf, emd_floor), NULL, "yes", NULL,
     "measure the noise floor of emd as well, which takes as long again"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", "512", NULL,
     "size of the 20 views of meshes that psnr and ssim compare"},
    {0, "compare", T3D_OPT_FILES, offsetof(struct conf, compare), "A.json B.json", NULL, NULL,
     "two reports: paired differences of B against A, in place of an evaluation"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "FILE", NULL, NULL,
     "the report as JSON; else results.json here, for --compare stdout"},
    {0}};

static struct t3d_importer *importer;
static int importer_threads;
static char *command_line;

struct item {
    const struct t3d_match *match;
    char key[65];
    cJSON *json;
    struct t3d_err err;
    int reused;
    struct t3d_pair_result result;
};

struct run {
    const struct conf *conf;
    struct t3d_pair_options options;
    struct t3d_matches matches;
    struct t3d_report *report;
    struct t3d_progress *progress;
    cJSON *before; /* items of an earlier run by key */
    struct t3d_arena arena;
    char params[65]; /* hash of what the results depend on beside the files */
    size_t next, warned, reused, done;
    int threads; /* workers */
    double written_s, write_cost_s;
    const char *output;
};

/* What the item's result is a function of. */
static int make_key(const struct run *x, struct item *item, int thread, struct t3d_err *err)
{
    char pred[65], ref[65];
    struct t3d_sha256 *h;
    int r = t3d_file_hash(pred, importer, thread, item->match->pred, err);

    if (r == T3D_OK)
        r = t3d_file_hash(ref, importer, thread, item->match->ref, err);
    if (r == T3D_OK)
        r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add_str(h, x->params);
    t3d_sha256_add_str(h, item->match->uid);
    t3d_sha256_add_str(h, pred);
    t3d_sha256_add_str(h, ref);
    t3d_sha256_end(h, item->key);
    return T3D_OK;
}

/* --- one pair --- */

static int measure_shapes(const struct run *x, struct item *item, int thread, struct t3d_err *err)
{
    int draws = t3d_metrics_need(&x->options.choice, T3D_METRIC_PICTURE);
    unsigned flags = draws ? T3D_READ_PIXELS : T3D_READ_HEADERS;
    struct t3d_shape pred, ref;
    int r = t3d_shape_open(&ref, importer, thread, item->match->ref, flags, err);

    if (r < 0)
        return t3d_err_prefix(err, "reference");
    r = t3d_shape_open(&pred, importer, thread, item->match->pred, flags, err);
    if (r < 0) {
        t3d_shape_close(&ref);
        return t3d_err_prefix(err, "prediction");
    }
    r = t3d_pair_shapes(&item->result, &x->options, item->match->uid, &pred, &ref, err);
    if (r == T3D_OK && draws)
        r = t3d_pair_views(&item->result, &x->options, &pred, &ref, err);
    t3d_shape_close(&pred);
    t3d_shape_close(&ref);
    return r;
}

static int measure_item(const struct run *x, struct item *item, int thread, struct t3d_err *err)
{
    const struct t3d_match *m = item->match;
    cJSON *old;
    int r;

    if (m->ambiguous)
        return t3d_err_set(err, T3D_SKIP, "ambiguous-name",
                           "several files are called '%s': keep one in each folder", m->uid);
    if (!m->pred || !m->ref)
        return t3d_err_set(err, T3D_SKIP, m->pred ? "no-reference" : "no-prediction",
                           "'%s' has no counterpart in --%s", m->pred ? m->pred : m->ref,
                           m->pred ? "ref" : "pred");
    r = make_key(x, item, thread, err);
    if (r < 0)
        return r;
    old = cJSON_GetObjectItemCaseSensitive(x->before, item->key);
    if (old) {
        item->json = cJSON_Duplicate(old, 1);
        item->reused = 1;
        return item->json ? T3D_OK : t3d_err_nomem(err, m->uid);
    }
    return x->matches.pictures ? t3d_pair_pictures(&item->result, &x->options, m->pred, m->ref, err)
                               : measure_shapes(x, item, thread, err);
}

static void work(void *ctx, int thread, void *p)
{
    struct item *item = p;

    if (measure_item(ctx, item, thread, &item->err) == T3D_OK)
        item->err.code = T3D_OK;
}

/* --- rows --- */

static cJSON *row_of(const struct item *item)
{
    int missing = !item->match->pred || !item->match->ref, ok = item->err.code == T3D_OK;
    cJSON *o = cJSON_CreateObject(), *result, *part;

    t3d_json_set_str(o, "uid", item->match->uid);
    t3d_json_set_str(o, "status", ok ? "ok" : missing ? "missing" : "fail");
    if (item->key[0])
        t3d_json_set_str(o, "key", item->key);
    if (!ok) {
        t3d_json_set_str(o, "reason", item->err.reason);
        t3d_json_set_str(o, "message", item->err.msg);
        return o;
    }
    result = t3d_pair_json(&item->result);
    while ((part = cJSON_DetachItemViaPointer(result, result->child)))
        cJSON_AddItemToObject(o, part->string, part);
    cJSON_Delete(result);
    return o;
}

/* Names of a row's metrics, in the order of the table. */
static void know_metrics(struct run *x, const cJSON *row)
{
    const cJSON *v;

    cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(row, "metrics")) {
        for (int i = 0; i < t3d_n_metrics; i++) {
            const struct t3d_metric *m = &t3d_metrics[i];
            char name[T3D_METRIC_ID_SIZE];
            int n = snprintf(name, sizeof name, "%s:%s", m->family, m->dialect);
            if (strncmp(v->string, name, (size_t)n) == 0 &&
                (v->string[n] == ':' || v->string[n] == 0))
                t3d_report_metric(x->report, v->string, m->better, t3d_metric_target(m, v->string),
                                  m->target_text);
        }
    }
}

static int write_now_and_then(struct run *x, struct t3d_err *err)
{
    double start = t3d_clock_s();
    int r;

    if (start - x->written_s < fmax(2, 20 * x->write_cost_s))
        return T3D_OK;
    r = t3d_report_write(x->report, x->output, 0, err);
    x->written_s = t3d_clock_s();
    x->write_cost_s = x->written_s - start;
    return r;
}

static void drop(void *ctx, void *p)
{
    struct item *item = p;

    (void)ctx;
    cJSON_Delete(item->json);
    free(item);
}

static int emit(void *ctx, void *p, struct t3d_err *err)
{
    struct run *x = ctx;
    struct item *item = p;
    int r = item->err.code, bad;

    if (r != T3D_OK && r != T3D_SKIP) { /* not this item's fault */
        *err = item->err;
        drop(x, item);
        return r;
    }
    if (!item->json)
        item->json = row_of(item);
    bad = strcmp(t3d_json_str(item->json, "status", ""), "ok") != 0;
    if (bad && x->warned++ < MAX_WARNINGS)
        t3d_warn("%s: %s", item->match->uid, t3d_json_str(item->json, "message", ""));
    else if (bad && x->warned == MAX_WARNINGS + 1)
        t3d_warn("the report has the other items that failed");
    x->reused += (size_t)item->reused;
    t3d_progress_add(x->progress, bad ? 2 : 0);
    know_metrics(x, item->json);
    r = t3d_report_add(x->report, item->json, err);
    free(item);
    return r == T3D_OK ? write_now_and_then(x, err) : r;
}

static int next(void *ctx, void **p, struct t3d_err *err)
{
    struct run *x = ctx;
    const struct t3d_common *c = &x->conf->common;
    struct item *item;

    while (x->next < x->matches.n && c->shard_count > 1 &&
           t3d_hash64(x->matches.match[x->next].uid) % c->shard_count != c->shard_index)
        x->next++;
    if (x->next == x->matches.n || t3d_stop_requested())
        return T3D_END;
    item = calloc(1, sizeof *item);
    if (!item)
        return t3d_err_nomem(err, "an item");
    item->match = &x->matches.match[x->next++];
    *p = item;
    return T3D_OK;
}

/* --- the run --- */

/* Everything but the files on which values depend, as text of sorted JSON, hashed; the same goes
 * into the report. */
static int set_params(struct run *x, struct t3d_err *err)
{
    cJSON *s = t3d_report_settings(x->report), *names = cJSON_CreateArray();
    char name[T3D_METRIC_ID_SIZE], *text;

    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!x->options.choice.on[i])
            continue;
        snprintf(name, sizeof name, "%s:%s", t3d_metrics[i].family, t3d_metrics[i].dialect);
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    }
    t3d_json_set(s, "metrics", names);
    t3d_json_set_str(s, "normalize", x->conf->normalize);
    t3d_json_set_num(s, "points", (double)x->conf->points);
    t3d_json_set_num(s, "emd_points", (double)x->conf->emd_points);
    t3d_json_set_bool(s, "emd_floor", x->conf->emd_floor);
    t3d_json_set_num(s, "resolution", (double)x->conf->resolution);
    t3d_json_set_num(s, "format", FORMAT_VERSION);
    t3d_json_set_num(s, "seed", (double)x->conf->common.seed);
    text = t3d_json_text(s, 1);
    if (!text)
        return t3d_err_nomem(err, "the settings");
    t3d_sha256_hex(text, strlen(text), x->params);
    free(text);
    return T3D_OK;
}

/* A row stands for its files and settings, except that the machine may have been busy. */
static int may_stand(const cJSON *item)
{
    return t3d_json_str(item, "key", NULL) &&
           strncmp(t3d_json_str(item, "reason", ""), "parser-", 7) != 0;
}

/* Items of the report that is there, by their keys. */
static int read_before(struct run *x, struct t3d_err *err)
{
    cJSON *old = NULL, *items, *item;
    int r = T3D_SKIP;

    x->before = cJSON_CreateObject();
    if (!x->before)
        return t3d_err_nomem(err, "the earlier results");
    if (!x->conf->common.redo && access(x->output, F_OK) == 0)
        r = t3d_report_read(&old, x->output, err);
    if (r < 0)
        return r == T3D_SKIP ? T3D_OK : r;
    items = cJSON_GetObjectItemCaseSensitive(old, "items");
    while (items && (item = cJSON_DetachItemFromArray(items, 0))) {
        if (!may_stand(item) ||
            !cJSON_AddItemToObject(x->before, t3d_json_str(item, "key", ""), item))
            cJSON_Delete(item);
    }
    cJSON_Delete(old);
    return T3D_OK;
}

static int add_inputs(struct run *x, struct t3d_err *err)
{
    static const char *const side[] = {"pred", "ref"};

    for (int k = 0; k < 2; k++) {
        struct t3d_sha256 *h;
        char hex[65], file[65];
        int r = t3d_sha256_new(&h, err);
        if (r < 0)
            return r;
        for (size_t i = 0; i < x->matches.n; i++) {
            const struct t3d_match *m = &x->matches.match[i];
            const char *path = k ? m->ref : m->pred;
            struct t3d_err ignored;
            if (!path || t3d_file_hash(file, importer, 0, path, &ignored) < 0)
                continue;
            t3d_sha256_add_str(h, m->uid);
            t3d_sha256_add_str(h, file);
        }
        t3d_sha256_end(h, hex);
        t3d_report_input(x->report, side[k], hex);
    }
    return T3D_OK;
}

static void print_summary(const struct run *x)
{
    const cJSON *o;

    cJSON_ArrayForEach (o, t3d_report_summary(x->report)) {
        const cJSON *ci = cJSON_GetObjectItemCaseSensitive(o, "ci95");
        const cJSON *pass = cJSON_GetObjectItemCaseSensitive(o, "pass");
        char interval[64] = "", floor[32] = "", target[64] = "";
        if (t3d_json_num(o, "n", 0) == 0)
            continue;
        if (cJSON_IsNumber(cJSON_GetArrayItem(ci, 0)))
            snprintf(interval, sizeof interval, " [%.4g, %.4g]",
                     cJSON_GetArrayItem(ci, 0)->valuedouble,
                     cJSON_GetArrayItem(ci, 1)->valuedouble);
        if (isfinite(t3d_json_num(o, "floor", NAN)))
            snprintf(floor, sizeof floor, ", floor %.4g", t3d_json_num(o, "floor", NAN));
        if (cJSON_IsBool(pass))
            snprintf(target, sizeof target, ", target %s: %s", t3d_json_str(o, "target", ""),
                     cJSON_IsTrue(pass) ? "pass" : "fail");
        t3d_info("%s = %.6g%s, n %g%s%s", o->string, t3d_json_num(o, "mean", NAN), interval,
                 t3d_json_num(o, "n", 0), floor, target);
    }
}

static int finish(struct run *x, struct t3d_err *err)
{
    int stopped = t3d_stop_requested(), r;

    r = stopped ? T3D_OK : add_inputs(x, err);
    if (r == T3D_OK)
        r = t3d_report_write(x->report, x->output, !stopped, err);
    if (r < 0)
        return r;
    if (stopped)
        return stopped;
    if (x->reused)
        t3d_info("%zu of %zu items are those of an earlier run", x->reused, x->matches.n);
    print_summary(x);
    t3d_info("%zu items, %llu failed: %s", x->matches.n,
             (unsigned long long)t3d_report_failed(x->report), x->output);
    return t3d_report_failed(x->report) ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}

static int setup(struct run *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_pair_options *o = &x->options;
    int r;

    if (!c->pred || !c->ref)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "name what to compare: --pred PATH --ref PATH, or --compare A.json "
                           "B.json");
    if (c->points < 1 || c->points > MAX_POINTS)
        return t3d_err_set(err, T3D_USAGE, "usage", "--points is 1 to %d", MAX_POINTS);
    if (c->emd_points < 1 || c->emd_points > T3D_MAX_EMD_POINTS || c->emd_points > c->points)
        return t3d_err_set(err, T3D_USAGE, "usage", "--emd-points is 1 to %u and at most --points",
                           T3D_MAX_EMD_POINTS);
    if (c->resolution < 16 || c->resolution > 4096)
        return t3d_err_set(err, T3D_USAGE, "usage", "--resolution is 16 to 4096");
    r = t3d_metrics_choose(&o->choice, c->metrics.item, c->metrics.n, err);
    o->frame = (enum t3d_frame_kind)t3d_frame_find(c->normalize);
    o->frame_name = c->normalize;
    o->n_points = (uint32_t)c->points;
    o->n_emd_points = (uint32_t)c->emd_points;
    o->emd_floor = c->emd_floor;
    o->resolution = (uint32_t)c->resolution;
    o->seed = c->common.seed;
    x->output = c->output ? c->output : "results.json";
    if (r == T3D_OK)
        r = t3d_match(&x->matches, c->pred, c->ref, &x->arena, err);
    if (r < 0)
        return r;
    /* Few pairs: threads share the work of one. */
    x->threads = (int)T3D_MIN((size_t)importer_threads, x->matches.n);
    o->threads = importer_threads / T3D_MAX(x->threads, 1);
    return T3D_OK;
}

static int evaluate(struct run *x, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next, .work = work, .emit = emit, .drop = drop};
    int r = t3d_report_new(&x->report, "evaluate", command_line, x->conf->common.seed, err);

    if (r == T3D_OK)
        r = set_params(x, err);
    if (r == T3D_OK)
        r = read_before(x, err);
    for (int i = 0; r == T3D_OK && i < t3d_n_metrics_absent; i++)
        if (x->options.choice.absent[i])
            t3d_report_absent(x->report, t3d_metrics_absent[i].id,
                              t3d_metrics_absent[i].target_text, t3d_metrics_absent[i].reason);
    x->progress = t3d_progress_new(x->conf->common.progress, "evaluate", "items", x->matches.n);
    x->written_s = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_pipe_run(&ops, x, x->threads, 0, err);
    t3d_progress_free(x->progress);
    return r == T3D_OK ? finish(x, err) : r;
}

static int compare(const struct conf *c, struct t3d_err *err)
{
    cJSON *a = NULL, *b = NULL, *out = NULL;
    char *text;
    int r;

    if (c->compare.n != 2)
        return t3d_err_set(err, T3D_USAGE, "usage", "--compare takes two reports: A.json B.json");
    r = t3d_report_read(&a, c->compare.item[0], err);
    if (r == T3D_OK)
        r = t3d_report_read(&b, c->compare.item[1], err);
    if (r == T3D_OK)
        r = t3d_report_compare(&out, a, b, c->common.seed, err);
    if (r == T3D_OK && c->output) {
        text = t3d_json_text(out, 0);
        r = text ? t3d_write_file(c->output, text, strlen(text), err)
                 : t3d_err_nomem(err, "the comparison");
        free(text);
    } else if (r == T3D_OK) {
        r = t3d_emit(out, err);
    }
    cJSON_Delete(a);
    cJSON_Delete(b);
    cJSON_Delete(out);
    return r == T3D_SKIP ? t3d_err_set(err, T3D_FAIL, err->reason, "%s", strdupa(err->msg)) : r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct run x = {.conf = c};
    int r;

    if (!t3d_opt_given(&c->common, "emd-points"))
        c->emd_points = T3D_MIN(c->emd_points, c->points);
    if (x.conf->compare.n) {
        r = compare(conf, err);
    } else {
        r = setup(&x, err);
        if (r == T3D_OK && x.conf->common.dry_run)
            t3d_info("%zu items to compare", x.matches.n);
        else if (r == T3D_OK)
            r = evaluate(&x, err);
    }
    t3d_report_free(x.report);
    cJSON_Delete(x.before);
    t3d_arena_free(&x.arena);
    t3d_importer_close(importer);
    free(command_line);
    return r;
}

static const struct t3d_command command = {
    .summary = "measure generated objects or pictures beside references",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static int before(int threads, struct t3d_err *err)
{
    importer_threads = threads;
    return t3d_importer_open(&importer, threads, NULL, err);
}

static const struct t3d_tool tool = {
    .name = "evaluate",
    .summary = "measure generated objects or pictures beside references",
    .about =
        "Two files, or two folders whose files are matched by their names without endings. Meshes "
        "are sampled (--points), point clouds (.ply without faces, .npy of shape (n, 3)) are used "
        "as given, pictures go over white. Where a folder has 3D files its pictures are textures "
        "and no items.\n\n"
        "Every number stands under its full name: family, dialect, frame, points, as in "
        "chamfer:cd-l1:ref-bbox1:n100000. The report has a row for each item, ok, fail or missing "
        "with the reason, and a summary: mean, 95 % interval (bootstrap over items), n, failed, "
        "the noise floor of a perfect prediction where it is known, and the target of that one "
        "name that has one. With failed items the exit status is 3.\n\n"
        "The same command again takes from the report what is there of unchanged files and "
        "settings; --redo measures anew.\n\n"
        "--compare tests two reports over the items that both have: difference, interval, "
        "sign-flip permutation test (Holm over the metrics) and effect size. Reports with other "
        "metric names are refused.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    size_t size = 0;
    FILE *f = open_memstream(&command_line, &size);

    for (int i = 0; f && i < argc; i++)
        fprintf(f, "%s%s", i ? " " : "", i ? argv[i] : "t3d evaluate");
    if (f)
        fclose(f);
    return t3d_tool_main(&tool, argc, argv);
}
