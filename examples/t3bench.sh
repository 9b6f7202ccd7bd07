#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# T3Bench with a judge behind an OpenAI-compatible endpoint:
#
#     OPENAI_API_KEY=... examples/t3bench.sh PROMPTS [OPTION]...
#
# PROMPTS is the folder that has the benchmark's prompt_single.txt, prompt_surr.txt and prompt_multi.txt (github.com/
# THU-LYJ-Lab/T3Bench, data/). OPTIONs go to `t3d bench t3bench`; --dry-run says first what it takes. JUDGE=stub runs
# everything without an endpoint.
set -eu
[ $# -ge 1 ] || {
	sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
here=$(cd "$(dirname "$0")" && pwd)
prompts=$1
shift
judge="exec sh '$here/judge-openai.sh'"
exec t3d bench t3bench --prompts "$prompts" --judge "${JUDGE:-$judge}" "$@"
