#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/ref/tokens/unigram/: a small sentencepiece model and what the library makes of texts with it.

    pip install sentencepiece==0.2.3 && python3 tests/ref/make_tokens_unigram.py

cases.ndjson: one {"text", "ids"} a line, </s> behind.
"""
import io
import json
import os

import sentencepiece as spm

from make_tokens_clip import TEXTS, TRAIN

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens", "unigram")
os.makedirs(OUT, exist_ok=True)
model = io.BytesIO()
spm.SentencePieceTrainer.train(sentence_iterator=iter(TRAIN), model_writer=model, model_type="unigram", vocab_size=120,
                               normalization_rule_name="nmt_nfkc", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                               hard_vocab_limit=False, num_threads=1, minloglevel=2)
with open(os.path.join(OUT, "spiece.model"), "wb") as f:
    f.write(model.getvalue())
sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
with open(os.path.join(OUT, "cases.ndjson"), "w") as f:
    for t in TEXTS:
        f.write(json.dumps({"text": t, "ids": sp.encode(t) + [sp.eos_id()]}) + "\n")
