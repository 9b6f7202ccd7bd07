#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d filter: measures, thresholds, reasons.
. "$T3D_SOURCE/tests/lib.sh"

mkdir in
# A closed cube of 12 triangles, an open quad, and files that are broken in one way each.
cat >in/cube.obj <<'X'
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
f 4 3 2 1
f 5 6 7 8
f 1 2 6 5
f 2 3 7 6
f 3 4 8 7
f 4 1 5 8
X
printf 'v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n' >in/quad.obj
printf 'v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 9\nf 1 2 3\n' >in/index.obj
printf 'v 0 0 0\nv nan 0 0\nv 1 1 0\nf 1 2 3\n' >in/nan.obj
printf '<!DOCTYPE html><html><body>404</body></html>' >in/page.glb
printf 'glTF\002\000\000\000\377\377\000\000' >in/short.glb
printf 'v 0 0 0\n' >in/points.obj
: >in/empty.stl
printf 'v 1 2 3\nf 1 1 1\n' >in/dot.obj
t3d fetch local in -q
t3d filter --remove-broken-meshes --rejects r.ndjson
is $? 3 'broken files make the run partial'

state() { t3d manifest list | jq -r --arg p "$1" 'select(.source==$p) | "\(.stages.filter.state) \(.stages.filter.reason // "")"'; }
measure() { t3d manifest list | jq -r --arg p "$1" "select(.source==\$p) | .measures.$2"; }
is "$(state cube.obj)" 'ok ' 'a good cube passes'
is "$(measure cube.obj triangles)" 12 'its triangles'
is "$(measure cube.obj watertight)" true 'it is watertight'
is "$(measure cube.obj volume)" 1 'its volume'
is "$(measure cube.obj boundary_edges) $(measure cube.obj nonmanifold_edges)" '0 0' 'its edges'
is "$(state quad.obj)" 'ok ' 'an open quad passes without --require-watertight'
is "$(measure quad.obj boundary_edges)" 4 'its boundary'
for f in index.obj nan.obj points.obj dot.obj page.glb short.glb empty.stl; do
	like "$(state $f)" '^(reject|fail) ..' "$f has a reason"
done
is "$(jq -c 'select(.reason=="unknown-format")' r.ndjson | grep -ci html)" 1 'the page is named for what it is'

t3d filter -q --require-watertight
is "$(state quad.obj)" 'reject not-watertight' 'another threshold decides anew'
t3d filter -q --min-polygons 3
is "$(state quad.obj)" 'reject too-few-polygons' 'too few polygons'
is "$(t3d manifest list | jq -r 'select(.source=="quad.obj") | .stages.filter.value')" 2 'with the value'
t3d filter -q
is "$(state quad.obj)" 'ok ' 'without thresholds it passes'
is "$(state points.obj)" 'reject no-triangles' 'an object without triangles never does'
is "$(state nan.obj)" 'reject non-finite' 'nor one whose triangles are all unusable, by what is wrong'
is "$(state dot.obj)" 'reject no-extent' 'nor one that is a point'
t3d filter -q --license-allow 'CC-*'
is "$(state cube.obj)" 'reject license' 'an unknown licence is not CC'
uid=$(t3d manifest list | jq -r 'select(.source=="cube.obj") | .uid')
t3d filter --explain "$uid" --min-polygons 100 >out
is "$(grep -c 'min-polygons.*REJECT' out)" 1 '--explain names the rule'
is "$(state cube.obj)" 'reject license' 'and changes nothing'
rm -f objects/*/"$uid"*
expect_status 3 '--redo measures again' t3d filter -q --redo
like "$(state cube.obj)" '^fail ' 'so an object that is gone is noticed'
expect_status 2 'a rule of --views without it' t3d filter --min-coverage 0.1
expect_status 2 'a limit that is not a number' t3d filter --min-polygons many
expect_status 2 'an unknown uid to explain' t3d filter --explain nobody
done_testing
