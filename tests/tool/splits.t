#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d splits: which objects are divided, how, and what stays when the set grows.
. "$T3D_SOURCE/tests/lib.sh"

q() {
	sqlite3 "$1/manifest.db" "$2"
}
# rendered WORKSPACE CONDITION: as if filter and render had passed these objects; one shape each.
rendered() {
	q "$1" "INSERT OR IGNORE INTO stage(id, name) SELECT count(*) + 1, 'filter' FROM stage;
		INSERT OR IGNORE INTO stage(id, name) SELECT count(*) + 1, 'render' FROM stage;
		INSERT OR REPLACE INTO stage_state(stage, num, state, attempt) SELECT stage.id, num, 1, 1
			FROM object, stage WHERE name IN ('filter', 'render') AND ($2);
		INSERT OR REPLACE INTO measure(num, stage, json) SELECT num, stage.id,
			json_object('geometry_hash', 'shape-' || uid) FROM object, stage WHERE name = 'filter' AND ($2);"
}
splits() {
	q "$1" 'SELECT uid, split FROM object WHERE split IS NOT NULL ORDER BY uid'
}
# The same from splits.json.
lists() {
	jq -r '{train, val, test} | to_entries[] | .key as $k | .value[] | . + "|" + $k' "$1" | LC_ALL=C sort
}
# plain WORKSPACE N: N files without split or group, each its own content.
plain() {
	rm -rf in && mkdir in
	i=0
	while [ $i -lt "$2" ]; do
		printf 'v 0 0 0\nv 1 0 0\nv 0 1 %d\nf 1 2 3\n' $i >"in/$i.obj"
		i=$((i + 1))
	done
	t3d -C "$1" fetch local in -q
}

# --- what is divided --------------------------------------------------------------------------------------
expect_status 2 'without a manifest' t3d -C none splits
like "$err" 't3d fetch' 'the command that makes one is named'
plain ws 400
expect_status 0 'nothing rendered' t3d -C ws splits
like "$err" 'no object is rendered' 'is said'
rendered ws 'num < 300'
expect_status 0 'rendered objects are divided' t3d -C ws splits
is "$(cat out)" '' 'stdout stays empty'
is "$(splits ws | wc -l)" 300 'all of them and no other'
is "$(lists ws/splits.json)" "$(splits ws)" 'splits.json says the same'
is "$(jq -c '[.schema, .seed, .shares, (.counts | add)]' ws/splits.json)" \
	'[1,0,{"train":0.8,"val":0.1,"test":0.1},300]' 'with seed, shares and counts'
is "$(jq -c '[.train, .val, .test] | map(. == sort) | all' ws/splits.json)" true 'and sorted lists'
is "$(jq '.counts.train >= 205 and .counts.train <= 275 and .counts.val > 9 and .counts.test > 9' ws/splits.json)" true \
	'the shares are about right'

# --- again, and more ---------------------------------------------------------------------------------------
before=$(splits ws)
sum=$(md5sum <ws/splits.json)
states=$(q ws 'SELECT * FROM state')
t3d -C ws splits -q
is "$(splits ws) $(q ws 'SELECT * FROM state') $(md5sum <ws/splits.json)" "$before $states $sum" 'a second run changes nothing'
rendered ws 1
t3d -C ws splits -q
is "$(splits ws | wc -l)" 400 'more objects'
splits ws >all
is "$(echo "$before" | LC_ALL=C join -t'|' - all | awk -F'|' '$2 == $3' | wc -l)" 300 'leave the older ones where they were'
plain fresh 400
rendered fresh 1
t3d -C fresh splits -q
is "$(splits fresh)" "$(cat all)" 'and all at once is the same'
t3d -C ws splits -q --seed 1
ok "$([ "$(splits ws)" != "$(cat all)" ]; echo $?)" 'another seed divides otherwise'
t3d -C ws splits -q --train 1 --val 0 --test 0
is "$(splits ws | grep -c train)" 400 'other shares divide anew'
t3d -C ws splits -q
is "$(splits ws)" "$(cat all)" 'and back'
q ws "UPDATE stage_state SET state = 2 WHERE stage = (SELECT id FROM stage WHERE name = 'render') AND num = 7"
t3d -C ws splits -q
is "$(jq '.counts | add' ws/splits.json)" 399 'what is no longer rendered is not listed'
q ws "INSERT INTO stage(id, name) SELECT count(*) + 1, 'filter-views' FROM stage;
	INSERT INTO stage_state(stage, num, state, attempt) SELECT id, num, 1 + (num % 2), 1 FROM object, stage
	WHERE name = 'filter-views'"
t3d -C ws splits -q -o elsewhere.json
is "$(jq '.counts | add' elsewhere.json)" 200 'nor what filter --views rejects'

# --- related objects -----------------------------------------------------------------------------------------
plain rel 60
rendered rel 1
q rel "UPDATE object SET \"group\" = 'g' || (num % 10) WHERE num < 40"
q rel "UPDATE measure SET json = json_object('geometry_hash', 'same') WHERE num >= 50"
t3d -C rel splits -q --train .34 --val .33 --test .33
is "$(q rel 'SELECT count(*) FROM (SELECT 1 FROM object WHERE "group" IS NOT NULL GROUP BY "group"
	HAVING count(DISTINCT split) > 1)')" 0 'a group is in one split'
is "$(q rel 'SELECT count(DISTINCT split) FROM object WHERE num >= 50')" 1 'the same shape is in one split'
is "$(q rel 'SELECT count(DISTINCT split) FROM object')" 3 'others are not'
one=$(q rel "SELECT \"group\" FROM object WHERE num < 10 AND split <> (SELECT split FROM object WHERE num = 0) LIMIT 1")
old=$(q rel 'SELECT split FROM object WHERE num = 0')
q rel "UPDATE measure SET json = json_object('geometry_hash', 'link')
	WHERE num = (SELECT max(num) FROM object WHERE \"group\" = '$one') OR num = 0"
expect_status 0 'an object that relates two groups' t3d -C rel splits --train .34 --val .33 --test .33
like "$err" '4 objects change their split' 'is reported'
is "$(q rel "SELECT DISTINCT split FROM object WHERE \"group\" IN ('g0', '$one')")" "$old" 'and the oldest wins'

# --- given splits -------------------------------------------------------------------------------------------
t3d -C p fetch primitives --count 60 --seed 3 -q
rendered p 1
given=$(splits p)
expect_status 0 'objects with given splits' t3d -C p splits --train 0 --val 0 --test 1
is "$(splits p)" "$given" 'keep them'
like "$err" '60 given by their source' 'and are counted'
plain mix 10
rendered mix 1
q mix "UPDATE object SET split = 'test', split_given = 1, \"group\" = 'a' WHERE num = 5;
	UPDATE object SET \"group\" = 'a' WHERE num < 5; UPDATE object SET split = 'val', split_given = 1,
	\"group\" = 'b' WHERE num = 6; UPDATE object SET split = 'train', split_given = 1, \"group\" = 'b' WHERE num = 7"
expect_status 0 'a given split in a group' t3d -C mix splits --train 1 --val 0 --test 0
is "$(q mix 'SELECT DISTINCT split FROM object WHERE num < 6')" test 'holds for the group'
is "$(q mix 'SELECT split FROM object WHERE num IN (6, 7)' | paste -sd' ')" 'val train' 'two given ones are both kept'
like "$err" '1 objects share geometry or group with one of another given split' 'and reported'

# --- records --------------------------------------------------------------------------------------------------
q fresh "SELECT json_object('uid', uid, 'mine', num) FROM object ORDER BY num DESC LIMIT 5" >records
expect_status 0 'records of stdin' sh -c 't3d -C fresh splits - <records'
is "$(cat out)" "$(q fresh "SELECT json_object('uid', uid, 'mine', num, 'split', split) FROM object
	ORDER BY num DESC LIMIT 5")" 'are passed on in order with their split'
q fresh "UPDATE stage_state SET state = 3 WHERE stage = (SELECT id FROM stage WHERE name = 'render') AND num = 399"
printf '{"uid":"nobody"}\nrubbish\n{"n":1}\n' >>records
expect_status 3 'records that cannot be divided' sh -c 't3d -C fresh splits - --rejects r.ndjson <records'
is "$(wc -l <out)" 4 'are not passed on'
is "$(jq -r '.status + " " + .reason' r.ndjson)" \
	"$(printf 'reject not-rendered\nfail unknown-uid\nfail not-json\nfail no-uid')" 'and have a reason'
expect_status 0 'a reader that goes' sh -c 't3d -C fresh splits - <records | head -1 >/dev/null'

mkdir tri
for i in $(seq 12); do printf 'v 0 0 0\nv 1 0 0\nv 0 %d 1\nf 1 2 3\n' "$i" >tri/$i.obj; done
t3d -C tri/ws fetch local tri -q
t3d -C tri/ws manifest list | t3d -C tri/ws splits - 2>err
is "$(grep -c 'only rendered objects' err)" 10 'not all of many are complained of on standard error'

# --- usage ------------------------------------------------------------------------------------------------------
expect_status 2 'shares that do not sum to 1' t3d -C ws splits --train .8 --val .1 --test .2
like "$err" '1\.1' 'the sum is said'
expect_status 2 'a share below 0' t3d -C ws splits --train 1.2 --val -.2 --test 0
expect_status 0 'shares within rounding' t3d -C ws splits --train .3333333 --val .3333333 --test .3333334
expect_status 2 'a part of the set' t3d -C ws splits --shard 0/2
like "$err" 'merge' 'is refused with what to do'
cp ws/manifest.db keep.db
expect_status 0 'a dry run' t3d -C ws splits --dry-run --seed 77
cmp -s ws/manifest.db keep.db
ok $? 'changes nothing'
done_testing
