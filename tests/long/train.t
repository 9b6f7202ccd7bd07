#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Thirty kills of a training run: it always goes on, never by more than the last checkpoint behind, and ends with
# the weights of a run that nobody disturbed. A full disk during a checkpoint loses nothing.
. "$T3D_SOURCE/tests/lib.sh"

steps=400 every=3
train() {
	run=$1
	shift
	"$@" t3d -C ws train --model clip --run "$run" --schedule-steps $steps --batch-size 16 --warmup-steps 5 \
		--checkpoint-every $every --validate-every 7 -j 1 -q
}
sums() {
	(cd "ws/runs/$1" && sha256sum config.json merges.txt model.safetensors vocab.json checkpoints/*)
}
# Step of the newest checkpoint, 0 without any.
newest() {
	find "ws/runs/$1/checkpoints" -name 'step-*.safetensors' 2>/dev/null | sed 's/.*step-0*//; s/\..*//' | sort -n | tail -n 1
}

t3d -C ws fetch primitives --count 60 --world core -q && t3d -C ws filter -q && t3d -C ws render --resolution 64 -q
expect_status 0 'an undisturbed run' train calm
kills=0 runs=0 before=0 back=0
while [ $kills -lt 30 ] && [ $runs -lt 300 ]; do
	runs=$((runs + 1))
	# from the counter, so that a failure can be repeated
	train wild timeout -s KILL "$(printf 0.%03d $((200 + runs * 7919 % 700)))" 2>log
	status=$?
	now=$(newest wild)
	[ "${now:-0}" -ge "$before" ] || back=$((back + 1))
	before=${now:-0}
	case $status in
	137) kills=$((kills + 1)) ;;
	0) # all steps are done: begin anew
		rm -rf ws/runs/wild
		before=0
		;;
	*) note "run $runs: exit $status: $(tail -n 1 log)" ;;
	esac
done
is $kills 30 'thirty kills'
is $back 0 'no checkpoint was lost'
[ "$before" -gt 0 ]
ok $? "the last of them came at step $before or soon after"
expect_status 0 'the run goes on to its end' train wild
is "$(sums wild)" "$(sums calm)" 'its weights and checkpoints are those of the undisturbed one'
is "$(jq -c 'select(.loss) | [.step, .loss]' ws/runs/wild/log.ndjson)" \
	"$(jq -c 'select(.loss) | [.step, .loss]' ws/runs/calm/log.ndjson)" 'and so is the log'
is "$(find ws -name '*.tmp')" '' 'no temporary file is left'

# A limit on the size of files stands for a full disk: the checkpoint cannot be written.
train full timeout -s TERM 2 2>/dev/null
was=$(sums full 2>/dev/null | grep step)
expect_status 74 'a checkpoint that has no room' sh -c "ulimit -f 64; trap '' XFSZ
	exec t3d -C ws train --model clip --run full --checkpoint-every 1 -j 1 -q"
like "$err" 'step-.*File too large' 'is said'
is "$(sums full 2>/dev/null | grep step)" "$was" 'the ones before it are as they were'
is "$(find ws -name '*.tmp')" '' 'and nothing half-written is left'
expect_status 0 'with room the run goes on' train full
is "$(sums full)" "$(sums calm)" 'to the same end'

# --- what is shipped -------------------------------------------------------------------------------------------
t3d bench retrieval --model clip-nano >shipped.json
is "$(jq '.pool == 930 and .image_to_text.r_at_1 > .95 and .text_to_image.r_at_1 > .95' shipped.json)" true \
	"clip-nano tells held-out scenes apart: $(jq -c '[.image_to_text.r_at_1, .text_to_image.r_at_1]' shipped.json)"
[ "$(cat "$T3D_SOURCE"/models/clip-nano/* | wc -c)" -le 1500000 ]
ok $? 'and is small'
done_testing
