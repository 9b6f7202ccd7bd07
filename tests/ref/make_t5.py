#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/ref/t5/: tiny T5 encoders with random weights, and what transformers makes of token ids with them.

    pip install torch transformers==5.23.0 && python3 tests/ref/make_t5.py

v10/ (T5EncoderModel, ReLU) and v11/ (T5ForConditionalGeneration, gated GELU, in shards, another epsilon and table of
distances): folders as save_pretrained leaves them. <name>/case.safetensors: ids (sum n), n (texts), rows (texts, d) of
length 1 and features (sum n, d), computed in double. buckets.txt: "buckets distance: bucket of -150, -149, ... 150".
With a folder as argument: such a case of that model goes to FOLDER/case.safetensors, on 24 random texts.
"""
import os
import sys

import torch
import transformers as hf
from safetensors.torch import save_file
from transformers.models.t5.modeling_t5 import T5Attention

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "t5")
LENGTHS = [1, 2, 7, 8, 9, 33, 100]


def case(folder, lengths, dtype=torch.float64):
    net = hf.T5EncoderModel.from_pretrained(folder, dtype=dtype).eval()
    g = torch.Generator().manual_seed(1)
    ids = [torch.randint(3, min(net.config.vocab_size, 32000), (n,), generator=g) for n in lengths]
    for x in ids:
        x[-1] = 1
    with torch.inference_mode():
        features = [net(input_ids=x[None]).last_hidden_state[0] for x in ids]
    rows = torch.stack([torch.nn.functional.normalize(f.mean(0), dim=0) for f in features])
    save_file({"ids": torch.cat(ids).int(), "n": torch.tensor(lengths).int(), "rows": rows.float(),
               "features": torch.cat(features).float().contiguous()}, folder + "/case.safetensors")


def make(name, cls, shard, **kw):
    torch.manual_seed(0)
    net = cls(hf.T5Config(**kw))
    for p in net.parameters():  # norms and biases that are not 1 and 0
        p.data = p.data + torch.randn_like(p) * .2
    folder = os.path.join(OUT, name)
    net.save_pretrained(folder, max_shard_size=shard)
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    case(folder, LENGTHS)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        g = torch.Generator().manual_seed(2)
        case(sys.argv[1], torch.randint(1, 120, (24,), generator=g).tolist(), torch.float32)
        sys.exit()
    make("v10", hf.T5EncoderModel, "10GB", vocab_size=61, d_model=20, d_kv=6, num_heads=3, num_layers=2, d_ff=28)
    make("v11", hf.T5ForConditionalGeneration, "12KB", vocab_size=50, d_model=18, d_kv=5, num_heads=4, num_layers=3, d_ff=23,
         feed_forward_proj="gated-gelu", tie_word_embeddings=False, layer_norm_epsilon=1e-4, relative_attention_num_buckets=16,
         relative_attention_max_distance=40, num_decoder_layers=1)
    with open(os.path.join(OUT, "buckets.txt"), "w") as f:
        for n, far in ((32, 128), (16, 40), (8, 20), (64, 256)):
            d = torch.arange(-150, 151)
            b = T5Attention._relative_position_bucket(d, True, n, far)
            f.write(f"{n} {far}: " + " ".join(map(str, b.tolist())) + "\n")
