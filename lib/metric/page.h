/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page.h -- reports (metric/report.h) as something to look at: one self-contained HTML page,
 * or a table for a pull request.
 *
 * The page opens from a file: a content policy allows its own style and script, told by their
 * SHA-256, and pictures inside it, and nothing else; all text from reports is escaped. Its bytes
 * depend on the reports alone. */
#ifndef T3D_METRIC_PAGE_H
#define T3D_METRIC_PAGE_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct t3d_page_report {
    const char *name; /* of the file, for headings */
    const cJSON *json;
};

/* A PNG shown on the page. */
struct t3d_page_picture {
    const char *name;
    const uint8_t *png;
    size_t size;
};

/* Summaries side by side, targets, a histogram of each metric, its worst and best items, and all
 * items in tables that sort. T3D_FAIL only when memory is out; what f could not take its owner
 * finds at close. */
int t3d_page_html(FILE *f, const struct t3d_page_report *report, size_t n,
                  const struct t3d_page_picture *picture, size_t n_pictures,
                  struct t3d_err *err) T3D_MUST_CHECK;
/* The summaries as a Markdown table. */
void t3d_page_markdown(FILE *f, const struct t3d_page_report *report, size_t n);

#endif
