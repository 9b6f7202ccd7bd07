#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch: what is taken, how it is numbered and named, what a second run does, what is refused.
. "$T3D_SOURCE/tests/lib.sh"

# q WORKSPACE SQL: rows of the manifest, read without t3d.
q() {
	sqlite3 "$1/manifest.db" "$2"
}
# states WORKSPACE: "path state reason" of stage fetch, in number order.
states() {
	q "$1" "SELECT path || ' ' || state || ' ' || coalesce(reason, '') FROM object JOIN source USING (num)
		JOIN state USING (uid) WHERE stage = 'fetch' AND i = 0 ORDER BY num" | sed 's/ $//'
}
captions() {
	q "$1" "SELECT path || ': ' || text FROM caption JOIN source USING (num) WHERE source.i = 0
		ORDER BY num, caption.i"
}
# stored SHA256 ENDING: path in the content store.
stored() {
	echo "ws/objects/$(echo "$1" | cut -c1-2)/$1.$2"
}
sha() {
	sha256sum "$1" | cut -c1-64
}
triangle() {
	printf 'v 0 0 0\nv 1 0 0\nv 0 1 %s\nf 1 2 3\n' "$1"
}
gltf() {
	printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"%s","byteLength":4}],"images":[{"uri":"%s"}]}' "$1" "$2"
}

# --- a folder -----------------------------------------------------------------------------------------
mkdir -p in/b in/b-c in/.hidden
triangle 0 >in/b/x.obj
triangle 1 >in/b-c/x.OBJ
triangle 2 >in/B.obj
triangle 0 >in/z.obj
triangle 3 >in/.hidden/y.obj
echo text >in/note.txt
gltf 'data%20file.bin' t/skin.png >in/thing.gltf
printf 'bin!' >'in/data file.bin'
mkdir in/t
printf 'picture' >in/t/skin.png
ln -s .. in/b/loop

expect_status 0 'a folder is fetched' t3d -C ws fetch local in
is "$(cat out)" '' 'stdout stays empty'
like "$err" '4 new objects .* 1 again' 'the summary counts'
like "$err" '3 files of other kinds, 1 hidden names, 1 folders' 'and what was passed over'
is "$(q ws 'SELECT num, path FROM object JOIN source USING (num) ORDER BY num, i')" \
	"$(printf '0|B.obj\n1|b-c/x.OBJ\n2|b/x.obj\n2|z.obj\n3|thing.gltf')" \
	'numbers follow the bytes of the paths; one content is one object with two sources'
is "$(q ws 'SELECT uid FROM object WHERE num = 0')" "$(sha in/B.obj | cut -c1-32)" 'the uid is from the content'
cmp -s in/B.obj "$(stored "$(sha in/B.obj)" obj)"
ok $? 'the file is in the store'
parts=$(printf '%s\n%s\n%s' "$(sha in/thing.gltf)" "$(sha 'in/data file.bin') 4 data file.bin" \
	"$(sha in/t/skin.png) 7 t/skin.png" | awk 'NR == 1 { print; next } { print | "LC_ALL=C sort" }')
content=$(printf '%s\n' "$parts" | sha256sum | cut -c1-64)
is "$(q ws "SELECT lower(hex(content)), lower(hex(file)), bytes FROM object WHERE num = 3")" \
	"$content|$(sha in/thing.gltf)|$(($(wc -c <in/thing.gltf) + 11))" 'several files have the hash of their list'
is "$(cat "$(stored "$content" parts)")" "$parts" 'which is in the store'
cmp -s 'in/data file.bin' "$(stored "$(sha 'in/data file.bin')" bin)" && cmp -s in/t/skin.png "$(stored "$(sha in/t/skin.png)" png)"
ok $? 'and so are the parts'

# --- a second run ----------------------------------------------------------------------------------------
dump() {
	q "$1" 'SELECT * FROM object; SELECT * FROM source; SELECT * FROM caption;
		SELECT stage, uid, state, reason, message, attempt FROM state'
}
# Stamps of files that are two seconds old are relied on.
touch_old() {
	find "$1" -type f -exec touch -d '2020-01-01' {} +
}
touch_old in
sleep 2.1
t3d -C ws fetch local in -q
before=$(dump ws)
expect_status 0 'a second run' t3d -C ws fetch local in
like "$err" '0 new objects .* 0 again, 5 unchanged' 'does nothing'
is "$(dump ws)" "$before" 'and leaves the manifest as it was'
expect_status 0 'a run with --redo' t3d -C ws fetch local in --redo
like "$err" '0 new objects .* 5 again, 0 unchanged' 'reads everything again'
is "$(dump ws)" "$before" 'to the same manifest'
rm "$(stored "$(sha in/B.obj)" obj)" "$(stored "$(sha in/t/skin.png)" png)"
t3d -C ws fetch local in -q
cmp -s in/B.obj "$(stored "$(sha in/B.obj)" obj)" && cmp -s in/t/skin.png "$(stored "$(sha in/t/skin.png)" png)"
ok $? 'what was deleted from the store comes back'

t3d -C one fetch local in -q -j 1
t3d -C four fetch local in -q -j 4
is "$(dump one)" "$(dump four)" 'threads do not matter'
expect_status 0 'a dry run' t3d -C none fetch local in --dry-run
like "$err" '5 objects, 0 unchanged, 5 to fetch' 'says what there is to do'
ok "$([ ! -e none ]; echo $?)" 'and makes nothing'

# --- changes ------------------------------------------------------------------------------------------------
triangle 9 >in/B.obj
triangle 8 >in/z.obj
expect_status 0 'changed files' t3d -C ws fetch local in --rejects r.ndjson
like "$err" '2 new objects .* 1 modified' 'are new objects'
is "$(states ws)" "$(printf 'B.obj modified modified\nb-c/x.OBJ ok\nb/x.obj ok\nthing.gltf ok\nB.obj ok\nz.obj ok')" \
	'the old one is modified, unless another path still has it'
is "$(jq -r '.uid + " " + .stage + " " + .status' r.ndjson)" \
	"$(q ws 'SELECT uid FROM object WHERE num = 0') fetch modified" 'and is told'
triangle 2 >in/B.obj
t3d -C ws fetch local in -q
is "$(states ws | head -1)" 'B.obj ok' 'the first content again is the first object again'

# --- failures -----------------------------------------------------------------------------------------------
mkdir bad
gltf gone.bin gone.png >bad/buffer.gltf
gltf ok.bin gone.png >bad/picture.gltf
printf 'xxxx' >bad/ok.bin
gltf '../in/data file.bin' gone.png >bad/outside.gltf
printf '{"asset":' >bad/json.gltf
printf '<!DOCTYPE html><html>' >bad/page.glb
: >bad/empty.ply
printf 'glTF\2\0\0\0\377\0\0\0' >bad/short.glb
expect_status 3 'failures give status 3' t3d -C bad-ws fetch local bad bad/ok.bin nowhere.glb --rejects r.ndjson
is "$(states bad-ws | cut -d' ' -f1-3)" "$(printf '%s\n' 'buffer.gltf fail missing-file' 'empty.ply ok' \
	'json.gltf fail bad-json' 'ok.bin fail unknown-format' 'outside.gltf fail unsafe-name' 'page.glb ok' \
	'picture.gltf ok' 'short.glb ok' 'nowhere.glb missing missing-file')" 'each has its reason; bytes are for filter'
is "$(jq -r .reason r.ndjson | sort | uniq -c | awk '{ print $2, $1 }' | paste -sd' ')" \
	'bad-json 1 missing-file 2 unknown-format 1 unsafe-name 1' '--rejects lists them'
is "$(jq -r 'keys | join(",")' r.ndjson | sort -u)" message,path,reason,stage,status,uid,value 'with these members'
like "$err" "bad/buffer.gltf.*gone.bin" 'the message names the object and the file'
like "$err" '2 files that objects name are not there|[0-9] files that objects name' 'missing pictures are counted'
printf 'data' >bad/gone.bin
expect_status 3 'a part that turns up' t3d -C bad-ws fetch local bad
is "$(states bad-ws | grep buffer)" "$(printf 'buffer.gltf modified modified\nbuffer.gltf ok')" 'makes the object'
printf 'png' >bad/gone.png
t3d -C bad-ws fetch local bad -q
is "$(states bad-ws | grep -c 'picture.gltf modified')" 1 'a picture that turns up makes another one'
if [ "$(id -u)" -ne 0 ]; then
	chmod 0 in/z.obj
	expect_status 3 'a file that cannot be read' t3d -C ws fetch local in
	like "$err" "cannot open 'in/z.obj'" 'is named'
	is "$(states ws | grep -c 'z.obj ok')" 1 'the object it was stays'
	chmod 600 in/z.obj
fi

# --- captions, licences, given uids ----------------------------------------------------------------------------
mkdir cap
triangle 10 >cap/a.obj
triangle 11 >cap/b.obj
triangle 12 >cap/c.obj
triangle 10 >cap/same.obj
printf 'path,uid,sha256,caption,licence,pack\r\na.obj,chair-1,,"a ""red"" chair, old",CC0-1.0,p\r\n,,%s,by hash,,\r\ncap/c.obj,lamp,,by the longer path,MIT,\r\nnone.obj,,,nobody,,\r\nbroken\r\n' \
	"$(sha cap/b.obj)" >list.csv
expect_status 0 'a list of captions' t3d -C cap-ws fetch local cap --captions list.csv --license NOASSERTION
is "$(captions cap-ws)" "$(printf 'a.obj: a "red" chair, old\nb.obj: by hash\nc.obj: by the longer path')" 'is matched'
is "$(q cap-ws 'SELECT uid, license FROM object ORDER BY num' | cut -c1-20)" \
	"$(printf '%s\n' 'chair-1|CC0-1.0' "$(sha cap/b.obj | cut -c1-20)" 'lamp|MIT')" 'and gives uids and licences'
is "$(q cap-ws 'SELECT dataset FROM source ORDER BY num, i' | paste -sd' ')" 'p local local local' 'and the data set'
like "$err" '4 rows, 3 matched, 1 unmatched' 'counts matched and unmatched rows'
like "$err" '1 rows cannot be used; the first: line 6' 'and those that cannot be used'
printf '{"a": "from json", "%s": ["one", "two"]}' "$(sha cap/b.obj | cut -c1-32)" >list.json
expect_status 0 'another list for the same files' t3d -C cap-ws fetch local cap --captions list.json
is "$(captions cap-ws | head -3)" "$(printf 'a.obj: from json\nb.obj: one\nb.obj: two')" 'replaces captions by name and uid'
is "$(q cap-ws 'SELECT uid FROM object WHERE num = 0')" chair-1 'and no uid'
printf '{"path":"a.obj","uid":"first"}\n{"path":"same.obj","uid":"second"}\n' >uids.ndjson
expect_status 0 'two given uids for one content' t3d -C dup fetch local cap --captions uids.ndjson --rejects r.ndjson
is "$(states dup | tail -1)" 'same.obj reject duplicate-of first' 'the second is a duplicate'
is "$(jq -r '.uid + " " + .status + " " + .reason' r.ndjson)" 'second reject duplicate-of first' 'and is told'
printf '{"path":"a.obj","uid":"same"}\n{"path":"b.obj","uid":"same"}\n' >uids.ndjson
expect_status 3 'one uid for two contents' t3d -C dup2 fetch local cap --captions uids.ndjson
like "$err" "given the uid same, which 'a.obj'" 'is a failure that names both'
expect_status 0 'uids from names' t3d -C names fetch local cap/a.obj cap/b.obj --uid-from name --dataset mine
is "$(q names 'SELECT uid, dataset, path FROM object JOIN source USING (num)')" "$(printf 'a|mine|a.obj\nb|mine|b.obj')" \
	'are the names without ending'
printf 'path,caption\na.obj,"open' >cut.csv
expect_status 2 'a list that is cut off' t3d -C x fetch local cap --captions cut.csv
like "$err" 'line 2: a quoted field does not end' 'is refused with its line'
expect_status 2 'a list that is not there' t3d -C x fetch local cap --captions none.csv
expect_status 2 'no path' t3d -C x fetch local
expect_status 2 'an unknown data set' t3d -C x fetch primitive
like "$err" 'primitives' 'gets a suggestion'

# --- primitives ------------------------------------------------------------------------------------------------
expect_status 0 'the built-in world' t3d -C p fetch primitives --count 24 --seed 5 -j 2
is "$(q p 'SELECT count(*), min(split_given), count(DISTINCT uid) FROM object')" '24|1|24' 'gives that many, with splits'
is "$(q p 'SELECT count(DISTINCT num) FROM caption')" 24 'and captions'
is "$(q p "SELECT group_concat(DISTINCT license) || group_concat(DISTINCT dataset) FROM object JOIN source USING (num)")" \
	CC0-1.0primitives 'a licence and a data set'
t3d -C p1 fetch primitives --count 12 --seed 5 -q -j 1
t3d -C p1 fetch primitives --count 24 --seed 5 -j 1 2>err
is "$(dump p1)" "$(dump p)" 'more later is the same as all at once'
like "$(cat err)" '12 new objects .* 12 unchanged' 'and only the new ones are made'
is "$(t3d -C p1 fetch primitives --count 3 --seed 6 --world core -q; q p1 'SELECT count(*) FROM object')" 27 'other seeds add'
is "$(cd p && find objects -name '*.tmp' -o -name '*.part')" '' 'nothing is left over'

# --- killed ---------------------------------------------------------------------------------------------------
for i in 1 2 3 4 5; do
	t3d -C k fetch primitives --count 300 --seed 5 -q &
	sleep "0.0$i"
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
done
t3d -C k fetch primitives --count 300 --seed 5 -q
t3d -C whole fetch primitives --count 300 --seed 5 -q
is "$(dump k | md5sum)" "$(dump whole | md5sum)" 'kill -9 and again gives the same manifest'
is "$(cd k && find objects -type f | LC_ALL=C sort | md5sum)" "$(cd whole && find objects -type f | LC_ALL=C sort | md5sum)" \
	'and the same files'
ok "$(t3d -C a fetch primitives --count 40 --shard 0/2 -q && t3d -C b fetch primitives --count 40 --shard 1/2 -q; echo $?)" \
	'shards of the list'
is "$(for w in a b; do q $w 'SELECT uid FROM object'; done | sort | uniq -c | awk '$1 == 1' | wc -l)" 40 'are a partition'
done_testing
