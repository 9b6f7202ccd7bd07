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
printf '\211PNG\r\n\032\n' >cut.png
expect_status 2 'nothing to show' t3d report
expect_status 1 'no such file' t3d report none.json
echo '{"schema": 9}' >other.json
expect_status 1 'another schema' t3d report other.json
expect_status 1 'a picture that is cut off' t3d report r.json --pictures cut.png
ok "$([ ! -e report.html ]; echo $?)" 'no page is left of a failure'
done_testing
