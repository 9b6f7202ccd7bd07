/* SPDX-License-Identifier: Apache-2.0 */
/* The three networks (torchvision: models/alexnet.py, vgg.py configuration D, squeezenet.py version
 * 1.1) up to the last depth that LPIPS looks at (PerceptualSimilarity:
 * lpips/pretrained_networks.py). */
#include <stdio.h>

#include "net/lpips_distance.h"
#include "net/lpips_impl.h"
#include "num/ops.h"

#define CONV(index, in, out, kernel, stride, pad)                                                  \
    {                                                                                              \
        T3DI_LPIPS_CONV, index, in, out, kernel, stride, pad                                       \
    }
#define FIRE(index, in, squeeze, out)                                                              \
    {                                                                                              \
        T3DI_LPIPS_FIRE, index, in, out, squeeze, 1, 0                                             \
    }
#define POOL(kernel, stride)                                                                       \
    {                                                                                              \
        T3DI_LPIPS_POOL, 0, 0, 0, kernel, stride, 0                                                \
    }
#define TAP(channels)                                                                              \
    {                                                                                              \
        T3DI_LPIPS_TAP, 0, channels, channels, 1, 1, 0                                             \
    }
#define END                                                                                        \
    {                                                                                              \
        T3DI_LPIPS_END, 0, 0, 0, 0, 0, 0                                                           \
    }

static const struct t3di_lpips_layer alex[] = {CONV(0, 3, 64, 11, 4, 2),
                                               TAP(64),
                                               POOL(3, 2),
                                               CONV(3, 64, 192, 5, 1, 2),
                                               TAP(192),
                                               POOL(3, 2),
                                               CONV(6, 192, 384, 3, 1, 1),
                                               TAP(384),
                                               CONV(8, 384, 256, 3, 1, 1),
                                               TAP(256),
                                               CONV(10, 256, 256, 3, 1, 1),
                                               TAP(256),
                                               END};

static const struct t3di_lpips_layer vgg[] = {CONV(0, 3, 64, 3, 1, 1),
                                              CONV(2, 64, 64, 3, 1, 1),
                                              TAP(64),
                                              POOL(2, 2),
                                              CONV(5, 64, 128, 3, 1, 1),
                                              CONV(7, 128, 128, 3, 1, 1),
                                              TAP(128),
                                              POOL(2, 2),
                                              CONV(10, 128, 256, 3, 1, 1),
                                              CONV(12, 256, 256, 3, 1, 1),
                                              CONV(14, 256, 256, 3, 1, 1),
                                              TAP(256),
                                              POOL(2, 2),
                                              CONV(17, 256, 512, 3, 1, 1),
                                              CONV(19, 512, 512, 3, 1, 1),
                                              CONV(21, 512, 512, 3, 1, 1),
                                              TAP(512),
                                              POOL(2, 2),
                                              CONV(24, 512, 512, 3, 1, 1),
                                              CONV(26, 512, 512, 3, 1, 1),
                                              CONV(28, 512, 512, 3, 1, 1),
                                              TAP(512),
                                              END};

static const struct t3di_lpips_layer squeeze[] = {CONV(0, 3, 64, 3, 2, 0),
                                                  TAP(64),
                                                  POOL(3, 2),
                                                  FIRE(3, 64, 16, 128),
                                                  FIRE(4, 128, 16, 128),
                                                  TAP(128),
                                                  POOL(3, 2),
                                                  FIRE(6, 128, 32, 256),
                                                  FIRE(7, 256, 32, 256),
                                                  TAP(256),
                                                  POOL(3, 2),
                                                  FIRE(9, 256, 48, 384),
                                                  TAP(384),
                                                  FIRE(10, 384, 48, 384),
                                                  TAP(384),
                                                  FIRE(11, 384, 64, 512),
                                                  TAP(512),
                                                  FIRE(12, 512, 64, 512),
                                                  TAP(512),
                                                  END};

/* halo: the last depth's row k of VGG-16 sees input rows 16 k - 90 to 16 k + 105, AlexNet's 16 k -
 * 66 to 16 k + 96, SqueezeNet's 16 k - 88 to 16 k + 118; in multiples of 16 rows. */
const struct t3di_lpips_net t3di_lpips_net[T3D_LPIPS_NETS] = {
    [T3D_LPIPS_ALEX] = {alex, 0, 16, 96, "lpips-alex"},
    [T3D_LPIPS_VGG] = {vgg, 0, 16, 96, "lpips-vgg"},
    [T3D_LPIPS_SQUEEZE] = {squeeze, 1, 16, 112, "lpips-squeeze"}};

const char *const t3d_lpips_net_name[T3D_LPIPS_NETS] = {"alex", "vgg", "squeeze"};

int t3di_lpips_convs(const struct t3di_lpips_layer *layer, struct t3di_lpips_conv c[3])
{
    int half = layer->out / 2;

    if (layer->kind == T3DI_LPIPS_CONV) {
        c[0] = (struct t3di_lpips_conv){"", layer->in, layer->out, layer->kernel};
        snprintf(c[0].name, sizeof c[0].name, "features.%d", layer->index);
        return 1;
    }
    if (layer->kind != T3DI_LPIPS_FIRE)
        return 0;
    c[0] = (struct t3di_lpips_conv){"", layer->in, layer->kernel, 1};
    c[1] = (struct t3di_lpips_conv){"", layer->kernel, half, 1};
    c[2] = (struct t3di_lpips_conv){"", layer->kernel, half, 3};
    snprintf(c[0].name, sizeof c[0].name, "features.%d.squeeze", layer->index);
    snprintf(c[1].name, sizeof c[1].name, "features.%d.expand1x1", layer->index);
    snprintf(c[2].name, sizeof c[2].name, "features.%d.expand3x3", layer->index);
    return 3;
}

int t3d_lpips_tensor(enum t3d_lpips_net net, int heads, int i, struct t3d_lpips_tensor *t)
{
    const struct t3di_lpips_layer *layer = t3di_lpips_net[net].layer;
    int k = 0;

    for (; layer->kind != T3DI_LPIPS_END; layer++) {
        struct t3di_lpips_conv c[3], *one;
        int n = heads ? layer->kind == T3DI_LPIPS_TAP : 2 * t3di_lpips_convs(layer, c);

        if (i >= k + n) {
            k += n;
            continue;
        }
        if (heads) {
            *t = (struct t3d_lpips_tensor){"", 4, {1, (uint64_t)layer->out, 1, 1}};
            snprintf(t->name, sizeof t->name, "lin%d.model.1.weight", i);
            return 1;
        }
        one = &c[(i - k) / 2];
        *t = (struct t3d_lpips_tensor){
            "",
            (i - k) % 2 ? 1 : 4,
            {(uint64_t)one->out, (uint64_t)one->in, (uint64_t)one->kernel, (uint64_t)one->kernel}};
        snprintf(t->name, sizeof t->name, "%s.%s", one->name, (i - k) % 2 ? "bias" : "weight");
        return 1;
    }
    return 0;
}

static int64_t rows_after(const struct t3di_lpips_layer *l, int ceil_mode, int64_t n)
{
    int64_t span = n + 2 * l->pad - l->kernel, up = l->kind == T3DI_LPIPS_POOL && ceil_mode;

    if (l->kind != T3DI_LPIPS_CONV && l->kind != T3DI_LPIPS_POOL)
        return n;
    if (span < 0)
        return -1;
    span = (span + (up ? l->stride - 1 : 0)) / l->stride;
    return span - (up && span * l->stride >= n) + 1;
}

int64_t t3di_lpips_rows(const struct t3di_lpips_net *net, int tap, int64_t height)
{
    for (const struct t3di_lpips_layer *l = net->layer; l->kind != T3DI_LPIPS_END; l++) {
        height = height > 0 ? rows_after(l, net->ceil_mode, height) : -1;
        if (l->kind == T3DI_LPIPS_TAP && tap-- == 0)
            break;
    }
    return height;
}

int64_t t3di_lpips_stride(const struct t3di_lpips_net *net, int tap)
{
    int64_t stride = 1;

    for (const struct t3di_lpips_layer *l = net->layer; l->kind != T3DI_LPIPS_END; l++) {
        stride *= l->stride;
        if (l->kind == T3DI_LPIPS_TAP && tap-- == 0)
            break;
    }
    return stride;
}

/* --- graphs ----------------------------------------------------------------------------------- */

struct builder {
    const struct t3d_lpips *l;
    struct t3di_lpips_graph *out;
    struct t3d_graph *g;
    int n_convs, n_taps;
    int64_t stride; /* of the features so far */
    /* the constants of convolutions: made at the first use */
    struct t3d_ref weight[T3DI_LPIPS_MAX_CONVS], bias[T3DI_LPIPS_MAX_CONVS];
    int n_made;
};

static struct t3d_ref conv(struct builder *b, struct t3d_ref x, const struct t3di_lpips_conv *c,
                           int stride, int pad)
{
    int i = b->n_convs++;
    char name[48];

    if (i == b->n_made) {
        snprintf(name, sizeof name, "%s.weight", c->name);
        b->weight[i] = t3d_graph_constant(
            b->g, name, T3D_SHAPE(c->out, c->in, c->kernel, c->kernel), b->l->weight[i]);
        snprintf(name, sizeof name, "%s.bias", c->name);
        b->bias[i] = t3d_graph_constant(b->g, name, T3D_SHAPE(c->out), b->l->bias[i]);
        b->n_made++;
    }
    return t3d_conv2d(b->g, x, b->weight[i], b->bias[i],
                      &(struct t3d_conv){.stride = stride, .pad_h = pad, .pad_w = pad, .relu = 1});
}

static struct t3d_ref head(struct builder *b, int channels)
{
    char name[16];

    snprintf(name, sizeof name, "lin%d", b->n_taps);
    return t3d_graph_constant(b->g, name, T3D_SHAPE(channels), b->l->head[b->n_taps]);
}

static void compare(struct builder *b, struct t3d_ref x, int channels)
{
    int64_t rows = t3d_graph_shape(b->g, x).dim[1];
    struct t3di_lpips_tap tap = {b->out->above / b->stride, rows};
    struct t3d_ref in[2] = {x, head(b, channels)};

    if (b->out->below)
        tap.last = (b->out->height - b->out->below) / b->stride;
    b->out->tap[b->n_taps] = t3d_graph_node(b->g, &t3di_lpips_op, &tap, in, 2);
    t3d_graph_keep(b->g, b->out->tap[b->n_taps++]);
}

static struct t3d_ref add_layer(struct builder *b, struct t3d_ref x,
                                const struct t3di_lpips_layer *layer)
{
    struct t3di_lpips_conv c[3];
    struct t3d_ref part[2];

    b->stride *= layer->stride;
    switch (layer->kind) {
    case T3DI_LPIPS_CONV:
        t3di_lpips_convs(layer, c);
        return conv(b, x, &c[0], layer->stride, layer->pad);
    case T3DI_LPIPS_POOL:
        return t3d_max_pool(b->g, x,
                            &(struct t3d_pooling){.kernel = layer->kernel,
                                                  .stride = layer->stride,
                                                  .ceil_mode = b->l->net->ceil_mode});
    case T3DI_LPIPS_FIRE:
        t3di_lpips_convs(layer, c);
        x = conv(b, x, &c[0], 1, 0);
        part[0] = conv(b, x, &c[1], 1, 0);
        part[1] = conv(b, x, &c[2], 1, 1);
        return t3d_concat(b->g, part, 2, 3);
    default:
        compare(b, x, layer->out);
        return x;
    }
}

/* [0, 1] to what the networks take: as fill_row of lpips.c. */
static struct t3d_ref normalised(struct t3d_graph *g, struct t3d_ref x, struct t3d_ref by,
                                 struct t3d_ref and)
{
    return t3d_add(g, t3d_mul(g, x, by), and);
}

struct t3d_ref t3d_lpips_distance(struct t3d_graph *g, const struct t3d_lpips *l, struct t3d_ref x,
                                  struct t3d_ref y)
{
    static const t3d_real by[3] = {(t3d_real)(2 / .458), (t3d_real)(2 / .448),
                                   (t3d_real)(2 / .450)},
                          and[3] = {(t3d_real)(-.970 / .458), (t3d_real)(-.912 / .448),
                                    (t3d_real)(-.812 / .450)};
    struct builder b = {.l = l, .g = g};
    struct t3d_ref c[2] = {t3d_graph_constant(g, "lpips.scale", T3D_SHAPE(3), by),
                           t3d_graph_constant(g, "lpips.shift", T3D_SHAPE(3), and)};
    struct t3d_ref sum = T3D_NONE;

    x = normalised(g, x, c[0], c[1]);
    y = normalised(g, y, c[0], c[1]);
    for (const struct t3di_lpips_layer *k = l->net->layer; k->kind != T3DI_LPIPS_END; k++) {
        int first = b.n_convs;

        if (k->kind == T3DI_LPIPS_TAP) {
            struct t3d_ref in[3] = {x, y, head(&b, k->out)};
            struct t3d_ref part = t3d_graph_node(g, &t3di_lpips_distance_op, NULL, in, 3);

            sum = b.n_taps++ ? t3d_add(g, sum, part) : part;
            continue;
        }
        x = add_layer(&b, x, k);
        b.n_convs = first;
        y = add_layer(&b, y, k);
    }
    return sum;
}

static int build(struct t3di_lpips_graph *out, const struct t3d_lpips *l, int dry,
                 struct t3d_err *err)
{
    struct builder b = {.l = l, .out = out, .stride = 1};
    struct t3d_ref x;

    out->g = b.g = t3d_graph_new(T3D_CPU, l->threads);
    if (!b.g)
        return t3d_err_nomem(err, "LPIPS");
    t3d_graph_use_pool(b.g, l->pool);
    x = out->input =
        t3d_graph_input(b.g, "pictures", T3D_SHAPE(2 * out->pairs, out->height, out->width, 3));
    for (const struct t3di_lpips_layer *k = l->net->layer; k->kind != T3DI_LPIPS_END; k++)
        x = add_layer(&b, x, k);
    return t3d_graph_build(b.g, &(struct t3d_plan){.loss = T3D_NONE, .dry = dry}, err);
}

static int same(const struct t3di_lpips_graph *a, const struct t3di_lpips_graph *b)
{
    return a->pairs == b->pairs && a->height == b->height && a->width == b->width &&
           a->above == b->above && a->below == b->below;
}

static void drop(struct t3di_lpips_graph *g)
{
    t3d_graph_free(g->g);
    *g = (struct t3di_lpips_graph){0};
}

/* A free place, and all graphs together within the limit when there is one of `bytes` more. */
static struct t3di_lpips_graph *make_room(struct t3d_lpips *l, size_t bytes)
{
    for (;;) {
        struct t3di_lpips_graph *empty = NULL, *oldest = NULL;
        size_t sum = bytes;

        for (int i = 0; i < T3DI_LPIPS_GRAPHS; i++) {
            struct t3di_lpips_graph *g = &l->graph[i];
            sum += g->bytes;
            if (!g->g)
                empty = g;
            else if (!oldest || g->used < oldest->used)
                oldest = g;
        }
        if (empty && (sum <= l->memory || !oldest))
            return empty;
        drop(oldest);
    }
}

int t3di_lpips_graph(struct t3di_lpips_graph **out, struct t3d_lpips *l,
                     const struct t3di_lpips_graph *want, struct t3d_err *err)
{
    struct t3di_lpips_graph *g;
    size_t bytes;
    int r;

    for (int i = 0; i < T3DI_LPIPS_GRAPHS; i++) {
        if (l->graph[i].g && same(&l->graph[i], want)) {
            *out = &l->graph[i];
            (*out)->used = ++l->runs;
            return T3D_OK;
        }
    }
    r = t3di_lpips_bytes(&bytes, l, want, err);
    if (r < 0)
        return r;
    *out = g = make_room(l, bytes);
    *g = *want;
    g->bytes = bytes;
    g->used = ++l->runs;
    r = build(g, l, 0, err);
    if (r < 0)
        drop(g);
    return r;
}

int t3di_lpips_bytes(size_t *bytes, const struct t3d_lpips *l, const struct t3di_lpips_graph *want,
                     struct t3d_err *err)
{
    struct t3di_lpips_graph g = *want;
    struct t3d_graph_size size;
    int r = build(&g, l, 1, err);

    if (r == T3D_OK) {
        t3d_graph_size(g.g, &size);
        *bytes = size.total_bytes;
    }
    t3d_graph_free(g.g);
    return r;
}
