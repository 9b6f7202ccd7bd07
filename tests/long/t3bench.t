#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Twenty kills of t3bench: it goes on where it was and ends with the report of a run that nobody disturbed. The time
# that --dry-run predicts is right within a factor of two, and a bit more where others use the machine.
. "$T3D_SOURCE/tests/lib.sh"

t3d embed --explain >/dev/null 2>&1 || skip_all 'clip-nano is not there'
bench() {
	report=$1
	shift
	"$@" t3d bench t3bench --prompts prompts --judge stub --viewpoints 42 --resolution 256 --progress none -o "$report"
}
mkdir prompts
t3d fetch primitives --count 60 --world core -q
t3d manifest list | jq -r '.captions[0] // .caption' | head -40 >prompts/prompt_seen.txt
printf 'a teapot\na horse that eats grass\nan owl\n%s\n' 'a chair beside a table' >prompts/prompt_other.txt
guess=$(t3d bench t3bench --prompts prompts --judge stub --viewpoints 42 --resolution 256 --dry-run -o calm.json 2>/dev/null | jq .seconds)
begin=$(date +%s)
expect_status 0 'an undisturbed run' bench calm.json
took=$(($(date +%s) - begin))
is "$(echo "$guess * 2.5 > $took && $took * 2.5 + 2 > $guess" | bc)" 1 "predicted $guess s, took $took s"
is "$(jq '.items | length' calm.json)" 44 'an item for each prompt'

kills=0 runs=0
while [ $kills -lt 20 ] && [ $runs -lt 200 ]; do
	runs=$((runs + 1)) status=0
	bench wild.json timeout -s KILL "$(printf %d.%03d $((runs * 7 % 3)) $((300 + runs * 7919 % 700)))" 2>log || status=$?
	case $status in
	137) kills=$((kills + 1)) ;;
	0) rm -rf wild.json* ;; # all is done: begin anew
	*) note "run $runs: exit $status: $(tail -n 1 log)" ;;
	esac
done
is $kills 20 'twenty kills'
expect_status 0 'the run goes on to its end' bench wild.json
is "$(cat wild.json)" "$(cat calm.json)" 'its report is that of the undisturbed one'
expect_status 0 'and again' bench wild.json
like "$err" '44 of 44 items are those of an earlier run' 'nothing is left to do'
is "$(find . -name '*.tmp')" '' 'no temporary file is left'
done_testing
