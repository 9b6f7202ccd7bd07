#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write lib/net/unicode_table.h from Python's unicodedata.

    python3 tests/ref/make_unicode.py

The header states the Unicode version; Python 3.11 has 14.0.0.
"""
import os
import sys
import unicodedata as u

ALL = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "net", "unicode_table.h")


def runs(value):
    """[first, last, value] of neighbours with the same value other than None."""
    out = []
    for c in ALL:
        v = value(c)
        if v is None:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == v:
            out[-1][1] = c
        else:
            out.append([c, c, v])
    return out


def kind(c):
    if u.category(chr(c))[0] in "LN":
        return 1 if u.category(chr(c))[0] == "L" else 2
    # White_Space: what Python calls space, less the four separators 1C to 1F
    return 3 if chr(c).isspace() and not 0x1C <= c <= 0x1F else None


def lower_runs():
    """[first, last, step, difference]; the one character that becomes two is left out."""
    out = []
    for c in ALL:
        low = chr(c).lower()
        if low == chr(c) or len(low) > 1:
            continue
        d = ord(low) - c
        last = out[-1] if out else None
        if last and last[3] == d and c - last[1] <= 2 and (last[0] == last[1] or last[2] == c - last[1]):
            last[1], last[2] = c, c - last[1]
        else:
            out.append([c, c, 1, d])
    return out


def decompositions():
    for c in ALL:
        d = u.decomposition(chr(c))
        if d and not d.startswith("<"):
            a = [int(x, 16) for x in d.split()] + [0]
            yield c, a[0], a[1]


def table(f, comment, head, rows):
    """Rows packed tight: the file is for the compiler."""
    f.write(f"/* {comment} */\nstatic const {head} = {{\n")
    line = ""
    for r in rows:
        item = ("{" + ",".join(map(str, r)) + "}," if isinstance(r, tuple) else str(r) + ",")
        if len(line) + len(item) > 99:
            f.write(line + "\n")
            line = ""
        line += item
    f.write(line + "\n};\n\n")


pairs = list(decompositions())
composed = sorted((a, b, i) for i, (c, a, b) in enumerate(pairs) if b and u.normalize("NFC", chr(c)) == chr(c))
with open(OUT, "w") as f:
    f.write("/* SPDX-License-Identifier: Apache-2.0 */\n")
    f.write("/* clang-format off */\n")
    f.write(f"/* Unicode {u.unidata_version}, written by tests/ref/make_unicode.py. Ranges are first, last | value << 24. */\n")
    f.write("#ifndef T3D_NET_UNICODE_TABLE_H\n#define T3D_NET_UNICODE_TABLE_H\n\n#include <stdint.h>\n\n")
    f.write(f'#define T3DI_UNICODE_VERSION "{u.unidata_version}"\n\n')
    table(f, "1 letter (L), 2 number (N), 3 White_Space", "uint32_t class_table[][2]",
          [(a, b | v << 24) for a, b, v in runs(kind)])
    table(f, "Canonical_Combining_Class", "uint32_t order_table[][2]",
          [(a, b | v << 24) for a, b, v in runs(lambda c: u.combining(chr(c)) or None)])
    table(f, "Lower case: first, last, step, difference", "int32_t lower_table[][4]", map(tuple, lower_runs()))
    table(f, "Canonical decomposition, one step; 0 = a single character", "uint32_t decomposed[][3]", pairs)
    table(f, "Rows of decomposed that are primary composites, by their parts", "uint16_t composed[]",
          [i for a, b, i in composed])
    f.write("/* clang-format on */\n#endif\n")
