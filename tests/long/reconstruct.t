#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d train --model reconstructor and nerf_mae: runs that stop and go on, and what they say of themselves.
# T3D_FEW=1: not every model in parts and in stages, not every size.
. "$T3D_SOURCE/tests/lib.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

export T3D_WORKSPACE="$PWD/ws"
t3d fetch primitives --world core --count 24 --seed 3 2>/dev/null
t3d filter 2>/dev/null
t3d render --resolution 32 2>/dev/null
t3d splits --train .8 --val .2 --test 0 2>/dev/null
# begin MODEL RUN STEPS OPTION...: the settings that all runs here share.
begin() {
	model=$1 run=$2 steps=$3
	shift 3
	t3d train --model "$model" --run "$run" --steps "$steps" --schedule-steps 5 --batch-size 2 --warmup-steps 2 \
		--checkpoint-every 0 --keep-last 1 --validate-every 3 -q "$@"
}
sums() {
	(cd "ws/runs/$1" && sha256sum config.json model.safetensors checkpoints/*)
}
lines() {
	jq -c 'del(.samples_per_second, .loader_stall_s, .seconds, .steps_in_them, .threads)' "ws/runs/$1/log.ndjson"
}

models=reconstructor staged=reconstructor sizes='nano base' stops='2'
[ -n "${T3D_FEW:-}" ] ||
	{ models='reconstructor nerf_mae' staged='turbo3d reconstructor' sizes='nano small base large' stops='2 3 4'; }
for model in $models; do
	expect_status 0 "a run of $model" begin "$model" "whole-$model" 5 -j 2
	begin "$model" "parts-$model" 3 -j 1
	rm ws/runs/parts-$model/model.safetensors
	begin "$model" "parts-$model" 5 -j 3
	is "$(sums "parts-$model")" "$(sums "whole-$model")" 'in parts it has the same weights and checkpoints'
	is "$(lines "parts-$model" | grep -v parameters)" "$(lines "whole-$model" | grep -v parameters)" 'and the same log'
	is "$(jq -r '[.model, .size, .resolution] | @tsv' "ws/runs/whole-$model/config.json")" \
		"$(printf '%s\tnano\t32' $model)" 'config.json says what it is'
	is "$(jq -s -c 'map(select(.val_ssim and .loss == null)) | [.[0].step, .[1].step, .[0].val_psnr > 3, .[0].val_objects > 0]' \
		"ws/runs/whole-$model/log.ndjson")" '[3,5,true,true]' 'new views of objects of split val are in the log'
	is "$(jq -s -c '.[-1] | [.parameters > 2000000, .val_psnr > 3, .val_ssim != null]' \
		"ws/runs/whole-$model/log.ndjson")" '[true,true,true]' 'and in its summary'
done
[ -z "${T3D_FEW:-}" ] || begin nerf_mae whole-nerf_mae 2
like "$(t3d train --model reconstructor --run parts-reconstructor --steps 6 2>&1)" 'PSNR [0-9.]+ dB, SSIM' 'and are told'
[ "$(sums whole-nerf_mae | grep model)" != "$(sums whole-reconstructor | grep model)" ]
ok $? 'hidden patches make a difference'

# --- four views from text, and an object of them -------------------------------------------------------------
# shellcheck disable=SC2120 # options, or none
image() {
	t3d train --model turbo3d --head image --run views --steps 3 --schedule-steps 3 --batch-size 2 \
		--validate-every 0 -q "$@"
}
expect_status 0 'a generator of views' image
is "$(jq -r .head ws/runs/views/config.json)" image 'config.json names its head'
expect_status 1 'an object without a reconstructor' t3d generate 'a cube' --checkpoint ws/runs/views -o x.ply
like "$err" '--reconstructor DIR' 'is refused, with what to do'
expect_status 0 'a run that is done takes one' image --reconstructor ws/runs/whole-reconstructor
expect_status 0 'then there is an object' t3d generate 'a cube' --checkpoint ws/runs/views -o one.ply
like "$(head -c 600 one.ply | strings)" 'element vertex [1-9]' 'of Gaussians'
printf '%s\n' 'a green torus' 'a cube' >prompts
expect_status 0 'the same in a batch' t3d generate --prompts prompts --checkpoint ws/runs/views -o many -j 1
ok "$(cmp -s one.ply many/000001.ply; echo $?)" 'has the same bytes'
image
expect_status 0 'the run once more forgets nothing' t3d generate 'a cube' --checkpoint ws/runs/views -o two.ply
ok "$(cmp -s one.ply two.ply; echo $?)" 'and the object is the same'
expect_status 0 'a run that goes on knows its head' t3d train --model turbo3d --run views --steps 3 -q \
	--reconstructor ws/runs/whole-reconstructor
expect_status 1 'what hides patches' image --reconstructor ws/runs/whole-nerf_mae
like "$err" "'model' is not a reconstructor" 'is no reconstructor'
cp ws/runs/parts-reconstructor/model.safetensors ws/runs/views/reconstructor/
expect_status 1 'other weights than config.json names' t3d generate 'a cube' --checkpoint ws/runs/views -o x.ply
like "$err" 'not the one that config.json names' 'are refused'
expect_status 2 'a reconstructor for Gaussians' t3d train --model turbo3d --reconstructor ws/runs/whole-reconstructor
expect_status 2 'a head of another model' t3d train --model clip --head image
for size in $sizes; do
	expect_status 0 "a plan of turbo3d $size" t3d train --model turbo3d --size $size --plan --batch-size 2
	case $size in
	nano | small) like "$out" '[0-9]+ Gaussians' 'makes Gaussians' ;;
	*) like "$out" 'head image' 'makes views' ;;
	esac
done

# --- begun with the weights of others ---------------------------------------------------------------------------
# lists RUN: how many names are in each list.
lists() {
	jq -c '[.matched, .missing, .other_shape, .other_text, .unused | length]' "ws/runs/$1/pretrained.json"
}
still='--ema-decay 0 --weight-decay 0 --learning-rate 1e-30'
# shellcheck disable=SC2086 # options
expect_status 0 'a reconstructor from a reconstructor' \
	begin reconstructor same 1 $still --pretrained ws/runs/parts-reconstructor
is "$(sha256sum <ws/runs/same/model.safetensors)" "$(sha256sum <ws/runs/parts-reconstructor/model.safetensors)" \
	'has its weights, where nothing is learned'
is "$(lists same)" '[28,0,0,0,0]' 'all of them'
expect_status 0 'from hidden patches' begin reconstructor seen 5 --pretrained ws/runs/whole-nerf_mae
is "$(lists seen)" '[28,0,0,0,1]' 'all but the vector of hidden ones'
begin reconstructor seen-parts 3 --pretrained ws/runs/whole-nerf_mae/model.safetensors
begin reconstructor seen-parts 5
is "$(sums seen-parts)" "$(sums seen)" 'in parts it is the same, and the source is needed once'
expect_status 2 'another source' begin reconstructor seen 5 --pretrained ws/runs/whole-reconstructor
like "$err" 'begun with another --pretrained' 'is refused'
rm ws/runs/seen-parts/checkpoints/*
expect_status 2 'a run without a checkpoint' begin reconstructor seen-parts 5
like "$err" 'give --pretrained again' 'needs its source'
expect_status 0 'a generator from hidden patches' t3d train --model turbo3d --run text --steps 1 --batch-size 2 \
	--validate-every 0 --pretrained ws/runs/whole-nerf_mae
like "$err" "begun with '.*whole-nerf_mae': 22 parameters, [0-9]+ of [0-9]+ numbers" 'says what it took'
is "$(jq -c '[.missing[] | select(test("time|text|modulation") | not)]' ws/runs/text/pretrained.json)" '[]' \
	'time, its modulation and text are its own'
checkpoint=$(ls ws/runs/text/checkpoints/*.safetensors)
expect_status 0 'a generator of views from a checkpoint of Gaussians' t3d train --model turbo3d --head image --run text2 \
	--steps 1 --batch-size 2 --validate-every 0 --pretrained "$checkpoint" -q
is "$(jq -c '[.other_shape, .missing, .other_text]' ws/runs/text2/pretrained.json)" '[["head.out.weight"],null,null]' \
	'takes all but the head, the vocabulary too'
is "$(sha256sum <ws/runs/text2/merges.txt)" "$(sha256sum <ws/runs/text/merges.txt)" 'which it has'
cp -r ws/runs/text other && sed -i 's/"tokenizer_sha256": *"./&x/' other/config.json && rm other/merges.txt
expect_status 0 'from one of another vocabulary' t3d train --model turbo3d --run text3 --steps 1 --batch-size 2 \
	--validate-every 0 --pretrained ./other -q
is "$(jq -c .other_text ws/runs/text3/pretrained.json)" '["text.embedding.weight","text.position.weight"]' \
	'the text is not taken'
expect_status 1 'a file that is not there' begin reconstructor no 1 --pretrained no.safetensors
expect_status 2 'a model of another kind' begin reconstructor no 1 --pretrained clip-nano
like "$err" 'another model or size' 'does not fit'

# --- two resolutions in one run ---------------------------------------------------------------------------------
t3d render --resolution 64 2>/dev/null
# stages MODEL RUN STEPS OPTION...
stages() {
	model=$1 run=$2 steps=$3
	shift 3
	t3d train --model "$model" --run "$run" --steps "$steps" --batch-size 2 --validate-every 0 --checkpoint-every 0 --keep-last 1 \
		--multi-stage --coarse-steps 3 --fine-steps 2 -q "$@"
}
for model in $staged; do
	expect_status 0 "$model in two stages" stages "$model" "both-$model" 5 -j 2
	is "$(jq .resolution ws/runs/both-$model/config.json)" 64 'ends at the fine one'
	is "$(jq -s -c 'map(select(.loss).step)' ws/runs/both-$model/log.ndjson)" '[1,2,3,4,5]' 'every step is in the log once'
	for steps in $stops 5; do
		stages "$model" "each-$model" "$steps" -j 1
	done
	is "$(sums "each-$model")" "$(sums "both-$model")" 'step by step, across the border, it is the same'
	is "$(lines "each-$model" | grep -v parameters)" "$(lines "both-$model" | grep -v parameters)" 'and so is the log'
	stages "$model" "each-$model" 2
	is "$(sums "each-$model")" "$(sums "both-$model")" 'a shorter run changes nothing'
done
[ -n "${T3D_FEW:-}" ] ||
	expect_status 0 'an object of the fine one' t3d generate 'a cube' --checkpoint ws/runs/both-turbo3d -o x.ply
expect_status 2 'two stages of a run of one' begin reconstructor seen 5 --multi-stage
expect_status 2 'another border' stages reconstructor both-reconstructor 5 --coarse-steps 2
like "$err" 'begun with another --coarse-steps' 'is refused'
expect_status 2 'a schedule of its own' t3d train --model turbo3d --multi-stage --schedule-steps 9 --plan
expect_status 0 'a plan' t3d train --model turbo3d --multi-stage --plan
like "$out" '4 views of 64 pixels' 'is that of the fine stage'

for size in $sizes; do
	expect_status 0 "a plan of $size" t3d train --model reconstructor --size $size --plan --batch-size 2
	like "$out" '4 views of [0-9]+ pixels, [0-9]+ Gaussians' 'counts its Gaussians'
done
expect_status 2 'other views' t3d train --model reconstructor --plan --view-set ring:4
like "$err" 'reconstructor trains on views of ring16' 'are refused'
expect_status 1 'a generator from it' t3d generate 'a cube' --checkpoint ws/runs/whole-reconstructor -o x.ply
like "$err" "'model' is not a generator" 'is refused'
done_testing
