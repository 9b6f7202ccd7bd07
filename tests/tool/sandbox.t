#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the processes that parse files ask of the system, seen by strace: no file is opened, no socket is made.
. "$T3D_SOURCE/tests/lib.sh"

strace -o probe -f -e trace=openat true 2>/dev/null || skip_all 'strace is not there or may not trace'
t3d version | grep -q 'sandbox .*seccomp filter' || skip_all 'the kernel refuses seccomp'
# Under AddressSanitizer a forbidden call fails instead of killing, and the sanitizer makes some.
t3d version | grep -q 'compiler .*sanitize' && skip_all 'the sanitizers ask the system for more'

mkdir in
printf 'mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\nf 1/1 2/1 3/1\n' >in/a.obj
printf 'newmtl m\nmap_Kd t.png\n' >in/a.mtl
printf '%s' iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC | base64 -d >in/t.png
printf 'OFF\n3 1 0\n0 0 0\n1 0 0\n0 2 0\n3 0 1 2\n' >in/a.off
printf 'solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n' >in/a.stl
printf 'ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n' >in/a.ply
t3d -C made fetch primitives --count 2 -q
cp "$(find made -name '*.glb' | head -1)" in/a.glb
printf '{"asset":{"version":"2.0"},"images":[{"uri":"t.png"}],"buffers":[{"uri":"b.bin","byteLength":36}],"bufferViews":[{"buffer":0,"byteLength":36}],"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0]}],"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],"nodes":[{"mesh":0}],"scenes":[{"nodes":[0]}],"scene":0}' >in/a.gltf
printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\200\077\0\0\0\0\0\0\0\0\0\0\0\0\0\0\200\077\0\0\0\0' >in/b.bin
other=
if "$T3D_BUILD/aid/convert" 3ds in/a.obj in/a.3ds; then
	"$T3D_BUILD/aid/convert" 3mf in/a.stl in/a.3mf
	cp "$T3D_SOURCE"/tests/ref/other/*.fbx "$T3D_SOURCE"/tests/ref/other/*.dae in
	other='3ds fbx dae 3mf'
fi
printf 'v 0 0 0\nv 1 0 0\nv 0 5 0\nf 1 2 3\n' >x.obj
for kind in zip tar 7z tar.gzip tar.bzip2 tar.xz tar.zstd; do
	printf 'v 0 0 0\nv 1 0 0\nv 0 5 %s\nf 1 2 3\n' "$kind" >x.obj
	case $kind in tar.gzip) name=tar.gz ;; tar.bzip2) name=tar.bz2 ;; tar.zstd) name=tar.zst ;; *) name=$kind ;; esac
	"$T3D_BUILD/aid/pack" "$kind" "in/x.$name" "x.obj=x.obj"
done

# calls LOG: pid and name of each call that a process made after it was confined. (libseccomp asks with a null filter
# whether the kernel knows them.)
calls() {
	awk '/ seccomp\(SECCOMP_SET_MODE_FILTER.*len=/ { confined[$1] = 1; next }
		confined[$1] && match($0, /^[0-9]+ +[a-z_0-9]+\(/) {
			name = $2; sub(/\(.*/, "", name); print $1, name }' "$1"
}
# check LOG WHAT: the calls of confined processes are among those that read, write and hold memory.
check() {
	calls "$1" >confined
	n=$(cut -d' ' -f1 confined | sort -u | wc -l)
	[ "$n" -ge 1 ]
	ok $? "$2: $n confined processes, $(wc -l <confined) calls"
	is "$(cut -d' ' -f2 confined | sort -u | grep -vxE \
		'read|pread64|readv|write|writev|pwrite64|recvmsg|sendmsg|munmap|mremap|madvise|brk|futex|exit|exit_group|fstat|newfstatat|lseek|close|ftruncate|getrandom|clock_gettime|gettimeofday|sysinfo|sched_yield|restart_syscall|getpid|gettid|mmap|mprotect|fcntl|rt_sigreturn')" \
		'' "$2: no open, no socket, no process, nothing else"
	is "$(grep -c 'killed by SIGSYS' "$1")" 0 "$2: nothing forbidden was tried"
}
expect_status 0 'fetch under strace' strace -f -o fetch.log t3d -C ws fetch local in -j 1
check fetch.log fetch
expect_status 0 'filter under strace' strace -f -o filter.log t3d -C ws filter -j 1
check filter.log filter
expect_status 0 'render under strace' strace -f -o render.log t3d -C ws render -j 1 --num-views 1 --resolution 16
check render.log render
is "$(t3d -C ws manifest list --stage filter --state ok | jq -r .measures.format | sort -u | tr '\n' ' ')" \
	"$(printf '%s\n' glb gltf obj off ply stl $other | sort -u | tr '\n' ' ')" 'every format was parsed'
is "$(t3d -C ws manifest list | jq -r .source | grep -c '^x\..*/x.obj$')" 7 'and every kind of archive'
# It is the calls of these processes that were seen, and not those of none: the program itself opens files.
[ "$(grep -c openat fetch.log)" -gt 20 ]
ok $? 'the program does open files'
done_testing
