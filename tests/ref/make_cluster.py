#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write lib/net/unicode_cluster_table.h: the character properties of grapheme clusters (UAX #29).

    pip install regex==2026.11.15 && python3 tests/ref/make_cluster.py

A value is Grapheme_Cluster_Break (or Extended_Pictographic) | Indic_Conjunct_Break << 4. Hangul syllables are left out:
their kind is arithmetic.
"""
import os

import regex

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "net", "unicode_cluster_table.h")
ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and not 0xAC00 <= c <= 0xD7A3]
TEXT = "".join(map(chr, ALL))
value = {}
for v, name in enumerate(["CR", "LF", "Control", "Extend", "ZWJ", "Regional_Indicator", "Prepend", "SpacingMark", "L", "V", "T"], 1):
    for c in regex.findall(rf"\p{{Grapheme_Cluster_Break={name}}}", TEXT):
        value[ord(c)] = v
for c in regex.findall(r"\p{Extended_Pictographic}", TEXT):
    assert ord(c) not in value or value[ord(c)] == 4, hex(ord(c))
    value.setdefault(ord(c), 12)
for v, name in enumerate(["Consonant", "Extend", "Linker"], 1):
    for c in regex.findall(rf"\p{{Indic_Conjunct_Break={name}}}", TEXT):
        value[ord(c)] = value.get(ord(c), 0) | v << 4
runs = []
for c in ALL:
    v = value.get(c)
    if not v:
        continue
    if runs and runs[-1][1] == c - 1 and runs[-1][2] == v:
        runs[-1][1] = c
    else:
        runs.append([c, c, v])
with open(OUT, "w") as f:
    f.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* clang-format off */\n")
    f.write("/* Written by tests/ref/make_cluster.py. Ranges are first, last | value << 24. */\n")
    f.write("#ifndef T3D_NET_UNICODE_CLUSTER_TABLE_H\n#define T3D_NET_UNICODE_CLUSTER_TABLE_H\n\n#include <stdint.h>\n\n")
    f.write("static const uint32_t cluster_table[][2] = {\n")
    line = ""
    for a, b, v in runs:
        item = f"{{{a},{b | v << 24}}},"
        if len(line) + len(item) > 99:
            f.write(line + "\n")
            line = ""
        line += item
    f.write(line + "\n};\n\n/* clang-format on */\n#endif\n")
