#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch objaverse, objaverse-xl: miniatures of the data sets on loopback, with their traps.
. "$T3D_SOURCE/tests/lib.sh"
. "$T3D_SOURCE/tests/mini.sh"

q() {
	sqlite3 "$1/manifest.db" "$2"
}
make_mini www
mkfifo port
"$T3D_BUILD/aid/serve" -d www -t 100 >port &
server=$!
read -r port <port
base=http://127.0.0.1:$port
get() {
	ws=$1
	shift
	t3d -C "$ws" fetch "$@" --base-url "$base/f" --allow-net 127.0.0.1 --progress none --rejects rejects --backoff 0.02
}
# reasons: "uid reason" of those that were rejected or failed, sorted.
reasons() {
	jq -r '[.uid, .reason] | join(" ")' rejects | sort
}
sums() {
	(cd "$1/objects" && find . -name '*.glb' -exec sha256sum {} + | awk '{ n = $2; sub(/.*\//, "", n); if (n != $1 ".glb") print "wrong:", n }')
}

# --- Objaverse 1.0 ---------------------------------------------------------------------------------------
expect_status 3 'all of Objaverse' get one objaverse
is "$(reasons | grep -v bad-uid)" "$(sort <<'END'
gone00000000000000000000000000000 http-404
page html-page
pointer lfs-pointer
up bad-path
number bad-row
END
)" 'what is no object is named'
like "$(jq -r 'select(.reason == "bad-uid") | .message' rejects)" "not 'bad uid'" 'a uid that is none, too'
is "$(t3d -C one manifest list | jq -r 'select(.stages.fetch.state == "ok") | .uid')" "$(cut -d' ' -f1 mini.objects)" \
	'the others are there, in the order of the index'
is "$(t3d -C one manifest list | jq -r 'select(.stages.fetch.state == "ok") | .license // "-"')" \
	"$(awk '{ print $2 == "000-002" || $1 ~ /5$/ ? "-" : $3 }' mini.objects)" 'with the licences of their annotations'
is "$(t3d -C one manifest list | jq -r 'select(.stages.fetch.state == "ok") | .dataset' | sort -u)" objaverse 'and the name of the data set'
is "$(sums one)" '' 'whole'
like "$err" "no 'metadata/000-002.json.gz': the licences" 'missing annotations are told'
like "$err" '14 entries of the index looked at: 14 wanted' 'and how many entries there are'
is "$(jq .requests out)" 11 'one request for each object'
expect_status 3 'a second run' get one objaverse
is "$(jq -c '[.requests, .unchanged]' out)" '[0,8]' 'asks for nothing'
is "$(find one/lists -name '*.json.gz' | sed 's/.*\///')" object-paths.json.gz 'keeps the index'
expect_status 0 'licences, however they are written' get lic objaverse --licenses CC-BY-4.0,CC0-1.0
is "$(t3d -C lic manifest list | jq -r .uid)" "$(awk '$3 == "by" && $2 == "000-000" || $3 == "cc0" { print $1 }' mini.objects)" 'choose'
is "$(jq -c '[.requests, .other_licenses]' out)" '[2,12]' 'before any request'
printf 'uid,what\n# two\nysqP6VH2x99bODrQRbcYdQjSLjV,1\n0000ecca9a234cae994be239f6fec552\nnobody\n' >uids
expect_status 3 'uids of a file' get some objaverse --uids uids
is "$(t3d -C some manifest list | jq -r 'select(.stages.fetch.state == "ok") | .uid')" "$(sed -n '2p;4p' mini.objects | cut -d' ' -f1)" 'upper and lower case differ'
is "$(reasons | cut -d' ' -f2)" "$(printf 'not-listed\nnot-listed')" 'those that the index does not have are named'
expect_status 0 'categories of LVIS' get lvis objaverse --lvis 'chair,teddy bear'
is "$(t3d -C lvis manifest list | jq -r .uid)" "$(sed -n '1p;3p' mini.objects | cut -d' ' -f1)" 'choose'
expect_status 2 'a category that is not there' get lvis objaverse --lvis chairs
expect_status 0 'the first two, without annotations' get two objaverse --count 2 --no-annotations
is "$(t3d -C two manifest list | jq -r .uid)" "$(sed -n '1,2p' mini.objects | cut -d' ' -f1)" 'are two'
[ ! -e two/lists/objaverse/main/metadata ]
ok $? 'nothing else is fetched'
expect_status 0 'a dry run' get dry objaverse --dry-run
like "$err" '14 rows, 0 unchanged, 0 rejected, 3 unusable, 11 requests' 'counts'
like "$err" 'MB to fetch, with the mean size for those that the list does not say \([0-9]+ of unknown size\)' 'bytes'
[ ! -e dry/manifest.db ]
ok $? 'and fetches no object'
printf '{"a": "glbs/000-000/a.glb", "b' | gzip >broken.gz
cp www/datasets/allenai/objaverse/resolve/main/object-paths.json.gz whole.gz
cp broken.gz www/datasets/allenai/objaverse/resolve/main/object-paths.json.gz
expect_status 1 'an index that is cut off' get broken objaverse
like "$err" "object-paths.json.gz' byte [0-9]+: the text is cut off" 'is told'
echo '<html>busy' >www/datasets/allenai/objaverse/resolve/main/object-paths.json.gz
expect_status 1 'a web page as index' get page objaverse
[ -z "$(find page/lists -name 'object-paths*')" ]
ok $? 'is not kept'
cp whole.gz www/datasets/allenai/objaverse/resolve/main/object-paths.json.gz
expect_status 1 'a mirror without the data set' t3d -C none fetch objaverse --base-url "$base/x" --allow-net 127.0.0.1
like "$err" 'HTTP status 404' 'is told'
expect_status 1 'a private address' t3d -C priv fetch objaverse --base-url "$base/f"
like "$err" 'allow-net' 'needs leave'

# --- Objaverse-XL ----------------------------------------------------------------------------------------
cap=www/datasets/tiange/Cap3D/resolve/main/Cap3D_automated_Objaverse_full.csv
expect_status 3 'all of Objaverse-XL' get xl objaverse-xl --captions $cap
is "$(jq -r .reason rejects | sed 's/ .*//' | sort | uniq -c | awk '{ print $1, $2 }')" "$(printf '%s\n' '1 bad-path' '1 bad-row' '1 bad-sha256' '1 duplicate-of' '1 http-404' '1 lfs-pointer' '1 not-listed' '1 wrong-sha256' | sort -k2)" \
	'what is no object, is named'
is "$(t3d -C xl manifest list | jq -r 'select(.stages.fetch.state == "ok") | .content')" \
	"$(for i in 0 1 2 10 11 12; do mini_sha "$(mini_glb $i)"; done)" 'the others are there, source by source'
is "$(sums xl)" '' 'whole'
is "$(t3d -C xl manifest list | jq -r 'select(.stages.fetch.state == "ok") | .uid' | head -3)" "$(head -3 mini.objects | cut -d' ' -f1)" "Sketchfab's uids"
like "$(t3d -C xl manifest list | jq -r 'select(.source | test("other.glb")) | .uid')" '^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' 'uuid5 of the others'
is "$(t3d -C xl manifest list | jq -r 'select(.stages.fetch.state == "ok") | .caption' | cut -d, -f1)" \
	"$(for i in 1 2 3 11 12 13; do sed -n ${i}p made.captions | cut -d, -f1; done)" "Cap3D's captions, by uid and by sha256"
is "$(jq .other_formats out)" 1 'formats that cannot be read are passed over'
expect_status 0 'one source, one licence' get xl2 objaverse-xl --sources smithsonian --licenses cc0 --count 1
is "$(t3d -C xl2 manifest list | jq -r .license)" CC0 'are chosen'
mini_sha "$(mini_glb 11)" >want
expect_status 0 'by sha256' get xl3 objaverse-xl --uids want --sources github
is "$(t3d -C xl3 manifest list | jq -r .content)" "$(cat want)" 'are chosen'
expect_status 2 'Thingiverse' get no objaverse-xl --sources thingiverse
like "$err" 'operator has asked' 'is refused with its reason'
expect_status 2 'an unknown source' get no objaverse-xl --sources github,gitlab
echo PAR1 >www/datasets/allenai/objaverse-xl/resolve/main/github/github.parquet
expect_status 1 'a table that is damaged' get damaged objaverse-xl --sources github
like "$err" 'is not a Parquet file, or is cut off' 'is told'
for name in shapenet modelnet40 mcb abc 3d-front sketchfab; do
	expect_status 2 "$name" t3d fetch $name
	like "$err" "$name is not fetched: .*t3d" 'is refused with what to do'
done

# --- Cap3D -----------------------------------------------------------------------------------------------
expect_status 0 'captions for what is there' get one cap3d
is "$(jq -c '[.rows, .bad_rows, .objects, .matched, .changed]' out)" '[12,0,14,8,8]' 'by uid'
is "$(t3d -C one manifest list | jq -r 'select(.uid == "ysqP6VH2x99bODrQRbcYdQjSLjV") | .caption')" \
	"$(sed -n 2p made.captions), the \"1\"" 'commas, quotes and line ends are those of RFC 4180'
expect_status 0 'once more' get one cap3d
is "$(jq -c '[.matched, .changed]' out)" '[8,0]' 'changes nothing'
expect_status 0 'the others' get xl cap3d
is "$(jq .matched out)" 6 'by sha256'
printf 'uid,caption\nysqP6VH2x99bODrQRbcYdQjSLjV,first\nnobody,x\nysqP6VH2x99bODrQRbcYdQjSLjV,second\n,no key\n' >own.csv
expect_status 0 'a list of one'"'"'s own' t3d -C one fetch cap3d --captions own.csv
is "$(q one "SELECT group_concat(text) FROM caption JOIN object USING (num) WHERE uid = 'ysqP6VH2x99bODrQRbcYdQjSLjV'")" first,second 'rows of one key add up'
is "$(jq -c '[.matched, .bad_rows]' out)" '[1,1]' 'a bad row is counted'

# --- its renders -----------------------------------------------------------------------------------------
mini_renders renders.zip
expect_status 0 'renders of objects that are not filtered yet' t3d -C one fetch cap3d --renders renders.zip
is "$(jq -c '[.in_archives, .ok, .not_ready]' out)" '[4,0,4]' 'wait'
t3d -C one filter -q
expect_status 3 'renders' t3d -C one fetch cap3d --rejects rejects --renders renders.zip
is "$(jq -c '[.in_archives, .ok, .unchanged, .failed]' out)" '[4,2,0,2]' 'of those that are whole'
is "$(jq -r '[.uid, .reason] | join(" ")' rejects | sort)" "$(echo "$mini_objects" | awk 'NR == 3 { print $1, "missing-view" } NR == 4 { print $1, "bad-zip" }' | sort)" 'the others say why'
is "$(jq -r .member one/renders/cap3d-64/000000.idx | cut -d. -f2- | sort | uniq -c | awk '$1 == 2' | wc -l)" 23 'a sample has what render writes'
is "$(tar -xOf one/renders/cap3d-64/000000.tar --wildcards '*.v07.png' | sha256sum)" "$(f=$(find views/png -name 007.png | sort | head -1); cat "$f" "$f" | sha256sum)" 'the pictures as they are'
tar -xOf one/renders/cap3d-64/000000.tar --wildcards '*.cameras.json' | jq -sc '.[0].views[5] | [.azimuth, .elevation, .distance, .fov] | map(. * 1000 | round / 1000)' >cam
is "$(cat cam)" '[90,0,2,39.598]' 'a camera at Blender'"'"'s +X is at azimuth 90'
is "$(tar -xOf one/renders/cap3d-64/000000.tar --wildcards '*.cameras.json' | jq -sc '.[0].views[5] | [.c2w[0][3], .c2w[1][1], .c2w[0][2], .w2c[2][3]] | map(. * 1000 | round / 1000)')" '[2,1,1,2]' 'upright, looking at the object'
expect_status 3 'again' t3d -C one fetch cap3d --renders renders.zip
is "$(jq -c '[.ok, .unchanged, .failed]' out)" '[0,2,2]' 'only what failed'
is "$(t3d -C one manifest list | jq -r 'select(.stages.render.state == "ok") | .uid')" "$(echo "$mini_objects" | head -2 | cut -d' ' -f1)" 'later stages see them'
expect_status 0 'splits' t3d -C one splits --train .5 --val .25 --test .25
expect_status 0 'nothing is wrong' t3d -C one manifest check
head -c 3000 renders.zip >cut.zip
expect_status 1 'an archive that is cut off' t3d -C one fetch cap3d --renders cut.zip
like "$err" 'is not a zip file, or is cut off' 'is refused'
kill $server
done_testing
