/* SPDX-License-Identifier: Apache-2.0 */
/* model/training_text.h -- what every training run writes down in the same words. */
#ifndef T3D_MODEL_TRAINING_TEXT_H
#define T3D_MODEL_TRAINING_TEXT_H

#include <cjson/cJSON.h>

#include "model/loader.h"
#include "net/tokenize_clip.h"

/* What decides a run's result, as JSON text: the caller's settings, the data and the tokenizer
 * (NULL = no text). free(); NULL = out of memory. */
char *t3d_training_settings(const cJSON *settings, const struct t3d_loader *data,
                            const struct t3d_clip_tokenizer *tokenizer);
/* The summary at the end of the log: sizes of the model (vocabulary 0 = no text)
 * and of its data. */
void t3d_training_summary(cJSON *line, int64_t parameters, int vocabulary,
                          const struct t3d_loader *data, int threads);

#endif
