/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "metric/page_impl.h"

const cJSON *t3di_first(const cJSON *o)
{
    return o ? o->child : NULL;
}

const cJSON *t3di_members(const cJSON *o)
{
    return cJSON_IsObject(o) ? o->child : NULL;
}

static int rising(const void *a, const void *b)
{
    const struct t3di_value *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

int t3di_values_collect(struct t3di_values *out, const cJSON *report, const char *id,
                        struct t3d_err *err)
{
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(report, "items");

    out->n = 0;
    out->v = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof *out->v);
    if (!out->v)
        return t3d_err_nomem(err, "the values of a metric");
    for (const cJSON *item = t3di_first(items); item; item = item->next) {
        const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(item, "metrics");
        double v = t3d_json_num(metrics, id, NAN);

        if (isfinite(v)) {
            out->v[out->n] = (struct t3di_value){v, t3d_json_str(item, "uid", ""), out->n};
            out->n++;
        }
    }
    qsort(out->v, out->n, sizeof *out->v, rising);
    return T3D_OK;
}

const cJSON *t3di_summary(const struct t3d_page_input *in, const char *id)
{
    if (in->kind != T3D_PAGE_REPORT)
        return NULL;
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(in->json, "summary"),
                                            id);
}

int t3di_has(const struct t3d_page_input *in, size_t n, enum t3d_page_kind kind)
{
    for (size_t i = 0; i < n; i++)
        if (in[i].kind == kind)
            return 1;
    return 0;
}

double t3di_bound(const cJSON *summary)
{
    const char *text = t3d_json_str(summary, "target", "n/a");
    char *end;
    double v;

    if (*text != '<' && *text != '>')
        return NAN;
    v = strtod(text + 1, &end);
    return end == text + 1 ? NAN : v;
}

/* Was an ID already seen in an earlier input? */
static int seen_before(const struct t3d_page_input *in, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (t3di_summary(&in[i], id))
            return 1;
    return 0;
}

int t3di_each_metric(const struct t3d_page *p,
                     int (*fn)(FILE *f, const struct t3d_page *p, const cJSON *summary,
                               struct t3d_err *err),
                     FILE *f, struct t3d_err *err)
{
    int r = T3D_OK;

    for (size_t i = 0; i < p->n_inputs; i++) {
        if (p->input[i].kind != T3D_PAGE_REPORT)
            continue;
        for (const cJSON *s =
                 t3di_members(cJSON_GetObjectItemCaseSensitive(p->input[i].json, "summary"));
             s && r == T3D_OK; s = s->next)
            if (!seen_before(p->input, i, s->string))
                r = fn(f, p, s, err);
    }
    return r;
}
