#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d embed and t3d search: rows of lists, of files and of a workspace.
. "$T3D_SOURCE/tests/lib.sh"

t3d embed --explain >explained 2>/dev/null || skip_all 'clip-nano is not there'
width=$(sed -n 's/^row: \([0-9]*\) numbers/\1/p' explained)
sums() {
	(cd "$1" && find . -name '*.npy' -o -name '*.ndjson' -o -name 'embed.json' | sort | xargs sha256sum)
}
# rows FILE: how many rows the head of a .npy says.
rows() {
	head -c 128 "$1" | tr -d '\000' | LC_ALL=C sed -n "s/.*'shape': (\([0-9]*\),.*/\1/p"
}
# floats FILE ROW: the numbers of a row of float32.
floats() {
	od -An -v -tf4 -w4 -j $((128 + 4 * width * $2)) -N $((4 * width)) "$1"
}
norm() {
	floats "$1" "$2" | awk '/nan/ { bad = 1 } { s += $1 * $1 } END { if (bad) print "nan"; else printf "%.5f\n", sqrt(s) }'
}

# --- lists
cat >cap3d_captions.json <<'X'
{"0a1": "a red cube", "0b2": ["a blue torus", "", "ünïcödé 🚀 <|endoftext|>"], "0c3": 7}
X
expect_status 3 'the command of the guide; one entry is no caption' t3d embed --captions ./cap3d_captions.json --output ./embeddings
is "$(rows embeddings/texts.npy)" 5 'a row per entry'
is "$(jq -c '[.row, .uid, .index]' embeddings/texts.ndjson | paste -sd' ')" '[0,"0a1",0] [1,"0b2",0] [2,"0b2",1] [3,"0b2",2] [4,null,0]' 'in their order'
is "$(for i in 0 1 2 3 4; do norm embeddings/texts.npy $i; done | paste -sd' ')" '1.00000 1.00000 1.00000 1.00000 nan' 'of length 1, and NaN for the failed'
is "$(jq -r '.reason // empty' embeddings/texts.ndjson)" not-a-record 'with its reason'
is "$(jq -r '[.model, .stored, (.weights_sha256 | length)] | @tsv' embeddings/texts.json)" "$(printf 'clip-nano\tfloat32\t64')" 'and how they were made'
printf 'a red cube\n\nx\377y\r\nlast' >four.txt
expect_status 3 'lines of text' t3d embed --captions four.txt -o four.npy --rejects r.ndjson
is "$(floats four.npy 0)" "$(floats embeddings/texts.npy 0)" 'the same text gives the same row'
is "$(jq -r '[.uid, .reason] | @tsv' r.ndjson)" "$(printf '3\tnot-utf8')" 'a line that is not UTF-8 is told about'
is "$(rows four.npy) $(norm four.npy 3)" '4 1.00000' 'and shifts nothing'
yes 'a red cube on a blue torus and' | head -c 100000 | tr '\n' ' ' >long.txt
expect_status 0 'a caption of 100 kB is valid' t3d embed --captions long.txt -o long.npy
like "$err" 'longer than [0-9]+ tokens and were cut' 'and cut with a warning'
is "$(jq .truncated long.ndjson)" true 'that is in the index'
expect_status 2 'a list that is cut off is refused' sh -c 'printf "{\"a\": \"b" >cut.json; t3d embed --captions cut.json -o cut'
printf 'path,caption\na.glb,a red cube\n' >one.csv
t3d embed -q --captions one.csv -o one --tokens
is "$(floats one/texts.npy 0)" "$(floats four.npy 0)" 'a CSV'
is "$(jq -c '[.row, .n, .uid, .caption]' one/tokens.ndjson)" "[0,$(rows one/tokens.npy),\"a.glb\",\"a red cube\"]" 'tokens have a line a caption'
is "$(head -c 128 one/tokens.npy | grep -ac "'<f2'")" 1 'and are float16'
t3d embed -q --captions one.csv -o half --precision f16
is "$(wc -c <half/texts.npy)" $((128 + 2 * width)) '--precision f16 halves the file'

before=$(sums embeddings)
seq 300 | sed 's/.*/a red cube number &/' >many.txt
for o in '-j 1' '-j 3' '--batch 1' '--batch 7 -j 2'; do
	# shellcheck disable=SC2086 # options
	t3d embed -q --captions many.txt -o "many$(echo "$o" | tr -d ' ')" $o
done
is "$(for d in many-*; do sums "$d"; done | sort -u | wc -l)" 2 'the same bytes for any threads and batch'
ls -li many-j1 >a
t3d embed --captions many.txt -o many-j1 2>err
ls -li many-j1 | diff - a
ok $? 'what is there is not touched again'
like "$(cat err)" '0 made, 300 were there' 'nor made'
sed -i '200s/.*/a changed one/' many.txt
t3d embed --captions many.txt -o many-j1 2>err
like "$(cat err)" '1 made, 299 were there' 'only what has changed is'
head -250 many.txt >fewer.txt
t3d embed -q --captions fewer.txt -o many-j1
t3d embed -q --captions fewer.txt -o fewer
is "$(sums many-j1)" "$(sums fewer)" 'a list that has become shorter'
is "$(sums embeddings)" "$before" 'others are left alone'

# --- a workspace
export T3D_WORKSPACE=w
t3d fetch primitives --count 12 --world core -q && t3d filter -q
expect_status 2 'without renders it says what to do' t3d embed
like "$err" 't3d render' 'by name'
expect_status 0 'captions alone need none' t3d embed -q --inputs texts -o texts-only
is "$(jq -r .uid texts-only/texts.ndjson | uniq | wc -l)" 12 'of every object'
t3d render -q --resolution 64
expect_status 0 'captions and views' t3d embed
e=w/embeddings/clip-nano
is "$(rows $e/views.npy) $(rows $e/objects.npy)" '240 12' 'a row a view, a row an object'
is "$(rows $e/texts.npy)" "$(t3d manifest list | jq '.captions // [.caption] | length' | awk '{ n += $1 } END { print n }')" 'a row a caption'
is "$(jq -r .uid $e/objects.ndjson)" "$(t3d manifest list | jq -r .uid)" 'objects in their order'
is "$(jq -r .view $e/views.ndjson | head -20 | sort -u | wc -l)" 20 'views by name'
for i in $(seq 60 79); do floats $e/views.npy "$i"; done |
	awk -v w="$width" '{ s[(NR - 1) % w] += $1 } END { for (i in s) t += s[i] * s[i]; for (i = 0; i < w; i++) print s[i] / sqrt(t) }' >mean
is "$(floats $e/objects.npy 3 | paste - mean | awk '{ d = $1 - $2; if (d * d > 1e-11) n++ } END { print NR, n + 0 }')" "$width 0" 'an object is the mean of its views, at length 1'
before=$(sums $e)
expect_status 0 'again' t3d embed
like "$err" '0 ok, .* 12 skipped' 'does nothing'
rm $e/views.npy
t3d embed -q
is "$(sums $e)" "$before" 'what was deleted is made again, the same'
for o in '-j 1' '-j 3 --batch 5'; do
	rm -rf $e
	# shellcheck disable=SC2086 # options
	t3d embed -q $o
	is "$(sums $e)" "$before" "the same bytes at $o"
done

uid=$(t3d manifest list | sed -n 5p | jq -r .uid)
t3d manifest export | jq -c --arg u "$uid" 'select(.uid == $u) | .caption = "another" | .captions = ["another"]' >change.ndjson
t3d manifest import change.ndjson -q
t3d render -q --resolution 64
t3d embed 2>err
like "$(cat err)" '1 ok, .* 11 skipped' 'another caption: one object is made anew'
is "$(jq -r --arg u "$uid" 'select(.uid == $u) | .caption' $e/texts.ndjson)" another 'with its caption'
t3d filter --views --min-coverage 2 -q
t3d embed --redo 2>err
like "$(cat err)" '0 ok, ' 'filter --views binds once it has run'
t3d filter --views -q

t3d embed -q --tokens
t3d embed -q
is "$(jq -r .caption $e/tokens.ndjson)" "$(jq -r .caption $e/texts.ndjson)" 'tokens that are there are kept up'
t3d embed -q --no-tokens
t3d manifest list | head -3 | t3d embed - -q -o three | jq -r .uid >uids
is "$(cat uids)" "$(t3d manifest list | head -3 | jq -r .uid)" 'records pass through'
is "$(rows three/objects.npy)" 3 'and only they are done'
mkdir w/renders/ring16+4-32
t3d manifest list | t3d render - -q --resolution 32 | t3d embed - -q --resolution 32 -o piped >records
is "$(wc -l <records) $(rows piped/objects.npy)" '12 12' 'embed reads shards that render is writing'
expect_status 2 'several renders: say which' t3d embed
like "$err" 'ring16\+4-32, ring16\+4-64' 'their names are given'
expect_status 0 'by size' t3d embed --resolution 64 -q
for i in 0 1; do
	t3d embed -q --resolution 64 --shard $i/2 -o parts
done
is "$(cat parts/objects.p0of2.ndjson parts/objects.p1of2.ndjson | wc -l)" 12 'parts have files of their own'
t3d embed -q --resolution 64
cp -r w/renders/ring16+4-64 keep
printf 'broken' | dd of=w/renders/ring16+4-64/000000.tar bs=1 seek="$(jq -s '.[] | select(.num == 0 and (.member | endswith("v03.png"))) | .offset + 60' w/renders/ring16+4-64/000000.idx)" conv=notrunc 2>/dev/null
expect_status 3 'a damaged picture fails its object' t3d embed --resolution 64 --redo --rejects r.ndjson -q
is "$(jq -r '[.stage, .reason] | @tsv' r.ndjson)" "$(printf 'embed/clip-nano\tbad-image')" 'with a record'
is "$(rows $e/objects.npy) $(norm $e/objects.npy 0) $(norm $e/views.npy 3) $(norm $e/views.npy 4)" '12 nan nan 1.00000' 'and rows of NaN in their places'
is "$(jq -c 'select(.reason) | [.row, .view, .reason]' $e/views.ndjson)" '[3,"v03","bad-image"]' 'and a reason'
rm -rf w/renders/ring16+4-64 && mv keep w/renders/ring16+4-64
expect_status 0 'it is done when the picture is whole' t3d embed --resolution 64 -q
is "$(norm $e/objects.npy 0)" 1.00000 'with its row'

# --- search
expect_status 0 'search' t3d search 'a red cube' 'a blue torus' --top 3 --sheet s.png
is "$(jq -r '[.query, .rank] | @tsv' out | wc -l)" 6 'three objects a query'
is "$(jq -s 'map(.score) | .[0] >= .[1] and .[1] >= .[2]' out)" true 'the best first'
is "$(head -c 4 s.png | tail -c 3)" PNG 'and a sheet'
expect_status 2 'no query' t3d search
expect_status 2 'an empty query' t3d search 'a red cube' ''
expect_status 2 'a query that is no UTF-8' t3d search "$(printf 'a \377')"
expect_status 2 'a cell too small' t3d search 'a red cube' --cell 1

# --- pictures
t3d render -q --resolution 64 --num-views 1 --format dir --output-dir views
# shellcheck disable=SC2046 # no blanks in these names
set -- $(find views -name '000.png' | sort | head -3)
head -c 200 "$1" >cut.png
: >empty.png
cp "$T3D_SOURCE/LICENSE" text.png
expect_status 3 'pictures, some of them broken' t3d embed --images "$1" cut.png empty.png nowhere.png text.png "$2" "$3" -o p.npy
is "$(rows p.npy)" 7 'a row each'
is "$(jq -r '.reason // "fine"' p.ndjson | paste -sd' ')" 'fine bad-image not-an-image missing-file not-an-image fine fine' 'reasons by file'
t3d embed -q --images "$2" -o q.npy
is "$(floats q.npy 0)" "$(floats p.npy 5)" 'the others do not change a row'

# --- usage
expect_status 2 'an unknown model' t3d embed --model clip-none
like "$err" "no weights are called so" 'and none of the catalogue'
expect_status 2 'a model that can be had' t3d embed --model clip-vit-b32
like "$err" "fetch weights clip-vit-b32" 'says which command gets it'
expect_status 2 'a list without a place for its rows' t3d embed --captions four.txt
expect_status 2 'two lists into one .npy' t3d embed --captions four.txt --images "$2" -o x.npy
expect_status 2 'a colour' t3d embed --background white
expect_status 2 'a text without --explain' t3d embed 'a red cube'
expect_status 2 'no manifest' t3d -C nowhere embed
expect_status 1 'a folder that is no model' t3d embed --model ./parts
expect_status 0 '--explain' t3d embed --explain 'a red cube'
like "$out" '^tokens: [0-9]' 'shows tokens'
cp -r "$T3D_SOURCE/models/clip-nano" cut
sed 2q "$T3D_SOURCE/models/clip-nano/merges.txt" >cut/merges.txt
expect_status 1 'merges that are cut' t3d embed --model ./cut --captions words -o cut.npy
like "$err" 'merges.txt make: the list is cut' 'are found by the vocabulary'
mkdir other && cp -r "$(sed -n 's/^folder: //p' explained)" other/clip-nano
chmod -R u+w other
printf '\001' | dd of=other/clip-nano/model.safetensors bs=1 seek=$(($(wc -c <other/clip-nano/model.safetensors) - 3)) conv=notrunc 2>/dev/null
expect_status 2 'rows of other weights are not searched' t3d search --model other/clip-nano 'a red cube'
t3d embed --model other/clip-nano --resolution 64 2>err
like "$(cat err)" 'made anew' 'other weights under the same name: all rows are made anew'
done_testing
