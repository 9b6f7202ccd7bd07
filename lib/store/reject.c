/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reject.h"

#include "base/json.h"

cJSON *t3d_reject_record(const char *uid, const char *stage, const char *status, const char *reason,
                         double value, const char *message)
{
    cJSON *o = cJSON_CreateObject();
    int bad = !o || t3d_json_set_str(o, "uid", uid) || t3d_json_set_str(o, "stage", stage) ||
              t3d_json_set_str(o, "status", status) || t3d_json_set_str(o, "reason", reason) ||
              t3d_json_set_num(o, "value", value);

    if (!bad && *message)
        bad = t3d_json_set_str(o, "message", message);
    if (!bad)
        return o;
    cJSON_Delete(o);
    return NULL;
}

int t3d_reject_write(FILE *f, const char *uid, const char *stage, const char *status,
                     const struct t3d_err *why, const char *path, struct t3d_err *err)
{
    cJSON *o;
    int r;

    if (!f)
        return T3D_OK;
    o = t3d_reject_record(uid, stage, status, why->reason, why->value, why->msg);
    if (!o || (path && t3d_json_set_str(o, "path", path)))
        r = t3d_err_nomem(err, "a reject");
    else
        r = t3d_ndjson_write(f, o, err);
    cJSON_Delete(o);
    return r;
}
