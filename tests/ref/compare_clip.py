#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_clip.py DIR [T3D]: load a CLIP folder with transformers and compare its rows with those of `t3d embed`.

Captions and pictures are made here. Prints the largest differences of a number
of a unit row and of the logits. Needs torch, transformers, numpy, Pillow; no test runs it."""
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

folder, t3d = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "t3d"
captions = [
    "a red cube on a blue cylinder",
    "a blue cylinder on a red cube",
    "one green torus on its own",
    "a large white and black checkered star beside a small pyramid",
    "A wooden chair, 3 legs; it's café-brown!",
    "",
]
model = CLIPModel.from_pretrained(folder).float().eval()
tokenizer = CLIPTokenizer.from_pretrained(folder)
processor = CLIPImageProcessor.from_pretrained(folder)

with tempfile.TemporaryDirectory() as work:
    rng = numpy.random.default_rng(1)
    pictures = []
    for i, size in enumerate([(64, 64), (256, 256), (200, 97)]):
        # smooth colours with edges, as in a render
        low = rng.integers(0, 256, (5, 5, 3), dtype=numpy.uint8)
        picture = Image.fromarray(low).resize(size, Image.NEAREST)
        path = os.path.join(work, f"{i}.png")
        picture.save(path)
        pictures.append(path)
    with open(os.path.join(work, "captions.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(captions) + "\n")
    subprocess.run([t3d, "embed", "--model", folder, "--captions", f"{work}/captions.txt", "--output",
                    f"{work}/texts.npy"], check=True)
    subprocess.run([t3d, "embed", "--model", folder, "--images", *pictures, "--output", f"{work}/images.npy"],
                   check=True)
    ours_text = numpy.load(f"{work}/texts.npy").astype(numpy.float64)
    ours_image = numpy.load(f"{work}/images.npy").astype(numpy.float64)
    with torch.no_grad():
        inputs = dict(tokenizer(captions, padding=True, return_tensors="pt"))
        pixels = processor([Image.open(p).convert("RGB") for p in pictures], return_tensors="pt")["pixel_values"]
        out = model(**inputs, pixel_values=pixels)
    theirs_text = out.text_embeds.double().numpy()
    theirs_image = out.image_embeds.double().numpy()

scale = float(model.logit_scale.detach().exp())
logits = scale * ours_image @ ours_text.T
print("texts:  largest difference", numpy.abs(ours_text - theirs_text).max())
print("images: largest difference", numpy.abs(ours_image - theirs_image).max())
print("logits: largest difference", numpy.abs(logits - out.logits_per_image.double().numpy()).max(), "of scale", scale)
