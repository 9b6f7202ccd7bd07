#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pages of t3d report in a browser: what its viewer draws is what t3d's own rasterisers draw; tables sort; nothing
# is as wide as to scroll on a phone; hostile text stays text; without WebGL 2 there are still pictures.
. "$T3D_SOURCE/tests/lib.sh"
browser=$(command -v chromium || command -v google-chrome || command -v chrome) ||
	skip_all 'there is no Chromium: apt-get install chromium'
software='--use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader'
mkdir home
HOME=$PWD/home
export HOME

# see WHAT URL: --dump-dom or --screenshot=FILE of a page once its scripts have run.
see() {
	what=$1
	url=$2
	shift 2
	# shellcheck disable=SC2086 # options
	timeout -k 5 120 "$browser" --headless --no-sandbox --disable-dev-shm-usage --hide-scrollbars \
		--user-data-dir="$PWD/home/chromium" --virtual-time-budget=4000 $software --enable-logging=stderr \
		"$what" "$@" "$url" 2>browser.err
}
# picture FILE SIZE FRAGMENT: the page's canvas alone.
picture() {
	see --screenshot="$1" "file://$PWD/page.html#full&bare&ground=white&$3" --window-size="$2,$2"
}
psnr() { # of two pictures
	t3d evaluate --pred "$1" --ref "$2" --metrics psnr:white -o psnr.json --redo -q 2>/dev/null
	jq '.items[0].metrics["psnr:white"] // 0' psnr.json
}
# close GOT WANTED LEAST NAME: two pictures differ by less than LEAST dB.
close() {
	value=$(psnr "$1" "$2")
	ok "$(jq -n "if $value >= $3 then 0 else 1 end")" "$4 ($value dB)"
}
numbered() { # label -> number of the object in the page
	grep -o '<option value=[0-9]*>[^<]*' page.html | sed -n "s/.*value=\([0-9]*\)>$1\$/\1/p" | head -n 1
}

# Objects: meshes of the built-in world with textures among them, and Gaussians from a moment's training.
export T3D_WORKSPACE="$PWD/ws"
t3d fetch primitives --count 24 --seed 5 -q
mkdir pred ref
i=0
for f in $(find ws/objects -name '*.glb' | sort | head -n 12); do
	cp "$f" "ref/o$i.glb"
	cp "$f" "pred/o$i.glb"
	i=$((i + 1))
done
cp ref/o3.glb pred/o2.glb
t3d evaluate --pred pred --ref ref --points 2000 --emd-points 256 --resolution 64 -o r.json -q 2>/dev/null
expect_status 0 'a page with objects' t3d report r.json --objects pred ref -o page.html

# Meshes: base colours without light are the same in both.
T3D_WORKSPACE=rw t3d fetch local ref --uid-from name -q
T3D_WORKSPACE=rw t3d filter -q
T3D_WORKSPACE=rw t3d render --resolution 400 --light flat --format dir --output-dir views -q
for o in o0 o5 o7; do
	picture mesh.png 400 "object=$(numbered "$o (ref)")&azimuth=0&elevation=20&light=flat"
	close mesh.png "views/$o/000.png" 30 "$o as the rasteriser draws it"
done
picture other.png 400 "object=$(numbered 'o7 (ref)')&azimuth=90&elevation=-70&light=flat"
ok "$(jq -n "if $(psnr other.png mesh.png) < 30 then 0 else 1 end")" 'from another side it looks otherwise'
picture both.png 400 "object=$(numbered 'o2 (pred)')&beside=$(numbered 'o2 (ref)')&azimuth=0&elevation=20&light=flat"
ok "$([ -s both.png ]; echo $?)" 'two beside each other'

# Splats: what the shipped generator makes, few and many, in each of its formats.
t3d generate 'a red cube on a blue cylinder' -o splats/one.ply -q >/dev/null
t3d generate 'a red cube on a blue cylinder' -o splats/two.splat -q >/dev/null
t3d generate 'a red cube on a blue cylinder' --format gltf-splat -o splats/three.glb -q >/dev/null
t3d generate 'a red cube on a blue cylinder' --format views --resolution 400 -o splats-views -q >/dev/null
mv page.html meshes.html
expect_status 0 'a page with splats' t3d report --objects splats -o page.html
for o in one:45 two:33 three:45; do
	picture splat.png 400 "object=$(numbered "${o%:*}")&azimuth=90&elevation=20"
	close splat.png "$(find splats-views -name 004.png)" "${o#*:}" "$o splats as the rasteriser draws them"
done
# more than are sorted in a frame go to the worker
cp splats/two.splat many.splat
for _ in 1 2 3 4 5 6; do
	cat many.splat many.splat >twice.splat && mv twice.splat many.splat
done
t3d report --objects many.splat splats/two.splat -o page.html -q
like "$(grep -o 'data-n=[0-9]*' page.html | sort -t = -k 2 -n | tail -n 1)" 'data-n=[4-9][0-9]{4}|data-n=[0-9]{6}' 'many splats'
picture many.png 400 "object=$(numbered many)&azimuth=90&elevation=20"
picture few.png 400 "object=$(numbered two)&azimuth=90&elevation=20"
close many.png few.png 12 'many lie where few do'
ok "$(jq -n "if $(psnr many.png few.png) < 60 then 0 else 1 end")" 'and are denser'
mv meshes.html page.html

# shows PATTERN NAME: the page has it once its scripts have run.
shows() {
	grep -Eq -e "$1" dom.html
	ok $? "$2"
}
# The page as a reader finds it.
see --dump-dom "file://$PWD/page.html" >dom.html
unlike "$(cat browser.err)" 'Content Security Policy|Uncaught|CONSOLE.*(error|Error)' 'no script is stopped or fails'
shows '<div id="view"( class="")?>' 'the viewer works'
shows '<canvas[^>]*aria-label="Orbit view of o[0-9]* \((pred|ref)\), [0-9,]* vertices' 'it says what it shows'
shows '<th scope="col"><button type="button">metric</button>' 'headings can be pressed'
shows '<button type="button" class="open" title="show o2">' 'items open the viewer'

# driven NAME WIDTH CODE: the page with CODE behind its scripts (and so without its policy), which reports by `say`.
driven() {
	perl -0777 -pe 's/<meta http-equiv[^>]*>//' page.html >"$1.html"
	printf '<script>const said=[];function say(k,v){said.push(k+"="+v)}function later(){%s;const p=document.createElement("pre");p.id="said";p.textContent=said.join("\\n");document.body.append(p)}setTimeout(later,500)</script>\n' "$3" >>"$1.html"
	see --dump-dom "file://$PWD/$1.html" --window-size="$2,900" | sed -n '/<pre id="said">/,/<\/pre>/p' | sed 's/.*<pre id="said">//; s/<\/pre>.*//; s/&amp;/\&/g; s/&lt;/</g; s/&gt;/>/g' >said
}
told() {
	sed -n "s/^$1=//p" said
}
driven sorts 1280 '
	const table=document.querySelector("#items0"), head=table.tHead.rows[0].cells[2], button=head.firstElementChild;
	const values=()=>[...table.tBodies[0].rows].map(r=>r.cells[2].dataset.v).filter(v=>v!=="").map(Number);
	const rising=v=>v.every((x,i)=>!i||v[i-1]<=x);
	button.click(); say("rising",rising(values())+" "+head.getAttribute("aria-sort"));
	button.click(); say("falling",rising(values().reverse())+" "+head.getAttribute("aria-sort"));
	say("focus",(button.focus(),document.activeElement===button));
	const find=document.querySelector("[data-filter=items0]"); find.value="o7"; find.dispatchEvent(new Event("input"));
	say("found",[...table.tBodies[0].rows].filter(r=>!r.hidden).map(r=>r.cells[0].textContent).join());
	document.querySelector("[title=\"show o2\"]").click();
	say("opened",[...document.querySelectorAll("#view select")].slice(0,2).map(s=>s.options[s.selectedIndex].textContent).join());
	const canvas=document.querySelector("canvas"), press=key=>canvas.dispatchEvent(new KeyboardEvent("keydown",{key,bubbles:true,cancelable:true}));
	press("f"); say("full",document.getElementById("view").classList.contains("full")); press("Escape");
	say("again",document.getElementById("view").classList.contains("full"));
	press("]"); say("next",document.querySelector("[data-do=object]").selectedIndex);
	say("wide",document.documentElement.scrollWidth)'
is "$(told rising)" 'true ascending' 'a press sorts a table'
is "$(told falling)" 'true descending' 'another one turns it round'
is "$(told focus)" true 'headings take the keyboard'
is "$(told found)" o7 'items are found by name'
is "$(told opened)" 'o2 (pred),o2 (ref)' 'an item opens beside its reference'
is "$(told full) $(told again)" 'true false' 'f and Escape: the whole window and back'
is "$(told wide)" 1280 'nothing is wider than the window'
# The browser's window is never below 500 pixels; the page's width can be.
driven phone 500 'document.documentElement.style.width="360px";say("wide",document.body.scrollWidth<=360);
	say("window",document.documentElement.scrollWidth<=innerWidth);say("canvas",document.querySelector("canvas").clientWidth>300)'
is "$(told wide) $(told window) $(told canvas)" 'true true true' 'nor than a phone'

# Hostile text: names of items, of objects and of files.
evil='<img src=x onerror=document.title="owned">'
mkdir evil
cp ref/o1.glb "evil/$evil.glb"
jq --arg evil "$evil" '.items[0].uid = $evil | .items[1].reason = $evil | .items[1].status = "fail" | .command = $evil' r.json >"$evil.json"
t3d report "$evil.json" --objects evil -o page.html -q
see --dump-dom "file://$PWD/page.html" >dom.html
shows '<title>t3d report</title>' 'hostile text does nothing'
is "$(grep -c 'src="x"' dom.html)" 0 'and makes no elements'

# A browser without WebGL.
software='--disable-gpu --disable-3d-apis'
see --dump-dom "file://$PWD/page.html" >dom.html
shows '<div id="view" class="stills">' 'without WebGL there are stills'
shows '<img class="still" alt="[^"]+" src="data:image/png;base64,' 'one of them in the place of the viewer'
done_testing
