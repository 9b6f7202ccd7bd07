#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write lib/image/colour_table.h: the sRGB tables, computed with 50 decimal digits.

    python3 tests/ref/make_colour.py >lib/image/colour_table.h

IEC 61966-2-1. threshold[k] is the least float whose encoding, rounded to float, times 255 rounds to k
(halves up); code[i] is the code at the start of bucket i, where a bucket is one value of the upper 16 bits
of a float in [2^-13, 1). Each bucket holds at most one threshold, which the script asserts.
"""
import struct
from decimal import Decimal as D, getcontext

getcontext().prec = 50


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def value(b):
    return struct.unpack("<f", struct.pack("<I", b))[0]


def single(d):
    return value(bits(float(d)))


def encode(v):
    d = D(v)
    return single(d * D("12.92") if d <= D("0.0031308") else D("1.055") * (d.ln() * 5 / 12).exp() - D("0.055"))


def decode(i):
    c = D(i) / 255
    return single(c / D("12.92") if c <= D("0.04045") else (((c + D("0.055")) / D("1.055")).ln() * D("2.4")).exp())


def code(v):
    return int(D(encode(v)) * 255 + D("0.5"))


def threshold(k):
    low, high = bits(2.0**-13), bits(1.0)
    while high - low > 1:
        mid = (low + high) // 2
        low, high = (low, mid) if code(value(mid)) >= k else (mid, high)
    return value(high)


def show(items, head):
    print(head + " = {")
    line = "   "
    for s in items:
        if len(line) + len(s) + 2 > 100:
            print(line)
            line = "   "
        line += " " + s + ","
    print(line + "\n};")


def hexfloat(v):
    m, e = v.hex().split("p")
    return (m.rstrip("0").rstrip(".") if "." in m else m) + "p" + e + "f" if v else "0.0f"


table = [0.0] + [threshold(k) for k in range(1, 256)]
start, end = bits(2.0**-13) >> 16, bits(1.0) >> 16
codes = []
for b in range(start, end):
    first, last = code(value(b << 16)), code(value((b << 16) + 0xFFFF))
    assert last - first <= 1
    codes.append(first)
print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Made by tests/ref/make_colour.py; do not edit. */")
print("/* clang-format off */")
print("#include <stdint.h>\n")
show([hexfloat(decode(i)) for i in range(256)], "static const float linear_of_code[256]")
show([hexfloat(v) for v in table], "/* Least linear value of each code. */\nstatic const float threshold[256]")
show([str(c) for c in codes], "/* Code at the start of each bucket. */\nstatic const uint8_t bucket[%d]" % len(codes))
