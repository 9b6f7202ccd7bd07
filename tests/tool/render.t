#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d render: outputs, options, failures.
. "$T3D_SOURCE/tests/lib.sh"

t3d fetch primitives --count 3 -q && t3d filter -q
expect_status 0 'folders' t3d render --resolution 32 --output-dir views
uid=$(t3d manifest list | head -1 | jq -r .uid)
is "$(find "views/$uid" -name '[0-9]*.png' | wc -l)" 20 'twenty pictures'
is "$(jq '.views | length' "views/$uid/cameras.json")" 20 'cameras of each view'
is "$(jq '.frames | length' "views/$uid/transforms.json")" 20 'transforms.json has a frame a view'
is "$(cd "views/$uid" && jq -r '.frames[].file_path' transforms.json | xargs ls | wc -l)" 20 'its files are there'
is "$(jq '.views[0].c2w[2][3] > 2.5 and (.views[0].c2w[0][3] | fabs) < 1e-9' "views/$uid/cameras.json")" true 'the first camera looks from +Z'
is "$(jq '.views[4].c2w[0][3] > 2.5' "views/$uid/cameras.json")" true 'the fifth from +X'

expect_status 0 'all passes' t3d render --resolution 32 --num-views 3 --passes color,depth,normal,albedo,metal-rough
is "$(tar tf renders/hammersley:3-32/000000.tar | grep -c '^[0-9a-f]*\.v00')" 15 'a picture of each pass'
is "$(tar xOf renders/hammersley:3-32/000000.tar "$(tar tf renders/hammersley:3-32/000000.tar | grep -m1 v00.depth)" | od -An -tu1 -j24 -N2 | xargs)" '16 0' 'depth has 16 bits of grey'
cat >two.json <<'X'
{"views": [{"azimuth": 0, "elevation": 0}, {"azimuth": 90, "elevation": 10, "distance": 3}]}
X
expect_status 0 'views from a file' t3d render --resolution 32 --view-set two.json --light flat
expect_status 0 'their folder' test -d renders/two-32-flat
is "$(t3d manifest list | jq '.measures.render.touches_border | numbers' | sort -n | tail -1)" 0 'nothing is cropped'

printf 'v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 1 1\n' >flat.obj
printf 'v 0 0 0\n' >none.obj
t3d fetch local flat.obj none.obj -q
t3d filter -q --rejects r.ndjson
is "$(jq -r .reason r.ndjson | sort | paste -sd' ')" 'no-extent no-triangles' 'filter rejects objects without a surface'
expect_status 0 'so that render has nothing to fail on' t3d render -q --resolution 32

expect_status 2 'an unknown light' t3d render --light candle
expect_status 2 'a folder without a place' t3d render --format dir
expect_status 2 'resolution 0' t3d render --resolution 0
expect_status 2 'no such views' t3d render --view-set nowhere.json
echo '{"views": [{"azimuth": "north"}]}' >bad.json
t3d render --view-set bad.json 2>err
is "$(grep -c azimuth err)" 1 'a bad view names its field'
expect_status 2 'no manifest' t3d -C nowhere render
done_testing
