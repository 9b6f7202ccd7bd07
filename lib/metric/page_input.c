/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "metric/page_impl.h"
#include "metric/report.h"

enum { EXTREMES = 5 };
#define MAX_BYTES (1u << 30)

/* --- reading --------------------------------------------------------------------------------- */

static int has(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key) != NULL;
}

static enum t3d_page_kind kind_of_rows(const cJSON *row)
{
    if (has(row, "stage") && has(row, "seconds"))
        return T3D_PAGE_SPEED;
    if (has(row, "step") || has(row, "parameters"))
        return T3D_PAGE_TRAINING;
    return T3D_PAGE_ROWS;
}

static int read_lines(struct t3d_page_input *out, FILE *f, const char *path, struct t3d_err *err)
{
    struct t3d_ndjson in;
    cJSON *row;
    int r;

    out->json = cJSON_CreateArray();
    if (!out->json)
        return t3d_err_nomem(err, path);
    t3d_ndjson_init(&in, f, path);
    while ((r = t3d_ndjson_next(&in, &row, err)) == T3D_OK)
        cJSON_AddItemToArray(out->json, row);
    t3d_ndjson_fini(&in);
    if (r == T3D_END && !t3di_first(out->json))
        r = t3d_err_set(err, T3D_SKIP, "not-a-report", "'%s' is empty", path);
    if (r == T3D_END) {
        out->kind = kind_of_rows(t3di_first(out->json));
        return T3D_OK;
    }
    return r;
}

/* A whole file that is one object with a form of its own; T3D_END when it is none. */
static int read_whole(struct t3d_page_input *out, const char *path, struct t3d_err *err)
{
    struct t3d_err why;
    int r = t3d_json_read(&out->json, path, MAX_BYTES, &why);

    if (r == T3D_SKIP && strcmp(why.reason, "not-json") == 0)
        return T3D_END;
    if (r < 0) {
        *err = why;
        return r;
    }
    out->kind = has(out->json, "schema") ? T3D_PAGE_REPORT : T3D_PAGE_COMPARISON;
    if (has(out->json, "n_common") && has(out->json, "metrics"))
        return T3D_OK;
    t3d_page_input_close(out);
    return out->kind == T3D_PAGE_REPORT ? t3d_report_read(&out->json, path, err) : T3D_END;
}

int t3d_page_read(struct t3d_page_input *out, const char *path, struct t3d_err *err)
{
    struct t3d_err ours;
    FILE *f;
    int r;

    if (!err)
        err = &ours;
    *out = (struct t3d_page_input){.name = t3d_path_base(path)};
    r = read_whole(out, path, err);
    if (r != T3D_END)
        return r;
    f = fopen(path, "re");
    if (!f)
        return t3d_err_sys(err, "cannot read", path);
    r = read_lines(out, f, path, err);
    fclose(f);
    if (r < 0)
        t3d_page_input_close(out);
    return r;
}

void t3d_page_input_close(struct t3d_page_input *in)
{
    cJSON_Delete(in->json);
    in->json = NULL;
}

/* --- extremes -------------------------------------------------------------------------------- */

static size_t count_metrics(const struct t3d_page_input *in, size_t n)
{
    size_t metrics = 0;

    for (size_t i = 0; i < n; i++)
        metrics +=
            (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(in[i].json, "summary"));
    return metrics;
}

static void add_ends(const char **list, size_t *n, const struct t3di_values *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (i < EXTREMES || i + EXTREMES >= v->n)
            list[(*n)++] = v->v[i].uid;
}

int t3d_page_extremes(const char *const **uid, size_t *n, const struct t3d_page_input *in,
                      size_t n_inputs, struct t3d_arena *a, struct t3d_err *err)
{
    const char **list = t3d_alloc(a, 2 * EXTREMES * count_metrics(in, n_inputs) + 1, sizeof *list);
    int r = list ? T3D_OK : t3d_err_nomem(err, "the worst and best items");

    *n = 0;
    *uid = list;
    for (size_t i = 0; i < n_inputs && r == T3D_OK; i++) {
        if (in[i].kind != T3D_PAGE_REPORT)
            continue;
        for (const cJSON *s = t3di_members(cJSON_GetObjectItemCaseSensitive(in[i].json, "summary"));
             s && r == T3D_OK; s = s->next) {
            struct t3di_values v;

            r = t3di_values_collect(&v, in[i].json, s->string, err);
            if (r == T3D_OK)
                add_ends(list, n, &v);
            free(v.v);
        }
    }
    return r;
}
