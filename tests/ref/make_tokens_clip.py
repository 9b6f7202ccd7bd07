#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/ref/tokens/clip/: a small BPE in CLIP's layout and what transformers makes of texts with it.

    pip install transformers==5.23.0 tokenizers==0.23.3 open_clip_torch==3.3.0 ftfy==6.3.1 && python3 tests/ref/make_tokens_clip.py

cases.ndjson: one {"text", "max", "ids"} a line. cases_open_clip.ndjson: the same of open_clip's tokenizer, without
ftfy's repair of mojibake. With a folder of a real vocabulary as argument (and texts on stdin,
one a line), the same lines go to stdout instead.
"""
import collections
import json
import os
import sys

COLOURS = "red green blue yellow purple orange".split()
SHAPES = "cube sphere cylinder cone torus".split()
TRAIN = [f"a {a} {s} on a smaller {b} {t}" for a in COLOURS for s in SHAPES for b in COLOURS for t in SHAPES]
TRAIN += ["the wooden chair's leg isn't broken", "a rendering of an object, photographed from above", "caf\u00e9 na\u00efve stra\u00dfe"]
TEXTS = ["", " ", "a red cube", "A RED Cube on the blue\tSphere.", "the chair's leg, they're, I'll, we've, I'd, I'm, isn't",
         "!'s 's'S 'ReD 'x '' '", "123 4five 6.7 \u00bd \u2167 \u0663\u0664", "caf\u00e9 cafe\u0301 CAFE\u0301", "stra\u00dfe STRASSE \u1e9e",
         "\u0130stanbul I\u0307 \u0131", "\u03a3\u03a3\u03a3 \u03c3\u03c2", "\u4e2d\u6587\u5b57 \u65e5\u672c\u8a9e\u304b\u3099 \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
         "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f", "a\u00a0b\u2003c\u3000d\u200be\u0085f\u2028g\x0bh\x1ci",
         "q\u0307\u0323 q\u0323\u0307 \u1e9b\u0323 \u0344 \u212b \u2126 \ufb01 \uff21\uff22", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947 \u0645\u0631\u062d\u0628\u0627",
         "a_b-c--d/e\\f|g <b>x</b> &amp; @#$%^&*()", "\x00\x01\x7f\ufeff\ufffd\U0010ffff\ue000", "\u0915\u093c \u0958 \u0b47\u0b57 \U0001d15e \u2adc",
         "\U00010400\U00010428 \u1c80 \u13a0 \uab70 \u10a0", "x" * 300, "word " * 100, "\u1100\u1161\u11a8\u11a8 \uac00\u11a8 \uac01\u11a8", "\u0300\u0301 a\u0315\u0300\u05ae\u0301b"]
CLEAN = ["a &lt;b&gt; &amp;amp; &eacute;&EACUTE;&Eacute; &notit; &notanentity; &ampx", "<p>&lt;&eacute;", "&#65;&#x41;&#0;&#128;&#x1F600;&#55296;&#1;&#59;x &#65 &#x;",
         "\u201cit\u2019s\u201d \u02bcs '\u017fx", "\ufb01ne \ufb06 \uff21\uff42\uff11 \uff76\uff9e \u3000x", "a\r\nb\rc\u2028d\u0085e \x91q\x92", "\x1b[31;1mred\x1b[0m \x1b[0", "a\u200bb\ufeffc\u00add\x0be\x1cf",
         "\u03a3\u039f\u03a6\u039f\u03a3 \u03a3 A\u03a3. \u0391\u03a3\u0301\u0392 A'\u03a3'", "\u0130\u0345x \u00c5\u212b e\u0301", "&amp;" * 40 + "lt;", "&AMP;&hearts;&nvlt;&fjlig; &Aacut", "one\n<two>&gt;\nthree&gt;"]
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens", "clip")


def byte_symbols():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + n) for n, b in enumerate(hidden)}


def train(texts, n):
    byte = byte_symbols()
    words = collections.Counter(w for t in texts for w in t.replace("'", " '").split())
    words = {tuple([byte[b] for b in w.encode()[:-1]] + [byte[w.encode()[-1]] + "</w>"]): k for w, k in words.items()}
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for w, k in words.items():
            for p in zip(w, w[1:]):
                pairs[p] += k
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        new = {}
        for w, k in words.items():
            out, i = [], 0
            while i < len(w):
                if w[i:i + 2] == best:
                    out.append(w[i] + w[i + 1])
                    i += 2
                else:
                    out.append(w[i])
                    i += 1
            new[tuple(out)] = k
        words = new
    return merges


def cases_open_clip(merges, texts, f):
    import gzip
    import tempfile

    import ftfy
    from open_clip import tokenizer

    class Fix:
        fix_text = staticmethod(lambda t: ftfy.fix_text(t, fix_encoding=False))

    tokenizer.ftfy = Fix
    with tempfile.NamedTemporaryFile(suffix=".gz") as t:
        t.write(gzip.compress(("#version\n" + "\n".join(" ".join(m) for m in merges)).encode()))
        t.flush()
        simple = tokenizer.SimpleTokenizer(t.name)
    for t in texts:
        for n in (77, 5):
            ids = simple([t], context_length=n)[0].tolist()
            f.write(json.dumps({"text": t, "max": n, "ids": ids[:ids.index(max(ids)) + 1]}) + "\n")


def cases(tokenizer, texts, f):
    for t in texts:
        for n in (77, 5):
            ids = tokenizer(t, truncation=True, max_length=n)["input_ids"]
            f.write(json.dumps({"text": t, "max": n, "ids": ids}) + "\n")


if __name__ == "__main__":
    import transformers

    if len(sys.argv) > 1:
        cases(transformers.CLIPTokenizer.from_pretrained(sys.argv[1]), sys.stdin.read().split("\n") + TEXTS, sys.stdout)
        sys.exit()
    merges = train(TRAIN, 250)
    names = list(byte_symbols().values())
    names += [s + "</w>" for s in names] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    vocab = {s: i for i, s in enumerate(names)}
    assert len(vocab) == len(names)
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "vocab.json"), "w") as f:
        json.dump(vocab, f)
        f.write("\n")
    with open(os.path.join(OUT, "merges.txt"), "w") as f:
        f.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))
    with open(os.path.join(OUT, "cases.ndjson"), "w") as f:
        cases(transformers.CLIPTokenizer(vocab=vocab, merges=merges), TEXTS, f)
    with open(os.path.join(OUT, "cases_open_clip.ndjson"), "w") as f:
        cases_open_clip(merges, TEXTS + CLEAN, f)
