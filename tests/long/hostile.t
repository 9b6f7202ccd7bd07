#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Meshes made to hurt: each is a reason, soon, without a crash and without memory for what it claims.
. "$T3D_SOURCE/tests/lib.sh"

mkdir in
# le32 NUMBER...: in the byte order of files
le32() {
	for n in "$@"; do
		# shellcheck disable=SC2059 # the format is the bytes
		printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255)))"
	done
}
# glb NAME JSON [BIN-FILE]
glb() {
	json=$2
	while [ $((${#json} % 4)) -ne 0 ]; do json="$json "; done
	bin=0
	[ $# -lt 3 ] || bin=$((8 + $(wc -c <"$3")))
	{
		printf glTF
		le32 2 $((20 + ${#json} + bin)) ${#json}
		printf 'JSON%s' "$json"
		[ $bin -eq 0 ] || { le32 $((bin - 8)); printf 'BIN\000'; cat "$3"; }
	} >"in/$1.glb"
}
head -c 120 /dev/zero >bin
views='"buffers":[{"byteLength":120}],"bufferViews":[{"buffer":0,"byteLength":120}]'
# mesh ACCESSORS PRIMITIVE: the JSON of one mesh
mesh() {
	printf '{"asset":{"version":"2.0"},%s,"accessors":[%s],"meshes":[{"primitives":[%s]}],"nodes":[{"mesh":0}],"scenes":[{"nodes":[0]}],"scene":0}' \
		"$views" "$1" "$2"
}
pos='{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3"}'
glb indices "$(mesh "$pos,{\"bufferView\":0,\"byteOffset\":36,\"componentType\":5125,\"count\":3,\"type\":\"SCALAR\"}" '{"attributes":{"POSITION":0},"indices":1}')" bin
# indices of 4,294,967,295
{ head -c 36 /dev/zero; le32 4294967295 4294967295 4294967295; head -c 72 /dev/zero; } >bin2
glb wild-indices "$(mesh "$pos,{\"bufferView\":0,\"byteOffset\":36,\"componentType\":5125,\"count\":3,\"type\":\"SCALAR\"}" '{"attributes":{"POSITION":0},"indices":1}')" bin2
for count in 11 2147483648 4294967295 4294967296 9007199254740993 1e300 -3 3.5; do
	glb "count$count" "$(mesh "{\"bufferView\":0,\"componentType\":5126,\"count\":$count,\"type\":\"VEC3\"}" '{"attributes":{"POSITION":0}}')" bin
done
for offset in 100 4294967292 18446744073709551612 -4; do
	glb "offset$offset" "$(mesh "{\"bufferView\":0,\"byteOffset\":$offset,\"componentType\":5126,\"count\":3,\"type\":\"VEC3\"}" '{"attributes":{"POSITION":0}}')" bin
done
glb zeros "$(mesh '{"componentType":5126,"count":60000000,"type":"VEC3"},{"componentType":5125,"count":2000000000,"type":"SCALAR"}' '{"attributes":{"POSITION":0},"indices":1}')" bin
one=$views
for stride in 0 1 3 252 253 4294967295 2147483647; do
	views='"buffers":[{"byteLength":120}],"bufferViews":[{"buffer":0,"byteLength":120,"byteStride":'$stride'}]'
	glb "stride$stride" "$(mesh "$pos" '{"attributes":{"POSITION":0}}')" bin
done
for length in 121 4294967295 18446744073709551615; do
	views='"buffers":[{"byteLength":120}],"bufferViews":[{"buffer":0,"byteOffset":8,"byteLength":'$length'}]'
	glb "view$length" "$(mesh "$pos" '{"attributes":{"POSITION":0}}')" bin
done
views=$one
for sparse in 4 4294967295; do
	glb "sparse$sparse" "$(mesh "{\"bufferView\":0,\"componentType\":5126,\"count\":3,\"type\":\"VEC3\",\"sparse\":{\"count\":$sparse,\"indices\":{\"bufferView\":0,\"componentType\":5125},\"values\":{\"bufferView\":0}}}" '{"attributes":{"POSITION":0}}')" bin
done
glb cycle '{"asset":{"version":"2.0"},"nodes":[{"children":[1]},{"children":[0]}],"scenes":[{"nodes":[0]}],"scene":0}'
glb self '{"asset":{"version":"2.0"},"nodes":[{"children":[0]}],"scenes":[{"nodes":[0]}],"scene":0}'
glb diamond '{"asset":{"version":"2.0"},"nodes":[{"children":[1,1]},{"children":[2,2]},{"children":[3,3]},{}],"scenes":[{"nodes":[0,0]}],"scene":0}'
# a chain of 100,000 nodes, and a scene that shows one mesh 10,000,000 times
awk 'BEGIN { printf "{\"asset\":{\"version\":\"2.0\"},\"nodes\":["; for (i = 1; i < 100000; i++) printf "{\"children\":[%d]},", i; print "{}],\"scenes\":[{\"nodes\":[0]}],\"scene\":0}" }' >in/chain.gltf
awk -v d=100000 'BEGIN { for (i = 0; i < d; i++) printf "["; }' >in/deep.gltf
awk -v d=100000 'BEGIN { printf "{\"asset\":"; for (i = 0; i < d; i++) printf "{\"a\":"; }' >in/deeper.gltf
awk 'BEGIN { printf "{\"asset\":{\"version\":\"2.0\"},\"extras\":["; for (i = 0; i < 3000000; i++) printf "0,"; print "0]}" }' >in/wide.gltf
# a PNG that claims 65,535 x 65,535, inside and beside
{
	printf '\211PNG\r\n\032\n\000\000\000\rIHDR\000\000\377\377\000\000\377\377\010\006\000\000\000'
	printf '\000\000\000\000\000\000\000\000IDAT\000\000\000\000'
} >in/huge.png
printf '{"asset":{"version":"2.0"},"images":[{"uri":"huge.png"}],"textures":[{"source":0}],"materials":[{"pbrMetallicRoughness":{"baseColorTexture":{"index":0}}}],%s,"accessors":[%s],"meshes":[{"primitives":[{"attributes":{"POSITION":0},"material":0}]}],"nodes":[{"mesh":0}],"scenes":[{"nodes":[0]}],"scene":0}' \
	'"buffers":[{"uri":"b.bin","byteLength":120}],"bufferViews":[{"buffer":0,"byteLength":120}]' "$pos" >in/picture.gltf
{ le32 0 0 0 1065353216 0 0 0 1065353216 0; head -c 84 /dev/zero; } >in/b.bin
# OBJ: indices of 10^9, of -10^9, beyond 64 bits; faces of a million corners; names of a megabyte
printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 1000000000\nf -1000000000 2 3\nf 99999999999999999999 1 2\nf 1/1000000000/1000000000 2 3\n' >in/indices.obj
awk 'BEGIN { print "v 0 0 0\nv 1 0 0\nv 0 1 0"; printf "f"; for (i = 0; i < 1000000; i++) printf " %d", i % 3 + 1; print "" }' >in/corners.obj
{ printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl '; head -c 1000000 /dev/zero | tr '\0' x; printf '\nf 1 2 3\n'; } >in/name.obj
awk 'BEGIN { for (i = 0; i < 300000; i++) print "mtllib x" i ".mtl"; print "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3" }' >in/libraries.obj
# STL: counts that are not so
{ head -c 80 /dev/zero; le32 4294967295; head -c 50 /dev/zero; } >in/count.stl
{ head -c 80 /dev/zero; le32 2; head -c 50 /dev/zero; } >in/short.stl
# PLY: every type for a coordinate, counts, lists
for type in char uchar short ushort int uint float double int8 uint8 int16 uint16 int32 uint32 float32 float64; do
	printf 'ply\nformat ascii 1.0\nelement vertex 3\nproperty %s x\nproperty %s y\nproperty %s z\nelement face 1\nproperty list %s int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n' $type $type $type $type >in/type-$type.ply
done
for n in 4294967295 2147483648 99999999999999999999 -1; do
	printf 'ply\nformat binary_little_endian 1.0\nelement vertex %s\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n' $n >in/vertices$n.ply
	printf 'ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uint int vertex_indices\nend_header\n000000000000\377\377\377\377' >in/list$n.ply
	echo "$n" >>in/list$n.ply
done
printf 'OFF\n4294967295 4294967295 0\n0 0 0\n' >in/counts.off
printf 'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n2000000000 0 1 2\n' >in/polygon.off
# FBX: arrays and nodes that claim to be huge, deflate that blows up
{ printf 'Kaydara FBX Binary  \000\032\000'; le32 7400 4294967295 1 4294967295; printf '\004Node'; head -c 100 /dev/zero; } >in/node.fbx
{ printf 'Kaydara FBX Binary  \000\032\000'; le32 7400 90 1 20; printf '\004Noded'; le32 536870911 1 8; printf 'x\234c\000\000\000\000\000'; head -c 100 /dev/zero; } >in/array.fbx
printf '; FBX 7.3.0 project file\nFBXHeaderExtension:  {\n' >in/open.fbx
awk 'BEGIN { print "; FBX 7.3.0 project file\nFBXHeaderExtension:  {"; for (i = 0; i < 200000; i++) print "A: {" }' >in/deep.fbx
awk 'BEGIN { print "<?xml version=\"1.0\"?>\n<COLLADA version=\"1.4.1\">"; for (i = 0; i < 200000; i++) printf "<node>" }' >in/deep.dae
printf '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>\n<COLLADA version="1.4.1"><asset>&b;&c;</asset></COLLADA>\n' >in/entities.dae
{ printf 'MM\377\377\377\177==\377\377\377\177\000\100\377\377\377\177a\000\000\101\377\377\377\177\020\101\377\377\377\177\377\377'; head -c 64 /dev/zero; } >in/chunks.3ds

n=$(find in -type f ! -name '*.png' ! -name '*.bin' | wc -l)
start=$(date +%s)
expect_status 3 "fetch of $n hostile files" t3d -C ws fetch local in
expect_status 3 'filter' t3d -C ws filter --remove-broken-meshes
t3d -C ws render -q --num-views 1 --resolution 16 >out 2>err
status=$?
like "$status" '^[03]$' 'render'
seconds=$(($(date +%s) - start))
t3d -C ws manifest list | jq -r '[.source, .stages.fetch.state, .stages.fetch.reason // "", .stages.filter.state // "", .stages.filter.reason // ""] | @tsv' >list
is "$(grep -E 'parser-|sandbox|out-of-memory' list | grep -vE '^[a-z]*\.(fbx|dae|3ds)')" '' 'no reader of ours was stopped or died'
ok $((seconds > 100)) "all in $seconds s"
is "$(wc -l <list)" "$n" 'each has a row'
is "$(awk -F'\t' '$2 != "ok" && $3 == "" || $4 != "" && $4 != "ok" && $5 == ""' list)" '' 'and each failure a reason'
good() {
	awk -F'\t' -v f="$1" '$1 == f { print $4 }' list
}
for f in $(cd in && ls type-*.ply) picture.gltf; do
	is "$(good $f)" ok "$f is a mesh all the same"
done
for f in wild-indices.glb count2147483648.glb count4294967296.glb offset4294967292.glb stride4294967295.glb view18446744073709551615.glb sparse4294967295.glb \
	cycle.glb deep.gltf count.stl counts.off polygon.off vertices4294967295.ply; do
	unlike "$(good $f)" '^ok$' "$f is none"
done
is "$(grep -rl root: ws/objects 2>/dev/null)" '' 'nothing of the system was read'
done_testing
