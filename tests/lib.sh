# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# TAP for shell tests. A test file begins with
#     . "$T3D_SOURCE/tests/lib.sh"
# calls what is below, and ends with `done_testing`. scripts/run-test starts it in an empty folder of its own,
# with the programs in PATH, T3D_BUILD = the folder of the programs, T3D_SOURCE = the source tree.

tap_count=0
tap_failed=0

# ok STATUS NAME: one test point; STATUS 0 is a pass.
ok() {
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
	fi
}

# note TEXT: lines of diagnosis.
note() {
	printf '%s\n' "$1" | sed 's/^/# /'
}

# is GOT WANTED NAME: two texts are equal.
is() {
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		note "got: $1"
		note "wanted: $2"
	fi
}

# like TEXT PATTERN NAME: TEXT has a line that matches the extended regular expression.
like() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		ok 0 "$3"
	else
		ok 1 "$3"
		note "got: $1"
		note "wanted a match of: $2"
	fi
}

# unlike TEXT PATTERN NAME: no line matches.
unlike() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		ok 1 "$3"
		note "got: $1"
	else
		ok 0 "$3"
	fi
}

# expect_status N NAME COMMAND...: run the command; its output is in the files out and err and in the
# variables $out and $err (without NULs and final newlines), its exit status in $status.
expect_status() {
	tap_want=$1
	tap_name=$2
	shift 2
	status=0
	"$@" >out 2>err || status=$?
	# shellcheck disable=SC2034 # for the caller
	out=$(tr -d '\000' <out)
	err=$(tr -d '\000' <err)
	if [ "$status" -eq "$tap_want" ]; then
		ok 0 "$tap_name"
	else
		ok 1 "$tap_name"
		note "status $status, wanted $tap_want: $*"
		note "$err"
	fi
}

# empty FILE NAME: the file has no bytes.
empty() {
	if [ -s "$1" ]; then
		ok 1 "$2"
		note "$(head -n 5 "$1")"
	else
		ok 0 "$2"
	fi
}

# skip_all REASON: leave the file; nothing here can be tested on this machine.
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# skip NAME REASON: one test point that cannot be tested here.
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

done_testing() {
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ]
	exit
}
