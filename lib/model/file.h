/* SPDX-License-Identifier: Apache-2.0 */
/* model/file.h -- the files of a model's folder: weights and JSON. */
#ifndef T3D_MODEL_FILE_H
#define T3D_MODEL_FILE_H

#include <cjson/cJSON.h>

#include "num/graph.h"
#include "store/safetensors.h"

/* DIR/NAME; takes json over (NULL = memory was out). */
int t3d_model_write_json(const char *dir, const char *name, cJSON *json,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* All parameters of a built graph to DIR/model.safetensors, as F32 or F16. The bytes depend on the
 * weights and meta alone. */
int t3d_model_write_weights(const char *dir, struct t3d_graph *g, enum t3d_tensor_type type,
                            const struct t3d_safetensors_pair *meta, size_t n_meta,
                            struct t3d_err *err) T3D_MUST_CHECK;
/* The parameters of a built graph from a file or folder: every one with its shape, no other tensor,
 * every number finite. T3D_SKIP "bad-weights" names the tensor. hash: of the file's tensors, in
 * hex, or NULL. */
int t3d_model_read_weights(const char *path, struct t3d_graph *g, char *hash,
                           struct t3d_err *err) T3D_MUST_CHECK;

#endif
