#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden vectors of CLIP: tiny networks with random weights as transformers and open_clip save them, the rows and
features that torch computes from them, and pictures as the processors of both make them.

    make_clip.py tests/ref/clip

Made with torch 2.15, transformers 5.23, open_clip 3.3, torchvision 0.29, Pillow 13.0. Inputs come from the formulas of
pixels() and picture(), which tests/unit/net_encoder.c and net_preprocess.c repeat."""
import copy
import json
import os
import shutil
import sys

import numpy as np
import open_clip
import torch
import transformers
from open_clip.transform import image_transform
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

OUT = sys.argv[1]
N = 5  # pictures
HALF = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def randomise(model):
    """Weights large enough that every part of the network shows in the rows."""
    for name, p in model.named_parameters():
        with torch.no_grad():
            p.normal_(0, 0.3)
            if p.ndim == 1 and name.endswith("weight"):
                p += 1
    return model.eval()


def pixels(side):
    i = np.arange(N * 3 * side * side, dtype=np.int64)
    return torch.from_numpy((((i * 7919) % 251 - 125) / 64).astype(np.float32).reshape(N, 3, side, side))


def texts(vocab, context):
    """Lengths from the shortest to the longest; start is vocab - 2, end vocab - 1."""
    lengths = [2, context, 3, context - 1, 5, 6, 4, context, 2]
    return [[vocab - 2] + [(7 * i + 11 * k) % (vocab - 2) for k in range(n - 2)] + [vocab - 1]
            for i, n in enumerate(lengths)]


def unit(x):
    return (x / x.norm(dim=-1, keepdim=True)).contiguous()


def padded(ids, context, fill):
    return torch.tensor([t + [fill] * (context - len(t)) for t in ids])


def state(output):
    return output if torch.is_tensor(output) else output.pooler_output


def expect(folder, images=None, rows=None, features=None, ids=None, context=0):
    tensors = {}
    if images is not None:
        tensors["images"] = unit(images)
    if rows is not None:
        tensors["texts"] = unit(rows)
        tensors["ids"] = padded(ids, context, -1).to(torch.int32)
        tensors["features"] = torch.cat([features[i, :len(t)] for i, t in enumerate(ids)]).contiguous()
    save_file(tensors, f"{OUT}/{folder}.expect.safetensors")


def folder(name):
    path = f"{OUT}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


# --- transformers ---------------------------------------------------------------------------------
def text_config(**more):
    return dict(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, vocab_size=40,
                max_position_embeddings=11, eos_token_id=39, bos_token_id=38, projection_dim=9, **more)


def image_config(side, patch, **more):
    return dict(hidden_size=20, intermediate_size=28, num_hidden_layers=2, num_attention_heads=4, image_size=side,
                patch_size=patch, projection_dim=9, **more)


def run_hf(name, model, side, ids):
    with torch.inference_mode():
        pad = padded(ids, 11, 39)
        expect(name, state(model.get_image_features(pixel_values=pixels(side))),
               state(model.get_text_features(input_ids=pad)), model.text_model(input_ids=pad).last_hidden_state, ids, 11)


def make_hf():
    """A picture that is no whole number of patches, heads of 4 and 5."""
    path = folder("hf")
    torch.manual_seed(1)
    config = transformers.CLIPConfig(text_config=text_config(), vision_config=image_config(23, 5), projection_dim=9)
    model = randomise(transformers.CLIPModel(config))
    model.save_pretrained(path)
    transformers.CLIPImageProcessor(size={"shortest_edge": 23}, crop_size=23).save_pretrained(path)
    run_hf("hf", model, 23, texts(40, 11))


def make_hf_old():
    """What old and published files have: float16, two shards, position_ids, text_config_dict that overrides text_config,
    eos_token_id 2, sizes as numbers."""
    path = folder("hf-old")
    torch.manual_seed(2)
    text = text_config(hidden_act="gelu", layer_norm_eps=1e-3)
    text["eos_token_id"] = 2
    image = image_config(18, 6, hidden_act="gelu")
    model = randomise(transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=image,
                                                                     projection_dim=9)))
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    model.load_state_dict({k: v.float() for k, v in tensors.items()})
    tensors["text_model.embeddings.position_ids"] = torch.arange(11)[None]
    tensors["vision_model.embeddings.position_ids"] = torch.arange(10)[None]
    shards = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    for i, k in enumerate(sorted(tensors)):
        list(shards.values())[i % 2][k] = tensors[k]
    for file, part in shards.items():
        save_file(part, f"{path}/{file}")
    write_json(f"{path}/model.safetensors.index.json",
               {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())},
                "weight_map": {k: file for file, part in shards.items() for k in part}})
    write_json(f"{path}/config.json",
               {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 9,
                "text_config": {"hidden_size": 512, "vocab_size": 49408}, "text_config_dict": text,
                "vision_config": dict(image, hidden_size=99), "vision_config_dict": image})
    write_json(f"{path}/preprocessor_config.json",
               {"crop_size": 18, "size": 18, "resample": 3, "do_resize": True, "do_center_crop": True,
                "do_normalize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711]})
    run_hf("hf-old", model, 18, texts(40, 11))


def make_hf_alone():
    """A text tower with a projection, an image tower without."""
    path = folder("hf-text")
    torch.manual_seed(3)
    model = randomise(transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**text_config())))
    model.save_pretrained(path)
    ids = texts(40, 11)
    with torch.inference_mode():
        out = model(input_ids=padded(ids, 11, 39))
        expect("hf-text", None, out.text_embeds, out.last_hidden_state, ids, 11)
    path = folder("hf-vision")
    model = randomise(transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**image_config(15, 5))))
    model.save_pretrained(path)
    transformers.CLIPImageProcessor(size={"shortest_edge": 15}, crop_size=15).save_pretrained(path)
    with torch.inference_mode():
        expect("hf-vision", model(pixel_values=pixels(15)).pooler_output)


# --- open_clip ------------------------------------------------------------------------------------
def open_clip_config(quick):
    return dict(embed_dim=9, quick_gelu=quick,
                vision_cfg=dict(image_size=23, layers=2, width=20, patch_size=5, head_width=5, mlp_ratio=1.4),
                text_cfg=dict(context_length=11, vocab_size=40, width=12, heads=3, layers=2))


def run_open_clip(name, model):
    ids = texts(40, 11)
    tower = model.text if hasattr(model, "text") else model
    last = []
    hook = tower.ln_final.register_forward_hook(lambda m, i, o: last.append(o))
    with torch.inference_mode():
        expect(name, model.encode_image(pixels(23)), model.encode_text(padded(ids, 11, 0)), last[0], ids, 11)
    hook.remove()


def make_open_clip():
    path = folder("open_clip")
    torch.manual_seed(4)
    config = open_clip_config(False)
    model = randomise(open_clip.model.CLIP(**copy.deepcopy(config)))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, f"{path}/open_clip_model.safetensors")
    del config["quick_gelu"]
    write_json(f"{path}/open_clip_config.json",
               {"model_cfg": config, "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073],
                                                        "std": [0.26862954, 0.26130258, 0.27577711]}})
    run_open_clip("open_clip", model)
    path = folder("open_clip-bin")  # a pickle, the text tower in its own module, pictures squashed
    torch.manual_seed(5)
    config = open_clip_config(True)
    model = randomise(open_clip.model.CustomTextCLIP(**copy.deepcopy(config)))
    torch.save(model.state_dict(), f"{path}/open_clip_pytorch_model.bin")
    write_json(f"{path}/open_clip_config.json",
               {"model_cfg": dict(config, custom_text=True),
                "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear",
                                   "resize_mode": "squash"}})
    run_open_clip("open_clip-bin", model)


# --- pictures -------------------------------------------------------------------------------------
def picture(w, h, alpha):
    """RGBA; alpha 0: opaque, 1: all degrees, 2: nothing in the upper half."""
    x, y = np.meshgrid(np.arange(w, dtype=np.uint32), np.arange(h, dtype=np.uint32))
    p = np.empty((h, w, 4), np.uint8)
    for c in range(3):
        p[..., c] = ((x * x * 3 + x * y + y * 7 + c * 50) ^ (x * 5 + (y >> 2))) & 255
    p[..., 3] = [np.full_like(x, 255), (x * 13 + y * 29) & 255, np.where(y < h // 2, 0, 255)][alpha]
    return p


def over(rgba, colour):
    im = Image.fromarray(rgba, "RGBA")
    return Image.alpha_composite(Image.new("RGBA", im.size, colour + (255,)), im).convert("RGB")


def processors(size):
    def pil(im):
        return np.asarray(CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=size)(
            im, return_tensors="np")["pixel_values"])[0]

    def fast(im):
        return np.asarray(transformers.CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size)(
            im, return_tensors="np")["pixel_values"])[0]

    def oc(**options):
        return lambda im: image_transform(size, is_train=False, **options)(im).numpy()

    return {"hf": (pil, {}), "hf-fast": (fast, {}), "openai": (oc(), {}),
            "open_clip": (oc(**HALF), {"half": 1}),
            "open_clip squash": (oc(resize_mode="squash", **HALF), {"half": 1, "mode": 1}),
            "open_clip longest": (oc(resize_mode="longest", fill_color=7, **HALF), {"half": 1, "mode": 2}),
            "open_clip bilinear": (oc(interpolation="bilinear", **HALF), {"half": 1, "bilinear": 1})}


def make_pictures():
    size, tensors, cases = 12, {}, []
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    for name, (run, _) in processors(16).items():
        tensors[f"table.{name}"] = torch.from_numpy(run(ramp).astype(np.float32).reshape(3, 256).copy())
    sides = [(12, 12), (1, 1), (40, 40), (33, 20), (20, 33), (31, 200), (200, 31), (13, 12), (12, 15), (1, 300), (300, 1),
             (5, 7), (64, 48), (101, 97)]
    for name, (run, options) in processors(size).items():
        table = tensors[f"table.{name}"].numpy()
        for i, (w, h) in enumerate(sides):
            if options.get("mode") == 2 and max(w, h) > 24 * min(w, h):
                continue  # open_clip asks Pillow for a side of 0
            rgba, colour = picture(w, h, i % 3), ((255, 255, 255), (10, 200, 90))[i % 2]
            got = run(over(rgba, colour)).astype(np.float32)
            bytes_ = np.stack([np.searchsorted(table[c], got[c]) for c in range(3)], -1).astype(np.uint8)
            assert all((table[c][bytes_[..., c]] == got[c]).all() for c in range(3))
            tensors[f"case.{len(cases)}"] = torch.from_numpy(bytes_)
            cases.append(dict(recipe=name, w=w, h=h, alpha=i % 3, background=colour, **options))
    save_file(tensors, f"{OUT}/pictures.safetensors")
    with open(f"{OUT}/pictures.ndjson", "w") as f:
        f.writelines(json.dumps(c) + "\n" for c in cases)


make_hf()
make_hf_old()
make_hf_alone()
make_open_clip()
make_pictures()
for at, _, files in os.walk(OUT):
    for file in files:
        os.chmod(os.path.join(at, file), 0o644)
