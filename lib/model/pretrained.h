/* SPDX-License-Identifier: Apache-2.0 */
/* model/pretrained.h -- begin a training run with the weights of another model: each parameter that
 * has the name and shape of a tensor there is that tensor.
 *
 * The source is a .safetensors file or a folder with one. In a checkpoint of a run the averaged
 * weights (ema/NAME) are taken, else weight/NAME. What a text means is known only with its
 * vocabulary: text.* is taken where the config.json beside the file (of a checkpoint: one folder
 * up) names the same tokenizer, or the same text encoders. */
#ifndef T3D_MODEL_PRETRAINED_H
#define T3D_MODEL_PRETRAINED_H

#include <cjson/cJSON.h>

#include "base/hash.h"
#include "num/graph.h"

struct t3d_pretrained_report {
    int matched;                  /* parameters that were taken */
    int missing;                  /* not in the source: as they were */
    int other_shape;              /* in the source with another shape: as they were */
    int other_text;               /* text.* of another vocabulary: as they were */
    int unused;                   /* tensors of the source that no parameter has the name of */
    int64_t numbers, all_numbers; /* taken, and of the model */
    char hash[T3D_SHA256_HEX];    /* of the source's files */
};

/* tokenizer_hash: of what the model's text means, NULL = it has none. *names, where not NULL: the
 * names behind the counts and the hash, for a file. T3D_SKIP "missing-file", "bad-safetensors",
 * "bad-weights" (a number that is not finite); T3D_USAGE "nothing-fits" when no parameter matches.
 */
int t3d_pretrained_load(const char *path, struct t3d_graph *g, const char *tokenizer_hash,
                        struct t3d_pretrained_report *report, cJSON **names,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* The same for a run in `dir`, which gets pretrained.json with the names. */
int t3d_pretrained_begin(const char *path, const char *dir, struct t3d_graph *g,
                         const char *tokenizer_hash, struct t3d_pretrained_report *report,
                         struct t3d_err *err) T3D_MUST_CHECK;
/* The hash alone. */
int t3d_pretrained_hash(const char *path, char hash[T3D_SHA256_HEX],
                        struct t3d_err *err) T3D_MUST_CHECK;
/* Before a vocabulary is made in `dir`: that of the source, where it has one and dir has none. */
int t3d_pretrained_vocabulary(const char *path, const char *dir,
                              struct t3d_err *err) T3D_MUST_CHECK;

#endif
