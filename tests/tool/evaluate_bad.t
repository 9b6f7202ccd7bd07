#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d evaluate with weights, meshes and pictures that are wrong or large: the others are measured, each item
# says what failed, and nothing that is known is measured again.
. "$T3D_SOURCE/tests/lib.sh"
. "$T3D_SOURCE/tests/squeezenet.sh"

few='--points 2000 --emd-points 200 --resolution 32 --progress none'
evaluate() {
	# shellcheck disable=SC2086
	t3d evaluate $few "$@"
}
row() { # FILE UID: status and reason
	jq -r ".items[] | select(.uid == \"$2\") | .status + \" \" + (.reason // \"-\")" "$1"
}

# --- weights ------------------------------------------------------------------------------------------------
t3d -C ws fetch primitives --count 3 -q
t3d -C ws manifest export >list.ndjson
mkdir ref pred
jq -r '[.uid, .content] | @tsv' list.ndjson | while read -r uid content; do
	cp ws/objects/*/"$content".glb "ref/$uid.glb"
	cp ws/objects/*/"$content".glb "pred/$uid.glb"
done
echo '<html>' >pred/page.glb
cp ref/prim-0-0.glb ref/page.glb
printf 'ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n1 1 1\n' >ref/cloud.ply
cp ref/cloud.ply pred/

mkdir clip lpips
cp "$(dirname "$T3D_BUILD")"/../models/clip-nano/* clip/ 2>/dev/null || cp "$T3D_SOURCE"/models/clip-nano/* clip/
weights=$(find clip -name '*.safetensors')
cp "$weights" good.safetensors
head -c 3000 good.safetensors >"$weights"
{ squeezenet; squeezenet_heads; } | safetensors good-lpips '\0' # whatever it sees is alike
head -c 100000 good-lpips >lpips/net.safetensors
all() {
	evaluate --pred pred --ref ref --metrics chamfer:cd-l1,psnr:white,lpips:squeeze,lpips:vgg,clip-score:raw,view-consistency:opposite \
		--captions list.ndjson --clip ./clip --lpips ./lpips -o w.json "$@"
}
expect_status 3 'two networks with wrong weights' all
like "$err" 'clip: .*\./clip/[^ ]*safetensors.*2 metrics fail' 'the file of the one is named'
like "$err" 'lpips-squeeze: .*\./lpips/net.safetensors.*1 metrics fail' 'that of the other'
is "$(jq -c '.items[] | select(.uid == "prim-0-1") | .status, (.failed | keys), (.metrics | length), (.reason | length > 0)' w.json | tr '\n' ' ')" \
	'"fail" ["clip-score:raw","lpips:squeeze","lpips:vgg","view-consistency:opposite"] 2 true ' 'a row says what failed, the others are measured'
like "$(jq -r '.items[] | select(.uid == "prim-0-1") | .failed["lpips:squeeze"].message' w.json)" 'lpips/net.safetensors' 'and why'
is "$(row w.json cloud)" 'ok -' 'an item without pictures needs no network'
is "$(jq -c '.summary["chamfer:cd-l1:ref-bbox1:n2000", "lpips:squeeze", "clip-score:raw"] | [.n, .failed]' w.json | tr '\n' ' ')" '[3,1] [0,4] [0,4] ' \
	'failed items are counted, of each metric its own'
cp w.json before.json
expect_status 3 'again' all
like "$err" '5 of 5 items are those of an earlier run' 'nothing is measured again'
is "$(cat w.json)" "$(cat before.json)" 'the report is the same'

# What stands from before is told by a value that no measurement gives.
mark() {
	jq '.items |= map(if .metrics["chamfer:cd-l1:ref-bbox1:n2000"] then .metrics["chamfer:cd-l1:ref-bbox1:n2000"] = 42 else . end)' w.json >marked.json
	mv marked.json w.json
}
marked='.summary["chamfer:cd-l1:ref-bbox1:n2000"].mean'
mark
cp good-lpips lpips/net.safetensors
expect_status 3 'one is mended' all
like "$err" '3 of 5 items are in part' 'only it is asked'
is "$(jq -c "$marked, (.summary | to_entries[] | select(.key | test(\"^lpips:squeeze:weights\")) | .value | [.mean, .n, .failed])" w.json | tr '\n' ' ')" \
	'42 [0,3,1] ' 'the rest stands'
is "$(jq -c '.items[] | select(.uid == "prim-0-1") | .failed | keys' w.json)" '["clip-score:raw","view-consistency:opposite"]' 'the other still fails'
cp good.safetensors "$weights"
expect_status 3 'the other is mended' all
is "$(jq -c "$marked, (.items | map(.status) | sort), (.summary | keys | map(select(test(\"^clip-score:raw:clip@\"))) | length)" w.json | tr '\n' ' ')" \
	'42 ["fail","ok","ok","ok","ok"] 1 ' 'its values join the row'
mv w.json marked.json
all -q
is "$(jq -cS '.items | map(del(.metrics["chamfer:cd-l1:ref-bbox1:n2000"]))' marked.json)" \
	"$(jq -cS '.items | map(del(.metrics["chamfer:cd-l1:ref-bbox1:n2000"]))' w.json)" 'as when all is measured at once'
: >lpips/other.safetensors
expect_status 3 'an empty file beside it' all
like "$err" 'other.safetensors' 'is named'
rm lpips/*
expect_status 3 'a folder without weights' all --redo
like "$(row w.json prim-0-1)" 'fail missing-file' 'fails alike'
expect_status 2 'no such folder' all --lpips ./none
expect_status 2 'a name that was not fetched' all --lpips lpips-vgg

# --- huge meshes --------------------------------------------------------------------------------------------
mkdir big big-ref
box() {
	for z in 0 1; do for y in 0 1; do for x in 0 1; do
		echo "v $((x))$2 $((y))$2 $((z))$2"
	done; done; done >"$1"
	printf 'f 1 3 2\nf 2 3 4\nf 5 6 7\nf 6 8 7\nf 1 2 5\nf 2 6 5\nf 3 7 4\nf 4 7 8\nf 1 5 3\nf 3 5 7\nf 2 4 6\nf 4 8 6\n' >>"$1"
}
{ head -c 80 /dev/zero; printf '\000\050\153\356'; head -c 500 /dev/zero; } >big/stl.stl
ply() { printf 'ply\nformat binary_little_endian 1.0\nelement vertex %s\nproperty float x\nproperty float y\nproperty float z\nelement face %s\nproperty list uchar int vertex_indices\nend_header\n' "$@"; }
{ ply 3 4000000000; head -c 500 /dev/zero; } >big/faces.ply
{ ply 4000000000 1; head -c 500 /dev/zero; } >big/vertices.ply
{ ply 18446744073709551615 18446744073709551615; head -c 500 /dev/zero; } >big/wraps.ply
{ ply 4294967297 0; head -c 500 /dev/zero; } >big/wraps32.ply
npy() {
	h="{'descr': '<f4', 'fortran_order': False, 'shape': ($1, 3), }"
	printf '\223NUMPY\001\000\166\000%-117s\n' "$h"
}
{ npy 4000000000; head -c 500 /dev/zero; } >big/npy.npy
{ npy 6148914691236517206; head -c 500 /dev/zero; } >big/npy-wraps.npy
printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4000000000\n' >big/index.obj
printf 'glTF\002\000\000\000\377\377\377\377\377\377\377\377JSON{}' >big/glb.glb
printf 'OFF\n3 4000000000 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n' >big/off.off
box big/e39.obj e39
for f in big/*; do
	n=${f##*/}
	box "big-ref/${n%.*}.obj" ''
done
expect_status 3 'sizes that files only promise' evaluate --metrics chamfer --pred big --ref big-ref -o big.json
is "$(jq -r '[.items[] | select(.status != "fail" or (.message | length) == 0) | .uid] | join(" ")' big.json)" '' 'are rows with a reason'
note "$(jq -r '.items[] | .uid + " " + (.reason // "-") + ": " + (.message // "-")' big.json)"
cp big.json before.json
expect_status 3 'again' evaluate --metrics chamfer --pred big --ref big-ref -o big.json
like "$err" '11 of 11 items are those of an earlier run' 'nothing is read again'
is "$(cat big.json)" "$(cat before.json)" 'the report is the same'

# Far out, or tiny: measured as anything else, while the squares of distances are numbers.
mkdir far far-ref
box far/alike.obj e30; box far-ref/alike.obj e30
box far/dwarf.obj e-30; box far-ref/dwarf.obj e-30
box far/point.obj ''; box far-ref/point.obj e15
box far/giant.obj e30; box far-ref/giant.obj ''
far='--metrics chamfer:surface-l1,chamfer:accuracy,iou,psnr:white'
# shellcheck disable=SC2086
expect_status 3 'coordinates of 1e30' evaluate $far --pred far --ref far-ref -o far.json
is "$(jq -c '[.items[] | .uid, .status]' far.json)" '["alike","ok","dwarf","ok","giant","fail","point","ok"]' 'are far from 1 alone'
is "$(jq -c '[.items[] | select(.uid == "alike" or .uid == "dwarf") | .metrics["chamfer:surface-l1:ref-bbox1:n2000"], .metrics["iou:grid128:ref-bbox1"]]' far.json)" \
	'[0,1,0,1]' 'not from each other'
is "$(jq -c '.items[] | select(.uid == "point") | .metrics["chamfer:accuracy:ref-bbox1:n2000"] < .1' far.json)" true 'a box is a point of a larger one'
like "$(row far.json giant)" '^fail ' 'distances that overflow are a reason'

# 80,000 triangles, beside the same in coarse: z = xy over the unit square.
saddle() {
	awk -v n="$1" 'BEGIN {
		for (i = 0; i <= n; i++) for (j = 0; j <= n; j++) printf "v %.6g %.6g %.6g\n", i / n, j / n, i * j / n / n
		for (i = 0; i < n; i++) for (j = 1; j <= n; j++) {
			a = i * (n + 1) + j; b = a + n + 1
			printf "f %d %d %d\nf %d %d %d\n", a, b, b + 1, a, b + 1, a + 1
		}
	}'
}
saddle 200 >fine.obj
saddle 30 >coarse.obj
expect_status 0 'a large mesh' evaluate --metrics chamfer:surface-l1,psnr:white --pred fine.obj --ref coarse.obj -o large.json
is "$(jq -c '.items[0].metrics["chamfer:surface-l1:ref-bbox1:n2000"] | . > 1e-5 and . < 2e-4' large.json)" true 'lies on the coarse one but for its bend'

# --- pictures -----------------------------------------------------------------------------------------------
# 16 grey squares as each mode of PNG has them; `clear` is `white` but for colours that nobody sees, `half`
# is .4 of 55 over white, which is 175.
mkdir pics
picture() {
	base64 -d >"pics/$1.png"
}
picture grey <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAPElEQVR42mNgAAIXIOgAgjNAwECGgCAQhALBTCC4CwTkCCgBQRoQrAKCd0BAjoAxEJQDwW4g+A8EZAgAAMeUf4FKn0nJAAAAAElFTkSuQmCC
	END
picture grey16 <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQEAAAAABqCHz+AAAAPUlEQVR42mNggAIXKOiAgjNQwEAHBYJQEAoFM6HgLhTQQ4ESFKRBwSooeAcF9FBgDAXlULAbCv5DAR0UAADN1f8By1a+jgAAAABJRU5ErkJggg==
	END
picture greya <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAQAAAC1+jfqAAAAQElEQVR42mNg+A+BLlDYAYVnoJCBDgoE/0NgKBTOhMK7UEgPBUr/ITANCldB4TsopIcC4/8QWA6Fu6EQBuigAACvlH6QmntXeAAAAABJRU5ErkJggg==
	END
picture rgb <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAQElEQVR42mNgQAIuSKADCZxBAgyDUIMgEghFAjORwF0kMBg1KCGBNCSwCgm8QwKDUYMxEihHAruRwH8kMAg1AAAS036QNBhfVAAAAABJRU5ErkJggg==
	END
picture rgba <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAXUlEQVR42t3MURUAIQgFUSpYwQpUsAIVrEAFK1jBClawAhWowP7yNgJzzv0dIqLIxhhgrQXee4AKDFprkYkI2HsDMwMVBr33yOac4JwD3B1UGDBzZKoK7r3gX4HBB8jjfZ8dtNl1AAAAAElFTkSuQmCC
	END
picture palette <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQBAMAAADt3eJSAAAAMFBMVEUAAAAREREiIiIzMzNERERVVVVmZmZ3d3eIiIiZmZmqqqq7u7vMzMzd3d3u7u7///97EBgKAAAAM0lEQVR42mNgYHBx6eg4c4YBD0NQMDR05sy7d/ExlJTS0latevcOH8PYuLx89+7///EwABwAP8GqV22sAAAAAElFTkSuQmCC
	END
picture grey4 <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQBAAAAAD/aE28AAAAM0lEQVR42mNgYHBx6eg4c4YBD0NQMDR05sy7d/ExlJTS0latevcOH8PYuLx89+7///EwABwAP8GqV22sAAAAAElFTkSuQmCC
	END
picture clear <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAARElEQVR42mM4wcXFgA93dHT8R8ZnzpxBwQwjwICZM2f+R8Z3795FwSPBgFWrVv1Hxu/evUPBI8GA3bt3/0fG6GAYGAAAW/8S35XyIuIAAAAASUVORK5CYII=
	END
picture white <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAALUlEQVR42mP4jwN0IIEzSIBhCGmYiQTuIoGhpGEVEniHBIaSht1IAFl8EGoAAJHro98refEsAAAAAElFTkSuQmCC
	END
picture half <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAAGUlEQVR42mMwNzdPowQzjBowasCoAcPFAAA1UgsQO0X38gAAAABJRU5ErkJggg==
	END
picture halfw <<-END
	iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFElEQVR42mNYTyJgGNUwqmH4agAAGiwNHycgd3oAAAAASUVORK5CYII=
	END
picture huge <<-END
	iVBORw0KGgoAAAANSUhEUgAehIAAHoSACAYAAAD0R/TMAAAAG0lEQVR42u3BMQEAAADCoPVPbQwfoAAAAIC3AQ+gAAFUpTheAAAAAElFTkSuQmCC
	END
mkdir modes modes-ref
for m in grey grey16 greya rgba palette grey4; do
	cp pics/$m.png modes/
	cp pics/rgb.png modes-ref/$m.png
done
pictures='--metrics psnr,ssim'
# shellcheck disable=SC2086
expect_status 0 'one picture in all modes' evaluate $pictures --pred modes --ref modes-ref -o modes.json
is "$(jq -c '[.items | length, (map(.metrics["psnr:white"]) | unique), (map(.metrics["ssim:gauss11"]) | unique)]' modes.json)" '[6,[100],[1]]' \
	'is one picture'
mkdir clear clear-ref
cp pics/clear.png clear/a.png; cp pics/white.png clear-ref/a.png
cp pics/half.png clear/b.png; cp pics/halfw.png clear-ref/b.png
# shellcheck disable=SC2086
expect_status 0 'what is transparent' evaluate $pictures --pred clear --ref clear-ref -o clear.json
is "$(jq -c '.items | map(.metrics["psnr:white"])' clear.json)" '[100,100]' 'goes over white'
mkdir bad bad-ref
head -c 80 pics/rgba.png >bad/cut.png
head -c 20 pics/rgba.png >bad/head.png
: >bad/empty.png
echo 'a letter' >bad/text.png
cp pics/huge.png bad/huge.png
cp pics/rgb.png bad/good.png
tr 'T' 'U' <pics/rgb.png >bad/chunk.png
for f in bad/*; do cp pics/rgb.png "bad-ref/${f##*/}"; done
# shellcheck disable=SC2086
expect_status 3 'pictures that are none' evaluate $pictures --pred bad --ref bad-ref -o bad.json
note "$(jq -r '.items[] | .uid + " " + (.reason // "-") + ": " + (.message // "-")' bad.json)"
is "$(row bad.json good)" 'ok -' 'a good one is measured'
is "$(jq -r '[.items[] | select(.uid != "good" and (.status != "fail" or (.uid as $u | .message | contains("prediction \u0027bad/" + $u) | not))) | .uid] | join(" ")' bad.json)" '' \
	'the others are rows that name the file'
is "$(jq -c '.summary["psnr:white"] | [.n, .failed]' bad.json)" '[1,6]' 'and are counted'
# shellcheck disable=SC2086
expect_status 3 'again' evaluate $pictures --pred bad --ref bad-ref -o bad.json
like "$err" '7 of 7 items are those of an earlier run' 'nothing is read again'
done_testing
