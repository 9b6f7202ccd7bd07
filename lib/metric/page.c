/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "metric/page_impl.h"

/* 'sha256-...' of a text, as the content policy names it. */
static void put_source_hash(FILE *f, const char *text)
{
    char hex[T3D_SHA256_HEX];
    uint8_t hash[T3D_SHA256_BYTES];

    t3d_sha256_hex(text, strlen(text), hex);
    if (t3d_unhex(hex, sizeof hash, hash) == 0) {
        fputs(" 'sha256-", f);
        t3di_put_base64(f, hash, sizeof hash);
        fputs("'", f);
    }
}

static void put_head(FILE *f)
{
    fputs("<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri "
          "'none'; form-action 'none'; img-src data:; worker-src blob:; style-src",
          f);
    put_source_hash(f, t3di_page_style);
    fputs("; script-src", f);
    put_source_hash(f, t3di_page_tables);
    put_source_hash(f, t3di_page_viewer);
    fputs("\">\n<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
          "<title>t3d report</title>\n<style>",
          f);
    fprintf(f, "%s</style></head>\n<body>\n<h1>t3d report</h1>\n", t3di_page_style);
}

/* --- what was measured where ----------------------------------------------------------------- */

static const char *what_it_is(enum t3d_page_kind kind)
{
    static const char *const text[] = {"", "comparison of two reports", "speed of the stages",
                                       "log of a training run", "bench"};

    return text[kind];
}

/* What the numbers depend on beside the files: who judged, how many points, ... */
static void put_settings(FILE *f, const cJSON *settings)
{
    char *text;

    if (!t3di_members(settings))
        return;
    fputs("<details><summary class=dim>settings</summary><p>", f);
    for (const cJSON *m = t3di_members(settings); m; m = m->next) {
        text = cJSON_IsString(m) ? NULL : t3d_json_text(m, 0);
        t3di_put_text(f, m->string);
        fputs(" <code>", f);
        t3di_put_text(f, cJSON_IsString(m) ? m->valuestring : text ? text : "");
        fputs(m->next ? "</code>, " : "</code>", f);
        free(text);
    }
    fputs("</p></details>", f);
}

static void put_report_origin(FILE *f, const cJSON *report)
{
    const cJSON *machine = cJSON_GetObjectItemCaseSensitive(report, "machine");

    fputs("<br><code>", f);
    t3di_put_text(f, t3d_json_str(report, "command", ""));
    fputs("</code><br><span class=dim>t3d ", f);
    t3di_put_text(f, t3d_json_str(report, "version", ""));
    fputs(", ", f);
    t3di_put_text(f, t3d_json_str(machine, "cpu", ""));
    fprintf(f, ", %.0f processors, seed %.0f</span>", t3d_json_num(machine, "processors", 0),
            t3d_json_num(report, "seed", 0));
    if (!t3d_json_bool(report, "complete", 1))
        fputs(
            "<br><span class=fail>Not complete: the run that makes this report has not ended. Give "
            "its command again.</span>",
            f);
    put_settings(f, cJSON_GetObjectItemCaseSensitive(report, "settings"));
}

static void put_inputs(FILE *f, const struct t3d_page *p)
{
    fputs("<ul class=runs>\n", f);
    for (size_t i = 0; i < p->n_inputs; i++) {
        const struct t3d_page_input *in = &p->input[i];

        fprintf(f, "<li class=r%zu><div class=ink><b>%c ", i % T3DI_COLOURS, t3di_letter(i));
        t3di_put_text(f, in->name);
        fputs("</b>", f);
        if (in->kind == T3D_PAGE_REPORT)
            put_report_origin(f, in->json);
        else
            fprintf(f, " <span class=dim>%s</span>", what_it_is(in->kind));
        fputs("</div></li>\n", f);
    }
    fputs("</ul>\n", f);
}

/* Links to the sections, with the conditions under which those write anything. */
static void put_contents(FILE *f, const struct t3d_page *p)
{
    int reports = t3di_has(p->input, p->n_inputs, T3D_PAGE_REPORT);

    fputs("<nav aria-label=sections><ul>", f);
    fputs(reports ? "<li><a href=#summary>Summary</a></li>" : "", f);
    fputs(t3di_has_comparison(p) ? "<li><a href=#comparison>Comparison</a></li>" : "", f);
    fputs(p->n_objects ? "<li><a href=#objects>Objects</a></li>" : "", f);
    fputs(p->n_pictures ? "<li><a href=#pictures>Pictures</a></li>" : "", f);
    fputs(reports ? "<li><a href=#metrics>Metrics</a></li><li><a href=#items>Items</a></li>" : "",
          f);
    fputs(t3di_has(p->input, p->n_inputs, T3D_PAGE_TRAINING)
              ? "<li><a href=#training>Training</a></li>"
              : "",
          f);
    fputs(t3di_has(p->input, p->n_inputs, T3D_PAGE_ROWS) ? "<li><a href=#rows>Benches</a></li>"
                                                         : "",
          f);
    fputs(t3di_has(p->input, p->n_inputs, T3D_PAGE_SPEED) ? "<li><a href=#speed>Speed</a></li>"
                                                          : "",
          f);
    fputs("</ul></nav>\n", f);
}

static void put_pictures(FILE *f, const struct t3d_page *p)
{
    if (p->n_pictures)
        fputs("<h2 id=pictures>Pictures</h2>\n", f);
    for (size_t i = 0; i < p->n_pictures; i++) {
        fputs("<figure><img alt=\"", f);
        t3di_put_text(f, p->picture[i].name);
        fputs("\" src=\"data:image/png;base64,", f);
        t3di_put_base64(f, p->picture[i].png, p->picture[i].size);
        fputs("\"><figcaption>", f);
        t3di_put_text(f, p->picture[i].name);
        fputs("</figcaption></figure>\n", f);
    }
}

int t3d_page_html(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    int r;

    put_head(f);
    put_inputs(f, p);
    put_contents(f, p);
    r = t3di_put_targets(f, p, err);
    if (r == T3D_OK)
        r = t3di_put_summary(f, p, err);
    if (r == T3D_OK)
        r = t3di_put_comparisons(f, p, err);
    t3di_put_objects(f, p);
    put_pictures(f, p);
    if (r == T3D_OK)
        r = t3di_put_metrics(f, p, err);
    t3di_put_items(f, p);
    if (r == T3D_OK)
        r = t3di_put_training(f, p, err);
    t3di_put_rows(f, p);
    t3di_put_speed(f, p);
    fprintf(f, "<script>%s</script>\n<script>%s</script>\n</body></html>\n", t3di_page_tables,
            t3di_page_viewer);
    return r;
}
