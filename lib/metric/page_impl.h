/* SPDX-License-Identifier: Apache-2.0 */
/* metric/page_impl.h -- the parts of a page: text that is safe to show, charts, sections. */
#ifndef T3D_METRIC_PAGE_IMPL_H
#define T3D_METRIC_PAGE_IMPL_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "metric/page.h"

/* --- text (page_text.c) --- */

enum { T3DI_NUMBER = 32, T3DI_COLOURS = 6 };

/* The only way by which text of an input gets onto a page: markup and control characters become
 * harmless, in content and in quoted attributes alike. */
void t3di_put_text(FILE *f, const char *s);
/* A metric's full name, which may be broken behind its colons. */
void t3di_put_id(FILE *f, const char *id);
/* Four digits; "n/a" for what is no number. */
const char *t3di_number(double v, char buf[T3DI_NUMBER]);
void t3di_put_base64(FILE *f, const uint8_t *data, size_t n);
/* A cell of a table: shown with four digits, sorted by the whole number; empty and last without
 * one. */
void t3di_put_cell(FILE *f, double v);
/* The beginning of a table that sorts; id may be NULL. */
void t3di_put_table(FILE *f, const char *id);
/* The coloured square of input i, and its letter. */
void t3di_put_key(FILE *f, size_t i);
char t3di_letter(size_t i);

/* --- style and scripts (page_assets.c, from the files in page/) --- */

extern const char t3di_page_style[], t3di_page_tables[], t3di_page_viewer[];

/* --- values of a metric (page_values.c) --- */

struct t3di_value {
    double value;
    const char *uid; /* borrowed from the report */
    size_t index;
};

struct t3di_values {
    struct t3di_value *v; /* (n) rising, ties in the order of items; free() */
    size_t n;
};

/* Of all items that have the metric as a finite number. */
int t3di_values_collect(struct t3di_values *out, const cJSON *report, const char *id,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* First member of an object or array; NULL when there is none. */
const cJSON *t3di_first(const cJSON *o);
/* The same of an object, whose members have names; NULL for an array. */
const cJSON *t3di_members(const cJSON *o);
/* summary[id] of a report; NULL for other inputs too. */
const cJSON *t3di_summary(const struct t3d_page_input *in, const char *id);
/* Whether one of n inputs is of that kind. */
int t3di_has(const struct t3d_page_input *in, size_t n, enum t3d_page_kind kind);
/* The number behind "< " or "> " of a target; NAN without one. */
double t3di_bound(const cJSON *summary);
/* Calls fn for the summary of every metric once, in the order of the inputs. */
int t3di_each_metric(const struct t3d_page *p,
                     int (*fn)(FILE *f, const struct t3d_page *p, const cJSON *summary,
                               struct t3d_err *err),
                     FILE *f, struct t3d_err *err) T3D_MUST_CHECK;

/* --- charts (page_chart.c): inline SVG --- */

struct t3di_histogram {
    const struct t3di_values *values; /* (n), one for each input; n 0 where it has none */
    const double *mean;               /* (n) NAN = none */
    size_t n;
    double floor, bound; /* marked where they lie inside; NAN = none */
};
void t3di_put_histogram(FILE *f, const struct t3di_histogram *h);

struct t3di_series {
    double *x, *y; /* (n) x rising */
    size_t n, colour;
};
void t3di_put_curves(FILE *f, const struct t3di_series *s, size_t n, const char *name);

/* Parts of a whole as one bar; part[i] is named name[i]. */
void t3di_put_shares(FILE *f, const double *part, const char *const *name, size_t n);

/* --- sections; each writes nothing where no input has what it shows --- */

int t3di_put_targets(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_put_summary(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;
int t3di_has_comparison(const struct t3d_page *p);
int t3di_put_comparisons(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_put_objects(FILE *f, const struct t3d_page *p);
int t3di_put_metrics(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_put_items(FILE *f, const struct t3d_page *p);
void t3di_put_speed(FILE *f, const struct t3d_page *p);
void t3di_put_rows(FILE *f, const struct t3d_page *p);
int t3di_put_training(FILE *f, const struct t3d_page *p, struct t3d_err *err) T3D_MUST_CHECK;

#endif
