#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator whose text comes from frozen networks: features by embed, training, objects, and what is refused.
. "$T3D_SOURCE/tests/lib.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

export T3D_WORKSPACE="$PWD/ws"
{
	t3d fetch primitives --world one --count 30
	t3d filter
	t3d render --resolution 32
} 2>/dev/null
runs=$T3D_WORKSPACE/runs
# begin RUN ENCODERS OPTION...
begin() {
	run=$1 encoders=$2
	shift 2
	t3d train --model turbo3d --run "$run" --text-encoder "$encoders" --schedule-steps 3 --batch-size 2 \
		--validate-every 0 -q "$@"
}
sums() {
	(cd "$runs/$1" && sha256sum config.json model.safetensors checkpoints/step-00000003.safetensors)
}

# --- features come first ---------------------------------------------------------------------------------------
t3d embed --inputs texts --tokens -q --shard 0/2 -o parts
expect_status 2 'without features' begin clip clip-nano
like "$err" 't3d embed --model clip-nano --tokens' 'the command that makes them is named'
t3d embed --inputs texts -q
expect_status 2 'with rows of whole captions alone' begin clip clip-nano
like "$err" 't3d embed --model clip-nano --tokens' 'likewise'
t3d embed --inputs texts --tokens -q
expect_status 0 'with token features' begin clip clip-nano
mv "$T3D_WORKSPACE/embeddings/clip-nano" one-part && cp -r parts "$T3D_WORKSPACE/embeddings/clip-nano"
expect_status 2 'with half of them' begin halves clip-nano
like "$err" "has no token features of 'clip-nano'" 'a caption is named'
t3d embed --inputs texts --tokens -q --shard 1/2 -o "$T3D_WORKSPACE/embeddings/clip-nano"
expect_status 0 'in two parts' begin halves clip-nano
is "$(sums halves)" "$(sums clip)" 'the same weights'
rm -r "$T3D_WORKSPACE/embeddings/clip-nano" && mv one-part "$T3D_WORKSPACE/embeddings/clip-nano"
is "$(jq -c '[.vocabulary, .text_tokens, (.text_encoders[] | .model, .family, .tokens, (.weights_sha256 | length))]' \
	"$runs/clip/config.json")" '[null,16,"clip-nano","clip",16,64]' 'config.json says whose they are'
ok "$([ ! -e "$runs/clip/vocab.json" ]; echo $?)" 'and there is no vocabulary'

# --- k + (n - k) steps, any threads, the guide's spelling ----------------------------------------------------------
t3d train --model turbo3d --run parts --text_encoder clip_nano --schedule-steps 3 --batch-size 2 --validate-every 2 \
	--steps 2 --checkpoint-every 1 -q -j 1
ok "$([ -s "$runs/parts/samples/step-00000002.png" ]; echo $?)" 'validation draws captions by their features'
begin parts clip-nano -j 3
begin whole clip-nano -j 2 --validate-every 2
is "$(sums parts)" "$(sums whole)" 'stopped and gone on with, other threads: the same weights'
is "$(sums clip | head -n 2)" "$(sums whole | head -n 2)" 'validation changes nothing'
expect_status 0 'room for three tokens' t3d train --model turbo3d --run short --text-encoder clip-nano --text-tokens 3 \
	--schedule-steps 1 --batch-size 2 --validate-every 0 --progress none
like "$err" '[0-9]+ captions are longer than 3 tokens and were cut' 'captions are cut, with a warning'
expect_status 2 'words of its own in such a run' begin whole learned
like "$err" '--text-encoder.*--redo' 'are refused'

# --- objects ---------------------------------------------------------------------------------------------------
expect_status 0 'an object' t3d generate 'a red cube' --checkpoint "$runs/clip" -o one.ply
t3d generate 'a blue cone' 'a red cube' --checkpoint "$runs/clip" -o two -q -j 1
ok "$(cmp -s one.ply two/000001.ply; echo $?)" 'does not depend on its company, nor on threads'
ok "$(! cmp -s two/000000.ply two/000001.ply; echo $?)" 'but on its text'
long=$(awk 'BEGIN { for (i = 0; i < 20000; i++) printf "cube "; }')
expect_status 0 'a prompt of 100 kB' t3d generate "$long" --checkpoint "$runs/clip" -o long.ply
like "$err" "longer than the model's 16 tokens" 'is cut, with a warning'
expect_status 0 'a word nobody trained on' t3d generate 'a red Einhorn' --checkpoint "$runs/clip" -o word.ply
unlike "$err" 'no caption' 'is the network'"'"'s matter'
printf 'a red cube\n' >prompt_x.txt
expect_status 0 't3bench' t3d bench t3bench --checkpoint "$runs/clip" --prompts prompt_x.txt --viewpoints 12 --resolution 64 \
	--text-encoder "$T3D_SOURCE/models/clip-nano" -o t3bench.json

# --- two networks ------------------------------------------------------------------------------------------------
mkdir t5-tiny
cp "$T3D_SOURCE/tests/ref/t5/v10/config.json" "$T3D_SOURCE/tests/ref/t5/v10/model.safetensors" t5-tiny
awk 'BEGIN {
	printf "{\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
	printf "{\"type\":\"Metaspace\",\"replacement\":\"\342\226\201\"}]},\"post_processor\":{\"single\":[{\"Sequence\":"
	printf "{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"</s>\"}}],\"special_tokens\":{\"</s>\":{\"ids\":[1]}}},"
	printf "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"</s>\",0],[\"\342\226\201\",-4]"
	for (i = 0; i < 26; i++) printf ",[\"%c\",-9]", 97 + i
	n = split("a red green blue yellow purple cyan cube sphere cone cylinder torus", w, " ")
	for (i = 1; i <= n; i++) printf ",[\"\342\226\201%s\",-%d]", w[i], 4 + i
	print "]}}"
}' >t5-tiny/tokenizer.json
expect_status 0 'features of a T5' t3d embed --model ./t5-tiny --tokens -q
expect_status 0 'both together' begin both clip-nano,./t5-tiny --text-tokens 12
is "$(jq -c '[.text_encoders[] | .model, .family, .tokens, .width]' "$runs/both/config.json")" \
	'["clip-nano","clip",12,96,"t5-tiny","t5",12,20]' 'stand in config.json'
expect_status 0 'the plan' t3d train --model turbo3d --text-encoder clip-nano,t5-tiny --plan
like "$(cat out)" 'parameters with features of clip-nano,t5-tiny' 'names them'
expect_status 2 'a T5 that is not among the models' t3d generate 'a red cube' --checkpoint "$runs/both" -o both.ply
like "$err" "text from 't5-tiny'.*--text-encoder DIR" 'is asked for'
expect_status 0 'its folder' t3d generate 'a red cube' --checkpoint "$runs/both" -o both.ply --text-encoder ./t5-tiny
mkdir -p "$T3D_WORKSPACE/models" && cp -r t5-tiny "$T3D_WORKSPACE/models"
expect_status 0 'or its place' t3d generate 'a red cube' --checkpoint "$runs/both" -o again.ply -j 1
ok "$(cmp -s both.ply again.ply; echo $?)" 'the same object'
expect_status 0 'a T5 alone' begin t5 t5-tiny
expect_status 0 'goes on from weights with other text' begin t5b t5-tiny --pretrained "$runs/both"
is "$(jq -c '[.other_text, .other_shape // []] | map(length > 0)' "$runs/t5b/pretrained.json")" '[true,false]' 'but for the text'

# --- what is refused ------------------------------------------------------------------------------------------
refuse() { # NAME PATTERN COMMAND...
	name=$1 pattern=$2
	shift 2
	expect_status 2 "$name" "$@"
	like "$err" "$pattern" 'and says why'
}
cp -r t5-tiny other
printf '\001' | dd of=other/model.safetensors bs=1 seek=$(($(wc -c <other/model.safetensors) - 2)) conv=notrunc 2>/dev/null
hash=$(jq -r '.text_encoders[1].weights_sha256' "$runs/both/config.json")
refuse 'another encoder' "'./other' has weights of SHA-256 [0-9a-f]{64}, .*'t5-tiny' of $hash" \
	t3d generate x --checkpoint "$runs/both" -o x.ply --text-encoder ./other
rm -r "$T3D_WORKSPACE/models/t5-tiny" && cp -r other "$T3D_WORKSPACE/models/t5-tiny"
refuse 'another one in its place' "of SHA-256 [0-9a-f]{64}, .*'t5-tiny' of $hash" \
	t3d generate x --checkpoint "$runs/both" -o x.ply
refuse 'by bench captions' 'of SHA-256' t3d bench captions --checkpoint "$runs/both" --text-encoder ./other
refuse 'by evaluate' 'of SHA-256' t3d evaluate --checkpoint "$runs/both" --split all --text-encoder ./other -o x.json
refuse 'an encoder for a model without' 'leave out --text-encoder' t3d generate x -o x.ply --text-encoder clip-nano
refuse 'a third one' 'names 3 networks, the model takes 2' t3d generate x --checkpoint "$runs/both" -o x.ply \
	--text-encoder ./t5-tiny,clip-nano,./t5-tiny
refuse 'three to train on' 'two networks at most' begin x clip-nano,t5-tiny,other
refuse 'one twice' "'clip-nano' twice" begin x clip-nano,clip-nano
refuse 'nothing' 'not a model' begin x clip-nano,
refuse 'for another model' 'are for --model turbo3d' t3d train --model clip --text-encoder clip-nano
refuse 'too few tokens' 'within 2 and 512' begin x clip-nano --text-tokens 1
e=$T3D_WORKSPACE/embeddings
cp -r "$e/clip-nano" kept
sed -i 's/"caption":"[^"]*"/"caption":"another"/' "$e/clip-nano/tokens.ndjson"
refuse 'features of other captions' "has no token features of 'clip-nano': run .t3d embed --model clip-nano --tokens" begin x clip-nano
cp kept/tokens.ndjson "$e/clip-nano"
truncate -s -100 "$e/clip-nano/tokens.npy"
expect_status 1 'features that are cut off' begin x clip-nano
like "$err" 't3d embed --model clip-nano --tokens --redo' 'with what to do'
cp kept/tokens.npy "$e/clip-nano"
sed -i 's/"row":0,/"row":999999,/' "$e/clip-nano/tokens.ndjson"
expect_status 1 'an index of other rows' begin x clip-nano
cp kept/tokens.ndjson "$e/clip-nano"
t3d embed --model ./other --tokens -q -o "$e/t5-tiny"
expect_status 1 'features of another network in a run' begin t5 t5-tiny
like "$err" 'made with other settings' 'are refused'
done_testing
