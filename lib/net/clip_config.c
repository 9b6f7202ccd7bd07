/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of both layouts. What a file leaves out is what its library takes then
 * (transformers: models/clip/configuration_clip.py; open_clip: src/open_clip/model.py,
 * CLIPVisionCfg and CLIPTextCfg), and is noted as such; mean, deviation and the like are never
 * assumed. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "net/clip_impl.h"

/* A file being read; the first complaint sticks. */
struct reader {
    struct t3d_encoder *e;
    struct t3d_err err;
    int failed;
    const char *path;
    const char *scope; /* "text_config." */
};

enum { MAX_WIDTH = 1 << 16, MAX_LAYERS = 1024, MAX_TOKENS = 1 << 16, MAX_VOCAB = 1 << 24 };

static int fail(struct reader *r, const char *reason, const char *fmt, ...) T3D_PRINTF(3, 4);
static int fail(struct reader *r, const char *reason, const char *fmt, ...)
{
    char text[sizeof r->err.msg];
    va_list ap;

    if (r->failed)
        return r->err.code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->failed = 1;
    return t3d_err_set(&r->err, T3D_SKIP, reason, "'%s': %s", r->path, text);
}

static const cJSON *member(const cJSON *o, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

    return v && !cJSON_IsNull(v) ? v : NULL;
}

/* A whole number of low..high; when absent the library's default, or a complaint when that is 0. */
static int64_t whole(struct reader *r, const cJSON *o, const char *key, int64_t otherwise,
                     int64_t low, int64_t high)
{
    const cJSON *v = member(o, key);

    if (!v && otherwise)
        return otherwise;
    if (!v) {
        fail(r, "bad-config", "%s%s is not stated", r->scope, key);
        return low;
    }
    if (!cJSON_IsNumber(v) || v->valuedouble != floor(v->valuedouble) ||
        v->valuedouble < (double)low || v->valuedouble > (double)high) {
        fail(r, "bad-config", "%s%s must be a whole number from %lld to %lld", r->scope, key,
             (long long)low, (long long)high);
        return low;
    }
    return (int64_t)v->valuedouble;
}

static double real(struct reader *r, const cJSON *o, const char *key, double otherwise)
{
    const cJSON *v = member(o, key);

    if (v && (!cJSON_IsNumber(v) || !isfinite(v->valuedouble) || v->valuedouble <= 0)) {
        fail(r, "bad-config", "%s%s must be a number above 0", r->scope, key);
        return otherwise;
    }
    return v ? v->valuedouble : otherwise;
}

/* A side that is one number, or [h, w] with both the same. */
static int64_t side(struct reader *r, const cJSON *o, const char *key, int64_t otherwise)
{
    const cJSON *v = member(o, key), *a = cJSON_GetArrayItem(v, 0), *b = cJSON_GetArrayItem(v, 1);

    if (!cJSON_IsArray(v))
        return whole(r, o, key, otherwise, 1, 1 << 14);
    if (cJSON_GetArraySize(v) != 2 || !cJSON_IsNumber(a) || !cJSON_IsNumber(b) ||
        a->valuedouble != b->valuedouble || a->valuedouble < 1 || a->valuedouble > 1 << 14) {
        fail(r, "unsupported-model",
             "%s%s is not square: only square pictures and patches are known", r->scope, key);
        return 1;
    }
    return (int64_t)a->valuedouble;
}

static void check_heads(struct reader *r, const struct t3di_clip_tower *t)
{
    if (t->heads && t->width % t->heads)
        fail(r, "bad-config", "%sa width of %lld does not divide into %lld heads", r->scope,
             (long long)t->width, (long long)t->heads);
}

/* Tokens of the image tower, from its picture and patch. */
static void count_patches(struct reader *r, struct t3di_clip_config *c)
{
    int64_t grid = c->image_size / c->patch;

    if (grid < 1)
        fail(r, "bad-config", "%sa patch of %lld is larger than the picture of %lld", r->scope,
             (long long)c->patch, (long long)c->image_size);
    c->image.tokens = grid * grid + 1;
    if (c->image.tokens > MAX_TOKENS)
        fail(r, "bad-config", "%s%lld patches are too many", r->scope, (long long)(grid * grid));
}

static const char *act_name(enum t3d_act act)
{
    return act == T3D_ACT_QUICK_GELU ? "quick_gelu" : act == T3D_ACT_GELU ? "gelu" : "gelu (tanh)";
}

static void note_tower(struct reader *r, const char *name, const struct t3di_clip_tower *t,
                       const char *act_source)
{
    t3di_encoder_note(r->e,
                      "%s tower: width %lld, %lld layers, %lld heads, mlp %lld, %lld tokens, "
                      "epsilon %g; activation %s, %s",
                      name, (long long)t->width, (long long)t->layers, (long long)t->heads,
                      (long long)t->mlp, (long long)t->tokens, t->eps, act_name(t->act),
                      act_source);
}

/* --- transformers --------------------------------------------------------------------------- */

static enum t3d_act hidden_act(struct reader *r, const cJSON *o)
{
    static const struct {
        const char *name;
        enum t3d_act act;
    } known[] = {{"quick_gelu", T3D_ACT_QUICK_GELU},
                 {"gelu", T3D_ACT_GELU},
                 {"gelu_new", T3D_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", T3D_ACT_GELU_TANH},
                 {"relu", T3D_ACT_RELU},
                 {"silu", T3D_ACT_SILU}};
    const char *name = t3d_json_str(o, "hidden_act", NULL);

    if (!member(o, "hidden_act"))
        return T3D_ACT_QUICK_GELU;
    for (size_t i = 0; name && i < T3D_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].act;
    fail(r, "unsupported-model",
         "%shidden_act '%s' is not one of quick_gelu, gelu, gelu_new, relu, silu", r->scope,
         name ? name : "");
    return T3D_ACT_NONE;
}

static void read_tower(struct reader *r, struct t3di_clip_tower *t, const cJSON *o,
                       const int64_t otherwise[4])
{
    t->present = 1;
    t->width = whole(r, o, "hidden_size", otherwise[0], 1, MAX_WIDTH);
    t->mlp = whole(r, o, "intermediate_size", otherwise[1], 1, 4 * MAX_WIDTH);
    t->layers = whole(r, o, "num_hidden_layers", otherwise[2], 1, MAX_LAYERS);
    t->heads = whole(r, o, "num_attention_heads", otherwise[3], 1, MAX_WIDTH);
    t->eps = real(r, o, "layer_norm_eps", 1e-5);
    t->act = hidden_act(r, o);
    check_heads(r, t);
}

static const char *act_source(const cJSON *o)
{
    return member(o, "hidden_act") ? "from hidden_act" : "transformers' default: no hidden_act";
}

static void read_image(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    static const int64_t otherwise[] = {768, 3072, 12, 12};

    read_tower(r, &c->image, o, otherwise);
    c->image_size = side(r, o, "image_size", 224);
    c->patch = side(r, o, "patch_size", 32);
    if (whole(r, o, "num_channels", 3, 1, 1000) != 3)
        fail(r, "unsupported-model", "%snum_channels is not 3", r->scope);
    count_patches(r, c);
    if (!r->failed)
        note_tower(r, "image", &c->image, act_source(o));
}

/* 2 stands in many published files where 49407 is meant; transformers takes the largest id then
 * (modeling_clip.py, CLIPTextTransformer.forward). */
static int64_t end_token(struct reader *r, const cJSON *o)
{
    const cJSON *v = member(o, "eos_token_id");
    int64_t eos;

    if (cJSON_IsArray(v) && cJSON_GetArraySize(v) == 1)
        v = cJSON_GetArrayItem(v, 0);
    if (!v)
        return 49407;
    if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > MAX_VOCAB) {
        fail(r, "bad-config", "%seos_token_id must be one id", r->scope);
        return -1;
    }
    eos = (int64_t)v->valuedouble;
    return eos == 2 ? -1 : eos;
}

static void read_text(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    static const int64_t otherwise[] = {512, 2048, 12, 8};

    read_tower(r, &c->text, o, otherwise);
    c->text.tokens = whole(r, o, "max_position_embeddings", 77, 2, MAX_TOKENS);
    c->vocab = whole(r, o, "vocab_size", 49408, 1, MAX_VOCAB);
    c->eos = end_token(r, o);
    if (r->failed)
        return;
    note_tower(r, "text", &c->text, act_source(o));
    if (c->eos < 0)
        t3di_encoder_note(r->e, "pooled token: that of the largest id, as eos_token_id is 2");
    else
        t3di_encoder_note(r->e, "pooled token: the first %lld, %s", (long long)c->eos,
                          member(o, "eos_token_id") ? "from eos_token_id"
                                                    : "transformers' default: no eos_token_id");
}

/* The description of a tower inside config.json: NAME_config_dict, where there is one, overrides
 * NAME_config entirely (configuration_clip.py, CLIPConfig). */
static const cJSON *tower_config(struct reader *r, const cJSON *o, const char *dict,
                                 const char *plain)
{
    const cJSON *v = member(o, dict);

    if (v)
        t3di_encoder_note(r->e, "%s: used, as transformers does, in place of %s", dict, plain);
    else
        v = member(o, plain);
    if (v && !cJSON_IsObject(v))
        fail(r, "bad-config", "%s is not an object", plain);
    return v;
}

/* Towers saved alone may lack the projection: then a row is the pooled state itself. */
static int has_projection(const cJSON *o)
{
    const cJSON *a = cJSON_GetArrayItem(member(o, "architectures"), 0);

    return cJSON_IsString(a) && strstr(a->valuestring, "WithProjection") != NULL;
}

static void read_transformers(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    const char *type = t3d_json_str(o, "model_type", "");

    c->layout = T3DI_TRANSFORMERS;
    c->embed = whole(r, o, "projection_dim", 512, 1, MAX_WIDTH);
    if (strcmp(type, "clip") == 0) {
        r->scope = "text_config.";
        read_text(r, c, tower_config(r, o, "text_config_dict", "text_config"));
        r->scope = "vision_config.";
        read_image(r, c, tower_config(r, o, "vision_config_dict", "vision_config"));
        c->text.projects = c->image.projects = 1;
    } else if (strcmp(type, "clip_text_model") == 0) {
        read_text(r, c, o);
        c->text.projects = has_projection(o);
        c->embed = c->text.projects ? c->embed : c->text.width;
    } else {
        read_image(r, c, o);
        c->image.projects = has_projection(o);
        c->embed = c->image.projects ? c->embed : c->image.width;
    }
    r->scope = "";
}

/* --- open_clip ------------------------------------------------------------------------------ */

/* Parts of open_clip's configuration that change the network and that are not built here: each must
 * be absent or have the value that changes nothing. */
static void refuse_options(struct reader *r, const cJSON *o)
{
    static const char *const flags[] = {
        "ls_init_value", "attentional_pool",   "no_ln_pre",          "final_ln_after_pool",
        "qk_norm",       "scaled_cosine_attn", "scale_heads",        "scale_attn_inner",
        "scale_attn",    "scale_fc",           "timm_model_name",    "hf_model_name",
        "embed_cls",     "no_causal_mask",     "proj_bias",          "act_kwargs",
        "block_type",    "input_patchnorm",    "global_average_pool"};
    static const char *const words[][2] = {{"pos_embed_type", "learnable"},
                                           {"proj_type", "linear"}};

    for (size_t i = 0; i < T3D_COUNT(flags); i++) {
        const cJSON *v = member(o, flags[i]);

        if (v && !cJSON_IsFalse(v) &&
            !(cJSON_IsString(v) && (!*v->valuestring || strcmp(v->valuestring, "default") == 0)))
            fail(r, "unsupported-model", "%s%s is set: only plain transformers are known here",
                 r->scope, flags[i]);
    }
    for (size_t i = 0; i < T3D_COUNT(words); i++)
        if (strcmp(t3d_json_str(o, words[i][0], words[i][1]), words[i][1]) != 0)
            fail(r, "unsupported-model", "%s%s is not '%s'", r->scope, words[i][0], words[i][1]);
}

static double norm_eps(struct reader *r, const cJSON *o)
{
    const cJSON *kwargs = member(o, "norm_kwargs");

    return real(r, kwargs, "eps", 1e-5);
}

static void open_clip_image(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    struct t3di_clip_tower *t = &c->image;
    int64_t head;

    refuse_options(r, o);
    if (cJSON_IsArray(member(o, "layers")))
        fail(r, "unsupported-model", "%slayers is a list, so the image tower is a ResNet",
             r->scope);
    if (strcmp(t3d_json_str(o, "pool_type", "tok"), "tok") != 0)
        fail(r, "unsupported-model", "%spool_type is not 'tok'", r->scope);
    t->present = t->projects = 1;
    t->width = whole(r, o, "width", 768, 1, MAX_WIDTH);
    t->layers = whole(r, o, "layers", 12, 1, MAX_LAYERS);
    head = whole(r, o, "head_width", 64, 1, MAX_WIDTH);
    t->heads = t->width / head;
    t->mlp = (int64_t)((double)t->width * real(r, o, "mlp_ratio", 4));
    t->eps = norm_eps(r, o);
    c->image_size = side(r, o, "image_size", 224);
    c->patch = side(r, o, "patch_size", 16);
    if (t->heads < 1)
        fail(r, "bad-config", "%shead_width %lld is larger than the width %lld", r->scope,
             (long long)head, (long long)t->width);
    check_heads(r, t);
    count_patches(r, c);
}

static void open_clip_text(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    struct t3di_clip_tower *t = &c->text;
    const char *pool = t3d_json_str(o, "pool_type", "argmax");

    refuse_options(r, o);
    if (strcmp(pool, "argmax") != 0 && strcmp(pool, "eos") != 0)
        fail(r, "unsupported-model", "%spool_type '%s' is not argmax or eos", r->scope, pool);
    t->present = t->projects = 1;
    t->width = whole(r, o, "width", 512, 1, MAX_WIDTH);
    t->layers = whole(r, o, "layers", 12, 1, MAX_LAYERS);
    t->heads = whole(r, o, "heads", 8, 1, MAX_WIDTH);
    t->mlp = (int64_t)((double)t->width * real(r, o, "mlp_ratio", 4));
    t->tokens = whole(r, o, "context_length", 77, 2, MAX_TOKENS);
    t->eps = norm_eps(r, o);
    c->vocab = whole(r, o, "vocab_size", 49408, 1, MAX_VOCAB);
    c->eos = strcmp(pool, "eos") == 0 ? whole(r, o, "eos_id", 2, 0, MAX_VOCAB) : -1;
    check_heads(r, t);
}

static void read_open_clip(struct reader *r, struct t3di_clip_config *c, const cJSON *file)
{
    const cJSON *o = member(file, "model_cfg"), *quick = member(o, "quick_gelu");
    const char *source =
        quick ? "from model_cfg.quick_gelu" : "open_clip's default: no model_cfg.quick_gelu";

    c->layout = T3DI_OPEN_CLIP;
    if (!cJSON_IsObject(o) || !cJSON_IsObject(member(o, "vision_cfg")) ||
        !cJSON_IsObject(member(o, "text_cfg"))) {
        fail(r, "bad-config", "it has no model_cfg with vision_cfg and text_cfg");
        return;
    }
    if (quick && !cJSON_IsBool(quick))
        fail(r, "bad-config", "model_cfg.quick_gelu must be true or false");
    if (member(o, "multimodal_cfg"))
        fail(r, "unsupported-model", "multimodal_cfg is set: CoCa is not known here");
    if (member(o, "init_logit_bias"))
        fail(r, "unsupported-model", "init_logit_bias is set: SigLIP is not known here");
    c->embed = whole(r, o, "embed_dim", 0, 1, MAX_WIDTH);
    r->scope = "model_cfg.vision_cfg.";
    open_clip_image(r, c, member(o, "vision_cfg"));
    r->scope = "model_cfg.text_cfg.";
    open_clip_text(r, c, member(o, "text_cfg"));
    r->scope = "";
    c->image.act = c->text.act = cJSON_IsTrue(quick) ? T3D_ACT_QUICK_GELU : T3D_ACT_GELU;
    if (r->failed)
        return;
    note_tower(r, "image", &c->image, source);
    note_tower(r, "text", &c->text, source);
}

/* --- preprocessing -------------------------------------------------------------------------- */

/* Three numbers. */
static void triple(struct reader *r, double to[3], const cJSON *o, const char *key)
{
    const cJSON *v = member(o, key), *x;
    int n = 0;

    if (cJSON_IsArray(v) && cJSON_GetArraySize(v) == 3)
        cJSON_ArrayForEach (x, v)
            if (cJSON_IsNumber(x) && isfinite(x->valuedouble))
                to[n++] = x->valuedouble;
    if (n != 3)
        fail(r, "bad-config", "%s%s must be stated, as three numbers", r->scope, key);
}

/* {"shortest_edge": S}, {"height": S, "width": S} or S, which means the former for size. */
static int64_t edge(struct reader *r, const cJSON *o, const char *key, int *squash)
{
    const cJSON *v = member(o, key), *h = member(v, "height"), *w = member(v, "width");
    const cJSON *s = member(v, "shortest_edge");
    double n = cJSON_IsNumber(v) ? v->valuedouble : 0;

    *squash = 0;
    if (s && cJSON_IsNumber(s) && !member(v, "longest_edge"))
        n = s->valuedouble;
    if (cJSON_IsNumber(h) && cJSON_IsNumber(w) && h->valuedouble == w->valuedouble) {
        n = h->valuedouble;
        *squash = 1;
    }
    if (n < 1 || n > 1 << 14 || n != floor(n)) {
        fail(r, "bad-config",
             "%s must be stated: a number, or {\"shortest_edge\": S}, or a square height and width",
             key);
        return 1;
    }
    return (int64_t)n;
}

/* A flag that is on in CLIP's processor; off would be another network's input. */
static void must_be_on(struct reader *r, const cJSON *o, const char *key)
{
    const cJSON *v = member(o, key);

    if (v && !cJSON_IsTrue(v))
        fail(r, "unsupported-model", "%s is off: only CLIP's whole processing is known here", key);
}

static void filter_of(struct reader *r, struct t3d_preprocess *p, int64_t pil)
{
    if (pil != 2 && pil != 3)
        fail(r, "unsupported-model", "resample %lld is neither 2 (bilinear) nor 3 (bicubic)",
             (long long)pil);
    p->filter = pil == 2 ? T3D_FILTER_BILINEAR : T3D_FILTER_BICUBIC;
}

static void read_processor(struct reader *r, struct t3di_clip_config *c, const cJSON *o)
{
    struct t3d_preprocess *p = &c->preprocess;
    const cJSON *crop = member(o, "do_center_crop");
    int squash, square;
    int64_t size = edge(r, o, "size", &squash), cut = size;

    must_be_on(r, o, "do_resize");
    must_be_on(r, o, "do_rescale");
    must_be_on(r, o, "do_normalize");
    if (!crop || cJSON_IsTrue(crop))
        cut = edge(r, o, "crop_size", &square);
    else if (!squash)
        fail(r, "unsupported-model", "do_center_crop is off and size is not a height and a width");
    if (cut > size || (squash && cut != size))
        fail(r, "unsupported-model", "crop_size %lld is not the size %lld or less", (long long)cut,
             (long long)size);
    if (!r->failed && cut != c->image_size)
        fail(r, "bad-config", "it makes pictures of %lld, the network takes %lld", (long long)cut,
             (long long)c->image_size);
    p->mode = squash ? T3D_RESIZE_SQUASH : T3D_RESIZE_SHORTEST;
    p->shortest = (uint32_t)size;
    p->scale = real(r, o, "rescale_factor", 1. / 255);
    filter_of(r, p, whole(r, o, "resample", 0, 0, 5));
    triple(r, p->mean, o, "image_mean");
    triple(r, p->std, o, "image_std");
}

/* Reads the file into *out, which stays NULL when there is none. */
static int read_file(struct reader *r, cJSON **out, const char *dir, const char *name)
{
    char *path = t3d_path_join(&r->e->arena, dir, name);

    if (!path) {
        r->failed = 1;
        return t3d_err_nomem(&r->err, dir);
    }
    if (access(path, F_OK) != 0)
        return T3D_OK;
    r->path = path;
    if (t3d_json_read(out, path, 16 << 20, &r->err) < 0 || !cJSON_IsObject(*out))
        return fail(r, "bad-config", "it is not a JSON object");
    return T3D_OK;
}

/* preprocessor_config.json, or the image_processor of processor_config.json. */
static void transformers_preprocess(struct reader *r, struct t3di_clip_config *c, const char *dir)
{
    cJSON *file = NULL;
    const cJSON *o = NULL;

    c->preprocess.recipe = T3D_RECIPE_HF;
    if (read_file(r, &file, dir, "preprocessor_config.json") == T3D_OK && file) {
        o = file;
    } else if (!r->failed && read_file(r, &file, dir, "processor_config.json") == T3D_OK) {
        o = member(file, "image_processor");
    }
    if (!r->failed && o) {
        read_processor(r, c, o);
        c->has_preprocess = 1;
        t3di_encoder_note(r->e, "preprocessing: from %s", r->path);
    }
    cJSON_Delete(file);
}

static void open_clip_preprocess(struct reader *r, struct t3di_clip_config *c, const cJSON *file)
{
    static const char *const modes[] = {[T3D_RESIZE_SHORTEST] = "shortest",
                                        [T3D_RESIZE_SQUASH] = "squash",
                                        [T3D_RESIZE_LONGEST] = "longest"};
    struct t3d_preprocess *p = &c->preprocess;
    const cJSON *o = member(file, "preprocess_cfg");
    const char *mode = t3d_json_str(o, "resize_mode", "shortest");
    const char *filter = t3d_json_str(o, "interpolation", "bicubic");
    int found = 0;

    p->recipe = T3D_RECIPE_OPEN_CLIP;
    if (!o)
        return;
    r->scope = "preprocess_cfg.";
    p->shortest = (uint32_t)c->image_size;
    p->fill = (uint8_t)(member(o, "fill_color") ? whole(r, o, "fill_color", 0, 0, 255) : 0);
    for (size_t i = 0; i < T3D_COUNT(modes); i++)
        if (strcmp(modes[i], mode) == 0) {
            p->mode = (enum t3d_resize_mode)i;
            found = 1;
        }
    if (!found)
        fail(r, "unsupported-model", "preprocess_cfg.resize_mode '%s' is not known", mode);
    if (strcmp(filter, "bicubic") != 0 && strcmp(filter, "bilinear") != 0)
        fail(r, "unsupported-model", "preprocess_cfg.interpolation '%s' is not known", filter);
    p->filter = strcmp(filter, "bilinear") == 0 ? T3D_FILTER_BILINEAR : T3D_FILTER_BICUBIC;
    triple(r, p->mean, o, "mean");
    triple(r, p->std, o, "std");
    c->has_preprocess = 1;
    t3di_encoder_note(r->e,
                      "preprocessing: from preprocess_cfg; resize_mode %s%s, interpolation %s%s",
                      mode, member(o, "resize_mode") ? "" : " (open_clip's default)", filter,
                      member(o, "interpolation") ? "" : " (open_clip's default)");
    r->scope = "";
}

/* The option's recipe in place of the folder's: its way of cutting and counting, with the folder's
 * numbers; openai has numbers of its own. */
static void choose_recipe(struct reader *r, struct t3di_clip_config *c, const char *name)
{
    struct t3d_preprocess *p = &c->preprocess;

    if (!name)
        return;
    if (t3d_recipe_find(&p->recipe, name) < 0) {
        r->failed = 1;
        t3d_err_set(&r->err, T3D_USAGE, "bad-argument", "there is no recipe '%s': use one of %s",
                    name, t3d_recipe_names);
        return;
    }
    t3di_encoder_note(r->e, "recipe: %s, as asked for", name);
    if (p->recipe == T3D_RECIPE_OPENAI) {
        memcpy(p->mean, t3d_openai_mean, sizeof p->mean);
        memcpy(p->std, t3d_openai_std, sizeof p->std);
        p->mode = T3D_RESIZE_SHORTEST;
        p->filter = T3D_FILTER_BICUBIC;
        p->shortest = (uint32_t)c->image_size;
        c->has_preprocess = 1;
    }
}

static void finish_preprocess(struct reader *r, struct t3di_clip_config *c)
{
    struct t3d_preprocess *p = &c->preprocess;

    if (r->failed)
        return;
    if (!c->has_preprocess) {
        fail(r, "bad-config",
             "mean and deviation of the pictures are not stated: add preprocessor_config.json (or "
             "preprocess_cfg), or ask for the recipe openai");
        return;
    }
    p->size = (uint32_t)c->image_size;
    if (!p->scale)
        p->scale = 1. / 255;
    r->failed = t3d_preprocess_init(p, &r->err) < 0;
    if (r->failed)
        t3d_err_prefix(&r->err, "'%s'", r->path);
    t3di_encoder_note(r->e, "mean %g %g %g, deviation %g %g %g", p->mean[0], p->mean[1], p->mean[2],
                      p->std[0], p->std[1], p->std[2]);
}

int t3di_clip_configure(struct t3di_clip_config *c, struct t3d_encoder *e,
                        const struct t3di_folder *f, struct t3d_err *err)
{
    struct reader r = {.e = e, .scope = ""};
    int open_clip = f->open_clip && !t3di_clip_is_transformers(f);

    r.path = t3d_path_join(&e->arena, f->path, open_clip ? "open_clip_config.json" : "config.json");
    if (!r.path)
        return t3d_err_nomem(err, f->path);
    if (open_clip)
        read_open_clip(&r, c, f->open_clip);
    else
        read_transformers(&r, c, f->config);
    if (!r.failed && c->image.present) {
        if (open_clip)
            open_clip_preprocess(&r, c, f->open_clip);
        else
            transformers_preprocess(&r, c, f->path);
        if (!r.failed)
            choose_recipe(&r, c, e->options.recipe);
        finish_preprocess(&r, c);
    }
    if (r.failed && err)
        *err = r.err;
    return r.failed ? r.err.code : T3D_OK;
}
