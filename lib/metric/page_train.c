/* SPDX-License-Identifier: Apache-2.0 */
/* Of a page: the curves of training runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "metric/page_impl.h"

enum { MAX_CURVES = 24, NAME = 64 };

/* Names of what the lines have beside the step, those most looked at first. */
struct names {
    char name[MAX_CURVES][NAME];
    size_t n;
};

static void add_name(struct names *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->name[i], name) == 0)
            return;
    if (s->n < MAX_CURVES)
        snprintf(s->name[s->n++], NAME, "%.60s", name);
}

static void collect_names(struct names *s, const struct t3d_page *p)
{
    static const char *const first[] = {"loss", "psnr", "val_loss", "val_psnr", NULL};
    struct names found = {.n = 0};

    for (size_t i = 0; i < p->n_inputs; i++)
        if (p->input[i].kind == T3D_PAGE_TRAINING)
            for (const cJSON *row = t3di_first(p->input[i].json); row; row = row->next)
                for (const cJSON *m = t3di_members(row); m; m = m->next)
                    if (cJSON_IsNumber(m) && strcmp(m->string, "step") != 0 &&
                        isfinite(t3d_json_num(row, "step", NAN)))
                        add_name(&found, m->string);
    for (int i = 0; first[i]; i++)
        for (size_t k = 0; k < found.n; k++)
            if (strcmp(found.name[k], first[i]) == 0)
                add_name(s, first[i]);
    for (size_t k = 0; k < found.n; k++)
        add_name(s, found.name[k]);
}

static int read_series(struct t3di_series *s, const struct t3d_page_input *in, const char *name,
                       struct t3d_err *err)
{
    size_t n = (size_t)cJSON_GetArraySize(in->json) + 1;

    s->n = 0;
    s->x = malloc(n * sizeof *s->x);
    s->y = malloc(n * sizeof *s->y);
    if (!s->x || !s->y)
        return t3d_err_nomem(err, "the curves of a run");
    for (const cJSON *row = t3di_first(in->json); row; row = row->next) {
        double x = t3d_json_num(row, "step", NAN), y = t3d_json_num(row, name, NAN);

        if (!isfinite(x) || !isfinite(y) || (s->n && x < s->x[s->n - 1]))
            continue;
        s->x[s->n] = x;
        s->y[s->n++] = y;
    }
    return T3D_OK;
}

/* Curves with a single point say what a number says as well. */
static void put_series(FILE *f, const struct t3di_series *s, size_t n, const char *name)
{
    char a[T3DI_NUMBER], b[T3DI_NUMBER], c[T3DI_NUMBER];

    fputs("<div class=card><h3>", f);
    t3di_put_text(f, name);
    fputs("</h3>", f);
    t3di_put_curves(f, s, n, name);
    for (size_t i = 0; i < n; i++)
        if (s[i].n) {
            double least = INFINITY, most = -INFINITY;

            for (size_t k = 0; k < s[i].n; k++) {
                least = fmin(least, s[i].y[k]);
                most = fmax(most, s[i].y[k]);
            }
            fputs("<p>", f);
            t3di_put_key(f, s[i].colour);
            fprintf(f, " last %s, least %s, most %s</p>", t3di_number(s[i].y[s[i].n - 1], a),
                    t3di_number(least, b), t3di_number(most, c));
        }
    fputs("</div>\n", f);
}

static int put_curve_of(FILE *f, const struct t3d_page *p, const char *name, struct t3d_err *err)
{
    struct t3di_series *s = calloc(p->n_inputs, sizeof *s);
    size_t n = 0;
    int r = s ? T3D_OK : t3d_err_nomem(err, "the curves of a run");

    for (size_t i = 0; i < p->n_inputs && r == T3D_OK; i++)
        if (p->input[i].kind == T3D_PAGE_TRAINING) {
            s[n].colour = i;
            r = read_series(&s[n++], &p->input[i], name, err);
        }
    if (r == T3D_OK)
        put_series(f, s, n, name);
    for (size_t i = 0; s && i < n; i++) {
        free(s[i].x);
        free(s[i].y);
    }
    free(s);
    return r;
}

int t3di_put_training(FILE *f, const struct t3d_page *p, struct t3d_err *err)
{
    struct names names = {.n = 0};
    int r = T3D_OK;

    if (!t3di_has(p->input, p->n_inputs, T3D_PAGE_TRAINING))
        return T3D_OK;
    collect_names(&names, p);
    fputs("<h2 id=training>Training</h2>\n<p class=dim>Means over neighbouring steps; the band "
          "behind a curve is from their least to their largest value.</p>\n<div class=cards>\n",
          f);
    for (size_t i = 0; i < names.n && r == T3D_OK; i++)
        r = put_curve_of(f, p, names.name[i], err);
    fputs("</div>\n", f);
    return r;
}
