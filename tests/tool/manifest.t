# SPDX-License-Identifier: Apache-2.0
# t3d manifest: records out and in, parts of other hosts joined, damage found.
. "$T3D_SOURCE/tests/lib.sh"

# same A B NAME: two files are equal.
same() {
	cmp "$1" "$2" >differ 2>&1
	ok "$?" "$3"
	[ ! -s differ ] || note "$(cat differ)"
}

expect_status 2 'no manifest is a usage error' t3d manifest list -C nowhere
like "$err" 't3d fetch' 'and says what makes one'

t3d -q fetch primitives --count 12 -C a >/dev/null
expect_status 0 'export' t3d manifest export -C a
cp out export.ndjson
is "$(wc -l <export.ndjson)" 12 'one line an object'
is "$(jq -r 'select(.uid and .source and .caption and .stages.fetch.state == "ok") | .num' export.ndjson |
	paste -sd' ')" '0 1 2 3 4 5 6 7 8 9 10 11' 'with uid, source, caption, states, in number order'

# --- list
uid=$(jq -r .uid export.ndjson | sed -n 5p)
expect_status 0 'list by uid' t3d manifest list -C a "$uid"
is "$out" "$(sed -n 5p export.ndjson)" 'gives the same record'
expect_status 3 'an unknown uid is exit 3' t3d manifest list -C a nobody "$uid"
is "$(jq -r .uid <out)" "$uid" 'and the others are listed'
like "$err" 'nobody' 'the message names it'
expect_status 2 '--state alone' t3d manifest list -C a --state ok
expect_status 0 'list by state' t3d manifest list -C a --stage fetch --state reject
empty out 'nothing was rejected'
expect_status 0 'list by state' t3d manifest list -C a --stage filter --state none
is "$(wc -l <out)" 12 'all are still to be filtered'
expect_status 0 'list by data set' t3d manifest list -C a --dataset other
empty out 'none of another data set'
t3d manifest list -C a --shard 0/3 >s0
t3d manifest list -C a --shard 1/3 >s1
t3d manifest list -C a --shard 2/3 >s2
is "$(sort s0 s1 s2 | md5sum)" "$(sort export.ndjson | md5sum)" 'shards are a partition'
expect_status 0 'show' t3d manifest show -C a "$uid"
like "$out" "^uid +$uid$" 'show prints the uid'
like "$out" '^  fetch +ok$' 'and the states'
expect_status 2 'show needs a uid' t3d manifest show -C a

# --- import
expect_status 0 'import' t3d manifest import -C b export.ndjson
t3d manifest export -C b >again.ndjson
same again.ndjson export.ndjson 'what was imported is exported again'
t3d manifest export -C a | t3d -q manifest import -C b -
is "$?" 0 'import from a pipe'
t3d manifest export -C b >again.ndjson
same again.ndjson export.ndjson 'importing twice changes nothing'
printf '%s\n' '{"uid":"a b"}' 'nonsense' '{"uid":"fine","source":"x.glb"}' '{"uid":"c","content":"12"}' \
	"{\"uid\":\"other\",\"content\":\"$(sed -n 1p export.ndjson | jq -r .content)\"}" >bad.ndjson
expect_status 3 'bad records are exit 3' t3d manifest import -C b --rejects rejects --dry-run bad.ndjson
t3d manifest export -C b | cmp -s - export.ndjson
ok "$?" '--dry-run wrote nothing'
expect_status 3 'bad records are exit 3' t3d manifest import -C b --rejects rejects bad.ndjson
is "$(jq -r .reason rejects | paste -sd' ')" 'bad-uid not-json bad-record duplicate-of' 'each with its reason'
is "$(t3d manifest list -C b fine | jq -r .source)" x.glb 'the good one is in'

# --- check
expect_status 0 'check' t3d manifest check -C a
empty out 'nothing to tell'
expect_status 1 'a workspace without its files' t3d manifest check -C b
is "$(jq -r .problem <out | sort -u)" missing 'they are missing'
file=$(find a/objects -type f | sort | head -1)
chmod u+w "$file"
printf x >>"$file"
expect_status 1 'a changed file' t3d manifest check -C a
is "$(jq -r '.problem + " " + .path' <out)" "modified ${file#a/}" 'is named'
truncate -s -1 "$file"
sh -c 'echo $$' >pid
: >"a/objects/new.$(cat pid).1.tmp"
expect_status 1 'a temporary file of a dead process' t3d manifest check -C a
is "$(jq -r .problem <out)" leftover 'is left over'
rm a/objects/new.*

# --- merge of another workspace
expect_status 0 'merge a workspace' t3d manifest merge -C c a
t3d manifest export -C c >again.ndjson
same again.ndjson export.ndjson 'has all records'
expect_status 0 'and all files' t3d manifest check -C c
expect_status 0 'merge again' t3d manifest merge -C c a/manifest.db
like "$err" '\(0 new objects\), 0 files' 'nothing is new'
expect_status 2 'nothing to merge' t3d manifest merge -C c /

# --- merge of parts: three hosts render, one joins
if [ -x "$T3D_BUILD/t3d-render" ] && [ -x "$T3D_BUILD/t3d-filter" ]; then
	render='--resolution 64 --num-views 2'
	cp -r a whole
	t3d -q filter -C whole
	# shellcheck disable=SC2086 # options
	t3d -q render -C whole $render
	for i in 0 1 2; do
		cp -r a "host$i"
		t3d -q filter -C "host$i"
		# shellcheck disable=SC2086
		t3d -q render -C "host$i" --shard $i/3 $render
	done
	ok "$(find host1/renders -name '000000.p1of3.tar' | wc -l | tr 1 0)" 'a part has its own tar'
	ok "$(find host1/parts -name 'render.*.p1of3.done' | wc -l | tr 1 0)" 'and a done marker'
	cp -r host0 bare && rm bare/manifest.db* && rm -r bare/objects
	t3d -q filter -C a
	expect_status 0 'merge the parts' t3d manifest merge -C a bare host1 host2
	(cd whole && find renders -type f -exec sha256sum {} +) | sort >sums.whole
	(cd a && find renders -type f -exec sha256sum {} +) | sort >sums.a
	same sums.a sums.whole 'the shards are those of one host, byte by byte'
	t3d manifest export -C a >export.a
	t3d manifest export -C whole >export.whole
	same export.a export.whole 'and so are the records'
	expect_status 0 'check' t3d manifest check -C a
	expect_status 0 'merge the parts again' t3d manifest merge -C a bare host1 host2
	like "$err" ', 0 files and 0 samples' 'nothing is done twice'
	printf '{}\n' >>bare/parts/render.hammersley:2-64.p0of3.ndjson
	expect_status 3 'a part that was changed on its way' t3d manifest merge -C a bare
	like "$err" 'p0of3.ndjson' 'is named and left out'
	tar=$(find whole/renders -name '*.tar')
	png=$(jq -r 'select(.member | endswith("v00.png")) | .offset' "${tar%.tar}.idx" | head -1)
	cp "$tar" tar
	chmod u+w "$tar" && printf xy | dd of="$tar" bs=1 seek=$((png + 100)) conv=notrunc 2>/dev/null
	expect_status 1 'a changed picture' t3d manifest check -C whole
	is "$(jq -r '.problem + " " + .path' <out)" "bad-shard $tar" 'is found'
	cat tar >"$tar"
	expect_status 0 'and mended' t3d manifest check -C whole
	printf x | dd of="$tar" bs=1 seek=10 conv=notrunc 2>/dev/null
	expect_status 1 'a changed shard' t3d manifest check -C whole
	is "$(jq -r .problem <out | sort -u | head -1)" bad-shard 'is found'
	rm "$tar"
	printf '{"num":0,"key":"%032d","offset":0,"size":4096}\n' 0 >"${tar%.tar}.journal"
	expect_status 1 'a shard under construction' t3d manifest check -C whole
	is "$(jq -r 'select(.problem == "not-in-shards") | .uid' <out | grep -cx "$(t3d -C whole manifest list | head -1 | jq -r .uid)")" \
		0 'its journal says what is not lost'
	rm "${tar%.tar}.journal"
else
	skip 'merge of parts' 'render is not built'
fi

# --- a folder that may only be read: root may write anywhere, so it steps down ----------------------------------
t3d -C read fetch primitives --count 2 -q
program=$(command -v t3d)
as_reader() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	else
		"$@"
	fi
}
chmod -R a+rX,a-w read
chmod a+rx .
if as_reader "$program" --version >/dev/null 2>&1 && as_reader test -r read/manifest.db; then
	expect_status 0 'status of a folder that may only be read' as_reader "$program" -C read status
	like "$out" '^objects +2' 'counts its objects'
	expect_status 1 'a stage in it' as_reader "$program" -C read filter
	like "$err" 'this user may not write there' 'says what is wrong'
else
	skip 'a folder that may only be read' 'there is no other user who can run the programs'
fi
chmod -R u+w read
done_testing
