/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sample.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"

char *t3d_sample_captions(const struct t3d_object *o, struct t3d_arena *a)
{
    size_t n = 1;
    char *text, *p;

    for (size_t i = 0; i < o->n_captions; i++)
        n += strlen(o->caption[i]) + 1;
    p = text = t3d_alloc(a, n, 1);
    for (size_t i = 0; text && i < o->n_captions; i++) {
        size_t k = strlen(o->caption[i]);
        for (size_t j = 0; j < k; j++)
            *p++ = o->caption[i][j] == '\n' || o->caption[i][j] == '\r' ? ' ' : o->caption[i][j];
        *p++ = '\n';
    }
    return text;
}

cJSON *t3d_sample_json(const struct t3d_object *o)
{
    cJSON *j = cJSON_CreateObject(), *list;

    t3d_json_set_str(j, "uid", o->uid);
    t3d_json_set_str(j, "content", o->content);
    t3d_json_set_str(j, "source", o->source ? o->source : "");
    t3d_json_set_str(j, "license", o->license ? o->license : "NOASSERTION");
    list = cJSON_AddArrayToObject(j, "captions");
    for (size_t i = 0; i < o->n_captions; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(o->caption[i]));
    return j;
}
