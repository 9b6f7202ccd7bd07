#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator trained for a moment; what it makes is judged by form, not by beauty.
. "$T3D_SOURCE/tests/lib.sh"
export OMP_WAIT_POLICY=passive # tests share the machine

export T3D_WORKSPACE="$PWD/ws"
t3d fetch primitives --world core --count 12 --seed 3 2>/dev/null
t3d filter 2>/dev/null
t3d render --resolution 32 2>/dev/null
t3d splits --train 1 --val 0 --test 0 2>/dev/null
expect_status 0 'a run of a few steps' t3d train --model turbo3d --run tiny --steps 3 \
	--schedule-steps 3 --batch-size 2 --validate-every 0 --progress none
run=$T3D_WORKSPACE/runs/tiny
is "$(jq -s 'map(select(.loss)) | length' <"$run/log.ndjson")" 3 'a line of the log for each step'
is "$(jq -r .size <"$run/config.json")" nano 'config.json names the size'

expect_status 0 'an object as .ply' \
	t3d generate 'a red cube on a blue cylinder' --checkpoint "$run" -o one.ply
like "$(head -c 600 one.ply | strings)" 'comment prompt: a red cube on a blue cylinder' \
	'the prompt is in the file'
expect_status 0 'the same once more' \
	t3d generate 'a red cube on a blue cylinder' --checkpoint "$run" -o two.ply -j 1
ok "$(cmp -s one.ply two.ply; echo $?)" 'the same bytes for any number of threads'
printf '%s\n' 'a green torus' 'a red cube on a blue cylinder' '' 'a yellow cone' >prompts
expect_status 0 'prompts from a file into a folder' \
	t3d generate --prompts prompts --checkpoint "$run" -o many
is "$(ls many)" "$(printf '000000.ply\n000001.ply\n000002.ply')" 'a file for each prompt'
ok "$(cmp -s one.ply many/000001.ply; echo $?)" 'an object does not depend on its company'
expect_status 0 'another seed' \
	t3d generate 'a red cube on a blue cylinder' --checkpoint "$run" -o other.ply --seed 5
ok "$(! cmp -s one.ply other.ply; echo $?)" 'gives another object'
for f in x.splat x.png; do
	expect_status 0 "an object as $f" t3d generate 'a cone' --checkpoint "$run" -o $f
done
is "$(($(wc -c <x.splat) % 32))" 0 'a .splat has 32 bytes a Gaussian'
expect_status 0 'Gaussians in a .glb' t3d generate 'a cone' --checkpoint "$run" -o x.glb --format gltf-splat
is "$(head -c 4 x.glb)" glTF 'a .glb is one'
expect_status 0 'a mesh, by the model that comes with t3d' \
	t3d generate 'a red cube on a blue cylinder' -o mesh.glb
t3d generate 'a red cube on a blue cylinder' -o mesh-j1.glb -j 1 2>/dev/null
ok "$(cmp -s mesh.glb mesh-j1.glb; echo $?)" 'has the same bytes for any number of threads'
like "$(strings -n 100 mesh.glb | head -1)" '"extras":{"prompt":"a red cube on a blue cylinder","seed":"0"' \
	'says what it came from'
expect_status 0 'as .obj' t3d generate 'a red cube on a blue cylinder' -o mesh.obj
like "$(head -n 3 mesh.obj)" '# prompt: a red cube on a blue cylinder' 'says it too'
like "$(grep -m 1 '^v ' mesh.obj | wc -w)" 7 'with a colour for each vertex'
(
	export T3D_WORKSPACE="$PWD/meshes"
	t3d fetch local mesh.glb mesh.obj && t3d filter && t3d manifest export >meshes.ndjson
) 2>/dev/null
is "$(jq -s -c 'map(.measures | [.watertight, .winding_consistent, .has_vertex_colors]) | unique' <meshes.ndjson)" \
	'[[true,true,true]]' 'both are closed'
mkdir ply splat ref
t3d generate 'a red cube on a blue cylinder' -o ply/a.ply 2>/dev/null
t3d generate 'a red cube on a blue cylinder' -o splat/a.glb --format gltf-splat 2>/dev/null
cp mesh.glb ref/a.glb
for f in ply splat; do
	expect_status 0 "splats are measured: $f" t3d evaluate --pred $f --ref ref -o $f.json \
		--metrics chamfer,iou,psnr --points 5000 --resolution 64
	is "$(jq -c '.items[0].metrics | [."chamfer:surface-l1:ref-bbox1:n5000:from:tsdf128" < .0001,
		."iou:grid128:ref-bbox1:from:tsdf128" > .999, ."chamfer:centres-l1:ref-bbox1:n5000-points" < .1,
		."psnr:mask:ring16+4-64" > 8]' <$f.json)" '[true,true,true,true]' 'by the surface that the mesh has'
done
head -c 1000 ply/a.ply >ply/a.cut && mv ply/a.cut ply/a.ply
expect_status 3 'splats that are cut off' t3d evaluate --pred ply --ref ref -o cut.json --metrics chamfer
is "$(jq -r '.items[0].reason' <cut.json)" truncated 'fail with the reason'
expect_status 3 'an object without a surface' \
	t3d generate 'a cone' --checkpoint "$run" -o none.glb --min-opacity .9999
like "$(cat err)" 'a cone' 'is named'
ok "$([ ! -e none.glb ]; echo $?)" 'and leaves no file'
expect_status 0 'views in a folder' t3d generate 'a cone' --checkpoint "$run" -o v/ \
	--format views --resolution 64
is "$(find v -name '*.png' | wc -l)" 20 'a picture for each of the twenty cameras'
expect_status 0 'several objects on one sheet' t3d generate 'a cone' 'a cube' 'a torus' \
	--checkpoint "$run" -o three.png --resolution 32
height() {
	od -An -tu1 -j20 -N4 "$1" | awk '{ print $3 * 256 + $4 }'
}
t3d generate 'a cone' --checkpoint "$run" -o one.png --resolution 32 2>/dev/null
ok "$([ "$(height three.png)" -gt $((2 * $(height one.png))) ]; echo $?)" 'have a row each'
printf '{"uid":"x1","prompt":"a cube","seed":3}\n' | t3d generate - --checkpoint "$run" -o r >out
is "$(jq -r '.uid + " " + .path' <out)" 'x1 r/x1.ply' 'a record in, a record out'

# --- the judge of captions
expect_status 0 'captions are judged' t3d bench captions --checkpoint "$run" --count 3 \
	--num-diffusion-steps 1,2 --guidance 1
is "$(jq -r '[.split, .num_diffusion_steps, .objects] | @tsv' <out)" \
	"$(printf 'test\t1\t3\ntrain\t1\t3\ntest\t2\t3\ntrain\t2\t3')" 'a record for each setting and split'
is "$(jq -s -c 'map(.accuracy >= 0 and .lower_bound_95 <= .accuracy and .colors <= 1 and .shapes <= 1) | unique' <out)" \
	'[true]' 'with its figures'
for world in core three; do
	t3d bench captions --checkpoint "$run" --world $world --count 3 --num-diffusion-steps 1 --splits test --diversity-seeds 2 >"$world.json"
done
is "$(jq -s -c 'map([.candidates, (.candidates_sha256 | length), .clip, .same_encoder, .diversity_seeds])' core.json three.json)" \
	'[["core930",64,"clip-nano",false,2],["three1024",64,"clip-nano",false,2]]' 'richer worlds have candidates of their own'
is "$(jq -s -c 'map([.accuracy_of_world, .clip_r1, .clip_r1_of_world, .diversity, .diversity_of_world] | all(. >= 0 and . <= 1)) | unique' core.json three.json)" \
	'[true]' 'the world itself and a CLIP are asked too'
is "$(t3d bench captions --checkpoint "$run" --count 1 --num-diffusion-steps 1 --splits test --clip none --diversity-seeds 0 | jq -c '[has("clip_r1", "diversity")]')" \
	'[false,false]' 'or not'
for bad in '--world tree' '--clip nobody' '--diversity-seeds 65' '--count 0' '--num-diffusion-steps 0' '--num-diffusion-steps 4,x' '--guidance -1' '--splits none'; do
	# shellcheck disable=SC2086 # an option and its value
	expect_status 2 "$bad is refused" t3d bench captions --checkpoint "$run" $bad
done

expect_status 2 'no prompt' t3d generate --checkpoint "$run" -o x.ply
expect_status 2 'no output' t3d generate x --checkpoint "$run"
expect_status 2 'an unknown ending' t3d generate x --checkpoint "$run" -o x.stl
expect_status 2 'a uid that leads elsewhere' \
	sh -c "echo '{\"uid\":\"../x\",\"prompt\":\"y\"}' | t3d generate - --checkpoint $run -o r"
expect_status 2 'no such model' t3d generate x --checkpoint no-such-model -o x.ply
cp -r "$run" broken
head -c 1000 "$run/model.safetensors" >broken/model.safetensors
expect_status 1 'truncated weights' t3d generate x --checkpoint ./broken -o x.ply
cp "$run/model.safetensors" broken
sed 's/"width": *256/"width":128/' "$run/config.json" >broken/config.json
expect_status 1 'weights of another size' t3d generate x --checkpoint ./broken -o x.ply
like "$err" 'has another shape than config.json says' 'the tensor is named'

# --- parts
printf '%s\n' 'a cube' 'a cone' 'a torus' 'a star' 'a ring' >list
t3d generate --prompts list --checkpoint "$run" -o whole -q
mkdir parts
for i in 0 1 2; do
	t3d generate --prompts list --checkpoint "$run" -o parts -q --shard $i/3
	find parts -name '*.ply' | wc -l
done >counts
is "$(sort -n counts | tail -n 1)" 5 'the parts are the whole'
ok "$([ "$(head -n 1 counts)" -lt 5 ]; echo $?)" 'and a part is less'
ok "$(diff -r whole parts >&2; echo $?)" 'with the same bytes'
expect_status 2 'a training run has no parts' t3d train --model turbo3d --run tiny --shard 0/2

# --- what is there already
before=$(stat -c '%i' whole/*.ply | sort | tr '\n' ' ')
rm whole/000002.ply
expect_status 0 'the same list once more' t3d generate --prompts list --checkpoint "$run" -o whole
like "$err" '1 objects, 4 were there already' 'makes what is missing'
ok "$(diff -r whole parts >&2; echo $?)" 'with the same bytes'
echo 'a torus of gold' >>list
expect_status 0 'a longer list' t3d generate --prompts list --checkpoint "$run" -o whole
like "$err" '1 objects, 5 were there already' 'makes what is new'
expect_status 0 'another guidance' t3d generate --prompts list --checkpoint "$run" -o whole --guidance 3
like "$err" ' 6 objects$' 'makes all'
expect_status 0 'and so does' t3d generate --prompts list --checkpoint "$run" -o whole --guidance 3 --redo
like "$err" ' 6 objects$' '--redo'
unlike "$(stat -c '%i' whole/*.ply | sort | tr '\n' ' ')" "^$before$" 'in new files'

# --- texts that nobody trained on
long=$(awk 'BEGIN { for (i = 0; i < 20000; i++) printf "cube "; }')
expect_status 0 'a prompt of 100 kB' t3d generate "$long" --checkpoint "$run" -o long.ply
like "$err" '1 prompts were longer than the model' 'is cut, with a warning'
expect_status 0 'unknown words' t3d generate 'a red Einhorn, 紫' --checkpoint "$run" -o words.ply
like "$err" "1 prompts have words that no caption of the training had \\('einhorn'\\)" 'are named'
expect_status 0 'known words' t3d generate 'A red cube on a blue cylinder' -o known.ply
unlike "$err" 'have words' 'are not'
like "$(head -c 600 words.ply)" 'prompt: a red Einhorn, 紫' 'stand in the file as they are'
expect_status 2 'no words' t3d generate ' ' --checkpoint "$run" -o x.ply
like "$err" 'a prompt has no words' 'are refused'
expect_status 2 'standard output' t3d generate x --checkpoint "$run" -o -
like "$err" 'give -o FILE or -o DIR' 'is refused'
[ ! -e ./- ]
ok $? 'and is no folder'

# --- validation: figures, samples, the best model, TensorBoard
t3d -C small fetch primitives --world one --count 30 -q && t3d -C small filter -q && t3d -C small render --resolution 32 -q
learn() { # RUN OPTION...
	name=$1
	shift
	t3d -C small train --model turbo3d --run "$name" --schedule-steps 4 --validate-every 2 -q "$@"
}
expect_status 0 'a run with validation' learn seen --batch-size 4 --steps 2 --keep-best
dir=small/runs/seen
is "$(jq -c 'select(.val_psnr) | [.step, .val_psnr > 1, .val_objects, .best, .sheet]' $dir/log.ndjson)" \
	'[2,true,1,true,"samples/step-00000002.png"]' 'has its figures in the log'
is "$(jq -s -c '[.[] | select(.loss) | .psnr_by_time | length] | unique' $dir/log.ndjson)" '[4]' 'and the loss by noise level'
is "$(head -c 4 $dir/samples/step-00000002.png | od -An -c | tr -d ' ')" '211PNG' 'a sheet of samples'
expect_status 0 'the best model' t3d generate 'a red cube' --checkpoint $dir/best -o best.ply
is "$(strings $dir/events.out.tfevents.t3d | grep -o -e brain.Event:2 -e val_psnr_by_time -e IHDR | sort -u | wc -l)" 3 \
	'TensorBoard is told'
expect_status 0 'micro-batches' learn parts --batch-size 2 --gradient-accumulation-steps 2 --steps 1
first_loss() {
	jq -s '[.[] | select(.loss).loss][0] * 10000 | round' "small/runs/$1/log.ndjson"
}
is "$(first_loss parts)" "$(first_loss seen)" 'add up to a batch'
expect_status 2 'rejects of a training' learn other --rejects x

# --- lists of prompts that cannot be meant
refuse() { # TEXT PATTERN
	printf '%b\n' "$1" >list
	expect_status 2 "refused: $1" t3d generate --prompts list --checkpoint "$run" -o bad
	like "$err" "^t3d generate: $2" 'and says why'
}
refuse '{"uid":"x","prompt":"a"}\n{"uid":"x","prompt":"b"}' "two objects have the uid 'x'"
refuse 'a cube\n{"uid":"000000","prompt":"b"}' "two objects have the uid '000000'"
refuse 'a cube\n{"prompt":' 'list, line 2: what begins with \{ is not a JSON object'
refuse '{"prompt":"a","seed":-1}' 'list, line 1: seed -1 is not a whole number'
refuse '{"prompt":"a","seed":1e300}' 'list, line 1: seed 1e\+300 is not a whole number'
refuse 'a \0377 cube' 'list, line 1: a prompt is not UTF-8'
refuse 'a \0000 cube' 'list, line 1: a prompt of 8 bytes, or with a NUL'
ok "$([ ! -e bad ]; echo $?)" 'nothing was written'

done_testing
