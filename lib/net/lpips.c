/* SPDX-License-Identifier: Apache-2.0 */
#include "net/lpips.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tool.h"
#include "base/walk.h"
#include "net/lpips_impl.h"
#include "store/weights.h"

enum { ENOUGH_PIXELS = 1 << 17, MAX_PAIRS = 16 }; /* in a run: more brings nothing but memory */
#define MEMORY ((size_t)1 << 30)

/* --- opening ---------------------------------------------------------------------------------- */

static const char first_head[] = "lin0.model.1.weight";

/* One file of the folder: is it one of those wanted? */
static int look_into(struct t3d_lpips *l, const char *dir, const char *name, struct t3d_err *err)
{
    static const char *const key[2] = {"features.0.weight", first_head};
    struct t3di_weights *slot[2] = {&l->backbone, &l->heads};
    const char *files[] = {name, NULL};
    int r = T3D_OK;

    for (int k = 0; k < 2 && r == T3D_OK; k++) {
        struct t3di_weights w;
        r = t3di_weights_open(&w, dir, files, l->threads, err);
        if (r < 0)
            break;
        if (!t3di_weights_find(&w, key[k])) {
            t3di_weights_close(&w);
            continue;
        }
        if (slot[k]->path) {
            r = t3d_err_set(err, T3D_SKIP, "ambiguous-weights",
                            "'%s' and '%s' both have '%s': keep one in the folder", slot[k]->path,
                            w.path, key[k]);
            t3di_weights_close(&w);
            break;
        }
        *slot[k] = w;
    }
    return r;
}

static int find_files(struct t3d_lpips *l, const char *dir, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_walk walk;
    int r = t3d_walk(&walk, &a, &dir, 1, "pth pt bin safetensors", err);

    for (size_t i = 0; i < walk.n && r == T3D_OK; i++)
        if (!strchr(walk.file[i].below, '/'))
            r = look_into(l, dir, walk.file[i].below, err);
    t3d_arena_free(&a);
    if (r == T3D_OK && !l->backbone.path)
        r = t3d_err_set(err, T3D_SKIP, "missing-file",
                        "'%s' has no weights of AlexNet, VGG-16 or SqueezeNet 1.1 as torchvision "
                        "saves them: no file with a tensor 'features.0.weight'",
                        dir);
    if (r == T3D_OK && !l->heads.path)
        r = t3d_err_set(err, T3D_SKIP, "missing-file",
                        "'%s' has no heads of LPIPS: no file with a tensor '%s'", dir, first_head);
    return r;
}

static int identify(struct t3d_lpips *l, struct t3d_err *err)
{
    const struct t3d_tensor *first = t3di_weights_find(&l->backbone, "features.0.weight");

    if (first->n_axes == 4 && first->shape[2] == 11)
        l->info.net = T3D_LPIPS_ALEX;
    else if (t3di_weights_find(&l->backbone, "features.28.weight"))
        l->info.net = T3D_LPIPS_VGG;
    else if (t3di_weights_find(&l->backbone, "features.3.squeeze.weight"))
        l->info.net = T3D_LPIPS_SQUEEZE;
    else
        return t3d_err_set(err, T3D_SKIP, "bad-weights",
                           "'%s' is neither AlexNet, VGG-16 nor SqueezeNet 1.1", l->backbone.path);
    l->net = &t3di_lpips_net[l->info.net];
    return T3D_OK;
}

static int is_classifier(const char *name)
{
    return strncmp(name, "classifier.", 11) == 0 || strncmp(name, "lin", 3) == 0;
}

/* Files of the whole LPIPS module have its constants and the network once more. */
static int is_other(const char *name)
{
    return strncmp(name, "features.", 9) == 0 || strncmp(name, "classifier.", 11) == 0 ||
           strncmp(name, "net.", 4) == 0 || strncmp(name, "lins.", 5) == 0 ||
           strncmp(name, "scaling_layer.", 14) == 0;
}

static const float *take_one(struct t3di_weights *w, const struct t3d_lpips_tensor *t)
{
    struct t3d_shape shape = {.n = t->n_axes};

    for (int k = 0; k < t->n_axes; k++)
        shape.dim[k] = (int64_t)t->shape[k];
    return t3di_weights_take(w, shape, "%s", t->name);
}

static int take(struct t3d_lpips *l, struct t3d_err *err)
{
    struct t3d_lpips_tensor t;
    int r;

    for (int i = 0; t3d_lpips_tensor(l->info.net, 0, i, &t); i++)
        *(i % 2 ? &l->bias[i / 2] : &l->weight[i / 2]) = take_one(&l->backbone, &t);
    r = t3di_weights_finish(&l->backbone, is_classifier, err);
    if (r < 0)
        return r;
    for (int i = 0; t3d_lpips_tensor(l->info.net, 1, i, &t); i++)
        l->head[l->n_taps++] = take_one(&l->heads, &t);
    r = t3di_weights_finish(&l->heads, is_other, err);
    return r < 0 ? t3d_err_prefix(err, "heads of another network than %s",
                                  t3d_lpips_net_name[l->info.net])
                 : r;
}

/* The catalogue has whole hashes or their first digits. */
static int is_published(const struct t3d_lpips *l)
{
    struct t3d_weights_file f[T3D_WEIGHTS_FILES];
    char near[64];
    const struct t3d_weights *w = t3d_weights_find(l->net->catalogue, near);
    const char *hash[2] = {l->backbone.hash, l->heads.hash};
    size_t n = w ? t3d_weights_files(w, NULL, NULL, f) : 0;

    for (size_t i = 0; i < 2; i++)
        if (i >= n || !f[i].sha256 || strncmp(hash[i], f[i].sha256, strlen(f[i].sha256)) != 0)
            return 0;
    return 1;
}

static uint32_t min_side(const struct t3d_lpips *l)
{
    uint32_t n = 1;

    while (t3di_lpips_rows(l->net, l->n_taps - 1, n) < 1)
        n++;
    return n;
}

static int load(struct t3d_lpips *l, const char *dir, struct t3d_err *err)
{
    int r = find_files(l, dir, err);

    if (r == T3D_OK)
        r = identify(l, err);
    if (r == T3D_OK)
        r = take(l, err);
    if (r == T3D_OK)
        r = t3di_weights_pool(&l->backbone, &l->pool, err);
    if (r < 0)
        return r;
    l->info.backbone_hash = l->backbone.hash;
    l->info.heads_hash = l->heads.hash;
    l->info.published = is_published(l);
    l->info.min_side = min_side(l);
    return T3D_OK;
}

int t3d_lpips_open(struct t3d_lpips **out, const char *dir, const struct t3d_lpips_options *o,
                   struct t3d_err *err)
{
    struct t3d_lpips *l = calloc(1, sizeof *l);
    int r;

    *out = NULL;
    if (!l)
        return t3d_err_nomem(err, dir);
    l->threads = o->threads > 0 ? o->threads : t3d_cpu_count();
    l->memory = o->memory ? o->memory : MEMORY;
    r = load(l, dir, err);
    if (r < 0)
        t3d_lpips_free(l);
    else
        *out = l;
    return r;
}

void t3d_lpips_free(struct t3d_lpips *l)
{
    if (!l)
        return;
    for (int i = 0; i < T3DI_LPIPS_GRAPHS; i++)
        t3d_graph_free(l->graph[i].g);
    t3d_pool_free(l->pool);
    t3di_weights_close(&l->backbone);
    t3di_weights_close(&l->heads);
    free(l);
}

const struct t3d_lpips_info *t3d_lpips_info(const struct t3d_lpips *l)
{
    return &l->info;
}

/* --- pictures --------------------------------------------------------------------------------- */

/* Over the background, to [-1, 1], then (x - shift) / scale: the means and deviations of ImageNet
 * in that range (PerceptualSimilarity: lpips/lpips.py, ScalingLayer). */
static void fill_row(float *out, const uint8_t *rgba, uint32_t n, uint8_t background)
{
    static const float shift[3] = {-.030f, -.088f, -.188f}, scale[3] = {.458f, .448f, .450f};

    for (uint32_t i = 0; i < n; i++) {
        int a = rgba[4 * i + 3], under = background * (255 - a);

        for (int c = 0; c < 3; c++) {
            float x = (float)(rgba[4 * i + (uint32_t)c] * a + under) * (2.f / 65025) - 1;
            out[3 * i + (uint32_t)c] = (x - shift[c]) / scale[c];
        }
    }
}

/* Rows [first, first + g->height) of the pairs' pictures. */
static void fill(const struct t3d_lpips *l, const struct t3di_lpips_graph *g, float *input,
                 const struct t3d_lpips_pair *pair, int64_t first)
{
#pragma omp parallel for num_threads(l->threads) schedule(static)
    for (int64_t t = 0; t < 2 * g->pairs * g->height; t++) {
        const struct t3d_lpips_pair *p = &pair[t / g->height / 2];
        const uint8_t *from = t / g->height % 2 ? p->b : p->a;

        fill_row(input + t * g->width * 3, from + (first + t % g->height) * g->width * 4,
                 (uint32_t)g->width, p->background);
    }
}

/* Adds each depth's mean over the rows of this band, weighted by their share of all rows. */
static int run_band(struct t3d_lpips *l, double *distance, const struct t3d_lpips_pair *pair,
                    const struct t3di_lpips_graph *want, int64_t first, int64_t height,
                    struct t3d_err *err)
{
    struct t3di_lpips_graph *g;
    int r = t3di_lpips_graph(&g, l, want, err);

    if (r < 0)
        return r;
    fill(l, g, t3d_graph_data(g->g, g->input), pair, first);
    r = t3d_graph_forward(g->g, err);
    for (int k = 0; k < l->n_taps && r == T3D_OK; k++) {
        const float *mean = t3d_graph_data(g->g, g->tap[k]);
        int64_t all = t3di_lpips_rows(l->net, k, height), stride = t3di_lpips_stride(l->net, k);
        int64_t end = g->below ? (first + g->height - g->below) / stride : all;
        double share = (double)(end - (first + g->above) / stride) / (double)all;

        for (int64_t i = 0; i < g->pairs * T3D_LPIPS_RULES; i++)
            distance[i] += share * mean[i];
    }
    return r;
}

/* Where the band that begins at `from` ends: the last one is not a narrow one, so that it has rows
 * at every depth. */
static int64_t band_end(const struct t3d_lpips *l, int64_t from, int64_t band, int64_t height)
{
    return height - from - band < 4 * l->net->align ? height : from + band;
}

/* Rows [from, to) and those about them. */
static struct t3di_lpips_graph band_of(const struct t3d_lpips *l, int64_t from, int64_t to,
                                       int64_t pairs, int64_t width, int64_t height)
{
    int64_t above = T3D_MIN(from, l->net->halo), below = T3D_MIN(height - to, l->net->halo);

    return (struct t3di_lpips_graph){.pairs = pairs,
                                     .height = above + to - from + below,
                                     .width = width,
                                     .above = above,
                                     .below = below};
}

/* As many rows at once as fit into memory. */
static int choose_band(int64_t *band, const struct t3d_lpips *l, int64_t width, int64_t height,
                       struct t3d_err *err)
{
    int64_t align = l->net->align;
    size_t bytes;
    int r;

    for (*band = height;; *band = (*band / 2 + align - 1) / align * align) {
        int64_t to = band_end(l, 0, *band, height);
        struct t3di_lpips_graph g = band_of(l, 0, to, 1, width, height);

        if (to < height) /* those behind have rows above */
            g.height += l->net->halo;
        r = t3di_lpips_bytes(&bytes, l, &g, err);
        if (r < 0 || bytes <= l->memory || *band <= 4 * align)
            return r;
    }
}

int t3d_lpips_run(struct t3d_lpips *l, double *distance, const struct t3d_lpips_pair *pair,
                  size_t n, uint32_t width, uint32_t height, struct t3d_err *err)
{
    int64_t pixels = 2 * (int64_t)width * height, band, step;
    int r;

    if (T3D_MIN(width, height) < l->info.min_side)
        return t3d_err_set(err, T3D_SKIP, "too-small",
                           "%u x %u pixels: LPIPS with %s needs %u x %u", width, height,
                           t3d_lpips_net_name[l->info.net], l->info.min_side, l->info.min_side);
    r = choose_band(&band, l, width, height, err);
    step = T3D_MAX(1, T3D_MIN((int64_t)MAX_PAIRS, ENOUGH_PIXELS / pixels));
    for (size_t i = 0; i < n * T3D_LPIPS_RULES; i++)
        distance[i] = 0;
    for (size_t at = 0; at < n && r == T3D_OK; at += (size_t)step) {
        while ((size_t)step > n - at)
            step = (step + 1) / 2;
        for (int64_t from = 0, to; from < height && r == T3D_OK; from = to) {
            struct t3di_lpips_graph g;

            to = band_end(l, from, band, height);
            g = band_of(l, from, to, step, width, height);
            r = run_band(l, distance + at * T3D_LPIPS_RULES, pair + at, &g, from - g.above, height,
                         err);
        }
    }
    return r;
}
