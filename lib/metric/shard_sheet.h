/* SPDX-License-Identifier: Apache-2.0 */
/* metric/shard_sheet.h -- a look at rendered shards: a contact sheet of their first samples, one
 * row each. */
#ifndef T3D_METRIC_SHARD_SHEET_H
#define T3D_METRIC_SHARD_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_SHARD_SHEET_COLUMNS = 10 };

/* Reads the shards DIR/NAME.tar in the order of their names and writes a sheet of at most rows
 * samples to path, whole or not at all: key and first caption above the colour pictures, of which
 * at most T3D_SHARD_SHEET_COLUMNS of the sample's `views` are taken, evenly. *n is the number of
 * rows; with 0 nothing is written. */
int t3d_shard_sheet(const char *path, const char *dir, const char *title, size_t views,
                    uint64_t rows, uint64_t *n, struct t3d_err *err) T3D_MUST_CHECK;

#endif
