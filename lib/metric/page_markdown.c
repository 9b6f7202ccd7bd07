/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/json.h"
#include "metric/page_impl.h"

/* A cell is one line without bars or markup that would end it. */
static void put_cell(FILE *f, const char *s)
{
    for (; *s; s++)
        if (*s == '|' || *s == '`' || *s == '<' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else
            fputc((unsigned char)*s < ' ' ? ' ' : *s, f);
}

static void put_rule(FILE *f, size_t columns)
{
    fputs("|---", f);
    for (size_t i = 1; i < columns; i++)
        fputs("|---:", f);
    fputs("|\n", f);
}

static int put_row(FILE *f, const struct t3d_page *p, const cJSON *s, struct t3d_err *err)
{
    const cJSON *pass = cJSON_GetObjectItemCaseSensitive(s, "pass");
    char buf[T3DI_NUMBER];

    (void)err;
    fputs("| ", f);
    put_cell(f, s->string);
    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_REPORT)
            fprintf(
                f, " | %s",
                t3di_number(t3d_json_num(t3di_summary(&p->input[i], s->string), "mean", NAN), buf));
    fprintf(f, " | %s | ", t3di_number(t3d_json_num(s, "floor", NAN), buf));
    put_cell(f, t3d_json_str(s, "target", "n/a"));
    fprintf(f, " | %s |\n", !cJSON_IsBool(pass) ? "n/a" : cJSON_IsTrue(pass) ? "pass" : "**fail**");
    return T3D_OK;
}

static int put_summaries(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    size_t columns = 4;

    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_REPORT))
        return T3D_OK;
    fputs("| metric", f);
    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_REPORT) {
            fputs(" | ", f);
            put_cell(f, p->input[i].name);
            columns++;
        }
    fputs(" | floor | target | result |\n", f);
    put_rule(f, columns);
    return t3di_each_metric(p, put_row, f, err);
}

static void put_comparison(FILE *f, const struct t3d_page_input *in)
{
    static const char *const member[] = {"mean_a", "mean_b", "difference", "p_holm",
                                         "wins",   "losses", NULL};
    char buf[T3DI_NUMBER];

    fputs("\n| metric | first | second | difference | p (Holm) | wins | losses | better |\n", f);
    put_rule(f, 8);
    for (const cJSON *m = t3di_members(cJSON_GetObjectItemCaseSensitive(in->json, "metrics")); m;
         m = m->next) {
        fputs("| ", f);
        put_cell(f, m->string);
        for (int i = 0; member[i]; i++)
            fprintf(f, " | %s", t3di_number(t3d_json_num(m, member[i], NAN), buf));
        fputs(" | ", f);
        put_cell(f, t3d_json_str(m, "better", "none"));
        fputs(" |\n", f);
    }
}

static void put_speed(FILE *f, const struct t3d_page_input *in)
{
    char buf[T3DI_NUMBER];

    fputs("\n| stage | work | threads | seconds | per second |\n", f);
    put_rule(f, 5);
    for (const cJSON *row = t3di_first(in->json); row; row = row->next) {
        fputs("| ", f);
        put_cell(f, t3d_json_str(row, "stage", ""));
        fprintf(f, " | %s ", t3di_number(t3d_json_num(row, "work", NAN), buf));
        put_cell(f, t3d_json_str(row, "unit", ""));
        fprintf(f, " | %s", t3di_number(t3d_json_num(row, "threads", NAN), buf));
        fprintf(f, " | %s", t3di_number(t3d_json_num(row, "seconds", NAN), buf));
        fprintf(f, " | %s |\n", t3di_number(t3d_json_num(row, "per_second", NAN), buf));
    }
}

/* The members of each row, a line each: rows of any form. */
static void put_rows(FILE *f, const struct t3d_page_input *in)
{
    char buf[T3DI_NUMBER];

    for (const cJSON *row = t3di_first(in->json); row; row = row->next) {
        fputs("\n| member | value |\n", f);
        put_rule(f, 2);
        for (const cJSON *m = t3di_members(row); m; m = m->next) {
            if (!cJSON_IsNumber(m) && !cJSON_IsString(m))
                continue;
            fputs("| ", f);
            put_cell(f, m->string);
            fputs(" | ", f);
            put_cell(f, cJSON_IsNumber(m) ? t3di_number(m->valuedouble, buf) : m->valuestring);
            fputs(" |\n", f);
        }
    }
}

/* What each number of a log was last. */
static void put_training(FILE *f, const struct t3d_page_input *in)
{
    cJSON *last = cJSON_CreateObject();
    char buf[T3DI_NUMBER];

    for (const cJSON *row = t3di_first(in->json); row; row = row->next)
        for (const cJSON *m = t3di_members(row); m; m = m->next)
            if (cJSON_IsNumber(m))
                t3d_json_set_num(last, m->string, m->valuedouble);
    fputs("\n| ", f);
    put_cell(f, in->name);
    fputs(" | last |\n", f);
    put_rule(f, 2);
    for (const cJSON *m = t3di_members(last); m; m = m->next) {
        fputs("| ", f);
        put_cell(f, m->string);
        fprintf(f, " | %s |\n", t3di_number(m->valuedouble, buf));
    }
    cJSON_Delete(last);
}

int t3d_page_markdown(FILE *f, const struct t3d_page_input *in, size_t n, struct t3d_err *err)
{
    const struct t3d_page p = {.input = in, .n_inputs = n};
    int r = put_summaries(f, &p, err);

    for (size_t i = 0; i < n && r == T3D_OK; i++)
        switch (in[i].kind) {
        case T3D_PAGE_REPORT:
            break;
        case T3D_PAGE_COMPARISON:
            put_comparison(f, &in[i]);
            break;
        case T3D_PAGE_SPEED:
            put_speed(f, &in[i]);
            break;
        case T3D_PAGE_TRAINING:
            put_training(f, &in[i]);
            break;
        case T3D_PAGE_ROWS:
            put_rows(f, &in[i]);
            break;
        }
    return r;
}
