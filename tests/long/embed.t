#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sixty kills of embed, over a workspace and over a list: what it ends with must be the files of an undisturbed run.
. "$T3D_SOURCE/tests/lib.sh"

t3d embed --explain >/dev/null 2>&1 || skip_all 'clip-nano is not there'
objects=200
sums() {
	(cd "$1" && find . -type f | sort | xargs sha256sum)
}
export T3D_WORKSPACE=w
t3d fetch primitives --count $objects -q && t3d filter -q && t3d render -q --resolution 64 --num-views 6
# Kills come within the time that an undisturbed run takes, so the list is long enough to take some on any machine.
for i in 1 2 3 4 5 6 7 8; do
	t3d manifest list | jq -r --arg i "$i" '.captions // [.caption] | .[] | . + " " + $i'
done >captions.txt
ms() {
	echo $(($(date +%s%N) / 1000000))
}
begin=$(ms)
t3d embed -q --tokens && cp -r w/embeddings/clip-nano calm
workspace_ms=$(($(ms) - begin)) begin=$(ms)
t3d embed -q --captions captions.txt --tokens -o calm-list
list_ms=$(($(ms) - begin))

# kills DIR MS COMMAND...: thirty times, up to MS after the start, from a counter; begins anew when all is done.
kills() {
	dir=$1 within=$2 n=0 runs=0 amid=0
	shift 2
	rm -rf "$dir"
	while [ $n -lt 30 ] && [ $runs -lt 600 ]; do
		runs=$((runs + 1)) status=0
		after=$((20 + runs * 7919 % within))
		timeout -s KILL "$((after / 1000)).$(printf %03d $((after % 1000)))" "$@" 2>>log || status=$?
		case $status in
		137)
			n=$((n + 1))
			[ -z "$(find "$dir" -name '*.journal' -size +0)" ] || amid=$((amid + 1))
			;;
		0) rm -rf "$dir" ;;
		*) note "run $runs: exit $status: $(tail -1 log)" ;;
		esac
	done 2>/dev/null
	is $n 30 'thirty kills'
	[ $amid -ge 3 ]
	ok $? "some came amid the work ($amid)"
	expect_status 0 'the next run goes on to the end' "$@"
}
kills w/embeddings/clip-nano "$workspace_ms" t3d embed -q --tokens
is "$(sums w/embeddings/clip-nano)" "$(sums calm)" 'a workspace: the files of an undisturbed run, and no others'
kills list "$list_ms" t3d embed -q --captions captions.txt --tokens -o list
is "$(sums list)" "$(sums calm-list)" 'a list: the files of an undisturbed run, and no others'
t3d embed 2>err
like "$(cat err)" "0 ok, .* $objects skipped" 'nothing is left to do'

# Two at once share the work.
rm -rf w/embeddings/clip-nano
t3d embed -q --tokens &
t3d embed -q --tokens
wait
is "$(sums w/embeddings/clip-nano)" "$(sums calm)" 'two runs at once give the same'
done_testing
