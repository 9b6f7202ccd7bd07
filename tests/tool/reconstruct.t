#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d train --model reconstructor and nerf_mae: runs that stop and go on, and what they say of themselves.
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
		--checkpoint-every 2 --validate-every 3 -q "$@"
}
sums() {
	(cd "ws/runs/$1" && sha256sum config.json model.safetensors checkpoints/*)
}
lines() {
	jq -c 'del(.samples_per_second, .loader_stall_s, .seconds, .steps_in_them, .threads)' "ws/runs/$1/log.ndjson"
}

for model in reconstructor nerf_mae; do
	expect_status 0 "a run of $model" begin $model whole-$model 5 -j 2
	begin $model parts-$model 3 -j 1
	rm ws/runs/parts-$model/model.safetensors
	begin $model parts-$model 5 -j 3
	is "$(sums parts-$model)" "$(sums whole-$model)" 'in parts it has the same weights and checkpoints'
	is "$(lines parts-$model | grep -v parameters)" "$(lines whole-$model | grep -v parameters)" 'and the same log'
	is "$(jq -r '[.model, .size, .resolution] | @tsv' "ws/runs/whole-$model/config.json")" \
		"$(printf '%s\tnano\t32' $model)" 'config.json says what it is'
	is "$(jq -s -c 'map(select(.val_ssim and .loss == null)) | [.[0].step, .[1].step, .[0].val_psnr > 3, .[0].val_objects > 0]' \
		"ws/runs/whole-$model/log.ndjson")" '[3,5,true,true]' 'new views of objects of split val are in the log'
	is "$(jq -s -c '.[-1] | [.parameters > 2000000, .val_psnr > 3, .val_ssim != null]' \
		"ws/runs/whole-$model/log.ndjson")" '[true,true,true]' 'and in its summary'
done
like "$(t3d train --model reconstructor --run parts-reconstructor --steps 6 2>&1)" 'PSNR [0-9.]+ dB, SSIM' 'and are told'
[ "$(sums whole-nerf_mae | grep model)" != "$(sums whole-reconstructor | grep model)" ]
ok $? 'hidden patches make a difference'

# --- four views from text, and an object of them -------------------------------------------------------------
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
expect_status 1 'what hides patches' image --reconstructor ws/runs/whole-nerf_mae
like "$err" "'model' is not a reconstructor" 'is no reconstructor'
cp ws/runs/parts-reconstructor/model.safetensors ws/runs/views/reconstructor/
expect_status 1 'other weights than config.json names' t3d generate 'a cube' --checkpoint ws/runs/views -o x.ply
like "$err" 'not the one that config.json names' 'are refused'
expect_status 2 'a reconstructor for Gaussians' t3d train --model turbo3d --reconstructor ws/runs/whole-reconstructor
expect_status 2 'a head of another model' t3d train --model clip --head image
for size in nano small base large; do
	expect_status 0 "a plan of turbo3d $size" t3d train --model turbo3d --size $size --plan --batch-size 2
	case $size in
	nano | small) like "$out" '[0-9]+ Gaussians' 'makes Gaussians' ;;
	*) like "$out" 'head image' 'makes views' ;;
	esac
done

for size in nano small base large; do
	expect_status 0 "a plan of $size" t3d train --model reconstructor --size $size --plan --batch-size 2
	like "$out" '4 views of [0-9]+ pixels, [0-9]+ Gaussians' 'counts its Gaussians'
done
expect_status 2 'other views' t3d train --model reconstructor --plan --view-set ring:4
like "$err" 'reconstructor trains on views of ring16' 'are refused'
expect_status 1 'a generator from it' t3d generate 'a cube' --checkpoint ws/runs/whole-reconstructor -o x.ply
like "$err" "'model' is not a generator" 'is refused'
done_testing
