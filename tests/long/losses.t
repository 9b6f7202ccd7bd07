#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d train --loss-...: terms that a run adds to its loss, what they need, and that they change nothing of what a run promises.
. "$T3D_SOURCE/tests/lib.sh"
. "$T3D_SOURCE/tests/squeezenet.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

export T3D_WORKSPACE="$PWD/ws"
t3d fetch primitives --world core --count 16 --seed 3 2>/dev/null
t3d filter 2>/dev/null
t3d render --resolution 32 2>/dev/null
t3d splits --train .8 --val .2 --test 0 2>/dev/null

# SqueezeNet 1.1 with made-up weights, and its heads.
mkdir squeeze
squeezenet | safetensors squeeze/net.safetensors '\0\0\200\075\0\0\0\275\0\0\200\074\0\0\100\075\0\0\200\275\0\0\0\074\0\0\200\274'
squeezenet_heads | safetensors squeeze/heads.safetensors '\0\0\0\076\0\0\200\075'

# begin MODEL RUN STEPS OPTION...: the settings that all runs here share.
begin() {
	model=$1 run=$2 steps=$3
	shift 3
	t3d train --model "$model" --run "$run" --steps "$steps" --schedule-steps 4 --batch-size 2 --warmup-steps 1 \
		--checkpoint-every 0 --keep-last 1 --validate-every 3 -q "$@"
}
sums() {
	(cd "ws/runs/$1" && sha256sum config.json model.safetensors checkpoints/*)
}
lines() {
	jq -c 'del(.samples_per_second, .loader_stall_s, .seconds, .steps_in_them, .threads)' "ws/runs/$1/log.ndjson" | grep -v parameters
}

# --- what is missing or wrong is said --------------------------------------------------------------------------
expect_status 2 'depth that is not rendered' begin reconstructor no1 2 --loss-depth .1
like "$err" 't3d render --passes color,depth --view-set ring16\+4 --resolution 32' 'is missed, with the command that makes it'
expect_status 2 'no network' begin reconstructor no2 2 --loss-perceptual .5
like "$err" 't3d fetch weights lpips-vgg.*--perceptual-weights lpips-vgg' 'is missed, with the command that gets one'
expect_status 2 'a network that is not there' begin reconstructor no3 2 --loss-perceptual .5 --perceptual-weights lpips-vgg
like "$err" 'fetch weights lpips-vgg' 'likewise'
expect_status 2 'a network without a share' begin reconstructor no4 2 --perceptual-weights ./squeeze
like "$err" '--loss-perceptual X' 'is refused'
mkdir other && echo no >other/net.safetensors
expect_status 1 'a folder with something else' begin reconstructor no5 2 --loss-perceptual .5 --perceptual-weights ./other
like "$err" '--perceptual-weights' 'is named'
for bad in '--loss-depth -1' '--loss-opacity nan' '--loss-ssim 1e9' '--loss-perceptual x'; do
	# shellcheck disable=SC2086 # an option and its value
	expect_status 2 "$bad" begin reconstructor no6 2 $bad
done
expect_status 2 'Gaussians of a CLIP' t3d train --model clip --loss-opacity .1
expect_status 2 'Gaussians of a generator of views' t3d train --model turbo3d --head image --loss-opacity .1 --plan
like "$err" 'give it to the reconstructor' 'are refused, with who has some'
is "$(find ws/runs -name '*.safetensors')" '' 'nothing was trained'

# --- a run with all of them -------------------------------------------------------------------------------------
expect_status 0 'depth is rendered' t3d render --resolution 32 --passes color,depth -q
all='--loss-ssim .2 --loss-perceptual .5 --loss-depth .1 --loss-opacity .05'
net='--perceptual-weights ./squeeze'
for model in reconstructor turbo3d; do
	# shellcheck disable=SC2086 # options
	expect_status 0 "$model with all terms" begin $model "whole-$model" 4 -j 2 $all $net
	# shellcheck disable=SC2086
	begin $model "parts-$model" 3 -j 1 $all $net
	begin $model "parts-$model" 4 -j 3 $net # the shares are remembered
	is "$(sums "parts-$model")" "$(sums "whole-$model")" 'in parts it has the same weights'
	is "$(lines "parts-$model")" "$(lines "whole-$model")" 'and the same log'
	is "$(jq -s -c '.[0] | [.loss_rgb, .loss_alpha, .loss_ssim, .loss_perceptual, .loss_depth, .loss_opacity] | map(. > 0) | all' \
		"ws/runs/whole-$model/log.ndjson")" true 'which has every term'
	is "$(jq -s -c '.[0] | .loss - .loss_rgb - .loss_alpha - .02 * (.loss_haar // 0) - .2 * .loss_ssim - .5 * .loss_perceptual -
		.1 * .loss_depth - .05 * .loss_opacity | fabs < 1e-5' "ws/runs/whole-$model/log.ndjson")" true 'and they add up to the loss'
done
like "$(strings ws/runs/whole-turbo3d/events.out.tfevents.t3d)" 'loss_perceptual' 'TensorBoard sees them too'
expect_status 2 'the run without its network' begin turbo3d parts-turbo3d 4
like "$err" 'must be the same' 'needs it again'
cp -r squeeze changed && squeezenet_heads | safetensors changed/heads.safetensors '\0\0\0\076\0\0\0\075'
expect_status 2 'another network' begin turbo3d parts-turbo3d 4 --perceptual-weights ./changed
like "$err" 'begun with another --perceptual-weights' 'is refused'
# shellcheck disable=SC2086
expect_status 2 'another share' begin turbo3d parts-turbo3d 4 $net --loss-depth .2
like "$err" 'begun with another --loss-depth' 'is refused'

# --- a run without ------------------------------------------------------------------------------------------------
expect_status 0 'a run without terms' begin reconstructor plain 2
is "$(jq -c '[keys[] | select(test("loss|perceptual"))]' ws/runs/plain/run.json)" '[]' 'has none in its settings'
expect_status 0 'a share of 0' begin reconstructor plain 3 --loss-depth 0 --loss-opacity 0
expect_status 2 'another one' begin reconstructor plain 4 --loss-opacity .1
like "$err" 'begun with another --loss-opacity' 'is refused'

# --- a plan -------------------------------------------------------------------------------------------------------
t3d train --model reconstructor --plan --batch-size 2 >plain.plan
# shellcheck disable=SC2086
expect_status 0 'a plan with the network' t3d train --model reconstructor --plan --batch-size 2 --loss-perceptual .5 $net
# figure NAME FILE: the first number of that line.
figure() {
	awk -v name="$1" '$1 == name { print $2; exit }' "$2"
}
for name in forward backward constants; do
	is "$(awk -v a="$(figure $name plain.plan)" -v b="$(figure $name out)" 'BEGIN { print (b > a + .05) }')" 1 "counts it: $name"
done
done_testing
