#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch urls: archives, single members of a remote zip, and the files that an object names beside it.
. "$T3D_SOURCE/tests/lib.sh"

pack() {
	"$T3D_BUILD/aid/pack" "$@" || echo "pack $* failed"
}
q() {
	sqlite3 "$1/manifest.db" "$2"
}
states() {
	q "$1" "SELECT path || ' ' || state || ' ' || coalesce(reason, '') FROM object JOIN source USING (num)
		JOIN state USING (uid) WHERE stage = 'fetch' AND i = 0 ORDER BY num" | sed 's/ $//; s/^.*:[0-9]*\/f\///'
}
facts() {
	q "$1" 'SELECT lower(hex(content)), bytes FROM object ORDER BY content'
}
mkdir -p www/set/t www/d
printf 'mtllib m%%41.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 1\nusemtl m\nf 1 2 3\n' >www/set/a.obj
printf 'newmtl m\nKd 1 0 0\nmap_Kd t/skin 1.png\n' >'www/set/m%41.mtl'
printf 'picture' >'www/set/t/skin 1.png'
printf 'v 0 0 0\nv 1 0 0\nv 0 1 2\nf 1 2 3\n' >www/b.obj
printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"d/g.bin","byteLength":4}]}' >www/g.gltf
printf 'bin!' >www/d/g.bin
printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"gone.bin","byteLength":4}]}' >www/h.gltf
printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"../d/g.bin","byteLength":4}],"images":[{"uri":"http://127.0.0.1/x.png"}]}' >www/d/up.gltf
printf '{"asset":{"version":"2.0"},"images":[{"uri":"//127.0.0.1/x.png"},{"uri":"/f/b.obj"},{"uri":"file:///etc/passwd"}]}' >www/d/odd.gltf
(cd www && pack zip set.zip set/a.obj=set/a.obj 'set/m%41.mtl=set/m%41.mtl' 'set/t/skin 1.png=set/t/skin 1.png' deflate:b.obj=b.obj \
	g.gltf=g.gltf d/g.bin=d/g.bin text.txt=b.obj)
(cd www && pack zip wide.zip zip64:b.obj=b.obj 'zip64:x y/c.obj=set/a.obj')
(cd www && pack tar.gzip set.tar.gz b.obj=b.obj g.gltf=g.gltf d/g.bin=d/g.bin)
(cd www && pack zip one.zip b.obj=b.obj && pack zip none.zip text.txt=b.obj && pack zip twice.zip x.obj=b.obj x.obj=g.gltf)
(cd www && pack zip bad.zip ../x.obj=b.obj ok.obj=b.obj link:l.obj=/etc/passwd secret:s.obj=b.obj)
head -c 70000000 /dev/zero >zeros
(cd www && pack zip bomb.zip deflate:z.obj=../zeros)
rm zeros
{ head -c 90000 /dev/urandom; } >www/filler.bin
(cd www && pack zip far.zip filler.bin=filler.bin b.obj=b.obj)
mkfifo port
"$T3D_BUILD/aid/serve" -d www -t 100 >port &
server=$!
read -r port <port
f=http://127.0.0.1:$port/f
t3d -C folder fetch local www/set www/b.obj www/g.gltf -q
get() {
	ws=$1
	shift
	t3d -C "$ws" fetch urls - --allow-net 127.0.0.1 --progress none "$@"
}

# --- files beside
echo "$f/set/a.obj" >list
expect_status 0 'an .obj with .mtl and picture' get obj <list
is "$(q obj 'SELECT bytes FROM object')" "$(cat www/set/a.obj www/set/m%41.mtl 'www/set/t/skin 1.png' | wc -c)" 'has all three'
is "$(jq -c '[.requests, .beside_requests]' out)" '[1,2]' 'asked for one by one'
expect_status 0 'a second time' get obj <list
is "$(jq -c '[.unchanged, .requests, .beside_requests]' out)" '[1,0,0]' 'nothing is asked for'
expect_status 0 'a .gltf' sh -c "echo '$f/g.gltf?x=1' | t3d -C gltf fetch urls - --allow-net 127.0.0.1"
is "$(facts gltf | cut -d'|' -f1)" "$(q folder "SELECT lower(hex(content)) FROM object JOIN source USING (num) WHERE path LIKE '%g.gltf'")" \
	'is the object that it is in a folder'
expect_status 3 'what is not there, and what lies elsewhere' sh -c "printf '%s\n' '$f/h.gltf' '$f/d/up.gltf' '$f/d/odd.gltf' |
	t3d -C none fetch urls - --allow-net 127.0.0.1"
is "$(states none)" "$(printf '%s\n' 'h.gltf fail missing-file' 'd/up.gltf fail unsafe-name' 'd/odd.gltf fail unsafe-name')" 'is told'
like "$err" 'gone.bin' 'by its name'
is "$(curl -s "http://127.0.0.1:$port/count/f/x.png")$(curl -s "http://127.0.0.1:$port/count/f/b.obj")" 00 'and never asked for'

# --- whole archives
for a in set.zip set.tar.gz; do
	expect_status 0 "$a" sh -c "printf 'url\tlicense\tcaption\n$f/$a\tCC0-1.0\ta set\n' | t3d -C ws.$a fetch urls - --allow-net 127.0.0.1"
done
is "$(facts ws.set.zip)" "$(facts folder)" 'gives the objects of the folder'
is "$(states ws.set.zip)" "$(printf '%s\n' 'set.zip#b.obj ok' 'set.zip#g.gltf ok' 'set.zip#set/a.obj ok')" 'called by address and name'
is "$(t3d -C ws.set.zip manifest list | jq -c '[.license, .caption]' | sort -u)" '["CC0-1.0","a set"]' 'what the row says holds for all'
is "$(q ws.set.tar.gz 'SELECT count(*) FROM object')" 2 'so does a tar'
echo "$f/set.zip" | get ws.set.zip >out 2>err
is "$(jq -c '[.unchanged, .requests]' out)" '[3,0]' 'a second run asks for nothing'
rm -rf ws.set.zip/objects
echo "$f/set.zip" | get ws.set.zip >out 2>err
is "$(jq -c '[.successes, .requests]' out) $(facts ws.set.zip | wc -l)" '[3,1] 3' 'unless the store is lost'
expect_status 0 'one object and a uid' sh -c "printf 'url\tuid\n$f/one.zip\tmine\n' | t3d -C uid fetch urls - --allow-net 127.0.0.1"
is "$(q uid 'SELECT uid FROM object')" mine 'it is its own'
expect_status 3 'several objects and a uid' sh -c "printf 'url\tuid\n$f/set.zip\tmine\n' | t3d -C uids fetch urls - --allow-net 127.0.0.1"
like "$err" 'one uid and the archive 3 objects' 'is refused'
expect_status 3 'bad archives' sh -c "printf '%s\n' '$f/none.zip' '$f/twice.zip' '$f/bad.zip' '$f/bomb.zip' | t3d -C bad fetch urls - --allow-net 127.0.0.1"
is "$(states bad)" "$(printf '%s\n' 'none.zip fail no-objects' 'twice.zip#x.obj fail duplicate-name' \
	'twice.zip#x.obj fail duplicate-name' 'bad.zip fail encrypted-archive' 'bomb.zip fail archive-bomb' | uniq)" 'have their reasons'
is "$(find bad/objects -type f | wc -l)" 0 'and nothing of them is stored'

# --- single members
printf '%s\n' "$f/far.zip#b.obj" "$f/set.zip#set/a.obj" "$f/set.zip#g.gltf" "$f/set.zip#./b.obj" "$f/wide.zip#b.obj" "$f/wide.zip#x%20y/c.obj" >list
expect_status 0 'members of zips' get members -j 1 <list
is "$(states members)" "$(printf '%s\n' 'far.zip#b.obj ok' 'set.zip#set/a.obj ok' 'set.zip#g.gltf ok' 'wide.zip#x y/c.obj ok')" 'are taken'
is "$(facts members | cut -d'|' -f1 | head -3 | sort | comm -12 - "$(facts folder | cut -d'|' -f1 | sort >sorted; echo sorted)" | wc -l | awk '{print ($1 >= 2)}')" 1 'as they are in the folder'
is "$(jq '.beside_requests <= 14' out)" true 'by few requests'
like "$(q members "SELECT json FROM measure WHERE num = 0")" '"http":206' 'by ranges'
is "$(echo "$f/far.zip#b.obj" | get far >out 2>err; jq .beside_requests out)" 2 'a small end holds the directory: two requests'
expect_status 0 'again' get members <list
is "$(jq -c '[.unchanged, .beside_requests]' out)" '[6,0]' 'nothing is asked for'
expect_status 3 'members that are not to be had' sh -c "printf '%s\n' '$f/set.zip#no.obj' '$f/twice.zip#x.obj' '$f/bad.zip#s.obj' '$f/bad.zip#l.obj' \
	'$f/set.zip#../x.obj' '$f/set.zip#text.txt' '$f/bomb.zip#z.obj' '$f/b.obj.zip#x.obj' | t3d -C nope fetch urls - --allow-net 127.0.0.1"
is "$(states nope | sed 's/.*#//' | sort)" "$(printf '%s\n' 'l.obj fail not-a-file' 'no.obj fail missing-file' 's.obj fail encrypted-archive' \
	'text.txt fail unknown-format' 'x.obj fail duplicate-name' 'x.obj missing http-404' 'z.obj fail archive-bomb' 'set.zip fail unsafe-name' | sort)" 'have their reasons'
expect_status 0 'a member of a tar' sh -c "echo '$f/set.tar.gz#g.gltf' | t3d -C tar fetch urls - --allow-net 127.0.0.1"
is "$(states tar)" 'set.tar.gz#g.gltf ok' 'is taken out of the whole'
sum=$(sha256sum www/set.zip | cut -c1-64)
expect_status 0 'a member with the SHA-256 of the archive' sh -c "printf 'url\tsha256\n$f/set.zip#b.obj\t$sum\n' | t3d -C sum fetch urls - --allow-net 127.0.0.1"
expect_status 3 'and a wrong one' sh -c "printf 'url\tsha256\n$f/set.zip#b.obj\t$(echo "$sum" | tr 0-9a-f a-f0-9)\n' | t3d -C sum2 fetch urls - --allow-net 127.0.0.1"
like "$(states sum2)" 'wrong-sha256' 'is refused'
kill $server
done_testing
