/* SPDX-License-Identifier: Apache-2.0 */
/* store/safetensors.h -- weights in safetensors files, whole or in shards
 * (huggingface/safetensors: README.md and safetensors/src/tensor.rs).
 *
 *     struct t3d_safetensors s;
 *     r = t3d_safetensors_open(&s, "clip/model.safetensors", err);
 *     const struct t3d_tensor *t = t3d_safetensors_find(&s, "visual_projection.weight");
 *     ...
 *     t3d_safetensors_close(&s);
 *
 * The file is mapped and the data stay in it. Every size and offset is checked: the header has at
 * most 100,000,000 bytes of UTF-8 JSON, the tensors cover the rest of the file with no hole, no
 * overlap and no byte behind them, names and keys are there once. Anything else is T3D_SKIP
 * "bad-safetensors" with a message that names the file, the tensor and the value; an element type
 * that t3d has no use for is "unsupported-type". */
#ifndef T3D_STORE_SAFETENSORS_H
#define T3D_STORE_SAFETENSORS_H

#include "base/arena.h"
#include "base/file.h"
#include "store/tensor.h"

struct t3d_safetensors_pair {
    const char *key, *value;
};

struct t3d_safetensors {
    struct t3d_tensor *tensor; /* (n) sorted by name */
    size_t n;
    struct t3d_safetensors_pair *meta; /* (n_meta) sorted by key; of shards: the first one's */
    size_t n_meta;
    struct t3d_blob *blob; /* (n_blobs) the mapped files */
    size_t n_blobs;
    struct t3d_arena arena; /* holds all of the above */
};

/* path is a .safetensors file, a ...safetensors.index.json beside its shards, or a folder that has
 * model.safetensors or model.safetensors.index.json. Shards are plain names in the index's folder;
 * the index and the shards must name the same tensors. */
int t3d_safetensors_open(struct t3d_safetensors *s, const char *path,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* The same from memory, which must outlive s. name is for messages. */
int t3d_safetensors_parse(struct t3d_safetensors *s, const void *data, size_t size,
                          const char *name, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_safetensors_close(struct t3d_safetensors *s);

/* Borrowed; NULL when there is none. */
const struct t3d_tensor *t3d_safetensors_find(const struct t3d_safetensors *s, const char *name);
const char *t3d_safetensors_meta(const struct t3d_safetensors *s, const char *key);

/* Write tensors (dense: stride is not looked at) by an atomic file, in the reference writer's
 * order (larger elements first, then by name), so every tensor is aligned to its element; metadata
 * by key. The bytes depend on the arguments alone, not on their order. */
int t3d_safetensors_write(const char *path, const struct t3d_tensor *tensor, size_t n,
                          const struct t3d_safetensors_pair *meta, size_t n_meta,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
