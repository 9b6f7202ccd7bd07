#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole chain, real and small, in build/demo/: objects to training shards, a generator trained from nothing, and
# from texts to objects by the generator that comes with t3d. It ends in one page to look at.
set -eu
cd "$(dirname "$0")/.."
work=build/demo
rm -rf "$work"
mkdir -p "$work"
T3D_WORKSPACE=$work
export T3D_WORKSPACE

say() {
	printf '\n--- %s\n' "$*"
}
step() {
	printf '\n$ t3d %s\n' "$*"
	t3d "$@"
}
# accuracy WHO OPTION...: how many objects are what their captions say, by nearest canonical picture.
accuracy() {
	who=$1
	shift
	printf '\n$ t3d bench captions %s\n' "$*"
	t3d bench captions "$@" | tee -a "$work/captions.ndjson" | jq -r --arg who "$who" \
		'"\($who): \(.accuracy * 1000 | round / 10) % of \(.objects) objects are what their caption says"'
}

say 'Objects become pictures, captions and training shards'
step fetch primitives --count 120
step filter --min-polygons 12 --remove-broken-meshes
step render --resolution 256 --sheet "$work/sheet.png"
step filter --views --min-coverage 0.005
step embed
step search 'a red sphere' 'an orange cylinder on a green sphere' 'a blue cube on an orange torus' 'a red cube' --top 6 --cell 96 --sheet "$work/search.png"
step splits --train .8 --val .1 --test .1
step status

say 'A generator learns a small world from nothing: one object, 30 captions (a minute or two)'
one=$work/one
step -C "$one" fetch primitives --world one --count 150
step -C "$one" filter
step -C "$one" render --resolution 32
step -C "$one" train --model turbo3d --run one --schedule-steps 400 --validate-every 0
accuracy 'this run' --checkpoint "$one/runs/one" --world one --splits all --count 90
step generate 'a red cube' 'a yellow torus' 'a purple cone' 'a green sphere' 'an orange cylinder' \
	--checkpoint "$one/runs/one" -o "$work/this-run.png" --resolution 128

say 'The generator that comes with t3d knows one object on another; most of its captions here are held out'
# the first is a scene that it was trained on, the others are held out
prompts='a red cube on a blue cylinder
a yellow sphere on an orange cube
a green sphere on a blue torus
a red cone on a blue cylinder
a yellow cylinder on a green cone'
printf '%s\n' "$prompts" >"$work/prompts.txt"
# the built-in world has a scene for each of them: what was asked for, to compare with
mkdir "$work/references"
t3d -C "$work/world" fetch primitives --world core --count 930 -q
t3d -C "$work/world" manifest list | jq -r --rawfile wanted "$work/prompts.txt" \
	'select(.caption as $c | $wanted | split("\n") | index($c)) | [.content, .caption] | @tsv' |
	while IFS="$(printf '\t')" read -r content caption; do
		name=$(printf '%s' "$caption" | sed 's/^an* //; s/ an* / /g; s/ /-/g')
		cp "$(find "$work/world/objects" -name "$content.glb")" "$work/references/$name.glb"
		jq -nc --arg uid "$name" --arg prompt "$caption" '{uid: $uid, prompt: $prompt, caption: $prompt}'
	done >"$work/prompts.ndjson"
step generate --prompts "$work/prompts.ndjson" -o "$work/generated"
step generate --prompts "$work/prompts.ndjson" --format glb -o "$work/meshes"
step generate --prompts "$work/prompts.txt" -o "$work/generated.png" --resolution 128
accuracy 'shipped' --splits test --count 222

say 'How near are they to what was asked for?'
step evaluate --pred "$work/generated" --ref "$work/references" --captions "$work/prompts.ndjson" --normalize self-bbox1 \
	--output "$work/evaluation.json"

step bench t3bench --prompts "$work/prompts.txt" --judge stub --viewpoints 12 --resolution 128 -o "$work/t3bench.json"

say 'Everything on one page'
step report "$work/evaluation.json" "$work/t3bench.json" "$work/captions.ndjson" "$one/runs/one/log.ndjson" \
	--objects "$work/generated" "$work/references" \
	--pictures "$work/generated.png" "$work/this-run.png" "$work/search.png" "$work/sheet.png" -o "$work/report.html"
printf '\nThe contact sheet: %s\nWhat texts find:   %s\nThe shards:        %s\nMade by this run:  %s\nMade by shipped:   %s (3D Gaussians: %s, meshes: %s)\nAll on one page:   %s\n' \
	"$PWD/$work/sheet.png" "$PWD/$work/search.png" "$PWD/$work/renders/" "$PWD/$work/this-run.png" "$PWD/$work/generated.png" \
	"$PWD/$work/generated/" "$PWD/$work/meshes/" "$PWD/$work/report.html"
