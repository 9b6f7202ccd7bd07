# SPDX-License-Identifier: Apache-2.0
# What holds for the front door and for every tool that is built.
. "$T3D_SOURCE/tests/lib.sh"

# --- the front door
expect_status 0 'help' t3d help
like "$out" '^  version ' 'help lists the tools'
empty err 'help says nothing on stderr'
expect_status 0 '--help' t3d --help
expect_status 2 'no tool' t3d
empty out 'no tool: stdout is empty'
expect_status 2 'unknown tool' t3d verison
empty out 'unknown tool: stdout is empty'
like "$err" "did you mean 'version'" 'unknown tool: did you mean'
expect_status 2 'a stage of other scripts' t3d preprocess
like "$err" "t3d filter" 'says which tools do it'
expect_status 2 'a path is no tool' t3d ../../bin/true
expect_status 2 'unknown option' t3d --verison
like "$err" 'did you mean --version' 'unknown option: did you mean'
expect_status 0 '--version' t3d --version
like "$out" '^t3d [0-9]+\.[0-9]+\.[0-9]+$' '--version is one line'
expect_status 0 'version' t3d version
like "$out" '^libraries .*cJSON' 'version names the libraries'
like "$out" '^sandbox +(seccomp|resource|refused)' 'version tells the state of the sandbox'
expect_status 0 'options before the subcommand' t3d -C / -j 2 version
expect_status 2 'operand too many' t3d version now
expect_status 2 'a number that is none' t3d version -j two
like "$err" "^t3d: --threads: 'two' is not a whole number$" 'the message names option and value'
expect_status 2 'a number out of range' t3d version -j 5000
expect_status 0 'help of an own command' t3d help version
like "$out" '^usage: t3d version' 'help of an own command is its help'
expect_status 2 'help of an unknown tool' t3d help nothing

# A program of that name in the current folder or in PATH is never run.
printf '#!/bin/sh\necho trap\n' >t3d-trap
chmod +x t3d-trap
PATH=$PWD:$PATH expect_status 2 'tools are not found in the current folder' t3d trap
unlike "$out" trap 'nor run'

# --- standard output
if [ -w /dev/full ]; then
	status=0
	err=$(t3d help 2>&1 >/dev/full) || status=$?
	is "$status" 74 'a full disk under stdout is exit 74'
	like "$err" '^t3d: cannot write .standard output.: No space left' 'and says so'
else
	skip 'full disk' 'no /dev/full'
fi
status=$({ { sleep 0.2; t3d help; echo "$?" >&3; } | true; } 3>&1 2>err)
is "$status" 0 'a reader that closes the pipe is no error'
empty err 'nor worth a message'
status=0
err=$(t3d help 2>&1 >&-) || status=$?
is "$status" 74 'closed stdout is exit 74'

# --- every tool
check_tool() {
	tool=$1
	expect_status 0 "$tool --help" "$tool" --help
	like "$out" '^usage: t3d' "$tool --help: usage"
	[ "$tool" = t3d ] || like "$out" '^  -C, --workspace DIR' "$tool --help: common options"
	unlike "$out" '.{101}' "$tool --help: no line above 100 columns"
	unlike "$out" '\.{4}' "$tool --help: dots once"
	expect_status 0 "$tool --version" "$tool" --version
	expect_status 0 "$tool --help=summary" "$tool" --help=summary
	is "$(wc -l <out)" 1 "$tool --help=summary: one line"
	expect_status 2 "$tool: unknown option" "$tool" --no-such-option
	empty out "$tool: unknown option: stdout is empty"
	is "$(wc -l <err)" 2 "$tool: unknown option: two lines"
	expect_status 2 "$tool: unknown kind of help" "$tool" --help=me
	if command -v mandoc >/dev/null; then
		"$tool" --help=man >page
		is "$(mandoc -Tlint page | grep -v 'referenced manual not found')" '' "$tool: the manual page is clean"
	fi
	if command -v bash >/dev/null; then
		"$tool" --completion=bash >code
		expect_status 0 "$tool: completion code for bash" bash -n code
	fi
	if command -v zsh >/dev/null; then
		"$tool" --completion=zsh >code
		expect_status 0 "$tool: completion code for zsh" zsh -n code
	fi
	if command -v fish >/dev/null; then
		"$tool" --completion=fish >code
		expect_status 0 "$tool: completion code for fish" fish -n code
	fi
}
for program in "$T3D_BUILD"/t3d "$T3D_BUILD"/t3d-*; do
	if [ -f "$program" ] && [ -x "$program" ]; then
		check_tool "${program##*/}"
	fi
done

# --- options of other training scripts: the message says what to use
elsewhere() { # OPTION TOOL WHAT
	expect_status 2 "$2 $1" t3d "$2" "$1"
	like "$err" "^t3d $2: there is no $(printf %s "$1" | tr _ -) here: .*$3" "$2 $1: what to use"
}
elsewhere --use_lora train 't3d train --run NAME'
elsewhere --stage train 't3d help'
elsewhere --checkpoint train '--run NAME'
elsewhere --filter_quality embed 't3d filter'
elsewhere --prompt generate 'operand'
expect_status 2 'a part of such a name' t3d train --lora
unlike "$err" 'here:' 'a part of such a name has no advice'
# every option that the guide calls refused has a message
refused=$(sed -n '/^## Options of the training guides/,$p' "$T3D_SOURCE/doc/guide.md" | grep '| refused:' | sed 's/^| //; s/ | refused.*//' |
	grep -oE -- '--[a-z0-9_-]+')
ok "$([ "$(echo "$refused" | wc -l)" -gt 20 ]; echo $?)" 'the guide lists them'
for option in $refused; do
	t3d status "$option" >out 2>err
	like "$(cat err)" 'there is no .* here: ' "refused: $option"
done

# --- completion does complete
if command -v bash >/dev/null; then
	cat >ask <<'END'
eval "$(t3d --completion=bash)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_t3d
printf '%s\n' "${COMPREPLY[@]}"
END
	is "$(bash ask t3d vers)" version 'bash completes the name of a tool'
else
	skip 'bash completes' 'no bash'
fi
done_testing
