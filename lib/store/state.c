/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/json.h"
#include "store/manifest_impl.h"

static const char *const state_name[] = {"none",    "ok",       "reject", "fail",
                                         "missing", "modified", "claimed"};

const char *t3d_state_name(enum t3d_state_code s)
{
    return (size_t)s < T3D_COUNT(state_name) ? state_name[s] : "none";
}

int t3d_state_code(const char *name)
{
    for (size_t i = 0; i < T3D_COUNT(state_name); i++)
        if (strcmp(name, state_name[i]) == 0)
            return (int)i;
    return -1;
}

/* --- stage names
 * ----------------------------------------------------------------------------------- */

int t3di_stages(struct t3d_manifest *m, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int r = t3di_query(m, &st, err, "SELECT id, name FROM stage ORDER BY id", "");

    m->n_stages = 0;
    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) {
        const char *name = (const char *)sqlite3_column_text(st, 1);
        if (sqlite3_column_int(st, 0) != m->n_stages + 1 || m->n_stages == T3DI_MAX_STAGES ||
            strlen(name) >= sizeof m->stage[0])
            r = t3d_err_set(err, T3D_FAIL, "damaged-manifest", "the table of stages is damaged");
        else
            snprintf(m->stage[m->n_stages++], sizeof m->stage[0], "%s", name);
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

static int stage_lookup(const struct t3d_manifest *m, const char *name)
{
    for (int i = 0; i < m->n_stages; i++)
        if (strcmp(m->stage[i], name) == 0)
            return i + 1;
    return 0;
}

int t3di_stage(struct t3d_manifest *m, const char *name, int create, int *id, struct t3d_err *err)
{
    int r;

    *id = stage_lookup(m, name);
    if (*id)
        return T3D_OK;
    r = t3di_stages(m, err);
    *id = stage_lookup(m, name);
    if (r < 0 || *id)
        return r;
    if (!create)
        return T3D_END;
    if (strlen(name) >= sizeof m->stage[0] || m->n_stages == T3DI_MAX_STAGES)
        return t3d_err_set(err, T3D_FAIL, "bad-stage", "'%s' cannot be one more stage", name);
    r = t3di_exec(m, err,
                  "INSERT OR IGNORE INTO stage(id, name) SELECT count(*) + 1, ?1 FROM stage", "t",
                  name);
    if (r == T3D_OK)
        r = t3di_stages(m, err);
    *id = stage_lookup(m, name);
    return r;
}

/* --- measures
 * -------------------------------------------------------------------------------------- */

int t3d_manifest_put_measures(struct t3d_manifest *m, int64_t num, const char *stage,
                              const cJSON *json, struct t3d_err *err)
{
    char *text = t3d_json_text(json, 0);
    int id, own, r;

    if (!text)
        return t3d_err_nomem(err, "measures");
    r = t3di_begin(m, &own, err);
    if (r == T3D_OK) {
        r = t3di_stage(m, stage, 1, &id, err);
        if (r == T3D_OK)
            r = t3di_exec(m, err,
                          "INSERT INTO measure(num, stage, json) VALUES(?1, ?2, ?3) ON CONFLICT DO "
                          "UPDATE SET json = excluded.json WHERE json IS NOT excluded.json",
                          "iit", num, (int64_t)id, text);
        r = t3di_end(m, own, r, err);
    }
    free(text);
    return r;
}

int t3d_manifest_find_measures(struct t3d_manifest *m, int64_t num, const char *stage, cJSON **json,
                               struct t3d_err *err)
{
    sqlite3_stmt *st;
    int id, r = t3di_stage(m, stage, 0, &id, err);

    *json = NULL;
    if (r != T3D_OK)
        return r < 0 ? r : T3D_OK;
    r = t3di_query(m, &st, err, "SELECT json FROM measure WHERE num = ?1 AND stage = ?2", "ii", num,
                   (int64_t)id);
    if (r == T3D_OK)
        r = t3di_step(m, st, err);
    if (r == T3D_OK && !(*json = cJSON_Parse((const char *)sqlite3_column_text(st, 0))))
        r = t3d_err_set(err, T3D_FAIL, "damaged-manifest",
                        "the %s measures of object number %lld are not JSON", stage,
                        (long long)num);
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

/* --- states
 * ---------------------------------------------------------------------------------------- */

int t3d_manifest_put_state(struct t3d_manifest *m, const char *stage, int64_t num,
                           const struct t3d_state *s, struct t3d_err *err)
{
    int id, own, r = t3di_begin(m, &own, err);

    if (r < 0)
        return r;
    r = t3di_stage(m, stage, 1, &id, err);
    if (r == T3D_OK)
        r = t3di_exec(m, err,
                      "INSERT INTO stage_state(stage, num, state, attempt, key, reason, value, "
                      "message) VALUES(?1, ?2, ?3, 1, ?4, nullif(?5, ''), ?6, nullif(?7, '')) ON "
                      "CONFLICT DO UPDATE SET state = excluded.state, attempt = iif(key IS "
                      "excluded.key, attempt, 0) + 1, key = excluded.key, reason = "
                      "excluded.reason, value = excluded.value, message = excluded.message, owner "
                      "= NULL",
                      "iiixtdt", (int64_t)id, num, (int64_t)s->code, s->key, s->reason, s->value,
                      s->message);
    return t3di_end(m, own, r, err);
}

static void column_state(sqlite3_stmt *st, struct t3d_state *s)
{
    const char *reason = (const char *)sqlite3_column_text(st, 3);
    const char *message = (const char *)sqlite3_column_text(st, 5);

    s->code = (enum t3d_state_code)sqlite3_column_int(st, 0);
    s->attempt = sqlite3_column_int(st, 1);
    t3di_column_hex(st, 2, s->key, 32);
    snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
    s->value = sqlite3_column_type(st, 4) == SQLITE_NULL ? NAN : sqlite3_column_double(st, 4);
    snprintf(s->message, sizeof s->message, "%s", message ? message : "");
    if (sqlite3_column_type(st, 6) != SQLITE_NULL)
        s->code = T3D_STATE_CLAIMED;
}

int t3d_manifest_find_state(struct t3d_manifest *m, const char *stage, int64_t num,
                            struct t3d_state *s, struct t3d_err *err)
{
    sqlite3_stmt *st;
    int id, r = t3di_stage(m, stage, 0, &id, err);

    memset(s, 0, sizeof *s);
    s->value = NAN;
    if (r != T3D_OK)
        return r < 0 ? r : T3D_OK;
    r = t3di_query(
        m, &st, err,
        "SELECT state, attempt, key, reason, value, message, owner FROM stage_state WHERE "
        "stage = ?1 AND num = ?2",
        "ii", (int64_t)id, num);
    if (r == T3D_OK)
        r = t3di_step(m, st, err);
    if (r == T3D_OK)
        column_state(st, s);
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

int t3d_manifest_stage_has_run(struct t3d_manifest *m, const char *stage)
{
    int64_t found = 0;
    int id;

    if (t3di_stage(m, stage, 0, &id, NULL) != T3D_OK)
        return 0;
    (void)!t3di_int(m, &found, 0, NULL,
                    "SELECT 1 FROM stage_state WHERE stage = ?1 AND state > 0 LIMIT 1", "i",
                    (int64_t)id);
    return found == 1;
}
