/* SPDX-License-Identifier: Apache-2.0 */
/* geom/import_impl.h -- for tests: an importer whose child is not to be trusted. */
#ifndef T3D_GEOM_IMPORT_IMPL_H
#define T3D_GEOM_IMPORT_IMPL_H

#include "base/sandbox.h"
#include "geom/import.h"

/* As t3d_importer_open, with run in the children; it is called with a request of geom/import.c and
 * two descriptors, the file and the memory file for the result. */
int t3di_importer_open(struct t3d_importer **im, int threads,
                       const struct t3d_import_limits *limits, t3d_sandbox_main *run,
                       struct t3d_err *err) T3D_MUST_CHECK;

#endif
