#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole chain, real and small: objects of the built-in world to training shards, and from texts to objects
# again by the generator that comes with t3d, in build/demo/.
set -eu
cd "$(dirname "$0")/.."
work=build/demo
rm -rf "$work"
mkdir -p "$work"
T3D_WORKSPACE=$work
export T3D_WORKSPACE

step() {
	printf '\n$ t3d %s\n' "$*"
	t3d "$@"
}
step fetch primitives --count 120
step filter --min-polygons 12 --remove-broken-meshes
step render --resolution 256 --sheet "$work/sheet.png"
step filter --views --min-coverage 0.005
step embed
step search 'a red sphere' 'an orange cylinder on a green sphere' 'a blue cube on an orange torus' 'a red cube' --top 6 --cell 96 --sheet "$work/search.png"
step splits --train .8 --val .1 --test .1
step status
# the first is a scene that the generator was trained on, the others are held out
prompts='a red cube on a blue cylinder
a yellow sphere on an orange cube
a green sphere on a blue torus
a red cone on a blue cylinder
a yellow cylinder on a green cone'
printf '%s\n' "$prompts" >"$work/prompts.txt"
step generate --prompts "$work/prompts.txt" -o "$work/generated"
step generate --prompts "$work/prompts.txt" -o "$work/generated.png" --resolution 128
step report --pictures "$work/generated.png" "$work/search.png" "$work/sheet.png" -o "$work/report.html"
printf '\nThe contact sheet: %s\nWhat texts find:   %s\nThe shards:        %s\nMade from texts:   %s (3D Gaussians: %s)\nAll on one page:   %s\n' \
	"$PWD/$work/sheet.png" "$PWD/$work/search.png" "$PWD/$work/renders/" "$PWD/$work/generated.png" "$PWD/$work/generated/" "$PWD/$work/report.html"
