#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Vectors for tests/unit/net_lpips.c: what the lpips package and torchmetrics say of the pictures in metrics/ with made-up
weights, which the test makes in the same way. Run in this folder: python make_lpips.py; it fills lpips/."""
import json

import lpips
import numpy as np
import torch
from torchmetrics.functional.image.lpips import _LPIPS


def uniform(tensor, n):
    """n numbers in [-1/2, 1/2) by splitmix64 of (tensor, position): 24 bits each."""
    with np.errstate(over="ignore"):
        z = (np.uint64(tensor) << np.uint64(40)) + np.arange(1, n + 1, dtype=np.uint64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype("f8") / 2**24 - 0.5


def fill(net, gain=1):
    """Weights in the order of torchvision's file: deviation sqrt(2 / inputs); biases within +-.05; heads 0 to 1/2. gain,
    of the first weights and all biases, is that of all features."""
    heads = {}
    layers = []
    for name, m in net.named_modules():
        if isinstance(m, torch.nn.Conv2d) and name.startswith("net."):
            layers.append(([int(s) if s.isdigit() else s for s in name.split(".")[2:]], m))
    layers.sort(key=lambda x: (x[0][0], {"squeeze": 0, "expand1x1": 1, "expand3x3": 2}.get((x[0] + [0])[1], 0)))
    for i, (_, m) in enumerate(layers):
        w = uniform(2 * i, m.weight.numel()) * np.sqrt(24 / m.weight[0].numel())
        w *= gain if i == 0 else 1
        m.weight.data = torch.from_numpy(w.astype("f4").reshape(m.weight.shape))
        m.bias.data = torch.from_numpy((uniform(2 * i + 1, m.bias.numel()) * 0.1 * gain).astype("f4"))
    for i, lin in enumerate(net.lins):
        w = torch.from_numpy(abs(uniform(1000 + i, lin.model[-1].weight.numel())).astype("f4")).reshape(1, -1, 1, 1)
        lin.model[-1].weight.data = w
        heads["lin%d.model.1.weight" % i] = w.clone()
    return net.eval(), heads


def tensor(rgba, background):
    a = rgba[..., 3:].astype("f8") / 255
    x = rgba[..., :3] / 255 * a + background * (1 - a)
    return torch.from_numpy((x * 2 - 1).astype("f4").transpose(2, 0, 1)[None].copy())


pa, pb = (np.load("metrics/picture-%s.npy" % k) for k in "ab")
large = [np.ascontiguousarray(np.tile(p, (5, 1, 1))[:300]) for p in (pa, pb)]
out = {}
for name in ("alex", "vgg", "squeeze"):
    with torch.inference_mode():
        net, heads = fill(lpips.LPIPS(net=name, pnet_rand=True, verbose=False, pretrained=False))
        other, _ = fill(_LPIPS(net=name, pnet_rand=True, pretrained=False))
        out[name] = {
            "package": float(net(tensor(pa, 1), tensor(pb, 1))),
            "package-black": float(net(tensor(pa, 0), tensor(pb, 0))),
            "torchmetrics": float(other(tensor(pa, 1), tensor(pb, 1))),
            "package-large": float(net(tensor(large[0], 1), tensor(large[1], 1))),
        }
        if name == "alex":  # features about as long as what keeps from dividing by zero
            out[name]["package-faint"] = float(fill(net, 1e-4)[0](tensor(pa, 1), tensor(pb, 1)))
            out[name]["torchmetrics-faint"] = float(fill(other, 1e-4)[0](tensor(pa, 1), tensor(pb, 1)))
        if name != "squeeze":
            torch.save(heads, "lpips/heads-%s.pth" % name, _use_new_zipfile_serialization=name == "vgg")
with open("lpips/expected.json", "w") as f:
    json.dump(out, f, indent=1)
    f.write("\n")
