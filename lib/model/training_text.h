/* SPDX-License-Identifier: Apache-2.0 */
/* model/training_text.h -- what every training run writes down in the same words. */
#ifndef T3D_MODEL_TRAINING_TEXT_H
#define T3D_MODEL_TRAINING_TEXT_H

#include <cjson/cJSON.h>

#include "model/loader.h"

/* What decides a run's result, as JSON text: the caller's settings, the data and the hash of what
 * its text means, the tokenizer's for one (NULL = no text). free(); NULL = out of memory. */
char *t3d_training_settings(const cJSON *settings, const struct t3d_loader *data,
                            const char *text_hash);
/* The summary at the end of the log: sizes of the model (vocabulary 0 = no text)
 * and of its data. */
void t3d_training_summary(cJSON *line, int64_t parameters, int vocabulary,
                          const struct t3d_loader *data, int threads);

#endif
