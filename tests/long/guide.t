#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every block of commands of doc/guide.md, in order, in one folder.
. "$T3D_SOURCE/tests/lib.sh"

# Blocks 1.sh, 2.sh, ...; an export of one holds for those that follow.
awk '/^```sh$/ { n++; on = 1; printf "%s", exports >(n ".sh"); next }
	/^```$/ { on = 0 }
	on { print >(n ".sh") }
	on && /^export / { exports = exports $0 "\n" }
	END { print n >"count" }' "$T3D_SOURCE/doc/guide.md"
n=$(cat count)
ok "$([ "$n" -gt 8 ]; echo $?)" 'the guide has blocks'
for i in $(seq "$n"); do
	expect_status 0 "block $i: $(grep -m1 '^t3d' "$i.sh")" sh -e "./$i.sh"
done
is "$(jq -r .reason rejects.ndjson)" too-few-polygons 'the flat object is rejected'
is "$(jq '.counts | add' work/splits.json)" 41 'the others are divided'

# Each option that filter, render and splits have by the guides is one that they take.
for o in min-polygons max-polygons min-texture-res remove-broken-meshes; do
	like "$(t3d filter --help)" "--$o" "filter has --$o"
done
for o in num-views resolution output-dir; do
	like "$(t3d render --help)" "--$o" "render has --$o"
done
done_testing
