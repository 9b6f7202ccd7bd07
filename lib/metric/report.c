/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/report.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/isa.h"
#include "base/json.h"
#include "base/tool.h"
#include "base/version.h"
#include "metric/stats.h"

enum { SCHEMA = 1 };
#define MAX_BYTES (1u << 30)

struct t3d_report {
    cJSON *root, *settings, *inputs, *items, *known,
        *absent; /* known, absent: by ID; not in root */
    cJSON *summary;
    uint64_t seed, failed;
};

/* --- what was measured where --- */

/* "model name" of the first processor; "" when the system does not tell. */
static void cpu_name(char *out, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[256];

    out[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

static cJSON *machine(void)
{
    static const char *const isa[] = {"portable", "avx2", "avx512"};
    cJSON *o = cJSON_CreateObject();
    char cpu[128];

    cpu_name(cpu, sizeof cpu);
    t3d_json_set_str(o, "cpu", cpu);
    t3d_json_set_num(o, "processors", t3d_cpu_count());
    t3d_json_set_str(o, "isa", isa[t3d_isa()]);
    t3d_json_set_str(o, "compiler", t3d_compiler());
    return o;
}

int t3d_report_new(struct t3d_report **out, const char *tool, const char *command, uint64_t seed,
                   struct t3d_err *err)
{
    struct t3d_report *r = calloc(1, sizeof *r);

    if (!r || !(r->root = cJSON_CreateObject())) {
        t3d_report_free(r);
        return t3d_err_nomem(err, "the report");
    }
    r->seed = seed;
    r->known = cJSON_CreateObject();
    r->absent = cJSON_CreateObject();
    t3d_json_set_num(r->root, "schema", SCHEMA);
    t3d_json_set_str(r->root, "tool", tool);
    t3d_json_set_str(r->root, "version", T3D_VERSION);
    t3d_json_set_str(r->root, "command", command);
    t3d_json_set_num(r->root, "seed", (double)seed);
    r->inputs = cJSON_AddObjectToObject(r->root, "inputs");
    t3d_json_set(r->root, "machine", machine());
    r->settings = cJSON_AddObjectToObject(r->root, "settings");
    t3d_json_set_bool(r->root, "complete", 0);
    r->items = cJSON_AddArrayToObject(r->root, "items");
    if (!r->known || !r->absent || !r->inputs || !r->settings || !r->items) {
        t3d_report_free(r);
        return t3d_err_nomem(err, "the report");
    }
    *out = r;
    return T3D_OK;
}

void t3d_report_free(struct t3d_report *r)
{
    if (!r)
        return;
    cJSON_Delete(r->root);
    cJSON_Delete(r->known);
    cJSON_Delete(r->absent);
    free(r);
}

cJSON *t3d_report_settings(struct t3d_report *r)
{
    return r->settings;
}

void t3d_report_input(struct t3d_report *r, const char *name, const char *sha256)
{
    t3d_json_set_str(r->inputs, name, sha256);
}

void t3d_report_metric(struct t3d_report *r, const char *id, enum t3d_better better, double target,
                       const char *target_text)
{
    cJSON *o;

    if (cJSON_GetObjectItemCaseSensitive(r->known, id))
        return;
    o = cJSON_AddObjectToObject(r->known, id);
    t3d_json_set_str(o, "better", better == T3D_LOWER ? "lower" : "higher");
    if (!isnan(target)) {
        t3d_json_set_num(o, "bound", target);
        t3d_json_set_str(o, "target", target_text);
    }
}

void t3d_report_value(struct t3d_report *r, const char *id, enum t3d_better better, double value,
                      size_t n, double target, const char *target_text)
{
    cJSON *o;

    t3d_report_metric(r, id, better, target, target_text);
    o = cJSON_GetObjectItemCaseSensitive(r->known, id);
    t3d_json_set_num(o, "value", value);
    t3d_json_set_num(o, "n", (double)n);
}

void t3d_report_absent(struct t3d_report *r, const char *id, const char *target_text,
                       const char *reason)
{
    cJSON *o = cJSON_AddObjectToObject(r->absent, id);

    t3d_json_set(o, "mean", cJSON_CreateNull());
    t3d_json_set_num(o, "n", 0);
    t3d_json_set_str(o, "target", target_text ? target_text : "n/a");
    t3d_json_set_str(o, "pass", "n/a");
    t3d_json_set_str(o, "reason", reason);
}

void t3d_report_lost(struct t3d_report *r, const char *id, const char *target_text,
                     const char *reason)
{
    t3d_report_absent(r, id, target_text, reason);
    t3d_json_set_num(cJSON_GetObjectItemCaseSensitive(r->absent, id), "failed", 0);
}

int t3d_report_add(struct t3d_report *r, cJSON *item, struct t3d_err *err)
{
    const char *status = t3d_json_str(item, "status", "fail");

    if (!item || !cJSON_AddItemToArray(r->items, item)) {
        cJSON_Delete(item);
        return t3d_err_nomem(err, "the report");
    }
    r->failed += strcmp(status, "ok") != 0;
    return T3D_OK;
}

const cJSON *t3d_report_items(const struct t3d_report *r)
{
    return r->items;
}

uint64_t t3d_report_failed(const struct t3d_report *r)
{
    return r->failed;
}

/* --- the summary --- */

/* Items of all groups are those of group NULL. */
static int in_group(const cJSON *item, const char *group)
{
    return !group || strcmp(t3d_json_str(item, "group", ""), group) == 0;
}

/* Values of an ID over the items, floors apart; returns how many. */
static size_t collect(const cJSON *items, const char *group, const char *id, const char *member,
                      double *v)
{
    const cJSON *item, *x;
    size_t n = 0;

    cJSON_ArrayForEach (item, items) {
        x = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(item, member), id);
        if (cJSON_IsNumber(x) && in_group(item, group))
            v[n++] = x->valuedouble;
    }
    return n;
}

static int has_failed(const cJSON *item, const char *id)
{
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(item, "metrics"), *name,
                *failed = cJSON_GetObjectItemCaseSensitive(item, "failed");

    if (strcmp(t3d_json_str(item, "status", "fail"), "ok") == 0 ||
        cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(metrics, id)))
        return 0;
    cJSON_ArrayForEach (name, failed) {
        if (t3d_metric_named(id, name->string))
            return 1;
    }
    return !failed;
}

static uint64_t count_failed(const cJSON *items, const char *group, const char *id)
{
    const cJSON *item;
    uint64_t n = 0;

    cJSON_ArrayForEach (item, items)
        n += in_group(item, group) && has_failed(item, id);
    return n;
}

static cJSON *interval(const double ci[2])
{
    cJSON *o = cJSON_CreateArray();

    for (int i = 0; i < 2; i++)
        cJSON_AddItemToArray(o, isfinite(ci[i]) ? cJSON_CreateNumber(ci[i]) : cJSON_CreateNull());
    return o;
}

static void add_target(cJSON *o, const cJSON *known, double mean)
{
    const char *target = t3d_json_str(known, "target", NULL);
    double bound = t3d_json_num(known, "bound", NAN);
    int lower = strcmp(t3d_json_str(known, "better", "lower"), "lower") == 0;

    t3d_json_set_str(o, "target", target ? target : "n/a");
    if (target && isfinite(mean))
        t3d_json_set_bool(o, "pass", lower ? mean < bound : mean > bound);
    else
        t3d_json_set_str(o, "pass", "n/a");
}

static int summarise(const struct t3d_report *r, cJSON *into, const char *group, const cJSON *known,
                     double *v, struct t3d_err *err)
{
    const char *id = known->string;
    size_t n = collect(r->items, group, id, "metrics", v), floors;
    cJSON *o = cJSON_AddObjectToObject(into, id);
    double mean, ci[2], floor = 0;
    int status = t3d_stats_mean(v, n, r->seed, id, &mean, ci, err);

    if (status < 0)
        return status;
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(known, "value"))) {
        mean = t3d_json_num(known, "value", NAN);
        n = (size_t)t3d_json_num(known, "n", 0);
        t3d_json_set_str(o, "scope", "run");
    }
    t3d_json_set_num(o, "mean", mean);
    t3d_json_set(o, "ci95", interval(ci));
    t3d_json_set_num(o, "n", (double)n);
    t3d_json_set_num(o, "failed", (double)count_failed(r->items, group, id));
    floors = collect(r->items, group, id, "floors", v);
    for (size_t i = 0; i < floors; i++)
        floor += v[i] / (double)floors;
    if (floors)
        t3d_json_set_num(o, "floor", floor);
    t3d_json_set_str(o, "better", t3d_json_str(known, "better", "lower"));
    add_target(o, known, mean);
    return T3D_OK;
}

/* The known metrics of the items of a group, or of all. */
static int summarise_group(const struct t3d_report *r, cJSON *into, const char *group, double *v,
                           struct t3d_err *err)
{
    const cJSON *known;
    int status = into ? T3D_OK : t3d_err_nomem(err, "the summary");

    cJSON_ArrayForEach (known, r->known) {
        if (status == T3D_OK)
            status = summarise(r, into, group, known, v, err);
    }
    return status;
}

static int add_groups(struct t3d_report *r, double *v, struct t3d_err *err)
{
    cJSON *groups = NULL;
    const cJSON *item;
    int status = T3D_OK;

    cJSON_DeleteItemFromObjectCaseSensitive(r->root, "groups");
    cJSON_ArrayForEach (item, r->items) {
        const char *group = t3d_json_str(item, "group", NULL);

        if (!group || status < 0 || cJSON_GetObjectItemCaseSensitive(groups, group))
            continue;
        groups = groups ? groups : cJSON_AddObjectToObject(r->root, "groups");
        status = summarise_group(r, cJSON_AddObjectToObject(groups, group), group, v, err);
    }
    return status;
}

static int add_summary(struct t3d_report *r, struct t3d_err *err)
{
    size_t n = (size_t)cJSON_GetArraySize(r->items);
    double *v = malloc((n ? n : 1) * sizeof *v);
    cJSON *known, *copy;
    int status = v ? T3D_OK : t3d_err_nomem(err, "the summary");

    cJSON_DeleteItemFromObjectCaseSensitive(r->root, "summary");
    r->summary = cJSON_AddObjectToObject(r->root, "summary");
    if (status == T3D_OK)
        status = summarise_group(r, r->summary, NULL, v, err);
    if (status == T3D_OK)
        status = add_groups(r, v, err);
    cJSON_ArrayForEach (known, r->absent) {
        copy = cJSON_Duplicate(known, 1);
        if (cJSON_GetObjectItemCaseSensitive(copy, "failed"))
            t3d_json_set_num(copy, "failed", (double)count_failed(r->items, NULL, known->string));
        t3d_json_set(r->summary, known->string, copy);
    }
    free(v);
    return status;
}

int t3d_report_write(struct t3d_report *r, const char *path, int complete, struct t3d_err *err)
{
    int status = complete ? add_summary(r, err) : T3D_OK;
    char *text;

    if (status < 0)
        return status;
    t3d_json_set_bool(r->root, "complete", complete);
    text = t3d_json_text(r->root, 0);
    if (!text)
        return t3d_err_nomem(err, "the report");
    status = t3d_make_parent(path, err);
    if (status == T3D_OK)
        status = t3d_write_file(path, text, strlen(text), err);
    free(text);
    return status;
}

const cJSON *t3d_report_summary(const struct t3d_report *r)
{
    return r->summary;
}

/* --- reading and comparing --- */

int t3d_report_read(cJSON **out, const char *path, struct t3d_err *err)
{
    int r = t3d_json_read(out, path, MAX_BYTES, err);

    if (r < 0)
        return r;
    if (t3d_json_num(*out, "schema", 0) == SCHEMA &&
        cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*out, "items")))
        return T3D_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return t3d_err_set(err, T3D_SKIP, "not-a-report", "'%s' is no report of schema %d", path,
                       SCHEMA);
}

/* IDs of the summary that have values. */
static int has_values(const cJSON *o)
{
    return t3d_json_num(o, "n", 0) > 0;
}

static int check_same(const cJSON *a, const cJSON *b, const char *name_a, const char *name_b,
                      struct t3d_err *err)
{
    const cJSON *id;

    cJSON_ArrayForEach (id, a) {
        if (has_values(id) && !has_values(cJSON_GetObjectItemCaseSensitive(b, id->string)))
            return t3d_err_set(err, T3D_SKIP, "not-comparable",
                               "%s has %s, %s has not: metrics compare only under the same full "
                               "name",
                               name_a, id->string, name_b);
    }
    return T3D_OK;
}

struct pairs {
    const cJSON **a, **b; /* items of the same uid */
    size_t n;
};

static int by_uid(const void *a, const void *b)
{
    return strcmp(t3d_json_str(*(const cJSON *const *)a, "uid", ""),
                  t3d_json_str(*(const cJSON *const *)b, "uid", ""));
}

static const cJSON **sorted_items(const cJSON *items, size_t *n)
{
    const cJSON *item, **v;

    *n = (size_t)cJSON_GetArraySize(items);
    v = malloc((*n ? *n : 1) * sizeof *v);
    if (!v)
        return NULL;
    *n = 0;
    cJSON_ArrayForEach (item, items)
        v[(*n)++] = item;
    qsort(v, *n, sizeof *v, by_uid);
    return v;
}

static int pair_items(struct pairs *p, const cJSON *a, const cJSON *b, struct t3d_err *err)
{
    size_t n_a, n_b, i = 0, j = 0;

    p->n = 0;
    p->a = sorted_items(a, &n_a);
    p->b = sorted_items(b, &n_b);
    if (!p->a || !p->b)
        return t3d_err_nomem(err, "the comparison");
    while (i < n_a && j < n_b) {
        int order = by_uid(&p->a[i], &p->b[j]);
        if (order == 0) {
            p->a[p->n] = p->a[i];
            p->b[p->n++] = p->b[j];
        }
        i += order <= 0;
        j += order >= 0;
    }
    return T3D_OK;
}

static double value_of(const cJSON *item, const char *id)
{
    return t3d_json_num(cJSON_GetObjectItemCaseSensitive(item, "metrics"), id, NAN);
}

static int compare_id(cJSON *out, const struct pairs *p, const cJSON *known, const cJSON *other,
                      uint64_t seed, double *v, struct t3d_err *err)
{
    double *w = v + p->n, a = 0, b = 0;
    int lower = strcmp(t3d_json_str(known, "better", "lower"), "lower") == 0, r;
    cJSON *o = cJSON_AddObjectToObject(out, known->string);
    struct t3d_paired t;
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        v[n] = value_of(p->a[i], known->string);
        w[n] = value_of(p->b[i], known->string);
        n += isfinite(v[n]) && isfinite(w[n]);
    }
    r = t3d_stats_paired(&t, v, w, n, seed, known->string, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        a += v[i] / (double)n;
        b += w[i] / (double)n;
    }
    if (n == 0) {
        int run = strcmp(t3d_json_str(known, "scope", ""), "run") == 0;
        a = run ? t3d_json_num(known, "mean", NAN) : NAN;
        b = run ? t3d_json_num(other, "mean", NAN) : NAN;
        t.mean = b - a;
    }
    t3d_json_set_num(o, "n", (double)n);
    t3d_json_set_num(o, "mean_a", a);
    t3d_json_set_num(o, "mean_b", b);
    t3d_json_set_num(o, "difference", t.mean);
    t3d_json_set(o, "ci95", interval(t.ci95));
    t3d_json_set_num(o, "p", t.p);
    t3d_json_set_num(o, "effect", t.effect);
    t3d_json_set_num(o, "wins", (double)(lower ? t.losses : t.wins));
    t3d_json_set_num(o, "losses", (double)(lower ? t.wins : t.losses));
    return T3D_OK;
}

/* Holm, "A simple sequentially rejective multiple test procedure", 1979: the k-th smallest of m
 * p-values times m - k, never falling. And which run is better, where that is significant. */
static void correct(cJSON *metrics, const cJSON *known)
{
    int m = 0;
    double floor = 0;
    cJSON *o;

    cJSON_ArrayForEach (o, metrics)
        m += isfinite(t3d_json_num(o, "p", NAN));
    for (int k = 0; k < m; k++) {
        cJSON *least = NULL;
        double p = INFINITY;
        cJSON_ArrayForEach (o, metrics) {
            double q = t3d_json_num(o, "p", NAN);
            if (isfinite(q) && !cJSON_GetObjectItemCaseSensitive(o, "p_holm") && q < p) {
                p = q;
                least = o;
            }
        }
        floor = fmax(floor, fmin(1, p * (m - k)));
        t3d_json_set_num(least, "p_holm", floor);
    }
    cJSON_ArrayForEach (o, metrics) {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(known, o->string);
        int lower = strcmp(t3d_json_str(id, "better", "lower"), "lower") == 0;
        double p = t3d_json_num(o, "p_holm", 1), d = t3d_json_num(o, "difference", 0);
        t3d_json_set_str(o, "better", p >= .05 || d == 0 ? "none" : (d < 0) == lower ? "b" : "a");
    }
}

int t3d_report_compare(cJSON **out, const cJSON *a, const cJSON *b, uint64_t seed,
                       struct t3d_err *err)
{
    const cJSON *sa = cJSON_GetObjectItemCaseSensitive(a, "summary"),
                *sb = cJSON_GetObjectItemCaseSensitive(b, "summary"), *id;
    struct pairs p = {0};
    cJSON *root, *metrics;
    double *v = NULL;
    int r = check_same(sa, sb, "the first", "the second", err);

    if (r == T3D_OK)
        r = check_same(sb, sa, "the second", "the first", err);
    if (r == T3D_OK && (!sa || !sb))
        r = t3d_err_set(err, T3D_SKIP, "not-comparable",
                        "a report is not complete: run its command again to finish it");
    if (r == T3D_OK)
        r = pair_items(&p, cJSON_GetObjectItemCaseSensitive(a, "items"),
                       cJSON_GetObjectItemCaseSensitive(b, "items"), err);
    if (r == T3D_OK && p.n == 0)
        r = t3d_err_set(err, T3D_SKIP, "not-comparable", "the reports have no object in common");
    if (r == T3D_OK && !(v = malloc(2 * p.n * sizeof *v)))
        r = t3d_err_nomem(err, "the comparison");
    root = cJSON_CreateObject();
    t3d_json_set_num(root, "n_common", (double)p.n);
    metrics = cJSON_AddObjectToObject(root, "metrics");
    cJSON_ArrayForEach (id, sa) {
        if (r == T3D_OK && has_values(id))
            r = compare_id(metrics, &p, id, cJSON_GetObjectItemCaseSensitive(sb, id->string), seed,
                           v, err);
    }
    if (r == T3D_OK && !metrics->child)
        r = t3d_err_set(err, T3D_SKIP, "not-comparable",
                        "the reports have no metric with values: nothing can be compared");
    if (r == T3D_OK)
        correct(metrics, sa);
    free(p.a);
    free(p.b);
    free(v);
    if (r == T3D_OK)
        *out = root;
    else
        cJSON_Delete(root);
    return r;
}
