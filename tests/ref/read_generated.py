# SPDX-License-Identifier: Apache-2.0
"""Opens every format that t3d generate writes in independent readers (plyfile, trimesh, pygltflib, and a browser with
three.js) and compares numbers of elements, positions, colours and what the file says of its origin.

    read_generated.py [T3D] [--three DIR [--screenshot FILE.png]]

DIR has three.js and GLTFLoader.js (Debian: libjs-three). Needs numpy, plyfile, trimesh, pygltflib, Pillow; chromium
for --three. Prints a line for each file and ends with status 1 when anything differs.
"""
import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import plyfile
import pygltflib
import trimesh

PROMPT = "a red cube on a blue cylinder"
SH0 = 0.28209479177387814

PAGE = """<!doctype html><meta charset=utf-8><style>body{margin:0;overflow:hidden}</style><body>
<script src="%s/three.js"></script><script src="%s/GLTFLoader.js"></script><script>
const say = o => document.body.setAttribute('data-result', JSON.stringify(o));
const r = new THREE.WebGLRenderer({antialias: true, preserveDrawingBuffer: true});
r.setSize(960, 320); r.setClearColor(0xf4f6f8); r.gammaOutput = true; r.gammaFactor = 2.2;
document.body.appendChild(r.domElement);
const scene = new THREE.Scene(), cam = new THREE.PerspectiveCamera(35, 1, .1, 20), sun = new THREE.DirectionalLight(0xffffff, 1.4);
sun.position.set(2, 3, 2); scene.add(sun, new THREE.HemisphereLight(0xffffff, 0x888888, 1.1));
const bytes = Uint8Array.from(atob("%s"), c => c.charCodeAt(0));
new THREE.GLTFLoader().parse(bytes.buffer, '', g => {
    let m; g.scene.traverse(o => { if (o.isMesh) m = o; }); scene.add(g.scene);
    r.setScissorTest(true);
    [0, 1, 2].forEach(k => {
        const a = k * 2 * Math.PI / 3 + .5;
        cam.position.set(3.4 * Math.sin(a), 1.3, 3.4 * Math.cos(a)); cam.lookAt(0, 0, 0);
        r.setViewport(320 * k, 0, 320, 320); r.setScissor(320 * k, 0, 320, 320); r.render(scene, cam);
    });
    say({vertices: m.geometry.attributes.position.count, triangles: m.geometry.index.count / 3,
        colours: !!m.geometry.attributes.color, prompt: g.asset.extras.prompt});
}, e => say({error: String(e)}));
</script>"""

failed = 0


def check(name, ok, what):
    global failed
    failed += not ok
    print(("ok      " if ok else "FAILED  ") + name + ": " + what)


def linear(c):
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def read_ply(path):
    p = plyfile.PlyData.read(path)
    v = p["vertex"]
    cols = lambda *names: np.stack([v[n] for n in names], 1).astype(float)
    origin = dict(c.split(": ", 1) for c in p.comments if ": " in c)
    check("ply", len(p.elements) == 1 and p.byte_order == "<", "one element, %d vertices" % len(v))
    check("ply", origin.get("prompt") == PROMPT and len(origin.get("model-sha256", "")) == 64, "prompt, model")
    cloud = trimesh.load(path)
    check("ply in trimesh", len(cloud.vertices) == len(v), "%d points" % len(cloud.vertices))
    xyz = cols("x", "y", "z") * [1, -1, -1]  # y is down in the file
    return {"xyz": xyz, "rgb": 0.5 + SH0 * cols("f_dc_0", "f_dc_1", "f_dc_2"),
            "alpha": 1 / (1 + np.exp(-v["opacity"].astype(float))), "scale": np.exp(cols("scale_0", "scale_1", "scale_2"))}


def accessor(g, i):
    a = g.accessors[i]
    view = g.bufferViews[a.bufferView]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[a.type]
    kind = {5126: np.float32, 5125: np.uint32, 5123: np.uint16, 5121: np.uint8}[a.componentType]
    at = (view.byteOffset or 0) + (a.byteOffset or 0)
    return np.frombuffer(g.binary_blob(), kind, a.count * width, at).reshape(-1, width)


def read_splats_glb(path, want):
    g = pygltflib.GLTF2().load(path)
    p = g.meshes[0].primitives[0]
    at = {k: v for k, v in vars(p.attributes).items() if v is not None}
    get = lambda name: accessor(g, at[name]).astype(float)
    prefix = "KHR_gaussian_splatting:"
    check("gltf-splat", p.mode == 0 and "KHR_gaussian_splatting" in g.extensionsUsed, "POINTS, %d" % len(get("POSITION")))
    check("gltf-splat", g.asset.extras.get("prompt") == PROMPT, "prompt")
    check("gltf-splat", np.allclose(get("POSITION"), want["xyz"], atol=1e-6), "positions")
    check("gltf-splat", np.allclose(get(prefix + "SCALE"), want["scale"], rtol=1e-5), "scales")
    check("gltf-splat", np.allclose(get(prefix + "OPACITY")[:, 0], want["alpha"], atol=1e-6), "opacities")
    check("gltf-splat", np.allclose(0.5 + SH0 * get(prefix + "SH_DEGREE_0_COEF_0"), want["rgb"], atol=1e-5), "colours")
    check("gltf-splat", np.allclose(np.linalg.norm(get(prefix + "ROTATION"), axis=1), 1, atol=1e-5), "unit rotations")
    check("gltf-splat", np.allclose(get("COLOR_0")[:, :3], linear(np.clip(want["rgb"], 0, 1)), atol=1e-5), "COLOR_0")


def read_splat(path, want):
    rows = np.fromfile(path, np.dtype([("xyz", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("q", "u1", 4)]))
    order = np.argsort(-(want["scale"].prod(1) * want["alpha"]), kind="stable")
    check("splat", len(rows) == len(order), "%d rows" % len(rows))
    # equal ranks may change places
    near = np.abs(rows["xyz"] * [1, -1, -1] - want["xyz"][order]).max(1) < 1e-6
    rgb = np.abs(rows["rgba"][:, :3] / 255.0 - np.clip(want["rgb"][order], 0, 1)).max(1)
    check("splat", near.mean() > 0.999 and rgb[near].max() < 0.0021, "sorted; positions, colours")
    check("splat", np.allclose(rows["scale"][near], want["scale"][order][near], rtol=1e-5), "scales")


def read_mesh(glb, obj):
    g = pygltflib.GLTF2().load(glb)
    p = g.meshes[0].primitives[0]
    xyz, rgba = accessor(g, p.attributes.POSITION), accessor(g, p.attributes.COLOR_0)
    triangles = accessor(g, p.indices).reshape(-1, 3)
    check("glb in pygltflib", g.asset.extras.get("prompt") == PROMPT and g.asset.extras.get("seed") == "0",
          "prompt, seed; %d vertices, %d triangles" % (len(xyz), len(triangles)))
    m = trimesh.load(glb, force="mesh", process=False)
    check("glb in trimesh", len(m.vertices) == len(xyz) and len(m.faces) == len(triangles), "the same numbers")
    check("glb in trimesh", m.is_watertight and m.is_winding_consistent and m.volume > 0, "closed, volume %.4g" % m.volume)
    top, bottom = rgba[xyz[:, 1] > 0.4].mean(0), rgba[xyz[:, 1] < -0.4].mean(0)
    check("glb", top[0] > 2 * top[2] and bottom[2] > 2 * bottom[0], "red above, blue below")
    o = trimesh.load(obj, process=False, maintain_order=True)
    check("obj in trimesh", len(o.vertices) == len(xyz) and len(o.faces) == len(triangles), "the same numbers")
    check("obj in trimesh", np.allclose(o.vertices, xyz, atol=1e-6) and (o.faces == triangles).all(), "the same surface")
    colours = np.array([l.split()[4:7] for l in open(obj) if l.startswith("v ")], float)
    check("obj", np.allclose(linear(colours), rgba[:, :3], atol=2e-4), "the same colours")
    check("obj", any(l == "# prompt: %s\n" % PROMPT for l in open(obj)), "prompt")
    return len(xyz), len(triangles)


def view(glb, three, screenshot, counts):
    page = glb + ".html"
    with open(glb, "rb") as f, open(page, "w") as out:
        out.write(PAGE % (("file://" + os.path.abspath(three),) * 2 + (base64.b64encode(f.read()).decode(),)))
    command = ["chromium", "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
               "--enable-unsafe-swiftshader", "--virtual-time-budget=8000", "--window-size=960,320"]
    dom = subprocess.run(command + ["--dump-dom", "file://" + page], capture_output=True, text=True).stdout
    at = dom.find('data-result="')
    got = json.loads(dom[at + 13:dom.index('"', at + 13)].replace("&quot;", '"')) if at >= 0 else {"error": "no page"}
    check("glb in three.js", (got.get("vertices"), got.get("triangles")) == counts and got.get("colours") and
          got.get("prompt") == PROMPT, json.dumps(got))
    shot = screenshot or glb + ".png"
    subprocess.run(command + ["--screenshot=" + shot, "file://" + page], capture_output=True)
    from PIL import Image
    rgb = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    red = ((rgb[:, :, 0] > 2 * rgb[:, :, 2]) & (rgb[:, :, 0] > 90)).mean()
    blue = ((rgb[:, :, 2] > 2 * rgb[:, :, 0]) & (rgb[:, :, 2] > 90)).mean()
    check("picture of three.js", red > 0.03 and blue > 0.03, "%.1f %% red, %.1f %% blue" % (100 * red, 100 * blue))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("t3d", nargs="?", default="t3d")
    a.add_argument("--three")
    a.add_argument("--screenshot")
    a = a.parse_args()
    with tempfile.TemporaryDirectory() as d:
        for name, more in (("a.ply", []), ("a.splat", []), ("splats.glb", ["--format", "gltf-splat"]), ("a.glb", []),
                           ("a.obj", [])):
            subprocess.run([a.t3d, "generate", PROMPT, "-q", "-o", d + "/" + name] + more, check=True)
        want = read_ply(d + "/a.ply")
        read_splat(d + "/a.splat", want)
        read_splats_glb(d + "/splats.glb", want)
        counts = read_mesh(d + "/a.glb", d + "/a.obj")
        if a.three:
            view(d + "/a.glb", a.three, a.screenshot, counts)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
