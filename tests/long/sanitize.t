#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The unit tests and the shell tests of the tools under AddressSanitizer and UndefinedBehaviorSanitizer.
. "$T3D_SOURCE/tests/lib.sh"

build=$PWD/build
cd "$T3D_SOURCE" || exit 1
expect_status 0 'build' make -s -j2 config=sanitize all units
# Sandboxed children and long-lived caches are ended by exit(), so leaks are looked for in unit tests only.
printf 'leak:libassimp.so\n' >"$build.leaks" # where it gives up a file it keeps some of it
LSAN_OPTIONS=suppressions=$build.leaks
export LSAN_OPTIONS
for unit in build/sanitize/unit/*; do
	[ -x "$unit" ] && [ -f "$unit" ] || continue
	expect_status 0 "$unit" env CMOCKA_MESSAGE_OUTPUT=STDOUT T3D_BUILD="$PWD/build/sanitize" "$unit"
done
PATH=$PWD/build/sanitize:$PATH
ASAN_OPTIONS=detect_leaks=0
export PATH ASAN_OPTIONS
for t in tests/tool/*.t tests/pipe/*.t tests/long/reconstruct.t; do
	expect_status 0 "$t" env T3D_FEW=1 T3D_BUILD="$PWD/build/sanitize" scripts/run-test "$t"
done
rm -rf "$build" "$build.leaks"
rm -f out err # of expect_status, here in the source tree
done_testing
