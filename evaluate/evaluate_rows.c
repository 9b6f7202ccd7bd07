/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the report: what stands of an earlier run's, and what a new one says.
 *
 * A row has a key for all that needs no network, and one for each network: when one of them is new,
 * or its weights are mended, only what it says is measured. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "evaluate/evaluate.h"
#include "metric/file_hash.h"

int evaluate_metric_of(const char *id)
{
    for (int i = 0; i < t3d_n_metrics; i++) {
        char name[T3D_METRIC_ID_SIZE];

        t3d_metric_name(name, &t3d_metrics[i]);
        if (t3d_metric_named(id, name))
            return i;
    }
    return -1;
}

static const char *caption_of(const struct evaluate_run *x, const struct evaluate_item *item)
{
    return x->caption[item->match - x->matches.match];
}

/* --- keys --- */

static int hash_two(char hex[65], const char *a, const char *b, struct t3d_err *err)
{
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    t3d_sha256_add_str(h, a);
    t3d_sha256_add_str(h, b);
    t3d_sha256_end(h, hex);
    return T3D_OK;
}

/* Files, caption and settings. */
static int hash_subject(char hex[65], const struct evaluate_run *x,
                        const struct evaluate_item *item, int thread, struct t3d_err *err)
{
    char pred[65], ref[65];
    struct t3d_sha256 *h;
    size_t i = (size_t)(item->match - x->matches.match);
    int r = t3d_file_hash(pred, x->importer, thread, item->match->pred, err);

    if (r == T3D_OK)
        r = evaluate_ref_hash(ref, x, i, thread, err);
    if (r == T3D_OK)
        r = t3d_sha256_new(&h, err);
    if (r < 0)
        return r;
    t3d_sha256_add_str(h, x->params);
    t3d_sha256_add_str(h, item->match->uid);
    t3d_sha256_add_str(h, pred);
    t3d_sha256_add_str(h, ref);
    t3d_sha256_add_str(h, caption_of(x, item) ? caption_of(x, item) : "");
    t3d_sha256_end(h, hex);
    return T3D_OK;
}

static int make_keys(const struct evaluate_run *x, struct evaluate_item *item, int thread,
                     struct t3d_err *err)
{
    char subject[65];
    int r = hash_subject(subject, x, item, thread, err);

    if (r == T3D_OK)
        r = hash_two(item->key, subject, x->names, err);
    for (int k = 0; k < T3D_NETWORKS && r == T3D_OK; k++)
        if (x->network[k][0])
            r = hash_two(item->network_key[k], subject, x->network[k], err);
    return r;
}

/* --- what an earlier run knows --- */

static int same(const cJSON *o, const char *name, const char *key)
{
    return key[0] && strcmp(t3d_json_str(o, name, ""), key) == 0;
}

static int stands(const struct evaluate_item *item, int metric)
{
    const cJSON *networks = cJSON_GetObjectItemCaseSensitive(item->old, "networks");
    int k = t3d_network_of(&t3d_metrics[metric]);

    if (same(item->old, "key", item->key) &&
        (k < 0 || t3d_json_num(item->old, "pictures", 1) == 0)) /* networks look at pictures */
        return 1;
    return k >= 0 && same(networks, t3d_network_name[k], item->network_key[k]);
}

int evaluate_row_begin(const struct evaluate_run *x, struct evaluate_item *item, int thread,
                       struct t3d_err *err)
{
    int r = make_keys(x, item, thread, err), left = 0, found = 0;

    if (r < 0)
        return r;
    item->choice = x->options.choice;
    item->old = cJSON_GetObjectItemCaseSensitive(x->before, item->match->uid);
    if (!cJSON_GetObjectItemCaseSensitive(item->old, "metrics")) { /* nothing could be measured */
        if (same(item->old, "key", item->key) && !(item->json = cJSON_Duplicate(item->old, 1)))
            return t3d_err_nomem(err, item->match->uid);
        item->old = NULL;
        item->reused = item->json != NULL;
        return item->reused ? T3D_END : T3D_OK;
    }
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (item->choice.on[i] && stands(item, i)) {
            item->choice.on[i] = 0;
            found = 1;
        }
        left |= item->choice.on[i];
    }
    if (!found && !same(item->old, "key", item->key))
        item->old = NULL;
    if (left || !item->old)
        return T3D_OK;
    item->n_pictures = (int)t3d_json_num(item->old, "pictures", 0);
    item->reused = 1;
    return T3D_END;
}

/* --- a new row --- */

/* Is the metric one that this run has not measured and the earlier one has? */
static int is_recalled(const struct evaluate_run *x, const struct evaluate_item *item, int metric)
{
    return metric >= 0 && item->old && x->options.choice.on[metric] && !item->choice.on[metric];
}

static void recall(struct evaluate_item *item, const struct evaluate_run *x)
{
    const cJSON *v, *floors = cJSON_GetObjectItemCaseSensitive(item->old, "floors");
    struct t3d_pair_result *out = &item->result;

    cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(item->old, "metrics")) {
        int i = evaluate_metric_of(v->string);

        if (!is_recalled(x, item, i))
            continue;
        snprintf(out->id[i], sizeof out->id[i], "%s", v->string);
        out->value[i] = cJSON_IsNumber(v) ? v->valuedouble : NAN;
        out->floor[i] = t3d_json_num(floors, v->string, NAN);
    }
    cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(item->old, "notes")) {
        int i = evaluate_metric_of(v->string);

        if (!is_recalled(x, item, i))
            continue;
        snprintf(out->id[i], sizeof out->id[i], "%s", v->string);
        snprintf(out->note[i], sizeof out->note[i], "%s", v->valuestring ? v->valuestring : "");
    }
}

/* Has the item the pictures, and the caption, that the metric looks at? */
static int applies(const struct evaluate_run *x, const struct evaluate_item *item, int metric)
{
    switch (t3d_metrics[metric].kind) {
    case T3D_METRIC_CLIP:
    case T3D_METRIC_RANK:
        return item->n_pictures > 0 && caption_of(x, item);
    case T3D_METRIC_OPPOSITE:
        return item->n_pictures == EVALUATE_VIEWS;
    default:
        return item->n_pictures > 0;
    }
}

/* Why the metric has no value though it was asked for; NULL = it need not have one. */
static cJSON *why_failed(const struct evaluate_run *x, const struct evaluate_item *item, int metric,
                         const char *name)
{
    int k = t3d_network_of(&t3d_metrics[metric]);
    const struct t3d_err *why = NULL;
    cJSON *o;

    if (k < 0)
        return NULL;
    if (is_recalled(x, item, metric))
        return cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(
                                   cJSON_GetObjectItemCaseSensitive(item->old, "failed"), name),
                               1);
    if (x->lost.on[metric] && applies(x, item, metric))
        why = t3d_networks_failed(x->networks, k);
    else if (item->choice.on[metric] && item->network_err[k].code != T3D_OK)
        why = &item->network_err[k];
    if (!why)
        return NULL;
    o = cJSON_CreateObject();
    t3d_json_set_str(o, "reason", why->reason);
    t3d_json_set_str(o, "message", why->msg);
    return o;
}

/* {"lpips:vgg": {"reason", "message"}}; NULL = none. */
static cJSON *failures(const struct evaluate_run *x, const struct evaluate_item *item)
{
    cJSON *all = NULL, *why;

    for (int i = 0; i < t3d_n_metrics; i++) {
        char name[T3D_METRIC_ID_SIZE];

        t3d_metric_name(name, &t3d_metrics[i]);
        why = why_failed(x, item, i, name);
        if (!why)
            continue;
        all = all ? all : cJSON_CreateObject();
        t3d_json_set(all, name, why);
    }
    return all;
}

/* Keys, so that the next run knows which networks have seen these pictures. */
static void put_networks(cJSON *row, const struct evaluate_item *item)
{
    cJSON *o = NULL;

    for (int k = 0; k < T3D_NETWORKS; k++) {
        if (!item->network_key[k][0])
            continue;
        o = o ? o : cJSON_AddObjectToObject(row, "networks");
        t3d_json_set_str(o, t3d_network_name[k], item->network_key[k]);
    }
}

static void put_failures(cJSON *row, cJSON *failed)
{
    const cJSON *first = failed->child;
    char message[640];

    snprintf(message, sizeof message, "%s: %s", first->string,
             t3d_json_str(first, "message", "failed"));
    t3d_json_set_str(row, "reason", t3d_json_str(first, "reason", "failed"));
    t3d_json_set_str(row, "message", message);
}

cJSON *evaluate_row(const struct evaluate_run *x, struct evaluate_item *item)
{
    int missing = !item->match->pred || !item->match->ref, ok = item->err.code == T3D_OK;
    cJSON *o = cJSON_CreateObject(), *failed = ok ? failures(x, item) : NULL, *result, *part;

    t3d_json_set_str(o, "uid", item->match->uid);
    t3d_json_set_str(o, "status", ok && !failed ? "ok" : missing ? "missing" : "fail");
    if (item->key[0])
        t3d_json_set_str(o, "key", item->key);
    if (!ok) {
        t3d_json_set_str(o, "reason", item->err.reason);
        t3d_json_set_str(o, "message", item->err.msg);
        return o;
    }
    if (failed)
        put_failures(o, failed);
    t3d_json_set_num(o, "pictures", item->n_pictures);
    put_networks(o, item);
    if (failed)
        t3d_json_set(o, "failed", failed);
    recall(item, x);
    result = t3d_pair_json(&item->result);
    while ((part = cJSON_DetachItemViaPointer(result, result->child)))
        cJSON_AddItemToObject(o, part->string, part);
    cJSON_Delete(result);
    return o;
}
