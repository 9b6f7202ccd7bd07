/* SPDX-License-Identifier: Apache-2.0 */
/* model/run_dir.h -- runs/NAME: one process at a time, nothing left of dead ones. */
#ifndef T3D_MODEL_RUN_DIR_H
#define T3D_MODEL_RUN_DIR_H

#include <cjson/cJSON.h>

#include "base/err.h"

/* Make the folder if it is missing and take it: *fd holds the lock until it is closed. With `anew`
 * what is in it goes first; temporary files of killed processes go always. T3D_RETRY "run-in-use"
 * when another process has it. */
int t3d_run_dir_open(int *fd, const char *dir, int anew, struct t3d_err *err) T3D_MUST_CHECK;

/* DIR/run.json: the settings that a run was begun with. *settings NULL when it is not there. */
int t3d_run_dir_read(cJSON **settings, const char *dir, struct t3d_err *err) T3D_MUST_CHECK;
int t3d_run_dir_write(const cJSON *settings, const char *dir, struct t3d_err *err) T3D_MUST_CHECK;

#endif
