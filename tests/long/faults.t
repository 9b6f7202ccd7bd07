#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch, filter and render when the n-th allocation fails, when the n-th write fails, and when the disk is full: they
# end by themselves, say so, and the next run makes everything whole.
. "$T3D_SOURCE/tests/lib.sh"

${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O1 -shared -fPIC -o fault.so "$T3D_SOURCE/tests/preload/fault.c" -ldl || skip_all 'no shared library can be made'
mkdir in
t3d -C made fetch primitives --count 2 -q
cp made/objects/*/*.glb in
printf 'mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\nf 1/1 2/1 3/1\n' >in/a.obj
printf 'newmtl m\nmap_Kd t.png\n' >in/a.mtl
printf '%s' iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC | base64 -d >in/t.png
printf 'v 0 0 0\nv 1 0 0\nv 0 7 0\nf 1 2 3\n' >x.obj
"$T3D_BUILD/aid/pack" zip in/x.zip x.obj=x.obj
find in -type f -exec touch -d 2020-01-01 {} +

# stage WORKSPACE STAGE [WRAPPER...]
stage() {
	ws=$1 name=$2
	shift 2
	case $name in
	fetch) "$@" t3d -C "$ws" fetch local in -j 1 ;;
	filter) "$@" t3d -C "$ws" filter -j 1 ;;
	render) "$@" t3d -C "$ws" render -j 1 --num-views 2 --resolution 16 ;;
	esac
}
# what is in it, without what a retry counts
facts() {
	t3d -C "$1" manifest list | jq -cS '[.uid, .num, .content, .measures, (.stages | map_values(.state))]'
	(cd "$1/renders" && find . -type f | sort | xargs sha256sum) 2>/dev/null
}
for s in fetch filter render; do
	stage calm$s fetch 2>/dev/null
	case $s in filter | render) stage calm$s filter 2>/dev/null ;; esac
	case $s in render) stage calm$s render 2>/dev/null ;; esac
	facts calm$s >want.$s
done
# begin STAGE: what the stage stands on, in the workspace wild
begin() {
	rm -rf wild
	case $1 in
	filter) cp -r calmfetch wild ;;
	render) cp -r calmfilter wild ;;
	esac
}
# one STAGE LABEL WRAPPER...: a run with a fault, and the one after it
one() {
	s=$1 label=$2
	shift 2
	begin "$s"
	stage wild "$s" timeout -s KILL 60 "$@" >out 2>err
	status=$?
	case $status in
	0) ;;
	# It says why, unless it was the message that could not be written.
	1 | 2 | 3 | 74 | 75) [ -s err ] || grep -q 'write(2.*INJECTED' trace 2>/dev/null || bad="$bad $label:silent" ;;
	*) bad="$bad $label:$status" ;;
	esac
	[ $status -eq 0 ] || failed=$((failed + 1))
	stage wild "$s" >out2 2>err2 || bad="$bad $label:then-$?"
	facts wild | cmp -s - "want.$s" || bad="$bad $label:differs"
}
# steps COUNT N: about N numbers up to COUNT, all of the first
steps() {
	awk -v c="$1" -v n="$2" 'BEGIN { for (i = 1; i <= c; i = i < n / 4 ? i + 1 : int(i * exp(log(c / i + 1) / n * 2)) + 1) print i }'
}

# --- allocations ------------------------------------------------------------------------------------------
each=${FAULTS:-60}
for s in fetch filter render; do
	begin $s
	stage wild $s env LD_PRELOAD="$PWD/fault.so" FAULT_COUNT="$PWD/count" 2>/dev/null
	n=$(cat count)
	bad='' failed=0
	for i in $(steps "$n" "$each"); do
		one $s "$i" env LD_PRELOAD="$PWD/fault.so" FAULT_AT="$i"
	done
	is "$bad" '' "$s: one of $n allocations fails ($failed runs failed)"
	bad='' failed=0
	for i in $(steps "$n" $((each / 3))); do
		one $s "$i" env LD_PRELOAD="$PWD/fault.so" FAULT_FROM="$i"
	done
	is "$bad" '' "$s: all allocations from one on fail ($failed runs failed)"
	bad='' failed=0
	for i in $(steps 400 $((each / 3))); do
		one $s "$i" env LD_PRELOAD="$PWD/fault.so" FAULT_AT="$i" FAULT_CHILDREN=1
	done
	is "$bad" '' "$s: allocations of the parsers fail ($failed runs failed)"
done

# --- writes -----------------------------------------------------------------------------------------------
calls=write,pwrite64,writev,ftruncate,rename,renameat,fsync,fdatasync,linkat
if strace -o probe -e trace=write true 2>/dev/null; then
	for s in fetch filter render; do
		begin $s
		stage wild $s strace -o trace -e trace=$calls 2>/dev/null
		n=$(grep -c '(' trace)
		for error in ENOSPC EIO; do
			bad='' failed=0
			for i in $(steps "$n" $((each / 2))); do
				one $s "$i" strace -o trace -e inject=$calls:error=$error:when="$i"
			done
			is "$bad" '' "$s: one of $n writes fails with $error ($failed runs failed)"
		done
	done
else
	skip 'failing writes' 'strace is not there or may not trace'
fi

# --- a full disk --------------------------------------------------------------------------------------------
head -c 400000 /dev/zero >in/large.stl
for s in fetch filter render; do
	begin $s
	(
		ulimit -f 16 # blocks of 512 or 1024 bytes
		stage wild $s >out 2>err
	)
	status=$?
	like "$status" '^(0|1|3|74)$' "$s: files cannot grow"
done
rm in/large.stl
if mkdir full && mount -t tmpfs -o size=600k tmpfs full 2>/dev/null; then
	head -c 500000 /dev/urandom >full/ballast
	stage full/ws fetch >out 2>err
	is $? 74 'fetch on a full disk'
	like "$(cat err)" 'No space|no room|full' 'says that it is full'
	rm full/ballast
	stage full/ws fetch >out 2>err
	is $? 0 'and goes on when there is room'
	umount full
else
	skip 'a full disk' 'no file system can be mounted'
fi
done_testing
