/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that transformers' CLIPModel, CLIPTokenizer and CLIPImageProcessor load. */
#include <string.h>

#include "base/json.h"
#include "model/clip.h"
#include "model/file.h"

enum { BICUBIC = 3 }; /* Pillow's number */

static void set_tower(cJSON *o, const struct t3d_tower *t, const char *type, int embed)
{
    t3d_json_set_num(o, "hidden_size", t->width);
    t3d_json_set_num(o, "intermediate_size", t->mlp);
    t3d_json_set_num(o, "num_hidden_layers", t->layers);
    t3d_json_set_num(o, "num_attention_heads", t->heads);
    t3d_json_set_str(o, "hidden_act", "quick_gelu");
    t3d_json_set_num(o, "layer_norm_eps", 1e-5);
    t3d_json_set_num(o, "attention_dropout", 0);
    t3d_json_set_num(o, "projection_dim", embed);
    t3d_json_set_str(o, "model_type", type);
}

static cJSON *model_json(const struct t3d_clip_config *c, enum t3d_tensor_type type)
{
    cJSON *o = cJSON_CreateObject(), *list, *v, *t;

    list = cJSON_AddArrayToObject(o, "architectures");
    cJSON_AddItemToArray(list, cJSON_CreateString("CLIPModel"));
    t3d_json_set_str(o, "model_type", "clip");
    t3d_json_set_num(o, "projection_dim", c->embed);
    t3d_json_set_num(o, "logit_scale_init_value", 2.6592);
    t3d_json_set_str(o, "torch_dtype", type == T3D_TENSOR_F16 ? "float16" : "float32");
    v = cJSON_AddObjectToObject(o, "vision_config");
    set_tower(v, &c->vision, "clip_vision_model", c->embed);
    t3d_json_set_num(v, "image_size", c->image_size);
    t3d_json_set_num(v, "patch_size", c->patch);
    t3d_json_set_num(v, "num_channels", 3);
    t = cJSON_AddObjectToObject(o, "text_config");
    set_tower(t, &c->text, "clip_text_model", c->embed);
    t3d_json_set_num(t, "vocab_size", c->vocab);
    t3d_json_set_num(t, "max_position_embeddings", c->context);
    t3d_json_set_num(t, "bos_token_id", c->vocab - 2);
    t3d_json_set_num(t, "eos_token_id", c->vocab - 1);
    t3d_json_set_num(t, "pad_token_id", c->vocab - 1);
    return o;
}

static cJSON *preprocessor_json(const struct t3d_clip_config *c)
{
    cJSON *o = cJSON_CreateObject(), *size;

    t3d_json_set_str(o, "image_processor_type", "CLIPImageProcessor");
    t3d_json_set_bool(o, "do_convert_rgb", 1);
    t3d_json_set_bool(o, "do_resize", 1);
    size = cJSON_AddObjectToObject(o, "size");
    t3d_json_set_num(size, "shortest_edge", c->image_size);
    t3d_json_set_num(o, "resample", BICUBIC);
    t3d_json_set_bool(o, "do_center_crop", 1);
    size = cJSON_AddObjectToObject(o, "crop_size");
    t3d_json_set_num(size, "height", c->image_size);
    t3d_json_set_num(size, "width", c->image_size);
    t3d_json_set_bool(o, "do_rescale", 1);
    t3d_json_set_num(o, "rescale_factor", 1.0 / 255);
    t3d_json_set_bool(o, "do_normalize", 1);
    t3d_json_set(o, "image_mean", cJSON_CreateDoubleArray(t3d_clip_mean, 3));
    t3d_json_set(o, "image_std", cJSON_CreateDoubleArray(t3d_clip_std, 3));
    return o;
}

static cJSON *tokenizer_json(const struct t3d_clip_config *c)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "tokenizer_class", "CLIPTokenizer");
    t3d_json_set_str(o, "bos_token", "<|startoftext|>");
    t3d_json_set_str(o, "eos_token", "<|endoftext|>");
    t3d_json_set_str(o, "pad_token", "<|endoftext|>");
    t3d_json_set_str(o, "unk_token", "<|endoftext|>");
    t3d_json_set_bool(o, "do_lower_case", 1);
    t3d_json_set_str(o, "errors", "replace");
    t3d_json_set_num(o, "model_max_length", c->context);
    return o;
}

static cJSON *specials_json(void)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "bos_token", "<|startoftext|>");
    t3d_json_set_str(o, "eos_token", "<|endoftext|>");
    t3d_json_set_str(o, "pad_token", "<|endoftext|>");
    t3d_json_set_str(o, "unk_token", "<|endoftext|>");
    return o;
}

int t3d_clip_save(const char *dir, struct t3d_graph *g, const struct t3d_clip_config *c,
                  enum t3d_tensor_type type, struct t3d_err *err)
{
    const struct t3d_safetensors_pair meta = {"format", "pt"};
    int r = t3d_model_write_json(dir, "config.json", model_json(c, type), err);

    if (r == T3D_OK)
        r = t3d_model_write_json(dir, "preprocessor_config.json", preprocessor_json(c), err);
    if (r == T3D_OK)
        r = t3d_model_write_json(dir, "tokenizer_config.json", tokenizer_json(c), err);
    if (r == T3D_OK)
        r = t3d_model_write_json(dir, "special_tokens_map.json", specials_json(), err);
    if (r == T3D_OK)
        r = t3d_model_write_weights(dir, g, type, &meta, 1, err);
    return r;
}
