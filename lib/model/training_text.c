/* SPDX-License-Identifier: Apache-2.0 */
#include "model/training_text.h"

#include "base/json.h"

char *t3d_training_settings(const cJSON *settings, const struct t3d_loader *data,
                            const char *text_hash)
{
    cJSON *all = cJSON_Duplicate(settings, 1);
    char *text;

    t3d_json_set_str(all, "data", t3d_loader_hash(data));
    if (text_hash)
        t3d_json_set_str(all, "tokenizer", text_hash);
    text = all ? t3d_json_text(all, 1) : NULL;
    cJSON_Delete(all);
    return text;
}

void t3d_training_summary(cJSON *line, int64_t parameters, int vocabulary,
                          const struct t3d_loader *data, int threads)
{
    t3d_json_set_num(line, "parameters", (double)parameters);
    if (vocabulary)
        t3d_json_set_num(line, "vocabulary", vocabulary);
    t3d_json_set_num(line, "objects", (double)t3d_loader_samples(data));
    t3d_json_set_num(line, "groups", (double)t3d_loader_groups(data));
    t3d_json_set_num(line, "views", t3d_loader_set_views(data));
    t3d_json_set_num(line, "threads", threads);
}
