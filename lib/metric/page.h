/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page.h -- what t3d measured as something to look at: one self-contained HTML page, or
 * tables for a pull request.
 *
 *     t3d_page_read(&input[i], path, err);                      each file
 *     t3d_page_object_load(&object[k], ..., err);               metric/page_object.h, where wanted
 *     t3d_page_html(f, &page, err);
 *
 * The page opens from a file: a content policy allows its own style and scripts, told by their
 * SHA-256, pictures inside it and a worker of its own, and nothing else; all text from inputs is
 * escaped. Its bytes depend on the inputs alone. */
#ifndef T3D_METRIC_PAGE_H
#define T3D_METRIC_PAGE_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_page_object;

enum t3d_page_kind {
    T3D_PAGE_REPORT,     /* a report (metric/report.h) */
    T3D_PAGE_COMPARISON, /* of t3d evaluate --compare */
    T3D_PAGE_SPEED,      /* rows of t3d bench speed */
    T3D_PAGE_TRAINING,   /* log.ndjson of a run */
    T3D_PAGE_ROWS        /* other lines of JSON, as those of bench captions and retrieval */
};

struct t3d_page_input {
    const char *name; /* of the file, for headings; borrowed from the path */
    enum t3d_page_kind kind;
    cJSON *json; /* the object, or an array of the lines' objects */
};

/* By content: an object of which t3d knows the form, or lines of JSON objects. T3D_SKIP
 * "missing-file", "not-json" (with the line), "not-a-report". */
int t3d_page_read(struct t3d_page_input *out, const char *path, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_page_input_close(struct t3d_page_input *in);

/* A PNG shown on the page. */
struct t3d_page_picture {
    const char *name;
    const uint8_t *png;
    size_t size;
};

struct t3d_page {
    const struct t3d_page_input *input;
    size_t n_inputs;
    const struct t3d_page_picture *picture;
    size_t n_pictures;
    const struct t3d_page_object *object; /* for the viewer */
    size_t n_objects;
    const char *note; /* on what is not in the page, NULL = nothing to say */
};

/* Items among the worst or best of some metric: those whose objects are shown first. The names are
 * borrowed from the inputs, the list is in the arena. */
int t3d_page_extremes(const char *const **uid, size_t *n, const struct t3d_page_input *in,
                      size_t n_inputs, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

/* T3D_FAIL only when memory is out; what f could not take its owner finds at close. */
int t3d_page_html(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;
/* Summaries, comparisons, rows and the ends of training as Markdown tables. */
int t3d_page_markdown(FILE *f, const struct t3d_page_input *in, size_t n,
                      struct t3d_err *err) T3D_MUST_CHECK;

#endif
