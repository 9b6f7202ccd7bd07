#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# examples/phase1.sh against miniatures of the data sets, undisturbed and killed again and again; lists of ten
# million entries in little memory.
. "$T3D_SOURCE/tests/lib.sh"
. "$T3D_SOURCE/tests/mini.sh"

make_mini www
mkfifo port
"$T3D_BUILD/aid/serve" -d www -t 1800 >port &
server=$!
read -r port <port
BASE_URL=http://127.0.0.1:$port/f FETCH_OPTS='--allow-net 127.0.0.1 --progress none --backoff 0.02'
COUNT=0 LICENSES='' MIN_POLYGONS=12 RESOLUTION=64
export BASE_URL FETCH_OPTS COUNT LICENSES MIN_POLYGONS RESOLUTION
phase1=$T3D_SOURCE/examples/phase1.sh
state() {
	t3d -C "$1" manifest list | jq -c '[.uid, .num, .content, .license, .caption, .split, (.stages | map_values(.state))]'
}
sums() {
	(cd "$1" && find objects renders embeddings -type f ! -name '*.tmp' -exec sha256sum {} + | sort -k2)
}

expect_status 0 'what it would take' env PLAN=1 "$phase1" plan
like "$err" '[0-9]+ requests' 'is counted'
like "$err" 'disk are free' 'with the disk'
[ ! -e plan/manifest.db ]
ok $? 'and not fetched'
expect_status 0 'phase 1' "$phase1" calm
cp err log
# eight of Objaverse 1.0; of Objaverse-XL the three of Sketchfab are the same objects, three others are new
is "$(t3d -C calm manifest list | jq -r 'select(.stages.fetch.state == "ok") | .uid' | wc -l)" 11 'eleven objects, each once'
is "$(t3d -C calm manifest list | jq -r 'select(.stages.splits.state == "ok" or .split != null) | .caption' | grep -c .)" 11 'each with a caption'
is "$(cat calm/renders/*/*.idx | jq -r 'select(.member | endswith(".v19.png")) | .key' | sort -u | wc -l)" 11 'each with 20 views'
is "$(jq '.counts | add' calm/splits.json)" 11 'each in a split'
[ -n "$(find calm/embeddings -name '*.npy' -size +1k)" ]
ok $? 'embeddings are there'
expect_status 0 'once more' "$phase1" calm
is "$(grep -c 'to do\|new objects' err)" "$(grep -c '^t3d fetch: 0 new objects\|0 to do' err)" 'nothing is done twice'

kills=0 runs=0
while [ $kills -lt 25 ] && [ $runs -lt 300 ]; do
	runs=$((runs + 1))
	timeout -s KILL "$(printf 0.%03d $((50 + runs * 7919 % 700)))" "$phase1" wild >/dev/null 2>&1
	case $? in
	137) kills=$((kills + 1)) ;;
	0) [ $kills -ge 25 ] || rm -rf wild ;;
	esac
done
ok $((kills < 25)) "$kills kills in $runs runs"
# the children of a script that was killed may still be at work
sleep 2
expect_status 0 'the last run' "$phase1" wild
state calm >want
state wild >got
cmp -s got want
ok $? 'the same objects with the same numbers, captions and splits'
sums calm >want
sums wild >got
cmp -s got want
ok $? 'the same files'
is "$(t3d -C wild manifest check 2>/dev/null | jq -c 'select(.problem != "leftover")')" '' 'nothing is wrong'

# --- ten million entries ---------------------------------------------------------------------------------
# plan NAME: a dry run of it; its peak in $most (KiB).
plan() {
	t3d -C big fetch "$@" --base-url "$BASE_URL" --allow-net 127.0.0.1 --dry-run 2>plan.err &
	pid=$!
	most=0
	while kill -0 $pid 2>/dev/null; do
		for p in $(pgrep -f -- '--base-url .* --dry-run'); do
			kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$p/status" 2>/dev/null)
			[ "${kib:-0}" -le "$most" ] || most=$kib
		done
		sleep 0.2
	done
	wait $pid
}
root=www/datasets/allenai
awk 'BEGIN { printf("fileIdentifier\tsource\tlicense\tfileType\tsha256\n"); for (i = 0; i < 10000000; i++)
	printf("https://3d-api.si.edu/%d.glb\tsmithsonian\t%s\tglb\t\\N\n", i, i % 2 ? "CC0" : "\\N") }' |
	"$T3D_BUILD/aid/parquet" -g 1000000 $root/objaverse-xl/resolve/main/smithsonian/smithsonian.parquet
plan objaverse-xl --sources smithsonian --licenses cc0
is $? 0 'a table of ten million rows is planned'
like "$(cat plan.err)" '5000000 rows, .* 5000000 requests' 'and counted'
ok $((most >= 200 * 1024 || most == 0)) "in $((most / 1024)) MiB"
rm -rf big
awk 'BEGIN { printf("{"); for (i = 0; i < 10000000; i++)
	printf("%s\"%032x\": \"glbs/000-%03d/%032x.glb\"", i ? ", " : "", i, i % 160, i); printf("}\n") }' |
	gzip -1 >$root/objaverse/resolve/main/object-paths.json.gz
plan objaverse --no-annotations
is $? 0 'an index of ten million entries is planned'
like "$(cat plan.err)" '10000000 rows, .* 10000000 requests' 'and counted'
ok $((most >= 200 * 1024 || most == 0)) "in $((most / 1024)) MiB"
kill $server
done_testing
