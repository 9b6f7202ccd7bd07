/* SPDX-License-Identifier: Apache-2.0 */
/* store/sample.h -- what a sample of a shard says of its object in words: members KEY.json and
 * KEY.txt. */
#ifndef T3D_STORE_SAMPLE_H
#define T3D_STORE_SAMPLE_H

#include "store/manifest.h"

/* KEY.txt: one caption a line, line breaks within a caption turned into blanks; "" without
 * captions. In the arena; NULL when memory is out. */
char *t3d_sample_captions(const struct t3d_object *o, struct t3d_arena *a);

/* KEY.json: {"uid", "content", "source", "license", "captions"}; the stage adds how it made the
 * sample. An unknown licence is NOASSERTION. Caller frees; NULL when memory is out. */
cJSON *t3d_sample_json(const struct t3d_object *o);

#endif
