/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue. A SHA-256 stands here only where it is certain: computed from the files that the
 * authors' package on PyPI holds (lpips 0.1.4), or the first 8 digits that torchvision puts into
 * the names of its files. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/opt.h"
#include "store/weights.h"

enum kind { CLIP, OPEN_CLIP, T5, LPIPS_ALEX, LPIPS_VGG, LPIPS_SQUEEZE };

#define HUB   "https://huggingface.co"
#define TORCH "https://download.pytorch.org/models/"
#define LPIPS                                                                                      \
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/"

static const struct t3d_weights catalogue[] = {
    {"clip-vit-b32", "openai/clip-vit-base-patch32", CLIP, 610, "MIT",
     "CLIP ViT-B/32 of OpenAI; the CLIP score's"},
    {"clip-vit-b16", "openai/clip-vit-base-patch16", CLIP, 600, "MIT", "CLIP ViT-B/16 of OpenAI"},
    {"clip-vit-l14", "openai/clip-vit-large-patch14", CLIP, 1710, "MIT", "CLIP ViT-L/14 of OpenAI"},
    {"clip-vit-l14-336", "openai/clip-vit-large-patch14-336", CLIP, 1710, "MIT",
     "CLIP ViT-L/14 of OpenAI at 336 pixels"},
    {"clip-vit-b32-laion2b", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", OPEN_CLIP, 610, "MIT",
     "OpenCLIP ViT-B/32, LAION-2B"},
    {"clip-vit-b16-laion2b", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", OPEN_CLIP, 600, "MIT",
     "OpenCLIP ViT-B/16, LAION-2B"},
    {"clip-vit-l14-laion2b", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", OPEN_CLIP, 1710, "MIT",
     "OpenCLIP ViT-L/14, LAION-2B"},
    {"clip-vit-h14-laion2b", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", OPEN_CLIP, 3950, "MIT",
     "OpenCLIP ViT-H/14, LAION-2B"},
    {"t5-small", "google-t5/t5-small", T5, 240, "Apache-2.0", "T5 1.0 small"},
    {"t5-base", "google-t5/t5-base", T5, 890, "Apache-2.0", "T5 1.0 base"},
    {"t5-large", "google-t5/t5-large", T5, 2950, "Apache-2.0", "T5 1.0 large"},
    {"t5-v1_1-small", "google/t5-v1_1-small", T5, 310, "Apache-2.0", "T5 1.1 small"},
    {"t5-v1_1-base", "google/t5-v1_1-base", T5, 990, "Apache-2.0", "T5 1.1 base"},
    {"t5-v1_1-large", "google/t5-v1_1-large", T5, 3130, "Apache-2.0", "T5 1.1 large"},
    {"flan-t5-small", "google/flan-t5-small", T5, 310, "Apache-2.0", "FLAN-T5 small"},
    {"flan-t5-base", "google/flan-t5-base", T5, 990, "Apache-2.0", "FLAN-T5 base"},
    {"flan-t5-large", "google/flan-t5-large", T5, 3130, "Apache-2.0", "FLAN-T5 large"},
    {"lpips-alex", NULL, LPIPS_ALEX, 244, "BSD-3-Clause AND BSD-2-Clause",
     "LPIPS 0.1: AlexNet of torchvision and its heads"},
    {"lpips-vgg", NULL, LPIPS_VGG, 553, "BSD-3-Clause AND BSD-2-Clause",
     "LPIPS 0.1: VGG-16 of torchvision and its heads"},
    {"lpips-squeeze", NULL, LPIPS_SQUEEZE, 5, "BSD-3-Clause AND BSD-2-Clause",
     "LPIPS 0.1: SqueezeNet 1.1 of torchvision and its heads"},
};

static const struct t3d_weights_file clip[] = {
    {.name = "config.json"},
    {.name = "preprocessor_config.json", .optional = 1},
    {.name = "tokenizer.json", .optional = 1},
    {.name = "tokenizer_config.json", .optional = 1},
    {.name = "vocab.json"},
    {.name = "merges.txt"},
    {.name = "model.safetensors", .otherwise = 1},
    {.name = "pytorch_model.bin"},
};
static const struct t3d_weights_file open_clip[] = {
    {.name = "open_clip_config.json"},
    {.name = "tokenizer.json", .optional = 1},
    {.name = "vocab.json"},
    {.name = "merges.txt"},
    {.name = "open_clip_model.safetensors", .otherwise = 1},
    {.name = "open_clip_pytorch_model.bin"},
};
static const struct t3d_weights_file t5[] = {
    {.name = "config.json"},
    {.name = "spiece.model"},
    {.name = "tokenizer.json", .optional = 1},
    {.name = "tokenizer_config.json", .optional = 1},
    {.name = "model.safetensors", .otherwise = 1},
    {.name = "pytorch_model.bin"},
};
static const struct t3d_weights_file lpips[][2] = {
    {{.name = "alexnet-owt-7be5be79.pth", .url = TORCH, .sha256 = "7be5be79"},
     {.name = "alex.pth",
      .url = LPIPS,
      .sha256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"}},
    {{.name = "vgg16-397923af.pth", .url = TORCH, .sha256 = "397923af"},
     {.name = "vgg.pth",
      .url = LPIPS,
      .sha256 = "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"}},
    {{.name = "squeezenet1_1-b8a52dc0.pth", .url = TORCH, .sha256 = "b8a52dc0"},
     {.name = "squeeze.pth",
      .url = LPIPS,
      .sha256 = "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"}},
};

const struct t3d_weights *t3d_weights_all(size_t *n)
{
    *n = T3D_COUNT(catalogue);
    return catalogue;
}

const struct t3d_weights *t3d_weights_find(const char *name, char near[64])
{
    char names[1024] = "";
    size_t used = 0;

    near[0] = 0;
    for (size_t i = 0; i < T3D_COUNT(catalogue); i++) {
        if (strcmp(name, catalogue[i].name) == 0)
            return &catalogue[i];
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? " " : "",
                                 catalogue[i].name);
    }
    if (!t3d_did_you_mean(name, names, near, 64))
        near[0] = 0;
    return NULL;
}

static const struct t3d_weights_file *files_of(const struct t3d_weights *w, size_t *n)
{
    switch ((enum kind)w->kind) {
    case CLIP:
        *n = T3D_COUNT(clip);
        return clip;
    case OPEN_CLIP:
        *n = T3D_COUNT(open_clip);
        return open_clip;
    case T5:
        *n = T3D_COUNT(t5);
        return t5;
    default:
        *n = 2;
        return lpips[w->kind - LPIPS_ALEX];
    }
}

size_t t3d_weights_files(const struct t3d_weights *w, const char *base_url, const char *revision,
                         struct t3d_weights_file f[T3D_WEIGHTS_FILES])
{
    size_t n, base = base_url ? strlen(base_url) : 0;
    const struct t3d_weights_file *from = files_of(w, &n);

    while (base && base_url[base - 1] == '/')
        base--;
    for (size_t i = 0; i < n; i++) {
        const char *home = w->repo ? HUB "/" : from[i].url;
        char path[160];

        f[i] = from[i];
        /* behind "https://" the path begins with the next '/' */
        if (w->repo)
            snprintf(path, sizeof path, "%s%s/resolve/%.60s/%s", strchr(home + 8, '/'), w->repo,
                     revision ? revision : "main", from[i].name);
        else
            snprintf(path, sizeof path, "%s%s", strchr(home + 8, '/'), from[i].name);
        if (base)
            snprintf(f[i].url, sizeof f[i].url, "%.*s%s", (int)T3D_MIN(base, 150), base_url, path);
        else
            snprintf(f[i].url, sizeof f[i].url, "%.*s%s", (int)(strchr(home + 8, '/') - home), home,
                     path);
    }
    return n;
}

cJSON *t3d_weights_record(const struct t3d_weights *w, const char *base_url, const char *revision)
{
    struct t3d_weights_file f[T3D_WEIGHTS_FILES];
    size_t n = t3d_weights_files(w, base_url, revision, f);
    cJSON *o = cJSON_CreateObject(), *list = cJSON_CreateArray();

    t3d_json_set_str(o, "name", w->name);
    t3d_json_set_str(o, "about", w->about);
    t3d_json_set_str(o, "license", w->license);
    t3d_json_set_num(o, "about_bytes", 1e6 * w->about_mb);
    for (size_t i = 0; i < n; i++) {
        cJSON *one = cJSON_CreateObject();

        t3d_json_set_str(one, "name", f[i].name);
        t3d_json_set_str(one, "url", f[i].url);
        t3d_json_set(one, "sha256",
                     f[i].sha256 ? cJSON_CreateString(f[i].sha256) : cJSON_CreateNull());
        if (f[i].optional)
            t3d_json_set_bool(one, "optional", 1);
        if (f[i].otherwise)
            t3d_json_set_str(one, "otherwise", f[i + 1].name);
        cJSON_AddItemToArray(list, one);
    }
    t3d_json_set(o, "files", list);
    return o;
}
