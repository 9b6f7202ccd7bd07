/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/networks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "draw/splat_views.h"
#include "geom/primitives.h"
#include "metric/networks_impl.h"
#include "store/model_find.h"

/* --- opening ---------------------------------------------------------------------------------- */

static void drop(struct t3d_metric_choice *c, t3d_metric_reasons reason, int i, const char *why)
{
    c->on[i] = 0;
    snprintf(reason[i], sizeof reason[i], "%s", why);
}

static void drop_kind(struct t3d_metric_choice *c, t3d_metric_reasons reason,
                      enum t3d_metric_kind kind, const char *why)
{
    for (int i = 0; i < t3d_n_metrics; i++)
        if (c->on[i] && t3d_metrics[i].kind == kind)
            drop(c, reason, i, why);
}

/* As enum t3d_lpips_net counts, then the CLIP. */
const char *const t3d_network_name[T3D_NETWORKS] = {"lpips-alex", "lpips-vgg", "lpips-squeeze",
                                                    "clip"};
_Static_assert((int)T3D_NETWORK_CLIP == (int)T3D_LPIPS_NETS, "one for each LPIPS, then the CLIP");

int t3d_network_of(const struct t3d_metric *m)
{
    switch (m->kind) {
    case T3D_METRIC_LPIPS:
        return m->what & (T3D_LPIPS_OTHER_EPS - 1);
    case T3D_METRIC_CLIP:
    case T3D_METRIC_RANK:
    case T3D_METRIC_OPPOSITE:
        return T3D_NETWORK_CLIP;
    default:
        return -1;
    }
}

static int needs(const struct t3d_metric_choice *c, int network)
{
    for (int i = 0; i < t3d_n_metrics; i++)
        if (c->on[i] && t3d_network_of(&t3d_metrics[i]) == network)
            return 1;
    return 0;
}

static void drop_network(struct t3d_metric_choice *c, t3d_metric_reasons reason, int network,
                         const char *why)
{
    for (int i = 0; i < t3d_n_metrics; i++)
        if (c->on[i] && t3d_network_of(&t3d_metrics[i]) == network)
            drop(c, reason, i, why);
}

/* Weights that cannot be read, or are not what they should be: their metrics fail, the run goes on.
 * Any other error stays one. */
static int lose(struct t3d_networks *n, struct t3d_metric_choice *c, t3d_metric_reasons reason,
                int network, int r, struct t3d_err *err)
{
    if (r != T3D_SKIP && !(r == T3D_FAIL && strcmp(err->reason, "system") == 0))
        return r;
    n->failed[network] = *err;
    n->failed[network].code = T3D_SKIP;
    drop_network(c, reason, network, err->msg);
    return T3D_OK;
}

const struct t3d_err *t3d_networks_failed(const struct t3d_networks *n, int network)
{
    return n->failed[network].code ? &n->failed[network] : NULL;
}

static int open_lpips_dir(struct t3d_lpips **l, struct t3d_networks *n, const char *name,
                          struct t3d_err *err)
{
    char *dir;
    int r = t3d_model_find(&dir, n->options.workspace, name, &n->arena, err);

    return r == T3D_OK
               ? t3d_lpips_open(l, dir, &(struct t3d_lpips_options){.threads = n->options.threads},
                                err)
               : r;
}

/* --lpips: one network, in place of all that have names. Which one wrong weights are of cannot be
 * told: then all are lost. */
static int open_named_lpips(struct t3d_networks *n, struct t3d_metric_choice *c,
                            t3d_metric_reasons reason, struct t3d_err *err)
{
    struct t3d_lpips *l = NULL;
    char why[256];
    int r;

    if (!t3d_metrics_need(c, T3D_METRIC_LPIPS))
        return T3D_OK;
    r = open_lpips_dir(&l, n, n->options.lpips, err);
    snprintf(why, sizeof why, "%.150s has another network", n->options.lpips);
    if (l)
        n->lpips[t3d_lpips_info(l)->net] = l;
    for (int net = 0; net < T3D_LPIPS_NETS; net++) {
        if (!needs(c, net))
            continue;
        if (r < 0 && lose(n, c, reason, net, r, err) < 0)
            return r;
        if (r == T3D_OK && !n->lpips[net])
            drop_network(c, reason, net, why);
    }
    return T3D_OK;
}

/* Those of the workspace's models that the choice needs; without, they are not to be had. */
static int open_lpips(struct t3d_networks *n, struct t3d_metric_choice *c,
                      t3d_metric_reasons reason, struct t3d_err *err)
{
    int r = T3D_OK;

    if (n->options.lpips)
        return open_named_lpips(n, c, reason, err);
    for (int net = 0; net < T3D_LPIPS_NETS && r == T3D_OK; net++) {
        if (!needs(c, net))
            continue;
        r = open_lpips_dir(&n->lpips[net], n, t3d_network_name[net], err);
        if (r == T3D_USAGE) {
            drop_network(c, reason, net, err->msg);
            r = T3D_OK;
        } else if (r < 0) {
            r = lose(n, c, reason, net, r, err);
        }
    }
    return r;
}

/* Its name; of a folder named by its path with the first digits of the weights' hash. */
static int name_clip(struct t3d_networks *n, struct t3d_err *err)
{
    const char *name = t3d_model_name(n->options.clip, &n->arena);

    n->clip_name = !strchr(n->options.clip, '/')
                       ? name
                       : t3d_sprintf(&n->arena, "%.24s@%.8s", name ? name : "clip",
                                     t3d_encoder_info(n->clip)->weights_hash);
    return n->clip_name ? T3D_OK : t3d_err_nomem(err, "a name");
}

static int open_clip(struct t3d_networks *n, struct t3d_metric_choice *c, t3d_metric_reasons reason,
                     struct t3d_err *err)
{
    struct t3d_encoder_options o = {.threads = n->options.threads, .background = {255, 255, 255}};
    char *dir;
    int r;

    if (!needs(c, T3D_NETWORK_CLIP))
        return T3D_OK;
    r = t3d_model_find(&dir, n->options.workspace, n->options.clip, &n->arena, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&n->clip, dir, &o, err);
    if (r < 0)
        return lose(n, c, reason, T3D_NETWORK_CLIP, r, err);
    if (!t3d_encoder_info(n->clip)->image_size || !t3d_encoder_info(n->clip)->max_tokens)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--clip '%s' takes no %s: name a CLIP with both towers", n->options.clip,
                           t3d_encoder_info(n->clip)->image_size ? "texts" : "pictures");
    n->width = (size_t)t3d_encoder_info(n->clip)->width;
    return name_clip(n, err);
}

int t3d_networks_open(struct t3d_networks **out, struct t3d_metric_choice *choice,
                      const struct t3d_networks_options *o, t3d_metric_reasons reason,
                      struct t3d_err *err)
{
    struct t3d_networks *n = calloc(1, sizeof *n);
    int r;

    *out = NULL;
    if (!n)
        return t3d_err_nomem(err, "the networks");
    n->options = *o;
    r = open_lpips(n, choice, reason, err);
    if (r == T3D_OK)
        r = open_clip(n, choice, reason, err);
    if (r < 0)
        t3d_networks_free(n);
    else
        *out = n;
    return r;
}

void t3d_networks_free(struct t3d_networks *n)
{
    if (!n)
        return;
    for (int i = 0; i < T3D_LPIPS_NETS; i++)
        t3d_lpips_free(n->lpips[i]);
    t3d_encoder_free(n->clip);
    t3d_caption_pool_free(n->core);
    t3d_arena_free(&n->arena);
    free(n);
}

const char *t3d_networks_clip(const struct t3d_networks *n)
{
    return n->clip ? n->clip_name : NULL;
}

static void describe_lpips(const struct t3d_lpips_info *info, cJSON *settings)
{
    char name[32];
    cJSON *o;

    snprintf(name, sizeof name, "lpips_%s", t3d_lpips_net_name[info->net]);
    o = cJSON_AddObjectToObject(settings, name);
    t3d_json_set_str(o, "network", info->backbone_hash);
    t3d_json_set_str(o, "heads", info->heads_hash);
    t3d_json_set_bool(o, "published", info->published);
}

static void describe_clip(const struct t3d_networks *n, cJSON *settings)
{
    const struct t3d_encoder_info *info = t3d_encoder_info(n->clip);
    cJSON *o = cJSON_AddObjectToObject(settings, "clip");

    t3d_json_set_str(o, "name", n->clip_name);
    t3d_json_set_str(o, "weights", info->weights_hash);
    t3d_json_set_str(o, "tokenizer", info->tokenizer_hash);
    t3d_json_set_str(o, "recipe", info->recipe);
    if (n->ranks)
        t3d_json_set_str(settings, "pool", n->pool_hash);
}

void t3d_networks_describe(const struct t3d_networks *n, int network, cJSON *settings)
{
    if (network != T3D_NETWORK_CLIP && n->lpips[network])
        describe_lpips(t3d_lpips_info(n->lpips[network]), settings);
    else if (network == T3D_NETWORK_CLIP && n->clip)
        describe_clip(n, settings);
}

/* --- texts ------------------------------------------------------------------------------------ */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int64_t find_text(const struct t3d_networks *n, const char *text)
{
    const char **at = text ? bsearch(&text, n->text, n->n_texts, sizeof *n->text, by_text) : NULL;

    return at ? at - n->text : -1;
}

static int gather(struct t3d_networks *n, const char *const *caption, size_t n_items,
                  const struct t3d_text_pool *pool, struct t3d_err *err)
{
    size_t kept = 0, count = 0;

    n->text = t3d_alloc(&n->arena, n_items + pool->n + 1, sizeof *n->text);
    n->item = t3d_alloc(&n->arena, n_items + 1, sizeof *n->item);
    n->combination = t3d_alloc(&n->arena, n_items + 1, sizeof *n->combination);
    if (!n->text || !n->item || !n->combination)
        return t3d_err_nomem(err, "the captions");
    for (size_t i = 0; i < n_items; i++)
        if (caption[i])
            n->text[count++] = caption[i];
    for (size_t i = 0; i < pool->n; i++)
        n->text[count++] = pool->text[i];
    qsort(n->text, count, sizeof *n->text, by_text);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(n->text[kept - 1], n->text[i]) != 0)
            n->text[kept++] = n->text[i];
    n->n_texts = kept;
    n->n_items = n_items;
    for (size_t i = 0; i < n_items; i++) {
        n->item[i] = find_text(n, caption[i]);
        n->combination[i] = caption[i] ? t3d_primitives_core_find(caption[i]) : T3D_NOT_CORE;
    }
    return T3D_OK;
}

/* "captions12-1a2b3c4d": how many texts, and which. */
static int name_pool(struct t3d_networks *n, const char *name, struct t3d_err *err)
{
    struct t3d_sha256 *h;
    int r = t3d_sha256_new(&h, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n->n_texts; i++)
        t3d_sha256_add_str(h, n->text[i]);
    t3d_sha256_end(h, n->pool_hash);
    snprintf(n->pool_name, sizeof n->pool_name, "%.20s%zu-%.8s", name ? name : "captions",
             n->n_texts, n->pool_hash);
    return T3D_OK;
}

static int open_core(struct t3d_networks *n, struct t3d_metric_choice *c, t3d_metric_reasons reason,
                     const char *some, struct t3d_err *err)
{
    char why[256];
    int any = 0;

    for (size_t i = 0; i < n->n_items; i++)
        any |= n->combination[i] != T3D_NOT_CORE;
    if (any)
        return t3d_caption_pool_new(&n->core, "core", T3DI_CAPTION_SIDE, n->options.threads, err);
    snprintf(why, sizeof why,
             "no caption is one of the 930 of the primitives world's core, the only ones whose "
             "objects are known: '%.100s'",
             some);
    drop_kind(c, reason, T3D_METRIC_CAPTION, why);
    return T3D_OK;
}

int t3d_networks_texts(struct t3d_networks *n, struct t3d_metric_choice *choice,
                       const char *const *caption, size_t n_items, const struct t3d_text_pool *pool,
                       t3d_metric_reasons reason, struct t3d_err *err)
{
    static const enum t3d_metric_kind kinds[] = {T3D_METRIC_CLIP, T3D_METRIC_RANK,
                                                 T3D_METRIC_CAPTION};
    const char *some = NULL;
    int r = gather(n, caption, n_items, pool, err), prefixed = 0;

    for (size_t i = 0; i < n_items && !some; i++)
        some = caption[i];
    for (size_t k = 0; !some && k < T3D_COUNT(kinds); k++)
        drop_kind(choice, reason, kinds[k], "no item has a caption in the list");
    if (r == T3D_OK)
        r = name_pool(n, pool->name, err);
    for (int i = 0; i < t3d_n_metrics; i++)
        prefixed |= choice->on[i] && t3d_metrics[i].kind == T3D_METRIC_CLIP &&
                    t3d_metrics[i].what == T3D_CLIP_HESSEL;
    if (r == T3D_OK && some &&
        (t3d_metrics_need(choice, T3D_METRIC_CLIP) || t3d_metrics_need(choice, T3D_METRIC_RANK)))
        r = t3di_networks_embed_texts(n, prefixed, err);
    n->ranks = t3d_metrics_need(choice, T3D_METRIC_RANK);
    if (r == T3D_OK && some && t3d_metrics_need(choice, T3D_METRIC_CAPTION))
        r = open_core(n, choice, reason, some, err);
    return r;
}

/* --- measuring -------------------------------------------------------------------------------- */

int t3d_networks_need(const struct t3d_metric_choice *c)
{
    return t3d_metrics_need(c, T3D_METRIC_LPIPS) || needs(c, T3D_NETWORK_CLIP);
}

void t3d_pictures_free(struct t3d_pictures *p)
{
    free(p->pred);
    free(p->ref);
    *p = (struct t3d_pictures){0};
}

/* "lpips:vgg:ring16+4-512"; weights other than the published ones are part of the name. */
static void put_lpips(struct t3d_pair_result *out, int row, const struct t3d_lpips_info *info,
                      double value, const char *what)
{
    const struct t3d_metric *m = &t3d_metrics[row];
    char weights[32] = "";

    if (!info->published)
        snprintf(weights, sizeof weights, ":weights-%.4s%.4s", info->backbone_hash,
                 info->heads_hash);
    out->value[row] = value;
    snprintf(out->id[row], sizeof out->id[row], "%s:%s%s%s%s", m->family, m->dialect, weights,
             *what ? ":" : "", what);
}

/* One network over one background: both rules at once. */
static int measure_net(struct t3d_networks *n, struct t3d_pair_result *out,
                       const struct t3d_metric_choice *c, const struct t3d_pictures *p, int net,
                       int black, const char *what, struct t3d_err *err)
{
    struct t3d_lpips_pair *pair = calloc(p->n, sizeof *pair);
    double *d = calloc(p->n * T3D_LPIPS_RULES, sizeof *d);
    size_t bytes = 4 * (size_t)p->width * p->height;
    int r = pair && d ? T3D_OK : t3d_err_nomem(err, "pictures");

    for (size_t i = 0; i < p->n && r == T3D_OK; i++)
        pair[i] = (struct t3d_lpips_pair){p->pred + i * bytes, p->ref + i * bytes, black ? 0 : 255};
    if (r == T3D_OK)
        r = t3d_lpips_run(n->lpips[net], d, pair, p->n, p->width, p->height, err);
    for (int k = 0; k < t3d_n_metrics && r == T3D_OK; k++) {
        const struct t3d_metric *m = &t3d_metrics[k];
        double sum = 0;

        if (!c->on[k] || m->kind != T3D_METRIC_LPIPS || t3d_network_of(m) != net ||
            !(m->what & T3D_LPIPS_OVER_BLACK) != !black)
            continue;
        for (size_t i = 0; i < p->n; i++)
            sum += d[T3D_LPIPS_RULES * i +
                     (m->what & T3D_LPIPS_OTHER_EPS ? T3D_LPIPS_TORCHMETRICS : T3D_LPIPS_PACKAGE)];
        put_lpips(out, k, t3d_lpips_info(n->lpips[net]), sum / (double)p->n, what);
    }
    free(pair);
    free(d);
    return r;
}

static int wants_lpips(const struct t3d_metric_choice *c, int net, int black)
{
    for (int i = 0; i < t3d_n_metrics; i++)
        if (c->on[i] && t3d_network_of(&t3d_metrics[i]) == net &&
            !(t3d_metrics[i].what & T3D_LPIPS_OVER_BLACK) == !black)
            return 1;
    return 0;
}

int t3d_networks_measure(struct t3d_networks *n, struct t3d_pair_result *out,
                         const struct t3d_metric_choice *choice, int network,
                         const struct t3d_pictures *p, size_t item, const char *what,
                         struct t3d_err *err)
{
    int r = T3D_OK;

    if (p->n == 0 || !needs(choice, network))
        return T3D_OK;
    if (network == T3D_NETWORK_CLIP)
        return n->clip ? t3di_networks_clip(n, out, choice, p, item, what, err) : T3D_OK;
    for (int black = 0; black < 2 && r == T3D_OK && p->ref && n->lpips[network]; black++)
        if (wants_lpips(choice, network, black))
            r = measure_net(n, out, choice, p, network, black, what, err);
    return r;
}

static double caption_value(int what, const struct t3d_caption_tally *t)
{
    switch (what) {
    case T3D_CAPTION_COLORS:
        return (double)t->colors / (double)t->parts;
    case T3D_CAPTION_SHAPES:
        return (double)t->shapes / (double)t->parts;
    default:
        return (double)t->right;
    }
}

static void name_caption(struct t3d_pair_result *out, int row)
{
    snprintf(out->id[row], sizeof out->id[row], "%s:%s:ring4-%d", t3d_metrics[row].family,
             t3d_metrics[row].dialect, T3DI_CAPTION_SIDE);
}

static void note_other_caption(struct t3d_pair_result *out, const struct t3d_metric_choice *choice)
{
    for (int i = 0; i < t3d_n_metrics; i++) {
        if (!choice->on[i] || t3d_metrics[i].kind != T3D_METRIC_CAPTION)
            continue;
        name_caption(out, i);
        snprintf(out->note[i], sizeof out->note[i], "not a caption of the core");
    }
}

int t3d_networks_caption(const struct t3d_networks *n, struct t3d_pair_result *out,
                         const struct t3d_metric_choice *choice, const struct t3d_scene *scene,
                         const struct t3d_gaussians *gaussians, size_t item, struct t3d_err *err)
{
    struct t3d_caption_tally tally = {0};
    uint8_t *picture;
    int r;

    if (!n->core)
        return T3D_OK;
    if (n->combination[item] == T3D_NOT_CORE) {
        note_other_caption(out, choice);
        return T3D_OK;
    }
    picture = malloc(t3d_caption_pool_bytes(n->core));
    if (!picture)
        return t3d_err_nomem(err, "pictures");
    r = scene ? t3d_caption_pool_paint(n->core, scene, picture, err)
              : t3d_caption_pool_draw(n->core, gaussians, picture, err);
    if (r == T3D_OK)
        t3d_caption_count(&tally, t3d_caption_pool_set(n->core), (uint32_t)n->combination[item],
                          t3d_caption_pool_nearest(n->core, picture), 1);
    for (int i = 0; i < t3d_n_metrics && r == T3D_OK; i++) {
        if (!choice->on[i] || t3d_metrics[i].kind != T3D_METRIC_CAPTION)
            continue;
        out->value[i] = caption_value(t3d_metrics[i].what, &tally);
        name_caption(out, i);
    }
    free(picture);
    return r;
}
