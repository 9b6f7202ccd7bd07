/* SPDX-License-Identifier: Apache-2.0 */
/* store/status.h -- how far a workspace is.
 *
 * {"workspace","objects","captioned","splits":{"train":..},"stages":[{"stage","ok","rejected",
 * "reasons":{REASON:n},"failed","failures":{REASON:n},"other","claimed","to_do"}],"bytes":{"objects",
 * "renders"}}. Stages stand in the order of the chain; filter and render are always there. to_do
 * counts objects without a result of the stage that no stage has rejected. Bytes are those on the
 * disk. */
#ifndef T3D_STORE_STATUS_H
#define T3D_STORE_STATUS_H

#include <cjson/cJSON.h>

#include "base/err.h"

/* *out: caller frees. Errors as t3d_manifest_open (read only). */
int t3d_status(cJSON **out, const char *workspace, struct t3d_err *err) T3D_MUST_CHECK;

#endif
