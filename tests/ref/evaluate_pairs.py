#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An evaluation of folders of meshes as one writes it from the usual libraries: the peer of

    t3d evaluate --pred PRED --ref REF

With --make DIR FILE... it makes such folders first: DIR/ref with the objects as .glb, DIR/pred with copies whose
vertices are moved at random by up to 1 % of the longest edge (equal positions alike).

trimesh reads, samples and has normals; pykdtree finds neighbours; POT matches; Open3D's occupancy counts cells;
pyrender draws ring16+4; scikit-image compares. Prints one JSON line: seconds by part, and means by t3d's names of
the metrics, so that both sides can be seen to measure the same. `pip install trimesh pykdtree POT open3d pyrender
scikit-image`, then `pip install --no-deps -U PyOpenGL`. Without Open3D there is no iou, and its time is not counted.
"""
import argparse
import json
import os
import time
from pathlib import Path

T0 = time.perf_counter()
ap = argparse.ArgumentParser()
ap.add_argument("pred", type=Path, nargs="?")
ap.add_argument("ref", type=Path, nargs="?")
ap.add_argument("--make", metavar="PATH", nargs="+", type=Path, help="a folder to make, and the objects for it")
ap.add_argument("--points", type=int, default=100000)
ap.add_argument("--emd-points", type=int, default=2048)
ap.add_argument("--resolution", type=int, default=512)
ap.add_argument("--grid", type=int, default=128)
ap.add_argument("--no-emd-floor", action="store_true")
ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
a = ap.parse_args()
os.environ.update(OMP_NUM_THREADS=str(a.threads), LP_NUM_THREADS=str(a.threads), PYOPENGL_PLATFORM="egl", LIBGL_ALWAYS_SOFTWARE="1")
import numpy as np  # noqa: E402

np.infty = np.inf  # pyrender still has it
import ot  # noqa: E402
import pyrender  # noqa: E402
import trimesh  # noqa: E402
from pykdtree.kdtree import KDTree  # noqa: E402
from scipy.spatial.distance import cdist  # noqa: E402
from skimage.metrics import peak_signal_noise_ratio, structural_similarity  # noqa: E402

try:
    import open3d as o3d
except ImportError:
    o3d = None


def make(folder, files):
    for side in ("pred", "ref"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for i, f in enumerate(files):
        scene = trimesh.load_scene(f)
        scene.export(folder / "ref" / f"{i:04}.glb")
        edge = scene.extents.max()
        for g in scene.geometry.values():
            where, which = np.unique(g.vertices, axis=0, return_inverse=True)
            g.vertices = g.vertices + 0.01 * edge * np.random.default_rng(i).uniform(-1, 1, where.shape)[which.ravel()]
        scene.export(folder / "pred" / f"{i:04}.glb")


if a.make:
    make(a.make[0], a.make[1:])
    raise SystemExit
VIEWS = [(22.5 * i, 20.0) for i in range(16)] + [(45, 60), (225, 60), (135, -20), (315, -20)]
seconds, sums, counts = {"import": time.perf_counter() - T0}, {}, {}
renderer = pyrender.OffscreenRenderer(a.resolution, a.resolution)


class part:
    """Adds the time of a block to seconds[name]."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *_):
        seconds[self.name] = seconds.get(self.name, 0) + time.perf_counter() - self.start


def add(**values):
    for k, v in values.items():
        sums[k] = sums.get(k, 0) + float(v)
        counts[k] = counts.get(k, 0) + 1


def sample(mesh, n, seed):
    p, face = trimesh.sample.sample_surface(mesh, n, seed=seed)
    return np.asarray(p, dtype="f4"), mesh.face_normals[face]


def geometry(pred, ref, scale):
    p, np_ = sample(pred, a.points, 1)
    r, nr = sample(ref, a.points, 2)
    p, r = p * scale, r * scale
    dp, ip = KDTree(r).query(p)
    dr, ir = KDTree(p).query(r)
    add(cd_l1=(dp.mean() + dr.mean()) / 2, cd_sq_sum=(dp**2).mean() + (dr**2).mean(), hausdorff=max(dp.max(), dr.max()))
    add(hd95=max(np.percentile(dp, 95), np.percentile(dr, 95)))
    for t in (0.005, 0.01, 0.02):
        precision, recall = (dp <= t).mean(), (dr <= t).mean()
        add(**{f"f_{t}": 2 * precision * recall / max(precision + recall, 1e-12)})
    add(normals=(np.abs((np_ * nr[ip]).sum(1)).mean() + np.abs((nr * np_[ir]).sum(1)).mean()) / 2)
    return p, r


def emd(p, r, name):
    n = a.emd_points
    w = np.full(n, 1 / n)
    d = cdist(p[:n], r[:n])
    add(**{name: ot.emd2(w, w, d, numItermax=10**7), name + "_sq": ot.emd2(w, w, d**2, numItermax=10**7)})


def occupied(mesh, points):
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(np.asarray(mesh.vertices, "f4"), np.asarray(mesh.faces, "u4"))
    return scene.compute_occupancy(points, nsamples=3).numpy() > 0.5


def volume(pred, ref):
    lo, hi = np.minimum(pred.bounds[0], ref.bounds[0]), np.maximum(pred.bounds[1], ref.bounds[1])
    axis = [lo[k] + (hi[k] - lo[k]) * (np.arange(a.grid) + 0.5) / a.grid for k in range(3)]
    points = np.stack(np.meshgrid(*axis, indexing="ij"), -1).reshape(-1, 3).astype("f4")
    x, y = occupied(pred, points), occupied(ref, points)
    if (x | y).any():
        add(iou=(x & y).sum() / (x | y).sum())


def pose(az, el, dist=2.7):
    az, el = np.radians([az, el])
    back = np.array([np.cos(el) * np.sin(az), np.sin(el), np.cos(el) * np.cos(az)])
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    m = np.eye(4)
    m[:3, 0], m[:3, 1], m[:3, 2], m[:3, 3] = right, np.cross(back, right), back, back * dist
    return m


def pictures(scene, frame):
    out = pyrender.Scene(bg_color=[1, 1, 1, 0], ambient_light=[0.4, 0.4, 0.4])
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        out.add(pyrender.Mesh.from_trimesh(scene.geometry[name], smooth=False), pose=frame @ transform)
    camera = out.add(pyrender.PerspectiveCamera(yfov=np.radians(49.1), aspectRatio=1, znear=0.05), pose=np.eye(4))
    light = out.add(pyrender.DirectionalLight(intensity=3), pose=np.eye(4))
    views = []
    for az, el in VIEWS:
        for node in (camera, light):
            out.set_pose(node, pose(az, el))
        rgba = renderer.render(out, flags=pyrender.RenderFlags.RGBA)[0] / 255.0
        views.append((rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:], rgba[..., 3]))
    return views


def compare(views_p, views_r):
    psnr, masked, ssim = [], [], []
    for (x, ax), (y, ay) in zip(views_p, views_r):
        with np.errstate(divide="ignore"):
            psnr.append(min(100, peak_signal_noise_ratio(y, x, data_range=1)))
            seen = (ax > 0) | (ay > 0)
            masked.append(min(100, peak_signal_noise_ratio(y[seen], x[seen], data_range=1)) if seen.any() else 100)
        ssim.append(structural_similarity(y, x, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False))
    add(psnr=np.mean(psnr), psnr_mask=np.mean(masked), ssim=np.mean(ssim))


pairs = [(p, q) for q in sorted(a.ref.rglob("*")) if q.suffix in (".glb", ".gltf", ".obj", ".ply", ".stl") for p in [a.pred / q.relative_to(a.ref)] if p.exists()]
for p, q in pairs:
    with part("load"):
        scenes = [trimesh.load_scene(f) for f in (p, q)]
        pred, ref = (s.to_mesh() for s in scenes)
        lo, hi = ref.bounds
    with part("geometry"):
        points = geometry(pred, ref, 1 / (hi - lo).max())
    with part("emd"):
        emd(*points, "emd")
        if not a.no_emd_floor:
            emd(points[1], points[1][a.emd_points :], "emd_floor")
    if o3d:
        with part("iou"):
            volume(pred, ref)
    centre = (lo + hi) / 2
    frame = np.eye(4)
    scale = 1 / np.linalg.norm(ref.vertices - centre, axis=1).max()
    frame[:3, :3] *= scale
    frame[:3, 3] = -centre * scale
    with part("render"):
        views = [pictures(s, frame) for s in scenes]
    with part("compare"):
        compare(*views)
print(json.dumps({"peer": "script", "pairs": len(pairs), "threads": a.threads, "seconds": round(time.perf_counter() - T0, 3),
                  "parts": {k: round(v, 3) for k, v in seconds.items()}, "means": {k: sums[k] / counts[k] for k in sums}}))
