#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d report: pages from reports, whatever stands in them.
. "$T3D_SOURCE/tests/lib.sh"

# cloud NAME X: four points.
cloud() {
	{
		printf 'ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nend_header\n'
		printf '%s 0 0\n1 0 0\n0 1 0\n0 0 1\n' "$2"
	} >"$1"
}
mkdir pred ref
for i in 1 2 3; do
	cloud "pred/o$i.ply" "0.$i"
	cloud "ref/o$i.ply" 0
done
t3d evaluate --pred pred --ref ref --metrics chamfer --output r.json -q >/dev/null 2>&1
jq '.items[0].uid = "<script>alert(1)</script>&\"" | .items[1].status = "fail" | .items[1].reason = "x<b>" |
	.items[1].metrics = {}' r.json >hostile.json

expect_status 0 'a page' t3d report r.json hostile.json -o page.html
page=$(cat page.html)
unlike "$page" '<script>alert' 'text of a report is never markup'
like "$page" '&lt;script&gt;alert\(1\)&lt;/script&gt;&amp;&quot;' 'it is shown as it is'
unlike "$page" '(src|href|url)[=(]"?(http|//|file:)' 'nothing is loaded from anywhere'
is "$(grep -o '<script>' page.html | wc -l)" 2 'two scripts'

# The content policy names the style and the scripts by their SHA-256, and allows nothing from outside.
hashes_of() {
	perl -MDigest::SHA=sha256_base64 -0777 -ne \
		"while (m{<$1>(.*?)</$1>}sg) { \$h = sha256_base64(\$1); \$h .= '=' while length(\$h) % 4; print qq(sha256-\$h ) }" page.html
}
allowed() {
	perl -0777 -ne "m{$1-src ([^;\"]*)} and print join(' ', map { s/'//gr } split ' ', \$1), ' '" page.html
}
is "$(allowed style)" "$(hashes_of style)" 'the policy allows this style'
is "$(allowed script)" "$(hashes_of script)" 'the policy allows these scripts'
like "$page" "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; worker-src blob:;" 'and nothing else'

t3d report r.json hostile.json -o again.html -q
ok "$(cmp -s page.html again.html; echo $?)" 'the same bytes again'
expect_status 0 'a table' t3d report --format md r.json
is "$(printf '%s\n' "$out" | sed -n 1p)" '| metric | r.json | floor | target | result |' 'with its heading'
is "$(printf '%s\n' "$out" | grep -c '^| chamfer:')" "$(jq '[.summary | keys[] | select(startswith("chamfer:"))] | length' r.json)" \
	'and a row for each metric'

# has FILE PATTERN NAME: a page is too long to be shown when it has not.
has() {
	grep -Eq -e "$2" "$1"
	ok $? "$3"
}

# Whatever t3d writes down, told apart by its content.
cat >speed.ndjson <<'NDJSON'
{"stage":"png","unit":"pictures","work":20,"threads":1,"seconds":2,"per_second":10,"seconds_each":0.1,"share":{"decode":0.25,"encode":0.75}}
NDJSON
sed 's/"seconds_each":0.1/"seconds_each":0.05/' speed.ndjson >faster.ndjson
printf '{"step":%d,"loss":%s}\n' 1 4 2 2 3 1 >log.ndjson
echo '{"bench":"captions","model":"<i>m</i>","accuracy":0.75}' >captions.ndjson
jq '(.items[].metrics["chamfer:cd-l1:ref-bbox1:points"]) += 1' r.json >worse.json
t3d evaluate --compare r.json worse.json >compared.json 2>/dev/null
expect_status 0 'all kinds on one page' t3d report r.json worse.json compared.json speed.ndjson faster.ndjson log.ndjson captions.ndjson -o kinds.html
has kinds.html '<td data-v="2">2</td><td class=text><svg' 'times as fast'
has kinds.html 'decode 25 %</title>' 'shares of a stage'
has kinds.html '<h3>loss</h3><svg' 'curves of training'
has kinds.html '<td data-v="0.75">0.75</td>' 'a row of any bench'
has kinds.html '<h2 id=comparison>' 'runs compared'
is "$(grep -c '<i>m' kinds.html)" 0 'their text is text too'
expect_status 0 'and as Markdown' t3d report --format md speed.ndjson log.ndjson captions.ndjson compared.json
like "$out" '^\| png \| 20 pictures \| 1 \| 2 \| 10 \|$' 'a stage'
like "$out" '^\| loss \| 1 \|$' 'what a log ends with'

# Reports with the right beginning and anything behind it.
i=0
while read -r text; do
	i=$((i + 1))
	printf '%s\n' "$text" >odd.json
	status=0
	t3d report odd.json odd.json r.json --format html -o odd.html 2>err || status=$?
	ok "$([ $status -le 1 ]; echo $?)" "an odd report ($i) is shown or refused: status $status"
done <<'JSON'
{"schema":1,"items":[],"summary":[1,{"n":1}],"settings":[1,[2]],"machine":3,"command":4}
{"schema":1,"items":[1,"a",null,[{"uid":1}],{"uid":[],"metrics":[1],"status":2}],"summary":{"x":{"mean":"a","n":1,"ci95":[null,1],"target":5,"pass":7}}}
{"schema":1,"items":[{"uid":"a","metrics":{"x":1e308}},{"uid":"b","metrics":{"x":-1e308}}],"summary":{"x":{"mean":0,"n":2,"floor":1e308,"target":"< 1e308"}}}
{"n_common":1,"metrics":[{"n":1}]}
{"n_common":1,"metrics":{"x":5}}
{"step":1e308,"loss":1e308,"stage":[],"share":[1]}
{"stage":[],"seconds":"x","share":[0.5,{"a":1}]}
{"a":{"b":{"c":1}},"d":[1],"0123456789012345678901234567890123456789":{"0123456789012345678901234567890123456789":1}}
JSON
printf '{"step":%s,"loss":%s}\n' -1e308 -1e308 1e308 1e308 >odd.ndjson
expect_status 0 'numbers as large as they come' t3d report odd.ndjson -o odd.html
has kinds.html 'settings</summary><p>metrics' 'settings are shown'

# Objects of the viewer.
expect_status 0 'objects on a page' t3d report r.json --objects pred ref -o objects.html
is "$(grep -c 'class=object' objects.html)" 6 'each of them'
is "$(grep -o 'data-name="o1"[^>]*' objects.html | grep -c 'data-other=')" 2 'those of one name know each other'
expect_status 0 'more than there is room for' t3d report r.json --objects pred ref --max-data 10k -o small.html
has small.html '[1-5] of 6 objects are not in this page' 'says how many are left out'
ok "$([ "$(wc -c <small.html)" -lt 70000 ]; echo $?)" 'and keeps to it'
echo 'no object' >pred/bad.glb
expect_status 3 'one that cannot be read' t3d report r.json --objects pred -o bad.html
like "$err" 'bad.glb' 'it is named'
has bad.html '1 could not be read' 'on the page too'
expect_status 1 'no such folder' t3d report r.json --objects nowhere
mkdir none
expect_status 1 'a folder without objects' t3d report r.json --objects none

printf '\211PNG\r\n\032\n' >cut.png
expect_status 2 'Markdown of nothing' t3d report --format md
expect_status 2 'nothing to show' t3d report
expect_status 1 'no such file' t3d report none.json
echo '{"schema": 9}' >other.json
expect_status 1 'another schema' t3d report other.json
expect_status 1 'a picture that is cut off' t3d report r.json --pictures cut.png
ok "$([ ! -e report.html ]; echo $?)" 'no page is left of a failure'
done_testing
