#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch urls is killed again and again and ends with what one run gives; a list of ten million rows
# needs no more memory than a short one.
. "$T3D_SOURCE/tests/lib.sh"

mkdir www
head -c 20000000 /dev/urandom >www/large.stl
mkfifo port
"$T3D_BUILD/aid/serve" -d www -t 1200 >port &
server=$!
read -r port <port
base=http://127.0.0.1:$port
{
	i=0
	while [ $i -lt 3000 ]; do
		echo "$base/b/$((500 + i * 7 % 30000))/n$i.stl"
		[ $((i % 1000)) -ne 500 ] || echo "$base/f/large.stl?$i"
		i=$((i + 1))
	done
} >list
rows() {
	t3d -C "$1" manifest list | jq -c '[.uid, .num, .content, .source, .stages.fetch.state]'
}
fetch() {
	ws=$1
	shift
	"$@" t3d -C "$ws" fetch urls list --allow-net 127.0.0.1 -q --progress none >stats
}
expect_status 0 'an undisturbed run' fetch calm
rows calm >want
is "$(wc -l <want)" 3001 'all objects, and the large one once'

kills=0 runs=0
while [ $kills -lt 60 ] && [ $runs -lt 400 ]; do
	runs=$((runs + 1))
	# from the counter, so that a failure can be repeated
	fetch wild timeout -s KILL "$(printf 0.%03d $((30 + runs * 7919 % 170)))" 2>>log
	case $? in
	137) kills=$((kills + 1)) ;;
	0) [ $kills -ge 60 ] || rm -rf wild ;;
	*) note "run $runs: $(tail -1 log)" ;;
	esac
done
ok $((kills < 60)) "$kills kills in $runs runs"
expect_status 0 'the last run' fetch wild
rows wild >got
cmp -s got want
ok $? 'the same objects with the same numbers'
is "$(cd wild/objects && find . -type f ! -name '*.tmp' | sort)" "$(cd calm/objects && find . -type f | sort)" 'the same files'
# A process that was killed a moment ago may still be a zombie: then its temporary file stays for the next run.
is "$(t3d -C wild manifest check 2>/dev/null | jq -c 'select(.problem != "leftover")')" '' 'nothing is wrong'
[ ! -e wild/incoming ]
ok $? 'no partial file is left'

# --- ten million rows ------------------------------------------------------------------------------------
peak() {
	jq .peak_mib stats
}
awk 'BEGIN { print "url\tlicense"; for (i = 0; i < 200000; i++) print "http://127.0.0.1:1/" i ".glb\tby-nc" }' >rows
t3d -C many fetch urls rows --licenses CC0-1.0 -q --progress none >stats
ok $(($(peak) >= 200)) "200,000 rows that are rejected: $(peak) MiB"
awk 'BEGIN { print "url\tsize"; for (i = 0; i < 10000000; i++) print "http://example.org/objects/" i ".glb\t" i % 1000 }' >rows
t3d -C plan fetch urls rows --dry-run 2>plan.err &
pid=$!
most=0
while kill -0 $pid 2>/dev/null; do
	for p in $(pgrep -f 'urls rows --dry-run'); do
		kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$p/status" 2>/dev/null)
		[ "${kib:-0}" -le "$most" ] || most=$kib
	done
	sleep 0.2
done
wait $pid
is $? 0 'ten million rows are planned'
like "$(cat plan.err)" '10000000 rows, .* 10000000 requests' 'and counted'
ok $((most >= 200 * 1024)) "in $((most / 1024)) MiB"
kill $server
done_testing
