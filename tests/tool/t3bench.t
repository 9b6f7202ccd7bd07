#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d bench t3bench: rows, sets and names; a second run does nothing twice; bad prompts and bad judges.
. "$T3D_SOURCE/tests/lib.sh"

t3d embed --explain >/dev/null 2>&1 || skip_all 'clip-nano is not there'
bench() {
	t3d bench t3bench --viewpoints 12 --resolution 64 --progress none "$@"
}
mkdir prompts
printf 'a red cube\r\n\n  a blue sphere\n' >prompts/prompt_one.txt
printf 'a green cone on a yellow cube' >prompts/prompt_two.txt
echo 'no set of T3Bench' >prompts/notes.txt

expect_status 0 'the stub as judge' bench --prompts prompts --judge stub -o a.json
is "$(jq -r '.items | map(.uid + " " + .prompt) | join(", ")' a.json)" \
	'one/001 a red cube, one/003 a blue sphere, two/001 a green cone on a yellow cube' 'an item a line, named by set and line'
is "$(jq -r '.settings | .judge, .captioner, .as, .scorer, .viewpoints' a.json | tr '\n' ' ')" 'stub stub coded clip-nano 12 ' \
	'the settings say who judged'
is "$(jq -r '.summary | keys | join(" ")' a.json)" \
	't3bench t3bench-alignment:coded:stub:64 t3bench-quality:coded:clip-nano:v12x5-64' 'full names, and no score of the tables'
is "$(jq -r '.summary.t3bench | .mean, .pass' a.json | tr '\n' ' ')" 'null n/a ' 'which is n/a'
is "$(jq -r '.groups | map_values(.["t3bench-alignment:coded:stub:64"].n) | tojson' a.json)" '{"one":2,"two":1}' 'a summary for each set'
is "$(jq -r '.items[0] | (.captions | length), .caption, .score, .metrics["t3bench-alignment:coded:stub:64"]' a.json | tr '\n' ' ')" \
	'12 red 3 50 ' 'captions, what was made of them, and the score of the tables'
like "$err" 'judge was the stub' 'and it is said that these say little'
cp a.json before.json
expect_status 0 'again' bench --prompts prompts --judge stub -o a.json
like "$err" '3 of 3 items are those of an earlier run' 'does nothing twice'
is "$(cat a.json)" "$(cat before.json)" 'and gives the same'
expect_status 0 'the other door' t3d evaluate --benchmark t3bench --viewpoints 12 --resolution 64 --progress none \
	--prompts prompts --judge stub -o b.json -j 1
is "$(cat b.json)" "$(cat before.json)" 'gives the same on one thread'
expect_status 0 'read as the paper describes it' bench --prompts prompts --judge stub -o d.json --as described
is "$(jq -c '.items | map(.metrics[])' d.json | tr -d '[]' | cut -d, -f1)" \
	"$(jq -c '.items | map(.metrics[])' a.json | tr -d '[]' | cut -d, -f1)" 'the quality is the same'
expect_status 0 'without a judge' bench --prompts prompts/prompt_one.txt -o c.json --count 1
is "$(jq -r '(.items | length), .summary["t3bench-alignment"].pass' c.json | tr '\n' ' ')" '1 n/a ' 'there is no alignment'
expect_status 0 'a part' bench --prompts prompts --shard 0/2 -o p0.json
expect_status 0 'and the other' bench --prompts prompts --shard 1/2 -o p1.json
is "$(jq -s 'map(.items[].uid) | sort | join(" ")' p0.json p1.json)" '"one/001 one/003 two/001"' 'are the whole'

# --- what it would take -------------------------------------------------------------------------------------
expect_status 0 'dry run' bench --prompts prompts --judge stub -o none.json --dry-run
is "$(echo "$out" | jq -c '[.prompts, .left, .pictures, .calls.caption, .calls.merge, .calls.score, .seconds > 0]')" \
	'[3,3,180,36,3,3,true]' 'says calls and time'
[ ! -e none.json ] && [ ! -e none.json.cache ]
ok $? 'and leaves nothing behind'
expect_status 0 'dry run after the run' bench --prompts prompts --judge stub -o a.json --dry-run
is "$(echo "$out" | jq -c '[.left, .pictures]')" '[0,0]' 'nothing is left to do'

# --- judges -------------------------------------------------------------------------------------------------
judge() { # NAME: a judge whose score is what `score` prints
	cat >"$1" <<-END
		while read -r l; do
			id=\${l#*\\"id\\":}; id=\${id%%[,\\}]*}
			case \$l in
			*'"task":"hello"'*) t=$1 ;;
			*'"task":"score"'*) $2 ;;
			*) t='a thing' ;;
			esac
			printf '{"id":%s,"text":"%s"}\n' "\$id" "\$t"
		done
	END
}
one='--prompts prompts/prompt_two.txt --timeout 1 --attempts 2'
judge prose "t='I would give it a 4'"
judge dead 'exit 1'
judge mute 'sleep 100'
judge flood "exec yes | tr -d '\\n'"
judge good 't=4'
for j in prose:judge-prose dead:judge-died mute:judge-timeout flood:judge-overflow; do
	# shellcheck disable=SC2086
	expect_status 3 "a judge: ${j%:*}" bench $one --judge "sh ${j%:*}" -o j.json --rejects rejects
	is "$(jq -r '.items[0] | .status, .reason, (.captions | length), (.metrics | length)' j.json | tr '\n' ' ')" \
		"fail ${j#*:} 12 1 " 'a row with the reason, its captions and its quality'
	is "$(jq -r '.uid + " " + .reason' rejects)" "two/001 ${j#*:}" 'and a line of --rejects'
done
is "$(jq -c '[.summary["t3bench-quality:coded:clip-nano:v12x5-64", "t3bench-alignment:coded:flood:64"] | .n, .failed]' j.json)" '[1,0,0,1]' \
	'it is counted where it failed'
# shellcheck disable=SC2086
expect_status 0 'a good judge afterwards' bench $one --judge 'sh good' -o j.json
is "$(jq -r '.items[0].metrics["t3bench-alignment:coded:good:64"]' j.json)" 75 'is asked again'
# shellcheck disable=SC2086
expect_status 1 'a judge that is none' bench $one --judge /nonexistent -o k.json
like "$err" 'ended with status 127' 'is said'
# shellcheck disable=SC2086
expect_status 0 'a captioner of its own' bench $one --captioner 'sh good' --judge stub -o l.json
is "$(jq -r '.items[0].metrics | keys[0]' l.json)" 't3bench-alignment:coded:good+stub:64' 'stands in the name'

# --- prompts and options ------------------------------------------------------------------------------------
bad() { # PATTERN NAME ARGUMENT...
	pattern=$1 name=$2
	shift 2
	expect_status 2 "$name" bench "$@" -o never.json
	like "$err" "$pattern" 'is said'
}
: >empty.txt; printf 'fine\nb\377d\n' >latin.txt; head -c 9000 /dev/zero | tr '\0' x >long.txt; mkdir none
printf 'a\0b\n' >nul.txt; cp latin.txt 'a b.txt'
bad 'name the prompts' 'no prompts'
bad 'No such file' 'prompts that are not there' --prompts nowhere
bad 'has no prompt' 'an empty file' --prompts empty.txt
bad 'latin.txt., line 2' 'a line that is not UTF-8' --prompts latin.txt
bad 'line 1' 'a line without end' --prompts long.txt
bad 'line 1' 'a NUL' --prompts nul.txt
bad 'has no .txt' 'a folder without prompts' --prompts none
bad 'there is a set' 'a set twice' --prompts prompts prompts/prompt_one.txt
bad 'becomes that of its set' 'a name that cannot be one' --prompts 'a b.txt'
bad '162, 42 or 12' 'a sphere that is none' --prompts prompts --viewpoints 100
bad 'give --judge too' 'a captioner alone' --prompts prompts --captioner x
bad 'fetch weights|no model' 'a scorer that is not there' --prompts prompts --scorer nothing
bad 'coded' 'a reading that is none' --prompts prompts --as paper
[ ! -e never.json ]
ok $? 'no report is left of these'
echo '[1]' >bad.cache
expect_status 1 'a cache that is none' bench --prompts prompts --cache bad.cache -o m.json
is "$(find . -name '*.tmp*')" '' 'no temporary file is left'
done_testing
