#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write lib/net/clean_table.h and clean_entity.h: what ftfy and html.unescape do with single characters and with entities.

    pip install ftfy==6.3.1 && python3 tests/ref/make_clean.py

Python 3.11 (Unicode 14.0.0), as unicode_table.h.
"""
import html
import html.entities
import os
import sys

import ftfy.chardata as data
import ftfy.fixes as fixes

NET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib", "net")
ALL = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF]


def mapped(c):
    """The character-wise steps of ftfy.fix_text, in their order; \\r\\n is one step of the code."""
    for step in (fixes.fix_c1_controls, fixes.fix_latin_ligatures, fixes.fix_character_width, fixes.uncurl_quotes, fixes.fix_line_breaks):
        c = step(c)
    return c


def runs(value):
    out = []
    for c in map(ord, ALL):
        v = value(chr(c))
        if not v:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == v:
            out[-1][1] = c
        else:
            out.append([c, c, v])
    return out


def sigma_kind(c):
    """For the final sigma: 1 cased, 2 case-ignorable, as str.lower() shows."""
    if (c + "\u03a3").lower()[-1] == "\u03c2":
        return 1
    return 2 if ("a" + c + "\u03a3").lower()[-1] == "\u03c2" else 0


def rows(f, comment, head, items):
    f.write(f"/* {comment} */\nstatic const {head} = {{\n")
    line = ""
    for item in items:
        item = "{" + ",".join(map(str, item)) + "},"
        if len(line) + len(item) > 99:
            f.write(line + "\n")
            line = ""
        line += item
    f.write(line + "\n};\n\n")


def padded(s, n):
    assert len(s) <= n, s
    return [ord(c) for c in s] + [0] * (n - len(s))


changed = [(c, mapped(c)) for c in ALL if mapped(c) != c]
names = {k: 1 for k in html.entities.html5}
for k in data.HTML_ENTITIES:
    names[k[1:]] = names.get(k[1:], 0) | 2
names = dict(sorted(names.items(), key=lambda kv: kv[0].encode()))
value = {k: html.entities.html5[k] if v & 1 else data.HTML_ENTITIES["&" + k] for k, v in names.items()}
assert all(data.HTML_ENTITIES["&" + k] == value[k] for k, v in names.items() if v & 2)


def begin(f, name):
    f.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* clang-format off */\n/* Written by tests/ref/make_clean.py. */\n")
    f.write(f"#ifndef T3D_NET_{name}_H\n#define T3D_NET_{name}_H\n\n#include <stdint.h>\n\n")


END = "/* clang-format on */\n#endif\n"
with open(os.path.join(NET, "clean_table.h"), "w") as f:
    begin(f, "CLEAN_TABLE")
    rows(f, "Characters that become others, at most 3; 0 = none", "uint32_t map_table[][4]", [[ord(c)] + padded(m, 3) for c, m in changed])
    rows(f, "Characters that go: first, last", "uint32_t control_table[][2]", [r[:2] for r in runs(lambda c: int(c.translate(data.CONTROL_CHARS) == ""))])
    rows(f, "For the final sigma: first, last | 1 << 24 cased, 2 << 24 case-ignorable", "uint32_t sigma_table[][2]",
         [(a, b | v << 24) for a, b, v in runs(sigma_kind)])
    rows(f, "html.unescape of numbers that do not stand for themselves; UINT32_MAX = nothing", "uint32_t number_table[][2]",
         [(n, ord(html.unescape(f"&#{n};")) if html.unescape(f"&#{n};") else "UINT32_MAX") for n in range(256) if html.unescape(f"&#{n};") != chr(n)])
    f.write("/* Entities sorted by name, without the &; kind 1: HTML 5's, 2: ftfy's. */\nstatic const char entity_name[] =\n")
    line, at, table = "", 0, []
    for k in names:
        table.append([at, len(k), names[k]] + [ord(c) for c in value[k]])
        assert len(value[k]) <= 3
        at += len(k)
        if len(line) + len(k) > 96:
            f.write(f'"{line}"\n')
            line = ""
        line += k
    assert at < 65536
    f.write(f'"{line}";\n\n' + END)
with open(os.path.join(NET, "clean_entity.h"), "w") as f:
    begin(f, "CLEAN_ENTITY")
    rows(f, "Place and length of the name in entity_name, kind, at most 3 characters", "uint32_t entity_table[][6]",
         table)
    f.write(END)
