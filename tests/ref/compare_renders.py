# SPDX-License-Identifier: Apache-2.0
"""Compare our renders with another renderer's of the same objects and cameras.

    python compare_renders.py OURS THEIRS [--sheet SHEET.png]

OURS and THEIRS hold one folder an object (same names) with pictures 000.png or 00.png ... of RGBA. Prints one
JSON line an object and a summary: silhouette IoU (alpha >= 128), mean absolute difference of sRGB colour where both
are covered (0-255), and that of the mean colour of the object. Needs numpy and Pillow.
"""
import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image


def views(folder):
    return sorted(p for p in Path(folder).glob("*.png") if p.stem.isdigit())


def load(path):
    return np.asarray(Image.open(path).convert("RGBA")).astype(np.float64)


def compare(a, b):
    am, bm = a[..., 3] >= 128, b[..., 3] >= 128
    both = am & bm
    iou = both.sum() / max((am | bm).sum(), 1)
    if not both.any():
        return iou, np.nan, np.nan
    x, y = a[both][:, :3], b[both][:, :3]
    return iou, np.abs(x - y).mean(), np.abs(x.mean(0) - y.mean(0)).mean()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("ours")
    p.add_argument("theirs")
    p.add_argument("--sheet")
    a = p.parse_args()
    rows, cells = [], []
    for ours in sorted(p for p in Path(a.ours).iterdir() if p.is_dir()):
        theirs = Path(a.theirs) / ours.name
        mine, other = views(ours), views(theirs)
        if not other or len(mine) != len(other):
            continue
        each = np.array([compare(load(x), load(y)) for x, y in zip(mine, other)])
        row = {"object": ours.name, "views": len(mine), "iou_mean": each[:, 0].mean(), "iou_min": each[:, 0].min(),
               "color_difference": np.nanmean(each[:, 1]), "mean_color_difference": np.nanmean(each[:, 2])}
        rows.append(row)
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}))
        for k in (0, 3, len(mine) - 1):
            for path in (mine[k], other[k]):
                im = Image.open(path).convert("RGBA").resize((192, 192))
                white = Image.new("RGBA", im.size, "white")
                cells.append(Image.alpha_composite(white, im))
    print(json.dumps({"objects": len(rows), **{k: round(float(np.mean([r[k] for r in rows])), 4)
                                               for k in ("iou_mean", "color_difference", "mean_color_difference")},
                      "iou_min": round(float(min(r["iou_min"] for r in rows)), 4)}))
    if a.sheet and cells:
        sheet = Image.new("RGB", (6 * 192, 192 * (len(cells) // 6)), "white")
        for i, c in enumerate(cells):
            sheet.paste(c, (i % 6 * 192, i // 6 * 192))
        sheet.save(a.sheet)


main()
