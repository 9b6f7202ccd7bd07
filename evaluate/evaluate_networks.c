/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "evaluate/evaluate.h"
#include "store/captions.h"

/* The first caption that the list has for each pair, by its name or one of its paths. */
static int find_captions(struct evaluate_run *x, struct t3d_err *err)
{
    size_t without = 0;
    int r;

    x->caption = t3d_alloc(&x->arena, x->matches.n + 1, sizeof *x->caption);
    if (!x->caption)
        return t3d_err_nomem(err, "the captions");
    for (size_t i = 0; x->made && i < x->matches.n; i++)
        x->caption[i] = x->made[i].caption;
    if (!x->conf->captions)
        return T3D_OK;
    r = t3d_captions_open(&x->captions, x->conf->captions, err);
    for (size_t i = 0; i < x->matches.n && r >= 0; i++) {
        const struct t3d_match *m = &x->matches.match[i];
        const char *path = m->ref ? m->ref : m->pred;
        struct t3d_caption_query q = {.uid = m->uid, .below = path, .absolute = path};
        struct t3d_caption_match found;

        r = t3d_captions_find(x->captions, &q, &found, &x->arena, err);
        if (r == T3D_OK && found.n_captions)
            x->caption[i] = found.caption[0];
        without += !x->caption[i];
    }
    if (r >= 0 && without)
        t3d_warn("%zu of %zu items have no caption in '%s': they have no clip-score, r-precision "
                 "and caption-accuracy",
                 without, x->matches.n, x->conf->captions);
    return r < 0 ? r : T3D_OK;
}

/* The file's name without ending, as far as it may stand in a metric's name. */
static const char *name_of(struct evaluate_run *x, const char *path)
{
    const char *base = t3d_path_base(path), *ending = t3d_path_ending(base);
    size_t n = strlen(base) - (*ending ? strlen(ending) + 1 : 0);
    char *name = t3d_strndup(&x->arena, base, n);

    for (char *p = name; p && *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._+", *p))
            *p = '-';
    return name;
}

static int read_pool(struct t3d_text_pool *pool, struct evaluate_run *x, struct t3d_err *err)
{
    const char **text;
    size_t bad = 0;
    int r;

    *pool = (struct t3d_text_pool){0};
    if (!x->conf->pool)
        return T3D_OK;
    r = t3d_text_list_open(&x->pool, x->conf->pool, err);
    if (r < 0)
        return r;
    text = t3d_alloc(&x->arena, x->pool.n + 1, sizeof *text);
    pool->name = name_of(x, x->conf->pool);
    if (!text || !pool->name)
        return t3d_err_nomem(err, "the pool");
    for (size_t i = 0; i < x->pool.n; i++) {
        if (x->pool.text[i].text)
            text[pool->n++] = x->pool.text[i].text;
        else
            bad++;
    }
    pool->text = text;
    if (bad)
        t3d_warn("--pool '%s': %zu of %zu entries cannot be used", x->conf->pool, bad, x->pool.n);
    return T3D_OK;
}

static void drop_kind(struct evaluate_run *x, enum t3d_metric_kind kind, const char *why)
{
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!x->options.choice.on[i] || t3d_metrics[i].kind != kind)
            continue;
        x->options.choice.on[i] = 0;
        snprintf(x->reason[i], sizeof x->reason[i], "%s", why);
    }
}

/* Metrics that were chosen before and have left since because of their network's weights. */
static void note_lost(struct evaluate_run *x, const struct t3d_metric_choice *before)
{
    for (int k = 0; k < T3D_NETWORKS; k++) {
        const struct t3d_err *why = t3d_networks_failed(x->networks, k);
        size_t n = 0;

        for (int i = 0; i < t3d_n_metrics && why; i++) {
            if (t3d_network_of(&t3d_metrics[i]) != k || !before->on[i])
                continue;
            x->lost.on[i] = 1;
            n++;
        }
        if (n)
            t3d_warn("%s: %s: %zu metrics fail, the others are measured", t3d_network_name[k],
                     why->msg, n);
    }
}

int evaluate_networks(struct evaluate_run *x, struct t3d_err *err)
{
    const struct t3d_networks_options o = {.workspace = x->conf->common.workspace,
                                           .clip = x->conf->clip,
                                           .lpips = x->conf->lpips,
                                           .threads = (int)x->conf->common.threads};
    struct t3d_metric_choice *c = &x->options.choice, before;
    struct t3d_text_pool pool;
    int r;

    if (!x->made)
        drop_kind(x, T3D_METRIC_COST, "needs a checkpoint: t3d evaluate --checkpoint NAME-or-DIR");
    if (x->matches.pictures) {
        drop_kind(x, T3D_METRIC_WARP, EVALUATE_NO_SPLATS);
        drop_kind(x, T3D_METRIC_OPPOSITE, "needs 3D files, which are drawn from opposite sides");
        drop_kind(x, T3D_METRIC_CAPTION, "needs 3D files, which are drawn from four sides");
    }
    if (!x->conf->captions && !x->made) {
        drop_kind(x, T3D_METRIC_CLIP, "needs captions: --captions FILE");
        drop_kind(x, T3D_METRIC_RANK, "needs captions: --captions FILE");
        drop_kind(x, T3D_METRIC_CAPTION, "needs captions: --captions FILE");
    }
    before = *c;
    r = t3d_networks_open(&x->networks, c, &o, x->reason, err);
    if (r == T3D_OK)
        note_lost(x, &before);
    if (r == T3D_OK)
        r = find_captions(x, err);
    if (r == T3D_OK)
        r = read_pool(&pool, x, err);
    if (r == T3D_OK)
        r = t3d_networks_texts(x->networks, c, x->caption, x->matches.n, &pool, x->reason, err);
    return r;
}

void evaluate_networks_free(struct evaluate_run *x)
{
    t3d_networks_free(x->networks);
    t3d_captions_close(x->captions);
    t3d_text_list_close(&x->pool);
}
