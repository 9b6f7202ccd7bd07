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
unlike "$page" '(src|href)="?(http|//)' 'nothing is loaded from anywhere'
is "$(grep -o '<script>' page.html | wc -l)" 1 'one script'

# The content policy names the style and the script by their SHA-256.
hash_of() {
	tr '\n' '\001' <page.html | sed "s|.*<$1>\(.*\)</$1>.*|\1|" | tr '\001' '\n' | sha256sum | cut -d ' ' -f 1
}
named() {
	grep -o "$1-src 'sha256-[^']*" page.html | sed "s/.*sha256-//" | base64 -d | od -An -tx1 | tr -d ' \n'
}
is "$(named style)" "$(hash_of style)" 'the policy allows this style'
is "$(named script)" "$(hash_of script)" 'the policy allows this script'

t3d report r.json hostile.json -o again.html -q
ok "$(cmp -s page.html again.html; echo $?)" 'the same bytes again'
expect_status 0 'a table' t3d report --format md r.json
is "$(printf '%s\n' "$out" | sed -n 1p)" '| metric | r.json | target | result |' 'with its heading'
is "$(printf '%s\n' "$out" | grep -c '^| chamfer:')" "$(jq '[.summary | keys[] | select(startswith("chamfer:"))] | length' r.json)" \
	'and a row for each metric'
printf '\211PNG\r\n\032\n' >cut.png
expect_status 2 'nothing to show' t3d report
expect_status 1 'no such file' t3d report none.json
echo '{"schema": 9}' >other.json
expect_status 1 'another schema' t3d report other.json
expect_status 1 'a picture that is cut off' t3d report r.json --pictures cut.png
ok "$([ ! -e report.html ]; echo $?)" 'no page is left of a failure'
done_testing
