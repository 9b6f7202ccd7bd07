# SPDX-License-Identifier: Apache-2.0
"""make_parquet.py DIR: small Parquet files written by pyarrow 26.0.1, and their rows as NDJSON.

Lists as Objaverse-XL has them (six columns of text, dictionaries that overflow into plain pages, several row
groups, null licences) in each compression and page version; a table of all other types; and files that our reader
has to refuse by name (refused_*)."""
import json
import os
import random
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

out = sys.argv[1]
rng = random.Random(7)


def rows(n):
    kinds = ["Creative Commons - Attribution", None, "MIT License", "CC0 Public Domain", ""]
    table = []
    for i in range(n):
        source = rng.choice(["github", "sketchfab", "smithsonian", "thingiverse"])
        table.append({
            "fileIdentifier": f"https://example.org/{source}/{uuid.UUID(int=rng.getrandbits(128)).hex}/é{i}.glb",
            "source": source,
            "license": rng.choice(kinds),
            "fileType": rng.choice(["glb", "obj", "stl"]),
            "sha256": f"{rng.getrandbits(256):064x}",
            "metadata": json.dumps({"a": i}) if i % 7 else None,
        })
    return table


def write(name, table, schema=None, **how):
    t = pa.Table.from_pylist(table, schema=schema)
    pq.write_table(t, os.path.join(out, name + ".parquet"), **how)
    with open(os.path.join(out, name + ".ndjson"), "w", encoding="utf-8") as f:
        for row in t.to_pylist():
            for k, v in row.items():
                if isinstance(v, bytes):
                    row[k] = v.decode("latin-1")
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


small = dict(data_page_size=600, write_batch_size=16, dictionary_pagesize_limit=700)
write("snappy", rows(120), compression="snappy", row_group_size=50, **small)
write("zstd_v2", rows(90), compression="zstd", data_page_version="2.0", row_group_size=40, **small)
write("snappy_v2", rows(60), compression="snappy", data_page_version="2.0", use_dictionary=["source", "license"], **small)
write("gzip", rows(60), compression="gzip", **small)
write("stored", rows(40), compression="none", use_dictionary=False, write_page_checksum=True, **small)
write("none", [], schema=pa.schema([(k, pa.string()) for k in rows(1)[0]]))
types = pa.schema([
    pa.field("i32", pa.int32(), nullable=False), pa.field("i64", pa.int64()), pa.field("f32", pa.float32()),
    pa.field("f64", pa.float64()), pa.field("yes", pa.bool_()), pa.field("four", pa.binary(4)),
    pa.field("list", pa.list_(pa.int32())), pa.field("pair", pa.struct([("i64", pa.int64())])),
    pa.field("nothing", pa.string()), pa.field("last", pa.string(), nullable=False)])
mixed = [{"i32": i - 50, "i64": (i - 50) * 2**40 if i % 5 else None, "f32": i / 8, "f64": i / 1024 if i % 3 else None,
          "yes": bool(i % 3) if i % 4 else None, "four": b"%04d" % (i % 9) if i % 6 else None, "list": list(range(i % 4)),
          "pair": {"i64": i}, "nothing": None, "last": f"row {i}"} for i in range(100)]
write("types", mixed, schema=types, compression="snappy", write_page_checksum=True, **small)
write("types_v2", mixed, schema=types, compression="zstd", data_page_version="2.0", **small)
write("refused_brotli", rows(5), compression="brotli")
write("refused_delta", rows(5), use_dictionary=False, column_encoding={"sha256": "DELTA_BYTE_ARRAY"})
