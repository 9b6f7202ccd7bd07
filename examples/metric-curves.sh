#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What each metric sees: objects beside themselves (the noise floors), and beside copies that are ever noisier,
# rounder, coarser, and darker. Prints a table in Markdown, and below it each column that does not only get worse
# as the change grows.
#
#     examples/metric-curves.sh [FOLDER of .obj files with .mtl and .png of the same name] [OPTION of t3d evaluate]...
#
# Without a folder it makes four objects of its own. An object of which a copy cannot be measured, as too few triangles
# are left, is named on stderr and is not in that row's means. With weights of LPIPS, in the workspace's models or given
# (--lpips DIR), it has their columns too. Needs jq.
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

# decimate FOLDER SHARE: copies with that share of the triangles. Again and again the shortest edges collapse to
# their middles, each vertex once a round; equal positions are one vertex, so that seams of textures stay closed.
# Corners keep their texture coordinates.
decimate() {
	mkdir -p "$dir/$1"
	for f in "$dir"/ref/*.obj; do
		for g in "${f%.obj}.mtl" "${f%.obj}.png"; do
			[ ! -f "$g" ] || cp "$g" "$dir/$1"
		done
		awk -v share="$2" -v OFMT=%.9g '
			function corner(c) { return substr(c, 1, index(c "/", "/") - 1) }
			function edge(i, j) {
				if ((i, j) in listed) return
				listed[i, j] = listed[j, i] = 1
				printf "%.12g %d %d\n", (x[i] - x[j]) ^ 2 + (y[i] - y[j]) ^ 2 + (z[i] - z[j]) ^ 2, i, j | sort
			}
			# One round: edges by length, those about a vertex that has moved are left to the next.
			function collapse(   k, w, v, i, n) {
				split("", listed); split("", about); split("", touched)
				sort = "sort -g >" sorted
				for (k = 1; k <= faces; k++) {
					if (gone[k]) continue
					edge(a[k], b[k]); edge(b[k], c[k]); edge(c[k], a[k])
					about[a[k]] = about[a[k]] " " k; about[b[k]] = about[b[k]] " " k; about[c[k]] = about[c[k]] " " k
				}
				close(sort)
				while (left > goal && (getline line <sorted) > 0) {
					split(line, w, " ")
					if (w[2] in touched || w[3] in touched) continue
					n = split(about[w[2]] about[w[3]], v, " ")
					x[w[2]] = (x[w[2]] + x[w[3]]) / 2; y[w[2]] = (y[w[2]] + y[w[3]]) / 2; z[w[2]] = (z[w[2]] + z[w[3]]) / 2
					for (i = 1; i <= n; i++) {
						k = v[i]
						touched[a[k]] = touched[b[k]] = touched[c[k]] = 1
						if (a[k] == w[3]) a[k] = w[2]
						if (b[k] == w[3]) b[k] = w[2]
						if (c[k] == w[3]) c[k] = w[2]
						if (!gone[k] && (a[k] == b[k] || b[k] == c[k] || c[k] == a[k])) { gone[k] = 1; left-- }
					}
				}
				close(sorted)
			}
			$1 == "v" {
				if (!($2 " " $3 " " $4 in known)) {
					known[$2 " " $3 " " $4] = ++points
					x[points] = $2; y[points] = $3; z[points] = $4
				}
				point[++vertices] = known[$2 " " $3 " " $4]
				next
			}
			$1 == "vn" { next }
			$1 == "f" {
				for (k = 4; k <= NF; k++) {
					faces++
					at[faces] = lines
					ca[faces] = $2; cb[faces] = $(k - 1); cc[faces] = $k
					a[faces] = point[corner($2)]; b[faces] = point[corner($(k - 1))]; c[faces] = point[corner($k)]
					gone[faces] = a[faces] == b[faces] || b[faces] == c[faces] || c[faces] == a[faces]
					left += !gone[faces]
				}
				next
			}
			{ text[++lines] = $0 }
			function texture(s,   w) { return split(s, w, "/") > 1 && w[2] != "" ? "/" w[2] : "" }
			END {
				goal = int(share * left)
				do { before = left; collapse() } while (left > goal && left != before)
				for (k = 1; k <= points; k++) print "v", x[k], y[k], z[k]
				for (i = 0; i <= lines; i++) {
					if (i) print text[i]
					for (; next_face < faces && at[next_face + 1] == i; next_face++) {
						k = next_face + 1
						if (!gone[k])
							print "f", a[k] texture(ca[k]), b[k] texture(cb[k]), c[k] texture(cc[k])
					}
				}
			}' sorted="$dir/sorted" "$f" >"$dir/$1/${f##*/}"
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

columns='[["chamfer cd-l1", "chamfer:cd-l1:"], ["surface-l1", "chamfer:surface-l1:"], ["F 1 %", "f-score:1pct:"],
	["F to 5 %", "f-score:auc5pct:"], ["normals", "normal-consistency:abs:"], ["hd95", "hausdorff:hd95:"],
	["hausdorff", "hausdorff:max:"], ["emd", "emd:exact:"], ["IoU", "iou:"], ["PSNR", "psnr:white"],
	["PSNR mask", "psnr:mask"], ["SSIM", "ssim:gauss11"], ["LPIPS vgg", "lpips:vgg"], ["LPIPS alex", "lpips:alex"],
	["LPIPS squeeze", "lpips:squeeze"]]'
metrics=chamfer:cd-l1,chamfer:surface-l1,f-score:1pct,f-score:auc5pct,normal-consistency:abs,hausdorff,emd:exact,iou,psnr,ssim,lpips
row() { # NAME OPTION...
	name=$1
	shift
	t3d evaluate --metrics "$metrics" --no-emd-floor --pred "$dir/$name" --ref "$dir/ref" -q --progress none -o "$dir/$name.json" "$@" || [ $? -eq 3 ]
	jq -r '[.items[] | select(.status != "ok") | .uid + ": " + .message] | .[]' "$dir/$name.json" | sed "s/^/$name: left out: /" >&2
	jq -c --arg name "$name" --argjson columns "$columns" '.summary as $s
		| {name: $name, family: ($name | split("-")[0]),
		   means: [$columns[] | . as $c | [$s | to_entries[] | select(.key | startswith($c[1])) | .value][0] // {n: 0}
			| select(.n > 0 or ($c[0] | startswith("LPIPS") | not)) | [$c[0], .mean, .better]]}' "$dir/$name.json" >>"$dir/rows"
}

while read -r name noise grid colour; do
	change "$name" "$noise" "$grid" "$colour"
	row "$name" "$@"
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
END
for share in 80 60 40 20; do
	decimate "triangles-$share%" ".$share"
	row "triangles-$share%" "$@"
done
while read -r name colour; do
	change "$name" 0 0 "$colour"
	row "$name" "$@"
done <<-END
	darker-5% .05
	darker-20% .2
	darker-50% .5
END
jq -rs '
	def shown: if . == null then "n/a" elif . >= 10 then (. * 100 | round) / 100 else (. * 100000 | round) / 100000 end;
	(.[0].means | map(.[0]) | "| change | " + join(" | ") + " |", "|---" * (length + 1) + "|"),
	(.[] | "| " + ([.name, (.means[] | .[1] | shown)] | map(tostring) | join(" | ")) + " |")' "$dir/rows"
# A step towards the better side by more than a thousandth of the value.
jq -rs '
	.[0] as $first
	| [.[1:] | group_by(.family)[] | [$first] + . | . as $f | range(1; length) as $i
		| range($f[0].means | length) as $k | $f[$i - 1].means[$k] as $a | $f[$i].means[$k] as $b
		| select($a[1] != null and $b[1] != null)
		| (if $a[2] == "lower" then $a[1] - $b[1] else $b[1] - $a[1] end) as $gain
		| select($gain > .001 * ([$a[1], -$a[1]] | max))
		| "\($a[0]) from \($f[$i - 1].name) to \($f[$i].name)"]
	| if length == 0 then "Every column gets worse, or stays, in each family." else "Better though more is changed: " + join("; ") + "." end' "$dir/rows"
