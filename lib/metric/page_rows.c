/* SPDX-License-Identifier: Apache-2.0 */
/* Of a page: the rows of bench speed, and any other lines of JSON as a table. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "metric/page_impl.h"

/* --- speed ----------------------------------------------------------------------------------- */

static const cJSON *row_of(const struct t3d_page_input *in, const char *stage)
{
    if (in->kind == T3D_PAGE_SPEED)
        for (const cJSON *row = t3di_first(in->json); row; row = row->next)
            if (strcmp(t3d_json_str(row, "stage", ""), stage) == 0)
                return row;
    return NULL;
}

static void put_phases(FILE *f, const cJSON *row)
{
    enum { MOST = 16 };
    const char *name[MOST];
    double part[MOST];
    size_t n = 0;

    for (const cJSON *s = t3di_members(cJSON_GetObjectItemCaseSensitive(row, "share"));
         s && n < MOST; s = s->next)
        if (cJSON_IsNumber(s)) {
            name[n] = s->string;
            part[n++] = s->valuedouble;
        }
    fputs("<td class=text>", f);
    if (n)
        t3di_put_shares(f, part, name, n);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "%s<span class=\"key r%zu\"></span>", i ? " " : "<br>", i % T3DI_COLOURS);
        t3di_put_text(f, name[i]);
    }
    fputs("</td>", f);
}

/* A stage: its first row in full, then the other inputs' times and how many times as fast they are.
 */
static void put_stage(FILE *f, const struct t3d_page *p, size_t first, const cJSON *row)
{
    const char *stage = t3d_json_str(row, "stage", "");
    double seconds = t3d_json_num(row, "seconds_each", NAN);

    fputs("<tr><td>", f);
    t3di_put_text(f, stage);
    fputs("</td>", f);
    t3di_put_cell(f, t3d_json_num(row, "work", NAN));
    fputs("<td class=text>", f);
    t3di_put_text(f, t3d_json_str(row, "unit", ""));
    fputs("</td>", f);
    t3di_put_cell(f, t3d_json_num(row, "threads", NAN));
    t3di_put_cell(f, t3d_json_num(row, "seconds", NAN));
    t3di_put_cell(f, t3d_json_num(row, "per_second", NAN));
    for (size_t i = first + 1; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_SPEED) {
            double other = t3d_json_num(row_of(&p->input[i], stage), "seconds_each", NAN);

            t3di_put_cell(f, t3d_json_num(row_of(&p->input[i], stage), "per_second", NAN));
            t3di_put_cell(f, seconds / other);
        }
    put_phases(f, row);
    fputs("</tr>\n", f);
}

void t3di_put_speed(FILE *f, const struct t3d_page *p)
{
    size_t first = 0;

    while (first < p->n_inputs && p->input[first].kind != T3D_PAGE_SPEED)
        first++;
    if (first == p->n_inputs)
        return;
    fputs("<h2 id=speed>Speed</h2>\n<p class=dim>Medians; the bar shows how the time of a stage is "
          "shared among its parts.</p>\n",
          f);
    t3di_put_table(f, NULL);
    fputs("<th scope=col>stage</th><th scope=col>work</th><th scope=col class=text>unit</th><th "
          "scope=col>threads</th><th scope=col>seconds</th><th scope=col>per second</th>",
          f);
    for (size_t i = first + 1; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_SPEED) {
            fputs("<th scope=col>", f);
            t3di_put_key(f, i);
            fputs(" per second</th><th scope=col>times ", f);
            t3di_put_key(f, first);
            fputs("</th>", f);
        }
    fputs("<th scope=col class=text>shares</th></tr></thead><tbody>\n", f);
    for (const cJSON *row = t3di_first(p->input[first].json); row; row = row->next)
        put_stage(f, p, first, row);
    fputs("</tbody></table></div>\n", f);
}

/* --- any rows -------------------------------------------------------------------------------- */

enum { COLUMNS = 40, NAME = 64 };

/* Names of the scalar members of rows, those of nested objects behind a dot, in order of
 * appearance. */
struct columns {
    char name[COLUMNS][NAME];
    size_t n;
};

static void add_columns(struct columns *c, const cJSON *o, const char *before)
{
    for (const cJSON *m = t3di_members(o); m; m = m->next) {
        char name[NAME];
        size_t i = 0;

        snprintf(name, sizeof name, "%.30s%s%.30s", before, *before ? "." : "", m->string);
        if (cJSON_IsObject(m) && !*before) {
            add_columns(c, m, m->string);
            continue;
        }
        while (i < c->n && strcmp(c->name[i], name) != 0)
            i++;
        if (i == c->n && c->n < COLUMNS && !cJSON_IsArray(m) && !cJSON_IsObject(m))
            memcpy(c->name[c->n++], name, NAME);
    }
}

/* The member that add_columns named so. */
static const cJSON *member(const cJSON *row, const char *name)
{
    for (const cJSON *m = t3di_members(row); m; m = m->next) {
        size_t n = strnlen(m->string, 30);

        if (strncmp(name, m->string, n) != 0)
            continue;
        if (name[n] == 0 && !cJSON_IsObject(m))
            return m;
        if (name[n] == '.' && cJSON_IsObject(m))
            for (const cJSON *inner = t3di_members(m); inner; inner = inner->next)
                if (strncmp(name + n + 1, inner->string, 30) == 0)
                    return inner;
    }
    return NULL;
}

static void put_member(FILE *f, const cJSON *m)
{
    if (cJSON_IsNumber(m)) {
        t3di_put_cell(f, m->valuedouble);
        return;
    }
    fputs("<td class=text>", f);
    if (cJSON_IsString(m))
        t3di_put_text(f, strlen(m->valuestring) == 64 ? "" : m->valuestring);
    else if (cJSON_IsBool(m))
        fputs(cJSON_IsTrue(m) ? "yes" : "no", f);
    if (cJSON_IsString(m) && strlen(m->valuestring) == 64) { /* a hash */
        fprintf(f, "<code title=\"");
        t3di_put_text(f, m->valuestring);
        fprintf(f, "\">%.8s</code>",
                strspn(m->valuestring, "0123456789abcdef") == 64 ? m->valuestring : "");
    }
    fputs("</td>", f);
}

static void put_any(FILE *f, const struct t3d_page_input *in)
{
    struct columns c = {.n = 0};

    for (const cJSON *row = t3di_first(in->json); row; row = row->next)
        add_columns(&c, row, "");
    t3di_put_table(f, NULL);
    for (size_t i = 0; i < c.n; i++) {
        fputs("<th scope=col>", f);
        t3di_put_text(f, c.name[i]);
        fputs("</th>", f);
    }
    fputs("</tr></thead><tbody>\n", f);
    for (const cJSON *row = t3di_first(in->json); row; row = row->next) {
        fputs("<tr>", f);
        for (size_t i = 0; i < c.n; i++)
            put_member(f, member(row, c.name[i]));
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n", f);
}

void t3di_put_rows(FILE *f, const struct t3d_page *p)
{
    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_ROWS))
        return;
    fputs("<h2 id=rows>Benches</h2>\n", f);
    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_ROWS) {
            fputs("<h3>", f);
            t3di_put_key(f, i);
            fputs(" ", f);
            t3di_put_text(f, p->input[i].name);
            fputs("</h3>\n", f);
            put_any(f, &p->input[i]);
        }
}
