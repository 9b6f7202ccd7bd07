#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d evaluate: pairs by name, rows for what is wrong, resuming, comparing.
. "$T3D_SOURCE/tests/lib.sh"

few='--points 2000 --emd-points 200 --resolution 64 --progress none'
evaluate() {
	# shellcheck disable=SC2086
	t3d evaluate $few "$@"
}
value() { # file filter
	jq -r "$2" "$1"
}

# Boxes: NAME, shift.
box() {
	{
		for z in 0 1; do for y in 0 1; do for x in 0 1; do
			echo "v $(echo "$x + $2" | bc) $y $z"
		done; done; done
		printf 'f 1 3 2\nf 2 3 4\nf 5 6 7\nf 6 8 7\nf 1 2 5\nf 2 6 5\nf 3 7 4\nf 4 7 8\nf 1 5 3\nf 3 5 7\nf 2 4 6\nf 4 8 6\n'
	} >"$1"
}
mkdir -p ref/sub pred/sub worse/sub
for i in 1 2 3 4 5 6 7 8; do
	box ref/b$i.obj 0
	box pred/b$i.obj 0.0$i
	box worse/b$i.obj 0.$i
done
box ref/sub/c.obj 0
cp ref/sub/c.obj pred/sub/c.obj

expect_status 0 'two files' evaluate --pred pred/b5.obj --ref ref/b5.obj -o one.json
is "$(value one.json '.items | map(.uid) | join(" ")')" b5 'one item, named after the file'
is "$(value one.json '.items[0].metrics["iou:grid128:ref-bbox1"] | . > 0.89 and . < 0.92')" true 'a shift of .05: IoU .905'
is "$(value one.json '.schema, .tool, .complete' | tr '\n' ' ')" '1 evaluate true ' 'the report says what it is'
is "$(value one.json '.summary["chamfer:cd-sq-sum:ref-bbox1:n2000"].target')" n/a 'a target belongs to one name'
is "$(value one.json '.summary["lpips:vgg"] | .mean, .pass, (.reason | length > 0)' | tr '\n' ' ')" 'null n/a true ' \
	'a metric without weights is n/a with the reason'
like "$err" 'floor' 'the noise floor stands beside the value'

# --- folders, and what can be wrong -------------------------------------------------------------------------
: >pred/empty.obj; box ref/empty.obj 0
printf 'v 0 0 0\nv 1 0 0\nv 0 1 nan\nf 1 2 3\n' >pred/nan.obj; box ref/nan.obj 0
printf 'v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n' >pred/flat.obj; box ref/flat.obj 0
printf 'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n' >pred/open.obj; box ref/open.obj 0
box ref/lonely.obj 0
box pred/extra.obj 0
box ref/twice.obj 0; box pred/twice.obj 0; cp pred/twice.obj pred/twice.OBJ
echo '<html>' >pred/page.obj; box ref/page.obj 0
expect_status 3 'folders with bad items' evaluate --pred pred --ref ref -o all.json
row() {
	value all.json ".items[] | select(.uid == \"$1\") | .status + \" \" + (.reason // \"-\")"
}
is "$(row b1)" 'ok -' 'a good pair'
is "$(row sub/c)" 'ok -' 'below a folder'
is "$(row open)" 'ok -' 'an open mesh is measured'
like "$(row empty)" '^fail ' 'an empty file'
is "$(row nan)" 'fail non-finite' 'a position that is no number'
is "$(row flat)" 'fail no-extent' 'triangles without area'
is "$(row lonely)" 'missing no-prediction' 'no prediction'
is "$(row extra)" 'missing no-reference' 'no reference'
is "$(row twice)" 'fail ambiguous-name' 'two files of one name'
like "$(row page)" '^fail ' 'not a 3D file'
is "$(value all.json '.summary["chamfer:cd-l1:ref-bbox1:n2000"] | .n, .failed' | tr '\n' ' ')" '10 7 ' \
	'failed items are counted'

# --- again ---------------------------------------------------------------------------------------------------
cp all.json before.json
expect_status 3 'again' evaluate --pred pred --ref ref -o all.json
like "$err" '14 of 17 items are those of an earlier run' 'what was measured is not measured again'
is "$(jq -S 'del(.machine)' all.json | sha256sum)" "$(jq -S 'del(.machine)' before.json | sha256sum)" 'the report is the same'
expect_status 3 'with another number of threads' evaluate --pred pred --ref ref -o three.json -j 3
is "$(jq -cS .items three.json | sha256sum)" "$(jq -cS .items before.json | sha256sum)" 'the same numbers from three threads'
box pred/b1.obj 0.3
expect_status 3 'a changed file' evaluate --pred pred --ref ref -o all.json
like "$err" '13 of 17 items' 'only it is measured again'

# --- clouds and pictures --------------------------------------------------------------------------------------
cloud() { # file count z
	printf 'ply\nformat ascii 1.0\nelement vertex %d\nproperty float x\nproperty float y\nproperty float z\nend_header\n' "$2"
	i=0
	while [ $i -lt "$2" ]; do
		echo "$i 0 $3"
		i=$((i + 1))
	done
}
cloud a 11 0 >a.ply
cloud b 11 2 >b.ply
cloud c 1 0 >c.ply
cloud d 0 0 >d.ply
expect_status 0 'clouds as given' evaluate --pred b.ply --ref a.ply -o clouds.json
is "$(value clouds.json '.items[0].metrics | .["chamfer:cd-l1:ref-bbox1:points"], .["emd:exact:ref-bbox1:points"]' | tr '\n' ' ')" \
	'0.2 0.2 ' 'distance 2 over a length of 10'
expect_status 3 'one point has no extent' evaluate --pred a.ply --ref c.ply -o x.json
is "$(value x.json '.items[0].reason')" no-extent 'and says so'
expect_status 0 'unless it is not normalised by' evaluate --pred a.ply --ref c.ply --normalize none -o x.json
is "$(value x.json '.items[0].metrics["chamfer:completeness:none:points"]')" 0 'its nearest point is there'
expect_status 3 'no points' evaluate --pred d.ply --ref a.ply -o x.json

t3d -C ws fetch primitives --count 2 -q && t3d -C ws filter -q &&
	t3d -C ws render --resolution 64 --format dir --output-dir views -q
set -- views/*
expect_status 0 'folders of pictures' evaluate --pred "$1" --ref "$1" -o pictures.json
is "$(value pictures.json '.summary["ssim:gauss11"].mean, .summary["psnr:white"].mean, .items[0].notes["psnr:white"]' | tr '\n' ' ')" \
	'1 100 capped: 1 of 1 ' 'equal pictures'
cp "$2/000.png" big.png
t3d -C ws render --resolution 32 --format dir --output-dir small -q --redo
expect_status 3 'sizes that differ' evaluate --pred "$(echo small/* | cut -d' ' -f1)/000.png" --ref big.png -o x.json
is "$(value x.json '.items[0].reason')" size-differs 'pictures are not resized'

# --- comparing ------------------------------------------------------------------------------------------------
box pred/b1.obj 0.01
evaluate --pred worse --ref ref --metrics chamfer:cd-l1,iou -q -o w.json
evaluate --pred pred --ref ref --metrics chamfer:cd-l1,iou -q -o p.json
expect_status 0 'two reports' t3d evaluate --compare w.json p.json
is "$(echo "$out" | jq -r '.n_common, .metrics["iou:grid128:ref-bbox1"].better' | tr '\n' ' ')" '16 b ' 'the better one is named'
t3d evaluate --pred pred --ref ref --metrics chamfer --points 1000 -q -o q.json
is "$(value q.json .settings.emd_points)" 1000 'fewer points than emd takes by default: all of them'
expect_status 2 'more than there are' t3d evaluate --pred pred --ref ref --points 1000 --emd-points 1001
expect_status 1 'other names' t3d evaluate --compare w.json q.json
like "$err" 'n2000|iou' 'the names are given'

expect_status 2 'nothing to do' t3d evaluate
expect_status 2 'a file and a folder' t3d evaluate --pred pred --ref a.ply
expect_status 2 'a metric that is none' t3d evaluate --pred pred --ref ref --metrics chamfr
like "$err" 'chamfer' 'the next name is offered'
done_testing
