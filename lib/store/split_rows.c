/* SPDX-License-Identifier: Apache-2.0 */
#include "store/split_rows.h"

#include "store/manifest_impl.h"

/* A stage is ok for o; stage number 0 is always ok. */
#define IS_OK(n)                                                                                   \
    "(" n " = 0 OR EXISTS (SELECT 1 FROM stage_state WHERE stage = " n " AND num = o.num AND "     \
    "state = 1 AND owner IS NULL))"

static const char sql[] =
    "SELECT o.num, o.uid, o.split, o.split_given, o.\"group\", m.json ->> '$.geometry_hash',"
    " k.key IS ?3 AND k.state = 1 FROM object o"
    " LEFT JOIN measure m ON m.num = o.num AND m.stage = ?1"
    " LEFT JOIN stage_state k ON k.stage = ?2 AND k.num = o.num"
    " WHERE o.num BETWEEN ?4 AND ?9 AND " IS_OK("?5") " AND " IS_OK("?6") " AND " IS_OK(
        "?7") " AND " IS_OK("?8") " ORDER BY o.num";

/* Number of the stage; -1 when it has never run, which no object has. */
static int stage_number(struct t3d_manifest *m, const char *name, int64_t *id, struct t3d_err *err)
{
    int n, r = t3di_stage(m, name, 0, &n, err);

    *id = r == T3D_OK ? n : -1;
    return r < 0 ? r : T3D_OK;
}

int t3d_split_rows(struct t3d_manifest *m, const char *const *needs, const char key[65],
                   int64_t num,
                   int (*each)(void *ctx, const struct t3d_split_row *row, struct t3d_err *err),
                   void *ctx, struct t3d_err *err)
{
    int64_t filter, splits, need[T3D_SPLIT_NEEDS] = {0};
    struct t3d_split_row row;
    sqlite3_stmt *st = NULL;
    int r = stage_number(m, "filter", &filter, err);

    if (r == T3D_OK)
        r = stage_number(m, "splits", &splits, err);
    for (int i = 0; i < T3D_SPLIT_NEEDS && needs[i] && r == T3D_OK; i++)
        r = stage_number(m, needs[i], &need[i], err);
    if (r == T3D_OK)
        r = t3di_query(m, &st, err, sql, "iixiiiiii", filter, splits, key, T3D_MAX(num, 0), need[0],
                       need[1], need[2], need[3], num < 0 ? INT64_MAX : num);
    while (r == T3D_OK && (r = t3di_step(m, st, err)) == T3D_OK) {
        row.num = sqlite3_column_int64(st, 0);
        row.uid = (const char *)sqlite3_column_text(st, 1);
        row.stored = t3d_split_from((const char *)sqlite3_column_text(st, 2));
        row.given = sqlite3_column_int(st, 3);
        row.group = (const char *)sqlite3_column_text(st, 4);
        row.geometry = (const char *)sqlite3_column_text(st, 5);
        row.keyed = sqlite3_column_int(st, 6);
        r = each(ctx, &row, err);
        if (r != T3D_OK)
            t3di_done(st);
    }
    return r == T3D_END ? T3D_OK : r;
}
