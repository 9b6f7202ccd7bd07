#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/ref/resize/cases.bin: pictures and what Pillow makes of them.

    pip install pillow==11.3.0 numpy && python3 tests/ref/make_resize.py

Each case: five little-endian uint32 (w, h, ow, oh, channels), the input, and the output of each filter in the
order of enum t3d_filter. Four channels go through Pillow as CMYK, because its RGBA premultiplies first.
"""
import os
import struct

import numpy as np
from PIL import Image

FILTERS = [Image.BOX, Image.BILINEAR, Image.BICUBIC, Image.LANCZOS]
SIZES = [(1, 1, 3, 2), (2, 3, 1, 1), (5, 4, 5, 9), (5, 4, 9, 4), (7, 7, 13, 10), (31, 17, 8, 5), (23, 23, 14, 14),
         (9, 40, 21, 3), (64, 3, 5, 2)]
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
rng = np.random.default_rng(7)
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "resize", "cases.bin")
with open(out, "wb") as f:
    for n, (w, h, ow, oh) in enumerate(SIZES):
        for c, mode in MODES.items():
            a = rng.integers(0, 256, w * h * c).astype("u1")
            if n % 2:  # black and white: overshoot is clipped
                a = (a > 127).astype("u1") * 255
            f.write(struct.pack("<5I", w, h, ow, oh, c) + a.tobytes())
            for kind in FILTERS:
                f.write(Image.frombytes(mode, (w, h), a.tobytes()).resize((ow, oh), kind).tobytes())
