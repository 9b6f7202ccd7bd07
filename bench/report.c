/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-report: reports of evaluate and bench as a page to look at. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/tool.h"
#include "image/image.h"
#include "metric/page.h"
#include "metric/report.h"

struct conf {
    struct t3d_common common;
    const char *output, *format;
    struct t3d_list pictures;
};

static const struct t3d_opt opts[] = {
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "FILE", NULL, NULL,
     "the page; else report.html, or standard output with --format md"},
    {0, "format", T3D_OPT_STRING, offsetof(struct conf, format), "NAME", "html", "html md",
     "html: one self-contained page; md: a table for a pull request"},
    {0, "pictures", T3D_OPT_FILES, offsetof(struct conf, pictures), "FILE", NULL, NULL,
     "contact sheets (.png) to show on the page"},
    {0}};

enum { MAX_PICTURE = 64 << 20 };

struct run {
    const struct conf *conf;
    struct t3d_page_report *report;
    cJSON **json;
    struct t3d_page_picture *picture;
    struct t3d_blob *blob;
    struct t3d_arena arena;
};

static int read_reports(struct run *x, struct t3d_err *err)
{
    size_t n = x->conf->common.operands.n;

    x->report = t3d_alloc(&x->arena, n + 1, sizeof *x->report);
    x->json = t3d_alloc(&x->arena, n + 1, sizeof *x->json);
    if (!x->report || !x->json)
        return t3d_err_nomem(err, "the reports");
    for (size_t i = 0; i < n; i++) {
        const char *path = x->conf->common.operands.item[i];
        int r = t3d_report_read(&x->json[i], path, err);

        if (r < 0)
            return r;
        x->report[i] = (struct t3d_page_report){t3d_path_base(path), x->json[i]};
    }
    return T3D_OK;
}

static int read_pictures(struct run *x, struct t3d_err *err)
{
    size_t n = x->conf->pictures.n;

    x->picture = t3d_alloc(&x->arena, n + 1, sizeof *x->picture);
    x->blob = t3d_alloc(&x->arena, n + 1, sizeof *x->blob);
    if (!x->picture || !x->blob)
        return t3d_err_nomem(err, "the pictures");
    for (size_t i = 0; i < n; i++) {
        const char *path = x->conf->pictures.item[i];
        struct t3d_image_info info;
        int r = t3d_blob_open(&x->blob[i], path, MAX_PICTURE, err);

        if (r == T3D_OK)
            r = t3d_image_probe(&info, x->blob[i].data, x->blob[i].size, err);
        if (r == T3D_OK && info.format != T3D_IMAGE_PNG)
            r = t3d_err_set(err, T3D_SKIP, "not-a-png", "it is not a PNG");
        if (r < 0)
            return t3d_err_prefix(err, "--pictures %s", path);
        x->picture[i] =
            (struct t3d_page_picture){t3d_path_base(path), x->blob[i].data, x->blob[i].size};
    }
    return T3D_OK;
}

static int write_page(struct run *x, const char *path, int html, struct t3d_err *err)
{
    size_t n = x->conf->common.operands.n;
    struct t3d_out out = {0};
    int r = t3d_out_open(&out, path, err);

    if (r < 0)
        return r;
    if (html)
        r = t3d_page_html(out.f, x->report, n, x->picture, x->conf->pictures.n, err);
    else
        t3d_page_markdown(out.f, x->report, n);
    if (r == T3D_OK)
        return t3d_out_commit(&out, 0, err);
    t3d_out_abort(&out);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct run x = {.conf = conf};
    int html = strcmp(x.conf->format, "html") == 0;
    const char *path = x.conf->output ? x.conf->output : html ? "report.html" : NULL;
    int r = T3D_OK;

    if (x.conf->common.operands.n + x.conf->pictures.n == 0)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "say what to show: t3d report results.json, or --pictures sheet.png");
    if (r == T3D_OK)
        r = read_reports(&x, err);
    if (r == T3D_OK)
        r = read_pictures(&x, err);
    if (r == T3D_OK && path)
        r = write_page(&x, path, html, err);
    else if (r == T3D_OK)
        t3d_page_markdown(stdout, x.report, x.conf->common.operands.n);
    if (r == T3D_OK && path)
        t3d_info("%s", path);
    for (size_t i = 0; x.json && i < x.conf->common.operands.n; i++)
        cJSON_Delete(x.json[i]);
    for (size_t i = 0; x.blob && i < x.conf->pictures.n; i++)
        t3d_blob_close(&x.blob[i]);
    t3d_arena_free(&x.arena);
    return r;
}

static const struct t3d_command command = {.operands = "[FILE...]",
                                           .summary = "show reports as a page",
                                           .opts = opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "report",
    .summary = "show reports as a page",
    .about = "Reads the JSON of evaluate and bench and writes one HTML page that needs nothing "
             "else: summaries with targets and noise floors, several runs side by side, a "
             "histogram and the worst and best items of each metric, and tables that sort by a "
             "click on a heading. It opens from a file and loads nothing from anywhere.",
    .commands = commands};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
