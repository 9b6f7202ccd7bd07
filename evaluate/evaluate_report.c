/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "evaluate/evaluate.h"
#include "metric/file_hash.h"

enum { FORMAT_VERSION = 4 };

/* Names of the chosen metrics that need this network, -1 = none. */
static cJSON *names_of(const struct t3d_metric_choice *c, int network)
{
    cJSON *names = cJSON_CreateArray();

    for (int i = 0; i < t3d_n_metrics; i++) {
        char name[T3D_METRIC_ID_SIZE];

        if (!c->on[i] || t3d_network_of(&t3d_metrics[i]) != network)
            continue;
        t3d_metric_name(name, &t3d_metrics[i]);
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    }
    return names;
}

/* Of its text with sorted keys. */
static int hash_json(char hex[65], const cJSON *o, struct t3d_err *err)
{
    char *text = t3d_json_text(o, 1);

    if (!text)
        return t3d_err_nomem(err, "the settings");
    t3d_sha256_hex(text, strlen(text), hex);
    free(text);
    return T3D_OK;
}

/* Network k, if it is in use: its hash, and into the settings what it is. */
static int set_network(struct evaluate_run *x, int k, cJSON *settings, cJSON *all,
                       struct t3d_err *err)
{
    cJSON *o = cJSON_CreateObject(), *names = names_of(&x->options.choice, k), *name;
    int r = T3D_OK;

    cJSON_ArrayForEach (name, names)
        cJSON_AddItemToArray(all, cJSON_CreateString(name->valuestring));
    t3d_networks_describe(x->networks, k, settings);
    t3d_networks_describe(x->networks, k, o);
    if (names && names->child) {
        t3d_json_set(o, "metrics", names);
        r = hash_json(x->network[k], o, err);
    } else {
        cJSON_Delete(names);
    }
    cJSON_Delete(o);
    return r;
}

/* Everything but the files on which values depend; the same goes into the report. */
static int set_params(struct evaluate_run *x, struct t3d_err *err)
{
    cJSON *s = t3d_report_settings(x->report), *names = names_of(&x->options.choice, -1);
    int r;

    t3d_json_set(s, "metrics", cJSON_CreateNull()); /* its place; has hashes of its own */
    t3d_json_set_str(s, "normalize", x->conf->normalize);
    t3d_json_set_num(s, "points", (double)x->conf->points);
    t3d_json_set_num(s, "emd_points", (double)x->conf->emd_points);
    t3d_json_set_bool(s, "emd_floor", x->conf->emd_floor);
    t3d_json_set_num(s, "resolution", (double)x->conf->resolution);
    evaluate_made_describe(x, s);
    t3d_json_set_num(s, "format", FORMAT_VERSION);
    t3d_json_set_num(s, "seed", (double)x->conf->common.seed);
    r = hash_json(x->params, s, err);
    if (r == T3D_OK)
        r = hash_json(x->names, names, err);
    for (int k = 0; k < T3D_NETWORKS && r == T3D_OK; k++)
        r = set_network(x, k, s, names, err);
    t3d_json_set(s, "metrics", names);
    return r;
}

/* A row stands for its files and settings, except that the machine may have been busy. */
static int may_stand(const cJSON *item)
{
    return t3d_json_str(item, "key", NULL) &&
           strncmp(t3d_json_str(item, "reason", ""), "parser-", 7) != 0;
}

/* Items of the report that is there, by their uids. */
static int read_before(struct evaluate_run *x, struct t3d_err *err)
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
            !cJSON_AddItemToObject(x->before, t3d_json_str(item, "uid", ""), item))
            cJSON_Delete(item);
    }
    cJSON_Delete(old);
    return T3D_OK;
}

/* What was asked for and cannot be had; and the one CLIP score that has a target. */
static void add_absent(struct evaluate_run *x)
{
    static const char target_clip[] = "clip-vit-b32";
    const char *clip = t3d_networks_clip(x->networks);
    char id[T3D_METRIC_ID_SIZE];

    for (int i = 0; i < t3d_n_metrics; i++) {
        const struct t3d_metric *m = &t3d_metrics[i];
        if (!x->reason[i][0])
            continue;
        t3d_metric_name(id, m);
        if (x->lost.on[i])
            t3d_report_lost(x->report, id, m->target_text, x->reason[i]);
        else
            t3d_report_absent(x->report, id, m->target_text, x->reason[i]);
    }
    for (int i = 0; i < t3d_n_metrics && clip; i++) {
        const struct t3d_metric *m = &t3d_metrics[i];
        if (!x->options.choice.on[i] || m->kind != T3D_METRIC_CLIP || isnan(m->target) ||
            strcmp(clip, target_clip) == 0)
            continue;
        snprintf(id, sizeof id, "%s:%s:%s", m->family, m->dialect, target_clip);
        t3d_report_absent(x->report, id, m->target_text,
                          "the target is for this model: t3d fetch weights clip-vit-b32, then "
                          "--clip clip-vit-b32");
    }
}

int evaluate_begin(struct evaluate_run *x, struct t3d_err *err)
{
    int r = t3d_report_new(&x->report, "evaluate", x->command_line, x->conf->common.seed, err);

    if (r == T3D_OK)
        r = set_params(x, err);
    if (r == T3D_OK)
        r = read_before(x, err);
    if (r == T3D_OK)
        add_absent(x);
    return r;
}

static int add_inputs(struct evaluate_run *x, struct t3d_err *err)
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
            int known;
            if (!path)
                continue;
            known = k ? evaluate_ref_hash(file, x, i, 0, &ignored)
                      : t3d_file_hash(file, x->importer, 0, path, &ignored);
            if (known < 0)
                continue;
            t3d_sha256_add_str(h, m->uid);
            t3d_sha256_add_str(h, file);
        }
        t3d_sha256_end(h, hex);
        t3d_report_input(x->report, side[k], hex);
    }
    return T3D_OK;
}

static void print_summary(const struct evaluate_run *x)
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

/* What is known only now, or is of the run and no item's. */
static int add_run(struct evaluate_run *x, struct t3d_err *err)
{
    for (int i = 0; i < t3d_n_metrics && !x->warped; i++) {
        const struct t3d_metric *m = &t3d_metrics[i];
        char id[T3D_METRIC_ID_SIZE];
        if (!x->options.choice.on[i] || m->kind != T3D_METRIC_WARP)
            continue;
        t3d_metric_name(id, m);
        t3d_report_absent(x->report, id, m->target_text, EVALUATE_NO_SPLATS);
    }
    return evaluate_made_cost(x, err);
}

int evaluate_finish(struct evaluate_run *x, struct t3d_err *err)
{
    int stopped = t3d_stop_requested(), r;

    r = stopped ? T3D_OK : add_inputs(x, err);
    if (r == T3D_OK && !stopped)
        r = add_run(x, err);
    if (r == T3D_OK)
        r = t3d_report_write(x->report, x->output, !stopped, err);
    if (r < 0)
        return r;
    if (stopped)
        return stopped;
    if (x->reused)
        t3d_info("%zu of %zu items are those of an earlier run", x->reused, x->matches.n);
    if (x->in_part)
        t3d_info("%zu of %zu items are in part those of an earlier run", x->in_part, x->matches.n);
    print_summary(x);
    t3d_info("%zu items, %llu failed: %s", x->matches.n,
             (unsigned long long)t3d_report_failed(x->report), x->output);
    return t3d_report_failed(x->report) ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}

int evaluate_compare(const struct evaluate_conf *c, struct t3d_err *err)
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
