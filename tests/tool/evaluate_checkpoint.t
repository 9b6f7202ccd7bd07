#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d evaluate --checkpoint: objects of a split, and what the shipped generator makes of their captions.
. "$T3D_SOURCE/tests/lib.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

export T3D_WORKSPACE="$PWD/ws"
few='--points 1000 --emd-points 100 --no-emd-floor --resolution 64 --progress none'
measure() {
	# shellcheck disable=SC2086
	t3d evaluate --checkpoint generator-nano $few "$@"
}

# --- a workspace: one object without caption, one with a material beside it, six primitives -------------------
box() {
	printf 'mtllib red.mtl\nusemtl red\n' >"$1"
	for z in 0 9; do for y in 0 9; do for x in 0 9; do echo "v $x $y $z"; done; done; done >>"$1"
	printf 'f 1 3 2\nf 2 3 4\nf 5 6 7\nf 6 8 7\nf 1 2 5\nf 2 6 5\nf 3 7 4\nf 4 7 8\nf 1 5 3\nf 3 5 7\nf 2 4 6\nf 4 8 6\n' >>"$1"
}
mkdir files
box files/plain.obj
box files/told.obj
echo '# another' >>files/told.obj
printf 'newmtl red\nKd 1 0 0\n' >files/red.mtl
printf 'path,caption\ntold.obj,a red cube\n' >captions.csv
{
	t3d fetch local files --captions captions.csv
	t3d fetch primitives --world core --count 6 --seed 3
	t3d filter
	t3d render --resolution 64
} 2>/dev/null

expect_status 3 'all objects, of which one has no caption' measure --split all --count 3 --price-per-hour 2 -o all.json
is "$(jq -r '[.items[] | .status] | sort | join(" ")' all.json)" 'missing ok ok' 'has a row of its own'
is "$(jq -r '.items[] | select(.status != "ok") | .reason' all.json)" no-caption 'with the reason'
has() {
	jq -r --arg f "$1" '[.summary | to_entries[] | select((.key | startswith($f)) and .value.n > 0)] | length > 0' all.json
}
for f in chamfer: f-score: normal-consistency: emd: iou: psnr: ssim: clip-score: r-precision: caption-accuracy: \
	view-consistency:warp-l1: view-consistency:opposite: cost:seconds-p50 cost:seconds-p95 \
	cost:objects-per-minute cost:model-mb cost:peak-mb cost:splat-fps-512 cost:price; do
	is "$(has $f)" true "the summary has $f"
done
is "$(jq '.summary["view-consistency:warp-l1:ring16-64"].mean | . > 0.9 and . <= 1' all.json)" true \
	'splats agree with themselves from all sides'
is "$(jq '.summary["cost:seconds-p50"].mean as $p50 | .summary | .["cost:seconds-p95"].mean >= $p50 and $p50 > 0
	and .["cost:model-mb"].mean > 1 and .["cost:model-mb"].mean < 20 and .["cost:peak-mb"].mean > .["cost:model-mb"].mean
	and .["cost:price"].mean > 0' all.json)" true 'the costs are plausible'
is "$(jq '[.items[] | select(.status == "ok") | .metrics["psnr:white:ring16+4-64"] > 14] | all' all.json)" true \
	'objects of any size and place stand where the generated ones do'
is "$(find all.json.generated -name '*.ply' | wc -l)" 2 'the objects are kept'

cp all.json before.json
expect_status 3 'again' measure --split all --count 3 --price-per-hour 2 -o all.json
like "$err" '0 objects made' 'nothing is made again'
like "$err" '2 of 3 items' 'nor measured'
is "$(jq -S 'del(.machine)' all.json | sha256sum)" "$(jq -S 'del(.machine)' before.json | sha256sum)" 'the report is the same'
expect_status 0 'a checkpoint by its folder, costs alone' t3d evaluate --checkpoint "$T3D_SOURCE/models/generator-nano" \
	--split train --count 1 --metrics cost --progress none -o cost.json
is "$(jq -r '[.summary | keys[] | split(":")[0]] | unique | join(" ")' cost.json)" cost 'has no other family'
expect_status 0 'a dry run' measure --split train --dry-run -o dry.json
ok "$([ ! -e dry.json ] && [ ! -e dry.json.generated ]; echo $?)" 'makes nothing'

# --- what is wrong --------------------------------------------------------------------------------------------
expect_status 2 'no such checkpoint' t3d evaluate --checkpoint no-such-model --split all
expect_status 2 'an empty split' measure --split test
like "$err" 'no object in split test' 'is named'
expect_status 2 'a checkpoint and files' measure --pred files --ref files
expect_status 2 'a split without a checkpoint' t3d evaluate --pred files --ref files --split all
expect_status 2 'a count of nothing' measure --count 0
expect_status 2 'no such device' measure --split all --device none
expect_status 2 'no workspace' measure -C nowhere
expect_status 1 'a CLIP' t3d evaluate --checkpoint clip-nano --split all -o bad.json
mkdir rec
echo '{"model":"reconstructor","format":1,"size":"nano"}' >rec/config.json
expect_status 1 'a reconstructor' t3d evaluate --checkpoint ./rec --split all -o bad.json
like "$err" 'is not a generator' 'is called by its name'
ok "$([ ! -e bad.json ]; echo $?)" 'and leaves no report'
done_testing
