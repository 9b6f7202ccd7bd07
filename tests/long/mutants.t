#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Damaged files of every format through fetch, filter and render: no crash, no hang, nothing outside the workspace.
# MUTANTS = how many (10,000), MUTANT_SEED, MUTANT_DATA = a folder of folders of real objects besides our own.
. "$T3D_SOURCE/tests/lib.sh"

count=${MUTANTS:-10000} seed=${MUTANT_SEED:-1}
aid=$T3D_BUILD/aid
mkdir -p seeds/obj seeds/gltf seeds/ply seeds/plyb seeds/off seeds/stl seeds/stlb
t3d -C made fetch primitives --count 12 -q
i=0
for f in made/objects/*/*.glb; do
	i=$((i + 1))
	mkdir seeds/glb$i
	cp "$f" seeds/glb$i/a.glb
done
printf 'mtllib a.mtl\no x\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1 1 0.5 0\nvt 0 0\nvt 1 0\nvt 0 1\nvn 0 0 1\ng a b\nusemtl m\ns 1\nf 1/1/1 2/2/1 3/3/1\nusemtl n\nf -4/-3 -3/-2 -1/-1\nf 1 2 3 4\n' >seeds/obj/a.obj
printf 'newmtl m\nKd 0.8 0.1 0.2\nNs 20\nmap_Kd -s 2 2 t.png\nnewmtl n\nKa 1 1 1\nd 0.5\nillum 2\n' >seeds/obj/a.mtl
printf '%s' iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC | base64 -d >t.png
cp t.png seeds/obj
cp t.png seeds/gltf
printf '{"asset":{"version":"2.0"},"images":[{"uri":"t.png"}],"samplers":[{"wrapS":33071}],"textures":[{"source":0,"sampler":0}],"materials":[{"pbrMetallicRoughness":{"baseColorFactor":[1,0.5,0,0.5],"baseColorTexture":{"index":0}},"alphaMode":"BLEND"}],"buffers":[{"uri":"b.bin","byteLength":72}],"bufferViews":[{"buffer":0,"byteLength":72,"byteStride":12}],"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0],"sparse":{"count":1,"indices":{"bufferView":0,"componentType":5121},"values":{"bufferView":0,"byteOffset":36}}},{"bufferView":0,"componentType":5126,"count":3,"type":"VEC2"}],"meshes":[{"primitives":[{"attributes":{"POSITION":0,"TEXCOORD_0":1},"material":0,"targets":[{"POSITION":0}]}],"weights":[0.5]}],"skins":[{"joints":[0,1]}],"nodes":[{"mesh":0,"children":[1],"rotation":[0,0,0,1]},{"mesh":0,"skin":0,"matrix":[1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1]}],"scenes":[{"nodes":[0]}],"scene":0}' >seeds/gltf/a.gltf
{ for v in 0 0 0 1 0 0 0 1 0 0 0 1 0 1 0 1 0 0; do [ $v = 0 ] && printf '\0\0\0\0' || printf '\0\0\200\077'; done; } >seeds/gltf/b.bin
printf 'ply\nformat ascii 1.0\ncomment x\nelement vertex 4\nproperty float x\nproperty double y\nproperty int16 z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 2\nproperty list uint8 uint vertex_indices\nproperty list uchar float texcoord\nelement edge 1\nproperty char a\nend_header\n0 0 0 255 0 0\n1 0 0 0 255 0\n0 1 0 0 0 255\n0 0 1 9 9 9\n3 0 1 2 6 0 0 1 0 0 1\n4 0 1 2 3 0\n7\n' >seeds/ply/a.ply
{
	printf 'ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n'
	head -c 36 seeds/gltf/b.bin
	printf '\003\0\0\0\0\001\0\0\0\002\0\0\0'
} >seeds/plyb/a.ply
printf 'STCOFF\n4 2 0\n0 0 0 1 0 0 1 0 0\n1 0 0 0 1 0 1 1 0\n0 1 0 0 0 1 1 0 1\n0 0 1 1 1 1 1 1 1\n3 0 1 2\n4 0 1 2 3\n' >seeds/off/a.off
printf 'solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n' >seeds/stl/a.stl
{
	head -c 80 /dev/zero
	printf '\002\0\0\0'
	head -c 50 seeds/gltf/b.bin
	tail -c 50 seeds/gltf/b.bin
} >seeds/stlb/a.stl
for kind in zip 7z tar tar.gzip tar.xz; do
	mkdir seeds/$kind
	"$aid/pack" $kind "seeds/$kind/a.$(echo $kind | sed s/gzip/gz/)" d/a.obj=seeds/obj/a.obj d/a.mtl=seeds/obj/a.mtl d/t.png=t.png \
		b.stl=seeds/stlb/a.stl
done
if "$aid/convert" 3ds seeds/obj/a.obj a.3ds 2>/dev/null; then
	mkdir seeds/3ds seeds/dae seeds/fbx seeds/fbxb seeds/dae2
	mv a.3ds seeds/3ds
	"$aid/convert" collada seeds/obj/a.obj seeds/dae/a.dae
	"$aid/convert" fbxa seeds/obj/a.obj seeds/fbx/a.fbx
	cp "$T3D_SOURCE/tests/ref/other/zup.fbx" seeds/fbxb
	cp "$T3D_SOURCE/tests/ref/other/skin.dae" seeds/dae2
fi
: >canary
find . -path ./mutants -prune -o -path ./ws -prune -o -type f -print | grep -vE "^./(before|bad|own|log)$" | sort | xargs sha256sum >before

# run STAGE...: must end by itself, well or with failures told.
run() {
	name=$1
	shift
	timeout 600 t3d -C ws "$name" "$@" -q --progress none 2>>log
	status=$?
	case $status in
	0 | 3) ;;
	*)
		broken="$broken $name:$status"
		note "$name: exit $status: $(tail -3 log)"
		;;
	esac
}
broken='' at=0 some=1000 crashed=0
while [ $at -lt "$count" ]; do
	rm -rf mutants ws
	mkdir mutants
	# shellcheck disable=SC2046 # one word a folder
	"$aid/mutate" "$seed" $at $some mutants $(find seeds ${MUTANT_DATA:+"$MUTANT_DATA"} -mindepth 1 -maxdepth 1 -type d | LC_ALL=C sort)
	run fetch local mutants
	run filter --remove-broken-meshes
	run render --num-views 2 --resolution 16
	t3d -C ws manifest list | jq -r '. as $o | .stages | to_entries[] | select(.value.reason // "" | test("^parser-|sandbox|out-of-memory")) |
		[.key, .value.reason, ($o.source // ""), .value.message] | @tsv' >bad
	# What assimp's parsers and libarchive do is not ours: that the child is gone and the run goes on is what counts.
	grep -vE '\.(fbx|dae|3ds|zip|7z|tar|gz|xz)' bad >own
	crashed=$((crashed + $(grep -cE '\.(fbx|dae|3ds)' bad)))
	grep -E 'zip|7z|tar' bad | grep -v parser-memory >>own
	[ ! -s own ] || {
		broken="$broken parser"
		note "$(head -5 own)"
	}
	[ -z "$(t3d -C ws manifest check -q 2>&1)" ] || broken="$broken manifest"
	at=$((at + some))
done
is "$broken" '' "$count mutants through fetch, filter and render"
note "$crashed files of other formats have ended assimp's child"
find . -path ./mutants -prune -o -path ./ws -prune -o -type f -print | grep -vE '^./(before|bad|own|log)$' | sort | xargs sha256sum | cmp -s - before
ok $? 'nothing outside the workspace was touched'
done_testing
