/* SPDX-License-Identifier: Apache-2.0 */
/* metric/report.h -- the report JSON, schema 1 (doc/formats.md): the same from evaluate, human and
 * bench.
 *
 *     t3d_report_new(&r, "evaluate", command, seed, err);
 *     cJSON_Add...(t3d_report_settings(r), ...);
 *     t3d_report_target(r, "chamfer:...", .002, T3D_LOWER, "< 0.002");
 *     t3d_report_add(r, item, err);                       for each, in order
 *     t3d_report_write(r, path, 1, err);
 *
 * A report is always written whole; one that is not complete says so, has the items so far, and is
 * what the next run resumes from. */
#ifndef T3D_METRIC_REPORT_H
#define T3D_METRIC_REPORT_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"
#include "metric/dialect.h"

struct t3d_report;

int t3d_report_new(struct t3d_report **out, const char *tool, const char *command, uint64_t seed,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_report_free(struct t3d_report *r);

/* "settings", to be filled; borrowed. */
cJSON *t3d_report_settings(struct t3d_report *r);
/* inputs[name] = sha256. */
void t3d_report_input(struct t3d_report *r, const char *name, const char *sha256);

/* What the summary says beside an ID. A target that is NAN is none. */
void t3d_report_metric(struct t3d_report *r, const char *id, enum t3d_better better, double target,
                       const char *target_text);
/* A number of the whole run in place of items' values, from n measurements: the summary has it as
 * its mean, without an interval. */
void t3d_report_value(struct t3d_report *r, const char *id, enum t3d_better better, double value,
                      size_t n, double target, const char *target_text);
/* A metric that is not measured, and why. */
void t3d_report_absent(struct t3d_report *r, const char *id, const char *target_text,
                       const char *reason);
/* The same of one that could not be measured: the items count as failed. */
void t3d_report_lost(struct t3d_report *r, const char *id, const char *target_text,
                     const char *reason);

/* Takes the item over: {"uid", "status": "ok" | "fail" | "missing", "reason"?, "message"?, "key"?,
 * "group"?, "metrics": {ID: value}, "floors"?: {ID: value}, "notes"?: {ID: text}, "failed"?:
 * {ID or "family:dialect": ...}}. An item that is not ok counts as failed in the summary of each
 * metric that it has no value of; where it has "failed", of those alone. */
int t3d_report_add(struct t3d_report *r, cJSON *item, struct t3d_err *err) T3D_MUST_CHECK;
/* The items so far, an array; borrowed. */
const cJSON *t3d_report_items(const struct t3d_report *r);
/* Items that are not ok. */
uint64_t t3d_report_failed(const struct t3d_report *r);

/* Writes the file whole or not at all; complete: with the summary, and where items have a group
 * with a summary of each group, "groups": {NAME: {ID: ...}}. */
int t3d_report_write(struct t3d_report *r, const char *path, int complete,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* The summary as it was written last; borrowed, NULL before. */
const cJSON *t3d_report_summary(const struct t3d_report *r);

/* A report file: T3D_SKIP "not-json", "not-a-report" (another schema). Caller frees. */
int t3d_report_read(cJSON **out, const char *path, struct t3d_err *err) T3D_MUST_CHECK;

/* Paired differences of b against a for every ID, over items of the same uid that are ok in both:
 * {"a", "b", "metrics": {ID: {"n", "mean_a", "mean_b", "difference", "ci95", "p", "p_holm",
 * "effect", "wins", "losses", "better"}}}, p_holm after Holm 1979 over all IDs. T3D_SKIP
 * "not-comparable" naming the IDs when the two do not have the same, or have none. A number of a
 * whole run has only means and difference. Caller frees. */
int t3d_report_compare(cJSON **out, const cJSON *a, const cJSON *b, uint64_t seed,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
