/* SPDX-License-Identifier: Apache-2.0 */
/* net/embed_stage.h -- captions and views of a workspace's objects to rows, as a stage of the
 * record loop (store/stage.h): embeddings/<model>/. While the network works on one batch of
 * objects, other threads read, decode and resize the next. */
#ifndef T3D_NET_EMBED_STAGE_H
#define T3D_NET_EMBED_STAGE_H

#include <cjson/cJSON.h>

#include "net/encoder.h"
#include "store/stage.h"

struct t3d_embed_stage {
    const char *model;   /* the stage is embed/<model> */
    const char *dir;     /* of the rows */
    const char *output;  /* where the user wants them, part of the key; NULL = as always */
    const char *renders; /* name of the folder of shards, as in render/<name>; when views */
    const char *renders_dir;
    const cJSON *about; /* how the rows are made */
    int texts, views, tokens, half;
    size_t batch; /* inputs of a call; 0 = chosen */
};

int t3d_embed_stage_run(struct t3d_encoder *e, const struct t3d_embed_stage *o,
                        struct t3d_manifest *m, const struct t3d_common *common,
                        struct t3d_stage_summary *summary, struct t3d_err *err) T3D_MUST_CHECK;

#endif
