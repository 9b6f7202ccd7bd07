/* SPDX-License-Identifier: Apache-2.0 */
/* num/report.h -- a graph's plan and profile for people, and the batch that fits.
 *
 *     --plan of a tool: build with struct t3d_plan.dry, t3d_report_plan(stdout, g),
 *     t3d_report_largest_batch(make, model, t3d_report_memory(), ...) */
#ifndef T3D_NUM_REPORT_H
#define T3D_NUM_REPORT_H

#include <stdio.h>

#include "num/graph.h"

/* Memory by kind (MiB, and what it would be without planning) and GFLOP forward and backward; a few
 * lines of text. -1 = the file cannot be written. */
int t3d_report_plan(FILE *to, const struct t3d_graph *g) T3D_MUST_CHECK;

/* Times since build (plan.profile) by op, longest first, then the `nodes` slowest nodes: ms forward
 * and backward, share of all, GFLOP/s. -1 = the file cannot be written. */
int t3d_report_profile(FILE *to, const struct t3d_graph *g, int nodes) T3D_MUST_CHECK;

/* Makes the graph of a batch, built dry; NULL = error. */
typedef struct t3d_graph *t3d_report_make(void *arg, int64_t batch, struct t3d_err *err);

/* The largest batch up to `most` whose graph needs at most `bytes`, 0 = not even one sample;
 * memory must not shrink as the batch grows. It makes about 2 log2(batch) plans and allocates
 * nothing. */
int t3d_report_largest_batch(t3d_report_make *make, void *arg, size_t bytes, int64_t most,
                             int64_t *batch, struct t3d_err *err) T3D_MUST_CHECK;

/* Bytes that this process may still allocate: what the system says is available, within the
 * cgroup's limit. */
size_t t3d_report_memory(void);

#endif
