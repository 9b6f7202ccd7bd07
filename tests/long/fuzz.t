#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every libFuzzer target for FUZZ_SECONDS, starting from files that our own tools write.
. "$T3D_SOURCE/tests/lib.sh"

seconds=${FUZZ_SECONDS:-10}
seeds=$PWD/seeds
mkdir -p "$seeds" work
t3d -C work fetch primitives --count 8 -q
cp work/objects/*/*.glb "$seeds"
printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvn 0 0 1\nmtllib a.mtl\nusemtl m\nf 1/1/1 2/1/1 -1/1/1\n' >"$seeds/a.obj"
printf 'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n' >"$seeds/a.off"
printf 'solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n' >"$seeds/a.stl"
printf 'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n' >"$seeds/a.ply"
"$T3D_BUILD/aid/pack" zip "$seeds/a.zip" deflate:d/a.obj="$seeds/a.obj" b.stl="$seeds/a.stl" link:l.obj=x
"$T3D_BUILD/aid/pack" tar "$seeds/a.tar" d/a.obj="$seeds/a.obj" sparse:s.obj=100000
"$T3D_BUILD/aid/pack" 7z "$seeds/a.7z" d/a.obj="$seeds/a.obj"
printf 'url\tsha256\tcaption\nhttp://a/b.zip#c/%%41.obj\t\tx\n' >"$seeds/a.tsv"
printf '{"url":"http://a/b.glb","captions":["x","y"],"size":3}\n' >"$seeds/a.ndjson"
tokens=$T3D_SOURCE/tests/ref/tokens
{ printf '\001'; cat "$tokens/clip/merges.txt"; } >"$seeds/tokenizer.1"
{ printf '\002'; cat "$tokens/clip/vocab.json"; printf '\377'; cat "$tokens/clip/merges.txt"; } >"$seeds/tokenizer.2"
{ printf '\003'; cat "$tokens/unigram_bytes/tokenizer.json"; } >"$seeds/tokenizer.3"
{ printf '\004'; head -c 20000 "$tokens/unigram/spiece.model"; } >"$seeds/tokenizer.4"
cp "$T3D_SOURCE"/tests/ref/parquet/*.parquet "$seeds"
printf '{"url":"http://a/b.glb","size":3,"captions":["x"]}\n{"uid":1}\nno\n' >"$seeds/list.ndjson"
"$T3D_BUILD/aid/pack" zip "$seeds/a.zip" "deflate:a.obj=$seeds/a.obj" "zip64:b/c.off=$seeds/a.off"
printf 'url\tsha256\tuid\nhttp://a/b.glb\t12\tx\n' >"$seeds/list.tsv"
printf '{"a":{"license":"by","archives":{"glb":{"size":7}}},"b":"glbs/0/x.glb"}' >"$seeds/members.json"
cp "$tokens/clip/cases_open_clip.ndjson" "$seeds/texts"
{
	printf '{"family":"clip","layout":"transformers","weights_sha256":"a","tokenizer_sha256":"b","token_width":3}\377'
	printf '{"row":0,"n":3,"uid":"x","caption":"a cube"}\n{"row":3,"n":2,"uid":"y","caption":"a cone"}\n'
} >"$seeds/conditioning"
cp "$T3D_SOURCE/models/generator-nano/config.json" "$seeds/config.json"
cd "$T3D_SOURCE" || exit 1
expect_status 0 'build' make -s -j2 CC=clang-14 config=fuzz fuzzers
for f in build/fuzz/fuzz/*; do
	[ -x "$f" ] && [ -f "$f" ] || continue
	# Bugs of assimp itself would end it, which is what its sandbox is for: that target is run by hand.
	[ "${f##*/}" != other ] || continue
	corpus=$(mktemp -d)
	expect_status 0 "$f" sh -c "ASAN_OPTIONS=detect_leaks=0 '$f' -max_total_time=$seconds -timeout=20 -rss_limit_mb=4096 \
		-artifact_prefix='$corpus/' -verbosity=0 '$corpus' '$seeds' 2>'$corpus/log' || { tail -30 '$corpus/log' >&2; exit 1; }"
	rm -rf "$corpus"
done
rm -f out err # of expect_status, here in the source tree
done_testing
