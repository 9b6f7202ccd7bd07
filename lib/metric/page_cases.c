/* SPDX-License-Identifier: Apache-2.0 */
/* Of a page: each metric's distribution with its worst and best items, and all items. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/json.h"
#include "metric/page_impl.h"

enum { EXTREMES = 5, MAX_ITEMS = 2000 };

/* --- one metric ------------------------------------------------------------------------------ */

/* Some items from one end of the sorted values; the viewer makes buttons of those it can show. */
static void put_extremes(FILE *f, const struct t3di_values *v, const char *what, int from_top)
{
    size_t n = T3D_MIN(v->n, (size_t)EXTREMES);
    char buf[T3DI_NUMBER];

    fprintf(f, "<p>%s</p><ul class=cases>", what);
    for (size_t i = 0; i < n; i++) {
        const struct t3di_value *x = &v->v[from_top ? v->n - 1 - i : i];

        fprintf(f, "<li><b>%s</b><span data-thumb=1 data-uid=\"", t3di_number(x->value, buf));
        t3di_put_text(f, x->uid);
        fputs("\">", f);
        t3di_put_text(f, x->uid);
        fputs("</span></li>", f);
    }
    fputs("</ul>", f);
}

/* The values of every input of one metric. */
struct spread {
    struct t3di_values *values;
    double *mean;
    size_t n, filled;
};

static int collect(struct spread *s, const struct t3d_page *p, const char *id, struct t3d_err *err)
{
    int r = T3D_OK;

    s->n = p->n_inputs;
    s->filled = 0;
    s->values = calloc(s->n, sizeof *s->values);
    s->mean = calloc(s->n, sizeof *s->mean);
    if (!s->values || !s->mean)
        return t3d_err_nomem(err, "the values of a metric");
    for (size_t i = 0; i < s->n && r == T3D_OK; i++) {
        s->mean[i] = t3d_json_num(t3di_summary(&p->input[i], id), "mean", NAN);
        if (p->input[i].kind == T3D_PAGE_REPORT)
            r = t3di_values_collect(&s->values[i], p->input[i].json, id, err);
        s->filled += s->values[i].n > 0;
    }
    return r;
}

static void put_card(FILE *f, const struct spread *s, const cJSON *summary)
{
    int lower = strcmp(t3d_json_str(summary, "better", "lower"), "lower") == 0;
    const struct t3di_histogram h = {s->values, s->mean, s->n, t3d_json_num(summary, "floor", NAN),
                                     t3di_bound(summary)};

    fputs("<div class=card><h3>", f);
    t3di_put_id(f, summary->string);
    fputs("</h3>", f);
    t3di_put_histogram(f, &h);
    for (size_t i = 0; i < s->n; i++) {
        if (!s->values[i].n)
            continue;
        if (s->filled > 1) {
            fputs("<p>", f);
            t3di_put_key(f, i);
            fputs("</p>", f);
        }
        put_extremes(f, &s->values[i], "worst", lower);
        put_extremes(f, &s->values[i], "best", !lower);
    }
    fputs("</div>\n", f);
}

static int put_metric(FILE *f, const struct t3d_page *p, const cJSON *summary, struct t3d_err *err)
{
    struct spread s = {0};
    int r = collect(&s, p, summary->string, err);

    if (r == T3D_OK && s.filled)
        put_card(f, &s, summary);
    for (size_t i = 0; s.values && i < s.n; i++)
        free(s.values[i].v);
    free(s.values);
    free(s.mean);
    return r;
}

int t3di_put_metrics(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    int r;

    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_REPORT))
        return T3D_OK;
    fputs(
        "<h2 id=metrics>Metrics</h2>\n<p class=dim>Histograms of the items; the dashed line is the "
        "mean, the dotted one the noise floor, the solid one the target.</p>\n<div class=cards>\n",
        f);
    r = t3di_each_metric(p, put_metric, f, err);
    fputs("</div>\n", f);
    return r;
}

/* --- all items ------------------------------------------------------------------------------- */

static int is_ok(const cJSON *item)
{
    return strcmp(t3d_json_str(item, "status", ""), "ok") == 0;
}

static const char *caption_of(const cJSON *item)
{
    return t3d_json_str(item, "prompt", t3d_json_str(item, "caption", NULL));
}

static void put_item(FILE *f, const cJSON *item, const cJSON *summary, int captions)
{
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(item, "metrics");
    int ok = is_ok(item);

    fputs("<tr><td data-uid=\"", f);
    t3di_put_text(f, t3d_json_str(item, "uid", ""));
    fputs("\">", f);
    t3di_put_text(f, t3d_json_str(item, "uid", ""));
    fputs("</td>", f);
    if (captions) {
        fputs("<td class=text>", f);
        t3di_put_text(f, caption_of(item) ? caption_of(item) : "");
        fputs("</td>", f);
    }
    fprintf(f, "<td class=\"text %s\" title=\"", ok ? "pass" : "fail");
    t3di_put_text(f, t3d_json_str(item, "message", ""));
    fputs("\">", f);
    t3di_put_text(f, ok ? "ok" : t3d_json_str(item, "reason", t3d_json_str(item, "status", "")));
    fputs("</td>", f);
    for (const cJSON *s = t3di_members(summary); s; s = s->next)
        if (t3d_json_num(s, "n", 0) > 0)
            t3di_put_cell(f, t3d_json_num(metrics, s->string, NAN));
    fputs("</tr>\n", f);
}

static void put_item_heads(FILE *f, const cJSON *summary, int captions)
{
    fprintf(f, "<th scope=col>item</th>%s<th scope=col class=text>status</th>",
            captions ? "<th scope=col class=text>text</th>" : "");
    for (const cJSON *s = t3di_members(summary); s; s = s->next)
        if (t3d_json_num(s, "n", 0) > 0) {
            fputs("<th scope=col>", f);
            t3di_put_id(f, s->string);
            fputs("</th>", f);
        }
    fputs("</tr></thead><tbody>\n", f);
}

/* Items that failed stand first. */
static void put_item_table(FILE *f, const struct t3d_page_input *in, size_t i)
{
    const cJSON *summary = cJSON_GetObjectItemCaseSensitive(in->json, "summary"),
                *items = cJSON_GetObjectItemCaseSensitive(in->json, "items");
    int left = MAX_ITEMS, captions = 0;
    char id[32];

    for (const cJSON *item = t3di_first(items); item; item = item->next)
        captions |= caption_of(item) != NULL;
    snprintf(id, sizeof id, "items%zu", i);
    fprintf(f,
            "<input type=search data-filter=%s placeholder=\"find items\" aria-label=\"find "
            "items\" hidden>",
            id);
    t3di_put_table(f, id);
    put_item_heads(f, summary, captions);
    for (int ok = 0; ok < 2; ok++)
        for (const cJSON *item = t3di_first(items); item && left > 0; item = item->next)
            if (is_ok(item) == ok) {
                put_item(f, item, summary, captions);
                left--;
            }
    fputs("</tbody></table></div>", f);
}

void t3di_put_items(FILE *f, const struct t3d_page *p)
{
    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_REPORT))
        return;
    fputs("<h2 id=items>Items</h2>\n", f);
    for (size_t i = 0; i < p->n_inputs; i++) {
        const cJSON *items = cJSON_GetObjectItemCaseSensitive(p->input[i].json, "items");
        int n = cJSON_GetArraySize(items), failed = 0;

        if (p->input[i].kind != T3D_PAGE_REPORT)
            continue;
        for (const cJSON *item = t3di_first(items); item; item = item->next)
            failed += !is_ok(item);
        fprintf(f, "<details%s><summary>", n <= 50 ? " open" : "");
        if (p->n_inputs > 1)
            t3di_put_key(f, i);
        fprintf(f, " %d items, %d failed</summary>", n, failed);
        if (n > MAX_ITEMS)
            fprintf(f, "<p class=dim>%d of them; the report has all.</p>", MAX_ITEMS);
        put_item_table(f, &p->input[i], i);
        fputs("</details>\n", f);
    }
}
