#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fifty kills: the chain is killed at random moments and goes on; what it ends with must be whole and
# equal to an undisturbed run byte for byte.
. "$T3D_SOURCE/tests/lib.sh"

objects=600
shards() {
	(cd "$1/renders" && find . -type f | sort | xargs sha256sum)
}
chain() {
	t3d -C "$1" fetch primitives --count $objects -q && t3d -C "$1" filter -q --remove-broken-meshes &&
		t3d -C "$1" render -q --resolution 64 --num-views 8 && t3d -C "$1" splits -q
}

expect_status 0 'an undisturbed run' chain calm
kills=0 runs=0
while [ $kills -lt 50 ] && [ $runs -lt 400 ]; do
	runs=$((runs + 1))
	# 20 to 219 ms, from the counter, so that a failure can be repeated
	ms=$((20 + runs * 7919 % 200))
	case $((runs % 10)) in
	0) set -- fetch primitives --count $objects -q ;;
	1 | 2) set -- filter -q --remove-broken-meshes --redo ;;
	*) set -- render -q --resolution 64 --num-views 8 ;;
	esac
	[ $runs -gt 4 ] || set -- fetch primitives --count $objects -q
	timeout -s KILL "$(printf 0.%03d $ms)" t3d -C wild "$@" 2>>log
	status=$?
	case $status in
	137) kills=$((kills + 1)) ;;
	0) [ "$1" = render ] && t3d -C wild render -q --resolution 64 --num-views 8 --redo --dry-run >/dev/null ;;
	*) echo "# run $runs, $*: exit $status: $(tail -1 log)" ;;
	esac
done
is $kills 50 'fifty kills'
expect_status 0 'the chain goes on to its end' chain wild
is "$(t3d -C wild manifest check)" '' 'the workspace is whole'
is "$(shards wild)" "$(shards calm)" 'the shards are those of the undisturbed run'
is "$(find wild -name '*.tmp' -o -name '*.part' -o -name '*.journal')" '' 'no temporary file is left'
is "$(t3d -C wild manifest list --stage render --state ok | wc -l)" $objects 'every object was done once'
is "$(jq -cS .splits wild/splits.json)" "$(jq -cS .splits calm/splits.json)" 'the splits are the same'
done_testing
