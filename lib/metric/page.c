/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/hash.h"
#include "base/json.h"
#include "metric/page_impl.h"

enum { BINS = 24, EXTREMES = 5, MAX_ITEMS = 2000, WIDTH = 320, HEIGHT = 72, NUMBER = 32 };

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--ok:#2a7d3f;--bad:#b3261e;--bar:#4a78c8}"
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:75rem}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}h3{font-size:1rem;margin:.2rem 0;"
    "overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}th:first-child,td:first-child{text-align:left;white-space:normal;"
    "overflow-wrap:anywhere;min-width:8rem}"
    "thead th{cursor:pointer;position:sticky;top:0;background:Canvas}"
    ".pass{color:var(--ok)}.fail{color:var(--bad)}.dim{opacity:.65}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.2rem}"
    ".card{border:1px solid var(--line);border-radius:.4rem;padding:.6rem;min-width:0}"
    ".card svg{width:100%;height:auto}.card p{margin:.2rem 0;overflow-wrap:anywhere}"
    "img{max-width:100%}rect{fill:var(--bar)}line{stroke:var(--bad)}text{fill:currentColor;"
    "font-size:9px}";

/* A click on a heading sorts its table: numbers by value, the rest as text. */
static const char script[] =
    "document.querySelectorAll('thead th').forEach(function(h){h.addEventListener('click',"
    "function(){var i=h.cellIndex,b=h.closest('table').tBodies[0],r=Array.from(b.rows),"
    "d=h.dataset.d=h.dataset.d==='1'?'-1':'1';r.sort(function(x,y){var a=x.cells[i].dataset.v,"
    "c=y.cells[i].dataset.v;if(a===undefined){a=x.cells[i].textContent;c=y.cells[i].textContent;"
    "return d*a.localeCompare(c)}return d*(a-c)});r.forEach(function(x){b.appendChild(x)})})});";

/* --- text ------------------------------------------------------------------------------------ */

/* The only way by which text of a report gets onto the page. */
static void put_text(FILE *f, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default:
            fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
        }
}

/* Four digits; "n/a" for what is no number. */
static const char *number(double v, char buf[NUMBER])
{
    if (!isfinite(v))
        return "n/a";
    snprintf(buf, NUMBER, fabs(v) >= 1e4 || (v != 0 && fabs(v) < 1e-3) ? "%.3e" : "%.4g", v);
    return buf;
}

static void put_base64(FILE *f, const uint8_t *data, size_t n)
{
    char out[65];

    for (size_t i = 0; i < n; i += 48) {
        t3d_base64(data + i, T3D_MIN((size_t)48, n - i), out);
        fputs(out, f);
    }
}

/* 'sha256-...' of a text, as the content policy names it. */
static void put_source_hash(FILE *f, const char *text)
{
    char hex[T3D_SHA256_HEX];
    uint8_t hash[T3D_SHA256_BYTES];

    t3d_sha256_hex(text, strlen(text), hex);
    if (t3d_unhex(hex, sizeof hash, hash) == 0) {
        fputs(" 'sha256-", f);
        put_base64(f, hash, sizeof hash);
        fputs("'", f);
    }
}

/* --- the summary ----------------------------------------------------------------------------- */

static const cJSON *summary_of(const struct t3d_page_report *r, const char *id)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(r->json, "summary"), id);
}

/* Was an ID already seen in an earlier report? */
static int seen_before(const struct t3d_page_report *report, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (summary_of(&report[i], id))
            return 1;
    return 0;
}

static void put_value(FILE *f, const cJSON *s)
{
    const cJSON *ci = cJSON_GetObjectItem(s, "ci95");
    double mean = t3d_json_num(s, "mean", NAN);
    char a[NUMBER], b[NUMBER], c[NUMBER];

    if (!isfinite(mean)) {
        fputs("<td class=dim data-v=\"1e999\" title=\"", f);
        put_text(f, t3d_json_str(s, "reason", ""));
        fputs("\">n/a</td>", f);
        return;
    }
    fprintf(f, "<td data-v=\"%.17g\">%s", mean, number(mean, a));
    if (cJSON_GetArraySize(ci) == 2 && cJSON_IsNumber(cJSON_GetArrayItem(ci, 0)))
        fprintf(f, " <span class=dim>[%s, %s]</span>",
                number(cJSON_GetArrayItem(ci, 0)->valuedouble, b),
                number(cJSON_GetArrayItem(ci, 1)->valuedouble, c));
    fputs("</td>", f);
}

/* true, false and n/a; with a sign, so that colour is not all that tells. */
static void put_pass(FILE *f, const cJSON *s)
{
    const cJSON *pass = cJSON_GetObjectItem(s, "pass");

    if (cJSON_IsBool(pass))
        fprintf(f, "<td class=%s data-v=%d>%s</td>", cJSON_IsTrue(pass) ? "pass" : "fail",
                cJSON_IsTrue(pass), cJSON_IsTrue(pass) ? "&#10003; pass" : "&#10007; fail");
    else
        fputs("<td class=dim data-v=\"-1\">n/a</td>", f);
}

static void put_summary_row(FILE *f, const struct t3d_page_report *report, size_t n, const cJSON *s)
{
    char buf[NUMBER];

    fputs("<tr><td>", f);
    put_text(f, s->string);
    fputs("</td>", f);
    for (size_t i = 0; i < n; i++)
        put_value(f, summary_of(&report[i], s->string));
    fprintf(f, "<td data-v=\"%g\">%.0f</td><td data-v=\"%g\">%.0f</td>", t3d_json_num(s, "n", 0),
            t3d_json_num(s, "n", 0), t3d_json_num(s, "failed", 0), t3d_json_num(s, "failed", 0));
    fprintf(f, "<td data-v=\"%.17g\">%s</td><td>", t3d_json_num(s, "floor", -1),
            number(t3d_json_num(s, "floor", NAN), buf));
    put_text(f, t3d_json_str(s, "target", "n/a"));
    fputs("</td>", f);
    put_pass(f, s);
    fputs("</tr>\n", f);
}

static void put_summary(FILE *f, const struct t3d_page_report *report, size_t n)
{
    fputs("<h2>Summary</h2>\n<div class=scroll><table><thead><tr><th>metric</th>", f);
    for (size_t i = 0; i < n; i++) {
        fputs("<th>", f);
        put_text(f, n > 1 ? report[i].name : "mean [95 % interval]");
        fputs("</th>", f);
    }
    fputs("<th>n</th><th>failed</th><th>floor</th><th>target</th><th>result</th></tr></thead>"
          "<tbody>\n",
          f);
    for (size_t i = 0; i < n; i++)
        for (const cJSON *s = t3di_first(cJSON_GetObjectItem(report[i].json, "summary")); s;
             s = s->next)
            if (!seen_before(report, i, s->string))
                put_summary_row(f, report, n, s);
    fputs("</tbody></table></div>\n", f);
    if (n > 1)
        fputs("<p class=dim>n, failed, floor, target and result are those of the first report that "
              "has the metric.</p>\n",
              f);
}

/* --- one metric ------------------------------------------------------------------------------ */

static void put_histogram(FILE *f, const struct t3di_values *v, double mean)
{
    double low = v->v[0].value, high = v->v[v->n - 1].value, width = high - low;
    int count[BINS] = {0}, most = 1;
    char a[NUMBER], b[NUMBER];

    for (size_t i = 0; i < v->n; i++) {
        int k = width > 0 ? (int)((v->v[i].value - low) / width * BINS) : BINS / 2;

        k = T3D_CLAMP(k, 0, BINS - 1);
        most = T3D_MAX(most, ++count[k]);
    }
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"histogram\">", WIDTH, HEIGHT + 14);
    for (int k = 0; k < BINS; k++) {
        double h = (double)HEIGHT * count[k] / most;

        if (count[k])
            fprintf(f,
                    "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>%d</title>"
                    "</rect>",
                    (double)WIDTH * k / BINS + 0.5, HEIGHT - h, (double)WIDTH / BINS - 1, h,
                    count[k]);
    }
    if (width > 0)
        fprintf(f, "<line x1=\"%.2f\" x2=\"%.2f\" y1=\"0\" y2=\"%d\"><title>mean</title></line>",
                (mean - low) / width * WIDTH, (mean - low) / width * WIDTH, HEIGHT);
    fprintf(f, "<text x=\"0\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\" text-anchor=end>%s</text>",
            HEIGHT + 12, number(low, a), WIDTH, HEIGHT + 12, number(high, b));
    fputs("</svg>", f);
}

/* Some items from one end of the sorted values. */
static void put_extremes(FILE *f, const struct t3di_values *v, const char *what, int from_top)
{
    size_t n = T3D_MIN(v->n, (size_t)EXTREMES);
    char buf[NUMBER];

    fprintf(f, "<p><b>%s:</b> ", what);
    for (size_t i = 0; i < n; i++) {
        const struct t3di_value *x = &v->v[from_top ? v->n - 1 - i : i];

        if (i)
            fputs(", ", f);
        put_text(f, x->uid);
        fprintf(f, " <span class=dim>%s</span>", number(x->value, buf));
    }
    fputs("</p>", f);
}

static int put_card(FILE *f, const struct t3d_page_report *r, const cJSON *s, struct t3d_err *err)
{
    int lower = strcmp(t3d_json_str(s, "better", "lower"), "lower") == 0;
    struct t3di_values v;
    int status = t3di_values_collect(&v, r->json, s->string, err);

    if (status == T3D_OK && v.n) {
        fputs("<div class=card><h3>", f);
        put_text(f, s->string);
        fputs("</h3>", f);
        put_histogram(f, &v, t3d_json_num(s, "mean", 0));
        put_extremes(f, &v, "worst", lower);
        put_extremes(f, &v, "best", !lower);
        fputs("</div>\n", f);
    }
    free(v.v);
    return status;
}

static int put_cards(FILE *f, const struct t3d_page_report *r, struct t3d_err *err)
{
    int status = T3D_OK;

    fputs("<div class=cards>\n", f);
    for (const cJSON *s = t3di_first(cJSON_GetObjectItem(r->json, "summary"));
         s && status == T3D_OK; s = s->next)
        status = put_card(f, r, s, err);
    fputs("</div>\n", f);
    return status;
}

/* --- all items ------------------------------------------------------------------------------- */

static void put_item(FILE *f, const cJSON *item, const cJSON *summary)
{
    int ok = strcmp(t3d_json_str(item, "status", ""), "ok") == 0;
    char buf[NUMBER];

    fputs("<tr><td>", f);
    put_text(f, t3d_json_str(item, "uid", ""));
    fprintf(f, "</td><td class=%s title=\"", ok ? "pass" : "fail");
    put_text(f, t3d_json_str(item, "message", ""));
    fputs("\">", f);
    put_text(f, ok ? "ok" : t3d_json_str(item, "reason", t3d_json_str(item, "status", "")));
    fputs("</td>", f);
    for (const cJSON *s = t3di_first(summary); s; s = s->next) {
        double v = t3d_json_num(cJSON_GetObjectItem(item, "metrics"), s->string, NAN);

        if (t3d_json_num(s, "n", 0) > 0)
            fprintf(f, "<td data-v=\"%.17g\">%s</td>", isfinite(v) ? v : 1e308, number(v, buf));
    }
    fputs("</tr>\n", f);
}

static void put_items(FILE *f, const struct t3d_page_report *r)
{
    const cJSON *summary = cJSON_GetObjectItem(r->json, "summary"),
                *items = cJSON_GetObjectItem(r->json, "items");
    int n = cJSON_GetArraySize(items), left = MAX_ITEMS;

    fprintf(f, "<details%s><summary>%d items</summary>", n <= 50 ? " open" : "", n);
    if (n > MAX_ITEMS)
        fprintf(f, "<p class=dim>The first %d; the report has all.</p>", MAX_ITEMS);
    fputs("<div class=scroll><table><thead><tr><th>item</th><th>status</th>", f);
    for (const cJSON *s = t3di_first(summary); s; s = s->next)
        if (t3d_json_num(s, "n", 0) > 0) {
            fputs("<th>", f);
            put_text(f, s->string);
            fputs("</th>", f);
        }
    fputs("</tr></thead><tbody>\n", f);
    for (const cJSON *item = t3di_first(items); item && left > 0; item = item->next, left--)
        put_item(f, item, summary);
    fputs("</tbody></table></div></details>\n", f);
}

/* --- the page -------------------------------------------------------------------------------- */

static void put_head(FILE *f)
{
    fputs("<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
          "data:; style-src",
          f);
    put_source_hash(f, style);
    fputs("; script-src", f);
    put_source_hash(f, script);
    fputs("\">\n<meta name=viewport content=\"width=device-width,initial-scale=1\">"
          "<title>t3d report</title><style>",
          f);
    fprintf(f, "%s</style></head>\n<body><h1>t3d report</h1>\n", style);
}

static void put_origin(FILE *f, const struct t3d_page_report *r)
{
    const cJSON *machine = cJSON_GetObjectItem(r->json, "machine");

    fputs("<h2>", f);
    put_text(f, r->name);
    fputs("</h2>\n<p class=dim>", f);
    put_text(f, t3d_json_str(r->json, "command", ""));
    fputs("<br>t3d ", f);
    put_text(f, t3d_json_str(r->json, "version", ""));
    fputs(", ", f);
    put_text(f, t3d_json_str(machine, "cpu", ""));
    fprintf(f, ", %.0f processors, seed %.0f</p>\n", t3d_json_num(machine, "processors", 0),
            t3d_json_num(r->json, "seed", 0));
    if (!t3d_json_bool(r->json, "complete", 1))
        fputs("<p class=fail>Not complete: the run that makes this report has not ended.</p>\n", f);
}

static void put_picture(FILE *f, const struct t3d_page_picture *p)
{
    fputs("<h2>", f);
    put_text(f, p->name);
    fputs("</h2>\n<img alt=\"", f);
    put_text(f, p->name);
    fputs("\" src=\"data:image/png;base64,", f);
    put_base64(f, p->png, p->size);
    fputs("\">\n", f);
}

int t3d_page_html(FILE *f, const struct t3d_page_report *report, size_t n,
                  const struct t3d_page_picture *picture, size_t n_pictures, struct t3d_err *err)
{
    int r = T3D_OK;

    put_head(f);
    if (n)
        put_summary(f, report, n);
    for (size_t i = 0; i < n_pictures; i++)
        put_picture(f, &picture[i]);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        put_origin(f, &report[i]);
        r = put_cards(f, &report[i], err);
        put_items(f, &report[i]);
    }
    fprintf(f, "<script>%s</script></body></html>\n", script);
    return r;
}

/* --- Markdown -------------------------------------------------------------------------------- */

/* A cell is one line without bars or markup that would end it. */
static void put_cell(FILE *f, const char *s)
{
    for (; *s; s++)
        if (*s == '|' || *s == '`' || *s == '<')
            fprintf(f, "\\%c", *s);
        else
            fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
}

static void put_markdown_row(FILE *f, const struct t3d_page_report *report, size_t n,
                             const cJSON *s)
{
    const cJSON *pass = cJSON_GetObjectItem(s, "pass");
    char buf[NUMBER];

    fputs("| ", f);
    put_cell(f, s->string);
    for (size_t i = 0; i < n; i++)
        fprintf(f, " | %s",
                number(t3d_json_num(summary_of(&report[i], s->string), "mean", NAN), buf));
    fputs(" | ", f);
    put_cell(f, t3d_json_str(s, "target", "n/a"));
    fprintf(f, " | %s |\n", !cJSON_IsBool(pass) ? "n/a" : cJSON_IsTrue(pass) ? "pass" : "fail");
}

void t3d_page_markdown(FILE *f, const struct t3d_page_report *report, size_t n)
{
    fputs("| metric", f);
    for (size_t i = 0; i < n; i++) {
        fputs(" | ", f);
        put_cell(f, report[i].name);
    }
    fputs(" | target | result |\n|---", f);
    for (size_t i = 0; i < n + 2; i++)
        fputs("|---", f);
    fputs("|\n", f);
    for (size_t i = 0; i < n; i++)
        for (const cJSON *s = t3di_first(cJSON_GetObjectItem(report[i].json, "summary")); s;
             s = s->next)
            if (!seen_before(report, i, s->string))
                put_markdown_row(f, report, n, s);
}
