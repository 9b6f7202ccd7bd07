#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two hundred kills: fetch, filter and render are killed while they work and go on; what they end with must be
# whole and equal to an undisturbed run byte for byte.
. "$T3D_SOURCE/tests/lib.sh"

objects=600
shards() {
	(cd "$1/renders" && find . -type f | sort | xargs sha256sum)
}
# stage WORKSPACE STAGE [WRAPPER...]
stage() {
	ws=$1 name=$2
	shift 2
	case $name in
	fetch) "$@" t3d -C "$ws" fetch primitives --count $objects -q ;;
	filter) "$@" t3d -C "$ws" filter --remove-broken-meshes -q ;;
	render) "$@" t3d -C "$ws" render --resolution 64 --num-views 8 -q ;;
	esac
}
chain() {
	stage "$1" fetch && stage "$1" filter && stage "$1" render && t3d -C "$1" splits -q
}
# have STAGE: how many objects of wild it has done; fetch takes many into the manifest at once, so its files count.
have() {
	[ "$1" != fetch ] || {
		find wild/objects -name '*.glb' 2>/dev/null | wc -l
		return
	}
	n=$(t3d -C wild status --json 2>/dev/null | jq --arg s "$1" '[.stages[] | select(.stage == $s) | .ok][0] // 0')
	echo "${n:-0}"
}

expect_status 0 'an undisturbed run' chain calm
for s in fetch filter render; do
	case $s in
	fetch) wanted=50 most=60 ;;
	filter) wanted=50 most=90 ;;
	render) wanted=100 most=200 ;;
	esac
	kills=0 runs=0 amid=0
	while [ $kills -lt $wanted ] && [ $runs -lt 1500 ]; do
		runs=$((runs + 1))
		# from the counter, so that a failure can be repeated
		stage wild $s timeout -s KILL "$(printf 0.%03d $((12 + runs * 7919 % most)))" 2>>log
		status=$?
		done=$(have $s)
		case $status in
		137)
			kills=$((kills + 1))
			[ "$done" -eq 0 ] || [ "$done" -eq $objects ] || amid=$((amid + 1))
			;;
		0) ;;
		*) note "run $runs of $s: exit $status: $(tail -1 log)" ;;
		esac
		# All is done: begin anew with what the stage stands on.
		if [ $status -eq 0 ] || [ "$done" -eq $objects ] && [ $kills -lt $wanted ]; then
			case $s in
			fetch) rm -rf wild ;;
			filter) rm -rf wild && stage wild fetch ;;
			render) rm -rf wild && stage wild fetch && stage wild filter ;;
			esac
		fi
	done
	is $kills $wanted "$wanted kills of $s"
	[ $amid -ge 3 ]
	ok $? "some came when a part of its work was done ($amid)"
	stage wild $s
done
expect_status 0 'the chain goes on to its end' chain wild
is "$(t3d -C wild manifest check)" '' 'the workspace is whole'
is "$(shards wild)" "$(shards calm)" 'the shards are those of the undisturbed run'
is "$(find wild -name '*.tmp' -o -name '*.part' -o -name '*.journal' -o -name '*.lock')" '' 'no temporary file is left'
for s in fetch filter render; do
	is "$(t3d -C wild manifest list --stage $s --state ok | wc -l)" $objects "$s has done every object"
done
is "$(t3d -C wild manifest list | jq -c '[.uid, .num, .content, .measures]')" \
	"$(t3d -C calm manifest list | jq -c '[.uid, .num, .content, .measures]')" 'objects, numbers and measures are the same'
is "$(jq -cS .splits wild/splits.json)" "$(jq -cS .splits calm/splits.json)" 'the splits are the same'
done_testing
