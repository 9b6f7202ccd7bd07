#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/ref/tokens/unigram*: small sentencepiece models and what the libraries make of texts with them.

    pip install sentencepiece==0.2.3 transformers==5.23.0 tokenizers==0.23.3 && python3 tests/ref/make_tokens_unigram.py

unigram/: spiece.model with T5's normalisation, ids of sentencepiece. unigram_json/: tokenizer.json as transformers 5
saves a T5 tokenizer; unigram_bytes/: the layout of transformers 4 (a Metaspace alone, spaces collapsed by a Replace),
byte fallback and tokens that strip; their map holds a few rules of nmt_nfkc, so that the files stay small.
cases.ndjson: one {"text", "ids"} a line, </s> behind.
"""
import io
import json
import os
import random
import tempfile
import unicodedata

import sentencepiece as spm
import transformers as hf

from make_tokens_clip import TEXTS, TRAIN

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens")
SPECIAL = ["a red</s> cube", "</s>", " </s> </s>x", "<pad><unk>a", "a<extra_id_0>b <extra_id_1> c", "< / s >", "\uff1c/s\uff1e", "<0x41>x", "a  <extra_id_2>  cube",
           "\u2581a\u2581\u2581cube", "e\u0301\u0302 \u00bd\u0301 \u0061\u0300\u0301", "\uff21\u0301 \u0915\u094d\u0937\u0301", "\r\n a\r\u0301", "\u3000a\u200bb\u2028c", "\u309bx \uffe3 a",
           "\U0001f1e9\U0001f1ea\u0301 \u00a9\u200d\u00a9 \u0600a", "\u4e2d\u6587 cube", "a   red    cube "]


def random_texts(n):
    """Pieces of the texts above in any order."""
    r = random.Random(5)
    parts = [p for t in TEXTS + SPECIAL for p in (t[:9], t[3:6], t[-4:])]
    return ["".join(r.choice(parts) for _ in range(r.randint(1, 6))) for _ in range(n)]


def rules(path):
    """What nmt_nfkc does with the characters of the texts, and with a base and one mark of theirs."""
    seen = sorted({c for t in TEXTS + SPECIAL for c in t} - {"\0"})
    marks = [c for c in seen if unicodedata.combining(c)]
    with open(path, "w") as f:
        for s in seen + [a + b for a in "aeq" for b in marks]:
            to = " " if s in "\t\n\r\u0085\u200b\u2028\u3000\u00a0\u2003" else "" if s in "\x01\x7f\u200d" else unicodedata.normalize("NFKC", s)
            if to != s:
                f.write(" ".join(f"{ord(c):X}" for c in s) + "\t" + " ".join(f"{ord(c):X}" for c in to) + "\n")


def train(path, **kw):
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(TRAIN), model_writer=model, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                                   hard_vocab_limit=False, num_threads=1, minloglevel=2, **kw)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(model.getvalue())
    return model.getvalue()


def write_cases(folder, texts, ids):
    with open(os.path.join(OUT, folder, "cases.ndjson"), "w") as f:
        for t in texts:
            f.write(json.dumps({"text": t, "ids": ids(t)}) + "\n")


def write_json(folder, tokenizer):
    path = os.path.join(OUT, folder, "tokenizer.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(tokenizer, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    fast = hf.PreTrainedTokenizerFast(tokenizer_file=path)
    write_cases(folder, TEXTS + SPECIAL + random_texts(150), lambda t: fast(t)["input_ids"])


def saved(tmp, name, **kw):
    rule = os.path.join(tmp, "rules.tsv")
    rules(rule)
    train(os.path.join(tmp, name, "spiece.model"), normalization_rule_tsv=rule, **kw)
    out = os.path.join(tmp, name + "-saved")
    hf.T5Tokenizer.from_pretrained(os.path.join(tmp, name), extra_ids=3).save_pretrained(out)
    with open(os.path.join(out, "tokenizer.json")) as f:
        return json.load(f)


sp = spm.SentencePieceProcessor(model_proto=train(os.path.join(OUT, "unigram", "spiece.model"), vocab_size=120, normalization_rule_name="nmt_nfkc"))
write_cases("unigram", TEXTS, lambda t: sp.encode(t) + [sp.eos_id()])
with tempfile.TemporaryDirectory() as tmp:
    write_json("unigram_json", saved(tmp, "plain", vocab_size=160))
    t = saved(tmp, "bytes", vocab_size=450, byte_fallback=True)
    t["model"]["byte_fallback"] = True
    t["normalizer"] = {"type": "Sequence", "normalizers": [t["normalizer"], {"type": "Strip", "strip_left": False, "strip_right": True},
                                                           {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]}
    t["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}
    for a in t["added_tokens"]:
        a["lstrip"] = a["rstrip"] = "extra_id" in a["content"]
        a["normalized"] = a["content"] == "<extra_id_1>"
    write_json("unigram_bytes", t)
