# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# make_mini DIR: a miniature of three data sets on a server's disk, with every trap that the real ones have.
# Needs t3d, and the aid `parquet`. Objects come from the built-in world, so all are real files.
#
#   DIR/datasets/allenai/objaverse/resolve/main/...       Objaverse 1.0: object paths, annotations, LVIS, glbs
#   DIR/datasets/allenai/objaverse-xl/resolve/main/...    Objaverse-XL: a Parquet table for each source
#   DIR/datasets/tiange/Cap3D/resolve/main/...            Cap3D: captions
#   DIR/ORG/REPO/COMMIT/...                               what raw.githubusercontent.com has
#   DIR/3d/...                                            what Smithsonian's server has

mini_sha() {
	sha256sum "$1" | cut -c1-64
}

# mini_glb N: the N-th object, from 0.
mini_glb() {
	sed -n "$(($1 + 1))p" made.list
}

# Objaverse 1.0. uid, folder, licence, bytes; every line is an object, its place in the list is its glb.
mini_objects='000074a334c541878360457c672b6c2e 000-000 by
ysqP6VH2x99bODrQRbcYdQjSLjV 000-000 cc0
0000ECCA9a234cae994be239f6fec552 000-001 by-nc
0000ecca9a234cae994be239f6fec552 000-001 by-sa
aaaa0000000000000000000000000005 000-001 by
aaaa0000000000000000000000000006 000-002 by
aaaa0000000000000000000000000007 000-002 by
aaaa0000000000000000000000000008 000-000 -'

mini_one() {
	root=$1/datasets/allenai/objaverse/resolve/main
	mkdir -p "$root/metadata"
	i=0
	echo "$mini_objects" | while read -r uid folder license; do
		mkdir -p "$root/glbs/$folder"
		cp "$(mini_glb $i)" "$root/glbs/$folder/$uid.glb"
		printf '%s %s %s %s\n' "$uid" "$folder" "$license" "$(wc -c <"$root/glbs/$folder/$uid.glb")"
		i=$((i + 1))
	done >mini.objects
	# Not ordered by folder; entries that are no objects; one that the server does not have; one that is a web page.
	{
		awk '{ printf("%s\"%s\": \"glbs/%s/%s.glb\"", NR > 1 ? ", " : "{", $1, $2, $1) }' mini.objects
		printf ', "gone00000000000000000000000000000": "glbs/000-001/gone00000000000000000000000000000.glb"'
		printf ', "page": "glbs/000-001/page.glb", "pointer": "glbs/000-001/pointer.glb"'
		printf ', "up": "glbs/../../../../../secret.glb", "number": 7, "bad uid": "glbs/000-000/x.glb"}\n'
	} | gzip >"$root/object-paths.json.gz"
	echo '<!DOCTYPE html><html><body>Log in</body></html>' >"$root/glbs/000-001/page.glb"
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >"$root/glbs/000-001/pointer.glb"
	# Annotations: of folder 000-002 there are none; one object has no record, one no licence; sizes are out of date.
	for folder in 000-000 000-001; do
		awk -v f=$folder 'BEGIN { printf "{" } $2 == f && $3 != "-" && $1 !~ /5$/ {
			printf "%s\"%s\": {\"uid\": \"%s\", \"name\": \"a \\\"thing\\\" }, {\", \"tags\": [{\"name\": \"x\"}], \"license\": \"%s\", \"archives\": {\"glb\": {\"size\": %d}}}", n++ ? "," : "", $1, $1, $3, $4 + 3 }
			$1 ~ /5$/ && $2 == f { printf "%s\"%s\": {\"name\": null}", n++ ? "," : "", $1 }
			END { printf "}" }' mini.objects | gzip >"$root/metadata/$folder.json.gz"
	done
	awk 'NR == 1 { printf "{\"chair\": [\"%s\"", $1 } NR == 3 { printf ", \"%s\"], \"teddy bear\": []", $1 }
		NR == 4 { printf ", \"mug\": [\"%s\"]}", $1 }' mini.objects | gzip >"$root/lvis-annotations.json.gz"
}

mini_tab() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$@"
}

mini_xl() {
	root=$1/datasets/allenai/objaverse-xl/resolve/main
	one=$1/datasets/allenai/objaverse/resolve/main
	c=ead0bed6a76012452273bbe18d12e4d68a881956
	mkdir -p "$root/sketchfab" "$root/smithsonian" "$root/github" "$1/3d" "$1/org/repo/$c/a b" "$1/org/repo/0123abcd"
	head='fileIdentifier	source	license	fileType	sha256	metadata'
	sketchfab=https://sketchfab.com/3d-models
	{
		echo "$head"
		awk '{ print $1, $2 }' mini.objects | head -3 | while read -r uid folder; do
			mini_tab "$sketchfab/$uid" sketchfab 'Creative Commons - Attribution' glb "$(mini_sha "$one/glbs/$folder/$uid.glb")" '\N'
		done
		mini_tab "$sketchfab/notinobjaverse1" sketchfab '\N' glb "$(mini_sha /dev/null)" '\N'
	} | "$T3D_BUILD/aid/parquet" -g 2 "$root/sketchfab/sketchfab.parquet"
	cp "$(mini_glb 10)" "$1/3d/skull (small).glb"
	{ # the table has its earlier name
		echo "$head"
		mini_tab 'https://3d-api.si.edu/3d/skull (small).glb' smithsonian CC0 glb "$(mini_sha "$(mini_glb 10)")" '{}'
		mini_tab 'https://3d-api.si.edu/3d/none.glb' smithsonian CC0 glb "$(mini_sha /dev/null)" '{}'
	} | "$T3D_BUILD/aid/parquet" "$root/smithsonian/object-metadata.parquet"
	g=https://github.com/org/repo/blob
	cp "$(mini_glb 11)" "$1/org/repo/$c/a b/#1%.glb"
	cp "$(mini_glb 12)" "$1/org/repo/0123abcd/other.glb" # another commit of the same repository
	cp "$(mini_glb 13)" "$1/org/repo/$c/changed.glb"
	cp "$(mini_glb 0)" "$1/org/repo/$c/again.glb" # one of Sketchfab's
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >"$1/org/repo/$c/large.glb"
	{
		echo "$head"
		mini_tab "$g/$c/a b/#1%.glb" github 'MIT License' glb "$(mini_sha "$(mini_glb 11)")" '{}'
		mini_tab "$g/0123abcd/other.glb" github '\N' glb "$(mini_sha "$(mini_glb 12)")" '{}'
		mini_tab "$g/$c/changed.glb" github 'MIT License' glb "$(mini_sha "$(mini_glb 12)")" '{}'
		mini_tab "$g/$c/again.glb" github 'MIT License' glb "$(mini_sha "$(mini_glb 0)")" '{}'
		mini_tab "$g/$c/large.glb" github 'MIT License' glb "$(mini_sha /dev/null)" '{}'
		mini_tab "$g/$c/scene.usdz" github 'MIT License' usdz "$(mini_sha /dev/null)" '{}'
		mini_tab "$g/$c/../../../etc/passwd.glb" github 'MIT License' glb "$(mini_sha /dev/null)" '{}'
		mini_tab '\N' github '\N' glb '\N' '\N'
		mini_tab "$g/$c/short.glb" github '\N' glb 12ab '\N'
	} | "$T3D_BUILD/aid/parquet" -g 4 "$root/github/github.parquet"
}

# Captions: no header, CRLF, commas and quotes inside of quotes; keys are uids of Objaverse 1.0, and SHA-256 of the
# other objects of Objaverse-XL.
mini_cap3d() {
	root=$1/datasets/tiange/Cap3D/resolve/main
	mkdir -p "$root"
	{
		i=0
		echo "$mini_objects" | while read -r uid _; do
			printf '%s,"%s, the ""%s"""\r\n' "$uid" "$(sed -n "$((i + 1))p" made.captions)" $i
			i=$((i + 1))
		done
		for i in 10 11 12; do
			printf '%s,%s\r\n' "$(mini_sha "$(mini_glb $i)")" "$(sed -n "$((i + 1))p" made.captions)"
		done
		printf '%s,nobody has this\r\n' ffffffffffffffffffffffffffffffff
	} >"$root/Cap3D_automated_Objaverse_full.csv"
}

make_mini() {
	[ -e made.list ] || {
		t3d -C made fetch primitives --count "${2:-14}" -q
		t3d -C made manifest list | jq -r '"made/objects/" + .content[0:2] + "/" + .content + ".glb"' >made.list
		t3d -C made manifest list | jq -r .caption >made.captions
	}
	mini_one "$1"
	mini_xl "$1"
	mini_cap3d "$1"
}

# mini_renders ZIP: renders of the first three objects of mini_objects as Cap3D has them, of one that is damaged and
# of one that nobody has. Needs a workspace `made` that is rendered: its pictures are taken.
mini_renders() {
	mkdir -p views inner
	[ -d views/png ] || t3d -C made filter -q
	[ -d views/png ] || t3d -C made render --num-views 20 --resolution 64 --format dir --output-dir views/png -q
	first=$(find views/png -mindepth 1 -maxdepth 1 -type d | sort | head -1)
	pairs=
	i=0
	while [ $i -lt 20 ]; do
		n=$(printf %05d $i)
		# a ring of radius 2 in Blender's frame, at the height of the object
		awk -v i=$i 'BEGIN { a = 6.283185307179586 * i / 20; c = cos(a); s = sin(a)
			printf("{\"format_version\":6,\"max_depth\":5.0,\"bbox\":[[-0.5,-0.5,-0.5],[0.5,0.5,0.5]],\"origin\":[%.15f,%.15f,0],\"x_fov\":0.6911112070083618,\"y_fov\":0.6911112070083618,\"x\":[%.15f,%.15f,0],\"y\":[0,0,-1],\"z\":[%.15f,%.15f,0]}", 2 * s, -2 * c, c, s, -s, c) }' >"inner/$n.json"
		pairs="$pairs $n.png=$first/$(printf %03d $i).png deflate:$n.json=inner/$n.json"
		i=$((i + 1))
	done
	# shellcheck disable=SC2086 # one word a member
	"$T3D_BUILD/aid/pack" zip inner/whole.zip $pairs info.json=inner/00000.json
	# shellcheck disable=SC2046,SC2086
	"$T3D_BUILD/aid/pack" zip inner/short.zip $(printf '%s\n' $pairs | grep -v 00013.png)
	head -c 2000 inner/whole.zip >inner/cut.zip
	d=Cap3D_Objaverse_renderimgs
	# shellcheck disable=SC2046 # one word a uid
	set -- "$1" $(echo "$mini_objects" | cut -d' ' -f1)
	"$T3D_BUILD/aid/pack" zip "$1" "zip64:$d/$2.zip=inner/whole.zip" "deflate:$d/$3.zip=inner/whole.zip" \
		"$d/$4.zip=inner/short.zip" "$d/$5.zip=inner/cut.zip" "$d/nobody.zip=inner/whole.zip" "$d/readme.txt=inner/00000.json"
}
