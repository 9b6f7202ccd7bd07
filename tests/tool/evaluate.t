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

mkdir none && box none/lonely.obj 0
t3d evaluate --pred pred --ref none --metrics chamfer:cd-l1 -q -o n.json
expect_status 1 'reports without values' t3d evaluate --compare n.json n.json
like "$err" 'nothing can be compared|no metric' 'are refused'

# --- networks ---------------------------------------------------------------------------------------------------
mkdir pred-t ref-t
t3d -C ws manifest export >list.ndjson
jq -r '[.uid, .content] | @tsv' list.ndjson | while read -r uid content; do
	cp ws/objects/*/"$content".glb "ref-t/$uid.glb"
	cp ws/objects/*/"$content".glb "pred-t/$uid.glb"
done
text() {
	evaluate --pred pred-t --ref ref-t --metrics clip-score,r-precision,view-consistency,lpips,cost "$@"
}
expect_status 0 'scores by clip-nano' text --captions list.ndjson -o text.json
is "$(value text.json '[.summary | keys[] | select(test("^(clip-score:raw:clip-nano|r-precision:r1:clip-nano:captions2-[0-9a-f]{8}|view-consistency:opposite:clip-nano)"))] | length')" \
	3 'the model and the pool are part of the names'
is "$(value text.json '.summary["clip-score:raw:clip-nano:ring16+4-64"] | (.mean - .floor | fabs) < 1e-9 and .mean > 0.5 and .target == "n/a"')" true \
	'a copy scores what its reference does'
is "$(value text.json '.summary["clip-score:raw:clip-vit-b32"] | .target, (.reason | test("fetch weights clip-vit-b32"))' | tr '\n' ' ')" '> 0.30 true ' \
	'the score that has a target says what gets it'
is "$(value text.json '[.summary["lpips:vgg", "view-consistency:warp-l1", "cost:seconds"].reason | length > 0] | all')" true 'so do the others'
cp text.json text-before.json
expect_status 0 'again' text --captions list.ndjson -o text.json
like "$err" '2 of 2 items are those of an earlier run' 'nothing goes through a network twice'
is "$(jq -S 'del(.machine)' text.json | sha256sum)" "$(jq -S 'del(.machine)' text-before.json | sha256sum)" 'the report is the same'
jq -c '.captions = ["a chair"]' list.ndjson >chairs.ndjson
expect_status 0 'other captions' text --captions chairs.ndjson -o text.json
is "$(value text.json '.summary | keys | map(select(test("captions1-"))) | length')" 1 'the pool is another'
like "$err" '0 failed' 'and nothing is reused'
echo 'a red cube' >pool.txt
expect_status 0 'a pool of texts' text --captions list.ndjson --pool pool.txt -o text.json
is "$(value text.json '.summary | keys | map(select(test("r1:clip-nano:pool3-"))) | length')" 1 'is named'
evaluate --pred pred-t --ref ref-t --metrics caption-accuracy --captions chairs.ndjson -q -o caption.json
is "$(value caption.json '.summary["caption-accuracy:core930"].reason | test("a chair")')" true 'captions whose objects are not known are refused'
expect_status 0 'no captions' text -o text.json
is "$(value text.json '.summary["clip-score:raw"].reason | test("--captions")')" true 'are asked for'
expect_status 2 'a CLIP that is not there' text --captions list.ndjson --clip clip-vit-b32 -o text.json
like "$err" 'fetch weights clip-vit-b32' 'names the command'
mkdir weights && echo x >weights/a.pth
expect_status 3 'wrong weights' text --captions list.ndjson --lpips ./weights -o text.json
like "$(value text.json '.items[0].message')" '^lpips:vgg: .*a.pth' 'are named'

expect_status 2 'nothing to do' t3d evaluate
expect_status 2 'a file and a folder' t3d evaluate --pred pred --ref a.ply
expect_status 2 'a metric that is none' t3d evaluate --pred pred --ref ref --metrics chamfr
like "$err" 'chamfer' 'the next name is offered'
done_testing
