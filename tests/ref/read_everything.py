# SPDX-License-Identifier: Apache-2.0
"""Read all that a workspace holds with other people's readers, and measure its objects with trimesh.

    python read_everything.py WORKSPACE SOURCE [VIEWS]

WORKSPACE has been through fetch, filter, render and splits; SOURCE is the folder that `t3d fetch local` was given;
VIEWS, if given, is what `t3d render --format dir --output-dir VIEWS` wrote. Prints one JSON line a check, one for
each object whose numbers are not trimesh's, and a summary; exits 1 when a check of the files fails or a difference
has no known cause. Needs t3d in PATH, and numpy, Pillow, trimesh (with scipy, networkx) and webdataset.

Counts and bounds are those of the scene as instanced, all nodes applied. Watertight as stored: trimesh loads with
process=False where it can, and every geometry in use is watertight. Welded: one mesh of all, equal positions merged.
"""
import argparse
import hashlib
import io
import itertools
import json
import sqlite3
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import trimesh
import webdataset
from PIL import Image

MODES = {"": ("RGBA",), "albedo": ("RGBA",), "normal": ("RGB", "RGBA"), "metal-rough": ("RGB", "RGBA"),
         "depth": ("I;16", "I;16B", "I")}
failed = []


def check(name, good, **more):
    """One line a check; good is a bool or a list of what is wrong (empty: nothing)."""
    wrong = good if isinstance(good, list) else [] if good else ["no"]
    print(json.dumps({"check": name, "ok": not wrong, **more, **({"wrong": wrong[:10]} if wrong else {})}))
    if wrong:
        failed.append(name)


def export(workspace):
    text = subprocess.run(["t3d", "-C", workspace, "manifest", "export"], check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in text.decode().splitlines()]


# --- pictures and cameras

def wrong_picture(data, kind, resolution):
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.format != "PNG" or image.size != (resolution, resolution) or image.mode not in MODES[kind]:
        return "%s %s %s" % (image.format, image.size, image.mode)
    if {"gamma", "srgb", "icc_profile"} & set(image.info):
        return "colour chunks"
    if kind == "" and not np.asarray(image)[..., 3].any():
        return "blank"
    return None


def wrong_cameras(c, name):
    """Conventions of doc/formats.md, by the 8 corners of the box seen through both matrices."""
    corners = np.array(list(itertools.product([-.5, .5], repeat=3)) + [[0, 0, 0]])
    points = np.c_[corners, np.ones(len(corners))].T
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    for v in c["views"]:
        k, w2c, c2w = (np.array(v[m], np.float64) for m in ("K", "w2c", "c2w"))
        if k.shape != (3, 3) or w2c.shape != (4, 4) or c2w.shape != (4, 4):
            return name + ": shapes"
        a = k @ (w2c @ points)[:3]
        # By c2w alone: OpenGL axes, the pixel from the field of view.
        gl = np.linalg.inv(c2w) @ points
        f = c["resolution"] / 2 / np.tan(np.radians(v["fov"]) / 2)
        half = c["resolution"] / 2
        b = np.stack([half + f * gl[0] / -gl[2], half - f * gl[1] / -gl[2]])
        if not np.allclose(a[:2] / a[2], b, atol=1e-6 * c["resolution"]) or (a[2] <= 0).any():
            return "%s %s: K w2c and c2w disagree" % (name, v["name"])
        if not np.allclose(w2c, flip @ np.linalg.inv(c2w), atol=1e-9):
            return "%s %s: w2c is not the inverse" % (name, v["name"])
        az, el = np.radians(v["azimuth"]), np.radians(v["elevation"])
        eye = v["distance"] * np.array([np.cos(el) * np.sin(az), np.sin(el), np.cos(el) * np.cos(az)])
        if not np.allclose(c2w[:3, 3], eye, atol=1e-6) or abs(np.linalg.det(c2w[:3, :3]) - 1) > 1e-9:
            return "%s %s: the eye" % (name, v["name"])
    return None


def wrong_normalisation(c, record):
    m = record["measures"]
    lo, hi = np.array(m["bbox_min"]), np.array(m["bbox_max"])
    n = c["normalisation"]
    if not np.allclose(n["centre"], (lo + hi) / 2, atol=1e-5 * max(m["radius"], 1e-30)):
        return record["source"] + ": centre"
    return None if abs(n["scale"] * m["radius"] - 1) < 1e-5 else record["source"] + ": scale"


def wrong_alpha(png, c, v, record, points):
    """The silhouette lies in the projected hull's box and fills it to a pixel."""
    alpha = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3]
    n = c["normalisation"]
    p = np.c_[(points - n["centre"]) * n["scale"], np.ones(len(points))].T
    q = np.array(v["K"]) @ (np.array(v["w2c"]) @ p)[:3]
    x, y = q[0] / q[2], q[1] / q[2]
    rows, cols = np.nonzero(alpha.any(1))[0], np.nonzero(alpha.any(0))[0]
    want = np.array([x.min(), x.max(), y.min(), y.max()])
    have = np.array([cols[0], cols[-1] + 1, rows[0], rows[-1] + 1])
    off = np.abs(want - have).max()
    return "%s %s: %.1f pixels" % (record["source"], v["name"], off) if off > 2 else None


# --- shards

def read_shards(folder, records):
    by_key = {r["content"][:32]: r for r in records}
    wrong = {k: [] for k in ("idx", "tar", "webdataset", "png", "cameras", "normalisation", "caption")}
    cameras, samples, pictures = {}, 0, 0
    for path in sorted(folder.glob("[0-9]*.tar")):
        data = path.read_bytes()
        lines = [json.loads(x) for x in path.with_suffix(".idx").read_text().splitlines()]
        with tarfile.open(path) as tar:
            members = tar.getmembers()
            for line, m in itertools.zip_longest(lines, members):
                if not line or not m or (line["member"], line["offset"], line["size"]) != (m.name, m.offset_data, m.size):
                    wrong["idx"].append("%s: %s" % (path.name, line))
                elif data[line["offset"]:line["offset"] + line["size"]] != tar.extractfile(m).read():
                    wrong["idx"].append("%s: bytes of %s" % (path.name, m.name))
                if m and (not m.isfile() or m.mode != 0o444 or m.uid or m.gid or m.mtime or m.uname or m.gname):
                    wrong["tar"].append(m.name)
        for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False):
            samples += 1
            record = by_key.get(sample["__key__"])
            if record is None:
                wrong["webdataset"].append(sample["__key__"])
                continue
            c = json.loads(sample["cameras.json"])
            cameras[sample["__key__"]] = (c, sample)
            names = {"%s.png" % v["name"] for v in c["views"]}
            if not names <= set(sample) or json.loads(sample["json"]).get("uid") != record["uid"]:
                wrong["webdataset"].append(record["source"])
            captions = record.get("captions") or [record["caption"]] if record.get("caption") is not None else []
            if sample["txt"].decode() != "".join(c + "\n" for c in captions):
                wrong["caption"].append(record["source"])
            for name in sample:
                if name.endswith(".png"):
                    pictures += 1
                    kind = name[:-4].partition(".")[2]
                    bad = wrong_picture(sample[name], kind, c["resolution"])
                    # what is thinner than a pixel may be blank from its edge
                    if bad and bad != "blank":
                        wrong["png"].append("%s %s: %s" % (record["source"], name, bad))
            for key, bad in (("cameras", wrong_cameras(c, record["source"])),
                             ("normalisation", wrong_normalisation(c, record))):
                if bad:
                    wrong[key].append(bad)
    for key, w in wrong.items():
        check("%s: %s" % (folder.name, key), w, samples=samples, pictures=pictures)
    rendered = sum(r["stages"].get("render/" + folder.name, {}).get("state") == "ok" for r in records)
    check(folder.name + ": one sample an object", samples == rendered, samples=samples, rendered=rendered)
    return cameras


def read_views(folder, records):
    by_key = {r["content"][:32]: r for r in records} | {r["uid"]: r for r in records}
    wrong, count = [], 0
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    for d in sorted(p for p in folder.iterdir() if p.is_dir()):
        c = json.loads((d / "cameras.json").read_text())
        t = json.loads((d / "transforms.json").read_text())
        record = by_key.get(d.name)
        if record is None:
            wrong.append(d.name + ": no such object")
            continue
        wrong += [w for w in (wrong_cameras(c, d.name), wrong_normalisation(c, record)) if w]
        if len(t["frames"]) != len(c["views"]) or not np.allclose(np.array(t["applied_transform"])[:, :3], turn):
            wrong.append(d.name + ": transforms.json")
        for frame, v in zip(t["frames"], c["views"]):
            m, mine = np.array(frame["transform_matrix"]), np.eye(4)
            mine[:3, :3] = turn
            if not np.allclose(m, mine @ np.array(v["c2w"])):
                wrong.append("%s %s: transform_matrix" % (d.name, v["name"]))
            k = np.array(v["K"])
            have = [frame.get(x, t.get(x)) for x in ("fl_x", "fl_y", "cx", "cy", "w", "h")]
            if not np.allclose(have, [k[0, 0], k[1, 1], k[0, 2], k[1, 2], c["resolution"], c["resolution"]]):
                wrong.append("%s %s: intrinsics" % (d.name, v["name"]))
            if not (d / frame["file_path"]).exists():
                wrong.append("%s: %s is missing" % (d.name, frame["file_path"]))
        for png in d.glob("*.png"):
            count += 1
            kind = png.name[:-4].partition(".")[2]
            bad = wrong_picture(png.read_bytes(), kind, c["resolution"])
            if bad and bad != "blank":
                wrong.append("%s/%s: %s" % (d.name, png.name, bad))
    check("folders", wrong, pictures=count)


# --- manifest.db and objects/

def read_manifest(workspace, records):
    db = sqlite3.connect("file:%s?mode=ro" % (workspace / "manifest.db").resolve(), uri=True)
    check("integrity_check", db.execute("pragma integrity_check").fetchall() == [("ok",)])
    check("application_id", db.execute("pragma application_id").fetchone()[0] == 0x5433444D)
    rows = dict(db.execute("select uid, hex(content) from object"))
    check("object rows", rows == {r["uid"]: r["content"].upper() for r in records}, rows=len(rows))
    split = dict(db.execute("select uid, split from object"))
    check("splits by sqlite", all(split[r["uid"]] is not None or r.get("split") is None for r in records))
    state = {(u, s): v for s, u, v in db.execute("select stage, uid, state from state")}
    check("states", [r["uid"] for r in records for s, v in r["stages"].items() if state.get((r["uid"], s)) != v["state"]])
    wrong = []
    for p in sorted((workspace / "objects").glob("??/*")):
        if hashlib.sha256(p.read_bytes()).hexdigest() != p.name.partition(".")[0] or p.name[:2] != p.parent.name:
            wrong.append(p.name)
    check("objects are named by their hash", wrong)
    path = workspace / "splits.json"
    if path.exists():
        mine = json.loads(path.read_text()).get("splits", {})
        of = {u: k for k, us in mine.items() for u in us} if all(isinstance(v, list) for v in mine.values()) else mine
        check("splits.json", [r["uid"] for r in records if r.get("split") and of and of.get(r["uid"]) != r["split"]])
        seen = {}
        for r in records:
            if r.get("split"):
                seen.setdefault(r["measures"]["geometry_hash"], set()).add(r["split"])
        check("no shape is in two splits", [k for k, v in seen.items() if len(v) > 1])


# --- trimesh

def measured(path):
    scene = trimesh.load_scene(path, process=False) if path.suffix.lower() not in (".gltf", ".glb") \
        else trimesh.load_scene(path)
    parts, faces, closed = [], 0, True
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        g = scene.geometry[name]
        if not hasattr(g, "faces"):
            continue
        used = np.unique(g.faces)
        parts.append(trimesh.transform_points(g.vertices[used], matrix))
        faces += len(g.faces)
        closed = closed and g.is_watertight
    if not parts or not faces:
        return {"triangles": 0, "watertight": False, "watertight_welded": False, "points": None}
    merged = trimesh.util.concatenate([g for g in scene.dump() if hasattr(g, "faces")])
    merged = trimesh.Trimesh(merged.vertices, merged.faces, process=False)
    exact = merged.vertices.astype(np.float32) + np.float32(0)
    _, first, same = np.unique(exact, axis=0, return_index=True, return_inverse=True)
    welded = trimesh.Trimesh(exact[first], same.reshape(-1)[merged.faces], process=False)
    corner = np.sort(welded.faces, axis=1)
    thin = (corner[:, 0] == corner[:, 1]) | (corner[:, 1] == corner[:, 2])
    exactly = welded.is_watertight if not thin.any() else trimesh.Trimesh(
        welded.vertices, welded.faces[~thin], process=False).is_watertight
    # trimesh's own weld: positions within 1e-8 of each other
    merged.merge_vertices(merge_tex=True, merge_norm=True)
    p = np.vstack(parts)
    return {"triangles": faces, "watertight": bool(closed), "watertight_welded": bool(merged.is_watertight),
            "exact": bool(exactly), "thin": int(thin.sum()), "points": p}


def known_cause(name, path, ours, theirs, record):
    m = record["measures"]
    if m["n_skins"] or m["n_morph_targets"]:
        if name in ("bounds", "watertight_welded"):
            return "a skin or morph target: trimesh leaves the mesh as stored, we put it in its rest pose"
    if name == "watertight_welded" and ours == theirs["exact"]:
        return "trimesh welds within a tolerance of 1e-8; welded at bitwise equal positions it agrees with us"
    if name == "watertight" and path.suffix.lower() in (".obj", ".ply", ".stl", ".off"):
        return "a mesh file without parts: trimesh splits or keeps vertices of its own"
    if name == "watertight" and len(theirs["parts"]) > 1:
        return "several geometries"
    return None


def same_numbers(records, source):
    count, differ, unknown = {}, 0, []
    points = {}
    for r in records:
        path = source / r["source"]
        m = r.get("measures", {})
        try:
            t = measured(path)
        except Exception as e:  # noqa: BLE001: what a peer raises on a bad file is any exception
            both = r["stages"].get("filter", {}).get("state") != "ok"
            print(json.dumps({"object": r["source"], "trimesh": "%s: %s" % (type(e).__name__, e), "t3d": m.get("triangles"),
                              "state": r["stages"].get("filter", {})}))
            differ += not both
            continue
        t.setdefault("parts", [])
        points[r["content"][:32]] = t["points"]
        for name in ("triangles", "watertight", "watertight_welded"):
            count[name + " (t3d)"] = count.get(name + " (t3d)", 0) + int(m.get(name, 0))
            count[name + " (trimesh)"] = count.get(name + " (trimesh)", 0) + int(t[name])
        pairs = [(n, m.get(n, 0), t[n]) for n in ("triangles", "watertight", "watertight_welded")]
        if t["points"] is not None and m.get("triangles"):
            box = np.array([m["bbox_min"], m["bbox_max"]])
            theirs = np.array([t["points"].min(0), t["points"].max(0)])
            size = max(float((theirs[1] - theirs[0]).max()), 1e-30)
            if np.abs(box - theirs).max() > 1e-5 * size:
                pairs.append(("bounds", box.tolist(), theirs.round(6).tolist()))
        for name, ours, theirs in pairs:
            if ours == theirs:
                continue
            differ += 1
            why = known_cause(name, path, ours, t, r)
            print(json.dumps({"object": r["source"], "measure": name, "t3d": ours, "trimesh": theirs, "why": why}))
            if why is None:
                unknown.append("%s: %s" % (r["source"], name))
    check("trimesh agrees, or the cause is known", unknown, objects=len(records), differences=differ, **count)
    return points


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workspace")
    p.add_argument("source")
    p.add_argument("views", nargs="?")
    a = p.parse_args()
    workspace = Path(a.workspace)
    records = export(a.workspace)
    check("records", len(records) > 0, objects=len(records))
    read_manifest(workspace, records)
    points = same_numbers(records, Path(a.source))
    by_key = {r["content"][:32]: r for r in records}
    for folder in sorted(p for p in (workspace / "renders").iterdir() if p.is_dir()):
        wrong, seen = [], 0
        for key, (c, sample) in read_shards(folder, records).items():
            r = by_key[key]
            if points.get(key) is None or r["measures"]["n_skins"] or r["measures"]["alpha_mask"] or r["measures"]["alpha_blend"]:
                continue
            seen += 1
            bad = [wrong_alpha(sample[v["name"] + ".png"], c, v, r, points[key]) for v in c["views"]]
            wrong += [b for b in bad if b]
        check(folder.name + ": silhouettes fill the boxes of trimesh's vertices", wrong, objects=seen, views=len(wrong))
    if a.views:
        read_views(Path(a.views), records)
    print(json.dumps({"summary": "failed" if failed else "ok", "failed": failed}))
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
