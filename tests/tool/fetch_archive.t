#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch local of archives: what is inside is taken like what is in a folder; what is hostile is refused with
# its reason, and nothing of it is stored.
. "$T3D_SOURCE/tests/lib.sh"

pack() {
	"$T3D_BUILD/aid/pack" "$@" || echo "pack $* failed"
}
q() {
	sqlite3 "$1/manifest.db" "$2"
}
# states WORKSPACE: "path state reason" of stage fetch, in number order.
states() {
	q "$1" "SELECT path || ' ' || state || ' ' || coalesce(reason, '') FROM object JOIN source USING (num)
		JOIN state USING (uid) WHERE stage = 'fetch' AND i = 0 ORDER BY num" | sed 's/ $//'
}
stored() {
	find "$1/objects" -type f 2>/dev/null | wc -l
}
triangle() {
	printf '%sv 0 0 0\nv 1 0 0\nv 0 1 %s\nusemtl m\nf 1 2 3\n' "$2" "$1"
}
mkdir in
triangle 1 'mtllib m.mtl
' >a.obj
printf 'newmtl m\nKd 1 0 0\nmap_Kd t/skin.png\n' >m.mtl
printf 'picture' >skin.png
triangle 2 '' >b.obj
triangle 3 '' >c.obj
printf '{"asset":{"version":"2.0"},"buffers":[{"uri":"d/g.bin","byteLength":4}]}' >g.gltf
printf 'bin!' >g.bin
printf 'text' >readme.txt

# --- every kind gives the same objects -------------------------------------------------------------------
members='set/a.obj=a.obj set/m.mtl=m.mtl set/t/skin.png=skin.png b.obj=b.obj g.gltf=g.gltf d/g.bin=g.bin
	readme.txt=readme.txt __MACOSX/b.obj=b.obj .hid/c.obj=c.obj'
mkdir -p plain/set/t plain/d
cp a.obj m.mtl plain/set
cp skin.png plain/set/t
cp b.obj g.gltf plain
cp g.bin plain/d
t3d -C folder fetch local plain -q
# A stamp holds only for files that are older than two seconds.
objects() {
	q "$1" 'SELECT lower(hex(content)), bytes, path FROM object JOIN source USING (num) ORDER BY num'
}
objects folder | sed 's/|\([^|]*\)$/|set.x\/\1/' >want
is "$(wc -l <want)" 3 'a folder of three objects'
for kind in zip tar 7z tar.gz tar.bz2 tar.xz tar.zst; do
	case $kind in tar.gz) how=tar.gzip ;; tar.bz2) how=tar.bzip2 ;; tar.zst) how=tar.zstd ;; *) how=$kind ;; esac
	rm -rf one ws
	mkdir one
	# shellcheck disable=SC2086 # one word a member
	pack "$how" "one/set.$kind" $members
	expect_status 0 "$kind" t3d -C ws fetch local one
	is "$(objects ws | sed "s/set\.$kind/set.x/")" "$(cat want)" "$kind has the objects of the folder"
	like "$err" '1 archives; passed over in them: 1 files of other kinds, 2 hidden' 'and the rest is counted'
	is "$(stored ws)" "$(stored folder)" 'nothing else is stored'
done
cmp -s "$(find ws -name "$(sha256sum skin.png | cut -c1-64)*")" skin.png
ok $? 'the picture of the .mtl is there'
pack zip one/wide.zip zip64:b.obj=b.obj deflate:c.obj=c.obj
expect_status 0 'zip64 and deflate' t3d -C wide fetch local one/wide.zip
is "$(states wide)" "$(printf 'wide.zip/b.obj ok\nwide.zip/c.obj ok')" 'both are taken'
pack zip one/inner.zip x/b.obj=b.obj
pack zip one/outer.zip deep/inner.zip=one/inner.zip c.obj=c.obj
expect_status 0 'an archive in an archive' t3d -C nested fetch local one/outer.zip
is "$(states nested)" "$(printf 'outer.zip/c.obj ok\nouter.zip/deep/inner.zip/x/b.obj ok')" 'is opened'
printf 'path,caption\nouter.zip/c.obj,a triangle\n' >captions.csv
expect_status 0 'captions' t3d -C nested fetch local one/outer.zip --captions captions.csv
is "$(q nested 'SELECT text FROM caption')" 'a triangle' 'find what is inside'

# --- a second run, and a changed archive ------------------------------------------------------------------
pack zip in/s.zip a.obj=a.obj b.obj=b.obj m.mtl=m.mtl t/skin.png=skin.png
touch -d 2020-01-01 in/s.zip
sleep 2.1
t3d -C again fetch local in -q
expect_status 0 'a second run' t3d -C again fetch local in
like "$err" '0 new objects .* 0 again, 2 unchanged' 'has nothing to do'
rm -rf again/objects
expect_status 0 'the store is lost' t3d -C again fetch local in
like "$err" '2 again, 0 unchanged' 'and filled again'
pack zip in/s.zip a.obj=a.obj b.obj=c.obj m.mtl=m.mtl t/skin.png=skin.png
expect_status 0 'the archive has changed' t3d -C again fetch local in
like "$err" '1 new objects .* 1 again, 0 unchanged, 1 modified' 'and its members are looked at'
triangle 9 '' >d.obj
head -c 100 in/s.zip >in/u.zip
expect_status 3 'an archive is broken' t3d -C mended fetch local in/u.zip
pack zip in/u.zip d.obj=d.obj
expect_status 0 'and mended' t3d -C mended fetch local in/u.zip
is "$(states mended)" "$(printf 'u.zip modified modified\nu.zip/d.obj ok')" 'its failure is history'
expect_status 0 'parts of the work' sh -c 't3d -C parts fetch local one/outer.zip --shard 0/2 && t3d -C parts fetch local one/outer.zip --shard 1/2'
is "$(states parts | sort)" "$(states nested | sort)" 'are all of it'
expect_status 0 'a dry run' t3d -C none fetch local in --dry-run
like "$err" 'what is in 2 archives is not counted' 'opens no archive'
[ ! -e none ]
ok $? 'and makes nothing'

# --- hostile members: they are refused one by one, and the rest is taken ------------------------------------
# hostile NAME REASON MEMBER...: the archive holds these members and one good object.
mkdir bad
hostile() {
	kind=$1 name=$2 reason=$3
	shift 3
	rm -rf ws
	pack "$kind" "bad/$name.$kind" good.obj=b.obj "$@"
	expect_status 3 "$name ($kind)" t3d -C ws fetch local "bad/$name.$kind"
	is "$(q ws "SELECT DISTINCT state || ' ' || reason FROM state WHERE state <> 'ok'")" "fail $reason" "is $reason"
	is "$(stored ws) $(q ws "SELECT count(*) FROM state WHERE state = 'ok'")" '1 1' 'and only the good object is stored'
}
for kind in zip tar; do
	hostile $kind dots unsafe-name ../../c.obj=c.obj x/../../c.obj=c.obj ..=c.obj
	hostile $kind absolute unsafe-name "$PWD/c2.obj=c.obj" //etc/c.obj=c.obj
	hostile $kind windows unsafe-name 'C:\c.obj=c.obj' '..\..\c.obj=c.obj' 'C:/x.obj=c.obj'
	hostile $kind control unsafe-name "$(printf 'x\ny.obj')=c.obj" "$(printf 'x\033[2Jy.obj')=c.obj"
	hostile $kind links not-a-file link:l.obj=/etc/passwd link:m.obj=good.obj
	hostile $kind duplicates duplicate-name x.obj=c.obj x.obj=d.obj ./x.obj=c.obj
	hostile $kind cases case-collision Y.obj=c.obj y.obj=d.obj y.OBJ=c.obj
	hostile $kind latin bad-encoding "$(printf 'caf\351.obj')=c.obj" "$(printf '\203e.obj')=c.obj"
done
hostile tar backslash unsafe-name 'a\\c.obj=c.obj'
hostile tar hard not-a-file hard:h.obj=good.obj hard:i.obj=/etc/passwd
hostile tar devices not-a-file dev:d.obj= fifo:f.obj=
hostile tar sparse too-large sparse:s.obj=8796093022208
[ ! -e c2.obj ] && [ ! -e ../c.obj ] && [ ! -e c.obj.1 ]
ok $? 'nothing was written outside'

# A good object never gets a part that was refused.
rm -rf ws
pack tar bad/part.tar a.obj=a.obj m.mtl=m.mtl link:t/skin.png=/etc/passwd
expect_status 0 'a picture that is a link' t3d -C ws fetch local bad/part.tar
like "$err" "1 members that are no objects were refused.*t/skin.png.*link" 'is told'
is "$(grep -rl root: ws/objects)" '' 'and not followed'

# --- hostile archives: nothing of them is stored -----------------------------------------------------------
# refused FILE REASON
refused() {
	rm -rf ws
	expect_status 3 "$1" t3d -C ws fetch local "bad/$1"
	is "$(states ws)" "$1 fail $2" "is $2"
	is "$(stored ws)" 0 'and nothing is stored'
}
head -c 70000000 /dev/zero >zeros
pack zip bad/bomb.zip good.obj=b.obj deflate:z.obj=zeros
refused bomb.zip archive-bomb
pack tar - good.obj=b.obj z.obj=zeros | gzip -1 >bad/bomb.tar.gz
refused bomb.tar.gz archive-bomb
pack tar - good.obj=b.obj claim:z.txt=9000000000000 | gzip -1 >bad/claim.tgz
refused claim.tgz archive-bomb
pack zip one/b1.zip deflate:z.obj=zeros
pack zip one/b2.zip deflate:1.zip=one/b1.zip deflate:2.zip=one/b1.zip
pack zip bad/nested-bomb.zip good.obj=b.obj deflate:b.zip=one/b2.zip
refused nested-bomb.zip archive-bomb
rm zeros
pack zip one/n0.zip c.obj=c.obj
for i in 1 2 3 4 5 6 7 8 9 10; do
	pack zip one/n$i.zip "n.zip=one/n$((i - 1)).zip"
done
cp one/n10.zip bad/deep.zip
refused deep.zip nested-too-deep
pack zip bad/secret.zip good.obj=b.obj secret:s.obj=c.obj
refused secret.zip encrypted-archive
pack tar.gzip one/t.tar.gz good.obj=b.obj s.obj=c.obj x.bin=/bin/sh
head -c 20000 one/t.tar.gz >bad/cut.tar.gz
refused cut.tar.gz truncated-archive
pack 7z one/t.7z good.obj=b.obj s.obj=c.obj x.bin=/bin/sh
head -c 20000 one/t.7z >bad/cut.7z
rm -rf ws
expect_status 3 'a 7z that is cut' t3d -C ws fetch local bad/cut.7z
is "$(stored ws)" 0 'gives nothing'
pack zip one/t.zip good.obj=b.obj s.obj=c.obj
head -c 200 one/t.zip >bad/cut.zip
refused cut.zip bad-archive
{ head -c 60 one/t.zip; printf 'XXXX'; tail -c +65 one/t.zip; } >bad/flipped.zip
rm -rf ws
expect_status 3 'a zip whose data is not that of its checksum' t3d -C ws fetch local bad/flipped.zip
is "$(stored ws)" 0 'gives nothing'
printf 'not an archive' >bad/text.7z
refused text.7z bad-archive
: >bad/empty.zip
refused empty.zip bad-archive
pack zip bad/none.zip readme.txt=readme.txt
rm -rf ws
expect_status 0 'an archive without objects' t3d -C ws fetch local bad/none.zip
mkdir bad/dir.zip
cp b.obj bad/dir.zip
rm -rf ws
expect_status 0 'a folder with the ending of an archive' t3d -C ws fetch local bad/dir.zip
is "$(states ws)" 'b.obj ok' 'is a folder'
mkdir other
printf x | gzip >other/x.gz
rm -rf ws
expect_status 0 'gz that is no tar' t3d -C ws fetch local other
unlike "$(states ws)$err" 'x.gz|[^0] failed' 'is a file of another kind'
done_testing
