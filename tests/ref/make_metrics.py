#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Vectors for tests/unit/metric_*.c: small clouds, meshes and pictures, and what reference implementations say of them.

scipy (cKDTree, linear_sum_assignment), POT, trimesh, scikit-image, torchmetrics (also its CLIPScore on models/clip-nano) and
pytorch-msssim; formulas of other conventions are written out. Run in this folder: python make_metrics.py; it fills metrics/."""
import json

import numpy as np
import ot
import torch
import trimesh
from pytorch_msssim import ssim as ms_ssim
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.multimodal import clip_score
from transformers import CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from torchmetrics.functional.image import structural_similarity_index_measure

rng = np.random.default_rng(20)
out = {"distance": {}, "emd": {}, "picture": {}, "iou": {}}
TAUS = {"0.5pct": 0.005, "1pct": 0.01, "2pct": 0.02, "5pct": 0.05}


def cloud(n, noise):
    u, v = rng.uniform(0, 2 * np.pi, (2, n))
    r = 0.14 + 0.02 * np.sin(7 * u)
    p = np.stack([(0.36 + r * np.cos(v)) * np.cos(u), r * np.sin(v), (0.36 + r * np.cos(v)) * np.sin(u)], 1)
    normal = np.stack([np.cos(v) * np.cos(u), np.sin(v), np.cos(v) * np.sin(u)], 1)
    return (p + rng.normal(0, noise, p.shape)).astype("f4"), normal.astype("f4")


def distances(a, b, na, nb, edge):
    """a: prediction. Every dialect, in double, on the given coordinates."""
    a, b, na, nb = (x.astype("f8") for x in (a, b, na, nb))
    dab, iab = cKDTree(b).query(a)
    dba, iba = cKDTree(a).query(b)
    cab, cba = (na * nb[iab]).sum(1), (nb * na[iba]).sum(1)
    f = lambda p, r: 2 * p * r / (p + r) if p + r else 0.0
    r = {
        "chamfer:cd-l1": (dab.mean() + dba.mean()) / 2,
        "chamfer:cd-sum": dab.mean() + dba.mean(),
        "chamfer:cd-sq-sum": (dab**2).mean() + (dba**2).mean(),
        "chamfer:cd-sq-half": ((dab**2).mean() + (dba**2).mean()) / 2,
        "chamfer:occnet-x10": 10 * (dab.mean() + dba.mean()) / 2,
        "chamfer:pcn-l1-x1e3": 1000 * (dab.mean() + dba.mean()) / 2,
        "chamfer:pcn-l2-x1e3": 1000 * ((dab**2).mean() + (dba**2).mean()),
        "chamfer:accuracy": dab.mean(),
        "chamfer:completeness": dba.mean(),
        "hausdorff:max": max(dab.max(), dba.max()),
        "hausdorff:hd95": max(np.percentile(dab, 95), np.percentile(dba, 95)),
        "normal-consistency:abs": (abs(cab).mean() + abs(cba).mean()) / 2,
        "normal-consistency:signed": (cab.mean() + cba.mean()) / 2,
        "normal-consistency:pytorch3d-loss": (1 - abs(cab)).mean() + (1 - abs(cba)).mean(),
        "f-score:abs.01": f((dab <= 0.01).mean(), (dba <= 0.01).mean()),
        "f-score:percent-strict-abs.01": 100 * f((dab < 0.01).mean(), (dba < 0.01).mean()),
        "f-score:precision-1pct": (dab <= 0.01 * edge).mean(),
        "f-score:recall-1pct": (dba <= 0.01 * edge).mean(),
    }
    for name, tau in TAUS.items():
        r["f-score:" + name] = f((dab <= tau * edge).mean(), (dba <= tau * edge).mean())
    # The F-score is constant between neighbouring distances: its mean over (0, 5 %] is a sum.
    steps = np.unique(np.concatenate([[0], dab, dba, [0.05 * edge]]))
    steps = steps[steps <= 0.05 * edge]
    area = sum(f((dab <= s).mean(), (dba <= s).mean()) * (e - s) for s, e in zip(steps, steps[1:]))
    r["f-score:auc5pct"] = area / (0.05 * edge)
    return r


def save(name, x):
    np.save("metrics/%s.npy" % name, x)


a, na = cloud(1500, 0.004)
b, nb = cloud(1300, 0.0)
for name, x in (("a", a), ("b", b), ("a-normal", na), ("b-normal", nb)):
    save(name, x)
edge = float((b.max(0) - b.min(0)).max())
out["distance"] = {k: float(v) for k, v in distances(a, b, na, nb, edge).items()}
out["edge"] = edge

# pytorch3d's chamfer_distance with norm=1: nearest by the sum of absolute differences.
manhattan = cdist(a.astype("f8"), b.astype("f8"), "cityblock")
out["manhattan"] = manhattan.min(1).mean() + manhattan.min(0).mean()

n = 700
x, y = a[:n].astype("f8"), b[:n].astype("f8")
for name, kind in (("emd", "euclidean"), ("emd-sq", "sqeuclidean")):
    cost = cdist(x, y, kind)
    best = cost[linear_sum_assignment(cost)].mean()
    w = np.full(n, 1 / n)
    assert abs(ot.emd2(w, w, cost, numItermax=10**8) - best) < 1e-12
    out["emd"][name] = best
out["emd"]["n"] = n

# Two closed meshes that overlap, and the first without its top: cell centres decided by signed solid angles in double.
GRID = 128


def winding(mesh, p):
    w = np.zeros(len(p))
    for t in mesh.triangles:
        u, v, s = (t[k] - p for k in range(3))
        lu, lv, ls = (np.linalg.norm(q, axis=1) for q in (u, v, s))
        top = (u * np.cross(v, s)).sum(1)
        low = lu * lv * ls + (u * v).sum(1) * ls + (u * s).sum(1) * lv + (v * s).sum(1) * lu
        w += np.arctan2(top, low) / (2 * np.pi)
    return w


def iou(m1, m2):
    lo, hi = np.minimum(m1.bounds[0], m2.bounds[0]), np.maximum(m1.bounds[1], m2.bounds[1])
    axes = [lo[k] + (np.arange(GRID) + 0.5) * (hi[k] - lo[k]) / GRID for k in range(3)]
    p = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    i, j = abs(winding(m1, p)) >= 0.5, abs(winding(m2, p)) >= 0.5
    return {"both": int((i & j).sum()), "either": int((i | j).sum())}


one = trimesh.creation.icosphere(subdivisions=1, radius=1.0)
two = trimesh.creation.cylinder(radius=0.7, height=1.6, sections=10)
two.apply_transform(trimesh.transformations.rotation_matrix(0.4, [1, 2, 0.5]))
two.apply_translation([0.31, 0.22, -0.17])
opened = one.copy()
opened.update_faces(opened.triangles_center[:, 2] < 0.45)
for name, m in (("one", one), ("two", two), ("opened", opened)):
    m.vertices = m.vertices.astype("f4").astype("f8")
    with open("metrics/%s.obj" % name, "w") as f:
        f.writelines("v %.9g %.9g %.9g\n" % tuple(v) for v in m.vertices)
        f.writelines("f %d %d %d\n" % tuple(t + 1) for t in m.faces)
out["iou"] = {"one": iou(one, two), "opened": iou(opened, two)}

# Points near one surface, their distances to the triangles of the other.
pts = [m.sample(500, seed=7 + i).astype("f4") for i, m in enumerate((one, two))]
pts[0][:250] = two.sample(250, seed=9) * (1 + 0.02 * np.random.default_rng(9).uniform(-1, 1, (250, 3)))
save("surface-one", pts[0])
save("surface-two", pts[1])
d1 = trimesh.proximity.closest_point_naive(two, pts[0].astype("f8"))[1]
d2 = trimesh.proximity.closest_point_naive(one, pts[1].astype("f8"))[1]
side = float((two.bounds[1] - two.bounds[0]).max())
f = lambda p, r: 2 * p * r / (p + r) if p + r else 0.0
out["surface"] = {
    "edge": side,
    "chamfer:surface-l1": (d1.mean() + d2.mean()) / 2,
    "chamfer:surface-sum": d1.mean() + d2.mean(),
    "chamfer:surface-sq-sum": (d1**2).mean() + (d2**2).mean(),
    "f-score:surface-1pct": f((d1 <= 0.01 * side).mean(), (d2 <= 0.01 * side).mean()),
    "f-score:surface-percent-strict-abs.01": 100 * f((d1 < 0.01).mean(), (d2 < 0.01).mean()),
}

# Pictures: straight alpha with a soft edge.
h, w = 61, 83
gy, gx = (np.mgrid[:h, :w] + 0.5) / np.array([h, w])[:, None, None] * 2 - 1
alpha = np.clip((0.8 - gx**2 - gy**2) * 8, 0, 1)
rgb = np.clip(0.5 + 0.4 * np.sin(np.array([5, 9, 14]) * gx[..., None] + 4 * gy[..., None]) + rng.normal(0, 0.02, (h, w, 3)), 0, 1)
pa = (np.dstack([rgb, alpha]) * 255 + 0.5).astype("u1")
pb = (np.dstack([np.clip(rgb + rng.normal(0, 0.05, rgb.shape), 0, 1), np.roll(alpha, 2, 1)]) * 255 + 0.5).astype("u1")
save("picture-a", pa)
save("picture-b", pb)
over = lambda p, bg: p[..., :3] / 255 * (p[..., 3:] / 255) + bg * (1 - p[..., 3:] / 255)
A, B = over(pa, 1), over(pb, 1)
linear = lambda c: np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
lin = lambda p: linear(p[..., :3] / 255) * (p[..., 3:] / 255) + 1 - p[..., 3:] / 255
mask = (pa[..., 3] > 0) | (pb[..., 3] > 0)
gauss = dict(data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
A0, B0 = over(pa, 0), over(pb, 0)
_, full = structural_similarity(A, B, channel_axis=2, full=True, **gauss)
inner = np.zeros_like(mask)
inner[5:-5, 5:-5] = mask[5:-5, 5:-5]
rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
luma = np.array([0.299, 0.587, 0.114])
to = lambda v: torch.from_numpy(v.transpose(2, 0, 1)[None].copy())
out["picture"] = {
    "psnr:white": peak_signal_noise_ratio(A, B, data_range=1),
    "psnr:black": peak_signal_noise_ratio(over(pa, 0), over(pb, 0), data_range=1),
    "psnr:mask": -10 * np.log10(((A - B)[mask] ** 2).mean()),
    "psnr:linear": peak_signal_noise_ratio(lin(pa), lin(pb), data_range=1),
    "psnr:bbox": peak_signal_noise_ratio(A[box], B[box], data_range=1),
    "ssim:black": structural_similarity(A0, B0, channel_axis=2, **gauss),
    "ssim:mask": full[inner].mean(),
    "ssim:gauss11": structural_similarity(A, B, channel_axis=2, **gauss),
    "ssim:skimage": structural_similarity(A, B, channel_axis=2, data_range=1),
    "ssim:torchmetrics": float(structural_similarity_index_measure(to(A), to(B), data_range=1.0)),
    "ssim:luma": structural_similarity(A @ luma, B @ luma, **gauss),
}
assert abs(float(ms_ssim(to(A), to(B), data_range=1)) - out["picture"]["ssim:gauss11"]) < 1e-5  # its window is single precision

# CLIPScore of a red and a blue disc: torchmetrics itself, and the other dialects from the same features.
clip = "../../models/clip-nano"
texts = ["a red cube", "an orange sphere", "a blue torus on a green cone", "a red sphere"]
gy, gx = np.mgrid[:61, :83]
views = []
for colour in ((220, 30, 30), (40, 60, 220)):
    views.append(np.full((61, 83, 3), 255, "u1"))
    views[-1][(gy - 30) ** 2 + (gx - 41) ** 2 < 400] = colour
model = CLIPModel.from_pretrained(clip, dtype=torch.float32).eval()
processor = CLIPProcessor(CLIPImageProcessorPil.from_pretrained(clip), CLIPTokenizer.from_pretrained(clip))
features = lambda x: x if torch.is_tensor(x) else x.pooler_output  # newer versions of transformers return more
unit = lambda x: torch.nn.functional.normalize(features(x), dim=-1).double().numpy()


class Model:  # as torchmetrics expects one
    config = model.config
    to = lambda self, device: self
    get_image_features = lambda self, *a: features(model.get_image_features(*a))
    get_text_features = lambda self, *a: features(model.get_text_features(*a))


with torch.inference_mode():
    seen = unit(model.get_image_features(**processor(images=views, return_tensors="pt")))
    plain, prefixed = (
        unit(model.get_text_features(**processor(text=[p + t for t in texts], return_tensors="pt", padding=True)))
        for p in ("", "A photo depicts ")
    )
    tm = clip_score([torch.from_numpy(v.transpose(2, 0, 1).copy()) for v in views], [texts[0]] * 2, lambda: (Model(), processor))
cos = seen @ plain.T
out["clip"] = {
    "clip-score:raw": cos[:, 0].mean(),
    "clip-score:x100": (100 * np.maximum(cos[:, 0], 0)).mean(),
    "clip-score:hessel": (2.5 * np.maximum((seen @ prefixed.T)[:, 0], 0)).mean(),
    "clip-score:torchmetrics": float(tm),
    "clip-score:best-view": cos[:, 0].max(),
    "r-precision:r1": np.mean([(c[1:] >= c[0]).sum() < 1 for c in cos]),
    "r-precision:r5": 1.0,
}

with open("metrics/expected.json", "w") as f:
    json.dump(out, f, indent=1, default=float)
    f.write("\n")
