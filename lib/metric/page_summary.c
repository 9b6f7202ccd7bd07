/* SPDX-License-Identifier: Apache-2.0 */
/* Of a page: targets, summaries side by side, paired comparisons. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "metric/page_impl.h"
#include "metric/report.h"

static int has_target(const cJSON *s)
{
    return s && strcmp(t3d_json_str(s, "target", "n/a"), "n/a") != 0;
}

/* " [low, high]" of the mean, where there is one. */
static void put_interval(FILE *f, const cJSON *s)
{
    const cJSON *ci = cJSON_GetObjectItemCaseSensitive(s, "ci95"), *low = t3di_first(ci);
    char a[T3DI_NUMBER], b[T3DI_NUMBER];

    if (cJSON_GetArraySize(ci) == 2 && cJSON_IsNumber(low) && cJSON_IsNumber(low->next))
        fprintf(f, " <span class=dim>[%s, %s]</span>", t3di_number(low->valuedouble, a),
                t3di_number(low->next->valuedouble, b));
}

/* true, false and n/a; with a sign, so that colour is not all that tells. */
static const char *verdict(const cJSON *s)
{
    const cJSON *pass = cJSON_GetObjectItemCaseSensitive(s, "pass");

    return !cJSON_IsBool(pass) ? "n/a" : cJSON_IsTrue(pass) ? "&#10003; pass" : "&#10007; fail";
}

static const char *verdict_class(const cJSON *s)
{
    const cJSON *pass = cJSON_GetObjectItemCaseSensitive(s, "pass");

    return !cJSON_IsBool(pass) ? "dim" : cJSON_IsTrue(pass) ? "pass" : "fail";
}

/* --- targets --------------------------------------------------------------------------------- */

/* What stands under a value: the floor, which is what a perfect copy would get, and who is left
 * out. */
static void put_floor(FILE *f, const cJSON *s)
{
    double floor = t3d_json_num(s, "floor", NAN), bound = t3di_bound(s);
    int lower = strcmp(t3d_json_str(s, "better", "lower"), "lower") == 0;
    char buf[T3DI_NUMBER];

    if (isfinite(floor))
        fprintf(f, ", noise floor %s", t3di_number(floor, buf));
    if (isfinite(floor) && isfinite(bound) && (lower ? floor >= bound : floor <= bound))
        fputs(" <span class=fail>(a perfect copy would miss the target)</span>", f);
}

static void put_target_value(FILE *f, const struct t3d_page *p, size_t i, const cJSON *s)
{
    double mean = t3d_json_num(s, "mean", NAN);
    char a[T3DI_NUMBER];

    fprintf(f, "<p class=%s><span class=badge>%s</span>", verdict_class(s), verdict(s));
    fputs("<span class=\"value ink\">", f);
    if (p->n_inputs > 1)
        t3di_put_key(f, i);
    fprintf(f, " %s</span>", t3di_number(mean, a));
    put_interval(f, s);
    fputs("</p><p class=dim>", f);
    if (isfinite(mean)) {
        fprintf(f, "n %.0f, failed %.0f", t3d_json_num(s, "n", 0), t3d_json_num(s, "failed", 0));
        put_floor(f, s);
    } else {
        t3di_put_text(f, t3d_json_str(s, "reason", "no item has it"));
    }
    fputs("</p>", f);
}

static int put_target(FILE *f, const struct t3d_page *p, const cJSON *s)
{
    fputs("<div class=card><h3>", f);
    t3di_put_id(f, s->string);
    fputs("</h3><p>target ", f);
    t3di_put_text(f, t3d_json_str(s, "target", ""));
    fputs("</p>", f);
    for (size_t i = 0; i < p->n_inputs; i++) {
        const cJSON *mine = t3di_summary(&p->input[i], s->string);

        if (mine)
            put_target_value(f, p, i, mine);
    }
    fputs("</div>\n", f);
    return T3D_OK;
}

static int put_measured(FILE *f, const struct t3d_page *p, const cJSON *s, struct t3d_err *err)
{
    (void)err;
    return has_target(s) && t3d_json_num(s, "n", 0) > 0 ? put_target(f, p, s) : T3D_OK;
}

static int put_unmeasured(FILE *f, const struct t3d_page *p, const cJSON *s, struct t3d_err *err)
{
    (void)err;
    return has_target(s) && !(t3d_json_num(s, "n", 0) > 0) ? put_target(f, p, s) : T3D_OK;
}

static int count_target(FILE *f, const struct t3d_page *p, const cJSON *s, struct t3d_err *err)
{
    (void)f;
    (void)p;
    (void)err;
    return has_target(s) ? T3D_END : T3D_OK;
}

int t3di_put_targets(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    int r = t3di_each_metric(p, count_target, f, err);

    if (r != T3D_END)
        return r;
    fputs("<h2 id=targets>Targets</h2>\n<div class=cards>\n", f);
    r = t3di_each_metric(p, put_measured, f, err);
    if (r == T3D_OK)
        r = t3di_each_metric(p, put_unmeasured, f, err);
    fputs("</div>\n", f);
    return r;
}

/* --- the table ------------------------------------------------------------------------------- */

static void put_value(FILE *f, const cJSON *s)
{
    double mean = t3d_json_num(s, "mean", NAN);
    char a[T3DI_NUMBER];

    if (!isfinite(mean)) {
        fputs("<td class=dim data-v=\"\" title=\"", f);
        t3di_put_text(f, t3d_json_str(s, "reason", ""));
        fputs("\">n/a</td>", f);
        return;
    }
    fprintf(f, "<td data-v=\"%.17g\">%s", mean, t3di_number(mean, a));
    put_interval(f, s);
    fputs("</td>", f);
}

static int put_row(FILE *f, const struct t3d_page *p, const cJSON *s, struct t3d_err *err)
{
    const cJSON *pass = cJSON_GetObjectItemCaseSensitive(s, "pass");

    (void)err;
    fputs("<tr><td>", f);
    t3di_put_id(f, s->string);
    fputs("</td>", f);
    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_REPORT)
            put_value(f, t3di_summary(&p->input[i], s->string));
    t3di_put_cell(f, t3d_json_num(s, "n", 0));
    t3di_put_cell(f, t3d_json_num(s, "failed", NAN));
    t3di_put_cell(f, t3d_json_num(s, "floor", NAN));
    fputs("<td>", f);
    t3di_put_text(f, t3d_json_str(s, "target", "n/a"));
    fprintf(f, "</td><td class=%s data-v=\"", verdict_class(s));
    if (cJSON_IsBool(pass))
        fprintf(f, "%d", cJSON_IsTrue(pass));
    fprintf(f, "\">%s</td></tr>\n", verdict(s));
    return T3D_OK;
}

int t3di_put_summary(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    int r, many = p->n_inputs > 1, reports = 0;

    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_REPORT))
        return T3D_OK;
    fputs("<h2 id=summary>Summary</h2>\n", f);
    t3di_put_table(f, NULL);
    fputs("<th scope=col>metric</th>", f);
    for (size_t i = 0; i < p->n_inputs; i++) {
        if (p->input[i].kind != T3D_PAGE_REPORT)
            continue;
        fputs("<th scope=col>", f);
        reports++;
        if (many)
            t3di_put_key(f, i);
        fputs(" mean [95 % interval]</th>", f);
    }
    fputs(
        "<th scope=col>n</th><th scope=col>failed</th><th scope=col>floor</th><th scope=col>target"
        "</th><th scope=col>result</th></tr></thead><tbody>\n",
        f);
    r = t3di_each_metric(p, put_row, f, err);
    fputs("</tbody></table></div>\n", f);
    if (reports > 1)
        fputs("<p class=dim>n, failed, floor, target and result are those of the first report that "
              "has the metric.</p>\n",
              f);
    return r;
}

/* --- comparisons ----------------------------------------------------------------------------- */

static void put_comparison_row(FILE *f, const cJSON *m)
{
    static const char *const number[] = {"mean_a", "mean_b", "difference", "p_holm", "effect"};
    const char *better = t3d_json_str(m, "better", "none");

    fputs("<tr><td>", f);
    t3di_put_id(f, m->string);
    fputs("</td>", f);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        t3di_put_cell(f, t3d_json_num(m, number[i], NAN));
    t3di_put_cell(f, t3d_json_num(m, "wins", NAN));
    t3di_put_cell(f, t3d_json_num(m, "losses", NAN));
    t3di_put_cell(f, t3d_json_num(m, "n", NAN));
    fputs("<td>", f);
    t3di_put_text(f, strcmp(better, "a") == 0   ? "first"
                     : strcmp(better, "b") == 0 ? "second"
                                                : "none");
    fputs("</td></tr>\n", f);
}

static void put_comparison(FILE *f, const cJSON *comparison)
{
    t3di_put_table(f, NULL);
    fputs(
        "<th scope=col>metric</th><th scope=col>first</th><th scope=col>second</th><th scope=col>"
        "difference</th><th scope=col>p (Holm)</th><th scope=col>effect</th><th scope=col>wins of "
        "the second</th><th scope=col>losses</th><th scope=col>pairs</th><th scope=col>better</th>"
        "</tr></thead><tbody>\n",
        f);
    for (const cJSON *m = t3di_members(cJSON_GetObjectItemCaseSensitive(comparison, "metrics")); m;
         m = m->next)
        put_comparison_row(f, m);
    fputs("</tbody></table></div>\n", f);
}

/* Input i beside the first report; that they cannot be compared is said, not an error. */
static int put_pair(FILE *f, const struct t3d_page *p, size_t first, size_t i, struct t3d_err *err)
{
    struct t3d_err why;
    cJSON *comparison;
    int r = t3d_report_compare(&comparison, p->input[first].json, p->input[i].json,
                               (uint64_t)t3d_json_num(p->input[i].json, "seed", 0), &why);

    if (r < 0 && r != T3D_SKIP) {
        *err = why;
        return r;
    }
    fputs("<h3>", f);
    t3di_put_key(f, i);
    fputs(" against ", f);
    t3di_put_key(f, first);
    fputs("</h3>\n", f);
    if (r == T3D_OK) {
        put_comparison(f, comparison);
        cJSON_Delete(comparison);
    } else {
        fputs("<p class=dim>Not compared: ", f);
        t3di_put_text(f, why.msg);
        fputs("</p>\n", f);
    }
    return T3D_OK;
}

/* Reports of one tool compare: those of evaluate, or those of a bench. */
static int same_tool(const struct t3d_page *p, size_t first, size_t i)
{
    return p->input[i].kind == T3D_PAGE_REPORT &&
           strcmp(t3d_json_str(p->input[first].json, "tool", ""),
                  t3d_json_str(p->input[i].json, "tool", "")) == 0;
}

/* The first report of the tool that made input i; i itself for other inputs. */
static size_t first_of_tool(const struct t3d_page *p, size_t i)
{
    if (p->input[i].kind == T3D_PAGE_REPORT)
        for (size_t k = 0; k < i; k++)
            if (same_tool(p, i, k))
                return k;
    return i;
}

int t3di_has_comparison(const struct t3d_page *p)
{
    for (size_t i = 0; i < p->n_inputs; i++)
        if (first_of_tool(p, i) < i || p->input[i].kind == T3D_PAGE_COMPARISON)
            return 1;
    return 0;
}

int t3di_put_comparisons(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    int r = T3D_OK;

    if (!t3di_has_comparison(p))
        return T3D_OK;
    fputs(
        "<h2 id=comparison>Comparison</h2>\n<p class=dim>Differences of the same items, with an "
        "exact or sampled sign-flip test; p is corrected for the number of metrics (Holm), better "
        "means p below 0.05.</p>\n",
        f);
    for (size_t i = 0; i < p->n_inputs && r == T3D_OK; i++) {
        size_t first = first_of_tool(p, i);

        if (first < i)
            r = put_pair(f, p, first, i, err);
        if (p->input[i].kind == T3D_PAGE_COMPARISON) {
            fputs("<h3>", f);
            t3di_put_text(f, p->input[i].name);
            fputs("</h3>\n", f);
            put_comparison(f, p->input[i].json);
        }
    }
    return r;
}
