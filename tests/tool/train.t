#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d train: it learns, goes on where it stopped, refuses what it should. Gated on steps, never on seconds.
. "$T3D_SOURCE/tests/lib.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

# train RUN STEPS OPTION...
train() {
	run=$1 steps=$2
	shift 2
	t3d -C ws train --model clip --run "$run" --steps "$steps" "$@"
}
# begin RUN STEPS OPTION...: the settings that all runs here share.
begin() {
	train "$@" --schedule-steps 60 --warmup-steps 5 --batch-size 16 --learning-rate 0.002 --seed 3 \
		--checkpoint-every 4 --validate-every 6 -q
}
# The files of a finished run.
sums() {
	(cd "ws/runs/$1" && sha256sum config.json merges.txt model.safetensors vocab.json checkpoints/*)
}
losses() {
	jq -c 'select(.loss) | [.step, .loss, .grad_norm]' "ws/runs/$1/log.ndjson"
}

# --- what is missing is said ------------------------------------------------------------------------------
expect_status 2 'no model named' t3d train
like "$err" '--model turbo3d, .* clip' 'is said'
expect_status 2 'no workspace' t3d -C none train --model clip
t3d -C ws fetch primitives --count 60 --world core -q && t3d -C ws filter -q
expect_status 2 'nothing rendered' t3d -C ws train --model clip
like "$err" 't3d render --view-set ring16\+4 --resolution 64' 'the command that renders is named'
t3d -C ws render --resolution 64 -q
expect_status 0 'primitives come with a split' begin one 2
for bad in '--batch-size 1' '--ema-decay 1' '--learning-rate 0' '--run a/b' '--size huge' '--model vae' '--multi-stage'; do
	# shellcheck disable=SC2086 # an option and its value
	expect_status 2 "$bad is refused" t3d -C ws train --model clip $bad
done

# --- k + (n - k) steps are n steps, for any number of threads ------------------------------------------------
begin whole 10 -j 2
begin parts 3 -j 1
begin parts 5 -j 3 --gradient-checkpointing
is "$(jq -s 'map(select(.loss)) | length' ws/runs/parts/log.ndjson)" 5 'a line a step'
printf '{"step":6,"loss":' >>ws/runs/parts/log.ndjson # as a kill in the middle of a line leaves it
: >ws/runs/parts/checkpoints/step-00000005.safetensors.1.2.tmp
train parts 6 -q -j 2 --checkpoint-every 4 # the rest is remembered
is "$(jq '."gradient-checkpointing"' ws/runs/parts/run.json)" true 'also whether blocks are computed again'
train parts 10 -q -j 2 --checkpoint-every 4 --no-gradient-checkpointing
is "$(jq '."gradient-checkpointing"' ws/runs/parts/run.json)" false 'which may change on the way'
is "$(sums parts)" "$(sums whole)" 'weights, checkpoints and vocabulary are the same'
is "$(losses parts)" "$(losses whole)" 'and so is the log'
is "$(find ws/runs -name '*.tmp')" '' 'no temporary file is left'
is "$(find ws/runs/whole/checkpoints -type f | wc -l)" 2 'the last two checkpoints are kept'
before=$(sums whole)
train whole 10 -q
is "$(sums whole)" "$before" 'a finished run stays as it is'

# --- other settings -------------------------------------------------------------------------------------------
expect_status 2 'another batch size' train whole 12 --batch-size 8
like "$err" '--batch-size.*--redo' 'is refused, with what to do'
expect_status 0 'unless all is done anew' train whole 2 --batch-size 8 --redo -q
is "$(jq -s 'map(select(.loss)) | length' ws/runs/whole/log.ndjson)" 2 'from the first step'

# --- checkpoints that cannot be read ---------------------------------------------------------------------------
truncate -s 1000 ws/runs/parts/checkpoints/step-00000010.safetensors
expect_status 0 'a cut checkpoint is passed over' train parts 11
like "$err" 'could not be read' 'with a warning'
is "$(jq -s 'map(select(.loss).step) | [length, .[7], .[-1]]' -c ws/runs/parts/log.ndjson)" '[11,8,11]' \
	'and the one before it is gone on from'

# --- a signal -----------------------------------------------------------------------------------------------------
t3d -C ws train --model clip --run stopped --batch-size 16 --seed 3 2>err &
pid=$!
while [ ! -s ws/runs/stopped/log.ndjson ]; do sleep 0.02; done
kill -TERM $pid
status=0
wait $pid || status=$?
is $status 75 'SIGTERM saves and exits with 75'
done=$(jq -s 'map(.step) | max' ws/runs/stopped/log.ndjson)
[ -s "$(printf 'ws/runs/stopped/checkpoints/step-%08d.safetensors' "$done")" ]
ok $? 'the checkpoint is of the last step'

# --- only the training split ----------------------------------------------------------------------------------------
t3d -C ws manifest list | jq -c 'select(.split == "train") | {uid}' >train.ndjson
t3d -C ws manifest list | jq -c 'select(.split == "test") | {uid}' >test.ndjson
[ -s test.ndjson ]
ok $? 'there are test objects'
expect_status 0 'a stream of training objects' sh -c 'head -20 train.ndjson | t3d -C ws train --model clip --run some --steps 1 --batch-size 4 -'
expect_status 2 'a stream with a test object' sh -c 'cat train.ndjson test.ndjson | t3d -C ws train --model clip --run all --steps 1 --batch-size 4 -'
like "$err" "$(jq -r .uid test.ndjson | head -1).*split test" 'is refused by name'

# --- it learns ----------------------------------------------------------------------------------------------------------
train parts 60 -q
is "$(jq -s 'map(select(.loss).loss) | (.[:5] | add) / 5 - (.[-10:] | add) / 10 > 0.7' ws/runs/parts/log.ndjson)" true \
	'the loss falls in 60 steps'
like "$(jq -s -c '.[-2] | keys' ws/runs/parts/log.ndjson)" 'val_image_to_text.*val_loss' 'validation is in the log'
is "$(jq -s -c '.[-1] | [.step, .objects > 40, .views, .threads > 0, .seconds > 0]' ws/runs/parts/log.ndjson)" '[60,true,20,true,true]' 'and at its end a summary'
is "$(jq -r '[.model_type, .text_config.eos_token_id - .text_config.vocab_size] | @tsv' ws/runs/parts/config.json)" \
	"$(printf 'clip\t-1')" 'config.json says CLIP, the end token is the largest id'
expect_status 2 'other views of a generator' t3d -C ws train --model turbo3d --plan --view-set ring:4
like "$err" 'trains on views of ring16' 'are refused, not ignored'
expect_status 2 'grounds of a generator' t3d -C ws train --model turbo3d --plan --backgrounds .5
expect_status 2 'no steps' t3d -C ws train --model clip --steps 0
expect_status 0 'a plan' t3d -C ws train --model clip --plan
like "$out" 'parameters' 'counts parameters'
like "$out" 'largest batch' 'and the largest batch'

# --- blocks computed again ------------------------------------------------------------------------------------------
for model in turbo3d reconstructor; do
	for again in '' no-; do
		t3d -C ws train --model $model --run "$model$again" --steps 6 --batch-size 2 --seed 3 -j 2 -q --validate-every 0 \
			--${again}gradient-checkpointing
	done
	cmp ws/runs/$model/model.safetensors ws/runs/${model}no-/model.safetensors
	ok $? "$model: the same weights"
done
expect_status 0 'a plan with them' t3d train --model turbo3d --size small --batch-size 8 --gradient-checkpointing --plan
like "$out" 'backward.*of these .* computed again' 'counts what they cost'
like "$out" 'with --no-gradient-checkpointing: .* MiB in all, backward .* GFLOP, largest batch' 'and what it would be without'
is "$(printf '%s\n' "$out" | awk '/^in all/ {a = $3} /^with/ {print (4 * a < $3)}')" 1 'which is more than four times the memory'
done_testing
