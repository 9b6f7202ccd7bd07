/* SPDX-License-Identifier: Apache-2.0 */
/* metric/file_hash.h -- the content of a mesh, cloud or picture, for caches. */
#ifndef T3D_METRIC_FILE_HASH_H
#define T3D_METRIC_FILE_HASH_H

#include "base/err.h"
#include "geom/import.h"

/* SHA-256 over the file and, for 3D files, the names and contents of the files that it names, asked
 * through the importer's sandbox. */
int t3d_file_hash(char hex[65], struct t3d_importer *importer, int thread, const char *path,
                  struct t3d_err *err) T3D_MUST_CHECK;

#endif
