/* SPDX-License-Identifier: Apache-2.0 */
#include "model/clip.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "num/ops.h"

enum { PREFIX = 64, NAME = 128, FULL_NAME = 192 };

#define LN_EPS    1e-5
#define LOG_SCALE 2.6592600369327783 /* ln(1 / 0.07), the paper's section 2.3 */
#define MAX_SCALE 4.605170185988092  /* ln 100 */

const double t3d_clip_mean[3] = {0.48145466, 0.4578275, 0.40821073};
const double t3d_clip_std[3] = {0.26862954, 0.26130258, 0.27577711};

static const struct {
    const char *name;
    struct t3d_clip_config config;
} sizes[] = {{"nano",
              {.image_size = 64,
               .patch = 8,
               .vision = {.width = 96, .layers = 4, .heads = 4, .mlp = 192},
               .text = {.width = 96, .layers = 3, .heads = 4, .mlp = 192},
               .vocab = 1024,
               .context = 48,
               .embed = 64}}};

const struct t3d_clip_config *t3d_clip_size(const char *name)
{
    for (size_t i = 0; i < T3D_COUNT(sizes); i++)
        if (strcmp(sizes[i].name, name) == 0)
            return &sizes[i].config;
    return NULL;
}

static int64_t tower_params(const struct t3d_tower *t)
{
    int64_t d = t->width, m = t->mlp;

    return t->layers * (4 * d * d + 2 * d * m + 9 * d + m);
}

int64_t t3d_clip_params(const struct t3d_clip_config *c)
{
    int64_t side = c->image_size / c->patch, v = c->vision.width, t = c->text.width;

    return tower_params(&c->vision) + tower_params(&c->text) +
           v * (3 * (int64_t)c->patch * c->patch + side * side + 2 + 4 + c->embed) +
           t * ((int64_t)c->vocab + c->context + 2 + c->embed) + 1;
}

/* --- the graph ------------------------------------------------------------------------------- */

struct building {
    struct t3d_graph *g;
    const struct t3d_clip_config *c;
    int batch, tokens;
};

/* Parameter "<prefix>.<what>" of one or two axes (n = 0: one). */
static struct t3d_ref param(struct building *b, const char *prefix, const char *what, int64_t m,
                            int64_t n)
{
    char name[FULL_NAME];

    snprintf(name, sizeof name, "%s.%s", prefix, what);
    return t3d_graph_param(b->g, name, n ? T3D_SHAPE(m, n) : T3D_SHAPE(m));
}

static struct t3d_ref norm(struct building *b, struct t3d_ref x, const char *prefix, int64_t width)
{
    struct t3d_ref gain = param(b, prefix, "weight", width, 0);

    return t3d_layer_norm(b->g, x, gain, param(b, prefix, "bias", width, 0), LN_EPS);
}

static struct t3d_ref dense(struct building *b, struct t3d_ref x, const char *prefix,
                            const char *what, int64_t out, int64_t in, enum t3d_act act,
                            struct t3d_ref residual)
{
    char name[NAME];
    struct t3d_ref w;

    snprintf(name, sizeof name, "%s.%s", prefix, what);
    w = param(b, name, "weight", out, in);
    return t3d_matmul_add(b->g, x, w, param(b, name, "bias", out, 0), act, residual);
}

/* Row `row` (B, 1) of each sample where given, else all: x (B, T, D) -> (B, 1, D). */
static struct t3d_ref pick(struct building *b, struct t3d_ref x, struct t3d_ref row)
{
    return row.node < 0 ? x : t3d_gather(b->g, x, row);
}

/* One pre-LN block. With a row only that row comes out: its query sees the keys that seen allows,
 * which for a causal tower are those up to it. */
static struct t3d_ref block(struct building *b, struct t3d_ref x, const char *tower, int i,
                            const struct t3d_tower *t, int causal, struct t3d_ref row,
                            struct t3d_ref seen)
{
    const struct t3d_attention attention = {.heads = t->heads, .causal = causal && row.node < 0};
    char prefix[PREFIX], ln[NAME];
    struct t3d_ref h, q, k, v;
    int64_t d = t->width;

    snprintf(prefix, sizeof prefix, "%s.encoder.layers.%d", tower, i);
    t3d_graph_scope(b->g, "%s", prefix);
    t3d_graph_segment_begin(b->g);
    snprintf(ln, sizeof ln, "%s.layer_norm1", prefix);
    h = norm(b, x, ln, d);
    q = dense(b, pick(b, h, row), prefix, "self_attn.q_proj", d, d, T3D_ACT_NONE, T3D_NONE);
    k = dense(b, h, prefix, "self_attn.k_proj", d, d, T3D_ACT_NONE, T3D_NONE);
    v = dense(b, h, prefix, "self_attn.v_proj", d, d, T3D_ACT_NONE, T3D_NONE);
    h = t3d_attend(b->g, q, k, v, row.node < 0 ? T3D_NONE : seen, T3D_NONE, &attention);
    x = dense(b, h, prefix, "self_attn.out_proj", d, d, T3D_ACT_NONE, pick(b, x, row));
    snprintf(ln, sizeof ln, "%s.layer_norm2", prefix);
    h = norm(b, x, ln, d);
    h = dense(b, h, prefix, "mlp.fc1", t->mlp, d, T3D_ACT_QUICK_GELU, T3D_NONE);
    x = dense(b, h, prefix, "mlp.fc2", d, t->mlp, T3D_ACT_NONE, x);
    t3d_graph_segment_end(b->g);
    return x;
}

static struct t3d_ref vision(struct building *b, const struct t3d_clip *m)
{
    const struct t3d_clip_config *c = b->c;
    int64_t d = c->vision.width, p = c->patch, side = c->image_size / p;
    struct t3d_ref part[2], w, x;

    t3d_graph_scope(b->g, "vision_model.embeddings");
    w = t3d_graph_param(b->g, "vision_model.embeddings.class_embedding", T3D_SHAPE(d));
    part[0] = t3d_embedding(b->g, t3d_graph_view(b->g, w, T3D_SHAPE(1, d)), m->first);
    w = t3d_graph_param(b->g, "vision_model.embeddings.patch_embedding.weight",
                        T3D_SHAPE(d, 3, p, p));
    w = t3d_graph_view(b->g, w, T3D_SHAPE(d, 3 * p * p));
    part[1] = t3d_matmul(b->g, t3d_patchify(b->g, m->pixels, (int)p, 0), w, T3D_NONE, T3D_ACT_NONE);
    x = t3d_concat(b->g, part, 2, 1);
    w = param(b, "vision_model.embeddings.position_embedding", "weight", side * side + 1, d);
    x = norm(b, t3d_add(b->g, x, w), "vision_model.pre_layrnorm", d);
    for (int i = 0; i < c->vision.layers; i++)
        x = block(b, x, "vision_model", i, &c->vision, 0,
                  i + 1 == c->vision.layers ? m->first : T3D_NONE, T3D_NONE);
    t3d_graph_scope(b->g, "visual_projection");
    x = norm(b, x, "vision_model.post_layernorm", d);
    w = param(b, "visual_projection", "weight", c->embed, d);
    x = t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, d));
    return t3d_unit_rows(b->g, t3d_matmul(b->g, x, w, T3D_NONE, T3D_ACT_NONE), 1e-12);
}

static struct t3d_ref text(struct building *b, const struct t3d_clip *m)
{
    const struct t3d_clip_config *c = b->c;
    int64_t d = c->text.width;
    struct t3d_ref w, x;

    t3d_graph_scope(b->g, "text_model.embeddings");
    w = param(b, "text_model.embeddings.token_embedding", "weight", c->vocab, d);
    x = t3d_embedding(b->g, w, m->ids);
    w = param(b, "text_model.embeddings.position_embedding", "weight", c->context, d);
    if (b->tokens < c->context)
        w = t3d_slice(b->g, w, 0, 0, b->tokens);
    x = t3d_add(b->g, x, w);
    for (int i = 0; i < c->text.layers; i++)
        x = block(b, x, "text_model", i, &c->text, 1, i + 1 == c->text.layers ? m->end : T3D_NONE,
                  m->seen);
    t3d_graph_scope(b->g, "text_projection");
    x = norm(b, x, "text_model.final_layer_norm", d);
    w = param(b, "text_projection", "weight", c->embed, d);
    x = t3d_graph_view(b->g, x, T3D_SHAPE(b->batch, d));
    return t3d_unit_rows(b->g, t3d_matmul(b->g, x, w, T3D_NONE, T3D_ACT_NONE), 1e-12);
}

struct t3d_clip t3d_clip_build(struct t3d_graph *g, const struct t3d_clip_config *c, int batch,
                               int tokens)
{
    struct building b = {.g = g, .c = c, .batch = batch, .tokens = tokens};
    struct t3d_clip m;
    struct t3d_ref scale;

    m.pixels = t3d_graph_input(g, "pixels", T3D_SHAPE(batch, 3, c->image_size, c->image_size));
    m.ids = t3d_graph_input(g, "ids", T3D_SHAPE_INT(batch, tokens));
    m.seen = t3d_graph_input(g, "seen", T3D_SHAPE_INT(batch, tokens));
    m.end = t3d_graph_input(g, "end", T3D_SHAPE_INT(batch, 1));
    m.first = t3d_graph_input(g, "first", T3D_SHAPE_INT(batch, 1));
    m.image_rows = vision(&b, &m);
    m.text_rows = text(&b, &m);
    t3d_graph_scope(g, "loss");
    m.log_scale = t3d_graph_param(g, "logit_scale", (struct t3d_shape){.type = T3D_REAL});
    scale = t3d_graph_view(g, m.log_scale, T3D_SHAPE(1));
    m.loss = t3d_contrastive(g, m.image_rows, m.text_rows, scale);
    t3d_graph_keep(g, m.image_rows);
    t3d_graph_keep(g, m.text_rows);
    t3d_graph_keep(g, m.loss);
    return m;
}

/* --- weights --------------------------------------------------------------------------------- */

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* The deviation of a parameter's normal distribution; 0 = all are *constant. */
static double deviation(const struct t3d_clip_config *c, const char *name,
                        const struct t3d_shape *s, double *constant)
{
    const struct t3d_tower *t = strncmp(name, "text", 4) == 0 ? &c->text : &c->vision;

    *constant = 0;
    if (strcmp(name, "logit_scale") == 0) {
        *constant = LOG_SCALE;
        return 0;
    }
    if (ends_with(name, ".bias"))
        return 0;
    if (s->n == 1 && ends_with(name, ".weight")) {
        *constant = 1;
        return 0;
    }
    if (strstr(name, "token_embedding"))
        return 0.02;
    if (strcmp(name, "text_model.embeddings.position_embedding.weight") == 0)
        return 0.01;
    if (strstr(name, "patch_embedding"))
        return 1 / sqrt(3.0 * c->patch * c->patch);
    if (ends_with(name, "out_proj.weight") || ends_with(name, "fc2.weight"))
        return 1 / sqrt(2.0 * t->layers * t->width);
    if (ends_with(name, "fc1.weight"))
        return 1 / sqrt(2.0 * t->width);
    return 1 / sqrt(t->width);
}

void t3d_clip_init(struct t3d_graph *g, const struct t3d_clip_config *c, uint64_t seed)
{
    for (int i = 0; i < t3d_graph_n_params(g); i++) {
        const char *name;
        struct t3d_ref p = t3d_graph_param_at(g, i, &name);
        struct t3d_shape s = t3d_graph_shape(g, p);
        t3d_real *x = t3d_graph_data(g, p);
        struct t3d_rng r = t3d_rng_for(seed, name, 0);
        double constant, d = deviation(c, name, &s, &constant);

        for (int64_t k = 0, n = t3d_shape_count(&s); k < n; k++)
            x[k] = (t3d_real)(d > 0 ? d * t3d_rng_normal(&r) : constant);
    }
}

void t3d_clip_clamp_scale(struct t3d_graph *g, struct t3d_ref log_scale)
{
    t3d_real *x = t3d_graph_data(g, log_scale);

    *x = (t3d_real)T3D_CLAMP((double)*x, 0, MAX_SCALE);
}
