#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What each metric sees: objects beside themselves (the noise floors), and beside copies that are ever noisier,
# coarser, and darker. Prints a table in Markdown.
#
#     examples/metric-curves.sh [FOLDER of .obj files with .mtl and .png of the same name] [OPTION of t3d evaluate]...
#
# Without a folder it makes four objects of its own. Needs jq.
set -eu
case ${1:-} in
'' | -*) from= ;;
*) from=$1 && shift ;;
esac
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# A torus of N x N/2 quadrangles, bumpy, thick, in a colour: NAME N THICKNESS BUMPS R G B
torus() {
	printf 'newmtl m\nKd %s %s %s\n' "$5" "$6" "$7" >"$dir/ref/$1.mtl"
	awk -v name="$1" -v n="$2" -v thick="$3" -v bumps="$4" 'BEGIN {
		pi = atan2(0, -1); m = n / 2
		print "mtllib " name ".mtl"
		for (i = 0; i < n; i++) for (j = 0; j < m; j++) {
			u = 2 * pi * i / n; v = 2 * pi * j / m; r = thick * (1 + .2 * sin(bumps * u) * sin(bumps * v))
			printf "v %.6f %.6f %.6f\n", (1 + r * cos(v)) * cos(u), r * sin(v), -(1 + r * cos(v)) * sin(u)
		}
		print "usemtl m"
		for (i = 0; i < n; i++) for (j = 0; j < m; j++) {
			a = i * m + j + 1; b = (i + 1) % n * m + j + 1
			c = (i + 1) % n * m + (j + 1) % m + 1; d = i * m + (j + 1) % m + 1
			printf "f %d %d %d\nf %d %d %d\n", a, b, c, a, c, d
		}
	}' >"$dir/ref/$1.obj"
}

# change FOLDER NOISE GRID COLOUR: copies whose vertices are moved by up to NOISE of the longest edge, or rounded to
# 1/GRID of it (0 = neither), and whose colours are darker by COLOUR.
change() {
	mkdir -p "$dir/$1"
	for f in "$dir"/ref/*.obj; do
		awk -v noise="$2" -v grid="$3" -v OFMT=%.9g '
			function abs(x) { return x < 0 ? -x : x }
			function move(x) {
				if (grid) return int(x / edge * grid + (x < 0 ? -.5 : .5)) / grid * edge
				seed = (seed * 16807) % 2147483647
				return x + noise * edge * (2 * seed / 2147483647 - 1)
			}
			NR == FNR {
				if ($1 == "v") for (k = 2; k <= 4; k++) {
					if (!seen[k]++ || $k < lo[k]) lo[k] = $k
					if (seen[k] == 1 || $k > hi[k]) hi[k] = $k
				}
				next
			}
			FNR == 1 {
				seed = 4711
				for (k = 2; k <= 4; k++) if (hi[k] - lo[k] > edge) edge = hi[k] - lo[k]
			}
			$1 == "v" { print "v", move($2), move($3), move($4); next }
			$1 == "vn" { next }
			{ print }' "$f" "$f" >"$dir/$1/${f##*/}"
		mtl=${f%.obj}.mtl
		[ ! -f "${f%.obj}.png" ] || cp "${f%.obj}.png" "$dir/$1"
		awk -v d="$4" '
			$1 == "Kd" { print "Kd", $2 * (1 - d), $3 * (1 - d), $4 * (1 - d); next }
			{ print }' "$mtl" >"$dir/$1/${mtl##*/}"
	done
}

mkdir "$dir/ref"
if [ -n "$from" ]; then
	cp "$from"/* "$dir/ref"
else
	torus thin 96 .15 0 .8 .2 .2
	torus thick 96 .4 0 .2 .6 .3
	torus bumpy 160 .3 5 .2 .3 .8
	torus rough 200 .35 12 .9 .7 .2
fi

echo '| change | chamfer cd-l1 | surface-l1 | F 1 % | normals | emd | IoU | PSNR | PSNR mask | SSIM |'
echo '|---|---|---|---|---|---|---|---|---|---|'
while read -r name noise grid colour; do
	change "$name" "$noise" "$grid" "$colour"
	t3d evaluate --pred "$dir/$name" --ref "$dir/ref" -q --progress none -o "$dir/$name.json" "$@"
	jq -r --arg name "$name" '
		.summary as $s
		| def mean($start): [$s | to_entries[] | select(.key | startswith($start)) | .value.mean][0];
		def shown: if . == null then "n/a" elif . >= 10 then (. * 100 | round) / 100 else (. * 100000 | round) / 100000 end;
		"| " + ([$name, (["chamfer:cd-l1:", "chamfer:surface-l1:", "f-score:1pct:", "normal-consistency:abs:", "emd:exact:",
			"iou:", "psnr:white", "psnr:mask", "ssim:gauss11"][] | mean(.) | shown)] | map(tostring) | join(" | ")) + " |"' \
		"$dir/$name.json"
done <<-END
	itself 0 0 0
	noise-0.1% .001 0 0
	noise-0.3% .003 0 0
	noise-1% .01 0 0
	noise-3% .03 0 0
	grid-64 0 64 0
	grid-32 0 32 0
	grid-16 0 16 0
	grid-8 0 8 0
	darker-5% 0 0 .05
	darker-20% 0 0 .2
	darker-50% 0 0 .5
END
