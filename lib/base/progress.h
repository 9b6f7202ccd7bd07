/* SPDX-License-Identifier: Apache-2.0 */
/* base/progress.h -- progress on stderr: a bar with rate and ETA on a terminal in the foreground,
 * else one line per 30 s, or with --progress=json one NDJSON object per interval
 * {"message_type":"progress","stage","done","total","failed","rejected","rate","eta_s"}.
 *
 * Thread-safe; t3d_progress_add may be called from workers. */
#ifndef T3D_BASE_PROGRESS_H
#define T3D_BASE_PROGRESS_H

#include <stdint.h>

struct t3d_progress;

/* mode: "auto", "bar", "json", "none". total 0 = unknown. Never fails: without memory there is no
 * bar, and NULL is accepted by the calls below. unit is a plural noun ("objects"). */
struct t3d_progress *t3d_progress_new(const char *mode, const char *stage, const char *unit,
                                      uint64_t total);
void t3d_progress_total(struct t3d_progress *p, uint64_t total);
/* One more object: grade 0 done, 1 rejected, 2 failed. */
void t3d_progress_add(struct t3d_progress *p, int grade);
/* Clears the bar, or prints the last line; frees. */
void t3d_progress_free(struct t3d_progress *p);

#endif
