# SPDX-License-Identifier: Apache-2.0
"""fetch_threads.py LIST DIR THREADS: how img2dataset fetches (urllib in a pool of threads, each body whole in
memory, SHA-256, a tar of 10,000 samples), without its decoding of pictures. Prints one JSON line."""
import hashlib
import io
import json
import sys
import tarfile
import time
import urllib.request
from multiprocessing.pool import ThreadPool

urls = open(sys.argv[1], encoding="utf-8").read().split()


def get(item):
    i, url = item
    request = urllib.request.Request(url, headers={"User-Agent": "fetch_threads"})
    with urllib.request.urlopen(request, timeout=10) as r:
        data = r.read()
    return i, data, hashlib.sha256(data).hexdigest()


begin = time.time()
total = 0
with ThreadPool(int(sys.argv[3])) as pool, tarfile.open(sys.argv[2] + "/00000.tar", "w") as tar:
    for i, data, digest in pool.imap_unordered(get, enumerate(urls)):
        total += len(data)
        for name, body in ((f"{i:09d}.stl", data), (f"{i:09d}.json", json.dumps({"sha256": digest}).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
seconds = time.time() - begin
print(json.dumps({"bench": "fetch-python", "objects": len(urls), "seconds": seconds, "rate": len(urls) / seconds,
                  "mb_per_s": total / 1e6 / seconds}))
