#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The data chain from objects to shards, by the shell.
. "$T3D_SOURCE/tests/lib.sh"

shards() {
	(cd "$1/renders" && find . -name '*.tar' -o -name '*.idx' | sort | xargs sha256sum)
}

expect_status 0 'fetch primitives' t3d -C a fetch primitives --count 12 --seed 7
expect_status 0 'filter' t3d -C a filter --min-polygons 12 --remove-broken-meshes
expect_status 0 'render' t3d -C a render --resolution 64 -j 1 --sheet a/sheet.png
expect_status 0 'filter --views' t3d -C a filter --views --min-coverage 0.001
expect_status 0 'splits' t3d -C a splits
is "$(t3d -C a manifest list --stage render --state ok | wc -l)" 12 'twelve objects are rendered'
is "$(t3d -C a manifest list | jq -r '.split // empty' | wc -l)" 12 'every record has a split'
is "$(find a/renders -name '*.tar' | wc -l)" 1 'one shard'
is "$(tar tf a/renders/*/000000.tar | sed 's/\..*//' | uniq -c | awk '{ print $1 }' | sort -u)" 23 'a sample has text, cameras and 20 views'
is "$(tar tf a/renders/*/000000.tar | sed 's/^[0-9a-f]*\.//' | sort -u | head -4 | paste -sd' ')" 'cameras.json json txt v00.png' 'members are those of the sample'
is "$(cat a/renders/*/000000.idx | wc -l)" "$(tar tf a/renders/*/000000.tar | wc -l)" 'the index has a line a member'
is "$(t3d -C a manifest check)" '' 'the workspace is whole'

before=$(shards a)
expect_status 0 'a second render does nothing' t3d -C a render --resolution 64
is "$(shards a)" "$before" 'and leaves the shards'

t3d -C b fetch primitives --count 12 --seed 7 -q && t3d -C b filter -q --min-polygons 12 --remove-broken-meshes &&
	t3d -C b render -q --resolution 64 -j 2
is "$(shards b)" "$before" 'shards are the same bytes at -j 1 and -j 2'

t3d -C c fetch primitives --count 12 --seed 7 -q
out=$(t3d -C c manifest list | head -5 | t3d -C c filter - | t3d -C c render - --resolution 64 | jq -r .uid)
is "$out" "$(t3d -C c manifest list | head -5 | jq -r .uid)" 'the pipe gives the uids in order'
is "$(t3d -C c manifest list --stage render --state ok | wc -l)" 5 'only those are rendered'
t3d -C c filter -q --min-polygons 12 --remove-broken-meshes && t3d -C c render -q --resolution 64
is "$(shards c)" "$before" 'the rest joins them to the same bytes'

is "$(t3d -C c manifest list | head -1 | jq -c '.mine = "kept"' | t3d -C c filter - | jq -r .mine)" 'kept' 'a field of the record passes through'
t3d -C c manifest list | head -1 | jq -c '.uid = "no-such-object"' | t3d -C c filter - --rejects r.ndjson >out
is $? 3 'an unknown uid fails'
is "$(jq -r .reason r.ndjson)" unknown-uid 'with a reason'
is "$(cat out)" '' 'and is not passed on'
expect_status 0 'a closed pipe is quiet' sh -c 't3d -C a manifest list | head -1 >/dev/null'
done_testing
