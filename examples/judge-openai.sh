#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A captioner and judge for `t3d bench t3bench --judge`: passes its questions to an OpenAI-compatible endpoint, with
# curl and jq. The protocol is in doc/formats.md, "Captioner and judge".
#
#     OPENAI_API_KEY     sent as a bearer token; may be empty for a server of one's own
#     OPENAI_BASE_URL    https://api.openai.com/v1 when not set
#     OPENAI_MODEL       a model that takes pictures; its name stands in the metric's name
set -eu
url=${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions
model=${OPENAI_MODEL:?say which model: OPENAI_MODEL=...}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
header=$work/header
(umask 077 && printf 'Authorization: Bearer %s\n' "${OPENAI_API_KEY:-}" >"$header") # not in the list of processes

# The request for the question in $work/question.
request() {
	: >"$work/image"
	path=$(jq -r '.image // empty' "$work/question")
	[ -z "$path" ] || base64 -w 0 "$path" >"$work/image"
	jq --arg model "$model" --rawfile image "$work/image" '
		(.instruction
			+ (if .captions then "\n\n" + ([.captions[] | "- " + .] | join("\n")) else "" end)
			+ (if .task == "score" then "\n\nPrompt: \(.prompt)\nCaption: \(.caption)" else "" end)) as $text
		| {model: $model, temperature: 0, messages: [{role: "user", content:
			([{type: "text", text: $text}]
			+ (if $image != "" then [{type: "image_url", image_url: {url: ("data:image/png;base64," + $image)}}] else [] end))}]}' \
		"$work/question" >"$work/request"
}

while IFS= read -r line; do
	printf '%s\n' "$line" >"$work/question"
	if [ "$(jq -r .task "$work/question")" = hello ]; then
		jq -c --arg name "$(printf %s "$model" | tr -c 'A-Za-z0-9._+-' -)" '{id, text: $name}' "$work/question"
		continue
	fi
	request
	status=$(curl -sS --max-time 55 -o "$work/answer" -w '%{http_code}' -H "@$header" -H 'Content-Type: application/json' \
		--data-binary "@$work/request" "$url" 2>"$work/error") || status=000
	if [ "$status" = 200 ] && text=$(jq -er '.choices[0].message.content' "$work/answer" 2>/dev/null); then
		jq -c --arg text "$text" '{id, text: $text}' "$work/question"
	else
		# too many requests and a server's own troubles pass; a wrong key does not
		case $status in 4[01]* | 42[0-8]) retry=false ;; *) retry=true ;; esac
		[ "$status" != 408 ] || retry=true
		jq -c --arg error "status $status: $(head -c 300 "$work/error")" --argjson retry $retry '{id, error: $error, retry: $retry}' "$work/question"
	fi
done
