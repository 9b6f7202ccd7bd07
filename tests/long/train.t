#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Thirty kills of a training run: it always goes on, never by more than the last checkpoint behind, and ends with
# the weights of a run that nobody disturbed. A full disk during a checkpoint loses nothing.
. "$T3D_SOURCE/tests/lib.sh"

every=3
# train MODEL RUN WRAPPER...: the settings that all runs of a model share.
train() {
	model=$1 run=$2
	shift 2
	case $model in
	clip) set -- "$@" t3d -C ws train --model clip --schedule-steps 400 --batch-size 16 --validate-every 7 ;;
	turbo3d) set -- "$@" t3d -C ws train --model turbo3d --schedule-steps 90 --batch-size 2 --validate-every 5 --keep-best ;;
	esac
	"$@" --run "$run" --warmup-steps 5 --checkpoint-every $every -j 1 -q
}
sums() {
	(cd "ws/runs/$1" && find . -name '*.safetensors' -o -name '*.png' -o -name '*.json' -o -name merges.txt | sort | xargs sha256sum)
}
losses() {
	jq -c 'select(.loss) | [.step, .loss]' "ws/runs/$1/log.ndjson"
}
# Step of the newest checkpoint, 0 without any.
newest() {
	find "ws/runs/$1/checkpoints" -name 'step-*.safetensors' 2>/dev/null | sed 's/.*step-0*//; s/\..*//' | sort -n | tail -n 1
}
log_size() {
	[ ! -e "ws/runs/$1/log.ndjson" ] || wc -c <"ws/runs/$1/log.ndjson"
}
# await PID RUN: until it begins, or has done a step, or writes a checkpoint, by turns; or is over.
await() {
	[ $((runs % 3)) -ne 0 ] || return 0
	was=$(log_size "$2")
	while kill -0 "$1" 2>/dev/null; do
		case $((runs % 3)) in
		1) [ "$(log_size "$2")" = "$was" ] || break ;;
		2) [ -z "$(find "ws/runs/$2/checkpoints" -name "*.$1.*tmp" 2>/dev/null)" ] || break ;;
		esac
		sleep 0.01
	done
}
# kills MODEL
kills() {
	model=$1 calm=calm-$1 wild=wild-$1
	expect_status 0 "$model: an undisturbed run" train "$model" "$calm"
	kills=0 runs=0 before=0 back=0
	while [ $kills -lt 30 ] && [ $runs -lt 300 ]; do
		runs=$((runs + 1))
		status=0
		train "$model" "$wild" exec 2>log &
		await $! "$wild"
		# from the counter, so that a failure can be repeated
		sleep "$(printf 0.%03d $((runs * 7919 % 300)))"
		kill -KILL $! 2>/dev/null || :
		wait $! || status=$?
		now=$(newest "$wild")
		[ "${now:-0}" -ge "$before" ] || back=$((back + 1))
		before=${now:-0}
		case $status in
		137) kills=$((kills + 1)) ;;
		0) # all steps are done: begin anew
			rm -rf "ws/runs/$wild"
			before=0
			;;
		*) note "run $runs: exit $status: $(tail -n 1 log)" ;;
		esac
	done
	is $kills 30 'thirty kills'
	is $back 0 'no checkpoint was lost'
	[ "$before" -gt 0 ]
	ok $? "the last of them came at step $before or soon after, of $runs runs"
	expect_status 0 'the run goes on to its end' train "$model" "$wild"
	is "$(sums "$wild")" "$(sums "$calm")" 'its weights and checkpoints are those of the undisturbed one'
	is "$(losses "$wild")" "$(losses "$calm")" 'and so is the log'
	is "$(find ws -name '*.tmp')" '' 'no temporary file is left'
}

t3d -C ws fetch primitives --count 60 --world core -q && t3d -C ws filter -q && t3d -C ws render --resolution 64 -q
kills clip
kills turbo3d

# A limit on the size of files stands for a full disk: the checkpoint cannot be written.
train clip full timeout -s TERM 2 2>/dev/null
was=$(sums full 2>/dev/null | grep step)
expect_status 74 'a checkpoint that has no room' sh -c "ulimit -f 64; trap '' XFSZ
	exec t3d -C ws train --model clip --run full --checkpoint-every 1 -j 1 -q"
like "$err" 'step-.*File too large' 'is said'
is "$(sums full 2>/dev/null | grep step)" "$was" 'the ones before it are as they were'
is "$(find ws -name '*.tmp')" '' 'and nothing half-written is left'
expect_status 0 'with room the run goes on' train clip full
is "$(sums full)" "$(sums calm-clip)" 'to the same end'

# --- what is shipped -------------------------------------------------------------------------------------------
t3d bench retrieval --model clip-nano >shipped.json
is "$(jq '.pool == 930 and .image_to_text.r_at_1 > .95 and .text_to_image.r_at_1 > .95' shipped.json)" true \
	"clip-nano tells held-out scenes apart: $(jq -c '[.image_to_text.r_at_1, .text_to_image.r_at_1]' shipped.json)"
[ "$(cat "$T3D_SOURCE"/models/clip-nano/* | wc -c)" -le 1500000 ]
ok $? 'and is small'
t3d bench captions --splits test --count 512 >shipped.json
is "$(jq '.lower_bound_95 >= .93' shipped.json)" true \
	"generator-nano makes what held-out captions say: $(jq -c '[.accuracy, .lower_bound_95]' shipped.json)"
t3d bench captions --splits test --count 64 --world full >full.json
is "$(jq -c '[.candidates, .accuracy_of_world > .9, .accuracy_of_world > .accuracy]' full.json)" '["full1024",true,true]' \
	"scenes of richer worlds can be told apart: $(jq -c '[.accuracy, .accuracy_of_world, .clip_r1_of_world]' full.json)"
t3d bench captions --splits test --count 111 --num-diffusion-steps 4,8,32 >steps.json
is "$(jq -s 'map(.accuracy) | min > max - .02' steps.json)" true \
	"in few steps as in many: $(jq -s -c 'map([.num_diffusion_steps, .accuracy])' steps.json)"

# --- what the demo trains ------------------------------------------------------------------------------------
t3d -C one fetch primitives --world one --count 150 -q && t3d -C one filter -q && t3d -C one render --resolution 32 -q
expect_status 0 'a small world, 400 steps' t3d -C one train --model turbo3d --run one --schedule-steps 400 --validate-every 0 -q
t3d bench captions --checkpoint one/runs/one --world one --splits all --count 90 >one.json
is "$(jq '.accuracy >= .95' one.json)" true "is learned: $(jq -c '[.accuracy, .colors, .shapes]' one.json)"
t3d -C one embed --inputs texts --tokens -q
expect_status 0 'the same by features of a CLIP' t3d -C one train --model turbo3d --run clip --text-encoder clip-nano \
	--schedule-steps 400 --validate-every 0 -q
t3d bench captions --checkpoint one/runs/clip --world one --splits all --count 90 >clip.json
is "$(jq '.accuracy >= .95' clip.json)" true "is learned: $(jq -c '[.accuracy, .colors, .shapes]' clip.json)"
expect_status 0 'and evaluated' t3d -C one evaluate --checkpoint one/runs/clip --split all --count 4 \
	--metrics cost,caption-accuracy --progress none -o clip-evaluated.json
is "$(jq '.summary | .["caption-accuracy:core930:ring4-64"].mean > .5 and .["cost:model-mb"].mean > 13' clip-evaluated.json)" \
	true 'with the weights of its CLIP in the cost'
done_testing
