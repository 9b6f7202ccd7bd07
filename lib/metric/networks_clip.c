/* SPDX-License-Identifier: Apache-2.0 */
/* What a CLIP says of pictures and captions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "metric/networks_impl.h"

enum { RING = 16 };

/* --- texts ------------------------------------------------------------------------------------ */

static int embed(struct t3d_networks *n, float **rows, const char *prefix, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_tokens *tokens = t3d_alloc(&a, n->n_texts + 1, sizeof *tokens);
    int r = T3D_OK;

    *rows = t3d_alloc(&n->arena, n->n_texts * n->width + 1, sizeof **rows);
    if (!*rows || !tokens)
        r = t3d_err_nomem(err, "the captions");
    for (size_t i = 0; i < n->n_texts && r == T3D_OK; i++) {
        char *text = t3d_sprintf(&a, "%s%s", prefix, n->text[i]);

        r = text ? t3d_encoder_tokenize(n->clip, &tokens[i], text, strlen(text), &a, err)
                 : t3d_err_nomem(err, "the captions");
    }
    if (r == T3D_OK)
        r = t3d_encoder_texts(n->clip, tokens, n->n_texts, *rows, NULL, err);
    t3d_arena_free(&a);
    return r;
}

int t3di_networks_embed_texts(struct t3d_networks *n, int prefixed, struct t3d_err *err)
{
    int r = embed(n, &n->row, "", err);

    return r == T3D_OK && prefixed ? embed(n, &n->prefixed, "A photo depicts ", err) : r;
}

/* --- pictures --------------------------------------------------------------------------------- */

static int embed_pictures(struct t3d_networks *n, float *rows, const uint8_t *rgba,
                          const struct t3d_pictures *p, struct t3d_err *err)
{
    size_t side = (size_t)t3d_encoder_info(n->clip)->image_size, input = 3 * side * side;
    size_t bytes = 4 * (size_t)p->width * p->height;
    float *x = malloc(p->n * input * sizeof *x);
    int status = x ? T3D_OK : t3d_err_nomem(err, "pictures");

#pragma omp parallel for num_threads(n->options.threads) schedule(dynamic) if (x)
    for (size_t i = 0; i < p->n; i++) {
        struct t3d_arena a = {0};
        struct t3d_err why;
        int r = x ? t3d_encoder_picture(n->clip, x + i * input, rgba + i * bytes, p->width,
                                        p->height, &a, &why)
                  : T3D_OK;

        if (r < 0)
#pragma omp critical
        {
            status = r;
            *err = why;
        }
        t3d_arena_free(&a);
    }
    if (status == T3D_OK)
        status = t3d_encoder_images(n->clip, x, p->n, rows, err);
    free(x);
    return status;
}

static double cosine(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* --- values ----------------------------------------------------------------------------------- */

/* Hessel et al., "CLIPScore", EMNLP 2021: w max(cos, 0) with w = 2.5, "A photo depicts " before the
 * caption. torchmetrics clamps the mean, not each. */
static double clip_score(const struct t3d_networks *n, const float *rows, size_t count, size_t text,
                         int dialect)
{
    const float *t = (dialect == T3D_CLIP_HESSEL ? n->prefixed : n->row) + text * n->width;
    double sum = 0, best = -1;

    for (size_t i = 0; i < count; i++) {
        double c = cosine(rows + i * n->width, t, n->width);
        best = fmax(best, c);
        sum += dialect == T3D_CLIP_X100 || dialect == T3D_CLIP_HESSEL ? fmax(c, 0) : c;
    }
    sum /= (double)count;
    switch (dialect) {
    case T3D_CLIP_X100:
        return 100 * sum;
    case T3D_CLIP_HESSEL:
        return 2.5 * sum;
    case T3D_CLIP_TORCHMETRICS:
        return fmax(100 * sum, 0);
    case T3D_CLIP_BEST:
        return best;
    default:
        return sum;
    }
}

/* The share of views for which fewer than k other texts of the pool are at least as near as the own
 * one: ties count against it. */
static double r_precision(const struct t3d_networks *n, const float *rows, size_t count,
                          size_t text, int k)
{
    size_t hits = 0;

    for (size_t i = 0; i < count; i++) {
        const float *row = rows + i * n->width;
        double own = cosine(row, n->row + text * n->width, n->width);
        int before = 0;

        for (size_t j = 0; j < n->n_texts && before < k; j++)
            before += j != text && cosine(row, n->row + j * n->width, n->width) >= own;
        hits += before < k;
    }
    return (double)hits / (double)count;
}

/* Mean cosine of views from opposite sides of a ring. */
static double opposite(const struct t3d_networks *n, const float *rows)
{
    double sum = 0;

    for (size_t i = 0; i < RING / 2; i++)
        sum += cosine(rows + i * n->width, rows + (i + RING / 2) * n->width, n->width);
    return sum / (RING / 2);
}

struct seen {
    const float *pred, *ref; /* rows; ref NULL = no reference */
    size_t n;
    int64_t text; /* -1 = none */
};

static void put(struct t3d_pair_result *out, const struct t3d_networks *n, int row, double value,
                const char *pool, const char *what)
{
    const struct t3d_metric *m = &t3d_metrics[row];

    if (isnan(value))
        return;
    out->value[row] = value;
    snprintf(out->id[row], sizeof out->id[row], "%s:%s:%s%s%s%s%s", m->family, m->dialect,
             n->clip_name, *pool ? ":" : "", pool, *what ? ":" : "", what);
}

static void put_metric(struct t3d_pair_result *out, const struct t3d_networks *n, int row,
                       const struct seen *s, const char *what)
{
    const struct t3d_metric *m = &t3d_metrics[row];
    char ring[32] = "";

    switch (m->kind) {
    case T3D_METRIC_CLIP:
        if (s->text < 0)
            return;
        put(out, n, row, clip_score(n, s->pred, s->n, (size_t)s->text, m->what), "", what);
        if (s->ref) /* what the reference itself scores */
            out->floor[row] = clip_score(n, s->ref, s->n, (size_t)s->text, m->what);
        return;
    case T3D_METRIC_RANK:
        if (s->text < 0)
            return;
        put(out, n, row, r_precision(n, s->pred, s->n, (size_t)s->text, m->what), n->pool_name,
            what);
        if (s->ref)
            out->floor[row] = r_precision(n, s->ref, s->n, (size_t)s->text, m->what);
        return;
    case T3D_METRIC_OPPOSITE:
        if (s->n < RING || (m->what == T3D_OPPOSITE_EXCESS && !s->ref))
            return;
        if (strncmp(what, "ring16+4-", 9) == 0) /* the four others are not looked at */
            snprintf(ring, sizeof ring, "ring16-%.20s", what + 9);
        put(out, n, row,
            opposite(n, s->pred) - (m->what == T3D_OPPOSITE_EXCESS ? opposite(n, s->ref) : 0), "",
            ring);
        if (m->what == T3D_OPPOSITE && s->ref)
            out->floor[row] = opposite(n, s->ref);
        return;
    default:
        return;
    }
}

int t3di_networks_clip(struct t3d_networks *n, struct t3d_pair_result *out,
                       const struct t3d_metric_choice *choice, const struct t3d_pictures *p,
                       size_t item, const char *what, struct t3d_err *err)
{
    float *rows = malloc(2 * p->n * n->width * sizeof *rows), *ref = rows + p->n * n->width;
    struct seen s = {rows, p->ref ? ref : NULL, p->n, n->item && n->row ? n->item[item] : -1};
    int r = rows ? embed_pictures(n, rows, p->pred, p, err) : t3d_err_nomem(err, "pictures");

    if (r == T3D_OK && p->ref)
        r = embed_pictures(n, ref, p->ref, p, err);
    for (int i = 0; i < t3d_n_metrics && r == T3D_OK; i++)
        if (choice->on[i])
            put_metric(out, n, i, &s, what);
    free(rows);
    return r;
}
