#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Formats that assimp reads: what fetch and filter make of FBX, COLLADA, 3DS and 3MF, in the sandbox.
. "$T3D_SOURCE/tests/lib.sh"

convert() {
	"$T3D_BUILD/aid/convert" "$@"
	case $? in
	0) ;;
	77) skip_all 'there is no assimp' ;;
	*) echo "convert $* failed" ;;
	esac
}
# m PATH MEMBERS: measures of the object, rounded to 1/1000.
m() {
	t3d -C ws manifest list | jq -c --arg p "$1" "select(.source == \$p) | .measures | [$2] | walk(
		if type == \"number\" then (. * 1000 | round) / 1000 else . end)"
}
mkdir in
cat >box.obj <<'X'
mtllib box.mtl
v -1 -2 -3
v 1 -2 -3
v 1 2 -3
v -1 2 -3
v -1 -2 3
v 1 -2 3
v 1 2 3
v -1 2 3
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl red
f 1/1 4/2 3/3 2/4
f 5/1 6/2 7/3 8/4
f 1/1 2/2 6/3 5/4
usemtl blue
f 3/1 4/2 8/3 7/4
f 1/1 5/2 8/3 4/4
f 2/1 3/2 7/3 6/4
X
printf 'newmtl red\nKd 0.8 0.1 0.05\nmap_Kd t.png\nnewmtl blue\nKd 0.1 0.2 0.9\n' >box.mtl
# 1 x 1 pixel
printf '%s' iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC | base64 -d >in/t.png
convert fbxa box.obj in/ascii.fbx
convert collada box.obj in/box.dae
convert 3ds box.obj in/box.3ds
sed 's/<up_axis>Y_UP/<up_axis>Z_UP/' in/box.dae >in/z_up.dae
sed 's/<unit [^>]*>/<unit name="inch" meter="0.0254"\/>/' in/box.dae >in/inch.dae
sed '/"UpAxis"/s/1$/2/; /"FrontAxis"/s/2$/1/; /"FrontAxisSign"/s/1$/-1/' in/ascii.fbx >in/z_up.fbx
cp "$T3D_SOURCE"/tests/ref/other/* in
mkdir -p 3mf/3D
cat >3mf/3D/3dmodel.model <<'X'
<?xml version="1.0" encoding="UTF-8"?>
<model unit="millimeter" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">
<resources><object id="2" type="model"><mesh><vertices>
<vertex x="0" y="0" z="0"/><vertex x="1" y="0" z="0"/><vertex x="0" y="2" z="0"/><vertex x="0" y="0" z="3"/></vertices>
<triangles><triangle v1="0" v2="2" v3="1"/><triangle v1="0" v2="1" v3="3"/><triangle v1="1" v2="2" v3="3"/>
<triangle v1="0" v2="3" v3="2"/></triangles></mesh></object></resources><build><item objectid="2"/></build></model>
X
cat >3mf/rels <<'X'
<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Target="/3D/3dmodel.model"
Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>
X
printf '<?xml version="1.0"?><Types/>' >3mf/types
"$T3D_BUILD/aid/pack" zip in/tetra.3mf '[Content_Types].xml=3mf/types' _rels/.rels=3mf/rels 3D/3dmodel.model=3mf/3D/3dmodel.model
expect_status 0 'fetch' t3d -C ws fetch local in
expect_status 0 'filter' t3d -C ws filter

box='.triangles, .bbox_min, .bbox_max, .volume'
is "$(m ascii.fbx "$box")" '[12,[-1,-2,-3],[1,2,3],48]' 'an FBX file'
is "$(m box.dae "$box")" '[12,[-1,-2,-3],[1,2,3],48]' 'a COLLADA file'
is "$(m box.3ds "$box")" '[12,[-1,-3,-2],[1,3,2],48]' '3DS has Z up'
is "$(m z_up.dae "$box")" '[12,[-1,-3,-2],[1,3,2],48]' 'COLLADA with Z up is turned'
is "$(m z_up.fbx "$box")" '[12,[-1,-3,-2],[1,3,2],48]' 'FBX with Z up is turned'
is "$(m inch.dae "$box")" '[12,[-0.025,-0.051,-0.076],[0.025,0.051,0.076],0.001]' 'the unit of COLLADA counts'
is "$(m tetra.3mf "$box")" '[4,[0,0,-2],[1,3,0],1]' 'a 3MF file'
for f in ascii.fbx box.dae box.3ds; do
	is "$(m $f '.images, .missing_textures, .base_width, .has_uv')" '[1,0,1,true]' "$f has its picture"
done
# the cone: 16 / 2 sin(22.5 deg) * 2 / 3
volume=$(awk 'BEGIN { print int(1e3 * (48 + 16 / 3 * sin(3.14159265 / 8)) + .5) / 1e3 }')
is "$(m zup.fbx '.triangles, ([.bbox_min, .bbox_max] | map(map(. / 100))), (.volume / 1e6)')" \
	"[42,[[-1,-3,-2],[1.5,6,2]],$volume]" 'binary FBX in centimetres with Z up'
is "$(m zup.fbx '.missing_textures')" '[1]' 'its picture, which is not there, is missed'
is "$(m skin.dae '.bbox_min, .bbox_max, .n_skins')" '[[-1,0,-1],[1,4,1],1]' 'a skin in rest pose (COLLADA)'
is "$(m skin.fbx '([.bbox_min, .bbox_max] | map(map(. / 100 | round | if . == 0 then 0 else . end))), .n_skins')" '[[[-1,0,-1],[1,4,1]],1]' 'and FBX'
expect_status 0 'they are drawn' t3d -C ws render --num-views 2 --resolution 32

# --- what is no such file ----------------------------------------------------------------------------------
mkdir bad
printf 'text' >bad/text.fbx
head -c 3000 in/ascii.fbx >bad/cut.fbx
head -c 9000 "$T3D_SOURCE/tests/ref/other/zup.fbx" >bad/binary.fbx
head -c 2000 in/box.dae >bad/cut.dae
head -c 300 in/box.3ds >bad/cut.3ds
printf 'PK\003\004 no zip' >bad/no.3mf
printf 'solid' >bad/mesh.mdl
printf '<COLLADA/>' >bad/empty.dae
expect_status 0 'fetch takes broken files, as of other formats' t3d -C broken fetch local bad
expect_status 3 'filter says' t3d -C broken filter --remove-broken-meshes
is "$(t3d -C broken manifest list | jq -r '.stages.filter.state' | sort -u | grep -c ok)" 0 'that none of them is good'
unlike "$(t3d -C broken manifest list | jq -r '.stages.filter.reason')" 'parser-crashed' 'and no parser died'
cp in/box.dae in/other.fbx
expect_status 0 'a file whose ending is wrong' t3d -C wrong fetch local in/other.fbx
t3d -C wrong filter -q
is "$(t3d -C wrong manifest list | jq -r '.measures.format')" dae 'is read as what it is'
done_testing
