#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch urls: lists in each format, every trouble of the server, what a second run does.
. "$T3D_SOURCE/tests/lib.sh"

q() {
	sqlite3 "$1/manifest.db" "$2"
}
sha() {
	sha256sum "$1" | cut -c1-64
}
# states WORKSPACE: "file state reason" in number order.
states() {
	q "$1" "SELECT path || ' ' || state || ' ' || coalesce(reason, '') FROM object JOIN source USING (num)
		JOIN state USING (uid) WHERE stage = 'fetch' AND i = 0 ORDER BY num" | sed 's/ $//; s/^.*:[0-9]*\///'
}
mkdir www
for i in 1 2 3 4 5 6; do
	printf 'v 0 0 0\nv 1 0 0\nv 0 1 %s\nf 1 2 3\n' $i >www/$i.obj
done
t3d -C made fetch primitives --count 1 -q
cp made/objects/*/*.glb www/p.glb
{ printf 'solid'; head -c 1500000 /dev/zero; } >www/big.stl
printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"x.bin","byteLength":4}]}' >www/x.gltf
mkfifo port
"$T3D_BUILD/aid/serve" -d www -t 60 >port &
server=$!
read -r port <port
base=http://127.0.0.1:$port
f=$base/f
get() {
	t3d -C ws fetch urls --allow-net 127.0.0.1 --progress none "$@"
}

# --- lists -------------------------------------------------------------------------------------------
printf '# two objects\n%s\r\n\n%s#part\n' "$f/1.obj" "$f/2.obj" >plain
expect_status 0 'one address a line' get plain
is "$(states ws)" "$(printf 'f/1.obj ok\nf/2.obj ok')" 'numbered in the order of the list'
is "$(jq -c '[.count, .successes, .requests, .status_dict.success]' out)" '[2,2,2,2]' 'statistics on stdout'
is "$(sha ws/objects/*/"$(sha www/1.obj)".obj)" "$(sha www/1.obj)" 'the content is in the store'
is "$(q ws "SELECT json FROM measure WHERE num = 0" | jq -c '[.class, .http, .attempts]')" '["ok",200,1]' 'a row says how it went'
printf 'Caption\tURL\tlicence\tuid\nred, "quoted"\t%s\tCC-BY-4.0\tthree\nblue\t%s\t\t\n' "$f/3.obj" "$f/1.obj" >table.tsv
expect_status 0 'a table' get table.tsv
is "$(t3d -C ws manifest list | jq -c 'select(.uid == "three") | [.license, .caption]')" '["CC-BY-4.0","red, \"quoted\""]' 'its columns'
is "$(q ws "SELECT text FROM caption WHERE num = 0")" blue 'a known address gets what the list says now'
is "$(jq .requests out)" 1 'and is not asked for'
jq -nc --arg u "$f/4.obj" --arg s "$(sha www/4.obj)" '{url: $u, sha256: $s, size: 32, captions: ["a", "b"], id: "four"}' >list.ndjson
jq -nc --arg u "$base/f/p.glb?x=1" '{url: $u, format: "glb", extra: [1]}' >>list.ndjson
expect_status 1 'a size that the list gets wrong' sh -c "sed 's/\"size\":32/\"size\":33/' list.ndjson | head -1 | t3d -C ws fetch urls - --allow-net 127.0.0.1 --rejects rejects >/dev/null; [ \$? -eq 3 ] && exit 1"
is "$(jq -r .reason rejects)" wrong-size 'is named'
expect_status 0 'NDJSON on standard input' sh -c "t3d -C ws fetch urls - --allow-net 127.0.0.1 <list.ndjson"
is "$(t3d -C ws manifest list | jq -r 'select(.uid == "four") | .content') $(q ws "SELECT group_concat(text) FROM caption JOIN object USING (num) WHERE uid = 'four'")" "$(sha www/4.obj) a,b" 'its members'
expect_status 2 'a table without a column url' sh -c "printf 'a\tb\n' | t3d -C ws fetch urls - "
like "$err" 'one of them url' 'is refused'
expect_status 2 'no list' get nothing.txt
expect_status 2 'no such network' get plain --allow-net loopback
printf '{"url":3}\n{"url":"%s","sha256":"12"}\n{}\nnot json\n{"url":"%s","uid":"a b"}\n' "$f/1.obj" "$f/2.obj" >bad.ndjson
expect_status 3 'rows that cannot be used' t3d -C bad fetch urls bad.ndjson --allow-net 127.0.0.1 --rejects rejects
is "$(jq -r .reason rejects | tr '\n' ' ')" 'bad-row bad-sha256 no-url not-json bad-uid ' 'are told apart'
like "$(jq -r .message rejects)" "'bad.ndjson' line 4" 'with their lines'

# --- what is not asked for -----------------------------------------------------------------------------
printf 'url\tlicense\tsize\n%s\tCC0-1.0\t32\n%s\tby-nc\t32\n%s\tcc0-1.0\t5000000\n%s\t\t32\n' "$f/1.obj" "$f/2.obj" "$f/3.obj" "$f/4.obj" >licences.tsv
expect_status 0 'a rejected object is a result' t3d -C lic fetch urls licences.tsv --allow-net 127.0.0.1 --licenses CC0-1.0,MIT --max-size 1M
is "$(states lic)" "$(printf 'f/1.obj ok\nf/2.obj reject license\nf/3.obj reject too-large\nf/4.obj reject license')" 'licences and sizes'
is "$(jq .requests out)" 1 'before any request'
expect_status 0 'a dry run' t3d -C dry fetch urls licences.tsv --licenses CC0-1.0 --dry-run
like "$err" '4 rows, 0 unchanged, 2 rejected, 0 unusable, 2 requests' 'counts'
[ ! -e dry ]
ok $? 'and makes nothing'
expect_status 3 'private addresses are refused' t3d -C priv fetch urls plain
is "$(states priv)" "$(printf 'f/1.obj fail private-address\nf/2.obj fail private-address')" 'by name'
for i in 0 1 2; do
	t3d -C part$i fetch urls plain table.tsv --shard $i/3 2>/dev/null && echo two lists
	t3d -C part$i fetch urls plain --allow-net 127.0.0.1 --shard $i/3 -q >/dev/null
done
is "$(cat part?/objects/*/* | sort | uniq -c | wc -l)" 5 'shards divide the list'

# --- every trouble at once; which passes is whole in the end ---------------------------------------------
good='429-seconds 429-date 429-ratelimit 403-limit 503 truncate no-range wrong-total wrong-start chunked chunked-cut drip reset hop3 splice'
bad='500 403 to-file to-ftp to-private to-mapped to-octal loop endless gzip huge large html lfs'
for c in $good; do
	printf '{"url":"%s/s/%s/big.stl","sha256":"%s","uid":"%s"}\n' "$base" "$c" "$(sha www/big.stl)" "$c"
done >list
printf '{"url":"%s/s/etag-change/p.glb"}\n' "$base" >>list
for c in $bad; do
	printf '{"url":"%s/s/%s/big.stl","uid":"%s"}\n' "$base" "$c" "$c"
done >>list
printf '{"url":"%s","uid":"none"}\n' "$f/none.glb" >>list
printf '{"url":"%s","uid":"nobin"}\n' "$f/x.gltf" >>list
printf '{"url":"%s","uid":"wrong","sha256":"%s"}\n' "$f/1.obj" "$(sha www/2.obj)" >>list
printf '{"url":"%s","uid":"txt"}\n' "$f/readme.txt" >>list
printf '{"url":"ftp://127.0.0.1/a.glb","uid":"ftp"}\n' >>list
expect_status 3 'all troubles' t3d -C faults fetch urls list --allow-net 127.0.0.1 --progress none --timeout 1 --backoff 0.02 --max-wait 5 --max-size 10M --rejects rejects
cp out all
is "$(find faults/objects -type f | sed 's/.*\///' | sort)" "$(printf '%s.stl\n%s.glb\n%s.gltf\n' "$(sha www/big.stl)" "$(sha www/p.glb)" "$(sha www/x.gltf)" | sort)" 'the good ones are stored, whole, and nothing else'
for s in faults/objects/*/*; do
	is "$(sha "$s")" "$(basename "$s" | cut -c1-64)" "$(basename "$s" | cut -c65-) is what its name says"
done
is "$(jq .successes all)" 16 'each came'
is "$(jq -r 'select(.reason == "duplicate-of 429-seconds") | .uid' rejects | tr '\n' ' ')" \
	"$(echo "$good" | sed 's/^429-seconds //') " 'and those of one content are one object'
reason() {
	jq -r --arg u "$1" 'select(.uid == $u) | .reason' rejects
}
while read -r uid want; do
	is "$(reason "$uid")" "$want" "$uid: $want"
done <<'LIST'
500 http-500
403 http-403
to-file bad-redirect
to-ftp bad-redirect
to-private private-address
to-mapped private-address
to-octal private-address
loop too-many-redirects
endless too-large
gzip content-encoding
huge too-large
large too-large
html html-page
lfs lfs-pointer
none http-404
nobin missing-file
wrong wrong-sha256
txt unknown-format
ftp bad-url
LIST
is "$(q faults "SELECT json FROM measure JOIN object USING (num) WHERE uid = '500'" | jq -c '[.class, .http, .attempts]')" \
	'["transient",500,5]' 'a row says why'
[ ! -e faults/incoming ]
ok $? 'no partial file is left'

# --- the second run ---------------------------------------------------------------------------------------
expect_status 3 'a second run' t3d -C faults fetch urls list --allow-net 127.0.0.1 --progress none --attempts 1 --max-size 10M
is "$(jq -r '.requests' out)" 2 'asks for transient and wrong ones alone'
is "$(jq -r .unchanged out)" 16 'knows what it has'
cp www/2.obj www/none.glb
expect_status 3 'only what has failed' t3d -C faults fetch urls list --allow-net 127.0.0.1 --progress none --attempts 1 --max-size 10M --retry failed
is "$(q faults "SELECT state FROM state WHERE uid = 'none'")" ok 'a file that has come to be'
printf 'v 0 0 0\nv 1 0 0\nv 0 1 9\nf 1 2 3\n' >www/1.obj
expect_status 0 'again on request' get plain --redo
is "$(q ws "SELECT count(*) FROM state WHERE state = 'modified'")" 1 'a changed file is another object'
expect_status 0 'nothing is wrong' t3d -C ws manifest check

# --- a token ------------------------------------------------------------------------------------------------
echo sesame >token
echo "$base/s/token/2.obj" >locked
expect_status 3 'a door that is locked' t3d -C tok fetch urls locked --allow-net 127.0.0.1
expect_status 2 'a token without a host' t3d -C tok fetch urls locked --allow-net 127.0.0.1 --token-file token
expect_status 0 'opens with the token' t3d -C tok fetch urls locked --allow-net 127.0.0.1 --token-file token --token-host "127.0.0.1:$port" --retry failed
unlike "$(cat err; strings tok/manifest.db 2>/dev/null)" sesame 'which stands nowhere'

# --- interrupted ---------------------------------------------------------------------------------------------
{
	echo "$base/s/drips/big.stl"
	for i in 2 3 4; do echo "$f/$i.obj"; done
} >queue
t3d -C slow fetch urls queue --allow-net 127.0.0.1 --progress none >out 2>err &
pid=$!
sleep 0.3
kill -TERM $pid # the shell lets background jobs ignore SIGINT
wait $pid
is $? 75 'a stop is obeyed'
is "$(jq .left out)" 1 'what did not end is left'
is "$(q slow "SELECT count(*) FROM object")" 0 'the objects behind it wait for their numbers'
sed -i '1s/drips/x/' queue
expect_status 0 'the next run' t3d -C slow fetch urls queue --allow-net 127.0.0.1
is "$(jq .requests out)" 1 'fetches nothing twice'
is "$(states slow)" "$(printf 's/x/big.stl ok\nf/2.obj ok\nf/3.obj ok\nf/4.obj ok')" 'and numbers as one run does'
kill $server
done_testing
